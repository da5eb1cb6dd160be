package app

import (
	"context"
	"fmt"
	"math"
	"path/filepath"
	"time"

	"github.com/eve-emulation/eve/dsv"
	"github.com/eve-emulation/eve/fase/campaign"
	"github.com/eve-emulation/eve/fase/replay"
	"github.com/eve-emulation/eve/fase/runs"
	"github.com/eve-emulation/eve/fase/scenario"
	"github.com/eve-emulation/eve/fase/solve"
)

// agreeCase is the agreement of simulation and run: the scenario flash-crowd for real, and in virtual time.
const agreeCase = "agree"

// The bounds of the agreement, and the settled phases of flash-crowd: before the crowd comes, once both actions have been taken and the
// line is gone, and after it has left.
const (
	agreeShare   = 0.05
	agreeSeconds = 1e-3
	agreePeriods = 2 * 100 * time.Millisecond // two sampling periods: rules look ten times a second
)

func agreePhases() []runs.Interval {
	return []runs.Interval{{From: 5, To: 19}, {From: 32, To: 44}, {From: 52, To: 60}}
}

// agrees runs flash-crowd, whose demands are held, and holds the run against its simulation: mean and p95 of each service, as its servers and
// its callers see it, and of the crowd, in each settled phase; and what was decided.
func (t *truth) agrees(ctx context.Context) error {
	plan, err := t.app.load("flash-crowd", overrides{seed: -1})
	if err != nil {
		return err
	}
	virtual, err := campaign.Simulate(ctx, plan, campaign.Options{})
	if err != nil {
		return err
	}
	fmt.Fprintf(t.app.err, "%s: flash-crowd: %v …\n", agreeCase, plan.Duration)
	o, err := t.app.perform(ctx, plan, filepath.Join(t.out, agreeCase), runs.Real, nil, newView(plan, discard{}))
	if err != nil {
		return err
	}
	switch o.summary.Exit {
	case runs.ExitInterrupted, runs.ExitFailed:
		return fmt.Errorf("%s: %w", agreeCase, o.failure())
	}
	folder, err := runs.Open(o.dir)
	if err != nil {
		return err
	}
	defer folder.Close()
	for _, p := range agreePhases() {
		t.claims = append(t.claims, agreement(plan, folder.History(), virtual.History, p, o.noise)...)
	}
	t.claims = append(t.claims, sameCourse(o.summary, virtual.Summary, o.noise.CleanAt(0, plan.Duration.Seconds())))
	return t.threeAnswers(ctx)
}

// agreement compares the response times of the undisturbed seconds of a phase. Where those are fewer than half, it is not certified.
func agreement(plan *scenario.Plan, run, sim runs.History, p runs.Interval, noise *runs.Noise) (out []claim) {
	n, clean := 0, map[int]bool{}
	for at := int(p.From); at < int(p.To); at++ {
		n++
		if noise.CleanAt(float64(at), float64(at+1)) {
			clean[at] = true
		}
	}
	certified := 2*len(clean) >= n
	if !certified {
		for at := int(p.From); at < int(p.To); at++ {
			clean[at] = true
		}
	}
	var names []dsv.Name
	for _, s := range plan.Topology.Services {
		names = append(names, dsv.Name(s+".latency"))
	}
	names = append(names, dsv.Name(plan.Clients[0].Name+".latency"))
	for _, n := range names {
		a, b := distribution(run, n, p, clean), distribution(sim, n, p, clean)
		for _, q := range []struct {
			name           string
			measured, want float64
		}{{"mean", a.Mean(), b.Mean()}, {"p95", a.Quantile(0.95), b.Quantile(0.95)}} {
			c := claim{
				card: agreeCase, name: fmt.Sprintf("%s(%s), %g s to %g s", q.name, n, float64(p.From), float64(p.To)),
				asked: milli(q.want), found: milli(q.measured), rule: "5 % or 1 ms",
				verdict: claimed(math.Abs(q.measured-q.want) <= max(agreeShare*q.want, agreeSeconds)),
			}
			if !certified {
				c.verdict = notCertified
			}
			out = append(out, c)
		}
	}
	return out
}

