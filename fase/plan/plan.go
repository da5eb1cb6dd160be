// Package plan answers a capacity planner's questions about a scenario: how many servers an objective takes at a load, where
// the bottleneck is and the next one behind it, how far the cliff is, and what one server more or less means.
//
// The nouns:
//
//   - A [Tier] is something of the scenario that is counted and may be varied: the servers of a farm, the replicas of a
//     service, the workers of a pool. [Counts] says how many of each.
//   - A [Question] is objectives, a load and the tiers that may be varied. A [Planner] answers it.
//   - A [Point] is what one way of asking said at one vector of counts: the analytic model (package solve), a simulation or an
//     emulation. All three judge the same objectives.
//   - A [Result] is the answer: counts with an interval, the points side by side, bottlenecks, headroom, N+1.
//
// The least counts are those of least cost: a best-first search over counts, whose oracle is the analytic model scaled to what
// simulations of this scenario measured, and the simulations themselves where there are any. A vector that is proposed is
// simulated, which teaches the oracle, until the one that is proposed has been shown to hold and those with one less not to.
// It supposes that more servers never hurt.
//
// The pure part knows no clock and no files. Simulations are those of package campaign; whoever can emulate hands that in.
package plan

import (
	"errors"
	"time"

	"github.com/eve-emulation/eve/fase/find"
	"github.com/eve-emulation/eve/fase/scenario"
	"github.com/eve-emulation/eve/fase/solve"
	"github.com/eve-emulation/eve/fase/stat"
	"github.com/eve-emulation/eve/fase/usl"
)

// ErrQuestion reports a question that cannot be asked of a scenario.
var ErrQuestion = errors.New("wrong question")

// A Question is what is asked of a scenario.
type Question struct {
	// Load compiles the scenario with overrides, the later ones winning, as scenario.Options.Set takes them.
	Load func(set []string) (*scenario.Plan, error)
	// Limits are the objectives: all of them must hold. Of names GROUP.latency or SERVICE.latency, for a share of errors GROUP;
	// it may be empty where there is one group.
	Limits []find.Limit
	// Vary are the paths that may be varied, each perhaps with =FROM..TO; empty: every farm and every service with replicas.
	Vary []string
	// Fixed leaves all counts as they are: only the largest load is asked for.
	Fixed bool
	// Set are overrides that make the question, such as the load that is asked for.
	Set []string
	// Error is how far, as a share, the demands may be off either way: counts get an interval. 0: none.
	Error float64
	// Probe bounds one simulation, in virtual time; 0: 5 minutes.
	Probe time.Duration
	// Simulations bounds how many are made in search of the counts; 0: 24.
	Simulations int
}

// How a point was found.
type How string

// The three ways of asking.
const (
	Solved    How = "solve"
	Simulated How = "simulate"
	Emulated  How = "emulate"
)

// A Point is what one way of asking said at one vector of counts.
type Point struct {
	How      How
	Counts   Counts
	Factor   float64         // of the load that was asked for
	Load     float64         // requests per second that the open groups ask for together
	Values   []stat.Estimate // by objective; of the analytic model without an interval, and NaN where it says nothing
	Verdict  find.Verdict    // whether all hold, as sure as a probe is; of the analytic model whether its figures are below the bounds
	Holds    bool            // all values are below their bounds, sure or not
	Took     time.Duration   // that was measured, virtual or real
	Requests int64           // that the values rest on
	Rate     float64         // of requests that ended, per second
	Used     []Use           // the utilisation of what is used, the most first
	Unstable string          // why there is no long run, in words; empty: there is one
	outcome  find.Outcome
}

// A Use is how busy the servers of a tier are with one resource, or the workers of a pool.
type Use struct {
	Name        string // web_farm.cpu, app.pool: of a farm, all its servers in the mean
	Tier        string // that has it; empty: none of those that are varied
	Soft        bool   // workers or a lock, which are held while something else works
	Utilisation float64
}

// A Bottleneck is what is full first when the load grows.
type Bottleneck struct {
	Name   string // as of a Use
	Tier   string // among the varied ones; empty: none of them
	Soft   bool
	Factor float64 // of the load that was asked for at which it is full
	Rate   float64 // requests per second of all open groups then; NaN without one
}

// A Scaling is throughput over counts of one tier, while nothing else is in the way.
type Scaling struct {
	Tier   string
	Points []usl.Point
	Fit    *usl.Fit // nil: Why says why there is none
	Why    string
}

// A Knee is the largest load at which the objectives hold.
type Knee struct {
	Path     string // what was varied
	Asked    float64
	Answer   find.Answer
	Trials   []find.Trial
	Whole    bool    // users, not a rate
	Holds    float64 // the largest load that a simulation showed to hold, the one that was asked for among them; 0: none
	Analytic float64 // by the calibrated model
}

// A Result is an answer, or as much of it as there was time for.
type Result struct {
	Tiers   []Tier
	Limits  []find.Limit
	Counts  Counts   // that the objectives take; nil: none were found
	Shown   bool     // a simulation showed that they hold
	Low     Counts   // with demands that much smaller, or with fewer that could not be told to fail
	High    Counts   // with demands that much greater
	Error   float64  // of the demands
	Beyond  bool     // no counts within the bounds hold if the demands are that much greater: High is what there is without
	Spare   Counts   // that keep the objectives while any one server is down; nil: unknown
	Costs   []string // of Counts, Spare and so on, as Cost tells
	Cost    float64  // of Counts
	Costed  bool     // the scenario says what servers cost
	Points  []Point  // that were looked at, in order; the analytic ones of the search are left out
	Answer  *Point   // simulated at Counts
	Solve   *Point   // analytic at Counts
	Emulate *Point   // emulated at Counts
	Twin    *Point   // the simulation of the very same arrivals and demands as Emulate
	Less    []Point  // one less at the tier LessTier: solved, simulated, emulated
	// LessTier is the tier of the bottleneck, one of which is taken away in Less; -1: nothing can be.
	LessTier int
	First    *Bottleneck
	Second   *Bottleneck
	Knee     *Knee
	Scaling  *Scaling
	Curve    []Point // analytic, over the load
	Growth   []Growth
	// Unreachable says why no counts hold, with the bound that proves it; empty otherwise.
	Unreachable string
	Assumptions []solve.Assumption // of the analytic model at Counts
	Ratios      []float64          // by objective: what the model is multiplied with to be within the intervals of simulations; 1: it is
	Exact       bool               // the search over counts looked at all that could be cheaper
	Left        []string           // what there was no time for
}

// A Growth is how many it takes at a load.
type Growth struct {
	Factor, Load float64
	Counts       Counts // nil: no counts hold
}
