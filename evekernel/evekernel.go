// Package evekernel is the kernel of a run: it keeps the run's variables, lets modules in, starts and stops them, and
// gives them barriers, groups and channels.
//
//   - A [Kernel] is built by [New], takes its socket by Listen and works while Run runs.
//   - A [ModuleSpec] says what a module is: a program with arguments, or a function inside this process.
//   - A [ModuleEvent] tells what became of one: started, ready, lost, exited, failed.
//
// Modules speak to it as docs/protocol.md says, over one WebSocket each. The traffic that is measured never passes
// through it.
//
//	k, err := evekernel.New(evekernel.Config{})
//	...
//	err = k.Listen()                          // 127.0.0.1, any port
//	g.Go(func() error { return k.Run(ctx) })
//	err = k.Hub().Expect(egs.StartBarrier, "probe")
//	err = k.Start(ctx, evekernel.ModuleSpec{Name: "probe", Kind: "probe", Argv: []string{exe, "module"}})
//	start, err := k.Hub().Await(ctx, egs.StartBarrier)
//	...
//	err = k.Stop(ctx)                         // in order; nothing is left behind
package evekernel

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"log"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/eve-emulation/eve/dmm"
	"github.com/eve-emulation/eve/dsv"
	"github.com/eve-emulation/eve/evekernel/egs"
	"github.com/eve-emulation/eve/evekernel/wire"
	"github.com/eve-emulation/eve/internal/mono"
)

// A Config says what a kernel is to be. The zero Config works: loopback, any port, a fresh token, nothing recorded.
type Config struct {
	Listen      string       // HOST:PORT; empty for 127.0.0.1 and any port
	AllowRemote bool         // Listen may be other than a loopback address
	Hosts       []string     // names, without port, under which others may address this kernel
	Token       string       // what participants must show; empty for 256 fresh random bits
	Run         string       // the run's name
	Recorder    dsv.Recorder // keeps variables on disk; may be nil; the caller closes it after the kernel

	// Restore, where not nil, has what the Recorder kept of a former kernel of this run, or nothing yet: the kernel goes on
	// with those variables and the starts that were announced, at the former address where Listen leaves the port open, and
	// keeps what its own successor needs. Those who come back need the former Token, which is not kept.
	Restore Restorer

	Manipulators dmm.Registry // those that the program has beside Eve's own, for variables of the kernel

	Lead     time.Duration // from the announcement of T0 to T0; 0 for 300 ms
	Grace    time.Duration // until what a participant without connection did not synchronise counts as lost; 0 for 3 s
	MaxConns int           // connections at once; 0 for 2000
	Absence  time.Duration // how long a module that somebody else started may be without connection; 0 for 35 s

	// Log is told what modules print and log, and what the kernel has to say. OnModule is told what becomes of modules.
	// Both are called from one goroutine at a time each, must not block for long, and may be nil.
	Log      func(Line)
	OnModule func(ModuleEvent)
}

// A Line is one line of the kernel's log.
type Line struct {
	Module string // who said it; empty for the kernel
	Text   string // printable; at most 4 KiB
}

// A Kernel is the centre of one run. Its methods may be called from several goroutines at once.
type Kernel struct {
	cfg   Config
	boot  string
	id    string // tells it from other kernels of the run
	store *dsv.Store
	hub   *egs.Hub
	guard wire.Guard

	exchange exchange // of those who are on channels

	manip    manipulations // of variables that the kernel manipulates
	keepsake keepsake      // for the kernel that succeeds this one
	restored bool          // it succeeds another one
	t0       atomic.Int64  // of the start barrier; 0 while not announced

	losses losses // what participants did not synchronise that are gone

	logMu   sync.Mutex // one line at a time
	eventMu sync.Mutex // one event at a time

	running chan struct{} // closed when Run begins
	ran     sync.Once
	work    sync.WaitGroup // connections and modules; grows only while open, and by modules outside before
	spawns  chan *spawn    // to the thread that starts processes

	mu       sync.Mutex // guards what follows
	listener net.Listener
	open     bool // Run runs and did not begin to end
	over     bool // Run has begun to end, or Close was called
	waiting  int  // connections that have not said hello
	conns    map[*wire.Conn]bool
	writer   dsv.WriterID // the latest given
	sessions map[string]*session
	modules  []*module // in the order of their start
}

