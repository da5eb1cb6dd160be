package bench

import (
	"context"
	"encoding/binary"
	"fmt"
	"math"
	"sync"
	"sync/atomic"

	"golang.org/x/sync/errgroup"

	"github.com/eve-emulation/eve/dmm"
	"github.com/eve-emulation/eve/dsv"
)

// e2 holds what a kernel knows under a manipulator against what was written: E2. Time triggers are in everys.go; here are
// those that fire at a write. They are driven by hand, so that "outside a synchronisation" is exact: writers write under a
// shared lock, who makes a trigger fire synchronises before it lets go, and who checks locks all writers out.
type e2 struct {
	cfg   Config
	cells []*cell
	sweep map[string][]point // by trigger, for the chart
}

// A point is the worst that was found at one setting of a trigger.
type point struct{ setting, worst, median float64 }

// writers is how many write one variable: as so many participants where deltas merge in any order, else as so many
// goroutines of one.
const writers = 3

// A cell is one manipulator under one trigger.
type cell struct {
	kind    string // of the trigger: every, count, change, threshold
	man     dmm.Manipulator
	spec    dmm.Spec
	setting float64
	updates int

	syncs  int
	checks int
	errors []float64 // at the checks: updates missing, or |shadow − kernel|
	broken int       // checks at which the bound did not hold
	lost   int       // updates that the kernel missed, or counted twice, in the end
	ages   []float64 // s; of time triggers
	trips  []float64 // s; one synchronisation
}

func (c *cell) name() string { return fmt.Sprintf("%s, %s", c.man.Name, c.kind) }

// running says that triggers look at the shadow itself, so that its distance from the kernel's value is bounded.
func (c *cell) running() bool { return c.man.Level != nil || c.man.Name == "last" }

// many says that the cell has several participants: the trigger does not depend on the order of writes, and neither does
// the manipulator.
func (c *cell) many() bool { return c.kind != "change" && c.kind != "threshold" && !c.man.OneWriter }

// numeric says that the manipulator takes numbers.
func (c *cell) numeric() bool { return c.man.Kind != dsv.Bytes }

// written is how many updates a delta carries.
func (c *cell) written(d *dsv.Delta) float64 {
	if c.man.PerSecond {
		return d.Value.Float
	}
	return d.Weight
}

// A desk is one participant that synchronises by hand.
type desk struct {
	client *client
	set    *dmm.Set
	v      *dmm.Var

	mu     sync.Mutex // guards what follows, and Take
	acked  float64    // updates in deltas that were acknowledged
	syncs  int
	buffer []dsv.Delta

	wrote atomic.Int64
}

// sync synchronises what is due.
func (d *desk) sync(ctx context.Context, c *cell) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.buffer = d.set.Take(d.buffer[:0])
	if len(d.buffer) == 0 {
		return nil
	}
	if err := d.client.Sync(ctx, d.buffer); err != nil {
		return err
	}
	d.syncs += len(d.buffer)
	for i := range d.buffer {
		d.acked += c.written(&d.buffer[i])
	}
	return nil
}

// A feed gives the samples of one cell, in one order for all its writers: a walk for running values, so that changes come
// gradually, and its positive steps for what adds up.
type feed struct {
	mu   sync.Mutex
	rise bool
	seed uint64
	x    float64
	sum  float64 // of all that was given
}

func (f *feed) next() float64 {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.seed = f.seed*6364136223846793005 + 1442695040888963407
	u := float64(f.seed>>11) / (1 << 53)
	x := 0.5 + u
	if !f.rise {
		f.x += 2*u - 1
		f.x *= 0.999 // it stays near 0
		x = f.x
	}
	f.sum += x
	return x
}

// runCell writes a cell's updates and checks them on the way.
func (x *e2) runCell(ctx context.Context, c *cell, clients []*client, observer *client) error {
	desks, err := openDesks(ctx, c, clients)
	if err != nil {
		return err
	}
	in := &feed{seed: 7, rise: c.man.Merge == dsv.Sum || c.man.Merge == dsv.Mean}
	var gate sync.RWMutex
	var left atomic.Int64
	left.Store(int64(c.updates))
	var at atomic.Int64
	checkEvery := c.updates/207 | 1 // odd, so that checks do not go in step with a count
	g, gctx := errgroup.WithContext(ctx)
	for w := range writers {
		d := desks[w%len(desks)]
		g.Go(func() error {
			for {
				n := left.Add(-1)
				if n < 0 {
					return nil
				}
				if err := d.write(gctx, c, &gate, dsv.Instant(at.Add(1000)), in); err != nil {
					return err
				}
				if int(n)%checkEvery == 0 {
					if err := c.check(gctx, &gate, desks, observer); err != nil {
						return err
					}
				}
			}
		})
	}
	if err := g.Wait(); err != nil {
		return fmt.Errorf("%s: %w", c.name(), err)
	}
	return c.finish(ctx, desks, observer, dsv.Instant(at.Load()))
}

