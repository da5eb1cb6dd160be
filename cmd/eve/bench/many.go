package bench

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"runtime"
	"slices"
	"time"

	"golang.org/x/sync/errgroup"
)

// A crowd is idle connections over several server processes and as many client processes, each with a source address of
// its own.
type crowd struct {
	servers []*web
	holders []*part
}

// perProcess is how many connections a process keeps.
const perProcess = 18_900

// grow starts a server and a client, each on its processor. Without an error there are as many of one as of the other.
func (c *crowd) grow(ctx context.Context, cfg Config, engine string, serverAt, clientAt int) error {
	w, err := cfg.openEngine(ctx, engine, serverAt)
	if err != nil {
		return err
	}
	h, err := cfg.partOn(ctx, clientAt, "volley", "GOMAXPROCS=2")
	if err != nil {
		w.stop()
		return err
	}
	c.servers, c.holders = append(c.servers, w), append(c.holders, h)
	return nil
}

func (c *crowd) stop() {
	var g errgroup.Group
	g.SetLimit(8)
	for _, h := range c.holders {
		g.Go(func() error {
			_ = h.call("release", struct{}{}, nil) // it may take longer than a part has to end
			h.stop()
			return nil
		})
	}
	_ = g.Wait() // first those who opened them: a port whose connection they abort waits for nothing
	for _, w := range c.servers {
		g.Go(func() error { w.stop(); return nil })
	}
	_ = g.Wait()
}

// sources are the source addresses of the i-th client process. It has two: a connect looks for a free port among the even
// ones first, one after the other, and of those one address has 14 000.
func sources(i int) []netip.Addr {
	return []netip.Addr{
		netip.AddrFrom4([4]byte{127, 1, byte(1 + i/200), byte(1 + i%200)}),
		netip.AddrFrom4([4]byte{127, 2, byte(1 + i/200), byte(1 + i%200)}),
	}
}

// hold has the i-th client keep n connections to the i-th server.
func (c *crowd) hold(i, n int) (held, error) {
	var h held
	err := c.holders[i].call("hold", wanted{Address: c.servers[i].address, Sources: sources(i), Number: n}, &h)
	return h, err
}

func (c *crowd) release() error {
	var all error
	for _, h := range c.holders {
		all = errors.Join(all, h.call("release", struct{}{}, nil))
	}
	return all
}

// rests waits until no server has anything more to do.
func (c *crowd) rests(ctx context.Context) error {
	for _, w := range c.servers {
		if err := rests(ctx, w.pid); err != nil {
			return err
		}
	}
	return nil
}

// many measures one server among several that have 100 000 idle connections together.
func (x *idlers) many(ctx context.Context, r *Report) error {
	engine := x.engines[0]
	if slices.Contains(x.engines, "reactors") {
		engine = "reactors"
	}
	total, processes := pick(x.cfg, 100_000, 400), pick(x.cfg, 6, 2)
	x.cfg.say("A6: %d idle connections over %d server processes", total, processes)
	var c crowd
	defer c.stop()
	for range processes {
		if err := c.grow(ctx, x.cfg, engine, serverCPU, clientCPU); err != nil {
			return err
		}
	}
	none := &heat{server: c.servers[0], request: plainGet}
	all := &heat{server: c.servers[0], request: plainGet, connections: total}
	var slab []float64
	for range pick(x.cfg, 3, 1) {
		if err := c.rests(ctx); err != nil {
			return err
		}
		before, err := kernelMemory("Slab")
		if err != nil {
			return err
		}
		if err := x.several(none); err != nil {
			return err
		}
		for i := range c.holders {
			n := total / processes
			h, err := c.hold(i, n)
			if err != nil {
				return err
			}
			if h.Number < n {
				return fmt.Errorf("%s: %d idle connections: only %d came about: %s", engine, n, h.Number, h.Limit)
			}
		}
		if err := c.rests(ctx); err != nil {
			return err
		}
		after, err := kernelMemory("Slab")
		if err != nil {
			return err
		}
		slab = append(slab, (after-before)/float64(total))
		if err := x.several(all); err != nil {
			return err
		}
		for i, h := range c.holders {
			if err := allAlive(h, c.servers[i], total/processes); err != nil {
				return err
			}
		}
		if err := c.release(); err != nil {
			return err
		}
	}
	x.reportMany(r, engine, processes, none, all, slab)
	return nil
}

// several is the rounds between two changes of the number of idle connections.
func (x *idlers) several(l *heat) error {
	for range pick(x.cfg, 15, 1) {
		if err := x.fireBeside(l); err != nil {
			return err
		}
	}
	return nil
}

func (x *idlers) reportMany(r *Report, engine string, processes int, none, all *heat, slab []float64) {
	t := &Table{
		Card: "A6", Title: fmt.Sprintf("%s: %d active connections beside idle ones over %d server and %d client processes", engine, active, processes, processes),
		Head: "CPU/request", Also: []string{"÷ none idle", "requests/s", "p50", "p99", "kernel's slab for each"},
	}
	for _, l := range []*heat{none, all} {
		row := Row{Name: fmt.Sprintf("%d idle", l.connections), Ours: NewFigure(Seconds, l.perRequest...), Also: []Figure{
			l.against(none), NewFigure(PerSecond, l.rate...), NewFigure(Seconds, l.p50...), NewFigure(Seconds, l.p99...),
		}}
		if l == all {
			row.Also = append(row.Also, NewFigure(Bytes, slab...))
		}
		t.Rows = append(t.Rows, row)
	}
	r.Tables = append(r.Tables, t)
	r.Shapes = append(r.Shapes, goal(AtLeast("A6", fmt.Sprintf("%s at %d idle over none", engine, all.connections), all.against(none), 0.95)))
}

