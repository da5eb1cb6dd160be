package runs

import (
	"github.com/eve-emulation/eve/dmm/expr"
	"github.com/eve-emulation/eve/fase/scenario"
)

// Reader reads the measured window of a run for expressions, as `expect` is judged: without a window of their own they span
// all of it. interrupted is that the run ended early. It belongs to one goroutine; each variable is read once.
func Reader(plan *scenario.Plan, h History, interrupted bool) expr.Reader {
	t := newTotals(h)
	t.setWindow(plan, interrupted)
	return t
}
