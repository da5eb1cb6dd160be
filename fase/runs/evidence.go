package runs

import (
	"fmt"
	"math"
	"slices"

	"github.com/eve-emulation/eve/dsv"
	"github.com/eve-emulation/eve/fase/stat"
	"github.com/eve-emulation/eve/fase/user"
)

// A GateName names a question that the figures of a group of clients have to stand before they may be believed.
type GateName string

// The gates, in the order in which they are asked.
const (
	BooksGate     GateName = "books"     // is each request accounted for?
	GeneratorGate GateName = "generator" // did the generator keep its plan?
	ArrivalsGate  GateName = "arrivals"  // do arrivals follow their law? Open groups only
	WarmupGate    GateName = "warmup"    // is the transient left out?
	SteadyGate    GateName = "steady"    // does the response time stay at one level?
	IntervalGate  GateName = "interval"  // is there enough to say how exact the figures are?
)

// A Gate is the answer to one of these questions: Pass; Fail, which is a warning as well; or Inconclusive, where it cannot
// be told or does not apply.
type Gate struct {
	Gate    GateName     `json:"gate"`
	Verdict stat.Verdict `json:"verdict"`
	Words   string       `json:"words"`
}

// Warmup is how long the transient at the beginning is.
type Warmup struct {
	Scenario Number `json:"scenario_seconds"` // as the scenario says: that is left out
	MSER5    Number `json:"mser5_seconds"`    // as MSER-5 finds it in the response times of the whole run; null: too few
}

// Steadiness says whether response times stay at one level over the window, by the tests of Heidelberger and Welch, and of
// Mann and Kendall.
type Steadiness struct {
	Verdict stat.Verdict `json:"verdict"`
	P       Number       `json:"p"`     // share of stationary series that deviate at least as much
	Drift   Number       `json:"drift"` // greatest difference of a quarter's mean from the mean, as a share of it
}

// Evidence is what one group of clients has left behind that tells whether its figures may be believed. [Summarise] takes
// it from the history of a run; a caller that measures without one fills it itself.
type Evidence struct {
	Group    *user.Config
	From, To dsv.Instant   // the measured window
	Latency  []dsv.Delta   // of GROUP.latency since T0, by T1: histograms in s
	Records  []user.Record // in the order in which they were due; none is fine, a share as Group.RecordShare says
	// Offered is the integral of the rate of an open group; called with instants that never fall, and nil for the plan's
	// own. Each call of it begins anew.
	Offered func() func(at dsv.Instant) float64
	// Changes says why the load was not the same all the time, empty where it was, or changed by the group's plan alone:
	// "a rule acted".
	Changes string
	Lost    bool // measurements are known to be missing, so the books cannot be expected to balance
	Virtual bool // of virtual time, in which no generator is late
}

// Judge adds to a Client, whose other fields are filled, what makes its figures believable: intervals, the arrivals' law,
// the transient, steadiness, the gates, and the sentence that says it in words.
func (e Evidence) Judge(c *Client) {
	if e.Changes == "" {
		e.Changes = planned(e.Group, e.From, e.To)
	}
	c.Gates = []Gate{e.books(c), e.generator(c)}
	if e.Group.Open() {
		law, gate := e.arrivals(c)
		c.Law, c.Gates = law, append(c.Gates, gate)
	}
	whole, window := e.cells(c)
	c.Gates = append(c.Gates, e.warmup(c, whole), e.steady(c, window), e.intervals(c, window))
	c.Meaning = e.meaning(c)
}

// cells are those of the whole run and of the window.
func (e *Evidence) cells(c *Client) (whole, window cells) {
	var inside []user.Record
	for _, r := range e.Records {
		if r.Done > e.From && r.Done <= e.To {
			inside = append(inside, r)
		}
	}
	if uint64(len(inside)) == c.Response.Count {
		return recorded(e.Records), recorded(inside)
	}
	return windowed(e.Latency, 0, e.To), windowed(e.Latency, e.From, e.To)
}

// failed says whether a gate fired.
func (c *Client) failed(name GateName) bool {
	return slices.ContainsFunc(c.Gates, func(g Gate) bool { return g.Gate == name && g.Verdict == stat.Fail })
}

func (e *Evidence) books(c *Client) Gate {
	a := c.Accounting
	g := Gate{Gate: BooksGate, Verdict: stat.Pass, Words: fmt.Sprintf("%d issued = %d ok + %d errors + %d abandoned + %d in flight",
		a.Issued, a.OK, a.Errors-a.Abandoned, a.Abandoned, a.InFlight)}
	switch {
	case a.Balanced:
	case e.Lost:
		g.Verdict, g.Words = stat.Inconclusive, "measurements were lost, so not every request can be accounted for: "+a.Broken
	default:
		g.Verdict, g.Words = stat.Fail, "the books do not balance: "+a.Broken
	}
	return g
}

func (e *Evidence) generator(c *Client) Gate {
	switch {
	case c.GeneratorLimited:
		return Gate{GeneratorGate, stat.Fail, "the generator was the limit: " + c.GeneratorReasons[0]}
	case e.Virtual:
		return Gate{GeneratorGate, stat.Pass, "in virtual time the generator is never the limit"}
	}
	return Gate{GeneratorGate, stat.Pass, "the generator was not the limit: " + kept(c)}
}

