package target

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"runtime"
	"sync"
	"syscall"
	"time"

	"github.com/eve-emulation/eve/fase/usage"
	"github.com/eve-emulation/eve/internal/child"
)

// The keeper is a process between the module and the server that it starts. It is the parent of all that the server starts
// and loses, it is in a session of its own, and it ends them all when it is told to, when the server ends, or when it hears
// no more from the module, whatever became of that.

// The keeper's descriptors beside the standard ones.
const (
	orders = 3 // a byte: end the server in order; its end: end all now
	news   = 4 // lines of JSON: tidings
)

// maxDescriptors bounds how many descriptors a server may have: some make tables of as many.
const maxDescriptors = 65536

// A tiding is what a keeper tells.
type tiding struct {
	PID   int    `json:"pid,omitempty"`   // the server has started
	Error string `json:"error,omitempty"` // it could not be started
	Ended string `json:"ended,omitempty"` // how it ended: "exited with status 1"
}

// Keep is the body of `eve keep PROGRAM ARGUMENTS…`: it is the keeper of one server until nothing of it is left. It is
// started by the module alone, with descriptors 3 and 4.
func Keep(argv []string) error {
	runtime.LockOSThread() // the server gets a signal when the thread ends that started it
	if len(argv) == 0 {
		return errors.New("keep: want a program")
	}
	// Only a descriptor that does not block can be closed while it is read.
	if err := syscall.SetNonblock(orders, true); err != nil {
		return errors.New("keep: is started by a target's module alone")
	}
	syscall.CloseOnExec(orders)
	syscall.CloseOnExec(news)
	in, out := os.NewFile(orders, "orders"), os.NewFile(news, "news")
	tell := json.NewEncoder(out)
	k, err := keep(argv)
	if err != nil {
		return errors.Join(err, tell.Encode(tiding{Error: err.Error()}))
	}
	_ = tell.Encode(tiding{PID: k.pid}) // whoever does not hear it is gone, and orders has ended
	stop := make(chan os.Signal, 1)
	signal.Notify(stop, syscall.SIGTERM, syscall.SIGINT, syscall.SIGHUP)
	var wg sync.WaitGroup
	wg.Go(func() { k.obey(in) })
	wg.Go(func() {
		if _, ok := <-stop; ok {
			k.signal(syscall.SIGTERM)
		}
	})
	_ = tell.Encode(tiding{Ended: k.wait()})
	_ = in.Close()
	signal.Stop(stop)
	close(stop)
	k.clear()
	wg.Wait()
	return nil
}

// A keeper is the one that Keep runs.
type keeper struct {
	pid int

	mu     sync.Mutex // guards reaped
	reaped bool       // pid may be another's from now on
}

func keep(argv []string) (*keeper, error) {
	if err := child.Subreaper(); err != nil {
		return nil, err
	}
	path, err := exec.LookPath(argv[0])
	if err != nil {
		return nil, err
	}
	if err := raise(); err != nil {
		return nil, err
	}
	null, err := os.Open(os.DevNull)
	if err != nil {
		return nil, err
	}
	defer null.Close()
	pid, err := syscall.ForkExec(path, argv, &syscall.ProcAttr{
		Env: os.Environ(), Files: []uintptr{null.Fd(), 1, 2},
		Sys: &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL},
	})
	if err != nil {
		return nil, fmt.Errorf("start %s: %w", path, err)
	}
	return &keeper{pid: pid}, nil
}

// raise lets the server have as many descriptors as it may.
func raise() error {
	var r syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &r); err != nil {
		return err
	}
	r.Cur = uint64(descriptorLimit(r))
	return syscall.Setrlimit(syscall.RLIMIT_NOFILE, &r) // the runtime leaves a limit alone that was set
}

// descriptorLimit is how many descriptors a server may have.
func descriptorLimit(r syscall.Rlimit) int { return int(min(r.Max, maxDescriptors)) }

// obey takes orders until they end.
func (k *keeper) obey(in io.Reader) {
	b := make([]byte, 1)
	for {
		if _, err := in.Read(b); err != nil {
			k.signal(syscall.SIGKILL)
			return
		}
		k.signal(syscall.SIGTERM)
	}
}

// signal sends a signal to the server's first process, unless it has ended.
func (k *keeper) signal(s syscall.Signal) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if !k.reaped {
		_ = syscall.Kill(k.pid, s)
	}
}

// wait reaps children until the server's first process is among them, and tells how it ended.
func (k *keeper) wait() string {
	for child.Any() {
		k.mu.Lock()
		var ws syscall.WaitStatus
		pid, err := syscall.Wait4(-1, &ws, syscall.WNOHANG, nil)
		k.reaped = k.reaped || pid == k.pid
		k.mu.Unlock()
		switch {
		case err != nil || pid != k.pid:
		case ws.Signaled():
			return fmt.Sprintf("was killed by signal %d (%v)", ws.Signal(), ws.Signal())
		default:
			return fmt.Sprintf("exited with status %d", ws.ExitStatus())
		}
	}
	return "is gone"
}

// clear kills and reaps what the server left behind, until nothing is left.
func (k *keeper) clear() {
	for {
		for _, pid := range usage.Below(os.Getpid()) {
			_ = syscall.Kill(pid, syscall.SIGKILL)
		}
		for {
			pid, err := syscall.Wait4(-1, nil, syscall.WNOHANG, nil)
			if errors.Is(err, syscall.ECHILD) {
				return
			}
			if pid <= 0 {
				break
			}
		}
		time.Sleep(2 * time.Millisecond)
	}
}
