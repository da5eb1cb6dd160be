package server

import (
	"context"
	"errors"
	"sync"

	"github.com/eve-emulation/eve/dmm"
	"github.com/eve-emulation/eve/fase/burn"
	"github.com/eve-emulation/eve/fase/files"
	"github.com/eve-emulation/eve/fase/machine"
	"github.com/eve-emulation/eve/fase/scenario"
	"github.com/eve-emulation/eve/fase/service"
)

// pages is the bytes of files under run: burn. The host decides which are kept: those in its cache, and those that an execution
// may still send. Threads that wait for the disk bring them.
type pages struct {
	sets []*burn.Files // by number; empty when nothing is burned, or there are no files

	mu   sync.Mutex // guards data
	data map[files.Object][]byte
}

// openPages writes the files that are not there yet.
func openPages(ctx context.Context, cfg *service.HostConfig, scratch string) (*pages, error) {
	p := &pages{data: map[files.Object][]byte{}}
	if cfg.Machine.Run != machine.Burn {
		return p, nil
	}
	for _, s := range cfg.Files {
		f, err := burn.OpenFiles(ctx, written(s, scratch, cfg.Machine.Disk.Direct))
		if err != nil {
			return nil, errors.Join(err, p.close())
		}
		p.sets = append(p.sets, f)
	}
	return p, nil
}

// written is a set as it stands on the disk.
func written(s *files.Set, scratch string, direct bool) burn.FilesConfig {
	cfg := burn.FilesConfig{Name: s.Name(), Dir: scratch, Direct: direct, Keep: s.Config().Keep, Files: make([]burn.File, s.Len())}
	for i := range cfg.Files {
		cfg.Files[i] = burn.File{Path: s.Path(i), Size: s.Size(i)}
	}
	return cfg
}

// direct reports whether files are read past the page cache.
func (p *pages) direct() bool { return len(p.sets) > 0 && p.sets[0].Direct() }

// tell writes whether reads go past the page cache, where there is anything to read.
func (p *pages) tell(direct *dmm.Var) {
	if len(p.sets) == 0 {
		return
	}
	x := 0.0
	if p.direct() {
		x = 1
	}
	direct.Write(1, x)
}

// read brings a file. One that cannot be read is not there afterwards.
func (p *pages) read(b *burn.Burner, o files.Object) {
	data, err := b.File(p.sets[o.Set()], o.File())
	if err != nil {
		return
	}
	p.mu.Lock()
	p.data[o] = data
	p.mu.Unlock()
}

// get returns the bytes of a file, which nobody changes; nil when they are not there.
func (p *pages) get(o files.Object) []byte {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.data[o]
}

// has reports whether the bytes of a file are there.
func (p *pages) has(o files.Object) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	_, ok := p.data[o]
	return ok
}

func (p *pages) drop(o files.Object) {
	p.mu.Lock()
	delete(p.data, o)
	p.mu.Unlock()
}

// close gives the sets up.
func (p *pages) close() error {
	var err error
	for _, f := range p.sets {
		err = errors.Join(err, f.Close())
	}
	p.sets = nil
	return err
}

// WriteFiles writes the files that the servers of a plan really read, so that they find them when they start, and holds them
// until done is called. It does nothing for a plan without such files.
func WriteFiles(ctx context.Context, plan *scenario.Plan) (done func() error, err error) {
	var p pages
	for i := range plan.Servers {
		c := plan.Servers[i].HostConfig
		if c.Machine.Run != machine.Burn {
			continue
		}
		for _, s := range c.Files {
			f, err := burn.OpenFiles(ctx, written(s, "", false))
			if err != nil {
				return nil, errors.Join(err, p.close())
			}
			p.sets = append(p.sets, f)
		}
		break // all servers have the same sets
	}
	return p.close, nil
}
