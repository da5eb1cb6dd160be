// Package relay forwards TCP streams between clients and servers: a [Relay] stands in the path of a connection, reads from
// one side and writes to the other, in one of three modes.
//
//   - [Copy] reads into a buffer and writes from it.
//   - [Splice] moves the bytes through a pipe inside the kernel (splice(2)); the process never sees them.
//   - [Wasm] hands each chunk to an extension: WebAssembly in its sandbox, an instance for each direction of each connection,
//     bounded in memory and in counted steps (dmm/wasm). It inspects the stream, or transforms it.
//
// A relay has event loops of its own, each on a locked thread, edge-triggered on epoll. It holds at most one chunk of each
// direction, and reads on once the other side has taken it: a slow reader slows its sender and nobody else. An end of stream
// is handed on by itself, so half-closed connections work; a reset is handed on as a reset.
//
// [Spec] makes it a module. docs/writing-extensions.md tells how to write an extension.
package relay

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/netip"
	"runtime"
	"slices"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/eve-emulation/eve/dmm/wasm"
	"github.com/eve-emulation/eve/internal/mono"
)

// A Mode is how a relay moves bytes.
type Mode string

// The modes.
const (
	Copy   Mode = "copy"
	Splice Mode = "splice"
	Wasm   Mode = "wasm"
)

// Modes lists them.
func Modes() []Mode { return []Mode{Copy, Splice, Wasm} }

// OnFault says what becomes of a stream whose extension failed: it trapped, took too many steps, or answered what is not in
// its memory.
type OnFault string

// What becomes of such a stream.
const (
	// Close ends the connection by a reset.
	Close OnFault = "close"
	// Pass lets the stream go on as it comes, the chunk that the extension failed at included. A connection whose extension had
	// shortened or lengthened the stream is closed all the same: what goes on would not be what the other side expects.
	Pass OnFault = "pass"
)

// A Config says what a relay does. The zero value copies, on a free port of this host.
type Config struct {
	Listen  string // HOST:PORT with an IP address; "127.0.0.1:0"
	Mode    Mode   // Copy
	Loops   int    // event loops, each with a listener of its own; 1
	Chunk   int    // most bytes that are moved at once; 64 KiB, of Splice 256 KiB, of Wasm 32 KiB and never more than 64 KiB
	OnFault OnFault

	Connections int           // most connections at once, others are reset; 65 536, of Wasm 4096, as each has two guests
	Connect     time.Duration // how long a server may take to accept, at most a day; 5 s
	Drain       time.Duration // how long connections may go on once Run was told to end, at most a day; 1 s

	Guest []byte       // Wasm: the extension
	Log   func(string) // told why extensions failed, the first times; may be nil
}

// The bounds of a Config.
const (
	maxLoops       = 64
	maxChunk       = 1 << 20
	maxGuestChunk  = 1 << 16
	maxConnections = 1 << 20
	maxWait        = 24 * time.Hour
)

// check fills defaults in.
func (c Config) check() (Config, error) {
	c.Listen, c.Mode, c.OnFault = cmp.Or(c.Listen, "127.0.0.1:0"), cmp.Or(c.Mode, Copy), cmp.Or(c.OnFault, Close)
	c.Loops = cmp.Or(c.Loops, 1)
	c.Connect, c.Drain = cmp.Or(c.Connect, 5*time.Second), cmp.Or(c.Drain, time.Second)
	usual, most, connections := 64<<10, maxChunk, 1<<16
	switch c.Mode {
	case Splice:
		usual = 256 << 10
	case Wasm:
		usual, most, connections = 32<<10, maxGuestChunk, 1<<12
	}
	c.Chunk, c.Connections = cmp.Or(c.Chunk, usual), cmp.Or(c.Connections, connections)
	switch {
	case !slices.Contains(Modes(), c.Mode):
		return c, fmt.Errorf("mode %q: want copy, splice or wasm", c.Mode)
	case c.OnFault != Close && c.OnFault != Pass:
		return c, fmt.Errorf("onfault %q: want close or pass", c.OnFault)
	case c.Loops < 1 || c.Loops > maxLoops:
		return c, fmt.Errorf("%d loops: want 1 to %d", c.Loops, maxLoops)
	case c.Chunk < 1<<10 || c.Chunk > most:
		return c, fmt.Errorf("a chunk of %d bytes: want 1024 to %d", c.Chunk, most)
	case c.Connections < 1 || c.Connections > maxConnections:
		return c, fmt.Errorf("%d connections: want 1 to %d", c.Connections, maxConnections)
	case c.Connect < 0 || c.Connect > maxWait:
		return c, fmt.Errorf("connect %v: want 0s to %v", c.Connect, maxWait)
	case c.Drain < 0 || c.Drain > maxWait:
		return c, fmt.Errorf("drain %v: want 0s to %v", c.Drain, maxWait)
	case c.Mode == Wasm && len(c.Guest) == 0:
		return c, errors.New("mode wasm needs an extension")
	case c.Mode != Wasm && len(c.Guest) > 0:
		return c, fmt.Errorf("mode %s has no extension; want mode wasm", c.Mode)
	}
	return c, nil
}

