package bench

import (
	"context"
	"fmt"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/eve-emulation/eve/dsv"
)

// scale loads one kernel with connections, variables and watchers, and measures the memory that each takes and whether
// updates still flow.
type scale struct {
	cfg                              Config
	connections, variables, watchers int

	kernel  *kernel
	clients []*client
	memory  []float64 // bytes of the kernel's process: at first, with connections, with variables, with watchers
	watches []dsv.Watch

	arrived chan float64 // s

	mu      sync.Mutex             // guards what follows
	waiting map[dsv.Name]time.Time // by name, when it was written
}

func (x *scale) run(ctx context.Context, r *Report) error {
	x.connections, x.variables, x.watchers = pick(x.cfg, 500, 20), pick(x.cfg, 100_000, 2000), pick(x.cfg, 10_000, 200)
	x.waiting, x.arrived = map[dsv.Name]time.Time{}, make(chan float64, 1<<16)
	defer func() {
		for _, c := range x.clients {
			c.close()
		}
	}()
	k, err := x.cfg.openKernel(ctx, opening{})
	if err != nil {
		return err
	}
	x.kernel = k
	defer k.stop()
	steps := []struct {
		say string
		do  func(context.Context) error
	}{
		{"a kernel", func(context.Context) error { return nil }},
		{fmt.Sprintf("%s connections", One.text(float64(x.connections))), x.connect},
		{fmt.Sprintf("%s variables", One.text(float64(x.variables))), x.declare},
		{fmt.Sprintf("%s watchers", One.text(float64(x.watchers))), x.watch},
	}
	for _, s := range steps {
		x.cfg.say("scale: %s", s.say)
		if err := s.do(ctx); err != nil {
			return err
		}
		if err := x.weigh(); err != nil {
			return err
		}
	}
	x.cfg.say("scale: updates")
	return x.flow(ctx, r)
}

// weigh notes the memory of the kernel's process, without what its runtime could give back.
func (x *scale) weigh() error {
	if err := x.kernel.call("settle", struct{}{}, nil); err != nil {
		return err
	}
	b, err := residentBytes(x.kernel.pid())
	x.memory = append(x.memory, b)
	return err
}

func (x *scale) connect(ctx context.Context) error {
	for range x.connections {
		c, err := x.kernel.dial(ctx)
		if err != nil {
			return fmt.Errorf("connection %d: %w", len(x.clients)+1, err)
		}
		x.clients = append(x.clients, c)
	}
	return nil
}

// scaled is the name of the i-th variable.
func scaled(i int) dsv.Name { return dsv.Name(fmt.Sprintf("bench.module_%03d.value_%06d", i%500, i)) }

// each calls f for all i below n, from all connections at once.
func (x *scale) each(ctx context.Context, n int, f func(ctx context.Context, c *client, i int) error) error {
	g, gctx := errgroup.WithContext(ctx)
	for k, c := range x.clients {
		g.Go(func() error {
			for i := k; i < n; i += len(x.clients) {
				if err := f(gctx, c, i); err != nil {
					return err
				}
			}
			return nil
		})
	}
	return g.Wait()
}

// declare creates the variables and writes each.
func (x *scale) declare(ctx context.Context) error {
	return x.each(ctx, x.variables, func(ctx context.Context, c *client, i int) error {
		if err := c.Create(ctx, declaration(scaled(i))); err != nil {
			return err
		}
		_, err := c.Write(ctx, scaled(i), sampleValue(i))
		return err
	})
}

// watch opens the watches: each on a variable of its own, as rules and pages have them.
func (x *scale) watch(ctx context.Context) error {
	var mu sync.Mutex
	return x.each(ctx, x.watchers, func(ctx context.Context, c *client, i int) error {
		w, err := c.Watch(ctx, dsv.WatchRequest{Pattern: string(scaled(i))})
		if err != nil {
			return err
		}
		if _, err := w.Next(ctx); err != nil { // the present value
			return err
		}
		mu.Lock()
		defer mu.Unlock()
		x.watches = append(x.watches, w)
		return nil
	})
}

// follow takes the updates of one watch until ctx ends.
func (x *scale) follow(ctx context.Context, w dsv.Watch) {
	for {
		u, err := w.Next(ctx)
		if err != nil {
			return
		}
		now := time.Now()
		x.mu.Lock()
		at, ok := x.waiting[u.Name]
		delete(x.waiting, u.Name)
		x.mu.Unlock()
		if ok {
			x.arrived <- now.Sub(at).Seconds()
		}
	}
}

// flow writes watched variables, from one connection after the other, and notes how long each takes until its watcher
// has it.
func (x *scale) flow(ctx context.Context, r *Report) error {
	fctx, done := context.WithCancel(ctx)
	var follows sync.WaitGroup
	for _, w := range x.watches {
		follows.Go(func() { x.follow(fctx, w) })
	}
	defer follows.Wait()
	defer done()
	s := &sampler{}
	rounds, n := pick(x.cfg, 15, 2), pick(x.cfg, 300, 30)
	lost, sent := 0, 0
	for round := range rounds {
		for i := range n {
			k := round*n + i
			name := scaled((k * 7919) % x.watchers)
			x.mu.Lock()
			x.waiting[name] = time.Now()
			x.mu.Unlock()
			if _, err := x.clients[k%len(x.clients)].Write(ctx, name, sampleValue(k)); err != nil {
				return err
			}
			sent++
			select {
			case t := <-x.arrived:
				s.add(t)
			case <-time.After(answerTimeout):
				lost++
			case <-ctx.Done():
				return ctx.Err()
			}
		}
		s.next()
	}
	x.report(r, s, lost, sent)
	return nil
}

func (x *scale) report(r *Report, s *sampler, lost, sent int) {
	per := func(i, n int) Figure {
		return NewFigure(Bytes, max(x.memory[i]-x.memory[i-1], 0)/float64(n))
	}
	t := &Table{
		Card: "scale", Title: "one kernel", Head: "each", Also: []string{"number", "kernel's memory then"},
		Note: "memory: anonymous pages in RAM of the kernel's process after two collections, and how much they grew for each",
	}
	t.Rows = []Row{
		{Name: "at the start", Ours: NewFigure(Bytes), Also: []Figure{NewFigure(One), NewFigure(Bytes, x.memory[0])}},
		{Name: "connection", Ours: per(1, x.connections), Also: []Figure{whole(x.connections), NewFigure(Bytes, x.memory[1])}},
		{Name: "variable", Ours: per(2, x.variables), Also: []Figure{whole(x.variables), NewFigure(Bytes, x.memory[2])}},
		{Name: "watcher", Ours: per(3, x.watchers), Also: []Figure{whole(x.watchers), NewFigure(Bytes, x.memory[3])}},
	}
	flow := &Table{
		Card: "scale", Title: "from write to watcher, one after the other", Head: "p50", Also: []string{"p99", "updates"},
		Rows: []Row{{Name: "with all of them there", Ours: s.median(), Also: []Figure{s.quantile(0.99), whole(sent)}}},
	}
	r.Tables = append(r.Tables, t, flow)
	r.Shapes = append(r.Shapes,
		Always("scale", "every update reaches its watcher", lost, sent),
		AtMost("scale", "p99 from write to watcher", s.quantile(0.99), 0.1))
}