// kept says in figures how a generator kept its plan.
func kept(c *Client) string {
	s := fmt.Sprintf("it issued %s requests/s", round(float64(c.AchievedRate), 4))
	if c.Sessions != nil && !c.Sessions.Mix { // which are what was planned
		s = fmt.Sprintf("it began %s sessions/s", round(float64(c.Sessions.Rate), 4))
	}
	if t := float64(c.TargetRate); t > 0 {
		s += fmt.Sprintf(" of %s/s planned", round(t, 4))
	}
	s += fmt.Sprintf(", the p99 of its lag is %s", seconds(float64(c.SendLag.P99)))
	if g := c.Generator; g != nil && g.Utilisation > 0 {
		s += fmt.Sprintf(", it used %s of a processor", percent(float64(g.Utilisation)))
	}
	return s
}

// warmup judges whether the transient is left out. MSER-5 takes a burst at the end of a series that is heavy-tailed for a
// level that was never reached, so a transient of more than half of the run counts only where the series drifts as well.
func (e *Evidence) warmup(c *Client, whole cells) Gate {
	until, settles := whole.transient()
	from, to := e.From.Seconds(), e.To.Seconds()
	c.Warmup = &Warmup{Scenario: Number(from), MSER5: Number(until)}
	g := Gate{Gate: WarmupGate, Verdict: stat.Pass}
	switch {
	case from > to/2:
		g.Verdict = stat.Fail
		g.Words = fmt.Sprintf("the warm-up of %s is more than half of the run of %s", seconds(from), seconds(to))
	case e.Changes != "" && (!settles || until > from):
		g.Verdict, g.Words = stat.Inconclusive, e.Changes+", so response times have no one level to settle at"
	case math.IsNaN(until):
		g.Verdict, g.Words = stat.Inconclusive, "too few requests ended to find a transient by MSER-5"
	case !settles && !whole.drifts():
		c.Warmup.MSER5 = Number(math.NaN())
		g.Verdict, g.Words = stat.Inconclusive, "response times vary so much that MSER-5 finds no end of a transient, though they stay at one level"
	case !settles:
		g.Verdict = stat.Fail
		g.Words = fmt.Sprintf("response times do not settle within half of the run: by MSER-5 the transient lasts %s of %s", seconds(until), seconds(to))
	case until > from:
		g.Verdict = stat.Inconclusive
		g.Words = fmt.Sprintf("by MSER-5 the transient lasts until %s, and the warm-up until %s", clock(until), clock(from))
	case until == 0:
		g.Words = "by MSER-5 there is no transient"
	default:
		g.Words = fmt.Sprintf("by MSER-5 the transient lasts until %s, which the warm-up of %s leaves out", clock(until), seconds(from))
	}
	return g
}

func (e *Evidence) steady(c *Client, window cells) Gate {
	ms, _ := window.means()
	s := stat.Stationary(ms)
	c.Steady = &Steadiness{Verdict: s.Verdict, P: Number(s.P), Drift: Number(s.Drift)}
	g := Gate{Gate: SteadyGate, Verdict: s.Verdict, Words: "response times stay at one level"}
	switch {
	case e.Changes != "":
		g.Verdict, g.Words = stat.Inconclusive, e.Changes+", so response times need not stay at one level"
	case s.Verdict == stat.Fail:
		g.Words = fmt.Sprintf("response times do not stay at one level: %s (chance explains it with p = %.2g)", quarter(s.Drift), s.P)
	case s.Verdict == stat.Inconclusive:
		g.Words = "too few requests ended to tell whether response times stay at one level"
	}
	return g
}

// quantiles are those that have an interval.
var quantiles = [...]struct {
	name string
	q    float64
}{{"p50", 0.5}, {"p95", 0.95}, {"p99", 0.99}}

// intervals says how exact the mean and the quantiles are.
func (e *Evidence) intervals(c *Client, window cells) Gate {
	var hs []*dsv.Hist
	for _, d := range e.Latency {
		if d.T1 > e.From && d.T1 <= e.To {
			hs = append(hs, d.Value.Hist)
		}
	}
	h := dsv.MergeHists(hs...)
	mean := window.mean()
	c.Intervals = map[string]Estimate{"mean": estimate(mean)}
	for _, x := range quantiles {
		if h.Count() > 0 {
			c.Intervals[x.name] = estimate(window.quantile(x.q, h))
		}
	}
	g := Gate{Gate: IntervalGate, Verdict: stat.Pass}
	switch {
	case mean.Batches == 0:
		g.Verdict, g.Words = stat.Inconclusive, fmt.Sprintf("too few requests ended for a confidence interval: %d", c.Response.Count)
	case mean.TooFew:
		g.Verdict = stat.Inconclusive
		g.Words = "too few requests ended for a confidence interval: they depend on one another over more than a tenth of a batch, so it is too narrow"
	case mean.Correlated:
		g.Verdict = stat.Inconclusive
		g.Words = fmt.Sprintf("neighbouring batches are alike (correlation %.2g), so the confidence interval is too narrow", mean.Correlation)
	default:
		g.Words = fmt.Sprintf("%d batches of %d requests are independent", mean.Batches, mean.N/mean.Batches)
	}
	if mean.Batches > 0 {
		first := c.Intervals["mean"]
		c.ResponseInterval = &first
	}
	return g
}

func estimate(i stat.Interval) Estimate {
	return Estimate{
		Value: Number(i.Value), Low: Number(i.Low), High: Number(i.High), Confidence: Number(i.Confidence), Batches: i.Batches, Samples: i.N,
		TooShort: !i.Trusted(), TooFew: i.TooFew, Correlated: i.Correlated, Correlation: Number(i.Correlation),
	}
}
