package bench

import (
	"context"
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/eve-emulation/eve/fase/report"
	"github.com/eve-emulation/eve/fase/runs"
	"github.com/eve-emulation/eve/fase/stat"
	"github.com/eve-emulation/eve/fase/user"
	"github.com/eve-emulation/eve/internal/mono"
)

// LoadTruth holds Eve's clients against what is known without them: the law and the instants of their arrivals (G1), a server that stands
// still (G2), answers that never come (G3), and the gate that tells when they are the limit (G5). The server is a process that tells
// when it read each request. seed is that of the arrivals.
//
// Figures count over the seconds in which the machine was not disturbed; where fewer than 80 % of them were not, a shape that depends on
// time is inconclusive.
func LoadTruth(ctx context.Context, cfg Config, seed uint64) (*Report, error) {
	x := &sworn{cfg: cfg, seed: seed}
	return measure("truth load", cfg, func(r *Report) error {
		done, err := x.open(ctx)
		defer done()
		if err != nil {
			return err
		}
		for _, step := range []func(context.Context, *Report) error{x.arrivals, x.omission, x.timeouts, x.gate} {
			if err := step(ctx, r); err != nil {
				return err
			}
		}
		return nil
	})
}

// A sworn is Eve's clients and a server that testifies.
type sworn struct {
	cfg             Config
	seed            uint64
	clients, server *part
	address         string
}

// open starts both. done, which is never nil, ends them.
func (x *sworn) open(ctx context.Context) (done func(), err error) {
	done = func() {
		for _, p := range []*part{x.clients, x.server} {
			if p != nil {
				p.stop()
			}
		}
	}
	if x.clients, err = x.cfg.partOn(ctx, clientCPU, "clients", "GOMAXPROCS=4"); err != nil {
		return done, err
	}
	if x.server, err = x.cfg.partOn(ctx, serverCPU, "clocked", "GOMAXPROCS=4"); err != nil {
		return done, err
	}
	var d door
	err = x.server.call("open", struct{}{}, &d)
	x.address = d.TCP
	return done, err
}

// A hearing is one run, what both ends tell of it, and how quiet the machine was.
type hearing struct {
	visited
	seen   seenArrivals
	noise  *runs.Noise
	server float64 // share of a processor that the server took
}

// startIn is how long before its T0 a hearing is begun, and ready how often: a machine that is busy may take longer to make it ready.
const (
	startIn = 300 * time.Millisecond
	ready   = 3
)

// run lets the clients ask. A freeze begins so long after T0 as m.FreezeAt says.
func (x *sworn) run(g guests, m mischief) (t hearing, err error) {
	g.Address, g.Seed, g.Stamps = x.address, x.seed, true
	ahead := startIn
	for range ready {
		if t, err = x.once(g, m, ahead); err != nil || !t.Unready {
			return t, err
		}
		ahead *= 3
	}
	return t, fmt.Errorf("the clients are not ready within %v", ahead)
}

// once is one try, whose T0 is so far ahead.
func (x *sworn) once(g guests, m mischief, ahead time.Duration) (t hearing, err error) {
	g.Start = mono.Now() + int64(ahead)
	t0 := time.Now().Add(ahead)
	if m.FreezeAt > 0 {
		m.FreezeAt += g.Start
	}
	if err := x.server.call("begin", m, nil); err != nil {
		return t, err
	}
	probe, cpu := runs.StartProbe(), x.server.cpu()
	err = x.clients.call("run", g, &t.visited)
	t.noise, t.server = probe.Stop(t0), (x.server.cpu()-cpu)/time.Since(t0).Seconds()
	if err != nil || t.Unready {
		return t, err
	}
	return t, x.server.call("collect", struct{}{}, &t.seen)
}

// cleanEnough is the share of seconds that must be clean for a verdict that depends on time.
const cleanEnough = 0.8

// clean is the share of a run's seconds that were clean.
func (t *hearing) clean(run time.Duration) float64 {
	n, clean := 0, 0
	for _, i := range t.noise.Intervals {
		if float64(i.To) <= 0 || float64(i.From) >= run.Seconds() {
			continue
		}
		n++
		if i.Clean {
			clean++
		}
	}
	if n == 0 {
		return 0
	}
	return float64(clean) / float64(n)
}

// certified leaves a verdict that depends on time to runs that were quiet.
func certified(s Shape, clean float64) Shape {
	if clean < cleanEnough {
		s.Verdict = Inconclusive
		s.Rule += ", uncertified"
	}
	return s
}

// An arriving is a law of arrivals at a rate.
type arriving struct {
	name string
	rate float64
	run  time.Duration
	set  func(g *guests)
}

