package expr

import (
	"errors"
	"fmt"
	"math"

	"github.com/eve-emulation/eve/dmm"
	"github.com/eve-emulation/eve/dsv"
)

// Manipulator compiles an expression over `shadow`, the value that is held, and `sample`, the one that was written, to a
// manipulator: what it comes to is held. Without init the first sample is held as it is. A sample for which the expression
// is unknown, such as a division by zero, leaves the shadow as it was. The variable is a float with one writer, of which
// the last value is kept. The error is an Errors, or says that init is not finite.
func Manipulator(src string, init *float64) (*dmm.Manipulator, error) {
	f, err := CompileFormula(src, []Input{{Name: "shadow", Kind: dsv.Float}, {Name: "sample", Kind: dsv.Float}})
	switch {
	case err != nil:
		return nil, err
	case f.IsCondition():
		return nil, Errors{{Col: 1, Msg: "a manipulator comes to a number, not to true or false", Fix: "write c ? 1 : 0"}}
	case init != nil && (math.IsNaN(*init) || math.IsInf(*init, 0)):
		return nil, fmt.Errorf("init %v: %w", *init, errInit)
	}
	start := math.NaN()
	if init != nil {
		start = *init
	}
	return &dmm.Manipulator{
		Name: "expr", Kind: dsv.Float, Merge: dsv.Last, OneWriter: true, Help: src,
		New:   func(dmm.Spec) dmm.Shadow { return &shadow{formula: f, x: start} },
		Level: func(before, x, _ float64) float64 { return f.fold(first(before, start), x) },
	}, nil
}

var errInit = errors.New("not a finite number")

// first returns x, or y where x is NaN.
func first(x, y float64) float64 {
	if math.IsNaN(x) {
		return y
	}
	return x
}

// fold returns the shadow after a sample.
func (f *Formula) fold(shadow, sample float64) float64 {
	if math.IsNaN(shadow) {
		return sample
	}
	return first(f.Eval([]Scalar{{Num: shadow}, {Num: sample}}), shadow)
}

// shadow holds what an expression comes to; it outlives windows.
type shadow struct {
	formula *Formula
	x       float64 // NaN: nothing was written
	n       float64
}

func (s *shadow) Write(x, _ float64) {
	s.x = s.formula.fold(s.x, x)
	s.n++
}

func (s *shadow) WriteValue(v dsv.Value) {
	if x, ok := v.Number(); ok {
		s.Write(x, 1)
	}
}

func (s *shadow) Take() (dsv.Value, float64) {
	n := s.n
	s.n = 0
	return dsv.FloatValue(s.x), n
}

// Level makes triggers look at the shadow.
func (s *shadow) Level() float64 { return s.x }
