package app

import (
	"context"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/eve-emulation/eve/dsv"
	"github.com/eve-emulation/eve/fase/runs"
	"github.com/eve-emulation/eve/fase/scenario"
	"github.com/eve-emulation/eve/fase/stat"
	"github.com/eve-emulation/eve/fase/user"
)

// A precision is how long paths are followed to hold them against theory.
type precision struct {
	error    float64 // relative standard error asked for
	replicas int     // paths of a system, each of a seed of its own
	most     float64 // systems whose responses vary by more are left out; 0: none
}

// The precisions of the command, and of the test that comes with every change.
var (
	wholePrecision = precision{error: 0.005, replicas: 40}
	shortPrecision = precision{error: 0.01, replicas: 16, most: 100}
)

// margin is by how much more requests are followed than the variance asks for, which is known to a tenth or so; what is still short of
// the precision then gets further paths, so many times at most.
const (
	margin     = 1.2
	extensions = 4
)

// theories holds the exact paths of all systems against theory: the mean of replications that know nothing of one another, with a standard
// error by their spread alone. In virtual time every request must be on its path, so this is what virtual time measures in the long run.
func theories(ctx context.Context, list []system, seed int64, p precision, compile func(name, text string) (*scenario.Plan, error)) ([]verdict, error) {
	means, counts, want := make([][]float64, len(list)), make([][]int, len(list)), make([]int, len(list))
	for i := range list {
		if s := &list[i]; !s.fluid && !s.full && (p.most == 0 || s.variance <= p.most && !s.slow) {
			want[i] = p.replicas
		}
	}
	var courses sync.Pool
	for range extensions + 1 {
		work, ctx := errgroup.WithContext(ctx)
		work.SetLimit(runtime.GOMAXPROCS(0))
		for i := range list {
			from := len(means[i])
			means[i] = append(means[i], make([]float64, want[i])...)
			counts[i] = append(counts[i], make([]int, want[i])...)
			for r := from; r < len(means[i]); r++ {
				work.Go(func() (err error) {
					if ctx.Err() != nil {
						return ctx.Err()
					}
					c, _ := courses.Get().(*course)
					if c == nil {
						c = &course{}
					}
					defer courses.Put(c)
					means[i][r], counts[i][r], err = list[i].replica(c, seed*1000+int64(r), p, compile)
					return err
				})
			}
		}
		if err := work.Wait(); err != nil {
			return nil, err
		}
		more := 0
		for i := range list {
			want[i] = p.short(means[i], list[i].theory)
			more += want[i]
		}
		if more == 0 {
			break
		}
	}
	var verdicts []verdict
	for i := range list {
		if s := &list[i]; len(means[i]) > 0 {
			v := verdict{name: s.card + " " + s.name, kind: "theory", seed: seed, n: sumOf(counts[i]), clean: nan, p99: nan, exact: s.theory, share: s.share}
			v.againstTheory(means[i], p.error, s.tolerance)
			verdicts = append(verdicts, v)
		}
	}
	return verdicts, nil
}

// short is how many more paths it takes until the standard error of their mean is as small as asked for.
func (p precision) short(means []float64, theory float64) int {
	n := float64(len(means))
	if n < 2 {
		return 0
	}
	x := spread(means) / math.Sqrt(n) / (p.error * theory)
	if x <= 1 {
		return 0
	}
	return int(math.Ceil(n * (margin*x*x - 1)))
}

func sumOf(xs []int) int {
	n := 0
	for _, x := range xs {
		n += x
	}
	return n
}

