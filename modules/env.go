package modules

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/eve-emulation/eve/dmm"
	"github.com/eve-emulation/eve/dmm/recipe"
	"github.com/eve-emulation/eve/dsv"
	"github.com/eve-emulation/eve/evekernel/egs"
	"github.com/eve-emulation/eve/evekernel/wire"
	"github.com/eve-emulation/eve/internal/mono"
)

// closeTimeout bounds the last synchronisation of a module that ends.
const closeTimeout = 3 * time.Second

// An Env is what a running module has. All its methods may be called from several goroutines at once.
type Env struct {
	Name string // the module's name in the run

	link   Link
	proxy  *Proxy
	config []byte // JSON; nil when the run has none for this module
	writer dsv.WriterID
	epoch  uint32
	logs   chan string

	t0      atomic.Int64  // on this host's clock
	started chan struct{} // closed when t0 is known
	once    sync.Once

	declare func(dmm.Spec) error                  // creates a variable while the module runs
	say     func([]dmm.Spec) ([]dmm.Spec, error)  // what the scenario says of variables; mu is held
	thread  func(func(ctx context.Context) error) // starts a user-level thread

	mu       sync.Mutex // guards what follows
	vars     map[dsv.Name]*dmm.Var
	measures []*measure
	list     recipe.List // how the scenario has variables of modules manipulated
	listed   bool        // the list was read
	made     []*recipe.Made
}

func newEnv(link Link) *Env {
	return &Env{
		Name: link.Name, link: link,
		logs: make(chan string, 256), started: make(chan struct{}), vars: map[dsv.Name]*dmm.Var{},
	}
}

// Space is the run's variables.
func (e *Env) Space() dsv.Space { return e.proxy }

// ReadFresh asks the kernel for a variable. The Space's Read answers from a copy what is read often.
func (e *Env) ReadFresh(ctx context.Context, n dsv.Name) (dsv.Reading, error) {
	return e.proxy.ReadFresh(ctx, n)
}

// Services is the run's barriers, groups and channels.
func (e *Env) Services() egs.Service { return e.proxy }

// Address is the host under which other participants reach what the module listens on; empty for one that stays on this
// host.
func (e *Env) Address() string { return e.link.Address }

// Config decodes the module's configuration into dst, a pointer to a struct that holds the defaults. Unknown keys are
// errors. Without a configuration dst stays as it is.
func (e *Env) Config(dst any) error {
	if e.config == nil {
		return nil
	}
	dec := json.NewDecoder(bytes.NewReader(e.config))
	dec.DisallowUnknownFields()
	err := dec.Decode(dst)
	if err == nil {
		if _, more := dec.Token(); !errors.Is(more, io.EOF) {
			err = errors.New("more than one value")
		}
	}
	if err != nil {
		return fmt.Errorf("config of %s: %w", e.Name, err)
	}
	return nil
}

// Now is the present moment of the run: negative before T0, and 0 before Ready has returned. It reads a clock, which
// takes some tens of nanoseconds; a loop reads it once per turn.
func (e *Env) Now() dsv.Instant {
	t0 := e.t0.Load()
	if t0 == 0 {
		return 0
	}
	return dsv.Instant(mono.Now() - t0)
}

// T0 is the run's start in ns of this host's CLOCK_MONOTONIC; 0 before Ready has returned.
func (e *Env) T0() int64 { return e.t0.Load() }

// Ready tells that the module is ready and waits until all others are. It returns once T0 is announced, which then lies
// some 300 ms ahead; a module that comes late learns of a T0 that has passed. It may be called again, to no effect.
func (e *Env) Ready(ctx context.Context) error {
	s, err := e.proxy.Join(ctx, egs.StartBarrier)
	if err != nil {
		return fmt.Errorf("ready: %w", err)
	}
	offset, err := e.offset(ctx)
	if err != nil {
		return fmt.Errorf("ready: %w", err)
	}
	t0 := s.T0 - int64(offset)
	e.once.Do(func() { e.start(t0) })
	return nil
}

func (e *Env) start(t0 int64) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.t0.Store(t0)
	if now := e.Now(); now > 0 { // late
		for _, m := range e.measures {
			m.set.Begin(now)
		}
	}
	close(e.started)
}

