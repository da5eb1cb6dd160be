package find

import (
	"fmt"
	"math"
	"time"

	"github.com/eve-emulation/eve/dsv"
	"github.com/eve-emulation/eve/fase/stat"
)

// A Verdict is what a probe says of its limits.
type Verdict = stat.Verdict

// The verdicts.
const (
	Pass         = stat.Pass
	Fail         = stat.Fail
	Inconclusive = stat.Inconclusive
)

// A TestConfig describes one probe.
type TestConfig struct {
	Limits []Limit
	Most   time.Duration // the probe ends then, decided or not
	// Pass is how often, at most, a load that does not hold may pass, and Fail how often one that holds may fail. 0: 0.01
	// and 0.05.
	Pass, Fail float64
	// Whole tells that a pass is given only at the end: the probe confirms. It still fails at once.
	Whole bool
	// Clumps is in how many stretches of time apart from each other a bound must be exceeded before a load fails, unless most
	// requests exceed it: one hiccup of the network or the host is none of the load's. 0: 4. In virtual time there are none: 1.
	Clumps int
}

// A Test is one probe: a sequential test of limits. It is looked at when it has become half as long again, and decides as
// soon as an interval excludes a limit. Each look spends that share of the error by which time has passed since the last
// (Lan and DeMets, "Discrete Sequential Boundaries for Clinical Trials", Biometrika 70, 1983), and errors add up
// (Bonferroni), so all looks together err at most as often as the config says.
//
// It passes when all limits hold, and fails when one does not. It belongs to one goroutine.
type Test struct {
	cfg      TestConfig
	series   *Series
	from     dsv.Instant
	next     dsv.Instant // look
	looked   dsv.Instant
	issued   []mark
	ended    int64
	clumps   []clump // by limit
	evidence []Evidence
	verdict  Verdict
	over     bool
}

// A mark is how many requests were issued by an instant.
type mark struct {
	at dsv.Instant
	n  int64
}

// A clump is a stretch of time in which requests exceed a bound.
type clump struct {
	last dsv.Instant // that one did
	n    int
}

// apart is how long none exceeds a bound between two clumps, in units of the bound.
const apart = 4

// leastClumps is the default of TestConfig.Clumps.
const leastClumps = 4

// firstLook is when a probe is first looked at.
const firstLook = dsv.Instant(500e6)

// NewTest returns a test that begins at an instant; what ended before does not count.
func NewTest(cfg TestConfig, from dsv.Instant) (*Test, error) {
	if len(cfg.Limits) == 0 || cfg.Most < time.Second {
		return nil, fmt.Errorf("test: %w: want limits, and at least 1s for a probe", ErrConfig)
	}
	cfg.Pass, cfg.Fail = orDefault(cfg.Pass, DefaultPass), orDefault(cfg.Fail, DefaultFail)
	if cfg.Clumps == 0 {
		cfg.Clumps = leastClumps
	}
	if cfg.Pass >= 0.5 || cfg.Fail >= 0.5 || cfg.Pass < 0 || cfg.Fail < 0 {
		return nil, fmt.Errorf("test: %w: errors of %g and %g", ErrConfig, cfg.Pass, cfg.Fail)
	}
	return &Test{
		cfg: cfg, series: NewSeries(from), from: from, looked: from, next: from + firstLook, verdict: Inconclusive,
		clumps: make([]clump, len(cfg.Limits)),
	}, nil
}

// The errors of a probe, unless its config says otherwise.
const (
	DefaultPass = 0.01
	DefaultFail = 0.05
)

func orDefault(x, otherwise float64) float64 {
	if x == 0 {
		return otherwise
	}
	return x
}

// Add takes in a request that ended at an instant, which do not fall.
func (t *Test) Add(done dsv.Instant, seconds float64, failed bool) {
	t.ended++
	t.series.Add(done, seconds, failed)
	for i := range t.clumps {
		l, c := &t.cfg.Limits[i], &t.clumps[i]
		if !(failed && l.Metric != Mean) && (l.Metric == Errors || seconds <= l.Bound) {
			continue
		}
		if c.n == 0 || l.Metric == Errors || (done-c.last).Seconds() > apart*l.Bound {
			c.n++
		}
		c.last = done
	}
}

