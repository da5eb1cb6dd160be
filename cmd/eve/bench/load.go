package bench

import (
	"context"
	"fmt"
	"os/exec"
	"slices"
	"time"

	"github.com/eve-emulation/eve/fase/runs"
	"github.com/eve-emulation/eve/fase/user"
)

// Load measures Eve's clients beside other load generators: processor time for a request and throughput of 64 connections that are
// never idle, how late requests come at a rate, rates up to where a generator does not keep them, and the memory of users. Peers that cannot be
// had here are left out, and the report says so.
func Load(ctx context.Context, cfg Config) (*Report, error) {
	if err := CheckLoadPeers(cfg.Peers); err != nil {
		return nil, err
	}
	x := &gallop{cfg: cfg}
	return measure("load", cfg, func(r *Report) (err error) {
		var done func()
		x.cfg.say("load: making peers ready")
		if x.rivals, r.Notes, done, err = openRivals(ctx, cfg.Peers); err != nil {
			done()
			return err
		}
		defer done()
		// What has thousands of users comes first: load generators that cannot keep a rate leave the host short of sockets for a while.
		for _, step := range []func(context.Context, *Report) error{x.weigh, x.many, x.closed, x.paced, x.steps} {
			if err := step(ctx, r); err != nil {
				return err
			}
		}
		return nil
	})
}

// loadCard names what `eve bench load` measures in tables and shapes.
const loadCard = "load"

// A gallop is load generators in turns.
type gallop struct {
	cfg    Config
	rivals []*rival
}

// A runner is one load generator in one setting, and what came of its rounds.
type runner struct {
	name  string
	rival *rival // nil: Eve's clients
	crowd guests // of Eve's
	part  *part  // Eve's process
	salvo salvo  // of a rival

	perRequest, perCPU, rate, load, server, p50, p99 []float64
	achieved, lag50, lag99, seen50, seen99           []float64
	quiet                                            []bool // of Eve's rounds: nobody disturbed the machine
	lost, limited, limitedQuiet                      int    // limitedQuiet: of quiet rounds
	reasons                                          []string
}

// quietRounds is how many rounds without disturbance a verdict on times takes.
const quietRounds = 3

// undisturbed keeps the figures of quiet rounds: all, and false, where they are too few.
func (c *runner) undisturbed(of []float64) ([]float64, bool) {
	var kept []float64
	for i, x := range of {
		if i < len(c.quiet) && c.quiet[i] {
			kept = append(kept, x)
		}
	}
	if len(kept) < quietRounds {
		return of, false
	}
	return kept, true
}

// late claims that a time of quiet rounds is at most the bound. Of a machine that is disturbed only a time that is short says something.
func (c *runner) late(name string, of []float64, bound float64) Shape {
	kept, ok := c.undisturbed(of)
	return unlessDisturbed(AtMost(loadCard, name, NewFigure(Seconds, kept...), bound), ok)
}

// within claims that Eve was the limit in none of the quiet rounds, or in none of all.
func (c *runner) within(name string) Shape {
	kept, ok := c.undisturbed(c.rate)
	broken := c.limited
	if ok {
		broken = c.limitedQuiet
	}
	s := Always(loadCard, name, broken, len(kept))
	s.Hard = false
	return unlessDisturbed(s, ok)
}

// unlessDisturbed leaves a verdict that something took too long to machines that were quiet.
func unlessDisturbed(s Shape, quiet bool) Shape {
	if !quiet && s.Verdict == HoldsNot {
		return certified(s, 0)
	}
	return s
}

// clients starts a process of Eve's clients, as modules are started.
func (x *gallop) clients(ctx context.Context) (*part, error) {
	return x.cfg.partOn(ctx, clientCPU, "clients", "GOMAXPROCS=4")
}

// fast starts the server that is asked when only the client counts: the raw loop in C, or the fastest engine where there is no compiler.
func (x *gallop) fast(ctx context.Context) (*web, error) {
	if _, err := exec.LookPath("cc"); err == nil {
		return x.cfg.openWeb(ctx, loopPeer, true)
	}
	return x.cfg.openWeb(ctx, "reactors", false)
}

