package runs

import (
	"math"

	"github.com/eve-emulation/eve/dsv"
	"github.com/eve-emulation/eve/fase/session"
	"github.com/eve-emulation/eve/fase/stat"
	"github.com/eve-emulation/eve/fase/user"
)

// Sessions is what became of the sessions of a group, or of the kinds of its requests. Counts are of the whole run, warm-up
// included; times and rates of the window.
type Sessions struct {
	Mix      bool          `json:"mix,omitempty"` // the pages are requests by themselves, drawn by weight
	Begun    int64         `json:"begun"`
	Ended    int64         `json:"ended"`
	Rate     Number        `json:"begun_per_second"`
	Length   Number        `json:"pages_per_session"` // expected
	Time     *Distribution `json:"session_seconds,omitempty"`
	Pages    []Page        `json:"pages"` // in the order of the scenario
	Verdict  stat.Verdict  `json:"verdict"`
	Reason   string        `json:"reason,omitempty"` // why it is inconclusive
	Together Number        `json:"confidence"`       // with which the visits of all pages lie within their bounds
}

// A Page is one kind of request of a group. Expected is how many visits the sessions that began promise, by the fundamental
// matrix of their Markov chain, less those that the ones cut short, by the end of the run or an error, would still have made
// in the mean. The bounds are exact binomial ones where a session visits the page at most once, else those of the normal law.
type Page struct {
	Name       string       `json:"name"`
	Visits     int64        `json:"visits"`
	PerSession Number       `json:"visits_per_session"` // expected
	Cut        Number       `json:"cut_short"`
	Expected   Number       `json:"expected"`
	Low        Number       `json:"low"`
	High       Number       `json:"high"`
	Verdict    stat.Verdict `json:"verdict"`
	Response   Distribution `json:"response_seconds"`
	Requests   int64        `json:"requests"` // of the window
	Errors     int64        `json:"errors"`   // of the window
}

// VisitsConfidence is how often the visits to all pages of a group lie within their bounds, where sessions are walked as
// their graph says.
const VisitsConfidence = 0.999

// minVisits is the least variance of a count of visits for which the normal law serves.
const minVisits = 10

// sessions computes what became of a group's sessions; nil without them.
func (t *totals) sessions(g *user.Config) *Sessions {
	if g.Sessions == nil {
		return nil
	}
	v := func(what string) dsv.Name { return dsv.Name(g.Name + "." + what) }
	begun, ended := g.Begun(), v("sessions")
	if g.Sessions.Mix {
		ended = v("requests")
	}
	s := &Sessions{
		Mix: g.Sessions.Mix, Begun: t.countAll(begun), Ended: t.countAll(ended), Rate: t.perSecond(float64(t.count(begun))),
		Together: VisitsConfidence, Time: t.distribution(v("session_time")), Verdict: stat.Inconclusive,
	}
	expected, err := g.Visits()
	if err != nil {
		s.Reason = err.Error()
		return s
	}
	s.Length = Number(expected.Length)
	s.Verdict = stat.Pass
	for i := range g.Sessions.Pages {
		p := t.page(g, expected, i, s.Begun)
		switch {
		case s.Verdict == stat.Fail:
		case p.Verdict == stat.Fail:
			s.Verdict, s.Reason = stat.Fail, ""
		case p.Verdict == stat.Inconclusive:
			s.Verdict, s.Reason = stat.Inconclusive, "too few visits to "+p.Name
		}
		s.Pages = append(s.Pages, p)
	}
	if t.mixWasSet(g) {
		s.unknown("the weights were set in the run")
	}
	return s
}

// begun is how many arrivals, or rounds of users, there were in the whole run.
func (c *Client) begun() int64 {
	if c.Sessions == nil {
		return c.Accounting.Issued
	}
	return c.Sessions.Begun
}

// unknown takes back what is not known.
func (s *Sessions) unknown(why string) {
	s.Verdict, s.Reason = stat.Inconclusive, why
	for i := range s.Pages {
		p := &s.Pages[i]
		p.Verdict = stat.Inconclusive
		p.PerSession, p.Expected, p.Low, p.High = Number(math.NaN()), Number(math.NaN()), Number(math.NaN()), Number(math.NaN())
	}
}

func (t *totals) mixWasSet(g *user.Config) bool {
	if !g.Sessions.Mix {
		return false
	}
	for _, p := range g.Sessions.Pages {
		if t.wasSet(g, user.WeightPrefix+p.Name) {
			return true
		}
	}
	return false
}

// page compares the visits to a page with what is expected of the sessions that began.
func (t *totals) page(g *user.Config, e *session.Visits, i int, begun int64) Page {
	name := g.Sessions.Pages[i].Name
	v := func(what string) dsv.Name { return dsv.Name(g.Name + "." + what) }
	of := func(what string) dsv.Name { return v("page." + name + "." + what) }
	response := t.hist(of("latency"))
	p := Page{
		Name: name, Visits: t.countAll(v("visits." + name)), PerSession: Number(e.Mean[i]), Response: Distribute(response),
		Requests: int64(response.Count()), Errors: t.count(of("errors")),
	}
	if cut, ok := t.whole(of("cut")).Value.Number(); ok {
		p.Cut = Number(cut)
	}
	p.judge(e.Mean[i], e.Variance[i], e.Once[i], begun, len(g.Sessions.Pages))
	return p
}

// judge finds the bounds of the visits and whether they are kept. The visits and what was cut short are together what the
// sessions would have come to, but for chance: their difference from begun · mean is a martingale over the choices of pages,
// of no more variance than that of whole sessions.
func (p *Page) judge(mean, variance float64, once bool, begun int64, pages int) {
	n, cut := float64(begun), float64(p.Cut)
	confidence := stat.Together(VisitsConfidence, pages)
	p.Expected = Number(n*mean - cut)
	low, high := 0.0, 0.0
	if once {
		l, h := stat.Binomial(int(begun), mean, confidence)
		low, high = float64(l), float64(h)
	} else {
		half := stat.Normal(confidence) * math.Sqrt(n*variance)
		low, high = n*mean-half, n*mean+half
	}
	p.Low, p.High = Number(max(0, low-cut)), Number(high-cut)
	x := float64(p.Visits)
	switch {
	case begun == 0 || !once && variance > 0 && n*variance < minVisits:
		p.Verdict = stat.Inconclusive
	case x < low-cut-slack || x > high-cut+slack:
		p.Verdict = stat.Fail
	default:
		p.Verdict = stat.Pass
	}
}

// slack is what sums of floating-point numbers may be off, in visits.
const slack = 1e-6
