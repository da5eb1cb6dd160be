package sim

import (
	"context"
	"fmt"

	"github.com/eve-emulation/eve/fase/adapt"
	"github.com/eve-emulation/eve/fase/step"
)

// An Outside is a controller that is no core, such as a program. It is stepped by the simulation: while it thinks, virtual
// time stands still. Results follow from the plan alone as long as its answers follow from the ticks alone.
type Outside interface {
	// Step answers a tick. told takes what is wrong with what it said beside that. An error says that nothing more is to come.
	// When ctx ends, it returns soon.
	Step(ctx context.Context, t adapt.Tick, told func(cause string)) (adapt.Answer, error)
}

// Connect has a control of the plan's answered by a controller outside. It is called before Run.
func (s *Sim) Connect(control int, o Outside) {
	if s.outside == nil {
		s.outside = map[int]Outside{}
	}
	s.outside[control] = o
}

// connected returns an error for a control that nobody answers.
func (s *Sim) connected() error {
	for i := range s.plan.Adapt.Controls {
		if c := &s.plan.Adapt.Controls[i]; c.New == nil && s.outside[i] == nil {
			return fmt.Errorf("simulate %s: controller %s is a program, and nobody runs it: %w", s.plan.Name, c.Name, ErrReal)
		}
	}
	return nil
}

// ask tells a controller outside a tick, and takes its answer at the same instant.
func (s *Sim) ask(e step.Effect) {
	t, ok := s.loop.Tick(e)
	if !ok {
		return
	}
	a, err := s.outside[t.Control].Step(s.ctx, t, func(cause string) { s.loop.Refuse(e.At, t.Control, cause, false) })
	if err != nil {
		s.loop.Refuse(e.At, t.Control, err.Error(), true)
		return
	}
	s.loop.Answer(e.At, t.Control, t.N, a)
}