// A Relay forwards connections. Its methods may be called from any goroutine.
type Relay struct {
	cfg     Config
	addr    netip.AddrPort
	loops   []*loop
	guest   *wasm.Module // nil but for Wasm
	servers atomic.Pointer[[]netip.AddrPort]
	vars    atomic.Pointer[measuring]
	open    atomic.Int64
	faults  atomic.Int64 // of extensions, that were told
}

// Listen opens the relay's socket and compiles its extension; connections wait until Run. wasm.ErrGuest when the extension is
// none. A Relay that is not run must be closed.
func Listen(ctx context.Context, cfg Config) (*Relay, error) {
	r, err := listen(ctx, cfg)
	if err != nil {
		return nil, fmt.Errorf("relay: %w", err)
	}
	return r, nil
}

func listen(ctx context.Context, cfg Config) (*Relay, error) {
	cfg, err := cfg.check()
	if err != nil {
		return nil, err
	}
	r := &Relay{cfg: cfg}
	if r.addr, err = netip.ParseAddrPort(cfg.Listen); err != nil {
		return nil, fmt.Errorf("listen %q: want an IP address with a port", cfg.Listen)
	}
	r.servers.Store(new([]netip.AddrPort))
	if cfg.Mode == Wasm {
		if r.guest, err = wasm.Compile(ctx, cfg.Guest); err != nil {
			return nil, err
		}
		if !r.guest.Streams() {
			return nil, errors.Join(fmt.Errorf("extension: %w: it exports neither inspect nor transform", wasm.ErrGuest), r.guest.Close())
		}
	}
	for range cfg.Loops {
		l, err := newLoop(r)
		if err != nil {
			return nil, errors.Join(err, r.close())
		}
		r.loops = append(r.loops, l)
	}
	return r, nil
}

// Addr is where the relay listens.
func (r *Relay) Addr() netip.AddrPort { return r.addr }

// Forward says where connections go from now on: to each of the servers in turn. Those that are open stay where they are.
// Without a server, which is how a relay begins, new connections are reset.
func (r *Relay) Forward(servers ...netip.AddrPort) {
	list := slices.Clone(servers)
	r.servers.Store(&list)
}

// Run forwards until ctx ends, lets what is open come to its end for as long as Config.Drain says, and closes the relay. It
// is called once.
func (r *Relay) Run(ctx context.Context) error {
	g, gctx := errgroup.WithContext(ctx)
	for _, l := range r.loops {
		g.Go(func() error {
			runtime.LockOSThread()
			defer runtime.UnlockOSThread()
			return l.run()
		})
	}
	over := make(chan struct{})
	var wake errgroup.Group
	wake.Go(func() error {
		select {
		case <-gctx.Done():
		case <-over:
		}
		for _, l := range r.loops {
			l.ending.Store(true)
			l.poller.Wake()
		}
		return nil
	})
	err := g.Wait()
	close(over)
	_ = wake.Wait() // it has no errors; nobody wakes a poller that is closed
	if err := errors.Join(err, r.close()); err != nil {
		return fmt.Errorf("relay: %w", err)
	}
	return nil
}

// Close frees a relay that was not run.
func (r *Relay) Close() error { return r.close() }

func (r *Relay) close() error {
	var errs []error
	for _, l := range r.loops {
		errs = append(errs, l.close())
	}
	if r.guest != nil {
		errs = append(errs, r.guest.Close())
	}
	return errors.Join(errs...)
}

// Stats is what a relay has done since it was opened.
type Stats struct {
	Open     int64           // connections now
	Accepted int64           // connections that clients opened
	Up, Down int64           // bytes handed on, to servers and to clients
	Chunks   int64           // in which they were
	Told     int64           // by extensions
	CPU      time.Duration   // of the loops, as it was at most 100 ms ago
	Errors   map[Cause]int64 // connections that ended badly, by cause
}

// Stats tells what the relay has done.
func (r *Relay) Stats() Stats {
	s := Stats{Open: r.open.Load(), Errors: map[Cause]int64{}}
	for _, l := range r.loops {
		s.Accepted += l.total.accepted.Load()
		s.Up += l.total.bytes[up].Load()
		s.Down += l.total.bytes[down].Load()
		s.Chunks += l.total.chunks.Load()
		s.Told += l.total.told.Load()
		s.CPU += time.Duration(l.total.cpu.Load())
		for c := range l.total.errors {
			if n := l.total.errors[c].Load(); n > 0 {
				s.Errors[Cause(c)] += n
			}
		}
	}
	return s
}

// now is the clock of all loops.
func now() int64 { return mono.Now() }

// never is an instant that does not come.
const never = mono.Never