// openDesks declares the variable of a cell and makes its participants.
func openDesks(ctx context.Context, c *cell, clients []*client) ([]*desk, error) {
	if err := clients[0].Create(ctx, c.spec.Declaration("1", "", false)); err != nil {
		return nil, err
	}
	if !c.many() {
		clients = clients[:1]
	}
	var desks []*desk
	for _, cl := range clients {
		w, err := cl.Welcome(ctx)
		if err != nil {
			return nil, err
		}
		set, err := dmm.NewSet(dsv.WriterID(w.Writer), uint32(w.Epoch), []dmm.Spec{c.spec})
		if err != nil {
			return nil, err
		}
		desks = append(desks, &desk{client: cl, set: set, v: set.Var(c.spec.Name)})
	}
	return desks, nil
}

// write writes one sample, and synchronises if that made a trigger fire.
func (d *desk) write(ctx context.Context, c *cell, gate *sync.RWMutex, at dsv.Instant, in *feed) error {
	gate.RLock()
	defer gate.RUnlock()
	x := in.next()
	if c.numeric() {
		d.v.Write(at, x)
	} else {
		d.v.Append(at, binary.BigEndian.AppendUint64(nil, math.Float64bits(x)))
	}
	d.wrote.Add(1)
	select {
	case <-d.set.Due():
		return d.sync(ctx, c)
	default:
		return nil
	}
}

// check compares the kernel with the writers while nobody writes and nothing is being synchronised.
func (c *cell) check(ctx context.Context, gate *sync.RWMutex, desks []*desk, observer *client) error {
	gate.Lock()
	defer gate.Unlock()
	c.checks++
	worst, acked := 0.0, 0.0
	for _, d := range desks {
		worst = max(worst, float64(d.wrote.Load())-d.acked)
		acked += d.acked
	}
	if acked == 0 { // nothing was ever due
		if c.kind == "count" && worst >= c.setting {
			c.broken++
		}
		return nil
	}
	r, err := fresh(ctx, observer, c.spec.Name)
	if err != nil {
		return err
	}
	if got := c.seen(r); math.Abs(got-acked) > 1e-6*acked {
		c.broken++ // acknowledged, and not there
	}
	switch {
	case c.kind == "count":
		c.errors = append(c.errors, worst)
		if worst >= c.setting {
			c.broken++
		}
	case c.running():
		shadow, _ := desks[0].v.Read().Number()
		value, _ := r.Value.Number()
		off := math.Abs(shadow - value)
		c.errors = append(c.errors, off)
		if c.kind == "change" && off >= c.setting {
			c.broken++
		}
		if c.kind == "threshold" && (shadow > c.setting) != (value > c.setting) {
			c.broken++
		}
	}
	return nil
}

// seen is how many updates a reading covers.
func (c *cell) seen(r dsv.Reading) float64 {
	if c.man.PerSecond {
		return r.Value.Float * r.Weight
	}
	return r.Weight
}

// finish synchronises what is left and counts what the kernel misses then.
func (c *cell) finish(ctx context.Context, desks []*desk, observer *client, at dsv.Instant) error {
	for _, d := range desks {
		d.set.Close(at)
		if err := d.sync(ctx, c); err != nil {
			return err
		}
		c.syncs += d.syncs
	}
	r, err := fresh(ctx, observer, c.spec.Name)
	if err != nil {
		return err
	}
	c.lost = int(math.Round(math.Abs(float64(c.updates) - c.seen(r))))
	return nil
}

// fresh reads a variable at the kernel itself.
func fresh(ctx context.Context, p *client, n dsv.Name) (dsv.Reading, error) {
	if f, ok := any(p.Proxy).(interface {
		ReadFresh(ctx context.Context, n dsv.Name) (dsv.Reading, error)
	}); ok {
		return f.ReadFresh(ctx, n)
	}
	return p.Read(ctx, n)
}
