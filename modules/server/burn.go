package server

import (
	"fmt"
	"runtime"
	"sync"

	"github.com/eve-emulation/eve/fase/burn"
	"github.com/eve-emulation/eve/fase/files"
	"github.com/eve-emulation/eve/fase/machine"
	"github.com/eve-emulation/eve/fase/service"
	"github.com/eve-emulation/eve/fase/step"
	"github.com/eve-emulation/eve/internal/mono"
)

// crew is the threads that burn for a machine of several processors: one for each, and one for its disk. A machine of one
// processor has no crew: it burns on the server's loop, as a server with a single loop does.
type crew struct {
	work chan step.Effect
	wg   sync.WaitGroup
}

// newCrew starts the threads; done is told, on one of them, what was delivered.
func newCrew(cfg machine.Config, dir string, p *pages, done func(e step.Effect, delivered int64)) (*crew, error) {
	n := cfg.CPU.Cores + 1
	// The host grants at most one demand a processor and one a disk, and a withdrawn one may still burn.
	c := &crew{work: make(chan step.Effect, 4*n)}
	for range n {
		b, err := burn.New(burn.Config{Dir: dir})
		if err != nil {
			c.close()
			return nil, fmt.Errorf("emulate: %w", err)
		}
		c.wg.Go(func() {
			runtime.LockOSThread()
			defer runtime.UnlockOSThread()
			for e := range c.work {
				done(e, consume(b, p, e))
			}
			_ = b.Close() // a scratch file that stays is no reason to fail
		})
	}
	return c, nil
}

func (c *crew) close() {
	close(c.work)
	c.wg.Wait()
}

// consume burns CPU or disk and returns what was delivered, in nanoseconds. A disk that fails is told by the time it took
// and by nothing else, as a file system that returns an error is to a server.
func consume(b *burn.Burner, p *pages, e step.Effect) int64 {
	start := mono.Now()
	switch e.Code {
	case service.BurnCPU:
		return b.CPU(e.N)
	case service.BurnRead:
		_, _ = b.Read(e.N)
	case service.BurnFile:
		p.read(b, files.Object(e.Key))
	case service.BurnWrite, service.BurnSync:
		_, _ = b.Write(e.N, e.Code == service.BurnSync)
	}
	return mono.Now() - start
}
