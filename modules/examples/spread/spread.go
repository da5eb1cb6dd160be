// Package spread is an example of a manipulator: how far apart what was written within a window lies.
package spread

import (
	"github.com/eve-emulation/eve/dmm"
	"github.com/eve-emulation/eve/dsv"
	"github.com/eve-emulation/eve/modules"
)

// Spec brings the manipulator; there is no module in it.
var Spec = modules.Spec{Name: "spread", Help: "A manipulator.", Manipulators: []dmm.Manipulator{{
	Name: "spread", Kind: dsv.Float, Merge: dsv.Max, OneWriter: true,
	Help: "the greatest sample of a window less the least",
	New:  func(dmm.Spec) dmm.Shadow { return &shadow{} },
}}}

// shadow folds the samples of one window at a time.
type shadow struct {
	least, most float64
	n           float64
}

// Write folds a sample in. It is called wherever something is measured, so it does not allocate.
func (s *shadow) Write(x, _ float64) {
	if s.n == 0 {
		s.least, s.most = x, x
	}
	s.least, s.most = min(s.least, x), max(s.most, x)
	s.n++
}

// WriteValue folds a number in.
func (s *shadow) WriteValue(v dsv.Value) {
	if x, ok := v.Number(); ok {
		s.Write(x, 1)
	}
}

// Take hands out what the window came to, and empties the shadow for the next one.
func (s *shadow) Take() (dsv.Value, float64) {
	x, n := s.most-s.least, s.n
	*s = shadow{}
	return dsv.FloatValue(x), n
}
