package modules

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strconv"
	"sync"
	"syscall"
	"time"

	"github.com/eve-emulation/eve/dmm"
	"github.com/eve-emulation/eve/evekernel/wire"
)

// A Link says how a module reaches its kernel.
type Link struct {
	Name  string // the module's name in the run
	URL   string // ws://HOST:PORT/eve
	Token string
	Boot  string // this host's boot id, as the clock knows it; empty to ask the host
	// Address is the host under which other participants reach what the module listens on: a name or an IP address, without
	// port; empty for what stays on this host.
	Address string
	// NoLinks makes the events of channels go through the kernel, instead of directly to and from other modules.
	NoLinks bool
	// GiveUp is how long to try to reach the kernel, at first and after a loss; 0 for GiveUpAfter.
	GiveUp time.Duration
	Coding wire.Coding
	// Manipulators are those that the program has beside Eve's own.
	Manipulators dmm.Registry
	// Controllers are the kinds of controllers that the program has beside Eve's own: Registry.Controllers.
	Controllers map[string]any
	// Dial makes the connection below; nil for TCP. The kernel hands it to modules inside its own process.
	Dial func(ctx context.Context) (net.Conn, error)
}

// errKernelGone is why a module ends whose kernel's end of the inherited pipe was closed.
var errKernelGone = errors.New("the kernel is gone")

// Main is the body of `eve module`: it runs one module of the given kind in this process until its work is done, the
// kernel says so, the kernel is gone, or ctx ends. getenv gives what the kernel put into the environment: EVE_KERNEL,
// EVE_TOKEN, EVE_PIPE; and of a module that was started by hand EVE_ADDRESS, its Link's Address.
func Main(ctx context.Context, r *Registry, kind, name string, getenv func(string) string) error {
	spec, err := r.Lookup(kind)
	if err != nil {
		return err
	}
	url := getenv("EVE_KERNEL")
	if url == "" {
		return fmt.Errorf("module %s: EVE_KERNEL is not set: a kernel starts modules", name)
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	if s := getenv("EVE_PIPE"); s != "" {
		release, err := watchPipe(s, func() { cancel(errKernelGone) })
		if err != nil {
			return fmt.Errorf("module %s: %w", name, err)
		}
		defer release()
	}
	link := Link{Name: name, URL: url, Token: getenv("EVE_TOKEN"), Address: getenv("EVE_ADDRESS"), Manipulators: r.Manipulators(), Controllers: r.Controllers()}
	if err := Run(ctx, spec.New(), link); err != nil {
		return err
	}
	if cause := context.Cause(ctx); errors.Is(cause, errKernelGone) {
		return fmt.Errorf("module %s: %w", name, cause)
	}
	return nil
}

// watchPipe calls gone when the inherited descriptor reaches its end. release stops watching, and waits.
func watchPipe(number string, gone func()) (release func(), err error) {
	fd, err := strconv.ParseUint(number, 10, 16)
	if err != nil {
		return nil, fmt.Errorf("EVE_PIPE %.20q: not a descriptor", number)
	}
	// Only a descriptor that does not block can be closed while it is read.
	if err := syscall.SetNonblock(int(fd), true); err != nil {
		return nil, fmt.Errorf("EVE_PIPE %d: %w", fd, err)
	}
	f := os.NewFile(uintptr(fd), "kernel")
	if f == nil {
		return nil, fmt.Errorf("EVE_PIPE %d: not open", fd)
	}
	st, err := f.Stat()
	if err != nil || st.Mode()&os.ModeNamedPipe == 0 {
		return nil, fmt.Errorf("EVE_PIPE %d: not a pipe", fd)
	}
	var wg sync.WaitGroup
	wg.Go(func() {
		if _, err := io.Copy(io.Discard, f); err == nil {
			gone()
		}
	})
	return func() {
		_ = f.Close()
		wg.Wait()
	}, nil
}

// Run runs m over link until it returns, the kernel says bye, or ctx ends; synchronises what it measured; and leaves.
// It returns m's error, or why the kernel could not be reached.
func Run(ctx context.Context, m Module, link Link) error {
	env := newEnv(link)
	if err := env.run(ctx, m); err != nil {
		return fmt.Errorf("module %s: %w", link.Name, err)
	}
	return nil
}
