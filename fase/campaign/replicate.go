package campaign

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/eve-emulation/eve/dmm/expr"
	"github.com/eve-emulation/eve/fase/runs"
	"github.com/eve-emulation/eve/fase/scenario"
	"github.com/eve-emulation/eve/fase/stat"
)

// The bounds of replications.
const (
	DefaultMost       = 500  // where a goal asks for more and more
	DefaultConfidence = 0.95 // of every interval
)

// A Study is a scenario to be replicated.
type Study struct {
	// Plan loads the scenario with a seed; from several goroutines.
	Plan func(seed uint64) (*scenario.Plan, error)
	Seed uint64 // of the first replication; each has one more than the one before
	// Count is how many there are; with a goal, at how many it is looked at first, at least ten.
	Count int
	Goal  *Goal // nil: none
	Most  int   // replications with a goal; 0: DefaultMost
	// Workers is how many run at once; 0: as many as there are processors. The table does not depend on it.
	Workers int
	Version string // of Eve, for summaries
	// Hooks, where not nil, are those of a replication; each is called from its goroutine.
	Hooks func(plan *scenario.Plan) Hooks
	// Done, where not nil, is called with each replication that has ended, before its history is forgotten, from several
	// goroutines. It may add to the summary. Its error ends the study.
	Done func(ctx context.Context, r *Result) error
	// Progress, where not nil, is told how many have ended of how many are wanted by now; one call at a time.
	Progress func(ended, wanted int)
}

// replication is what is kept of one.
type replication struct {
	seed    uint64
	summary *runs.Summary
	flat    map[string]float64
	expect  [][]expr.Sides
	value   float64
	sides   []expr.Sides
	cells   []series // by group
}

// Run simulates replications, and sums them up. When ctx ends, or a replication fails, the table is that of those that had
// ended, and comes beside the error; nil where there is none. Equal studies give equal tables.
func (s Study) Run(ctx context.Context) (*Table, error) {
	plan, err := s.Plan(s.Seed)
	if err != nil {
		return nil, err
	}
	reps, reached, err := s.sequence(func(from, to int) ([]*replication, error) { return s.replicate(ctx, from, to) })
	if len(reps) == 0 {
		return nil, err
	}
	t := s.table(plan, reps, reached)
	t.Interrupted = ctx.Err() != nil
	return t, err
}

// sequence has replications made, by numbers from one to below another, until the goal is reached.
func (s *Study) sequence(replicate func(from, to int) ([]*replication, error)) (reps []*replication, reached *Reached, err error) {
	n, most := max(s.Count, 1), max(s.Count, 1)
	if s.Goal != nil {
		most = s.atMost()
		n = min(max(n, leastLook), most)
	}
	for looks := 1; ; looks++ {
		more, err := replicate(len(reps), n)
		reps = append(reps, more...)
		if s.Goal != nil && len(reps) > 0 {
			reached = s.look(reps, looks)
		}
		if err != nil || reached == nil || reached.Reached || n >= most {
			return reps, reached, err
		}
		e, _ := stat.Mean(values(reps), DefaultConfidence)
		n = min(max(s.Goal.next(n, e), n+1), most)
	}
}

// replicate runs those from a number to below another, and returns those that ended whole.
func (s *Study) replicate(ctx context.Context, from, to int) ([]*replication, error) {
	inner, stop := context.WithCancel(ctx)
	defer stop()
	out := make([]*replication, to-from)
	var mu sync.Mutex
	ended := from
	err := Each(inner, len(out), s.Workers, func(ctx context.Context, i int) error {
		r, err := s.one(ctx, s.Seed+uint64(from+i))
		if err != nil {
			stop() // of the others nothing could be said
			return err
		}
		out[i] = r
		if s.Progress != nil {
			mu.Lock()
			defer mu.Unlock()
			ended++
			s.Progress(ended, to)
		}
		return nil
	})
	var whole []*replication
	for _, r := range out {
		if r != nil {
			whole = append(whole, r)
		}
	}
	return whole, cause(ctx, err)
}

// cause is what ended replications: of several errors the first that is not that another one ended them.
func cause(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if many, ok := err.(interface{ Unwrap() []error }); ok {
		for _, e := range many.Unwrap() {
			if !errors.Is(e, context.Canceled) {
				return e
			}
		}
	}
	return err
}

// one runs a replication.
func (s *Study) one(ctx context.Context, seed uint64) (*replication, error) {
	plan, err := s.Plan(seed)
	if err != nil {
		return nil, err
	}
	o := Options{Version: s.Version}
	if s.Hooks != nil {
		o.Hooks = s.Hooks(plan)
	}
	r, err := Simulate(ctx, plan, o)
	if err == nil && s.Done != nil {
		err = s.Done(ctx, r)
	}
	if err != nil {
		return nil, err
	}
	x := &replication{seed: seed, summary: r.Summary}
	if x.flat, err = Flatten(r.Summary); err != nil {
		return nil, err
	}
	reader := r.reader()
	for _, e := range plan.Expect {
		sides, err := e.Program.Sides(reader)
		if err != nil {
			return nil, fmt.Errorf("expect %s: %w", e.Text, err)
		}
		x.expect = append(x.expect, sides)
	}
	if s.Goal != nil {
		if x.value, x.sides, err = s.Goal.value(r); err != nil {
			return nil, fmt.Errorf("until %s: %w", s.Goal.Text, err)
		}
	}
	for i := range plan.Clients {
		x.cells = append(x.cells, cellsOf(r.History, plan.Clients[i].Name, plan.Duration))
	}
	return x, nil
}

func values(reps []*replication) []float64 {
	xs := make([]float64, len(reps))
	for i, r := range reps {
		xs[i] = r.value
	}
	return xs
}

// look says how far the goal is reached. Of a condition, each look takes a share of what all may err, so that looking again
// and again does not find by chance what is not so.
func (s *Study) look(reps []*replication, looks int) *Reached {
	g := s.Goal
	f := figureOf("", values(reps), DefaultConfidence)
	f.Values = nil
	x := &Reached{Goal: g.Text, Looks: looks, Figure: f, Verdict: stat.Inconclusive, Wanted: runs.Number(nan)}
	x.Reached = true
	if g.Program.IsCondition() {
		share := 1 - (1-DefaultConfidence)/float64(looks*(looks+1))
		x.Verdict, _, x.Why = decide(g.Program, sidesOf(reps, func(r *replication) []expr.Sides { return r.sides }), share)
		x.Reached = g.asks() || x.Verdict != stat.Inconclusive
	}
	if g.asks() {
		e := stat.Estimate{Value: float64(f.Value), Low: float64(f.Low), High: float64(f.High)}
		x.Wanted = runs.Number(g.width(e))
		x.Reached = len(reps) >= min(leastLook, s.atMost()) && g.precise(e)
	}
	if f.N < len(reps) {
		x.Reached, x.Why = false, fmt.Sprintf("there are data in %d of %d replications", f.N, len(reps))
	}
	return x
}

func (s *Study) atMost() int {
	if s.Most > 0 {
		return s.Most
	}
	return DefaultMost
}

func sidesOf(reps []*replication, of func(*replication) []expr.Sides) [][]expr.Sides {
	out := make([][]expr.Sides, len(reps))
	for i, r := range reps {
		out[i] = of(r)
	}
	return out
}
