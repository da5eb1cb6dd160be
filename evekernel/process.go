package evekernel

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"runtime"
	"sync"
	"syscall"

	"github.com/eve-emulation/eve/internal/child"
)

// A spawn is a process to be started by the kernel's one thread for that.
type spawn struct {
	cmd  *exec.Cmd
	err  error
	done chan struct{}
}

// spawner starts processes from one thread that lives as long as the kernel: the signal that a child gets at its
// parent's death is sent when the thread ends that started it.
func (k *Kernel) spawner() {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	for s := range k.spawns {
		s.err = s.cmd.Start()
		close(s.done)
	}
}

// A process is a module that is a child process, in a process group of its own.
type process struct {
	cmd  *exec.Cmd
	life *os.File // the end of a pipe which the child sees closed when the kernel is gone

	mu     sync.Mutex // guards reaped; held while a signal is sent
	reaped bool       // its number may be another's from now on
}

func (k *Kernel) spawn(m *module) (job, error) {
	far, life, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	defer func() { _ = far.Close() }()
	out, in, err := os.Pipe()
	if err != nil {
		_ = life.Close()
		return nil, err
	}
	defer func() { _ = in.Close() }()
	cmd := exec.Command(m.spec.Argv[0], m.spec.Argv[1:]...)
	cmd.Dir = m.spec.Dir
	cmd.Stdout, cmd.Stderr = in, in
	cmd.ExtraFiles = []*os.File{far}
	cmd.Env = append(append([]string{}, m.spec.Env...),
		"EVE_KERNEL="+k.URL(), "EVE_TOKEN="+k.cfg.Token, "EVE_MODULE="+m.spec.Name, "EVE_KIND="+m.spec.Kind,
		"EVE_RUN="+k.cfg.Run, "EVE_BOOT="+k.boot, "EVE_PIPE=3")
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	s := &spawn{cmd: cmd, done: make(chan struct{})}
	k.spawns <- s
	<-s.done
	if s.err != nil {
		_ = life.Close()
		_ = out.Close()
		return nil, s.err
	}
	m.tail.read(out, k.hide, func(line string) { k.log(m.spec.Name, line) })
	return &process{cmd: cmd, life: life}, nil
}

func (p *process) pid() int { return p.cmd.Process.Pid }

func (p *process) wait() error {
	child.Exited(p.pid())
	err := p.reap()
	_ = p.life.Close()
	if ee, ok := errors.AsType[*exec.ExitError](err); ok {
		ws, _ := ee.Sys().(syscall.WaitStatus)
		if ws.Signaled() {
			return fmt.Errorf("was killed by signal %d (%v)", ws.Signal(), ws.Signal())
		}
		return fmt.Errorf("exited with status %d", ee.ExitCode())
	}
	return err
}

func (p *process) term() { p.signal(syscall.SIGTERM) }

func (p *process) kill() { p.signal(syscall.SIGKILL) }

// reap kills what a process that has ended started and left behind, while the number of its group is still its own.
func (p *process) reap() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	_ = syscall.Kill(-p.pid(), syscall.SIGKILL)
	p.reaped = true
	return p.cmd.Wait()
}

// signal reaches the whole group, unless its first process has ended.
func (p *process) signal(s syscall.Signal) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.reaped {
		_ = syscall.Kill(-p.pid(), s)
	}
}

// A function is a module inside the kernel's process.
type function struct {
	cancel context.CancelFunc
	runs   sync.WaitGroup
	err    error // set before runs is done
}

// call begins to run a function; the connection that it dials is a real one, over loopback.
func (k *Kernel) call(m *module) *function {
	ctx, cancel := context.WithCancel(context.Background()) // ends by term
	f := &function{cancel: cancel}
	addr := k.Addr()
	r := Reach{Name: m.spec.Name, URL: k.URL(), Token: k.cfg.Token, Dial: func(ctx context.Context) (net.Conn, error) {
		var d net.Dialer
		return d.DialContext(ctx, addr.Network(), addr.String())
	}}
	f.runs.Go(func() { f.err = m.spec.Func(ctx, r) }) // wait waits for it
	return f
}

func (f *function) pid() int { return 0 }

func (f *function) wait() error {
	f.runs.Wait()
	f.cancel()
	if errors.Is(f.err, context.Canceled) {
		return nil
	}
	return f.err
}

func (f *function) term() { f.cancel() }

func (f *function) kill() { f.cancel() }