// distribution is what a histogram gathered in some seconds of a phase, exact to the period of synchronisation.
func distribution(h runs.History, n dsv.Name, p runs.Interval, seconds map[int]bool) *dsv.Hist {
	var sum dsv.HistSum
	from, to := dsv.Instant(p.From*1e9), dsv.Instant(p.To*1e9)
	_ = h.History(n, from, to, func(u dsv.Update) error {
		if u.Delta != nil && u.Delta.T0 >= from && u.Delta.Value.Hist != nil && seconds[int(u.Delta.T0/1e9)] {
			sum.Add(u.Delta.Value.Hist)
		}
		return nil
	})
	return sum.Hist()
}

// sameCourse compares what was decided: the same actions in the same order, within two sampling periods.
func sameCourse(run, sim *runs.Summary, clean bool) claim {
	d := replay.Judge(sim, run, 0).Decisions
	c := claim{
		card: agreeCase, name: "decisions, in order", asked: fmt.Sprintf("%d", d.Recorded),
		found: fmt.Sprintf("%d alike, at most %.0f ms apart", d.Alike, 1e3*float64(d.Apart)), rule: fmt.Sprintf("%v apart", agreePeriods),
		verdict: claimed(d.First == "" && float64(d.Apart) <= agreePeriods.Seconds()+1e-9),
	}
	if d.First != "" {
		c.found += "; " + d.First
	}
	if c.verdict == claimed(false) && !clean {
		c.verdict = notCertified
	}
	return c
}

// replicasOfAnswers is how many simulations of mm1 stand beside theory.
const replicasOfAnswers = 20

// threeAnswers holds mm1 solved, simulated and run against each other: the mean of replications must be within four standard errors of what
// solving says, and the run within 3 % or 0.5 ms of its own simulation, which has the same arrivals.
func (t *truth) threeAnswers(ctx context.Context) error {
	plan, err := t.app.load("mm1", overrides{seed: -1})
	if err != nil {
		return err
	}
	m, err := solve.Of(plan, solve.Options{})
	if err != nil {
		return err
	}
	solved, err := m.Solve()
	if err != nil {
		return err
	}
	name, theory := plan.Clients[0].Name, solved.Groups[0].Response
	means := make([]float64, replicasOfAnswers)
	if err := campaign.Each(ctx, len(means), 0, func(ctx context.Context, i int) error {
		p, err := t.app.load("mm1", overrides{seed: int64(plan.Seed) + int64(i)})
		if err != nil {
			return err
		}
		r, err := campaign.Simulate(ctx, p, campaign.Options{})
		if err == nil {
			means[i] = float64(r.Summary.Clients[name].Response.Mean)
		}
		return err
	}); err != nil {
		return err
	}
	se := spread(means) / math.Sqrt(float64(len(means)))
	t.claims = append(t.claims, claim{
		agreeCase, fmt.Sprintf("mm1 solved, and simulated %d times", len(means)), milli(theory), fmt.Sprintf("%s ± %s", milli(mean(means)), milli(se)),
		fmt.Sprintf("%d standard errors", theoryErrors), claimed(math.Abs(mean(means)-theory) <= theoryErrors*se),
	})
	fmt.Fprintf(t.app.err, "%s: mm1: %v …\n", agreeCase, plan.Duration)
	o, err := t.app.perform(ctx, plan, filepath.Join(t.out, agreeCase+"-mm1"), runs.Real, nil, newView(plan, discard{}))
	if err != nil {
		return err
	}
	got, want := float64(o.summary.Clients[name].Response.Mean), means[0]
	c := claim{
		agreeCase, "mm1 simulated, and run", milli(want), milli(got), "3 % or 0.5 ms",
		claimed(math.Abs(got-want) <= max(truthShare*want, truthSeconds)),
	}
	if c.verdict == claimed(false) && !o.noise.CleanAt(0, plan.Duration.Seconds()) {
		c.verdict = notCertified
	}
	t.claims = append(t.claims, c)
	return nil
}
