package campaign

import "github.com/eve-emulation/eve/dmm/expr"

// Sequence runs a study of numbers instead of simulations: those of a goal on the left side of `… < bound`.
func (s Study) Sequence(bound float64, draw func(i int) float64) (int, *Reached) {
	reps, reached, _ := s.sequence(func(from, to int) (out []*replication, err error) {
		for i := from; i < to; i++ {
			x := draw(i)
			out = append(out, &replication{value: x, sides: []expr.Sides{{Op: "<", Left: x, Right: bound}}})
		}
		return out, nil
	})
	return len(reps), reached
}

// Truth judges a comparison by the interval of its left side less its right.
func Truth(op string, low, high float64) float64 { return truth(op, low, high) }
