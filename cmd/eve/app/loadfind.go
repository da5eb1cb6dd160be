package app

import (
	"context"
	"fmt"
	"math"
	"time"

	"github.com/eve-emulation/eve/dsv"
	"github.com/eve-emulation/eve/fase/find"
	"github.com/eve-emulation/eve/fase/service"
	"github.com/eve-emulation/eve/fase/user"
)

// findLoad does `eve load --find`.
func (a *App) findLoad(ctx context.Context, g *loadGroup, f loadFlags) error {
	limits, err := f.find.limits()
	if err != nil {
		return wrong(fmt.Errorf("load: %w", err))
	}
	for _, l := range limits {
		if l.Of != "" {
			return wrong(fmt.Errorf("load: --find '%s': want the metric alone, as '%s < 50ms'", f.find.text, l.Name()))
		}
	}
	whole, start, what := f.users > 0, float64(f.users), "number of users"
	if !whole {
		start, what = g.cfg.Rate[0].Rate, "rate"
	}
	cfg, err := f.find.config(limits, start, whole)
	if err != nil {
		return wrong(fmt.Errorf("load: %w", err))
	}
	v := searchView{title: fmt.Sprintf("%s: the highest %s at which %s", g.url, what, f.find.text), unit: unitOf(whole), json: f.json}
	if f.quiet {
		v.title = ""
	}
	s := loadSearch{g: g, whole: whole, bound: math.Inf(1), warmup: f.warmup}
	for _, l := range limits {
		if l.Metric != find.Errors { // its bound is no time
			s.bound = min(s.bound, l.Bound)
		}
	}
	if screen := newScreen(a.err); screen.terminal() && !f.quiet {
		s.screen = screen
	}
	return a.search(ctx, cfg, v, s.probe)
}

// A loadSearch makes the probes of a search for real.
type loadSearch struct {
	g      *loadGroup
	whole  bool
	bound  float64 // the least of response times, seconds; +Inf: none
	warmup time.Duration
	screen *screen // nil: nothing is shown of a probe that runs
	before *find.Verdict
}

// group is the clients of a probe.
func (s *loadSearch) group(load float64, seed uint64, length time.Duration) *loadGroup {
	g := *s.g
	g.cfg.Seed, g.cfg.End = seed, dsv.At(s.warmup+length)
	if s.whole {
		g.cfg.Users, g.cfg.Rate = int(load), nil
	} else {
		g.cfg.Rate = []user.Point{{Rate: load}}
	}
	return &g
}

// probe runs one load, with a seed of its own. After a load that did not hold it waits until the server has calmed down.
func (s *loadSearch) probe(ctx context.Context, p find.Probe) (find.Outcome, string, error) {
	if s.before != nil && *s.before != find.Pass {
		if err := s.calm(ctx); err != nil {
			return find.Outcome{}, "", err
		}
	}
	g := s.group(p.Load, s.g.cfg.Seed+uint64(p.N)-1, p.Test.Most+time.Second)
	from := g.cfg.Warmup
	test, err := find.NewTest(p.Test, from)
	if err != nil {
		return find.Outcome{}, "", err
	}
	r, err := g.newRun(true)
	if err != nil {
		return find.Outcome{}, "", err
	}
	r.pump.record = func(x user.Record) {
		if x.Due >= from {
			test.Add(x.Done, x.Done.Sub(x.Due).Seconds(), x.Cause != service.OK)
		}
	}
	v := &loadView{g: g, r: r}
	err = r.run(ctx, func(at dsv.Instant) bool {
		if s.screen != nil && v.due(at) {
			lines := v.lines(at, s.screen.columns())
			s.screen.show(append([]string{fmt.Sprintf("probe %d, %s: %s", p.N, p.Purpose, loadText(p.Load, unitOf(s.whole)))}, lines...))
		}
		// What is collected lags behind a little.
		if at = at.Add(-2 * syncEvery); at > from {
			test.Issued(at.Add(syncEvery/2), r.pump.issued())
			return test.Look(at)
		}
		return false
	})
	if s.screen != nil {
		s.screen.clear()
	}
	o := test.Outcome()
	s.before = &o.Verdict
	if err != nil {
		return o, "", err
	}
	limited := ""
	// Lag only adds to response times: a load that holds in spite of it does without.
	if res := g.result(r); res.Limited && (res.short || !o.Holds()) {
		limited = res.Reasons[0]
	}
	return o, limited, nil
}

// Bounds of the wait between probes.
const (
	calmMost  = 10 * time.Second
	calmEvery = 20 * time.Millisecond
	calmRow   = 5 // answers in a row within half the bound
)

// calm has one user ask until the server answers fast again, so that a load that was too high does not spoil the next probe.
func (s *loadSearch) calm(ctx context.Context) error {
	g := *s.g
	g.cfg.Rate, g.cfg.Users, g.cfg.Warmup, g.cfg.End = nil, 1, 0, dsv.At(calmMost)
	g.cfg.Think = &user.Think{Mean: calmEvery}
	one := *g.flags
	one.threads = 1
	g.flags = &one
	r, err := g.newRun(true)
	if err != nil {
		return err
	}
	row := 0
	r.pump.record = func(x user.Record) {
		row++
		if x.Cause != service.OK || x.Done.Sub(x.Due).Seconds() > s.bound/2 {
			row = 0
		}
	}
	return r.run(ctx, func(dsv.Instant) bool { return row >= calmRow })
}
