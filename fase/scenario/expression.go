package scenario

import (
	"fmt"

	"github.com/eve-emulation/eve/dmm/expr"
)

// Expression compiles an expression over the plan's variables, a number or a condition, as those of `expect`. The error tells
// the expression, the column and what would be right. It may be called from several goroutines at once.
func (p *Plan) Expression(text string) (*expr.Program, error) {
	x, err := expr.Compile(text, p.compiled.lookup, p.compiled.known...)
	if err != nil {
		return nil, fmt.Errorf("expression %q: %w", text, err)
	}
	return x, nil
}