// offset returns how far the kernel's clock is ahead of this host's. Where the two are not one, the estimate and by how
// much it may be wrong are kept in variables of the run.
func (e *Env) offset(ctx context.Context) (time.Duration, error) {
	offset, uncertain, err := e.proxy.Offset(ctx)
	if err != nil || offset == 0 && uncertain == 0 {
		return 0, err
	}
	e.Logf("clock of another host: offset %v, uncertain by %v", offset, uncertain)
	for _, v := range []struct {
		leaf, help string
		x          time.Duration
	}{
		{"clock_offset", "How far the kernel's clock was ahead of the module's at the start.", offset},
		{"clock_uncertainty", "By how much clock_offset may be wrong.", uncertain},
	} {
		n := dsv.Name("eve.modules." + e.Name + "." + v.leaf)
		if err := e.proxy.Create(ctx, dsv.Declaration{Name: n, Kind: dsv.Float, Unit: "s", Help: v.help, History: true}); err != nil {
			return 0, err
		}
		if _, err := e.proxy.Write(ctx, n, dsv.FloatValue(v.x.Seconds())); err != nil {
			return 0, err
		}
	}
	return offset, nil
}

// Go starts a user-level thread. Its error ends the module; so does the module's Run returning, whereupon ctx ends and
// the module waits for its threads.
func (e *Env) Go(f func(ctx context.Context) error) { e.thread(f) }

// Logf writes one line to the kernel's module log. It does not wait: lines that come too fast are dropped.
func (e *Env) Logf(format string, args ...any) {
	select {
	case e.logs <- fmt.Sprintf(format, args...):
	default:
	}
}

// run is a module's life: connect, read the configuration, run, synchronise, leave.
func (e *Env) run(ctx context.Context, m Module) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	e.proxy = NewProxy(e.link, func(wire.Bye) { cancel(errBye) })
	base := context.WithoutCancel(ctx) // the connection outlives the module's work
	base, drop := context.WithCancel(base)
	defer drop()
	var conn sync.WaitGroup
	var lost error
	conn.Go(func() {
		lost = e.proxy.Run(base)
		cancel(fmt.Errorf("connection ended: %w", dsv.ErrClosed))
	})
	err := e.begin(ctx)
	if err == nil {
		err = e.live(ctx, m)
		err = errors.Join(err, e.finish(base))
	}
	_ = e.proxy.Close(err)
	drop()
	conn.Wait()
	if lost != nil {
		return lost // whatever else went wrong followed from it
	}
	return err
}

// errBye is why a module's context ends when the kernel says so.
var errBye = errors.New("the kernel said bye")

// begin waits for the connection and reads the configuration.
func (e *Env) begin(ctx context.Context) error {
	w, err := e.proxy.Welcome(ctx)
	if err != nil {
		return err
	}
	e.writer, e.epoch = dsv.WriterID(w.Writer), uint32(w.Epoch)
	n, err := dsv.ParseName("config." + e.Name)
	if err != nil {
		return err
	}
	r, err := e.proxy.Read(ctx, n)
	switch {
	case errors.Is(err, dsv.ErrNotFound) || errors.Is(err, dsv.ErrUnset):
	case err != nil:
		return err
	default:
		e.config = []byte(r.Value.Text)
	}
	return nil
}

// live runs the module and its threads.
func (e *Env) live(ctx context.Context, m Module) error {
	work, stop := context.WithCancel(ctx)
	defer stop()
	g, gctx := errgroup.WithContext(work)
	e.thread = func(f func(ctx context.Context) error) { g.Go(func() error { return ended(gctx, f(gctx)) }) }
	e.declare = func(s dmm.Spec) error { return declare(gctx, e.proxy, s) }
	e.say = func(s []dmm.Spec) ([]dmm.Spec, error) { return e.recipes(gctx, s) }
	var logs sync.WaitGroup
	over := make(chan struct{})
	logs.Go(func() { e.speak(over) })
	g.Go(func() error {
		defer stop()
		return ended(gctx, m.Run(gctx, e))
	})
	err := g.Wait()
	close(over)
	logs.Wait()
	return err
}

// speak sends log lines until the module is over, and then those that are left.
func (e *Env) speak(over <-chan struct{}) {
	for {
		select {
		case line := <-e.logs:
			e.proxy.log(line)
			continue
		default:
		}
		select {
		case line := <-e.logs:
			e.proxy.log(line)
		case <-over:
			if len(e.logs) == 0 {
				return
			}
		}
	}
}

// ended drops an error that only says that the module's context ended, as it was told to.
func ended(ctx context.Context, err error) error {
	if err != nil && ctx.Err() != nil && (errors.Is(err, context.Canceled) || errors.Is(err, errBye)) {
		return nil
	}
	return err
}