// replica follows one path of a system, and returns the mean response of what comes after its first twentieth, in which the system fills. It
// takes the course for it, whatever is in it.
func (s *system) replica(c *course, seed int64, p precision, compile func(name, text string) (*scenario.Plan, error)) (mean float64, n int, err error) {
	plan, err := compile(s.tag+"path", scenarioOf(s.tag+"path", []system{*s}, 10*time.Second, time.Second, seed))
	if err != nil {
		return 0, 0, err
	}
	groups, services := s.parts(plan)
	want := 1.05 * max(2000, margin*s.variance/(p.error*p.error)/float64(p.replicas))
	end := dsv.At(time.Duration(want / s.rate(plan) * 1e9))
	c.reset(int(1.1*want*s.whole(plan)/s.rate(plan)), len(services))
	if s.closed {
		s.ask(c, &groups[0], end)
	} else {
		c.planned(groups, end)
	}
	sum := 0.0
	for i, d := range s.path(c) {
		a := &c.asked[i]
		if a.due <= end/21 || s.of != nil && !s.of(a.group) {
			continue
		}
		x := d.Sub(a.due).Seconds()
		if s.score != nil {
			x = s.score(x, c.refused != nil && c.refused[i])
		}
		if !math.IsNaN(x) {
			sum += x
			n++
		}
	}
	return sum / float64(n), n, nil
}

// rate is how many requests per second the groups that count ask, roughly.
func (s *system) rate(plan *scenario.Plan) float64 { return s.rateOf(plan, s.of) }

// whole is how many requests per second all its groups ask, roughly.
func (s *system) whole(plan *scenario.Plan) float64 { return s.rateOf(plan, nil) }

func (s *system) rateOf(plan *scenario.Plan, of func(group int) bool) float64 {
	groups, _ := s.parts(plan)
	sum := 0.0
	for i := range groups {
		switch {
		case of != nil && !of(i):
		case groups[i].Open():
			sum += groups[i].Rate[0].Rate
		default:
			sum += float64(groups[i].Users) / (groups[i].Think.Mean.Seconds() + s.theory) // shares are of open ones
		}
	}
	return sum
}

// theoryErrors is how many standard errors a mean may be off theory.
const theoryErrors = 4

// ask has the users of a closed system ask until an instant.
func (s *system) ask(c *course, g *user.Config, end dsv.Instant) {
	if s.rounds != nil {
		s.rounds(c, g, end)
		return
	}
	c.rounds(g, 1, end)
}

// againstTheory judges the mean of replications: its standard error must be small enough, and it must be within four of them, beside the
// share by which an approximation may be wrong itself.
func (v *verdict) againstTheory(means []float64, most, tolerance float64) {
	e, err := stat.Mean(means, 0.95)
	if err != nil {
		v.verdict = stat.Inconclusive
		v.notes = append(v.notes, err.Error())
		return
	}
	v.measured = e.Value
	se := spread(means) / math.Sqrt(float64(len(means)))
	v.diff = stat.Estimate{Value: e.Value - v.exact, Low: e.Value - theoryErrors*se - v.exact, High: e.Value + theoryErrors*se - v.exact}
	v.verdict = stat.Pass
	if tolerance > 0 {
		v.notes = append(v.notes, fmt.Sprintf("an approximation, which may be %.2g %% off", 100*tolerance))
	}
	if off := math.Abs(e.Value-v.exact) - tolerance*v.exact; off > theoryErrors*se {
		v.check(false, "the mean is %.1f standard errors off theory", off/se)
	} else if se > most*v.exact {
		v.verdict = stat.Inconclusive
		v.notes = append(v.notes, fmt.Sprintf("its standard error is %.2f %%, where %.2g %% was asked for", 100*se/v.exact, 100*most))
	}
}

// spread is the standard deviation of some samples.
func spread(xs []float64) float64 {
	m, sum := mean(xs), 0.0
	for _, x := range xs {
		sum += (x - m) * (x - m)
	}
	return math.Sqrt(sum / float64(len(xs)-1))
}

// compile makes a plan of a text, as of a file.
func (t *truth) compile(name, text string) (*scenario.Plan, error) {
	return scenario.Load(name, []byte(text), scenario.Options{Kinds: t.app.kinds(), Manipulators: t.app.registry.Manipulators()})
}

