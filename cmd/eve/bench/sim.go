package bench

import (
	"context"
	"fmt"
	"time"

	"github.com/eve-emulation/eve/dsv"
	"github.com/eve-emulation/eve/fase/scenario"
	"github.com/eve-emulation/eve/fase/sim"
	"github.com/eve-emulation/eve/fase/step"
	"github.com/eve-emulation/eve/internal/mono"
)

// Sim measures the simulator: how many events it takes from its calendars for a CPU second, with all measurements on, and
// how many its bare calendar does. Beside each, in the same rounds, stands a bare heap of typed events that holds as many.
func Sim(ctx context.Context, cfg Config) (*Report, error) {
	x := &simulator{cfg: cfg}
	return measure("sim", cfg, func(r *Report) error { return x.run(ctx, r) })
}

type simulator struct{ cfg Config }

// simCase is one thing to simulate; or a calendar alone, where there is no scenario.
type simCase struct {
	name    string
	pending int // events in the bare heap beside it
	plan    func(d time.Duration) (*scenario.Plan, error)
	length  time.Duration // virtual
	goal    float64       // events per CPU second; 0: none

	ours, bare, virtual []float64
}

func (x *simulator) cases() []*simCase {
	second := pick(x.cfg, time.Second, 50*time.Millisecond)
	many := pick(x.cfg, 1_000_000, 10_000)
	return []*simCase{
		{name: "mm1 at 7 000/s", pending: 3, plan: busyQueue, length: 30 * second, goal: 5e6},
		{name: "mm1 as shipped, 70/s", pending: 3, plan: asShipped("mm1"), length: 300 * second},
		{
			name: "three-tier at 400/s", pending: 100, length: 30 * second, goal: 1.5e6,
			plan: asShipped("three-tier", "rate=400/s", "web=4", "app=5", "db=3"),
		},
		{name: fmt.Sprintf("%d users", many), pending: many, length: 5 * second, plan: crowdOf(many)},
		{name: "calendar, 3 pending", pending: 3},
		{name: "calendar, 1 000 pending", pending: 1000},
		{name: fmt.Sprintf("calendar, %d pending", many), pending: many, goal: 2e6},
	}
}

func (x *simulator) run(ctx context.Context, r *Report) error {
	cases := x.cases()
	rounds := pick(x.cfg, 6, 2)
	ops := pick(x.cfg, 400_000, 5_000)
	for i := range rounds {
		x.cfg.say("S1: round %d of %d", i+1, rounds)
		for _, c := range cases {
			if err := c.measure(ctx, ops); err != nil {
				return err
			}
		}
	}
	x.report(r, cases)
	return nil
}

// measure takes one round of a case.
func (c *simCase) measure(ctx context.Context, ops int) error {
	c.bare = append(c.bare, bareHeap(c.pending, ops))
	if c.plan == nil {
		c.ours = append(c.ours, calendar(c.pending, ops))
		return nil
	}
	plan, err := c.plan(c.length)
	if err != nil {
		return err
	}
	s, err := sim.New(ctx, plan, dsv.NewStore(nil))
	if err != nil {
		return err
	}
	before := mono.ProcessCPU()
	if err := s.Run(ctx, nil); err != nil {
		return err
	}
	used := float64(mono.ProcessCPU()-before) / 1e9
	c.ours = append(c.ours, float64(s.Events())/used)
	c.virtual = append(c.virtual, plan.Duration.Seconds()/used)
	return nil
}

func (x *simulator) report(r *Report, cases []*simCase) {
	t := &Table{
		Card: "S1", Title: "events for a CPU second: entries that come due in the calendars of servers and client groups",
		Head: "events", Also: []string{"virtual seconds"}, Peers: []string{"bare heap"},
		Note: "all standard measurements and records, kept in memory; CPU time of the whole process, the collector's included. Bare heap: four children to a node,\n" +
			"  typed events by value, which are taken out and put back later, as many pending. virtual seconds: of a simulation for a CPU second",
	}
	for _, c := range cases {
		row := Row{Name: c.name, Ours: NewFigure(PerSecond, c.ours...), Peers: map[string]Figure{"bare heap": NewFigure(PerSecond, c.bare...)}}
		if c.plan != nil {
			row.Also = []Figure{NewFigure(One, c.virtual...)}
		}
		t.Rows = append(t.Rows, row)
		if c.goal > 0 {
			r.Shapes = append(r.Shapes, goal(AtLeast("S1", c.name, row.Ours, c.goal)))
		}
	}
	r.Tables = append(r.Tables, t)
}

