package bench

import (
	"context"
	"fmt"
	"math"
	"runtime"
	"slices"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/eve-emulation/eve/dsv"
	"github.com/eve-emulation/eve/fase/admit"
	"github.com/eve-emulation/eve/fase/files"
	"github.com/eve-emulation/eve/fase/report"
	"github.com/eve-emulation/eve/fase/runs"
	"github.com/eve-emulation/eve/fase/scenario"
)

// phases takes the policies of two-phase admission through delays and loads, in virtual time: 2P.
type phases struct {
	cfg   Config
	set   *files.Set
	cells map[phase]*phaseFound
}

// A phase is one setting.
type phase struct {
	policy string
	delay  time.Duration
	load   float64
}

// phaseFound is what was found in a setting, by seed.
type phaseFound struct{ mean, p99, slow, hits, rate []float64 }

// What a request of 2P asks for: heavy-tailed processor time, and a file that is read from the disk unless it is cached.
const (
	phaseMedian, phaseSigma = 0.002, 1.5 // lognormal, s
	phaseSeek               = 2 * time.Millisecond
	phaseDirectories        = 40
	phaseCache              = 16 << 20
)

// phaseCPU is the mean processor time of a request, in s.
func phaseCPU() float64 { return phaseMedian * math.Exp(phaseSigma*phaseSigma/2) }

func (x *phases) loads() []float64 { return pick(x.cfg, []float64{0.1, 0.5, 0.7, 0.9}, []float64{0.9}) }

func (x *phases) delays() []time.Duration {
	return pick(x.cfg, []time.Duration{0, 20 * time.Millisecond, 50 * time.Millisecond}, []time.Duration{0, 20 * time.Millisecond})
}

func (x *phases) policies() []string { return pick(x.cfg, admit.Policies(), []string{"fcfs", "sjf"}) }

func (x *phases) run(ctx context.Context, r *Report) error {
	set, err := files.NewSet(files.Config{Name: "web", Directories: phaseDirectories, Zipf: 1})
	if err != nil {
		return err
	}
	x.set, x.cells = set, map[phase]*phaseFound{}
	x.cfg.say("2P: %d policies, %d delays, %d loads, in virtual time", len(x.policies()), len(x.delays()), len(x.loads()))
	var all []phase
	for _, policy := range x.policies() {
		for _, delay := range x.delays() {
			for _, load := range x.loads() {
				p := phase{policy, delay, load}
				x.cells[p] = &phaseFound{}
				all = append(all, p)
			}
		}
	}
	for seed := range pick(x.cfg, 3, 1) {
		found := make([]phaseFound, len(all))
		g, gctx := errgroup.WithContext(ctx)
		g.SetLimit(runtime.NumCPU())
		for i, p := range all {
			g.Go(func() error {
				f, err := x.try(gctx, p, seed+1)
				found[i] = f
				return err
			})
		}
		if err := g.Wait(); err != nil {
			return err
		}
		for i, p := range all {
			x.cells[p].add(found[i])
		}
	}
	x.report(r)
	return x.confirm(ctx, r)
}

func (f *phaseFound) add(g phaseFound) {
	f.mean, f.p99, f.slow = append(f.mean, g.mean...), append(f.p99, g.p99...), append(f.slow, g.slow...)
	f.hits, f.rate = append(f.hits, g.hits...), append(f.rate, g.rate...)
}

// rate is the arrival rate that makes a load of the one place of service, with the hit ratio of first come, first served.
func (x *phases) rate(load float64) float64 {
	return load / (phaseCPU() + (1-x.set.HitRatio(phaseCache).Requests)*phaseSeek.Seconds())
}

// theory is the mean response time of first come, first served, in s. Heavy tails come near it in hours, mostly from below.
func (x *phases) theory(load float64) float64 {
	cpu, miss, seek := phaseCPU(), 1-x.set.HitRatio(phaseCache).Requests, phaseSeek.Seconds()
	second := phaseMedian*phaseMedian*math.Exp(2*phaseSigma*phaseSigma) + miss*(2*cpu*seek+seek*seek)
	return cpu + miss*seek + x.rate(load)*second/(2*(1-load))
}

// try runs one setting with one seed.
func (x *phases) try(ctx context.Context, p phase, seed int) (f phaseFound, err error) {
	text := fmt.Appendf(nil, `eve: 1
name: phases
duration: %gs
warmup: %gs
seed: %d
records: 1000/s
requests: |
  request r { priority uniform(0, 5) deadline exp(100ms) call web { cpu lognormal(%gms, %g) file web reply file } }
files:
  web: {directories: %d, zipf: 1}
servers:
  one: {cpus: 1, cache: %dKiB, disk: {seek: %v}, admit: {policy: %s, limit: 1, delay: %v}}
services:
  web: {on: [one]}
clients:
  crowd: {request: r, arrive: poisson, rate: %.3f/s}
  others: {request: r, arrive: poisson, rate: %.3f/s}
`, pick(x.cfg, 120.0, 5), pick(x.cfg, 15.0, 1), seed, phaseMedian*1e3, phaseSigma,
		phaseDirectories, phaseCache>>10, phaseSeek, p.policy, p.delay, 0.8*x.rate(p.load), 0.2*x.rate(p.load))
	plan, err := scenario.Load("phases.yaml", text, scenario.Options{})
	if err != nil {
		return f, err
	}
	t, err := virtual(ctx, plan)
	if err != nil {
		return f, err
	}
	return t.phase()
}