// The lengths of the runs of all systems together. The load of E16 steps up after 8 s.
const (
	systemsVirtual = 30 * time.Second
	systemsReal    = 30 * time.Second
	systemsWarmup  = 5 * time.Second
	systemsEnd     = 2 * time.Second // what is due so late is not judged: others that it shares a processor with may not have ended
	systemsBeside  = 7               // for real: more load the host themselves
)

// tiers are T0 and T1: the paths of all systems against theory, virtual time against the paths, and real sockets against the paths of what
// the servers read.
func (t *truth) tiers(ctx context.Context) error {
	p := wholePrecision
	if t.quick {
		p = shortPrecision
	}
	if !slices.Contains(t.tier, 0) {
		return t.sockets(ctx)
	}
	fmt.Fprintf(t.app.err, "T0: theory, %d systems …\n", len(t.systems))
	vs, err := theories(ctx, t.systems, t.seeds[0], p, t.compile)
	t.verdicts = append(t.verdicts, vs...)
	if err != nil {
		return err
	}
	if err := t.together(ctx, "systems-"+string(runs.Virtual), t.systems, runs.Virtual, systemsVirtual); err != nil {
		return err
	}
	return t.sockets(ctx)
}

// sockets is T1.
func (t *truth) sockets(ctx context.Context) error {
	if t.quick || !slices.Contains(t.tier, 1) {
		return nil
	}
	wall, n := slices.DeleteFunc(slices.Clone(t.systems), func(s system) bool { return !s.wall }), 0
	for list := range slices.Chunk(wall, systemsBeside) {
		n++
		if err := t.together(ctx, fmt.Sprintf("systems-%s-%d", runs.Real, n), list, runs.Real, systemsReal); err != nil {
			return err
		}
	}
	return nil
}

// together runs some systems side by side and judges each.
func (t *truth) together(ctx context.Context, name string, list []system, kind runs.Kind, length time.Duration) error {
	text := scenarioOf("systems", list, length, systemsWarmup, t.seeds[0])
	if kind == runs.Real {
		var err error
		if text, err = seldom(text, t.compile); err != nil {
			return err
		}
	}
	file := filepath.Join(t.out, name+".yaml")
	if err := os.MkdirAll(t.out, 0o755); err != nil {
		return err
	}
	if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
		return err
	}
	plan, err := t.app.load(file, overrides{seed: -1})
	if err != nil {
		return err
	}
	if kind == runs.Real {
		fmt.Fprintf(t.app.err, "T1: %d systems side by side: %v …\n", len(list), length)
	}
	o, err := t.app.perform(ctx, plan, filepath.Join(t.out, name), kind, nil, newView(plan, discard{}))
	if err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	switch o.summary.Exit {
	case runs.ExitInterrupted, runs.ExitFailed:
		return fmt.Errorf("%s: %w", name, o.failure())
	}
	for i := range list {
		v, err := t.judgeSystem(&list[i], plan, o, kind)
		if err != nil {
			return fmt.Errorf("%s: %s: %w", name, list[i].name, err)
		}
		t.verdicts = append(t.verdicts, v)
	}
	t.verdicts = append(t.verdicts, booksOf(name, kind, t.seeds[0], o.summary))
	return nil
}