// round has a load generator ask a server once, and returns what Eve's clients told, if it was they.
func (x *gallop) round(ctx context.Context, c *runner, address string, pid int) (v visited, err error) {
	busy, began := processCPU(pid), time.Now()
	var f shot
	if c.rival == nil {
		c.crowd.Address = address
		probe := runs.StartProbe()
		err = c.part.call("run", c.crowd, &v)
		quiet := probe.Stop(began).CleanAt(0, time.Since(began).Seconds())
		if err != nil {
			return v, fmt.Errorf("%s: %w", c.name, err)
		}
		f = v.shot()
		c.lost += v.unaccounted()
		c.quiet = append(c.quiet, quiet)
		c.lag50, c.lag99 = append(c.lag50, float64(v.Lag.P50)), append(c.lag99, float64(v.Lag.P99))
		if len(v.Limited) > 0 {
			c.limited++
			c.reasons = v.Limited
			if quiet {
				c.limitedQuiet++
			}
		}
	} else {
		s := c.salvo
		s.Address = address
		if f, err = c.rival.shoot(ctx, s); err != nil {
			return v, err
		}
	}
	if f.Requests == 0 {
		return v, fmt.Errorf("%s: no answer came", c.name)
	}
	n := float64(f.Requests)
	switch {
	case v.Planned > 0:
		c.achieved = append(c.achieved, float64(v.Issued)/float64(v.Planned))
	case c.salvo.Rate > 0:
		c.achieved = append(c.achieved, n/f.Seconds/float64(c.salvo.Rate))
	}
	c.perRequest, c.perCPU = append(c.perRequest, f.CPU/n), append(c.perCPU, n/f.CPU)
	c.rate, c.load = append(c.rate, n/f.Seconds), append(c.load, f.CPU/f.Seconds)
	c.server = append(c.server, (processCPU(pid)-busy)/time.Since(began).Seconds())
	c.p50, c.p99 = append(c.p50, f.P50), append(c.p99, f.P99)
	return v, nil
}

// shot is what Eve's clients did in the terms of all.
func (v *visited) shot() shot {
	return shot{
		Requests: v.OK, Errors: v.Requests - v.OK, Seconds: v.Seconds, CPU: v.CPU,
		P50: float64(v.Response.P50), P99: float64(v.Response.P99), Max: float64(v.Response.Max),
	}
}

// unaccounted counts what has no business in a run against a server that answers: failures, what did not end, and what is missing.
func (v *visited) unaccounted() int {
	n := v.Issued - v.OK
	if v.Planned > 0 {
		n += max(int64(v.Planned)-v.Issued, v.Issued-int64(v.Planned))
	}
	if !v.Balanced {
		n++
	}
	return int(n)
}

// connectionsClosed is how many connections are never idle.
const connectionsClosed = 64

// closed measures 64 connections that are never idle.
func (x *gallop) closed(ctx context.Context, r *Report) error {
	part, err := x.clients(ctx)
	if err != nil {
		return err
	}
	defer part.stop()
	w, err := x.fast(ctx)
	if err != nil {
		return err
	}
	defer w.stop()
	run := pick(x.cfg, time.Second, 50*time.Millisecond)
	all := []*runner{{name: ours, part: part, crowd: guests{Users: connectionsClosed, Run: run, Seed: 1}}}
	for _, p := range x.rivals {
		all = append(all, &runner{name: p.name, rival: p, salvo: salvo{Connections: connectionsClosed, Run: run}})
	}
	x.cfg.say("load: 64 connections that are never idle, %d load generators in turns", len(all))
	began := time.Now()
	for i := range pick(x.cfg, 9, 2) {
		if err := x.turns(ctx, all, i, w); err != nil {
			return err
		}
	}
	end := began.Add(pick(x.cfg, closedFor, 0))
	for i := 0; time.Now().Before(end) && !narrowest(all); i++ {
		if err := x.turns(ctx, judgedOf(all), i, w); err != nil {
			return err
		}
	}
	x.reportClosed(r, all, w)
	return nil
}

// closedFor is how long rounds of the closed loop may go on while the interval of what is judged is wide.
const closedFor = 90 * time.Second

// judgedOf are the load generators that a goal compares: Eve and wrk.
func judgedOf(all []*runner) []*runner {
	return slices.DeleteFunc(slices.Clone(all), func(c *runner) bool { return c.name != ours && c.name != wrkPeer })
}

// narrowest says whether the ratio of Eve's requests for a CPU second to wrk's is known well enough, if there is one.
func narrowest(all []*runner) bool {
	if len(judgedOf(all)) < 2 {
		return true
	}
	f := against(all, wrkPeer)
	return float64(f.High-f.Low) <= narrow
}

// turns is a round of each, beginning with another each time.
func (x *gallop) turns(ctx context.Context, all []*runner, round int, w *web) error {
	for k := range all {
		if _, err := x.round(ctx, all[(k+round)%len(all)], w.address, w.pid); err != nil {
			return err
		}
	}
	return nil
}

func runnerOf(all []*runner, name string) *runner {
	i := slices.IndexFunc(all, func(c *runner) bool { return c.name == name })
	if i < 0 {
		return &runner{}
	}
	return all[i]
}

// against is Eve's requests for a CPU second of the client over a peer's, round by round.
func against(all []*runner, peer string) Figure {
	return Ratio(NewFigure(PerSecond, runnerOf(all, ours).perCPU...), NewFigure(PerSecond, runnerOf(all, peer).perCPU...))
}

// pace is the rate at which lateness is measured, per second; spin what Eve polls before each instant, where it polls.
const (
	pace = 10_000
	spin = 60 * time.Microsecond
)

