package judge

import (
	"context"
	"errors"
	"fmt"
	"math"
	"time"

	"github.com/eve-emulation/eve/dsv"
	"github.com/eve-emulation/eve/fase/runs"
	"github.com/eve-emulation/eve/fase/scenario"
	"github.com/eve-emulation/eve/fase/sim"
)

// baselines serves the arrivals of a plan in other ways: without adaptation, provisioned for the peak, and by who knows the
// future.
func baselines(ctx context.Context, plan *scenario.Plan, s *runs.Summary, o Options) (*runs.Baselines, error) {
	if o.Known != nil {
		return o.Known, nil
	}
	out := &runs.Baselines{}
	switch {
	case s.Interrupted:
		out.Missing = "the run ended early"
		return out, nil
	case sim.Check(plan) != nil:
		out.Missing = sim.Check(plan).Error()
		return out, nil
	}
	w := &world{plan: still(plan), from: instant(s.Window.From), to: instant(s.Window.To), budget: o.Budget}
	if w.budget == 0 {
		w.budget = DefaultBudget
	}
	w.attempts = newAttempts(ctx, w)
	err := w.fill(ctx, plan, out)
	w.attempts.close()
	out.Simulations = w.simulations
	switch {
	case ctx.Err() != nil:
		return nil, ctx.Err()
	case errors.Is(err, errBudget):
		out.Missing = fmt.Sprintf("it would simulate more than %d requests and calls", w.budget)
	case err != nil:
		out.Missing = err.Error()
	}
	return out, nil
}

// fill adds one baseline after the other, as far as it comes.
func (w *world) fill(ctx context.Context, plan *scenario.Plan, out *runs.Baselines) error {
	known := w.prepare(plan)
	if known == nil {
		w.attempts.expect([]*attempt{{changes: w.all(), until: w.to}})
	}
	t, err := w.run(ctx, w.plan, nil, w.to, false)
	if err != nil {
		return err
	}
	w.spent, w.simulations = w.spent+t.cost, w.simulations+1
	out.None = t.baseline()
	out.None.ServerSeconds = runs.Number(float64(servers(plan, nil, nil)) * w.to.Sub(w.from).Seconds())
	if known != nil {
		return known
	}
	cost, err := w.top()
	if err != nil {
		return err
	}
	if out.Peak, err = w.peak(); err != nil {
		return err
	}
	return w.best(out, cost)
}

// prepare finds what may be placed where. The error is why there is nothing to search.
func (w *world) prepare(plan *scenario.Plan) (err error) {
	if len(plan.Objectives()) == 0 {
		return errors.New("there is no slo that says what is enough")
	}
	why := ""
	if w.sites, why = sites(plan); why != "" {
		return errors.New(why)
	}
	if len(w.sites) == 0 {
		return errors.New("the adaptation places nothing")
	}
	w.options, err = options(plan, w.sites)
	return err
}

// all is the schedule in which everything is there all the time.
func (w *world) all() []change { return []change{{0, len(w.options) - 1}} }

// top finds the seconds that are violated although all is there all the time: nothing helps them. It returns what one
// simulation costs.
func (w *world) top() (int, error) {
	t, err := w.attempts.ask(w.all(), w.to, false)
	if err != nil {
		return 0, err
	}
	w.excused = map[int]bool{}
	for i, bad := range t.verdicts.violated {
		if bad {
			w.excused[t.verdicts.first+i] = true
		}
	}
	t.bad = -1 // all are excused
	return t.cost, nil
}

// peak is the cheapest option that holds all the time.
func (w *world) peak() (*runs.Baseline, error) {
	x := search{options: w.options, weights: []float64{w.to.Sub(w.from).Seconds()}}
	w.bind(&x, w.to-w.from)
	schedule, err := x.best()
	if err != nil {
		return nil, err
	}
	return w.tell(&x, schedule, w.to-w.from)
}

