// Package program runs programs that control a run. Each is a child process: it is told ticks on its standard input and
// answers with acts on its standard output, one JSON frame of docs/protocol.md a line. What it prints on its standard error
// is logged.
//
// Nothing that a program does holds its caller up: [Program.Tick] does not wait for a program that reads nothing, lines are
// bounded, and one that floods is ended. docs/writing-controllers.md shows how to write one.
package program

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"sync"
	"syscall"
	"time"

	"github.com/eve-emulation/eve/evekernel/wire"
	"github.com/eve-emulation/eve/internal/child"
)

// What a program may do.
const (
	MaxLine   = 64 << 10 // bytes of a line; a longer one ends the program
	MaxLogged = 10_000   // lines of standard error that are logged
	MaxFlood  = 1000     // lines in a row that answer nothing; one more ends the program
	// MaxAhead is how many ticks may be unanswered: a program that is slower is told no more until it answers one.
	MaxAhead = 8

	writeTimeout = 100 * time.Millisecond // a tick fits a pipe that somebody reads
	closeGrace   = 2 * time.Second        // from bye to SIGTERM
	closeTerm    = time.Second            // from SIGTERM to SIGKILL
)

// Config says what a program is.
type Config struct {
	Name string   // of the controller: the program's EVE_CONTROLLER
	Run  string   // the run's name: its EVE_RUN
	Seed uint64   // of the run, for who draws: its EVE_SEED
	Argv []string // program and arguments; no shell
	Dir  string   // the working directory; empty for this process's
	// Log takes the lines that it prints on standard error, from a goroutine of the Program's; nil drops them.
	Log func(line string)
}

// An Event is something that a program did.
type Event struct {
	Act *wire.Act // it answered
	// Err, where it did not: an error that wraps ErrNonsense for a line that answers nothing, ErrEnded once it has ended.
	Err error
}

// Errors of a program.
var (
	ErrNonsense = errors.New("no answer")
	ErrEnded    = errors.New("ended")
)

// A Program is one such process. Its methods belong to one goroutine, which also receives from Events.
type Program struct {
	cfg    Config
	codec  *wire.Codec
	cmd    *exec.Cmd
	in     *os.File    // the program's standard input
	outs   [2]*os.File // its standard output and error
	tail   tail
	events chan Event
	over   chan struct{} // closed by Close: nobody receives events any more
	done   chan struct{} // closed when the process is reaped
	work   sync.WaitGroup
	status error // how it ended; set before done is closed

	mu       sync.Mutex // guards what follows
	open     []uint64   // the ticks that are unanswered, rising
	answered uint64     // the latest tick that was answered
	why      error      // why Eve ended it
	reaped   bool       // its number may be another's from now on
}

// Start starts a program. The caller receives from Events and calls Close.
func Start(cfg Config) (*Program, error) {
	p := &Program{cfg: cfg, events: make(chan Event, 16), over: make(chan struct{}), done: make(chan struct{})}
	if err := p.start(); err != nil {
		return nil, fmt.Errorf("start controller %s: %w", cfg.Name, err)
	}
	return p, nil
}

func (p *Program) start() (err error) {
	if len(p.cfg.Argv) == 0 {
		return errors.New("no program")
	}
	if p.codec, err = wire.NewCodec(wire.JSON); err != nil {
		return err
	}
	var ours, theirs []*os.File
	shut := func(files []*os.File) {
		for _, f := range files {
			_ = f.Close()
		}
	}
	for _, out := range []bool{false, true, true} {
		r, w, err := os.Pipe()
		if err != nil {
			shut(append(ours, theirs...))
			return err
		}
		if out {
			ours, theirs = append(ours, r), append(theirs, w)
		} else {
			ours, theirs = append(ours, w), append(theirs, r)
		}
	}
	defer func() { shut(theirs) }()
	p.in, p.outs = ours[0], [2]*os.File{ours[1], ours[2]}
	p.cmd = exec.Command(p.cfg.Argv[0], p.cfg.Argv[1:]...)
	p.cmd.Dir, p.cmd.Env = p.cfg.Dir, p.environment()
	p.cmd.Stdin, p.cmd.Stdout, p.cmd.Stderr = theirs[0], theirs[1], theirs[2]
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	began := make(chan error)
	p.work.Go(func() { p.live(began) })
	if err := <-began; err != nil {
		p.work.Wait()
		shut(ours)
		return err
	}
	var logs sync.WaitGroup
	logs.Go(func() { p.tail.read(p.outs[1], p.cfg.Log) })
	p.work.Go(func() { p.read(&logs) })
	return nil
}

