package runs

import (
	"math"

	"github.com/eve-emulation/eve/dsv"
	"github.com/eve-emulation/eve/fase/scenario"
	"github.com/eve-emulation/eve/fase/service"
)

// A Fault is one thing that went wrong, as planned. Times count from T0, in seconds.
type Fault struct {
	Name  string            `json:"name"`
	Kind  service.FaultKind `json:"kind"`
	What  string            `json:"what"` // "crash server_1"
	From  Number            `json:"from"`
	Until Number            `json:"until"` // null: to the end of the run
}

// mostFaults bounds the list: a law may make thousands, which run.faults has all of.
const mostFaults = 1000

// faults lists the plan's.
func faults(plan *scenario.Plan) []Fault {
	var out []Fault
	for i := range plan.Faults[:min(len(plan.Faults), mostFaults)] {
		f := &plan.Faults[i]
		x := Fault{Name: f.Name, Kind: f.Kind, What: f.String(plan.Party), From: Number(f.At.Seconds()), Until: Number(math.NaN())}
		if f.Until < dsv.At(plan.Duration) {
			x.Until = Number(f.Until.Seconds())
		}
		out = append(out, x)
	}
	return out
}
