package sweep

import (
	"math"

	"github.com/eve-emulation/eve/fase/runs"
)

// A Result is what one point came to with one seed.
type Result struct {
	Point int    `json:"point"`
	Seed  uint64 `json:"seed"`
	// Error says why there are no values. A point that failed is tried again when the sweep goes on.
	Error string `json:"error,omitempty"`
	// Values are those of the metrics, by name.
	Values map[string]Reading `json:"values,omitempty"`
	// Busiest is the resource with the greatest utilisation.
	Busiest string `json:"busiest,omitempty"`
	// Limited says that the clients could not keep their plan: the values tell of them.
	Limited bool `json:"generator_limited,omitempty"`
	// Run is the run folder, below that of the sweep; empty in virtual time.
	Run string `json:"run,omitempty"`
}

// A Reading is a figure with its interval; Low and High are NaN, null in JSON, where there is none.
type Reading struct {
	Value runs.Number `json:"value"`
	Low   runs.Number `json:"low"`
	High  runs.Number `json:"high"`
}

func unknown() Reading {
	nan := runs.Number(math.NaN())
	return Reading{nan, nan, nan}
}

// Exactly is a reading without an interval.
func Exactly(x float64) Reading {
	r := unknown()
	r.Value = runs.Number(x)
	return r
}

// A Definition is all that says what a sweep is: two with equal ones have equal results in virtual time.
type Definition struct {
	Sweep    int       `json:"sweep"`    // version of the layout
	Eve      string    `json:"eve"`      // version of Eve
	Scenario string    `json:"scenario"` // as it was given: a file, or a shipped name
	Name     string    `json:"name"`     // what the scenario calls itself
	Kind     runs.Kind `json:"kind"`
	SHA256   string    `json:"sha256"` // of the scenario with its overrides, and of the files that it reads
	Set      []string  `json:"set"`
	Duration string    `json:"duration,omitempty"`
	Seeds    []uint64  `json:"seeds"`
	Axes     []Axis    `json:"axes"`
	Metrics  []Metric  `json:"metrics"`
	Theory   bool      `json:"theory"`
}

// DefinitionVersion is that of the layout.
const DefinitionVersion = 1

// Runs is how many results the sweep has when it is whole: each point with each seed.
func (d *Definition) Runs() (int, error) {
	g, err := NewGrid(d.Axes...)
	if err != nil {
		return 0, err
	}
	return g.Points() * len(d.Seeds), nil
}
