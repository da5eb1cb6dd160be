package evekernel

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/eve-emulation/eve/dsv"
	"github.com/eve-emulation/eve/evekernel/wire"
	"github.com/eve-emulation/eve/internal/mono"
)

// prepare declares the module's variables and writes its configuration.
func (m *module) prepare(ctx context.Context) error {
	space, name := m.k.store, m.spec.Name
	for _, d := range []dsv.Declaration{
		{Name: m.variable("state"), Kind: dsv.Text, Help: "What the module does: awaited, started, ready, lost, back, exited, failed.", History: true},
		{Name: m.variable("status"), Kind: dsv.Text, Help: "What happened to the module last, in words."},
		{Name: m.variable("pid"), Kind: dsv.Int, Unit: "1", Help: "The module's process; 0 inside the kernel's."},
	} {
		if err := space.Create(ctx, d); err != nil {
			return err
		}
	}
	if m.spec.Config == nil {
		return nil
	}
	n := dsv.Name("config." + name)
	if err := space.Create(ctx, dsv.Declaration{Name: n, Kind: dsv.Text, Help: "The module's configuration, JSON."}); err != nil {
		return err
	}
	_, err := space.Write(ctx, n, dsv.TextValue(string(m.spec.Config)))
	return err
}

func (m *module) variable(leaf string) dsv.Name {
	return dsv.Name("eve.modules." + m.spec.Name + "." + leaf)
}

// title names the module for a sentence.
func (m *module) title() string {
	// A process may join before whoever started it has noted that it runs.
	if j := m.running(); j != nil && j.pid() != 0 {
		return fmt.Sprintf("module %s (pid %d)", m.spec.Name, j.pid())
	}
	return "module " + m.spec.Name
}

// running returns the module's job; nil while it is being started.
func (m *module) running() job {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.job
}

// launch starts what the spec says. It tells so before the module can tell anything, and before it can be seen to end.
func (m *module) launch() error {
	m.k.eventMu.Lock()
	defer m.k.eventMu.Unlock()
	var j job
	var err error
	state, status := Started, " started"
	switch {
	case m.spec.Outside:
		j, state, status = await(m), Awaited, " is awaited"
	case m.spec.Func != nil:
		j = m.k.call(m)
	default:
		if j, err = m.k.spawn(m); err != nil {
			return err
		}
	}
	m.mu.Lock()
	m.job = j
	stopping := m.stopping
	m.mu.Unlock()
	if stopping {
		j.kill() // whoever stops it did not see it run
	}
	m.record(state, m.title()+status)
	return nil
}

// tell makes a state known: to variables, then to the callback.
func (m *module) tell(s State, status string) {
	m.k.eventMu.Lock()
	defer m.k.eventMu.Unlock()
	m.record(s, status)
}

// record does what tell does; eventMu is held.
func (m *module) record(s State, status string) {
	e := ModuleEvent{Name: m.spec.Name, State: s, PID: m.running().pid(), Status: status, At: mono.Now()}
	m.mu.Lock()
	ended := m.event.State == Exited || m.event.State == Failed
	if !ended {
		m.event = e
	}
	m.mu.Unlock()
	if ended {
		return // nothing follows that
	}
	ctx := context.Background() // the Store does not wait for these
	var errs []error
	for _, w := range []struct {
		leaf string
		v    dsv.Value
	}{{"pid", dsv.IntValue(int64(e.PID))}, {"status", dsv.TextValue(status)}, {"state", dsv.TextValue(string(s))}} {
		_, err := m.k.store.Write(ctx, m.variable(w.leaf), w.v)
		errs = append(errs, err)
	}
	if err := errors.Join(errs...); err != nil {
		m.k.logf("%v", err)
	}
	if m.k.cfg.OnModule != nil {
		m.k.cfg.OnModule(e)
	}
}

// connected notes the module's connection.
func (m *module) connected(s *session) {
	m.mu.Lock()
	m.session = s
	stopping := m.stopping
	m.mu.Unlock()
	if stopping {
		m.bye("the run ends")
	}
	if o, ok := m.running().(*outsider); ok {
		o.came()
	}
	m.back()
}

// back tells that a module which was told to be lost has a connection.
func (m *module) back() {
	m.k.eventMu.Lock()
	defer m.k.eventMu.Unlock()
	m.mu.Lock()
	back := m.event.State == Lost && m.session != nil && m.session.connected()
	m.mu.Unlock()
	if back {
		m.record(Back, m.title()+" is back")
	}
}

// lost notes that the connection ended without a bye.
func (m *module) lost(cause error) {
	if o, ok := m.running().(*outsider); ok {
		o.lose(cause)
		return
	}
	if m.ended(context.Background(), 50*time.Millisecond) {
		return // a process that dies takes its connection along: its end is told instead
	}
	m.mu.Lock()
	stopping := m.stopping
	m.mu.Unlock()
	if !stopping {
		m.tell(Lost, fmt.Sprintf("%s lost its connection: %v", m.title(), cause))
		m.back() // it may have come back meanwhile
	}
}

// becameReady notes that the module joined the start barrier.
func (m *module) becameReady() {
	m.mu.Lock()
	was := m.wasReady
	m.wasReady = true
	m.mu.Unlock()
	if !was {
		m.tell(Ready, m.title()+" is ready")
		if !m.spec.Outside { // which may become so again
			close(m.ready)
		}
	}
}

// bye asks the module over its connection to end; false when it has none.
func (m *module) bye(why string) bool {
	m.mu.Lock()
	s := m.session
	m.mu.Unlock()
	if s == nil {
		return false
	}
	s.mu.Lock()
	conn := s.conn
	s.mu.Unlock()
	return conn != nil && conn.Send(&wire.Frame{Bye: &wire.Bye{Msg: why}}) == nil
}
