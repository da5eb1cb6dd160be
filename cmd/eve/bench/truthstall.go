package bench

import (
	"context"
	"fmt"
	"math"
	"time"

	"github.com/eve-emulation/eve/fase/report"
	"github.com/eve-emulation/eve/fase/runs"
	"github.com/eve-emulation/eve/fase/user"
)

// G2: a server stands still for a tenth of a run. Of requests that come evenly, the share that takes longer than x is then
// (freeze − x) ÷ run; so Tene's demonstration of coordinated omission (README of wrk2) has a closed form.
const (
	stallRate   = 1000 // per second
	stallWithin = 20 * time.Millisecond
	// The control has so few connections and stamps requests when they are sent, as closed load generators do.
	stallControl = 10
)

// omission is G2.
func (x *sworn) omission(_ context.Context, r *Report) error {
	run := pick(x.cfg, 10*time.Second, time.Second)
	freeze := run / 10
	rate := pick(x.cfg, float64(stallRate), 500)
	m := mischief{FreezeAt: int64(run*2/5 + time.Duration(0.5/rate*1e9)), Freeze: freeze}
	// Where a process has threads, Linux takes some ten milliseconds to double its table of descriptors, which would be found in the
	// responses: as many connections as will wait have been there before.
	if _, err := x.run(guests{Users: int(1.2 * rate * freeze.Seconds()), Own: true, Think: 100 * time.Millisecond, Run: 400 * time.Millisecond}, mischief{}); err != nil {
		return fmt.Errorf("G2: %w", err)
	}
	x.cfg.say("G2: a server that stands still for %v of %v", freeze, run)
	g := guests{Run: run, Law: user.Constant, Rate: []user.Point{{Rate: rate}}}
	honest, err := x.run(g, m)
	if err != nil {
		return fmt.Errorf("G2: %w", err)
	}
	x.cfg.say("G2: the same, stamped at sending, over %d connections", stallControl)
	g.Connections = stallControl
	control, err := x.run(g, m)
	if err != nil {
		return fmt.Errorf("G2, control: %w", err)
	}
	x.reportStall(r, run, freeze, &honest, &control)
	return nil
}

// stalled is the q quantile of responses when a share freeze ÷ run of them waits for the end of the freeze.
func stalled(q float64, run, freeze time.Duration) float64 {
	return max(0, math.Round(1e9*(freeze.Seconds()-(1-q)*run.Seconds()))/1e9)
}

func (x *sworn) reportStall(r *Report, run, freeze time.Duration, honest, control *hearing) {
	t := &Table{
		Card: "G2", Title: fmt.Sprintf("a server that stands still for %v of %v", freeze, run), Head: "from due", Also: []string{"stamped at sending", "closed form"},
		Note: fmt.Sprintf("stamped at sending: the control, %d connections; clean seconds: %s and %s", stallControl, report.Share(honest.clean(run)), report.Share(control.clean(run))),
	}
	for _, q := range []struct {
		name            string
		q               float64
		honest, control runs.Number
	}{
		{"p50", 0.5, honest.Response.P50, control.FromSent.P50},
		{"p90", 0.9, honest.Response.P90, control.FromSent.P90},
		{"p95", 0.95, honest.Response.P95, control.FromSent.P95},
		{"p99", 0.99, honest.Response.P99, control.FromSent.P99},
		{"max", 1, honest.Response.Max, control.FromSent.Max},
	} {
		want := stalled(q.q, run, freeze)
		f, c := NewFigure(Seconds, float64(q.honest)), NewFigure(Seconds, float64(q.control))
		t.Rows = append(t.Rows, Row{Name: q.name, Ours: f, Also: []Figure{c, NewFigure(Seconds, want)}})
		if q.q < 0.95 {
			continue
		}
		low, high := want-stallWithin.Seconds(), want+stallWithin.Seconds()
		s := Within("G2", q.name+" from due", f, low, high)
		if float64(f.Value) > high { // a disturbed machine makes it later, and never earlier
			s = certified(s, honest.clean(run))
		}
		r.Shapes = append(r.Shapes, s)
		if q.q < 1 {
			r.Shapes = append(r.Shapes, certified(AtMost("G2", q.name+" of the control, which must miss it", c, low), control.clean(run)))
		}
	}
	r.Tables = append(r.Tables, t)
	r.Shapes = append(r.Shapes, Always("G2", "requests that are unaccounted for", honest.unaccounted()+control.unaccounted(), honest.Planned+control.Planned))
	r.Charts = append(r.Charts, stallChart(run, freeze, honest, control))
}