// arrivings are the laws and rates of G1. At 10 000/s, where the gaps are no longer than a sleep is late, the clients poll before each
// instant; a row tells what it is like without.
func (x *sworn) arrivings() []arriving {
	poisson := func(*guests) {}
	spinning := func(g *guests) { g.Spin = spin }
	laws := []struct {
		name string
		set  func(g *guests, rate float64)
	}{
		{"Poisson", func(*guests, float64) {}},
		{"constant", func(g *guests, _ float64) { g.Law = user.Constant }},
		{"on-off", func(g *guests, _ float64) {
			g.Law = user.MMPP
			g.Bursts = &user.Bursts{States: []user.Burst{{Factor: 1, Stay: 100 * time.Millisecond}, {Factor: 0, Stay: 100 * time.Millisecond}}}
		}},
		{"trace", func(g *guests, rate float64) { g.Law, g.Trace = user.Replay, x.recorded(rate, g.Run) }},
	}
	var all []arriving
	for _, rate := range pick(x.cfg, []float64{100, 1000, 10_000}, []float64{200}) {
		run := pick(x.cfg, time.Duration(max(4, 600/rate))*time.Second, 400*time.Millisecond)
		for _, l := range laws {
			a := arriving{name: l.name, rate: rate, run: run, set: func(g *guests) { l.set(g, rate) }}
			if rate == pace {
				a.name, a.set = l.name+", spinning", func(g *guests) { l.set(g, rate); spinning(g) }
			}
			all = append(all, a)
		}
		if rate == pace {
			all = append(all, arriving{name: asleep, rate: rate, run: run, set: poisson})
		}
	}
	return all
}

const asleep = "Poisson, asleep"

// recorded is a trace as of a log with microseconds: Poisson arrivals of another seed.
func (x *sworn) recorded(rate float64, run time.Duration) *user.Trace {
	g := guests{Seed: x.seed + 1, Run: run, Rate: []user.Point{{Rate: rate}}}
	cfg, err := g.config()
	if err != nil {
		return &user.Trace{}
	}
	t := &user.Trace{}
	for _, due := range cfg.Arrivals() {
		t.Due = append(t.Due, due-due%1000)
	}
	return t
}

// The bounds of G1.
const (
	g1P50     = 100e-6 // s
	g1P99     = 1e-3
	g1Level   = 0.01
	g1Samples = 500 // gaps of a test, spread over the run: what a server can tell apart
)

// arrivals is G1.
func (x *sworn) arrivals(_ context.Context, r *Report) error {
	t := &Table{
		Card: "G1", Title: "arrivals as planned and as sent", Head: "late p50", Also: []string{"p99", "planned", "sent", "seen", "A²", "p", "clean"},
		Note: fmt.Sprintf("late: sent − due, over clean seconds; A², p: Anderson and Darling's test of %d gaps between sendings, spread over the run, against the exponential law of the rate", g1Samples),
	}
	chart := report.ChartPanel{XLabel: "gap, mean = 1", LogY: true}
	for _, a := range x.arrivings() {
		x.cfg.say("G1: %s at %g/s for %v", a.name, a.rate, a.run)
		g := guests{Run: a.run, Rate: []user.Point{{Rate: a.rate}}}
		a.set(&g)
		got, err := x.run(g, mischief{})
		if err != nil {
			return fmt.Errorf("G1, %s at %g/s: %w", a.name, a.rate, err)
		}
		x.judgeArrivals(r, t, a, &got)
		if a.rate == 1000 && a.name == "Poisson" || x.cfg.Quick && a.name == "Poisson" {
			chart.Title, chart.Series = fmt.Sprintf("share of gaps above, at %s/s", report.Count(a.rate)), survival(&got, a.rate)
		}
	}
	r.Tables = append(r.Tables, t)
	r.Charts = append(r.Charts, report.Chart{
		Name: "g1-arrivals", Title: "G1: Poisson arrivals as sent", Panels: []report.ChartPanel{chart},
		Caption: "The share of gaps between two sendings that are longer than so many mean gaps, beside the law that they should follow.",
	})
	return nil
}