// paced measures how late requests come at a constant or Poisson rate, told by Eve's clients and seen by the server.
func (x *gallop) paced(ctx context.Context, r *Report) error {
	part, err := x.clients(ctx)
	if err != nil {
		return err
	}
	defer part.stop()
	server, err := x.cfg.partOn(ctx, serverCPU, "clocked", "GOMAXPROCS=4")
	if err != nil {
		return err
	}
	defer server.stop()
	var d door
	if err := server.call("open", struct{}{}, &d); err != nil {
		return err
	}
	rate, run := pick(x.cfg, pace, 500), pick(x.cfg, time.Second, 100*time.Millisecond)
	crowd := guests{Run: run, Rate: []user.Point{{Rate: float64(rate)}}, Seed: 1}
	constant, spinning := crowd, crowd
	constant.Law, spinning.Spin = user.Constant, spin
	all := []*runner{
		{name: poissonRunner, part: part, crowd: crowd},
		{name: spinRunner, part: part, crowd: spinning},
		{name: constantRunner, part: part, crowd: constant},
	}
	for _, p := range x.rivals {
		if p.open {
			all = append(all, &runner{name: p.name, rival: p, salvo: salvo{Rate: rate, Connections: connectionsClosed, Run: run}})
		}
	}
	x.cfg.say("load: lateness at %d requests a second, %d load generators in turns", rate, len(all))
	for i := range pick(x.cfg, 7, 2) {
		for k := range all {
			if err := x.pacedRound(ctx, all[(k+i)%len(all)], server, d.TCP); err != nil {
				return err
			}
		}
	}
	x.reportPaced(r, all, rate)
	return nil
}

// The settings of Eve at a rate.
const (
	poissonRunner  = ours + ", Poisson"
	spinRunner     = ours + ", Poisson, spinning"
	constantRunner = ours + ", constant"
)

// pacedRound is one round, and what the server has seen of it where gaps were to be equal.
func (x *gallop) pacedRound(ctx context.Context, c *runner, server *part, address string) error {
	if err := server.call("begin", mischief{}, nil); err != nil {
		return err
	}
	if _, err := x.round(ctx, c, address, server.pid()); err != nil {
		return err
	}
	var seen seenArrivals
	if err := server.call("collect", struct{}{}, &seen); err != nil {
		return err
	}
	rate, each := float64(c.salvo.Rate), false
	switch {
	case c.rival != nil:
		each = c.rival.paced
	case c.crowd.Law != user.Constant:
		return nil // gaps that a server cannot know
	default:
		rate = c.crowd.Rate[0].Rate
	}
	p50, p99 := seen.lateness(rate, each)
	c.seen50, c.seen99 = append(c.seen50, p50), append(c.seen99, p99)
	return nil
}

// lateness is how much later than a plan of equal gaps requests came, in s, the earliest of each plan counting as on time. The plan is of
// all requests, or of each connection; then the first over each is left out, with which some programs try it.
func (s *seenArrivals) lateness(rate float64, each bool) (p50, p99 float64) {
	plans := map[int32][]int64{}
	for i, at := range s.At {
		of := int32(0)
		if each {
			of = s.Over[i]
		}
		plans[of] = append(plans[of], at)
	}
	gap := 1e9 / rate * float64(len(plans))
	var late []int64
	for _, ats := range plans {
		if each {
			ats = ats[1:]
		}
		if len(ats) == 0 {
			continue
		}
		off := make([]int64, len(ats))
		for i, at := range ats {
			off[i] = at - ats[0] - int64(float64(i)*gap)
		}
		least := slices.Min(off)
		for _, o := range off {
			late = append(late, o-least)
		}
	}
	if len(late) == 0 {
		return 0, 0
	}
	slices.Sort(late)
	return nanoQuantile(late, 0.5), nanoQuantile(late, 0.99)
}

// stepRates are rates from what all keep to what none on one processor does.
var stepRates = [...]int{10_000, 25_000, 50_000, 80_000}

// steady is the rate at which Eve's clients must not be the limit.
const steady = 50_000

// steps measures which rates are kept.
func (x *gallop) steps(ctx context.Context, r *Report) error {
	part, err := x.clients(ctx)
	if err != nil {
		return err
	}
	defer part.stop()
	w, err := x.fast(ctx)
	if err != nil {
		return err
	}
	defer w.stop()
	rates := pick(x.cfg, stepRates[:], []int{500, 1000})
	run := pick(x.cfg, time.Second, 100*time.Millisecond)
	var all [][]*runner // by rate
	for _, rate := range rates {
		step := []*runner{{name: ours, part: part, crowd: guests{Run: run, Rate: []user.Point{{Rate: float64(rate)}}, Seed: 1}}}
		for _, p := range x.rivals {
			if p.open {
				step = append(step, &runner{name: p.name, rival: p, salvo: salvo{Rate: rate, Connections: connectionsClosed, Run: run}})
			}
		}
		all = append(all, step)
	}
	x.cfg.say("load: rates of %s a second, %d load generators in turns", joinInts(rates), len(all[0]))
	for i := range pick(x.cfg, 5, 1) {
		for _, step := range all {
			if err := x.turns(ctx, step, i, w); err != nil {
				return err
			}
		}
	}
	x.reportSteps(r, rates, all)
	return nil
}