const (
	defaultLead     = 300 * time.Millisecond
	defaultMaxConns = 2000
	defaultAbsence  = 35 * time.Second // somewhat longer than a module tries to come back
)

// New returns a kernel. Nothing is started and no socket taken.
func New(cfg Config) (*Kernel, error) {
	if cfg.Listen == "" {
		cfg.Listen = "127.0.0.1:0"
	}
	if err := checkListen(cfg.Listen, cfg.AllowRemote); err != nil {
		return nil, err
	}
	if cfg.Token == "" {
		cfg.Token = random(32)
	}
	if cfg.Lead == 0 {
		cfg.Lead = defaultLead
	}
	if cfg.Grace == 0 {
		cfg.Grace = defaultGrace
	}
	if cfg.MaxConns == 0 {
		cfg.MaxConns = defaultMaxConns
	}
	if cfg.Absence == 0 {
		cfg.Absence = defaultAbsence
	}
	boot, err := mono.BootID()
	if err != nil {
		return nil, err
	}
	k := &Kernel{
		cfg: cfg, boot: boot, id: random(8),
		store:    dsv.NewStore(cfg.Recorder),
		running:  make(chan struct{}),
		spawns:   make(chan *spawn),
		sessions: map[string]*session{},
		conns:    map[*wire.Conn]bool{},
	}
	k.hub = egs.NewHub(egs.Config{
		Now: mono.Now, Boot: boot, Lead: cfg.Lead, Announce: k.announced,
		Log: func(line string) { k.logf("%s", line) }, Answer: k.answer,
	})
	k.store.SetClock(k.Now)
	k.manip.init(k)
	if err := k.recall(); err != nil {
		return nil, err
	}
	if err := k.manip.recall(); err != nil {
		return nil, err
	}
	return k, nil
}

// random returns n random bytes in hex.
func random(n int) string {
	b := make([]byte, n)
	_, _ = rand.Read(b) // never fails
	return hex.EncodeToString(b)
}

// checkListen refuses addresses that others could reach, unless that is wanted.
func checkListen(addr string, remote bool) error {
	host, _, err := net.SplitHostPort(addr)
	if err != nil {
		return fmt.Errorf("listen %s: want HOST:PORT: %w", addr, err)
	}
	if ip := net.ParseIP(host); remote || host == "localhost" || ip != nil && ip.IsLoopback() {
		return nil
	}
	return fmt.Errorf("listen %s: others could reach it: listen on 127.0.0.1, or allow remote modules", addr)
}

// Space is the run's variables. It is open until Close.
func (k *Kernel) Space() dsv.Space { return space{k.store, k} }

// Store is the Space, for those who restore it or need what is particular to it.
func (k *Kernel) Store() *dsv.Store { return k.store }

// Hub is the run's barriers, groups and channels.
func (k *Kernel) Hub() *egs.Hub { return k.hub }

// Token is what participants must show.
func (k *Kernel) Token() string { return k.cfg.Token }

// Listen takes the kernel's socket.
func (k *Kernel) Listen() error {
	k.mu.Lock()
	moved, err := k.listen()
	k.mu.Unlock()
	if moved != nil {
		k.logf("the former address is not to be had: %v", moved)
	}
	return err
}

// listen does what Listen does; moved is why the kernel is not where its predecessor was. mu is held.
func (k *Kernel) listen() (moved, err error) {
	switch {
	case k.listener != nil:
		return nil, errors.New("listen: called twice")
	case k.over:
		return nil, fmt.Errorf("listen %s: %w", k.cfg.Listen, dsv.ErrClosed)
	}
	l, moved := k.listenFormerly()
	if l == nil {
		if l, err = net.Listen("tcp", k.cfg.Listen); err != nil {
			return moved, fmt.Errorf("start kernel: %w", err)
		}
	}
	if err := k.listens(l.Addr()); err != nil {
		return moved, errors.Join(err, l.Close())
	}
	k.listener = l
	host, _, _ := net.SplitHostPort(l.Addr().String())
	k.guard = wire.Guard{Token: k.cfg.Token, Hosts: append([]string{host}, k.cfg.Hosts...)}
	return moved, nil
}

// Addr is where the kernel listens; nil before Listen.
func (k *Kernel) Addr() net.Addr {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.listener == nil {
		return nil
	}
	return k.listener.Addr()
}

