package find

import (
	"fmt"
	"math"
	"time"

	"github.com/eve-emulation/eve/fase/stat"
)

// A Purpose is why a search tries a load.
type Purpose string

// The purposes.
const (
	Explore Purpose = "explore" // by factors, until one load holds and another does not
	Bisect  Purpose = "bisect"  // between the two
	Confirm Purpose = "confirm" // the answer, for longer
)

// Config describes a search for the highest load that holds.
type Config struct {
	Limits  []Limit
	Start   float64 // first load tried; 0: 1000
	Min     float64 // a load below is not tried: nothing holds; 0: a thousandth of Start
	Max     float64 // a load above is not tried; 0: no bound
	Factor  float64 // between loads that explore; 0: 2
	Whole   bool    // loads are whole numbers: users, not rates
	Resolve float64 // how near the least load that does not hold is to the answer, as a share; 0: 0.02

	Probe   time.Duration // longest probe; 0: 1m
	Confirm time.Duration // the confirmation; 0: four times Probe
	// Pass is how often, at most, a load that does not hold passes a probe, Fail how often one that holds fails; 0: 0.01
	// and 0.05.
	Pass, Fail float64
}

// A Probe is one load to be tried.
type Probe struct {
	N       int // from 1
	Load    float64
	Purpose Purpose
	Test    TestConfig
}

// A Trial is a probe that was made.
type Trial struct {
	Probe
	Outcome
	// Limited says why the probe tells of the generator and not of what it asked, or what else kept it from an answer.
	// Such a load counts as one that does not hold.
	Limited string
}

// A Search finds the highest load that holds. It tries Start and goes up, or down, by factors until one load holds and a
// higher one does not; then it halves the ratio of the two, until it is within Resolve. A probe that is inconclusive, as
// those near the answer are, counts here for what it leans to. So the probes lie close about the load at which the limit is
// crossed, and a line through them says where that is.
//
// Then one load is run for longer, to the end: the highest that passed its probe, or that a run of this length would pass
// four times in five if the line is right. Should it not pass, a lower one is tried. So what is told to hold was shown to, in
// a run of its own. A search supposes that a load holds if a higher one does. It belongs to one goroutine.
type Search struct {
	cfg    Config
	trials []Trial
	low    float64 // highest load that seems to hold; 0: none
	high   float64 // least that seems not to; +Inf: none
	next   Probe
	over   bool
	tries  int // confirmations that did not pass
	why    string
	sure   int // the confirmation that passed, by index + 1

	limited int // probes in a row in which something else was the limit
}

// A load at which something else was the limit is tried once more, in case that passes; and so many probes of that kind in a
// row end a search.
const mostLimited = 6

// confirmations is how often a search tries to confirm before it gives up.
const confirmations = 6

// NewSearch checks cfg and returns a search that has not begun.
func NewSearch(cfg Config) (*Search, error) {
	cfg.Start, cfg.Factor = orDefault(cfg.Start, 1000), orDefault(cfg.Factor, 2)
	cfg.Resolve = orDefault(cfg.Resolve, 0.02)
	if cfg.Probe == 0 {
		cfg.Probe = time.Minute
	}
	if cfg.Confirm == 0 {
		cfg.Confirm = 4 * cfg.Probe
	}
	if cfg.Max == 0 {
		cfg.Max = math.Inf(1)
	}
	cfg.Min = orDefault(cfg.Min, cfg.Start/1000)
	if cfg.Whole {
		cfg.Min = math.Max(cfg.Min, 1)
	}
	switch {
	case len(cfg.Limits) == 0:
		return nil, fmt.Errorf("search: %w: no limit", ErrConfig)
	case !(cfg.Start > 0) || math.IsInf(cfg.Start, 1) || !(cfg.Min > 0) || cfg.Min > cfg.Start || cfg.Max < cfg.Start:
		return nil, fmt.Errorf("search: %w: want a first load %g within its bounds, %g to %g", ErrConfig, cfg.Start, cfg.Min, cfg.Max)
	case !(cfg.Factor > 1) || cfg.Factor > 100:
		return nil, fmt.Errorf("search: %w: factor %g, want above 1 and at most 100", ErrConfig, cfg.Factor)
	case !(cfg.Resolve > 0 && cfg.Resolve < 1):
		return nil, fmt.Errorf("search: %w: resolution %g, want a share below 1", ErrConfig, cfg.Resolve)
	case cfg.Probe < time.Second || cfg.Confirm < cfg.Probe:
		return nil, fmt.Errorf("search: %w: probes of %v, confirmed by %v: want at least 1s, and the confirmation not shorter", ErrConfig, cfg.Probe, cfg.Confirm)
	}
	if _, err := NewTest(TestConfig{Limits: cfg.Limits, Most: cfg.Probe, Pass: cfg.Pass, Fail: cfg.Fail}, 0); err != nil {
		return nil, err
	}
	s := &Search{cfg: cfg, high: math.Inf(1)}
	s.plan(cfg.Start, Explore)
	return s, nil
}

// plan makes the next probe.
func (s *Search) plan(load float64, why Purpose) {
	if s.cfg.Whole {
		load = math.Round(load)
	}
	s.next = Probe{
		N: len(s.trials) + 1, Load: load, Purpose: why,
		Test: TestConfig{Limits: s.cfg.Limits, Most: s.cfg.Probe, Pass: s.cfg.Pass, Fail: s.cfg.Fail},
	}
	if why == Confirm {
		s.next.Test.Most, s.next.Test.Whole = s.cfg.Confirm, true
	}
}

// Next returns the probe to be made, and whether there is one. It returns the same until Tell.
func (s *Search) Next() (Probe, bool) { return s.next, !s.over }

