package judge

import (
	"context"
	"slices"

	"github.com/eve-emulation/eve/dsv"
	"github.com/eve-emulation/eve/fase/runs"
	"github.com/eve-emulation/eve/fase/scenario"
)

// A Problem is a search as tests state it: options by what they have of each site, the dearest last.
type Problem struct {
	Picks   [][]int
	Costs   []float64
	Weights []float64
	Holds   func(schedule []int) int
}

// Solve searches, and returns the schedule, its cost, what no schedule costs less than, and how often it asked Holds.
func (p Problem) Solve() (schedule []int, cost, least float64, asked int, err error) {
	x := search{weights: p.Weights, holds: func(s []int) (int, error) {
		asked++
		return p.Holds(s), nil
	}}
	for i, picks := range p.Picks {
		x.options = append(x.options, option{picks, p.Costs[i]})
	}
	if schedule, err = x.best(); err != nil {
		return nil, 0, 0, asked, err
	}
	least, err = x.bound(schedule)
	return schedule, x.cost(schedule), least, asked, err
}

// BruteForce simulates every schedule of a plan with intervals of a length, and returns the least server-seconds of those that
// hold as well as all servers do all the time.
func BruteForce(ctx context.Context, plan *scenario.Plan, s *runs.Summary, d dsv.Instant) (float64, int, error) {
	w := &world{plan: still(plan), from: instant(s.Window.From), to: instant(s.Window.To), budget: 1 << 60}
	w.sites, _ = sites(plan)
	var err error
	if w.options, err = options(plan, w.sites); err != nil {
		return 0, 0, err
	}
	w.attempts = newAttempts(ctx, w)
	defer w.attempts.close()
	if _, err := w.top(); err != nil {
		return 0, 0, err
	}
	n := int((w.to - w.from + d - 1) / d)
	schedule, best, tried := make([]int, n), -1.0, 0
	for {
		t, err := w.follow(ctx, changes(schedule, w.from, d), w.to, true)
		if err != nil {
			return 0, 0, err
		}
		tried++
		cost := 0.0
		for k, o := range schedule {
			length := min(w.from+dsv.Instant(k+1)*d, w.to) - (w.from + dsv.Instant(k)*d)
			cost += w.options[o].cost * length.Seconds()
		}
		if t.bad < 0 && (best < 0 || cost < best) {
			best = cost
		}
		i := n - 1
		for ; i >= 0; i-- {
			if schedule[i]++; schedule[i] < len(w.options) {
				break
			}
			schedule[i] = 0
		}
		if i < 0 {
			return best, tried, nil
		}
	}
}

// Interval is the length of the intervals that a search chooses for a run of a window and a cost.
func Interval(from, to dsv.Instant, budget, cost int) dsv.Instant {
	w := &world{from: from, to: to, budget: budget}
	return w.interval(cost)
}

// Provision compares a supply with a demand.
func Provision(supply, demand []runs.ReplicaLevel, from, to, interval dsv.Instant) runs.Provisioning {
	return provision(stepsOf(supply), stepsOf(demand), from, to, interval)
}

// Closed is the demand that a schedule shows.
func Closed(levels []runs.ReplicaLevel, from, to, interval dsv.Instant) []runs.ReplicaLevel {
	return closed(levels, from, to, interval)
}

// Settle merges violations.
func Settle(violations []runs.Interval, end runs.Number) *runs.Settling {
	return settling(violations, end)
}

// Oscillations counts those of a service that has so many replicas, one after the other, at instants a second apart.
func Oscillations(replicas []int, demand []runs.ReplicaLevel, reach dsv.Instant) int {
	var path []turn
	set := func(n int) []string { return slices.Repeat([]string{"x"}, n) }
	for i := 1; i < len(replicas); i++ {
		path = append(path, turn{dsv.Instant(i) * second, set(replicas[i-1]), set(replicas[i])})
	}
	return oscillations(path, stepsOf(demand), reach)
}

// BestOf searches with intervals of a length, and returns what no schedule costs less than, and what was found.
func BestOf(ctx context.Context, plan *scenario.Plan, s *runs.Summary, d dsv.Instant) (least, found float64, err error) {
	w := &world{plan: still(plan), from: instant(s.Window.From), to: instant(s.Window.To), budget: 1 << 60, fixed: d}
	w.sites, _ = sites(plan)
	if w.options, err = options(plan, w.sites); err != nil {
		return 0, 0, err
	}
	w.attempts = newAttempts(ctx, w)
	defer w.attempts.close()
	cost, err := w.top()
	if err != nil {
		return 0, 0, err
	}
	var b runs.Baselines
	err = w.best(&b, cost)
	return float64(b.AtLeast), float64(b.Best.ServerSeconds), err
}