// phase reads what a policy came to.
func (t trial) phase() (f phaseFound, err error) {
	from, to := t.bounds()
	h, err := t.hist("web.residence", from, to)
	if err != nil {
		return f, err
	}
	hits, err := t.sum("one.cache.hits", from, to)
	if err != nil {
		return f, err
	}
	misses, err := t.sum("one.cache.misses", from, to)
	if err != nil {
		return f, err
	}
	slow, err := t.slowdown("web", from)
	if err != nil {
		return f, err
	}
	return phaseFound{
		[]float64{h.Mean()},
		[]float64{h.Quantile(0.99)},
		[]float64{slow},
		[]float64{hits / (hits + misses)},
		[]float64{float64(h.Count()) / to.Sub(from).Seconds()},
	}, nil
}

// slowdown is the mean ratio of response time to demand of the tenth of all requests with the largest demands.
func (t trial) slowdown(svc string, from dsv.Instant) (float64, error) {
	var vs []runs.Visit
	if err := runs.Visits(t.h, svc, func(v runs.Visit) error {
		if v.Arrived >= from && v.CPU > 0 {
			vs = append(vs, v)
		}
		return nil
	}); err != nil {
		return 0, err
	}
	slices.SortFunc(vs, func(a, b runs.Visit) int { return int(b.CPU - a.CPU) })
	var sum float64
	largest := vs[:len(vs)/10]
	for _, v := range largest {
		sum += float64(v.Done-v.Arrived) / float64(v.CPU)
	}
	return sum / float64(len(largest)), nil
}

func (x *phases) report(r *Report) {
	first := phase{policy: "fcfs"}
	for _, load := range x.loads() {
		t := &Table{
			Card: "2P", Title: fmt.Sprintf("policies and delays at a load of %s: %.0f requests a second", report.Share(load), x.rate(load)),
			Head: "mean", Also: []string{"p99", "slowdown of the largest tenth", "hits", "served", "mean over first come"}, Published: "USITS 1999, SEDA",
			Note: fmt.Sprintf("virtual time, one place of service; response times at the server, pool included; in the long run first come without a delay takes %s (Pollaczek and Khinchin)", Seconds.text(x.theory(load))),
		}
		first.load = load
		for _, policy := range x.policies() {
			for _, delay := range x.delays() {
				c := x.cells[phase{policy, delay, load}]
				row := Row{
					Name: fmt.Sprintf("%s, delay %v", policy, delay), Ours: NewFigure(Seconds, c.mean...),
					Also: []Figure{
						NewFigure(Seconds, c.p99...), NewFigure(One, c.slow...), NewFigure(Share, c.hits...), NewFigure(PerSecond, c.rate...),
						Ratio(NewFigure(Seconds, c.mean...), NewFigure(Seconds, x.cells[first].mean...)),
					},
				}
				if policy == "sjf" && delay == 0 && load == 0.9 {
					row.Published = "a quarter to a fifth, high load"
				}
				t.Rows = append(t.Rows, row)
			}
		}
		r.Tables = append(r.Tables, t)
	}
	x.shapes(r)
	r.Charts = append(r.Charts, x.chart())
}

// ratio compares two settings seed by seed.
func (x *phases) ratio(a, b phase, y func(*phaseFound) []float64) Figure {
	return Ratio(NewFigure(One, y(x.cells[a])...), NewFigure(One, y(x.cells[b])...))
}

func (x *phases) shapes(r *Report) {
	mean := func(f *phaseFound) []float64 { return f.mean }
	fcfs, sjf := phase{"fcfs", 0, 0.9}, phase{"sjf", 0, 0.9}
	r.Shapes = append(r.Shapes, AtLeast("2P", "mean of first come over shortest first, load 0.9", x.ratio(fcfs, sjf, mean), 2))
	if x.cfg.Quick {
		return
	}
	low := 0.1
	r.Shapes = append(r.Shapes,
		Within("2P", "the same without delay at a load of 0.1", x.ratio(phase{"fcfs", 0, low}, phase{"sjf", 0, low}, mean), 0.9, 1.1),
		AtLeast("2P", "hits first over first come: hit ratio, load 0.9", x.ratio(phase{"hits", 0, 0.9}, fcfs, func(f *phaseFound) []float64 { return f.hits }), 1),
		Within("2P", "what 20 ms of delay cost first come at a load of 0.1", NewFigure(Seconds, x.added(low)...), 0.018, 0.022),
	)
}

// added is what a delay of 20 ms adds to the mean under first come, by seed.
func (x *phases) added(load float64) (out []float64) {
	with, without := x.cells[phase{"fcfs", 20 * time.Millisecond, load}], x.cells[phase{"fcfs", 0, load}]
	for i := range with.mean {
		out = append(out, with.mean[i]-without.mean[i])
	}
	return out
}

func (x *phases) chart() report.Chart {
	panel := func(title string, unit Unit, y func(*phaseFound) []float64) report.ChartPanel {
		p := report.ChartPanel{Title: title + ", load 0.9", XLabel: "delay (ms)", LogY: true, FormatY: unit.text}
		for _, policy := range x.policies() {
			s := report.ChartSeries{Label: policy}
			for _, delay := range x.delays() {
				s.Xs = append(s.Xs, delay.Seconds()*1e3)
				s.Ys = append(s.Ys, float64(NewFigure(unit, y(x.cells[phase{policy, delay, 0.9}])...).Value))
			}
			p.Series = append(p.Series, s)
		}
		return p
	}
	return report.Chart{
		Name: "2p-policies", Title: "2P  Two-phase admission: policies and delays",
		Caption: "Shortest first helps the many and costs the few whose requests are long: their slowdown tells.",
		Panels: []report.ChartPanel{
			panel("mean response time", Seconds, func(f *phaseFound) []float64 { return f.mean }),
			panel("p99", Seconds, func(f *phaseFound) []float64 { return f.p99 }),
			panel("slowdown of the largest tenth", One, func(f *phaseFound) []float64 { return f.slow }),
		},
	}
}