// Tell says what the probe of Next found; limited, where not empty, why it tells nothing of what was asked.
func (s *Search) Tell(o Outcome, limited string) {
	if s.over {
		return
	}
	t := Trial{Probe: s.next, Outcome: o, Limited: limited}
	if limited != "" {
		t.Verdict = Inconclusive
	}
	s.trials = append(s.trials, t)
	if limited == "" {
		s.limited = 0
	} else if s.limited++; s.limited%2 == 1 {
		s.plan(t.Load, t.Purpose)
		return
	} else if s.limited >= mostLimited && s.low == 0 {
		s.give("the generator was the limit at every load, down to %s", t.Load)
		return
	}
	if t.Limited == "" && t.Holds() {
		s.low = max(s.low, t.Load)
	} else {
		s.high = min(s.high, t.Load)
	}
	switch {
	case t.Purpose == Confirm && t.Verdict == Pass:
		s.sure, s.over = len(s.trials), true
	case t.Purpose == Confirm:
		s.retreat()
	default:
		s.step()
	}
}

// step chooses what to try after a probe that was no confirmation.
func (s *Search) step() {
	switch {
	case math.IsInf(s.high, 1) && s.low >= s.cfg.Max:
		s.plan(s.low, Confirm) // it holds as far as it may be tried
	case math.IsInf(s.high, 1):
		s.plan(min(s.low*s.cfg.Factor, s.cfg.Max), Explore)
	case s.low == 0 && s.high <= s.cfg.Min:
		s.give("no load holds, down to %s", s.cfg.Min)
	case s.low == 0:
		s.plan(max(s.high/s.cfg.Factor, s.cfg.Min), Explore)
	case s.near():
		s.plan(s.candidate(), Confirm)
	default:
		s.plan(math.Sqrt(s.low*s.high), Bisect) // loads differ by factors
	}
}

// near reports whether the bracket is narrow enough.
func (s *Search) near() bool {
	if s.cfg.Whole && s.high-s.low <= 1 {
		return true
	}
	return s.high <= s.low*(1+s.cfg.Resolve)
}

// candidate is the load to be confirmed.
func (s *Search) candidate() float64 {
	passed := 0.0
	for _, t := range s.trials {
		if t.Verdict == Pass && t.Load < s.high {
			passed = max(passed, t.Load)
		}
	}
	load := min(s.likely(), s.low)
	if s.cfg.Whole {
		load = math.Floor(load)
	}
	if load = max(load, passed); load > 0 {
		return load
	}
	return s.low
}

// likely is the load that a confirmation would pass four times in five, by the line through the probes; 0 without one.
func (s *Search) likely() float64 {
	c := s.line()
	if !(c.slope > 0) {
		return 0
	}
	alpha := orDefault(s.cfg.Pass, DefaultPass)
	z := student(normal(alpha), 28) + normal(0.2)
	for load := c.at; ; load *= 0.998 {
		y := c.slope * (load - c.at)
		if y < -2 || load < c.at/2 { // a share is never worth more below, or the line is too flat: too short a run
			return load
		}
		// What the share is worth grows with the length of the run, and with the share.
		worth := c.perSecond * s.cfg.Confirm.Seconds() * 0.9
		if c.mean {
			y = math.Log1p(y) // a mean is compared as it is
		} else {
			worth *= math.Exp(y)
		}
		if -y*math.Sqrt(worth) >= z {
			return load
		}
	}
}

// retreat goes below a load that was not confirmed.
func (s *Search) retreat() {
	s.tries++
	failed := s.trials[len(s.trials)-1].Load
	s.high = min(s.high, failed)
	s.low = min(s.low, failed)
	load := min(s.candidate(), failed/(1+s.cfg.Resolve))
	if s.cfg.Whole {
		load = min(math.Floor(load), failed-1)
	}
	switch {
	case s.tries >= confirmations:
		s.give("no load could be confirmed, down to %s", failed)
	case load < s.cfg.Min:
		s.give("no load holds, down to %s", failed)
	default:
		s.plan(load, Confirm)
	}
}

func (s *Search) give(why string, load float64) {
	s.why, s.over = fmt.Sprintf(why, fmt.Sprintf("%.4g", load)), true
}

// Trials are the probes made so far, in order. The slice belongs to the search.
func (s *Search) Trials() []Trial { return s.trials }

// An Answer is what a search found.
type Answer struct {
	Load      float64       // highest that was shown to hold; 0: none was
	Confirmed bool          // by a run of its own, to the end
	Failed    float64       // least load that was shown not to hold; +Inf: none was
	Crossing  stat.Estimate // where the first limit is crossed, by a line through the probes near it; NaN: too few of them
	Bounded   bool          // the search stopped at Config.Max
	Limited   string        // why a higher load could not be tried: the generator was the limit; empty: it was not
	Why       string        // there is no load, in words
}

// Answer returns what was found so far; a search that was ended early has one too.
func (s *Search) Answer() Answer {
	a := Answer{Failed: math.Inf(1), Why: s.why}
	limited := math.Inf(1)
	for _, t := range s.trials {
		switch {
		case t.Verdict == Fail:
			a.Failed = min(a.Failed, t.Load)
		case t.Limited != "" && t.Load < limited:
			limited, a.Limited = t.Load, t.Limited
		case t.Verdict == Pass && s.sure == 0 && s.tries == 0:
			a.Load = max(a.Load, t.Load)
		}
	}
	if a.Failed < limited {
		a.Limited = ""
	}
	if s.sure > 0 {
		a.Load, a.Confirmed = s.trials[s.sure-1].Load, true
	}
	a.Bounded = a.Load >= s.cfg.Max
	a.Crossing = s.line().crossing()
	return a
}