// stallChart draws the quantiles beside the closed form.
func stallChart(run, freeze time.Duration, honest, control *hearing) report.Chart {
	panel := report.ChartPanel{Title: "response time", Groups: []string{"p90", "p95", "p99", "max"}, FormatY: report.Seconds}
	bars := func(label string, ys ...float64) report.ChartSeries { return report.ChartSeries{Label: label, Ys: ys} }
	of := func(label string, q quantiles) report.ChartSeries {
		return bars(label, float64(q.P90), float64(q.P95), float64(q.P99), float64(q.Max))
	}
	panel.Series = []report.ChartSeries{
		bars("closed form", stalled(0.9, run, freeze), stalled(0.95, run, freeze), stalled(0.99, run, freeze), freeze.Seconds()),
		of("from due", honest.Response), of("control, stamped at sending", control.FromSent),
	}
	return report.Chart{
		Name: "g2-omission", Title: "G2: coordinated omission", Panels: []report.ChartPanel{panel},
		Caption: fmt.Sprintf("A server that stands still for %v of %v. Who waits with sending and counts from then does not see it.", freeze, run),
	}
}

// G3: one answer in a hundred never comes.
const (
	muteEvery    = 100
	mutePatience = 500 * time.Millisecond
	histogram    = 1e-3 // what a quantile of a histogram of three digits may be off by
)

// timeouts is G3.
func (x *sworn) timeouts(_ context.Context, r *Report) error {
	run, rate := pick(x.cfg, 10*time.Second, time.Second), pick(x.cfg, 1000.0, 400)
	x.cfg.say("G3: one answer in %d never comes, for %v", muteEvery, run)
	got, err := x.run(guests{Run: run, Law: user.Constant, Rate: []user.Point{{Rate: rate}}, Patience: mutePatience}, mischief{Mute: muteEvery})
	if err != nil {
		return fmt.Errorf("G3: %w", err)
	}
	gaveUp, muted := int(got.Errors["abandoned"]), len(got.seen.At)/muteEvery
	p995 := NewFigure(Seconds, float64(got.Response.P995))
	r.Tables = append(r.Tables, &Table{
		Card: "G3", Title: fmt.Sprintf("1 %% of answers never come, patience %v", mutePatience), Head: "p99.5", Also: []string{"p50", "p90", "p95", "max", "given up", "never answered"},
		Rows: []Row{{Name: "from due", Ours: p995, Also: []Figure{
			NewFigure(Seconds, float64(got.Response.P50)), NewFigure(Seconds, float64(got.Response.P90)), NewFigure(Seconds, float64(got.Response.P95)),
			NewFigure(Seconds, float64(got.Response.Max)), NewFigure(One, float64(gaveUp)), NewFigure(One, float64(muted)),
		}}},
	})
	within := Within("G3", "p99.5 is the time-out", p995, (1-histogram)*mutePatience.Seconds(), (1+histogram)*mutePatience.Seconds())
	within.Hard = true
	r.Shapes = append(r.Shapes, within,
		Always("G3", "answers that never came and were not given up, or the other way round", int(math.Abs(float64(gaveUp-muted))), muted),
		Always("G3", "requests that are unaccounted for", got.books(), got.Planned))
	return nil
}

// books counts what is missing in a run whose requests may fail.
func (v *visited) books() int {
	n := max(int64(v.Planned)-v.Issued, v.Issued-int64(v.Planned)) + v.InFlight
	if !v.Balanced {
		n++
	}
	return int(n)
}

// G5: the rate is raised until the clients say that they are the limit.
const (
	gateDelay  = 20 * time.Millisecond // of each answer
	gateMoves  = 0.1                   // of a quantile
	gateRounds = 3
	gateServer = 0.9 // share of its processor beyond which the server is the limit
	gateMost   = 400_000
)

// A gateStep is one rate of G5: medians of its rounds.
type gateStep struct {
	rate                     float64
	p50, p90, p99            float64
	lag50, lag99, server     float64
	limited                  bool
	clean                    float64
	sampled                  [6][]float64
	limitedRounds, allRounds int
}

