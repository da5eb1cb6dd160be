package wasm

import (
	"fmt"
	"math"

	"github.com/tetratelabs/wazero/api"

	"github.com/eve-emulation/eve/dmm"
	"github.com/eve-emulation/eve/dsv"
)

// Manipulator makes a manipulator of a guest that exports fold, under a name. ErrGuest when it does not. Each variable has
// an instance of the guest of its own. A guest that is detached leaves its variable to go on as a last; the variable's
// Spec is told. The variable is a float with one writer, of which the last value is kept.
func (m *Module) Manipulator(name string) (*dmm.Manipulator, error) {
	if !m.exports.fold {
		return nil, fmt.Errorf("make manipulator %s: %w: it exports no fold", name, ErrGuest)
	}
	return &dmm.Manipulator{
		Name: name, Kind: dsv.Float, Merge: dsv.Last, OneWriter: true, Help: "what a guest folds",
		New: func(dmm.Spec) dmm.Shadow { return m.shadow() },
	}, nil
}

// shadow is what a guest folds; it outlives windows. It belongs to one goroutine at a time.
type shadow struct {
	in    *instance // nil: it could not begin
	fold  api.Function
	x     float64
	some  bool // x is a value
	n     float64
	fault error
}

func (m *Module) shadow() *shadow {
	s := &shadow{}
	if s.in, s.fault = m.instantiate(); s.fault != nil {
		return s
	}
	s.fold = s.in.guest.ExportedFunction("fold")
	if m.exports.init {
		s.x, s.fault = s.in.number("init", s.in.guest.ExportedFunction("init"))
		s.some = s.fault == nil
	}
	return s
}

// number calls a function that answers a number. Callers have set the arguments in in.stack.
func (in *instance) number(name string, f api.Function) (float64, error) {
	in.mu.Lock()
	defer in.mu.Unlock()
	return in.answer(name, f)
}

// answer is number under the lock.
func (in *instance) answer(name string, f api.Function) (float64, error) {
	if err := in.call(name, f, MaxSteps); err != nil {
		return 0, err
	}
	x := math.Float64frombits(in.stack[0])
	if x-x != 0 { // infinite, or not a number
		return 0, in.detach(&Fault{Function: name, Err: ErrResult, Detail: fmt.Sprint(x)})
	}
	return x, nil
}

// Write folds a sample in; a detached guest's shadow is the sample.
func (s *shadow) Write(x, _ float64) {
	s.n++
	if s.fault == nil && s.some {
		s.in.mu.Lock()
		s.in.stack[0], s.in.stack[1] = math.Float64bits(s.x), math.Float64bits(x)
		y, err := s.in.answer("fold", s.fold)
		s.in.mu.Unlock()
		if err == nil {
			s.x = y
			return
		}
		s.fault = err
	}
	s.x, s.some = x, true
}

// WriteValue folds a number in.
func (s *shadow) WriteValue(v dsv.Value) {
	if x, ok := v.Number(); ok {
		s.Write(x, 1)
	}
}

// Take keeps the value, which outlives windows.
func (s *shadow) Take() (dsv.Value, float64) {
	n := s.n
	s.n = 0
	return dsv.FloatValue(s.x), n
}

// Level is what triggers look at.
func (s *shadow) Level() float64 { return s.x }

// Fault returns why the guest was detached; nil while it is not.
func (s *shadow) Fault() error { return s.fault }

// Close detaches the guest.
func (s *shadow) Close() error {
	if s.in == nil {
		return nil
	}
	return s.in.close()
}
