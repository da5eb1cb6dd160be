package bench

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"runtime/debug"
	"sync"
	"time"

	"github.com/eve-emulation/eve/dsv"
	"github.com/eve-emulation/eve/dsv/dsvbolt"
	"github.com/eve-emulation/eve/evekernel"
	"github.com/eve-emulation/eve/evekernel/egs"
	"github.com/eve-emulation/eve/modules"
)

// opening is what a kernel is asked for; door is how to reach it.
type opening struct {
	DB      string   `json:"db,omitempty"`      // records here
	Parties []string `json:"parties,omitempty"` // modules that begin together
}

type door struct {
	URL   string `json:"url"`
	Token string `json:"token,omitempty"`
	TCP   string `json:"tcp,omitempty"` // of an echo
}

// state is what a kernel tells of itself.
type state struct {
	Revision dsv.Revision `json:"revision"`
	DBBytes  int64        `json:"db_bytes"`
}

// kernelPart is a kernel in a process of its own, which is opened by its first order.
func kernelPart(ctx context.Context) (duty, func() error, error) {
	k := &kernelHost{}
	return duty{
		"open":  take(func(o opening) (any, error) { return k.open(ctx, o) }),
		"state": take(func(struct{}) (any, error) { return k.state() }),
		"drill": take(func(d drill) (any, error) { return k.drill(ctx, d) }),
		"settle": take(func(struct{}) (any, error) {
			settled()
			debug.FreeOSMemory()
			return struct{}{}, nil
		}),
	}, k.close, nil
}

// A kernelHost holds the one kernel of a part.
type kernelHost struct {
	kernel *evekernel.Kernel
	db     *dsvbolt.DB
	bus    *eveBus // once it was drilled
	runs   sync.WaitGroup
	failed error // set before runs is done
}

func (k *kernelHost) open(ctx context.Context, o opening) (door, error) {
	if k.kernel != nil {
		return door{}, errors.New("is open")
	}
	cfg := evekernel.Config{Run: "bench", MaxConns: 4096}
	if o.DB != "" {
		db, err := dsvbolt.Create(o.DB)
		if err != nil {
			return door{}, err
		}
		k.db, cfg.Recorder = db, db
	}
	kernel, err := evekernel.New(cfg)
	if err != nil {
		return door{}, err
	}
	k.kernel = kernel
	if err := kernel.Listen(); err != nil {
		return door{}, err
	}
	if len(o.Parties) > 0 {
		if err := kernel.Hub().Expect(egs.StartBarrier, o.Parties...); err != nil {
			return door{}, err
		}
	}
	k.runs.Go(func() { k.failed = kernel.Run(ctx) })
	return door{URL: kernel.URL(), Token: kernel.Token()}, nil
}

func (k *kernelHost) state() (state, error) {
	if k.kernel == nil {
		return state{}, errors.New("is not open")
	}
	s := state{Revision: k.kernel.Store().Revision()}
	if k.db != nil {
		if err := k.db.Flush(); err != nil {
			return s, err
		}
		st, err := os.Stat(k.db.Path())
		if err != nil {
			return s, err
		}
		s.DBBytes = st.Size()
	}
	return s, nil
}

func (k *kernelHost) close() error {
	if k.kernel == nil {
		return nil
	}
	if k.bus != nil {
		k.bus.close()
	}
	k.runs.Wait()
	err := errors.Join(k.failed, k.kernel.Close())
	if k.db != nil {
		err = errors.Join(err, k.db.Close())
	}
	return err
}

// drill sends events from inside the kernel's process.
func (k *kernelHost) drill(ctx context.Context, d drill) (drilled, error) {
	svc := k.kernel.Hub().Member(insider)
	if k.bus == nil {
		var err error
		if k.bus, err = newEveBus(ctx, svc, channelHome); err != nil {
			return drilled{}, err
		}
	}
	return d.run(ctx, svc, k.bus)
}

// A kernel is a kernel in a part, seen from here.
type kernel struct {
	*part
	door
}

// openKernel starts a kernel in a process of its own.
func (c Config) openKernel(ctx context.Context, o opening) (*kernel, error) {
	p, err := c.start(ctx, "kernel")
	if err != nil {
		return nil, err
	}
	k := &kernel{part: p}
	if err := p.call("open", o, &k.door); err != nil {
		p.stop()
		return nil, err
	}
	return k, nil
}

// A client is one connection to a kernel.
type client struct {
	*modules.Proxy
	runs sync.WaitGroup
	end  context.CancelFunc
}

// dial connects to the kernel as a guest, and waits until it is let in.
func (d door) dial(ctx context.Context) (*client, error) { return d.dialOver(ctx, nil) }

// dialOver is dial over connections that net makes; nil for TCP.
func (d door) dialOver(ctx context.Context, net func(context.Context) (net.Conn, error)) (*client, error) {
	c := &client{Proxy: modules.NewProxy(modules.Link{URL: d.URL, Token: d.Token, Dial: net}, nil)}
	run, end := context.WithCancel(context.WithoutCancel(ctx))
	c.end = end
	c.runs.Go(func() { _ = c.Run(run) })
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	if _, err := c.Welcome(ctx); err != nil {
		c.close()
		return nil, fmt.Errorf("connect to the kernel: %w", err)
	}
	return c, nil
}

// close ends the connection.
func (c *client) close() {
	_ = c.Close(nil)
	c.end()
	c.runs.Wait()
}
