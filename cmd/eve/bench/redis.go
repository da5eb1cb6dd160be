package bench

import (
	"context"
	"fmt"
	"strconv"

	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/maintnotifications"
)

// redisPeer is a Redis that keeps nothing on disk.
type redisPeer struct {
	*server
	db *redis.Client
}

func openRedis(ctx context.Context) (peer, error) {
	s, err := serve(ctx, serverBinary("redis"), func(port, dir string) []string {
		return []string{"--bind", "127.0.0.1", "--port", port, "--save", "", "--appendonly", "no", "--dir", dir}
	})
	if err != nil {
		return nil, err
	}
	p := &redisPeer{server: s}
	p.db = p.client(1)
	if err := p.db.Set(ctx, key(0), sample(0), 0).Err(); err != nil {
		p.close()
		return nil, err
	}
	return p, nil
}

// client connects, over at most so many connections.
func (p *redisPeer) client(connections int) *redis.Client {
	return redis.NewClient(&redis.Options{
		Addr: p.addr, PoolSize: connections, Protocol: 2, DisableIdentity: true, ContextTimeoutEnabled: false,
		MaintNotificationsConfig: &maintnotifications.Config{Mode: maintnotifications.ModeDisabled},
	})
}

func (p *redisPeer) name() string { return "redis" }
func (p *redisPeer) pid() int     { return p.cmd.Process.Pid }

func (p *redisPeer) close() {
	_ = p.db.Close()
	p.stop()
}

func (p *redisPeer) ops() map[string]operation {
	swap := redis.NewScript(`if redis.call("GET", KEYS[1]) == ARGV[1] then redis.call("SET", KEYS[1], ARGV[2]) return 1 end return 0`)
	last := "0"
	return map[string]operation{
		opRead:  func(ctx context.Context, _ int) error { return p.db.Get(ctx, key(0)).Err() },
		opWrite: func(ctx context.Context, i int) error { return p.db.Set(ctx, key(0), sample(i), 0).Err() },
		opCreate: func(ctx context.Context, i int) error {
			return p.db.SetArgs(ctx, key(1000+i), "0", redis.SetArgs{Mode: "NX"}).Err()
		},
		opSwap: func(ctx context.Context, i int) error {
			if i == 0 {
				if err := p.db.Set(ctx, key(1), last, 0).Err(); err != nil {
					return err
				}
			}
			next := strconv.Itoa(i + 1)
			done, err := swap.Run(ctx, p.db, []string{key(1)}, last, next).Int()
			if err == nil && done != 1 {
				err = fmt.Errorf("test and set: %s was not %s", key(1), last)
			}
			last = next
			return err
		},
	}
}

func (p *redisPeer) batches(ctx context.Context, n int) ([]operation, func(), error) {
	var write []operation
	var dbs []*redis.Client
	for c := range n {
		db := p.client(1)
		dbs = append(dbs, db)
		write = append(write, func(ctx context.Context, values int) error {
			pipe := db.Pipeline()
			for i := range values {
				pipe.Set(ctx, key(c), sample(i), 0)
			}
			_, err := pipe.Exec(ctx)
			return err
		})
		if err := db.Ping(ctx).Err(); err != nil {
			return nil, nil, err
		}
	}
	return write, func() {
		for _, db := range dbs {
			_ = db.Close()
		}
	}, nil
}