// environment is what a program is told: no more of Eve's own than it needs, and no token.
func (p *Program) environment() []string {
	env := []string{
		"EVE_CONTROLLER=" + p.cfg.Name, "EVE_RUN=" + p.cfg.Run, fmt.Sprintf("EVE_SEED=%d", p.cfg.Seed),
		"PYTHONDONTWRITEBYTECODE=1", // a run leaves nothing beside a program
	}
	for _, name := range []string{"PATH", "HOME", "TMPDIR", "LANG", "TZ"} {
		if v, ok := os.LookupEnv(name); ok {
			env = append(env, name+"="+v)
		}
	}
	return env
}

// live is the life of the process, on one thread: the signal that a child gets at its parent's death is sent when the
// thread ends that started it.
func (p *Program) live(began chan<- error) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	err := p.cmd.Start()
	began <- err
	if err != nil {
		return
	}
	child.Exited(p.cmd.Process.Pid)
	p.mu.Lock()
	_ = syscall.Kill(-p.cmd.Process.Pid, syscall.SIGKILL) // what it started, while the number of its group is its own
	p.reaped = true
	err = p.cmd.Wait()
	p.mu.Unlock()
	p.status = ended(err)
	close(p.done)
	for _, f := range p.outs { // what escaped its group may hold them open
		_ = f.SetReadDeadline(time.Now().Add(closeTerm))
	}
}

// ended says how a process ended.
func ended(err error) error {
	ee, ok := errors.AsType[*exec.ExitError](err)
	if !ok {
		if err != nil {
			return err
		}
		return errors.New("exited with status 0")
	}
	if ws, _ := ee.Sys().(syscall.WaitStatus); ws.Signaled() {
		return fmt.Errorf("was killed by signal %d (%v)", ws.Signal(), ws.Signal())
	}
	return fmt.Errorf("exited with status %d", ee.ExitCode())
}

// PID is the number of its process.
func (p *Program) PID() int { return p.cmd.Process.Pid }

// Events are what the program does, in order. The last is an ErrEnded, then the channel is closed.
func (p *Program) Events() <-chan Event { return p.events }

// Busy reports whether so many ticks are unanswered that no other should be told.
func (p *Program) Busy() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.open) >= MaxAhead
}

// Tick tells the program a tick; N rises from tick to tick. It does not wait: a program that reads nothing although its pipe
// is full is ended. That a program has ended is told by its Events alone.
func (p *Program) Tick(t *wire.Tick) error {
	b, err := p.codec.Encode(&wire.Frame{Tick: t})
	if err != nil {
		return fmt.Errorf("controller %s: %w", p.cfg.Name, err)
	}
	p.mu.Lock()
	p.open = append(p.open, uint64(t.N))
	p.mu.Unlock()
	_ = p.in.SetWriteDeadline(time.Now().Add(writeTimeout))
	if _, err := p.in.Write(append(b, '\n')); errors.Is(err, os.ErrDeadlineExceeded) {
		p.end(errors.New("reads nothing: it was ended"))
	}
	return nil
}

// End ends the program for a reason, which its last event will tell.
func (p *Program) End(why string) { p.end(errors.New(why)) }

func (p *Program) end(why error) {
	p.mu.Lock()
	if p.why == nil {
		p.why = why
	}
	p.mu.Unlock()
	p.signal(syscall.SIGKILL)
}

// signal reaches the whole group, unless its first process has ended.
func (p *Program) signal(s syscall.Signal) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.reaped {
		_ = syscall.Kill(-p.cmd.Process.Pid, s)
	}
}

// Close ends the program: it is told bye, and its input ends; then it gets SIGTERM after 2 s, and SIGKILL after one more. It
// returns when nothing is left of it; closing again is no error.
func (p *Program) Close() error {
	select {
	case <-p.over:
		return nil
	default:
	}
	close(p.over)
	if b, err := p.codec.Encode(&wire.Frame{Bye: &wire.Bye{Msg: "the run ends"}}); err == nil {
		_ = p.in.SetWriteDeadline(time.Now().Add(writeTimeout))
		_, _ = p.in.Write(append(b, '\n'))
	}
	_ = p.in.Close()
	for _, step := range []struct {
		grace time.Duration
		then  syscall.Signal
	}{{closeGrace, syscall.SIGTERM}, {closeTerm, syscall.SIGKILL}} {
		if p.within(step.grace) {
			break
		}
		p.signal(step.then)
	}
	p.work.Wait()
	return nil
}

func (p *Program) within(d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-p.done:
		return true
	case <-timer.C:
		return false
	}
}

// clip is a line for a message.
func clip(b []byte) string {
	const most = 80
	b = bytes.ToValidUTF8(bytes.TrimSpace(b), []byte("?"))
	if len(b) > most {
		return fmt.Sprintf("%q…", bytes.ToValidUTF8(b[:most], nil))
	}
	return fmt.Sprintf("%q", b)
}