// Issued tells how many requests were issued since the probe began, by an instant. With it a test sees that requests do not
// end: those issued longer ago than the bound are above it. Every 100 ms or so is often enough.
func (t *Test) Issued(at dsv.Instant, n int64) {
	if len(t.issued) > 4096 { // the oldest are of no use any more
		t.issued = append(t.issued[:0], t.issued[2048:]...)
	}
	t.issued = append(t.issued, mark{at, n})
}

// waiting is a lower bound of how many requests under way have waited longer than so many seconds: what was issued that
// long ago, less all that ended since.
func (t *Test) waiting(at dsv.Instant, bound float64) int64 {
	for i := len(t.issued) - 1; i >= 0; i-- {
		if (at - t.issued[i].at).Seconds() > bound {
			return max(t.issued[i].n-t.ended, 0)
		}
	}
	return 0
}

// Look judges what was fed up to an instant, when a look is due, and reports whether the probe is over: it has decided, or
// lasted as long as it may.
func (t *Test) Look(at dsv.Instant) bool {
	end := t.from + dsv.At(t.cfg.Most)
	if t.over || at < min(t.next, end) {
		return t.over
	}
	at = min(at, end)
	t.series.To(at)
	// All limits must hold for a pass, so each may err as often as all; any of them makes a fail, so they share.
	spent := (at - t.looked).Seconds() / t.cfg.Most.Seconds()
	pass, fail := t.cfg.Pass*spent, t.cfg.Fail*spent/float64(len(t.cfg.Limits))
	if t.cfg.Whole {
		pass = t.cfg.Pass
	}
	t.evidence, t.verdict = t.evidence[:0], Pass
	for i, l := range t.cfg.Limits {
		e := t.series.judge(l, t.waiting(at, l.Bound), pass, fail)
		if e.Verdict == Fail && t.clumps[i].n < t.cfg.Clumps && !(e.Share >= 0.5) {
			e.Verdict = Inconclusive
		}
		t.evidence = append(t.evidence, e)
		if e.Verdict == Fail || e.Verdict == Inconclusive && t.verdict == Pass {
			t.verdict = e.Verdict
		}
	}
	t.looked, t.next = at, at+(at-t.from)/2
	switch {
	case at >= end, t.verdict == Fail, t.verdict == Pass && !t.cfg.Whole:
		t.over = true
	}
	return t.over
}

// Next is when the test wants to be looked at: the end of the probe if not before.
func (t *Test) Next() dsv.Instant { return min(t.next, t.from+dsv.At(t.cfg.Most)) }

// Stop ends the probe at an instant for a reason of the driver's: the generator was the limit, or the user wants no more.
func (t *Test) Stop(at dsv.Instant) {
	if !t.over {
		t.over, t.looked, t.verdict = true, max(at, t.looked), Inconclusive
	}
}

// Outcome is what a probe found.
type Outcome struct {
	Verdict  Verdict
	Evidence []Evidence    // by limit, of the last look; empty when there was none
	Took     time.Duration // until it was decided
	Requests int64         // that results rest on
	Failed   int64         // of them
	Rate     float64       // of requests that ended, per second
	P50, P99 float64       // seconds, of all requests, failed or not
}

// Holds reports whether the limits hold as far as the probe tells: it passed, or is inconclusive and leans to it.
func (o *Outcome) Holds() bool {
	if o.Verdict != Inconclusive {
		return o.Verdict == Pass
	}
	for _, e := range o.Evidence {
		if !(e.Share < e.Allowed) {
			return false
		}
	}
	return len(o.Evidence) > 0
}

// Verdict is that of the last look.
func (t *Test) Verdict() Verdict { return t.verdict }

// Outcome returns what the probe found so far.
func (t *Test) Outcome() Outcome {
	n, failed := t.series.Count()
	o := Outcome{
		Verdict: t.verdict, Evidence: append([]Evidence(nil), t.evidence...), Took: t.looked.Sub(t.from),
		Requests: n, Failed: failed, P50: t.series.Felt(0.5), P99: t.series.Felt(0.99),
	}
	if s := t.series.Seconds(); s > 0 {
		o.Rate = float64(n) / s
	}
	if math.IsNaN(o.Rate) {
		o.Rate = 0
	}
	return o
}