func busyQueue(d time.Duration) (*scenario.Plan, error) {
	return scenario.Load("mm1.yaml", fmt.Appendf(nil, `eve: 1
name: mm1
duration: %gs
warmup: 0s
seed: 1
requests: |
  request job { call queue { cpu exp(100us) } }
servers:
  server_1: {cpus: 1, run: hold, discipline: fcfs}
services:
  queue: {on: [server_1]}
clients:
  jobs: {request: job, arrive: poisson, rate: 7000/s, patience: none}
`, d.Seconds()), scenario.Options{})
}

// asShipped is a shipped scenario for another time, with some values set.
func asShipped(name string, set ...string) func(time.Duration) (*scenario.Plan, error) {
	return func(d time.Duration) (*scenario.Plan, error) {
		return shippedPlan(name, append([]string{fmt.Sprintf("duration=%gs", d.Seconds()), "warmup=0s"}, set...))
	}
}

// crowdOf is a closed group of so many users, one event of each pending, at sixteen processors.
func crowdOf(users int) func(time.Duration) (*scenario.Plan, error) {
	return func(d time.Duration) (*scenario.Plan, error) {
		return scenario.Load("crowd.yaml", fmt.Appendf(nil, `eve: 1
name: crowd
duration: %gs
warmup: 0s
seed: 1
requests: |
  request job { call app { cpu exp(500us) } }
servers:
  server_1: {cpus: 16, run: hold}
services:
  app: {on: [server_1]}
clients:
  crowd: {request: job, users: %d, think: exp(50s), patience: none}
`, d.Seconds(), users), scenario.Options{})
	}
}

// calendar is how many events for a CPU second the simulator's own agenda does: the first is taken out, and put back later.
func calendar(pending, ops int) float64 {
	var a step.Agenda[dsv.Instant, typed]
	var draws lcg
	for i := range pending {
		a.Push(dsv.Instant(draws.next()), typed{kind: 1, ref: uint64(i), n: int64(i)})
	}
	return perCPUSecond(ops, func() {
		at, e, _ := a.Pop()
		a.Push(at+dsv.Instant(draws.next()), e)
	})
}

// bareHeap is the same of the simplest calendar there is.
func bareHeap(pending, ops int) float64 {
	var h heap4
	var draws lcg
	for i := range pending {
		h.push(due{at: draws.next(), e: typed{kind: 1, ref: uint64(i), n: int64(i)}})
	}
	return perCPUSecond(ops, func() {
		d := h.pop()
		d.at += draws.next()
		h.push(d)
	})
}

func perCPUSecond(ops int, do func()) float64 {
	before := mono.ProcessCPU()
	for range ops {
		do()
	}
	return float64(ops) / (float64(mono.ProcessCPU()-before) / 1e9)
}

// typed is what an event of the simulator holds.
type typed struct {
	kind uint8
	ref  uint64
	n    int64 // as wide as theirs
}

type due struct {
	at int64
	e  typed
}

// heap4 is a heap with four children to a node.
type heap4 struct{ items []due }

func (h *heap4) push(d due) {
	h.items = append(h.items, d)
	i := len(h.items) - 1
	for i > 0 {
		p := (i - 1) / 4
		if h.items[p].at <= d.at {
			break
		}
		h.items[i] = h.items[p]
		i = p
	}
	h.items[i] = d
}

func (h *heap4) pop() due {
	first, last := h.items[0], len(h.items)-1
	d := h.items[last]
	h.items = h.items[:last]
	i := 0
	for {
		c := 4*i + 1
		if c >= last {
			break
		}
		for k := c + 1; k < min(4*i+5, last); k++ {
			if h.items[k].at < h.items[c].at {
				c = k
			}
		}
		if h.items[c].at >= d.at {
			break
		}
		h.items[i] = h.items[c]
		i = c
	}
	if last > 0 {
		h.items[i] = d
	}
	return first
}

// lcg draws how much later an event is due, in ns: uniform below 2^30 (Knuth's MMIX generator, by its upper bits).
type lcg uint64

func (l *lcg) next() int64 {
	*l = *l*6364136223846793005 + 1442695040888963407
	return int64(*l >> 34)
}
