// Package ladder is an example of a controller in Go: it takes one step up where its metric is above a level, and one step down
// where it is below another, as autoscaling by thresholds does.
package ladder

import (
	"errors"

	"github.com/eve-emulation/eve/fase/adapt"
	"github.com/eve-emulation/eve/modules"
)

// Spec is the controller's kind. It has no New: its configuration makes controllers.
var Spec = modules.Spec{
	Name: "ladder", Help: "One step up above a level, one down below another.",
	Config: func() any { return &Config{Low: 0.3, High: 0.7} },
}

// Config is what a scenario can say about a ladder, in base units.
type Config struct {
	Low  float64 `json:"low"`
	High float64 `json:"high"`
}

// Check implements scenario.Checker.
func (c *Config) Check() error {
	if !(c.Low < c.High) {
		return errors.New("low is not below high")
	}
	return nil
}

// New implements adapt.Maker.
func (c *Config) New() adapt.Controller { return &ladder{*c} }

type ladder struct{ Config }

// Step implements adapt.Controller. What is unknown, NaN, is on neither side of a level.
func (l *ladder) Step(r *adapt.Reading) adapt.Answer {
	x := r.Metrics[0].Value
	switch {
	case x > l.High:
		return adapt.Answer{Value: r.Value + 1, Why: "above the high level"}
	case x < l.Low:
		return adapt.Answer{Value: r.Value - 1, Why: "below the low level"}
	}
	return adapt.None()
}
