package adapt

import (
	"math"
	"time"

	"github.com/eve-emulation/eve/dmm/expr"
	"github.com/eve-emulation/eve/dsv"
)

// A Controller says, once a period, what that should be which it controls: the replicas of a service, a limit, a variable. It
// is a core: it reads no clock, draws no number of its own, starts no goroutine and never blocks, so the same readings give
// the same answers in a run and in virtual time. It belongs to one [Loop], which calls it from one goroutine at a time.
//
// Every Controller must pass [github.com/eve-emulation/eve/fase/adapt/adapttest.Run]: whatever it reads, numbers that are absurd
// or missing, its values are finite or none; and a Loop keeps them within the bounds of what they go to.
type Controller interface {
	// Step answers one reading. What the reading holds is the Loop's, and valid until Step returns.
	Step(r *Reading) Answer
}

// A Reading is what a Controller sees at one instant.
type Reading struct {
	At dsv.Instant
	N  int64 // the steps before this one
	// Value is what stands: the replicas that were asked for, the variable. NaN where it is unknown.
	Value   float64
	Metrics []Sample // in the order of Control.Metrics
	// Places says where each of Actuator.Places is: the server that alone holds it, or -1.
	Places []int
	// Bounds are those of what is controlled: who integrates does not integrate beyond them.
	Bounds Bounds
}

// A Sample is what one metric came to, noise included.
type Sample struct {
	// Value is NaN where it is unknown. Of a metric of each replica it is the mean of those that are ready and known.
	Value  float64
	Target float64 // what it is held to; NaN: none
	Each   []Each  // a metric of each replica: by replica, in the order of the mapping
	// Per says that the metric is a total that the replicas share: its target is one replica's share.
	Per bool
}

// Each is the metric of one replica.
type Each struct {
	Server int
	Value  float64 // NaN: missing
	// Ready says that the replica serves, and has served since before the longest window of the metric began: it is in the mapping,
	// and its server is up.
	Ready bool
}

// An Answer is what a Controller decided. The zero Answer is to set 0; None is nothing.
type Answer struct {
	Value float64 // NaN: leave what stands
	// Actions are taken beside it, one after another, by controllers that plan more than a number.
	Actions []Action
	Why     string // kept with the decisions that follow; may be empty
}

// None is the answer of a Controller that leaves everything as it is.
func None() Answer { return Answer{Value: math.NaN()} }

// A Metric is one number that a Controller sees.
type Metric struct {
	Name string        // what programs and utilities call it; may be empty
	Text string        // as written
	Expr *expr.Program // nil for a metric of each replica
	// Each evaluates the metric at one server, by server; nil where it makes no sense there, or for a metric of the whole.
	Each   []*expr.Program
	Target float64 // NaN: none
	Per    bool
}

// A Control is a Controller in its place: what it sees, how often, and what its values go to.
type Control struct {
	Name string
	Kind string
	// New returns the Controller in its first state. Nil for one outside, which is told by Tick effects and answers by
	// [Loop.Answer].
	New func() Controller
	// Exec is the program that is outside: it and its arguments.
	Exec []string
	// Bound is how long one outside may take to answer a tick; 0: Period. It is told no other before, and what it answers
	// later counts for nothing.
	Bound   time.Duration
	Metrics []Metric
	Period  time.Duration // between steps, which are at its multiples; 0: Period
	Window  time.Duration // of metrics that name none; 0: that of rules
	Delay   time.Duration // between a step and when its answer acts
	// Noise is the standard deviation of the relative error that is added to each metric: normal, keyed by Seed, the
	// control's name, the metric and the step.
	Noise    float64
	Seed     uint64
	Actuator Actuator
}

// An Actuator is where the values of a Controller go.
type Actuator struct {
	// Verb is Scale (Service to so many replicas), Limit (Service to a rate), Degrade (Service to one of Levels, by number
	// from 0, the best first), Assign (Var and Also), or empty for controllers that answer by actions alone.
	Verb    Verb
	Service int // index, or -1
	Var     dsv.Name
	Also    []dsv.Name // set to the same as Var: those of the other servers of a farm
	Levels  []string
	// Places are the services that the controller may act upon by Answer.Actions, beside Service.
	Places []int
	Bounds
	Init float64 // what stands at the start, where nothing tells it; NaN: unknown
}

// A Tick is what a controller outside is told: its reading, flat. It owns what it holds.
type Tick struct {
	Control  int // index in Config.Controls
	Name     string
	At       dsv.Instant
	N        int64              // from 0
	Value    float64            // what stands; NaN where it is unknown
	Readings map[string]float64 // by the names of the metrics, or their texts; NaN where they are unknown
	Replicas map[string]int     // by service, how many serve; without those whose mapping is not known
}

// ControlName is the variable that holds what a controller asked for last, within the bounds.
func ControlName(control string) dsv.Name { return dsv.Name("run.control." + control) }

// A Maker makes controllers of one kind: its configuration. Any number of controllers may come of one.
type Maker interface {
	// New returns a controller in its first state.
	New() Controller
}