// judgeArrivals adds the row and the shapes of one law at one rate.
func (x *sworn) judgeArrivals(r *Report, t *Table, a arriving, got *hearing) {
	late := got.lateness()
	clean := got.clean(a.run)
	what := fmt.Sprintf("%s at %s/s", a.name, report.Count(a.rate))
	p50, p99 := NewFigure(Seconds, stat.Quantile(late, 0.5)), NewFigure(Seconds, stat.Quantile(late, 0.99))
	row := Row{Name: what, Ours: p50, Also: []Figure{
		p99, NewFigure(One, float64(got.Planned)), NewFigure(One, float64(len(got.Sents))), NewFigure(One, float64(len(got.seen.At))),
	}}
	off := max(got.Planned-len(got.Sents), len(got.Sents)-got.Planned) + max(got.Planned-len(got.seen.At), len(got.seen.At)-got.Planned) + got.unaccounted()
	r.Shapes = append(r.Shapes, Always("G1", what+": arrivals that were not sent, seen and answered once", off, got.Planned))
	r.Shapes = append(r.Shapes, certified(AtMost("G1", what+": late, p50", p50, g1P50), clean), certified(AtMost("G1", what+": late, p99", p99, g1P99), clean))
	if a.name == "Poisson" || a.name == "Poisson, spinning" || a.name == asleep {
		sent, planned := got.gaps(got.Sents), got.gaps(got.Dues)
		ad, err := stat.ExponentialMean(sent, 1/a.rate)
		if err == nil {
			row.Also = append(row.Also, NewFigure(One, ad.Statistic), NewFigure(One, ad.P()))
			r.Shapes = append(r.Shapes, x.judgeLaw(what, a, ad, sent, planned, clean)...)
		} else {
			row.Also = append(row.Also, Figure{}, Figure{})
		}
	} else {
		row.Also = append(row.Also, Figure{}, Figure{})
	}
	row.Also = append(row.Also, NewFigure(Share, clean))
	t.Rows = append(t.Rows, row)
}

// judgeLaw judges the test of the law, and that the test can fail: the same sendings by a timer of a millisecond must.
func (x *sworn) judgeLaw(what string, a arriving, ad stat.AndersonDarling, sent, planned []float64, clean float64) []Shape {
	if a.name == asleep {
		return nil // told beside the one that polls
	}
	s := AtLeast("G1", what+": p of the exponential law of its rate", NewFigure(One, ad.P()), g1Level)
	if plan, err := stat.ExponentialMean(planned, 1/a.rate); err == nil && plan.Rejects(g1Level) {
		s.Verdict = Inconclusive // one plan in a hundred is so odd itself
		s.Rule += ", and the plan's own is below"
	}
	shapes := []Shape{certified(s, clean)}
	if a.rate < 1000 {
		return shapes
	}
	coarse := make([]float64, len(sent))
	for i, g := range sent {
		coarse[i] = math.Round(g*1e3) / 1e3
	}
	if ad, err := stat.ExponentialMean(coarse, 1/a.rate); err == nil {
		shapes = append(shapes, AtMost("G1", what+": p of a control, gaps of a timer of 1 ms", NewFigure(One, ad.P()), g1Level))
	}
	return shapes
}

// lateness is how late requests of clean seconds were sent, in s, ascending. The i-th that is sent is the i-th that was due. Without a
// clean second it is that of all.
func (t *hearing) lateness() []float64 {
	n := min(len(t.Dues), len(t.Sents))
	var clean, all []float64
	for i := range n {
		late := float64(t.Sents[i]-t.Dues[i]) / 1e9
		all = append(all, late)
		if t.noise.CleanAt(float64(t.Dues[i])/1e9, float64(t.Sents[i])/1e9) {
			clean = append(clean, late)
		}
	}
	if len(clean) == 0 {
		clean = all
	}
	slices.Sort(clean)
	return clean
}

// gaps are at most g1Samples gaps between instants that follow each other, spread over the run, in s: of clean seconds where there are
// enough of them.
func (t *hearing) gaps(at []int64) []float64 {
	var clean, all []float64
	for i := 1; i < len(at); i++ {
		gap := float64(at[i]-at[i-1]) / 1e9
		all = append(all, gap)
		if t.noise.CleanAt(float64(at[i-1])/1e9, float64(at[i])/1e9) {
			clean = append(clean, gap)
		}
	}
	if len(clean) < g1Samples {
		clean = all
	}
	if len(clean) <= g1Samples {
		return clean
	}
	spread := make([]float64, g1Samples)
	for i := range spread {
		spread[i] = clean[i*len(clean)/g1Samples]
	}
	return spread
}

// survival draws the gaps between sendings beside the exponential.
func survival(t *hearing, rate float64) []report.ChartSeries {
	var gaps []float64
	for i := 1; i < len(t.Sents); i++ {
		gaps = append(gaps, float64(t.Sents[i]-t.Sents[i-1])/1e9*rate)
	}
	slices.Sort(gaps)
	sent, law := report.ChartSeries{Label: "sent"}, report.ChartSeries{Label: "exponential", Bound: true}
	for i := 0; i < len(gaps)-1; i += max(1, len(gaps)/200) {
		sent.Xs, sent.Ys = append(sent.Xs, gaps[i]), append(sent.Ys, 1-float64(i+1)/float64(len(gaps)))
	}
	for x := 0.0; x <= 6; x += 0.1 {
		law.Xs, law.Ys = append(law.Xs, x), append(law.Ys, math.Exp(-x))
	}
	return []report.ChartSeries{sent, law}
}