// tell is the baseline that a schedule which holds comes to.
func (w *world) tell(x *search, schedule []int, d dsv.Instant) (*runs.Baseline, error) {
	cs := changes(schedule, w.from, d)
	t, err := w.attempts.ask(cs, w.to, true)
	if err != nil {
		return nil, err
	}
	b := t.baseline()
	b.ServerSeconds = runs.Number(x.cost(schedule))
	b.Replicas = levels(w.plan, w.sites, w.options, cs, w.from)
	return b, nil
}

// bind makes a search one for schedules of intervals of a length.
func (w *world) bind(x *search, d dsv.Instant) {
	end := func(schedule []int) dsv.Instant { return min(w.from+dsv.Instant(len(schedule))*d, w.to) }
	x.holds = func(schedule []int) (int, error) {
		t, err := w.attempts.ask(changes(schedule, w.from, d), end(schedule), true)
		switch {
		case err != nil:
			return 0, err
		case t.bad < 0:
			return len(schedule), nil
		}
		return min(int((dsv.Instant(t.bad)*second-w.from)/d), len(schedule)), nil
	}
	x.expect = func(schedules ...[]int) {
		xs := make([]*attempt, len(schedules))
		for i, s := range schedules {
			xs[i] = &attempt{changes: changes(s, w.from, d), until: end(s), stop: true}
		}
		w.attempts.expect(xs)
	}
}

// The intervals at whose ends the best baseline may change.
const (
	mostIntervals  = 40
	leastIntervals = 4
	// shortInterval is how short they are at the least, where the run is not so short that there were but a few.
	shortInterval = 5 * time.Second
	// trials is about how many simulations of the whole run the search takes for each interval.
	trials = 2
)

// interval chooses their length, so that the search fits what is left of the budget. 0: it does not.
func (w *world) interval(cost int) dsv.Instant {
	length := w.to - w.from
	for _, s := range []int{1, 2, 5, 10, 20, 30, 60, 120, 300, 600, 1200, 1800, 3600, 7200} {
		d := dsv.Instant(s) * second
		n := (length + d - 1) / d
		if n > mostIntervals || d < dsv.Instant(shortInterval) && n > 2*leastIntervals {
			continue
		}
		if int(n)*trials*cost <= w.budget-w.spent {
			return d
		}
		if n < leastIntervals {
			break
		}
	}
	return 0
}

// best is the cheapest schedule of options that holds.
func (w *world) best(out *runs.Baselines, cost int) error {
	d := w.fixed
	if d == 0 {
		d = w.interval(cost)
	}
	if d == 0 {
		return errBudget
	}
	x := search{options: w.options}
	for at := w.from; at < w.to; at += d {
		x.weights = append(x.weights, min(d, w.to-at).Seconds())
	}
	w.bind(&x, d)
	schedule, err := x.best()
	if err != nil {
		return err
	}
	if out.Best, err = w.tell(&x, schedule, d); err != nil {
		return err
	}
	out.Interval, out.AtLeast = runs.Number(d.Seconds()), runs.Number(math.NaN())
	if least, err := x.bound(schedule); err == nil {
		out.AtLeast = runs.Number(least)
	} else if !errors.Is(err, errBudget) {
		return err
	}
	return nil
}

// changes are the options of a schedule at the instants from which they hold; the first one's holds from T0.
func changes(schedule []int, from, d dsv.Instant) []change {
	out := []change{{0, schedule[0]}}
	for k := 1; k < len(schedule); k++ {
		if schedule[k] != schedule[k-1] {
			out = append(out, change{from + dsv.Instant(k)*d, schedule[k]})
		}
	}
	return out
}

// follow simulates a schedule.
func (w *world) follow(ctx context.Context, schedule []change, until dsv.Instant, stop bool) (*trial, error) {
	p := w.placed(schedule[0].option)
	return w.run(ctx, p, writes(p, w.sites, w.options, schedule), until, stop)
}
