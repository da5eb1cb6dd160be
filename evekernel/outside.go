package evekernel

import (
	"fmt"
	"sync"
	"time"

	"github.com/eve-emulation/eve/evekernel/egs"
)

// An outsider is a module that somebody else starts, maybe on another host. The kernel knows it by its connection alone:
// it runs while it has one, and ends when it says bye, or was without one for too long.
type outsider struct {
	m    *module
	over chan struct{}

	mu   sync.Mutex // guards what follows
	done bool       // over is closed
	err  error
	lost time.Time // when the latest connection was lost
}

// await begins to wait for a module that somebody else starts.
func await(m *module) *outsider {
	return &outsider{m: m, over: make(chan struct{})}
}

func (o *outsider) pid() int { return 0 }

func (o *outsider) wait() error {
	<-o.over
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.err
}

// term ends it for this kernel: whether its process does, nobody here can know.
func (o *outsider) term() {
	o.end(nil)
	o.m.mu.Lock()
	s := o.m.session
	o.m.mu.Unlock()
	if s != nil {
		s.take(nil, nil)
	}
}

func (o *outsider) kill() { o.term() }

func (o *outsider) end(err error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if !o.done {
		o.done, o.err = true, err
		close(o.over)
	}
}

// came notes that it connected.
func (o *outsider) came() {
	if o.m.awaited() {
		o.m.tell(Started, o.m.title()+" is here")
	}
}

// went notes that it said bye, with the reason when that was an error. Before the start it may come again.
func (o *outsider) went(why error) {
	if o.awaitAgain("left", why) {
		return
	}
	o.end(why)
}

// lose notes that its connection was lost, and waits until it is back or was away for too long.
func (o *outsider) lose(cause error) {
	if o.awaitAgain("lost its connection", cause) {
		return
	}
	o.m.mu.Lock()
	stopping := o.m.stopping
	o.m.mu.Unlock()
	if stopping {
		o.end(nil)
		return
	}
	at := time.Now()
	o.mu.Lock()
	o.lost = at
	o.mu.Unlock()
	o.m.tell(Lost, fmt.Sprintf("%s lost its connection: %v", o.m.title(), cause))
	o.m.back() // it may have come back meanwhile
	absence := o.m.k.cfg.Absence
	timer := time.NewTimer(absence)
	defer timer.Stop()
	select {
	case <-o.over:
		return
	case <-timer.C:
	}
	o.mu.Lock()
	last := o.lost.Equal(at)
	o.mu.Unlock()
	if last && !o.m.here() {
		o.end(fmt.Errorf("lost its connection, and did not come back within %v", absence))
	}
}

// awaitAgain tells, before the start of the run, that the module is awaited again; false after it, or when it was told to
// end.
func (o *outsider) awaitAgain(what string, why error) bool {
	m := o.m
	_, started := m.k.hub.Started(egs.StartBarrier)
	m.mu.Lock()
	stopping := m.stopping
	m.wasReady = m.wasReady && (started || stopping)
	m.mu.Unlock()
	if started || stopping {
		return false
	}
	if why != nil {
		what += ": " + why.Error()
	}
	m.tell(Awaited, fmt.Sprintf("%s %s; it is awaited again", m.title(), what))
	if m.here() { // meanwhile
		o.came()
	}
	return true
}

// awaited tells whether somebody else has to start the module.
func (m *module) awaited() bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.event.State == Awaited
}

// here tells whether the module has a connection.
func (m *module) here() bool {
	m.mu.Lock()
	s := m.session
	m.mu.Unlock()
	return s != nil && s.connected()
}

// left takes the bye of a module's participant, with its reason when that is an error. The end of a process tells more,
// so of what the kernel started only that counts.
func (m *module) left(why error) {
	if o, ok := m.running().(*outsider); ok {
		o.went(why)
	}
}