// judgeSystem pairs what a run recorded of a system with its exact path.
func (t *truth) judgeSystem(s *system, plan *scenario.Plan, o *outcome, kind runs.Kind) (verdict, error) {
	v := verdict{name: s.card + " " + s.name, kind: kind, seed: t.seeds[0]}
	p, err := s.pairUp(plan, o, kind == runs.Virtual)
	if err != nil {
		return v, err
	}
	if kind == runs.Virtual {
		p.judgeVirtual(&v, s.slack)
	} else {
		last := p.to.Add(-systemsEnd)
		p.requests = slices.DeleteFunc(p.requests, func(r paired) bool { return r.due > last })
		if s.full {
			p.memory = time.Second
		}
		p.judgeReal(&v, 1)
		if v.verdict == stat.Pass && !s.full {
			v.check(v.p99 <= truthP99, "p99 of the differences is above %s", short(truthP99))
		}
	}
	switch {
	case v.verdict == notCertified: // what follows would tell of the host
		return v, nil
	case kind == runs.Real:
		v.check(p.unserved == 0, "%d requests failed and reached no server", p.unserved)
		v.check(p.missing == 0, "of %d answered requests a server recorded nothing", p.missing)
	}
	switch {
	case s.fluid:
		p.judgeStep(&v)
	case s.full:
		p.judgeFull(&v)
	}
	return v, nil
}

// fluidShare is by how much peak and drain of E16 may miss their fluid limit, and the throughput of E17 capacity.
const (
	fluidShare = 0.05
	fullShare  = 0.01
)

// judgeStep holds the longest response of E16 against what comes together in 2 s of one and a half times the capacity, and the time until
// nobody waits against how long that takes to drain.
func (p *pairing) judgeStep(v *verdict) {
	peak, last := 0.0, dsv.Instant(0)
	for _, r := range p.requests {
		took := r.got.Sub(r.due).Seconds()
		peak = max(peak, took)
		if took > 2*demand.Seconds() {
			last = max(last, r.due)
		}
	}
	over := stepsFor.Seconds() * 0.5 // of work: half of the time that the load was one and a half times the capacity
	drained := last.Sub(dsv.At(stepsUp + stepsFor)).Seconds()
	v.notes = append(v.notes, fmt.Sprintf("peak %.3f s, drained after %.3f s; in the fluid limit %.3f s and %.3f s", peak, drained, over, 2*over))
	v.check(math.Abs(peak-over) <= fluidShare*over, "the peak misses the fluid limit by more than 5 %%")
	v.check(math.Abs(drained-2*over) <= fluidShare*2*over, "the time to drain misses the fluid limit by more than 5 %%")
}

// judgeFull holds the throughput of E17 against the capacity.
func (p *pairing) judgeFull(v *verdict) {
	n := 0
	for _, r := range p.requests {
		if r.got > p.from && r.got <= p.to.Add(-systemsEnd) {
			n++
		}
	}
	// Requests that were due too late to be judged had not ended by then: the line is as long as the run is.
	x, want := float64(n)/p.to.Add(-systemsEnd).Sub(p.from).Seconds(), 1/demand.Seconds()
	v.notes = append(v.notes, fmt.Sprintf("throughput %.2f/s, capacity %.2f/s", x, want))
	v.check(math.Abs(x-want) <= fullShare*want, "the throughput misses the capacity by more than 1 %%")
}

// booksOf is the verdict on the books of a run.
func booksOf(name string, kind runs.Kind, seed int64, s *runs.Summary) verdict {
	v := verdict{name: name + ": books", kind: kind, seed: seed, verdict: s.Books.Verdict, exact: nan, measured: nan, p99: nan, clean: nan}
	v.diff = stat.Estimate{Value: nan, Low: nan, High: nan}
	little, busy := 0.0, 0.0
	for _, x := range s.Books.Little {
		little = max(little, float64(x.Error))
		v.n += int(x.Requests)
	}
	for _, x := range s.Books.Utilisation {
		busy = max(busy, float64(x.Error))
	}
	v.notes = append(v.notes, fmt.Sprintf("%d edges; Little's law within %.1g of %d logs, utilisation law within %.2g %% of %d CPUs",
		len(s.Books.Edges), little, len(s.Books.Little), 100*busy, len(s.Books.Utilisation)))
	for _, w := range s.Warnings {
		if strings.Contains(w, "books") || strings.Contains(w, "law") {
			v.notes = append(v.notes, w)
		}
	}
	return v
}