// gate is G5.
func (x *sworn) gate(ctx context.Context, r *Report) error {
	warmup := pick(x.cfg, 300*time.Millisecond, 30*time.Millisecond) // in which connections are opened, as many as there are requests under way
	run := warmup + pick(x.cfg, 700*time.Millisecond, 100*time.Millisecond)
	rate, rounds := pick(x.cfg, 5000.0, 1000), pick(x.cfg, gateRounds, 1)
	var steps []*gateStep
	for rate < gateMost && ctx.Err() == nil {
		x.cfg.say("G5: %.0f/s", rate)
		s := &gateStep{rate: rate}
		for range rounds {
			got, err := x.run(guests{Run: run, Warmup: warmup, Rate: []user.Point{{Rate: rate}}}, mischief{Delay: gateDelay})
			if err != nil {
				return fmt.Errorf("G5, %.0f/s: %w", rate, err)
			}
			s.add(&got, run)
		}
		s.close()
		steps = append(steps, s)
		if s.limited || x.cfg.Quick && len(steps) == 3 {
			break
		}
		rate = math.Round(rate * 1.3)
	}
	x.reportGate(r, steps)
	return ctx.Err()
}

func (s *gateStep) add(t *hearing, run time.Duration) {
	for i, v := range []float64{
		float64(t.Response.P50), float64(t.Response.P90), float64(t.Response.P99), float64(t.Lag.P50), float64(t.Lag.P99), t.server,
	} {
		s.sampled[i] = append(s.sampled[i], v)
	}
	s.clean += t.clean(run)
	s.allRounds++
	if len(t.Limited) > 0 {
		s.limitedRounds++
	}
}

// close makes the medians; the gate has tripped when it did in most rounds.
func (s *gateStep) close() {
	for i, to := range []*float64{&s.p50, &s.p90, &s.p99, &s.lag50, &s.lag99, &s.server} {
		*to = float64(NewFigure(Seconds, s.sampled[i]...).Value)
	}
	s.clean /= float64(s.allRounds)
	s.limited = 2*s.limitedRounds > s.allRounds
}

// moved is the largest relative change of a quantile since another step.
func (s *gateStep) moved(since *gateStep) float64 {
	return max(math.Abs(s.p50/since.p50-1), math.Abs(s.p90/since.p90-1), math.Abs(s.p99/since.p99-1))
}

func (x *sworn) reportGate(r *Report, steps []*gateStep) {
	t := &Table{
		Card: "G5", Title: fmt.Sprintf("the clients at growing rates, answers after %v", gateDelay), Head: "p50", Also: []string{"p90", "p99", "moved", "send lag p50", "p99", "its server", "the limit"},
		Note: "moved: the largest change of p50, p90 and p99 since the first rate; the limit: rounds in which the clients said that they were it; its server: of its processor",
	}
	tripped, silent, serverFull, clean := false, 0, false, 0.0
	for _, s := range steps {
		t.Rows = append(t.Rows, Row{Name: report.Count(s.rate) + "/s", Ours: NewFigure(Seconds, s.p50), Also: []Figure{
			NewFigure(Seconds, s.p90), NewFigure(Seconds, s.p99), NewFigure(Share, s.moved(steps[0])), NewFigure(Seconds, s.lag50), NewFigure(Seconds, s.lag99),
			NewFigure(Share, s.server), NewFigure(One, float64(s.limitedRounds)),
		}})
		if !s.limited && s.moved(steps[0]) > gateMoves {
			silent++
		}
		tripped, serverFull, clean = tripped || s.limited, serverFull || s.server > gateServer, clean+s.clean/float64(len(steps))
	}
	r.Tables = append(r.Tables, t)
	s := Always("G5", "rates at which a quantile had moved by 10 % and the clients did not say that they were the limit", silent, len(steps))
	s.Hard = false
	if len(steps) > 0 && steps[0].limited { // of what it moved since there is nothing to tell
		s.Verdict = Inconclusive
		s.Rule += ", and the clients must not be the limit at the first rate"
	} else if !tripped || serverFull {
		s.Verdict = Inconclusive
		s.Rule += ", and the clients must be the limit before the server is"
	} else if s.Verdict == HoldsNot {
		s = certified(s, clean)
	}
	r.Shapes = append(r.Shapes, s)
}