// URL is where participants connect; empty before Listen.
func (k *Kernel) URL() string {
	a := k.Addr()
	if a == nil {
		return ""
	}
	return "ws://" + a.String() + wire.Path
}

// Run serves until ctx ends; then it stops the modules, ends all connections, and waits for everything it started. It
// is called once, after Listen. Ending because ctx ended is no error.
func (k *Kernel) Run(ctx context.Context) error {
	k.mu.Lock()
	l, over := k.listener, k.over
	k.open = l != nil && !over
	k.mu.Unlock()
	switch {
	case over:
		return fmt.Errorf("run kernel: %w", dsv.ErrClosed)
	case l == nil:
		return errors.New("run kernel: Listen comes first")
	}
	serve, cut := context.WithCancel(context.WithoutCancel(ctx)) // modules end in order before their connections do
	defer cut()
	srv := &http.Server{
		Handler:           k.handler(),
		ReadHeaderTimeout: wire.HelloTimeout,
		MaxHeaderBytes:    64 << 10,
		BaseContext:       func(net.Listener) context.Context { return serve },
		ErrorLog:          log.New(logWriter{k}, "", 0),
	}
	var fixed sync.WaitGroup
	var failed error
	ctx, fail := context.WithCancelCause(ctx)
	defer fail(nil)
	fixed.Go(func() {
		if err := srv.Serve(l); !errors.Is(err, http.ErrServerClosed) {
			failed = fmt.Errorf("serve: %w", err)
			fail(failed)
		}
	})
	fixed.Go(k.spawner)
	fixed.Go(func() { k.attest(ctx) })
	drive, halt := context.WithCancel(context.WithoutCancel(ctx)) // until nobody can write any more
	defer halt()
	fixed.Go(func() { k.manip.drive(drive) })
	k.ran.Do(func() { close(k.running) })

	<-ctx.Done()
	k.mu.Lock()
	k.over = true // nothing new begins
	k.open = false
	k.mu.Unlock()
	grace, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopGrace+stopTerm+time.Second)
	defer cancel()
	err := k.stopAll(grace, nil)
	_ = k.hub.Close()
	k.dismiss()
	cut()
	k.work.Wait()
	k.endChannels()
	halt()
	_ = srv.Close()
	close(k.spawns)
	fixed.Wait()
	return errors.Join(failed, err)
}

// begin counts one more connection or module in, unless the kernel ends. Who gets true calls work.Done at the end.
func (k *Kernel) begin() bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.open {
		k.work.Add(1)
	}
	return k.open
}

// beginEarly is begin for what may begin before Run does.
func (k *Kernel) beginEarly() bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	if !k.over {
		k.work.Add(1)
	}
	return !k.over
}

// Close gives up the socket, if Run never ran, and closes the variables: watches end, and all that was recorded is
// durable. It comes after Run and may be called twice.
func (k *Kernel) Close() error {
	k.mu.Lock()
	k.over = true
	l, awaited := k.listener, slices.Clone(k.modules)
	k.mu.Unlock()
	select {
	case <-k.running: // and has ended them
	default:
		for _, m := range awaited {
			m.stop(context.Background()) // nobody came
		}
		k.work.Wait()
	}
	var err error
	if l != nil {
		if err = l.Close(); errors.Is(err, net.ErrClosed) {
			err = nil
		}
	}
	k.manip.close()
	return errors.Join(err, k.hub.Close(), k.store.Close())
}

// logf writes a line of the kernel's own.
func (k *Kernel) logf(format string, args ...any) { k.log("", fmt.Sprintf(format, args...)) }

// logWriter takes what net/http has to say.
type logWriter struct{ k *Kernel }

func (w logWriter) Write(b []byte) (int, error) {
	w.k.logf("%s", strings.TrimSpace(string(b)))
	return len(b), nil
}

func (k *Kernel) log(module, text string) {
	if k.cfg.Log == nil {
		return
	}
	k.logMu.Lock()
	defer k.logMu.Unlock()
	k.cfg.Log(Line{Module: module, Text: k.hide(printable(text))})
}

// hide takes the token out of what others will read.
func (k *Kernel) hide(text string) string {
	if len(k.cfg.Token) < leastSecret {
		return text
	}
	return strings.ReplaceAll(text, k.cfg.Token, "(token)")
}

// leastSecret is the length from which a token is hidden: a shorter one would spoil texts.
const leastSecret = 16
