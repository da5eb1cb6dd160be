package modules_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/eve-emulation/eve/evekernel"
	"github.com/eve-emulation/eve/evekernel/wire"
	"github.com/eve-emulation/eve/modules"
)

// patience bounds the wait for anything that comes at once on a machine that is not busy.
const patience = 30 * time.Second

// recorder keeps what a kernel tells.
type recorder struct {
	mu     sync.Mutex
	lines  []string
	events []evekernel.ModuleEvent
	more   chan struct{}
}

func newRecorder() *recorder { return &recorder{more: make(chan struct{}, 1)} }

func (r *recorder) line(l evekernel.Line) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.lines = append(r.lines, l.Module+": "+l.Text)
}

func (r *recorder) event(e evekernel.ModuleEvent) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.events = append(r.events, e)
	select {
	case r.more <- struct{}{}:
	default:
	}
}

func (r *recorder) log() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return strings.Join(r.lines, "\n")
}

// await waits for a module's state.
func (r *recorder) await(t *testing.T, name string, s evekernel.State) evekernel.ModuleEvent {
	t.Helper()
	late := time.After(patience)
	for {
		r.mu.Lock()
		for _, e := range r.events {
			if e.Name == name && e.State == s {
				r.mu.Unlock()
				return e
			}
		}
		r.mu.Unlock()
		select {
		case <-r.more:
		case <-late:
			t.Fatalf("module %s did not become %s; log:\n%s", name, s, r.log())
		}
	}
}

// open starts a kernel that ends with the test.
func open(t *testing.T, cfg evekernel.Config) (*evekernel.Kernel, *recorder) {
	t.Helper()
	r := newRecorder()
	cfg.Log, cfg.OnModule = r.line, r.event
	k, err := evekernel.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	if err := k.Listen(); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- k.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("run kernel: %v", err)
		}
		if err := k.Close(); err != nil {
			t.Errorf("close kernel: %v", err)
		}
	})
	return k, r
}

// connect runs a proxy that ends with the test.
func connect(t *testing.T, link modules.Link) *modules.Proxy {
	t.Helper()
	p := modules.NewProxy(link, nil)
	done := make(chan error, 1)
	ctx, cancel := context.WithCancel(context.Background())
	go func() { done <- p.Run(ctx) }()
	t.Cleanup(func() {
		if err := p.Close(nil); err != nil {
			t.Logf("close proxy: %v", err) // a connection that was lost at the same time
		}
		cancel()
		if err := <-done; err != nil {
			t.Errorf("run proxy: %v", err)
		}
	})
	return p
}

// linkTo is a guest's link.
func linkTo(k *evekernel.Kernel, c wire.Coding) modules.Link {
	return modules.Link{URL: k.URL(), Token: k.Token(), Coding: c}
}

// codings are those under which a contract is held: both, or under the race detector, which is slow, the one that is used.
func codings() []wire.Coding {
	if testing.Short() {
		return []wire.Coding{wire.CBOR}
	}
	return []wire.Coding{wire.CBOR, wire.JSON}
}

// inside makes a function for a ModuleSpec of a module.
func inside(m modules.Func) func(context.Context, evekernel.Reach) error {
	return func(ctx context.Context, r evekernel.Reach) error {
		return modules.Run(ctx, m, modules.Link{Name: r.Name, URL: r.URL, Token: r.Token, Dial: r.Dial})
	}
}

// A relay passes bytes between dialers and a kernel until it is told to cut them all off.
type relay struct {
	mu    sync.Mutex
	to    string // empty while nobody is reached
	conns map[net.Conn]bool
	cuts  int
	work  sync.WaitGroup
}

func newRelay(t *testing.T, to string) *relay {
	r := &relay{to: to, conns: map[net.Conn]bool{}}
	t.Cleanup(func() {
		r.cut()
		r.work.Wait()
	})
	return r
}

func (r *relay) dial(ctx context.Context) (net.Conn, error) {
	var d net.Dialer
	r.mu.Lock()
	to := r.to
	r.mu.Unlock()
	if to == "" {
		return nil, errors.New("nobody is there")
	}
	far, err := d.DialContext(ctx, "tcp", to)
	if err != nil {
		return nil, err
	}
	near, mid := net.Pipe()
	r.mu.Lock()
	r.conns[far], r.conns[mid] = true, true
	r.mu.Unlock()
	pass := func(to, from net.Conn) {
		_, _ = io.Copy(to, from)
		_ = to.Close()
		_ = from.Close()
	}
	r.work.Go(func() { pass(far, mid) })
	r.work.Go(func() { pass(mid, far) })
	return near, nil
}

// cut ends all connections, in the middle of whatever they carry.
func (r *relay) cut() {
	r.mu.Lock()
	defer r.mu.Unlock()
	for c := range r.conns {
		_ = c.Close()
	}
	clear(r.conns)
	r.cuts++
}

// stop cuts everybody off until resume.
func (r *relay) stop() {
	r.mu.Lock()
	r.to = ""
	r.mu.Unlock()
	r.cut()
}

func (r *relay) resume(to string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.to = to
}

func ExampleNewRegistry() {
	_, err := modules.NewRegistry(modules.Spec{Name: "probe"})
	fmt.Println(err)
	// Output: register module probe: no New
}
