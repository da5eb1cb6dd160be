// Package server is the module that emulates servers: it joins the core of a host (fase/service) to real sockets
// (fase/engine) and to real consumption (fase/burn).
//
// A [Server] is one emulated server, which also works without a kernel: `eve serve` is one. The module runs all servers
// of one process.
package server

import (
	"context"
	"fmt"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"github.com/eve-emulation/eve/dsv"
	"github.com/eve-emulation/eve/fase/engine"
	"github.com/eve-emulation/eve/fase/service"
	"github.com/eve-emulation/eve/internal/mono"
	"github.com/eve-emulation/eve/rdr"
)

// Config describes one emulated server.
type Config struct {
	Host    service.HostConfig
	Engine  engine.Config
	Seed    uint64       // of requests that bring no key
	Get     *rdr.Block   // what a GET of no file executes; nil: nothing, a greeting is its answer
	Any     bool         // a request of any method outside /rdr is answered as a GET is, as by a stand-in of a real server
	Limits  rdr.Limits   // of what a request may ask for
	Vars    service.Vars // what is measured; nil: nothing
	Scratch string       // folder for the files that disk demands really use; default the system's
	Sets    string       // folder below which sets of files lie; default as burn.FilesConfig says
}

// A Server is one emulated server on an open socket. Its first loop owns the host; the others answer what needs no
// machine and pass the rest on.
type Server struct {
	cfg    Config
	gets   []*rdr.Block // what a GET of each file set executes
	engine engine.Engine
	owner  *owner
	quick  *service.Quick // nil: every request is the owner's
	t0     atomic.Int64
}

// Listen opens the server's socket. It serves once Run is called, and emulates once Start has told T0.
func Listen(cfg Config) (*Server, error) { return ListenContext(context.Background(), cfg) }

// ListenContext is Listen which gives up when ctx ends. Files under run: burn may take long to write, and another process may
// be at it.
func ListenContext(ctx context.Context, cfg Config) (*Server, error) {
	if cfg.Vars == nil {
		cfg.Vars = noVars
	}
	gets, err := fileBlocks(cfg.Host.Files)
	if err != nil {
		return nil, err
	}
	cfg = inStages(cfg)
	s := &Server{cfg: cfg, gets: gets}
	o, err := newOwner(ctx, s)
	if err != nil {
		return nil, err
	}
	s.owner, s.quick = o, o.host.Quick()
	s.engine, err = engine.Shipped().Listen(cfg.Engine, func(i int) engine.Handler {
		if i == 0 {
			return s.owner
		}
		return &front{s: s, blocks: rdr.Cache{Limits: cfg.Limits}}
	})
	if err != nil {
		o.close()
		return nil, err
	}
	return s, nil
}

// Addr is the address that the server listens on.
func (s *Server) Addr() netip.AddrPort { return s.engine.Addr() }

// Start tells T0, in nanoseconds of CLOCK_MONOTONIC. It may lie ahead; requests before it are answered 503.
func (s *Server) Start(t0 int64) {
	s.t0.Store(t0)
	s.owner.pages.tell(s.cfg.Vars(service.DirectName(s.cfg.Host.Topology.Servers[s.cfg.Host.Node])))
	s.engine.Post(0, func(engine.Loop) {}) // wake the loop, so that it asks for Next again
}

// Changed tells the server that a service is mapped elsewhere. Any goroutine may call it.
func (s *Server) Changed(svc int, m service.Mapping) {
	s.engine.Post(0, func(l engine.Loop) { s.owner.changed(l, svc, m) })
}

// Told tells the load of another server, by its index: the requests that are there. Any goroutine may call it.
func (s *Server) Told(server int, load float64) {
	if server != s.cfg.Host.Node {
		s.engine.Post(0, func(l engine.Loop) { s.owner.told(l, server, load) })
	}
}

// Set changes a setting of the server, as service.Host.Set. Any goroutine may call it.
func (s *Server) Set(setting string, x float64) {
	s.engine.Post(0, func(l engine.Loop) { s.owner.set(l, setting, x) })
}

// Employ changes how many workers a service has here, as service.Host.Employ. Any goroutine may call it.
func (s *Server) Employ(svc int, threads float64) {
	s.engine.Post(0, func(l engine.Loop) { s.owner.employ(l, svc, threads) })
}

// See tells a figure of a server that balancers read, as service.Caller.See. Any goroutine may call it.
func (s *Server) See(view, server int, x float64) {
	s.engine.Post(0, func(l engine.Loop) { s.owner.see(l, view, server, x) })
}

// Direct reports whether files are read past the kernel's page cache.
func (s *Server) Direct() bool { return s.owner.pages.direct() }

// Stats counts what the engine has done.
func (s *Server) Stats() engine.Stats { return s.engine.Stats() }

// Run serves until ctx ends, then finishes the requests under way.
func (s *Server) Run(ctx context.Context) error {
	defer s.owner.close()
	measured, stop := context.WithCancel(ctx)
	var wg sync.WaitGroup
	wg.Go(func() { s.measureStages(measured) })
	defer wg.Wait()
	defer stop()
	err := s.engine.Run(ctx)
	if at, ok := s.instant(mono.Now()); ok {
		s.owner.host.WriteLedger(at)
	}
	if err != nil {
		return fmt.Errorf("serve %s: %w", s.Addr(), err)
	}
	return nil
}

// instant converts a reading of CLOCK_MONOTONIC; false before T0 is known or reached.
func (s *Server) instant(mono int64) (dsv.Instant, bool) {
	t0 := s.t0.Load()
	return dsv.Instant(mono - t0), t0 != 0 && mono >= t0
}

// callPatience bounds a call to another server whose caller sets no bound.
const callPatience = 60 * time.Second
