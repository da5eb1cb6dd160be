package bench

import (
	"context"
	"fmt"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// natsPeer is a NATS server with its key-value store in memory.
type natsPeer struct {
	*server
	conn *nats.Conn
	kv   jetstream.KeyValue
}

func openNATS(ctx context.Context) (peer, error) {
	s, err := serve(ctx, serverBinary("nats"), func(port, dir string) []string {
		return []string{"-a", "127.0.0.1", "-p", port, "-js", "-sd", dir}
	})
	if err != nil {
		return nil, err
	}
	p := &natsPeer{server: s}
	if err := p.open(ctx); err != nil {
		p.close()
		return nil, err
	}
	return p, nil
}

func (p *natsPeer) url() string { return "nats://" + p.addr }

func (p *natsPeer) open(ctx context.Context) (err error) {
	if p.conn, err = nats.Connect(p.url()); err != nil {
		return err
	}
	js, err := jetstream.New(p.conn)
	if err != nil {
		return err
	}
	if p.kv, err = js.CreateKeyValue(ctx, jetstream.KeyValueConfig{Bucket: "bench", Storage: jetstream.MemoryStorage}); err != nil {
		return err
	}
	_, err = p.kv.Put(ctx, key(0), []byte(sample(0)))
	return err
}

func (p *natsPeer) name() string { return "nats" }
func (p *natsPeer) pid() int     { return p.cmd.Process.Pid }

func (p *natsPeer) close() {
	if p.conn != nil {
		p.conn.Close()
	}
	p.stop()
}

func (p *natsPeer) ops() map[string]operation {
	last := uint64(0)
	return map[string]operation{
		opRead: func(ctx context.Context, _ int) error {
			_, err := p.kv.Get(ctx, key(0))
			return err
		},
		opWrite: func(ctx context.Context, i int) error {
			_, err := p.kv.Put(ctx, key(0), []byte(sample(i)))
			return err
		},
		opCreate: func(ctx context.Context, i int) error {
			_, err := p.kv.Create(ctx, key(1000+i), []byte("0"))
			return err
		},
		opSwap: func(ctx context.Context, i int) (err error) {
			last, err = p.kv.Update(ctx, key(1), []byte(sample(i)), last)
			return err
		},
	}
}

func (p *natsPeer) batches(_ context.Context, n int) ([]operation, func(), error) {
	var write []operation
	var conns []*nats.Conn
	done := func() {
		for _, c := range conns {
			c.Close()
		}
	}
	for c := range n {
		conn, err := nats.Connect(p.url())
		if err != nil {
			done()
			return nil, nil, err
		}
		conns = append(conns, conn)
		js, err := jetstream.New(conn)
		if err != nil {
			done()
			return nil, nil, err
		}
		subject := "$KV.bench." + key(c)
		write = append(write, func(ctx context.Context, values int) error {
			var last jetstream.PubAckFuture
			for i := range values {
				if last, err = js.PublishAsync(subject, []byte(sample(i))); err != nil {
					return err
				}
			}
			select {
			case <-js.PublishAsyncComplete():
			case <-ctx.Done():
				return context.Cause(ctx)
			}
			select {
			case err := <-last.Err():
				return fmt.Errorf("publish %s: %w", subject, err)
			default:
				return nil
			}
		})
	}
	return write, done, nil
}