// crowded opens as many connections as are wanted, or as the machine bears.
type crowded struct {
	cfg Config

	crowd
	open   int
	kept   []int // by client process
	asked  int
	silent int // of those asked, the ones that were not answered
	closed int // by the servers, of those open
	limit  string
	slab   float64 // for each connection
	memory float64 // of all processes, for each connection
	took   time.Duration
}

// room is memory that is left to the machine.
const room = 1 << 30

func (x *crowded) run(ctx context.Context, r *Report) error {
	engine := "reactors"
	if names, err := engineNames(x.cfg.Engines); err != nil {
		return err
	} else if len(x.cfg.Engines) > 0 {
		engine = names[0]
	}
	defer x.stop()
	slab, err := kernelMemory("Slab")
	if err != nil {
		return err
	}
	start := time.Now()
	if err := x.fill(ctx, engine); err != nil {
		return err
	}
	x.took = time.Since(start)
	if x.open == 0 {
		return errors.New("no connection came about: " + x.limit)
	}
	now, err := kernelMemory("Slab")
	if err != nil {
		return err
	}
	x.slab = (now - slab) / float64(x.open)
	if err := x.answer(); err != nil {
		return err
	}
	x.report(r, engine)
	return nil
}

// fill opens the connections, some processes at a time, until all are there or the machine has no more.
func (x *crowded) fill(ctx context.Context, engine string) error {
	for x.open < x.cfg.Open && x.limit == "" {
		if err := ctx.Err(); err != nil {
			return err
		}
		var shares []int
		left := x.cfg.Open - x.open
		for range max(runtime.NumCPU(), 1) {
			if n := min(perProcess, left); n > 0 {
				shares = append(shares, n)
				left -= n
			}
		}
		if x.limit = limits(x.cfg.Open - x.open - left); x.limit != "" {
			return nil
		}
		if err := x.fillSome(ctx, engine, shares); err != nil {
			return err
		}
		if n := len(x.servers); n%10 < len(shares) || x.open == x.cfg.Open {
			x.cfg.say("%d connections open over %d processes", x.open, 2*n)
		}
	}
	return nil
}

// fillSome starts a server and a client for each share, and opens the connections at the same time.
func (x *crowded) fillSome(ctx context.Context, engine string, shares []int) error {
	first := len(x.servers)
	for range shares {
		if err := x.grow(ctx, x.cfg, engine, anyCPU, anyCPU); err != nil {
			x.limit = "another process could not be started: " + err.Error()
			break
		}
	}
	got := make([]held, len(x.holders)-first)
	var g errgroup.Group
	for i := range got {
		g.Go(func() (err error) {
			got[i], err = x.hold(first+i, shares[i])
			return err
		})
	}
	if err := g.Wait(); err != nil {
		return err
	}
	for _, h := range got {
		x.open += h.Number
		x.kept = append(x.kept, h.Number)
		if h.Limit != "" {
			x.limit = h.Limit + explain(h.Limit)
		}
	}
	return nil
}

// answer asks some connections of every process, and counts those that are still open.
func (x *crowded) answer() error {
	for i, h := range x.holders {
		var a, alive held
		if err := h.call("alive", struct{}{}, &alive); err != nil {
			return err
		}
		x.closed += x.kept[i] - alive.Number
		n := min(20, x.kept[i])
		if err := h.call("ask", wanted{Number: n, Request: plainGet}, &a); err != nil {
			return err
		}
		x.asked += n
		x.silent += n - a.Number
		for _, pid := range []int{h.pid(), x.servers[i].pid} {
			b, err := residentBytes(pid)
			if err != nil {
				return err
			}
			x.memory += b / float64(x.open)
		}
	}
	return nil
}

func (x *crowded) report(r *Report, engine string) {
	t := &Table{
		Card: "C10", Title: fmt.Sprintf("connections open at once, engine %s", engine), Head: "number",
		Also: []string{"processes", "kernel's slab for each", "processes' memory for each", "time to open"},
	}
	t.Rows = []Row{{Name: fmt.Sprintf("of %d", x.cfg.Open), Ours: whole(x.open), Also: []Figure{
		whole(2 * len(x.servers)), NewFigure(Bytes, x.slab), NewFigure(Bytes, x.memory), NewFigure(Seconds, x.took.Seconds()),
	}}}
	r.Tables = append(r.Tables, t)
	r.Shapes = append(r.Shapes,
		Always("C10", "connections that were asked and not answered", x.silent, x.asked),
		Always("C10", "connections that a server closed", x.closed, x.open))
	if x.limit != "" {
		r.Notes = append(r.Notes, fmt.Sprintf("the machine's limit at %d connections: %s", x.open, x.limit))
		return
	}
	r.Shapes = append(r.Shapes, AtLeast("C10", "connections open at once", whole(x.open), float64(x.cfg.Open)))
}
