package engine

import "sync/atomic"

// A WorkKind is what work asks for. Engines place the kinds differently.
type WorkKind uint8

// The kinds of work.
const (
	CPU  WorkKind = iota // computing
	Disk                 // waiting for a device
)

// A Thread is one that does work. It is used by one fn of Loop.Work at a time, which runs on one OS thread from its begin to
// its end. What is kept in Local is found again by the next fn on the same Thread.
type Thread struct {
	// Local belongs to whoever gives work to the engine; an engine does not look at it.
	Local any

	exit   []func()
	ending *atomic.Bool // nil of an engine whose end awaits the work
}

// Ending reports that the engine waits for the work that is left and for nothing else: its grace is over, and nobody gets an answer
// any more, so that fn may as well leave it. Work calls it.
func (t *Thread) Ending() bool { return t.ending != nil && t.ending.Load() }

// OnExit has fn called when the engine is done with the thread, after the last work on it, latest added first. It is
// called from within work only; fn runs outside the handler's lock.
func (t *Thread) OnExit(fn func()) { t.exit = append(t.exit, fn) }

// end calls what was left by OnExit.
func (t *Thread) end() {
	for i := len(t.exit) - 1; i >= 0; i-- {
		t.exit[i]()
	}
	t.exit, t.Local = nil, nil
}

// Work of a reactor is done on the loop, by the handler itself, but for disk work where there are helpers.
func (r *reactor) Work(_ Ref, kind WorkKind, fn func(*Thread)) bool {
	return kind == Disk && r.e.helpers != nil && r.e.helpers.do(fn)
}
