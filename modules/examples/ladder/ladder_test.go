package ladder_test

import (
	"testing"

	"github.com/eve-emulation/eve/fase/adapt"
	"github.com/eve-emulation/eve/fase/adapt/adapttest"
	"github.com/eve-emulation/eve/modules/examples/ladder"
)

func TestLadder(t *testing.T) {
	adapttest.Run(t, adapttest.Subject{
		New:    (&ladder.Config{Low: 0.3, High: 0.7}).New,
		Sample: make([]adapt.Sample, 1),
		Bounds: adapt.Bounds{Least: 1, Most: 8, Whole: true},
		Rest:   &adapt.Reading{Value: 3, Metrics: []adapt.Sample{{Value: 0.5}}, Bounds: adapt.Bounds{Least: 1, Most: 8, Whole: true}},
	})
}
