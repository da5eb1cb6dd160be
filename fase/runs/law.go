package runs

import (
	"fmt"
	"math"
	"slices"

	"github.com/eve-emulation/eve/dsv"
	"github.com/eve-emulation/eve/fase/stat"
	"github.com/eve-emulation/eve/fase/user"
)

// ArrivalLaw is how well the arrivals of an open group follow the law that was planned: as they were due, and as they were
// sent.
type ArrivalLaw struct {
	Law  string `json:"law"`  // poisson, constant, mmpp, replay
	Gaps int    `json:"gaps"` // that were tested
	Due  *Fit   `json:"due,omitempty"`
	Sent *Fit   `json:"sent,omitempty"`
}

// A Fit says how well gaps between arrivals fit a law. Of the random ones it is the statistic of Anderson and Darling, after
// the gaps were rescaled by the planned rate; of constant arrivals, by how much gaps differ from the planned ones. The others
// are NaN, null in JSON.
type Fit struct {
	Statistic Number `json:"statistic"` // A²
	P         Number `json:"p"`         // share of samples of the law that deviate at least as much
	Distance  Number `json:"distance"`  // sqrt(A²/n)
	P50       Number `json:"deviation_p50_seconds"`
	P99       Number `json:"deviation_p99_seconds"`
	Max       Number `json:"deviation_max_seconds"`
}

// The bounds of the test of arrivals.
const (
	// LawLevel is the share of true samples that are rejected.
	LawLevel = 0.001
	// MaxLawDistance is up to which distance from the law arrivals as they were sent may be called of the law.
	MaxLawDistance = 0.1
	// minLawGaps is how many gaps a test needs.
	minLawGaps = 50
	// maxMissing is the share of arrivals that may be missing among the records.
	maxMissing = 0.01
)

// lawName is a law as it stands in scenarios.
func lawName(g *user.Config) string {
	switch {
	case g.Trace != nil:
		return "replay"
	case g.Law == user.Constant:
		return "constant"
	case g.Law == user.MMPP:
		return "mmpp"
	default:
		return "poisson"
	}
}

// arrivals tests the recorded requests of an open group, in the order in which they were due, against the law of its plan.
// offered is the integral of the rate.
func (e *Evidence) arrivals(c *Client) (*ArrivalLaw, Gate) {
	gate := Gate{Gate: ArrivalsGate, Verdict: stat.Inconclusive}
	law := &ArrivalLaw{Law: lawName(e.Group)}
	if law.Law == "replay" {
		gate.Verdict, gate.Words = stat.Pass, "arrivals are those of the trace"
		if c.ArrivalsOffPlan > 0 {
			gate.Verdict, gate.Words = stat.Fail, fmt.Sprintf("%d arrivals are not those of the trace", c.ArrivalsOffPlan)
		}
		return law, gate
	}
	due, sent := e.instants(c)
	if law.Gaps = max(0, len(due)-1); law.Gaps < minLawGaps {
		gate.Words = fmt.Sprintf("too few arrivals were recorded to test their law: %d, where it takes %d", len(due), minLawGaps+1)
		return law, gate
	}
	if missing := float64(c.Accounting.InFlight); missing > maxMissing*float64(c.Accounting.Issued) && missing > 1 {
		gate.Words = fmt.Sprintf("%.0f of %d requests had not ended, so when they came is not recorded", missing, c.Accounting.Issued)
		return law, gate
	}
	var verdicts [2]stat.Verdict
	law.Due, verdicts[0] = e.fit(due, 0)
	law.Sent, verdicts[1] = e.fit(sent, MaxLawDistance)
	gate.Verdict, gate.Words = law.judge(verdicts[0], verdicts[1])
	return law, gate
}

