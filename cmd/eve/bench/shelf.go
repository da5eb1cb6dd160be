package bench

import (
	"context"
	"sync"
	"time"

	"github.com/eve-emulation/eve/fase/burn"
	"github.com/eve-emulation/eve/fase/engine"
	"github.com/eve-emulation/eve/fase/files"
	"github.com/eve-emulation/eve/fase/machine"
	"github.com/eve-emulation/eve/fase/service"
	"github.com/eve-emulation/eve/internal/mono"
	emulation "github.com/eve-emulation/eve/modules/server"
)

// A shelfSpec is a server of real files: GET /files/web draws one.
type shelfSpec struct {
	Engine      string
	Directories int
	Cache       int64 // bytes
	Helpers     int   // accesses to the disk at once, where the engine has threads to wait for them
	Threads     int
	Backlog     int
}

// setName is the file set of shelves, and where one of its files is.
const (
	setName  = "web"
	onePlace = "/files/" + setName + "/"
)

// set is the files of a shelf.
func (s shelfSpec) set() (*files.Set, error) {
	return files.NewSet(files.Config{Name: setName, Directories: s.Directories, Zipf: 1})
}

// hold writes the files of a shelf and keeps them for all servers that read them. Those may be killed: it is Close that removes
// them then.
func (s shelfSpec) hold(ctx context.Context) (*files.Set, *burn.Files, error) {
	set, err := s.set()
	if err != nil {
		return nil, nil, err
	}
	cfg := burn.FilesConfig{Name: set.Name()}
	for i := range set.Len() {
		cfg.Files = append(cfg.Files, burn.File{Path: set.Path(i), Size: set.Size(i)})
	}
	held, err := burn.OpenFiles(ctx, cfg)
	return set, held, err
}

// shelved is what opening a shelf tells.
type shelved struct {
	TCP    string
	Direct bool // files are read past the kernel's page cache
}

// shelfPart is a server of real files. It serves until the part ends.
func shelfPart(ctx context.Context) (duty, func() error, error) {
	var running sync.WaitGroup
	var failed error
	ctx, cancel := context.WithCancel(ctx)
	open := func(s shelfSpec) (any, error) {
		set, err := s.set()
		if err != nil {
			return nil, err
		}
		srv, err := emulation.ListenContext(ctx, emulation.Config{
			Host: service.HostConfig{
				Topology: &service.Topology{Servers: []string{"server"}},
				Machine:  machine.Config{Run: machine.Burn, Disk: machine.DiskConfig{Direct: true, Depth: s.Helpers}},
				Files:    []*files.Set{set}, Cache: machine.Bytes(s.Cache),
			},
			Engine: engine.Config{
				Name: s.Engine, Listen: "127.0.0.1:0", IdleTimeout: time.Hour, Drain: time.Millisecond,
				Helpers: s.Helpers, Threads: s.Threads, Backlog: s.Backlog,
			},
			Seed: 1,
		})
		if err != nil {
			return nil, err
		}
		srv.Start(mono.Now())
		running.Go(func() { failed = srv.Run(ctx) })
		return shelved{srv.Addr().String(), srv.Direct()}, nil
	}
	return duty{"open": take(open)}, func() error {
		cancel()
		running.Wait()
		return failed
	}, nil
}

// openShelf starts a shelf on the processor of servers.
func (c Config) openShelf(ctx context.Context, s shelfSpec) (*part, shelved, error) {
	var d shelved
	p, err := c.partOn(ctx, serverCPU, "shelf", "GOMAXPROCS=4")
	if err != nil {
		return nil, d, err
	}
	if err := p.call("open", s, &d); err != nil {
		p.stop()
		return nil, d, err
	}
	return p, d, nil
}
