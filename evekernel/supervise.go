package evekernel

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"
)

// supervise waits for a module's end, ends it if it never becomes ready, and tells what became of it.
func (m *module) supervise() {
	j := m.running()
	ended := make(chan error, 1)
	var wait sync.WaitGroup
	wait.Go(func() { ended <- j.wait() })
	err := m.awaitReady(j, ended)
	wait.Wait()
	m.tail.wait()
	m.finish(err)
}

// awaitReady returns the module's end.
func (m *module) awaitReady(j job, ended <-chan error) error {
	limit := m.spec.ReadyTimeout
	if limit == 0 {
		limit = readyTimeout
	}
	if limit < 0 || m.spec.Outside && m.spec.ReadyTimeout == 0 {
		return <-ended
	}
	timer := time.NewTimer(limit)
	defer timer.Stop()
	select {
	case err := <-ended:
		return err
	case <-m.ready:
	case <-timer.C:
		m.mu.Lock()
		if !m.stopping {
			m.why = fmt.Errorf("did not become ready within %v", limit)
		}
		m.mu.Unlock()
		j.kill()
	}
	return <-ended
}

// finish tells how the module ended.
func (m *module) finish(err error) {
	m.mu.Lock()
	why, ready, stopping := m.why, m.wasReady, m.stopping
	m.mu.Unlock()
	if why == nil {
		why = err
	}
	joins := m.spec.ReadyTimeout >= 0
	if why == nil && joins && !ready && !stopping {
		why = errors.New("ended before it was ready")
	}
	if why == nil || stopping {
		m.k.hub.Gone(m.spec.Name, errors.New("has ended"))
		status := m.title() + " ended"
		if m.awaited() {
			status = m.title() + " did not come"
		}
		if why != nil {
			status += ": " + why.Error()
		}
		m.tell(Exited, status)
	} else {
		if last := m.tail.last(); last != "" {
			why = fmt.Errorf("%w; it printed: %s", why, last)
		}
		m.tell(Failed, fmt.Sprintf("%s %v", m.title(), why))
		m.k.hub.Gone(m.spec.Name, why)
	}
	close(m.done)
	m.k.died(m.spec.Name)
}

// Stop ends modules: those named first, one after the other in the given order, then all others together. Each is told
// bye over its connection, then gets SIGTERM after 5 s, and SIGKILL after one more second, or at once when ctx ends. It
// returns when none is left; stopping what has ended is no error.
func (k *Kernel) Stop(ctx context.Context, order ...string) error {
	for _, n := range order {
		if k.module(n) == nil {
			return fmt.Errorf("stop module %s: not started", n)
		}
	}
	return k.stopAll(ctx, order)
}

func (k *Kernel) stopAll(ctx context.Context, order []string) error {
	for _, n := range order {
		if m := k.module(n); m != nil {
			m.stop(ctx)
		}
	}
	k.mu.Lock()
	rest := slices.Clone(k.modules)
	k.mu.Unlock()
	var wg sync.WaitGroup
	for _, m := range rest {
		wg.Go(func() { m.stop(ctx) })
	}
	wg.Wait()
	if ctx.Err() != nil && !errors.Is(context.Cause(ctx), context.Canceled) {
		return fmt.Errorf("stop modules: %w", context.Cause(ctx))
	}
	return nil
}

// stop ends one module and returns when it has ended.
func (m *module) stop(ctx context.Context) {
	m.mu.Lock()
	m.stopping = true
	j := m.job
	m.mu.Unlock()
	if j == nil {
		return // being started; whoever does so ends it
	}
	if m.bye("the run ends") {
		if m.ended(ctx, stopGrace) {
			return
		}
	}
	j.term()
	if m.ended(ctx, stopTerm) {
		return
	}
	j.kill()
	<-m.done
}

// over says whether the module has ended.
func (m *module) over() bool {
	select {
	case <-m.done:
		return true
	default:
		return false
	}
}

// ended waits a while for the module's end.
func (m *module) ended(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-m.done:
		return true
	case <-timer.C:
	case <-ctx.Done():
	}
	return false
}
