package engine

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"github.com/eve-emulation/eve/internal/netpoll"
)

// reactors is the engine of that name and, with one loop, those on other mechanisms of waiting.
type reactors struct {
	cfg       Config
	mechanism netpoll.Mechanism
	helpers   *helpers // nil but for amped
	edge      bool     // connections are watched for edges, once for all, instead of levels
	uring     bool     // loops wait for completions, and have no mechanism
	addr      netip.AddrPort
	loops     []*reactor
	filler    []byte       // shared, never written
	open      atomic.Int64 // connections of all loops

	mu     sync.Mutex // guards what follows
	ran    bool
	closed bool
}

const (
	lingerTime  = 2 * time.Second
	fillerBytes = 64 << 10
)

// withDefaults fills in what is zero, and checks.
func (c Config) withDefaults() (Config, error) {
	fill := func(p *int, n int) {
		if *p == 0 {
			*p = n
		}
	}
	fillTime := func(p *time.Duration, d time.Duration) {
		if *p == 0 {
			*p = d
		}
	}
	fill(&c.Reactors, 1)
	fill(&c.Backlog, 4096)
	fill(&c.MaxHead, 64<<10)
	fill(&c.MaxBody, 1<<20)
	fill(&c.Pipeline, 64)
	fill(&c.Passed, 65536)
	fill(&c.Threads, 64)
	fill(&c.Helpers, 4)
	fill(&c.Queue, 1024)
	fillTime(&c.HeadTimeout, 10*time.Second)
	fillTime(&c.IdleTimeout, 75*time.Second)
	fillTime(&c.SendTimeout, 30*time.Second)
	fillTime(&c.Drain, 5*time.Second)
	fillTime(&c.CallIdle, 30*time.Second)
	if c.Reactors < 0 || c.Reactors > maxLoops {
		return c, fmt.Errorf("listen %s: %d reactors; there can be 1 to %d", c.Listen, c.Reactors, maxLoops)
	}
	if min(c.Backlog, c.MaxHead, c.MaxBody, c.Pipeline, c.Passed, c.Threads, c.Helpers, c.Queue) < 0 {
		return c, fmt.Errorf("listen %s: a limit is negative", c.Listen)
	}
	return c, nil
}

func listenReactors(cfg Config, handler func(loop int) Handler) (Engine, error) {
	return listen(&reactors{mechanism: netpoll.Epoll}, cfg, handler)
}

// listen opens e, of which the kind is set, on the address of cfg.
func listen(e *reactors, cfg Config, handler func(loop int) Handler) (Engine, error) {
	cfg, err := cfg.withDefaults()
	if err != nil {
		return nil, err
	}
	tcp, err := net.ResolveTCPAddr("tcp", cfg.Listen)
	if err != nil {
		return nil, fmt.Errorf("listen %s: %w", cfg.Listen, err)
	}
	ip, _ := netip.AddrFromSlice(tcp.IP)
	if !ip.IsValid() {
		ip = netip.IPv4Unspecified()
	}
	e.cfg, e.addr, e.filler = cfg, netip.AddrPortFrom(ip.Unmap(), uint16(tcp.Port)), make([]byte, fillerBytes)
	for i := range e.filler {
		e.filler[i] = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ.\n"[i%64]
	}
	if err := e.bind(); err != nil {
		return nil, errors.Join(err, e.Close())
	}
	for _, l := range e.loops {
		l.handler = handler(l.index)
	}
	return e, nil
}

// bind opens every loop with its listening socket. Several share the address, but a first socket that does not makes sure that
// nobody else listens there: the kernel would silently give a second server of the same user half of the connections.
func (e *reactors) bind() error {
	shared := e.cfg.Reactors > 1
	if shared {
		probe, err := netpoll.Listen(e.addr, 1, false)
		if err != nil {
			return err
		}
		e.addr, err = netpoll.Local(probe)
		if err = errors.Join(err, netpoll.Close(probe)); err != nil {
			return fmt.Errorf("listen %s: %w", e.cfg.Listen, err)
		}
	}
	for i := range e.cfg.Reactors {
		ln, err := netpoll.Listen(e.addr, e.cfg.Backlog, shared)
		if err != nil {
			return err
		}
		if e.addr, err = netpoll.Local(ln); err == nil {
			var l *reactor
			if l, err = newReactor(e, i, ln); err == nil {
				e.loops = append(e.loops, l)
				continue
			}
		}
		return fmt.Errorf("listen %s: %w", e.cfg.Listen, errors.Join(err, netpoll.Close(ln)))
	}
	return nil
}

func (e *reactors) Addr() netip.AddrPort { return e.addr }

func (e *reactors) Loops() int { return len(e.loops) }

func (e *reactors) Post(i int, fn func(Loop)) bool {
	return e.loops[i].box.post(message{kind: callMessage, fn: fn}, nil, nil)
}

func (e *reactors) Stats() Stats {
	var s Stats
	for _, l := range e.loops {
		l.published.addTo(&s)
	}
	return s
}

func (e *reactors) Run(ctx context.Context) error {
	loops := make([]func() error, len(e.loops))
	for i, l := range e.loops {
		loops[i] = l.run
	}
	if e.helpers != nil {
		e.helpers.start(e.cfg.Helpers)
		defer e.helpers.stop()
	}
	return e.run(ctx, loops...)
}

// run runs the loops, once.
func (e *reactors) run(ctx context.Context, loops ...func() error) error {
	e.mu.Lock()
	if e.ran || e.closed {
		e.mu.Unlock()
		return fmt.Errorf("run engine on %s: %w", e.addr, ErrStopped)
	}
	e.ran = true
	e.mu.Unlock()

	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	errs := make([]error, len(loops))
	var wg sync.WaitGroup
	for i, loop := range loops {
		wg.Go(func() {
			errs[i] = loop()
			cancel() // a loop that fails ends the engine
		})
	}
	<-ctx.Done()
	for _, l := range e.loops {
		l.box.post(message{kind: stopMessage}, nil, nil)
	}
	wg.Wait()
	return errors.Join(append(errs, e.Close())...)
}

// gone notes that a connection has closed and, if it was the last, lets draining loops end.
func (e *reactors) gone(r *reactor) {
	if e.open.Add(-1) > 0 || !r.draining {
		return
	}
	for _, l := range e.loops {
		if l != r {
			l.box.post(message{kind: wakeMessage}, nil, nil)
		}
	}
}

func (e *reactors) Close() error {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.closed {
		return nil
	}
	e.closed = true
	var errs []error
	for _, l := range e.loops {
		errs = append(errs, l.close())
	}
	return errors.Join(errs...)
}