// judge puts the outcome in words. What was due is the plan's own; what was sent suffers from the generator's lag as well, of
// which another gate tells, so it is pointed out and no more.
func (l *ArrivalLaw) judge(due, sent stat.Verdict) (stat.Verdict, string) {
	names := map[string]string{"poisson": "Poisson", "mmpp": "those of the MMPP", "constant": "evenly spaced"}
	what := names[l.Law]
	shown := fmt.Sprintf("Anderson–Darling p = %.2g, %d gaps", float64(l.Due.P), l.Gaps)
	if l.Law == "constant" {
		shown = fmt.Sprintf("the greatest of %d gaps is %s off", l.Gaps, seconds(float64(l.Due.Max)))
	}
	switch {
	case due == stat.Fail:
		return due, fmt.Sprintf("arrivals are not %s as planned (%s)", what, shown)
	case sent == stat.Fail && l.Law == "constant":
		return stat.Inconclusive, fmt.Sprintf("arrivals were due %s as planned, and sent up to %s apart from that (p99)", what, seconds(float64(l.Sent.P99)))
	case sent == stat.Fail:
		return stat.Inconclusive, fmt.Sprintf("arrivals were due as planned (%s), but not sent so: the generator's lag bunches them (distance %.2g)", shown, float64(l.Sent.Distance))
	default:
		return stat.Pass, fmt.Sprintf("arrivals are %s as planned (%s)", what, shown)
	}
}

// instants are when the recorded requests were due and sent, each ascending. Those at the end are left out of which others
// may still have been under way when the run ended: they would have left holes.
func (e *Evidence) instants(c *Client) (due, sent []float64) {
	end := dsv.Never
	if c.Accounting.InFlight > 0 && c.Response.Max > 0 {
		end = e.To - dsv.Instant(float64(c.Response.Max)*1e9)
	}
	for _, r := range e.Group.Arrived(e.Records, c.begun()) {
		if r.Due > end {
			break
		}
		due = append(due, float64(r.Due))
		if r.Sent >= 0 {
			sent = append(sent, float64(r.Sent))
		}
	}
	slices.Sort(sent)
	return due, sent
}

// fit tests instants in ns, ascending. Gaps are rescaled by the rate, so they have mean 1 whatever the rate did; a sample of
// Poisson arrivals that was chosen by their keys is Poisson. A law is broken where chance does not explain it and, with a
// bound, where its distance is more than that as well.
func (e *Evidence) fit(at []float64, bound float64) (*Fit, stat.Verdict) {
	share := e.Group.RecordShare
	if share <= 0 || share > 1 {
		share = 1
	}
	offered := e.Group.Offered()
	if e.Offered != nil {
		offered = e.Offered()
	}
	gaps := stat.Rescale(at, func(ns float64) float64 { return offered(dsv.Instant(ns)) })
	if e.Group.Law == user.Constant {
		return e.even(gaps, at, bound)
	}
	for i := range gaps {
		gaps[i] *= share
	}
	a, err := stat.ExponentialMean(gaps, 1)
	if err != nil {
		return nil, stat.Inconclusive
	}
	none := Number(math.NaN())
	f := &Fit{Statistic: Number(a.Statistic), P: Number(a.P()), Distance: Number(a.Distance()), P50: none, P99: none, Max: none}
	if a.Rejects(LawLevel) && a.Distance() > bound {
		return f, stat.Fail
	}
	return f, stat.Pass
}

// even compares gaps of constant arrivals with whole numbers of the planned gap: those that were not recorded, or have not
// ended, leave one that is longer. Due instants are rounded to ns, and the rate of a curve varies within a gap.
func (e *Evidence) even(gaps, at []float64, bound float64) (*Fit, stat.Verdict) {
	if len(gaps) == 0 {
		return nil, stat.Inconclusive
	}
	off := make([]float64, len(gaps))
	for i, g := range gaps {
		off[i] = math.Abs(g - math.Max(1, math.Round(g)))
	}
	slices.Sort(off)
	period := (at[len(at)-1] - at[0]) / 1e9 / math.Max(1, sum(gaps))
	q := func(p float64) Number { return Number(stat.Quantile(off, p) * period) }
	none := Number(math.NaN())
	f := &Fit{Statistic: none, P: none, Distance: none, P50: q(0.5), P99: q(0.99), Max: q(1)}
	const rounding = 4e-9 // s
	if float64(f.P99) > math.Max(rounding, bound*period) {
		return f, stat.Fail
	}
	return f, stat.Pass
}

func sum(xs []float64) float64 {
	s := 0.0
	for _, x := range xs {
		s += x
	}
	return s
}
