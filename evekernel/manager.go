package evekernel

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/eve-emulation/eve/dsv"
)

const (
	readyTimeout = 10 * time.Second // unless a ModuleSpec says otherwise
	stopGrace    = 5 * time.Second  // from bye to SIGTERM
	stopTerm     = time.Second      // from SIGTERM to SIGKILL
)

// A ModuleSpec says what a module is: Argv for a child process, Func for a module inside this process, or Outside for one
// that somebody else starts.
type ModuleSpec struct {
	Name string // in the run: [a-z][a-z0-9_]*
	Kind string // told to the process as EVE_KIND

	Argv []string // program and arguments; no shell
	Env  []string // the whole environment, to which the kernel adds what modules need to reach it
	Dir  string   // the working directory; empty for the kernel's

	// Func runs the module; ending because ctx ended is no error.
	Func func(ctx context.Context, r Reach) error

	// Outside says that somebody else starts the module, on whatever host: the kernel waits for the connection that says
	// hello under its name, at first and, until all modules have started together, again. Then it may be without one for
	// Config.Absence. It ends with a bye.
	Outside bool

	Config []byte // JSON, kept in the variable config.NAME; nil for none

	// ReadyTimeout is the time from start to ready: 0 for 10 s, or for none of a module outside; negative for a program that
	// does not join.
	ReadyTimeout time.Duration
}

// A Reach says how a module inside this process reaches the kernel.
type Reach struct {
	Name, URL, Token string
	Dial             func(ctx context.Context) (net.Conn, error)
}

// A State is what became of a module.
type State string

// The states of a module.
const (
	Awaited State = "awaited" // somebody else has to start it
	Started State = "started" // it runs
	Ready   State = "ready"   // it joined the start barrier
	Lost    State = "lost"    // its connection was lost, or was silent; it may come back
	Back    State = "back"    // and did
	Exited  State = "exited"  // it ended in order
	Failed  State = "failed"  // it ended otherwise, or was ended because it never became ready
)

// A ModuleEvent tells that a module's state changed.
type ModuleEvent struct {
	Name   string
	State  State
	PID    int    // 0 inside this process
	Status string // a sentence: what happened, and for Failed why, with the last lines that it printed
	At     int64  // ns of CLOCK_MONOTONIC
}

// A module is one module while it lives and after.
type module struct {
	k    *Kernel
	spec ModuleSpec
	tail *tail

	ready chan struct{} // closed when it joined the start barrier
	done  chan struct{} // closed when it has ended and its end was told

	mu       sync.Mutex // guards what follows
	job      job        // nil until it runs, then always the same
	event    ModuleEvent
	session  *session
	wasReady bool
	stopping bool
	why      error // why the kernel ended it
}

// A job is a running process or function.
type job interface {
	pid() int
	wait() error // returns once it has ended, with all that it started; called once
	term()       // asks it to end
	kill()       // ends it and all that it started
}

// Start starts a module and returns once it runs, or is awaited; Ready events tell when it is ready. It waits until Run
// runs, but for a module outside: that may be started before, so that it finds what it needs. Errors of the module itself
// come as events, those of starting it are returned.
func (k *Kernel) Start(ctx context.Context, spec ModuleSpec) error {
	if err := k.start(ctx, spec); err != nil {
		return fmt.Errorf("start module %s: %w", spec.Name, err)
	}
	return nil
}

func (k *Kernel) start(ctx context.Context, spec ModuleSpec) error {
	if err := spec.check(); err != nil {
		return err
	}
	begin := k.begin
	if spec.Outside {
		begin = k.beginEarly
	} else {
		select {
		case <-k.running:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
	m := &module{k: k, spec: spec, tail: &tail{}, ready: make(chan struct{}), done: make(chan struct{})}
	k.bury(ctx, m.spec.Name)
	if err := k.add(m); err != nil {
		return err
	}
	if !begin() {
		k.remove(m)
		return dsv.ErrClosed
	}
	defer k.work.Done()
	err := m.prepare(ctx)
	if err == nil {
		k.hub.Back(spec.Name)
		err = m.launch()
	}
	if err != nil {
		k.remove(m)
		return err
	}
	k.work.Go(m.supervise)
	return nil
}

func (s ModuleSpec) check() error {
	n, err := dsv.ParseName(s.Name)
	ways := 0
	for _, way := range []bool{len(s.Argv) > 0, s.Func != nil, s.Outside} {
		if way {
			ways++
		}
	}
	switch {
	case err != nil:
		return err
	case strings.Contains(string(n), "."):
		return fmt.Errorf("a module's name has no dots: %w", dsv.ErrName)
	case ways != 1:
		return errors.New("want a program, a function, or somebody else who starts it: one of them")
	}
	return nil
}

// bury waits, where a module of that name has told its end, until nothing is left of it.
func (k *Kernel) bury(ctx context.Context, name string) {
	o := k.module(name)
	if o == nil {
		return
	}
	o.mu.Lock()
	ended := o.event.State == Exited || o.event.State == Failed
	o.mu.Unlock()
	if !ended {
		return
	}
	select {
	case <-o.done:
	case <-ctx.Done():
	}
}

// add registers m under its name, which no living module has.
func (k *Kernel) add(m *module) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	for i, o := range k.modules {
		if o.spec.Name != m.spec.Name {
			continue
		}
		select {
		case <-o.done:
			k.modules = slices.Delete(k.modules, i, i+1)
		default:
			return errors.New("runs already")
		}
		break
	}
	k.modules = append(k.modules, m)
	return nil
}

func (k *Kernel) remove(m *module) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.modules = slices.DeleteFunc(k.modules, func(o *module) bool { return o == m })
	close(m.done)
}

// module returns the module called name; nil when there is none.
func (k *Kernel) module(name string) *module {
	k.mu.Lock()
	defer k.mu.Unlock()
	for _, m := range k.modules {
		if m.spec.Name == name {
			return m
		}
	}
	return nil
}

// Modules tells the latest event of each module, in the order of their start.
func (k *Kernel) Modules() []ModuleEvent {
	k.mu.Lock()
	ms := slices.Clone(k.modules)
	k.mu.Unlock()
	es := make([]ModuleEvent, 0, len(ms))
	for _, m := range ms {
		m.mu.Lock()
		if m.event.State != "" {
			es = append(es, m.event)
		}
		m.mu.Unlock()
	}
	return es
}
