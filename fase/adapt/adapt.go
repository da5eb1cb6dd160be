// Package adapt holds the feedback of a run as cores: rules that watch variables, and the actions they take.
//
// A [Loop] sees variables and writes variables, nothing else; so the same rules run against real processes and in
// virtual time. Rules are evaluated every 100 ms since T0, on deltas that ended at least 50 ms before.
package adapt

import (
	"time"

	"github.com/eve-emulation/eve/dmm/expr"
	"github.com/eve-emulation/eve/dsv"
	"github.com/eve-emulation/eve/fase/service"
)

// Timing of the loop, in virtual and in real time alike.
const (
	Period = 100 * time.Millisecond // between evaluations
	Settle = 50 * time.Millisecond  // a delta is used once it ended this long ago
	Notice = 20 * time.Millisecond  // between the stamp of a written value and the instant it applies
)

// Verb says what an action does.
type Verb string

// The verbs.
const (
	Move      Verb = "move"      // S to X: copy while serving, switch, drain
	Replicate Verb = "replicate" // S to X: copy, then both serve
	Retire    Verb = "retire"    // S from X: drain
	Scale     Verb = "scale"     // S to N replicas, on its candidates in order; what is too many drains, from the end
	Degrade   Verb = "degrade"   // S to LEVEL
	Limit     Verb = "limit"     // S RATE: a token bucket at each of its servers, or none
	Pause     Verb = "pause"     // S: callers wait, within their patience
	Resume    Verb = "resume"    // S
	Assign    Verb = "set"       // VAR VALUE
)

// An Action is what a rule does.
type Action struct {
	Verb    Verb
	Service int // index, or -1
	Server  int // index, or -1
	Level   string
	Stopped bool     // move: stop, copy, start
	Count   int      // scale: how many replicas
	Var     dsv.Name // set
	Value   float64  // set, in base units; limit: requests per second and server, 0 for none
	Unit    string   // of Value, "1" for a plain number
	// Formula is what stands in the place of Value or Count, where it is not empty, as written behind `=`, and Col where it
	// begins. Who knows the variables compiles it into Expr; the value is taken when the action is, and kept within Bounds.
	Formula string
	Col     int
	Expr    *expr.Program
	Bounds  Bounds
	Text    string // as written: "move static to cdn"
}

// A Rule acts when its condition has held for some time. It re-arms when the condition was false; with a Cooldown, once that has
// passed and not before.
type Rule struct {
	Name     string
	When     *expr.Program
	WhenText string
	For      time.Duration
	Cooldown time.Duration // 0: only a false condition re-arms
	Do       []Action
}

// Config describes a Loop.
type Config struct {
	Topology *service.Topology
	Services []service.Config
	Servers  int   // how many of the topology's servers may take a service, from the first on; 0: all
	Standby  []int // servers that are down while no mapping names them, and boot when one does
	Rules    []Rule
	Follows  []Follow
	Controls []Control
	End      dsv.Instant
	// Arrives is when the Loop learns of a variable that is written at an instant: then, or later, where a partition keeps it back;
	// dsv.Never where none heals. Nil: at once.
	Arrives func(at dsv.Instant, n dsv.Name) dsv.Instant
}

// DecisionsName is the variable that holds every decision: Bytes, one JSON Decision a write.
const DecisionsName dsv.Name = "run.decisions"

// A Decision is what a rule decided, and each step of carrying it out.
type Decision struct {
	At      dsv.Instant        `json:"at"`
	Rule    string             `json:"rule"`
	Action  string             `json:"action"`
	Phase   string             `json:"phase"`            // decided, copied, switched, done, failed
	Server  string             `json:"server,omitempty"` // of copied, switched and failed: the one replica that they are about
	When    string             `json:"when,omitempty"`
	Reading map[string]float64 `json:"reading,omitempty"` // the values behind the condition, by expression
	Cause   string             `json:"cause,omitempty"`   // of failed; of done, what it did not wait for or what did not come
}
