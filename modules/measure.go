package modules

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/eve-emulation/eve/dmm"
	"github.com/eve-emulation/eve/dsv"
)

// settle is how long after the end of a window its delta is taken: what was written at its very end is in it then.
const settle = 5 * time.Millisecond

// A measure is the variables of one call of Measure with what synchronises them.
type measure struct {
	set *dmm.Set

	mu      sync.Mutex // guards what follows
	pending []dsv.Delta

	more   chan struct{}   // capacity 1
	failed map[string]bool // errors that were logged; the sender's
}

// Measure creates manipulated variables and begins to synchronise them: time triggers at multiples of their period since
// T0, count and threshold triggers at once. A variable that the run declares already is used as it is declared; others
// are declared without unit and with history. A variable of which the scenario's `measure:` says how it is manipulated is
// so, whatever the spec says. When the module ends, everything is synchronised.
func (e *Env) Measure(specs ...dmm.Spec) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	specs, err := e.say(specs)
	if err != nil {
		return err
	}
	for _, s := range specs {
		if err := s.Check(); err != nil {
			return err
		}
	}
	for _, s := range specs {
		if e.vars[s.Name] != nil {
			return fmt.Errorf("measure %s: measured twice: %w", s.Name, dsv.ErrExists)
		}
		if err := e.declare(s); err != nil {
			return fmt.Errorf("measure %s: %w", s.Name, err)
		}
	}
	set, err := dmm.NewSet(e.writer, e.epoch, specs)
	if err != nil {
		return err
	}
	if now := e.Now(); now > 0 {
		set.Begin(now)
	}
	for _, s := range specs {
		e.vars[s.Name] = set.Var(s.Name)
	}
	m := &measure{set: set, failed: map[string]bool{}, more: make(chan struct{}, 1)}
	e.measures = append(e.measures, m)
	e.Go(func(ctx context.Context) error { return e.drive(ctx, m) })
	e.Go(func(ctx context.Context) error { return e.deliver(ctx, m) })
	return nil
}

// Var returns a variable that Measure made, nil for others; writing to a nil Var does nothing.
func (e *Env) Var(n dsv.Name) *dmm.Var {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.vars[n]
}

// declare creates the variable of a spec, unless there is one that fits.
func declare(ctx context.Context, space *Proxy, s dmm.Spec) error {
	d := s.Declaration("", "", true)
	if err := space.measures(ctx, d, s.Sync.String()); !errors.Is(err, dsv.ErrExists) {
		return err
	}
	i, err := space.Info(ctx, s.Name)
	if err != nil {
		return err
	}
	if have := i.Declaration; i.Manipulated == "" && (have.Kind != d.Kind || have.Merge != d.Merge) {
		return fmt.Errorf("declared as %v merged by %v, %s makes %v merged by %v: %w",
			have.Kind, have.Merge, s.Manipulator, d.Kind, d.Merge, dsv.ErrExists)
	}
	// Equal, so no change: it gives the number that deltas travel under, and tells the trigger.
	return space.measures(ctx, i.Declaration, s.Sync.String())
}

// drive advances the set: at the ends of windows, and when a count or a threshold asks for it.
func (e *Env) drive(ctx context.Context, m *measure) error {
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	started := e.started
	for {
		if started == nil {
			if next := m.set.Next(); next != dsv.Never {
				timer.Reset(next.Add(settle).Sub(e.Now()))
			}
		}
		select {
		case <-ctx.Done():
			return nil
		case <-started:
			started = nil
		case <-m.set.Due():
		case <-timer.C:
			m.set.Advance(e.Now().Add(-settle))
		}
		m.take()
	}
}

// take moves what became due to the deltas that wait for their sender.
func (m *measure) take() {
	m.mu.Lock()
	defer m.mu.Unlock()
	before := len(m.pending)
	m.pending = m.set.Take(m.pending)
	if len(m.pending) > before {
		select {
		case m.more <- struct{}{}:
		default:
		}
	}
}

// deliver sends deltas. While a batch is under way, the next one forms.
func (e *Env) deliver(ctx context.Context, m *measure) error {
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-m.more:
		}
		// A batch once taken is delivered, also when the module ends meanwhile.
		late, cancel := linger(ctx, closeTimeout)
		err := e.flush(late, m)
		cancel()
		if errors.Is(err, dsv.ErrClosed) {
			return fmt.Errorf("synchronise: %w", err)
		}
	}
}

// linger returns a context that ends some time after ctx has ended.
func linger(ctx context.Context, d time.Duration) (context.Context, context.CancelFunc) {
	late, cancel := context.WithCancel(context.WithoutCancel(ctx))
	stop := context.AfterFunc(ctx, func() {
		t := time.AfterFunc(d, cancel)
		context.AfterFunc(late, func() { t.Stop() })
	})
	return late, func() { stop(); cancel() }
}

// flush sends what waits. Errors of single variables do not end a module: they are logged, each once.
func (e *Env) flush(ctx context.Context, m *measure) error {
	m.mu.Lock()
	deltas := m.pending
	m.pending = nil
	m.mu.Unlock()
	if len(deltas) == 0 {
		return nil
	}
	err := e.proxy.Sync(ctx, deltas)
	if ctx.Err() != nil && err != nil { // no answer: they wait for the last synchronisation; a repeat does no harm
		m.mu.Lock()
		m.pending = append(deltas, m.pending...)
		m.mu.Unlock()
	}
	if err == nil || errors.Is(err, dsv.ErrClosed) {
		return err
	}
	if !m.failed[err.Error()] && len(m.failed) < 100 {
		m.failed[err.Error()] = true
		e.proxy.log("synchronise: " + err.Error())
	}
	return err
}

// finish synchronises everything at the module's end, within a bounded time.
func (e *Env) finish(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, closeTimeout)
	defer cancel()
	e.mu.Lock()
	defer e.mu.Unlock()
	var errs []error
	for _, m := range e.measures {
		m.set.Close(e.Now())
		m.take()
		if err := e.flush(ctx, m); err != nil {
			errs = append(errs, fmt.Errorf("last synchronisation: %w", err))
		}
	}
	for _, made := range e.made {
		errs = append(errs, made.Close())
	}
	for len(e.logs) > 0 { // what the last synchronisation had to say; nobody else reads any more
		e.proxy.log(<-e.logs)
	}
	return errors.Join(errs...)
}
