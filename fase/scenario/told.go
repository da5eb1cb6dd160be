package scenario

import (
	"fmt"
	"strings"

	"github.com/eve-emulation/eve/fase/adapt"
)

// maxTold bounds the text of one action that a program asks for.
const maxTold = 1024

// Action reads an action that a program asks for while the run goes, and checks it as one of the scenario's rules. An
// expression is refused: what it reads would have to be watched from the start. It may be called from several goroutines at
// once.
func (p *Plan) Action(text string) (adapt.Action, error) {
	if len(text) > maxTold {
		return adapt.Action{}, fmt.Errorf("an action of %d bytes: at most %d", len(text), maxTold)
	}
	c := *p.compiled
	c.faults = &faults{main: "action"}
	at := &node{text: text, src: newSource("action", []byte(text)), line: 1, col: 1}
	if a, err := adapt.ParseAction(text, p.Topology); err == nil && a.Formula != "" {
		return adapt.Action{}, fmt.Errorf("%s: a program reckons by itself: it writes the number", clip(text))
	}
	if a, ok := c.action(spot[string]{text, at}); ok && len(c.errs) == 0 {
		return a, nil
	}
	if len(c.errs) == 0 {
		return adapt.Action{}, fmt.Errorf("%s: it cannot be done", clip(text))
	}
	e := c.errs[0]
	why := e.Msg
	if e.Fix != "" {
		why += "; " + e.Fix
	}
	return adapt.Action{}, fmt.Errorf("%s: %s", strings.TrimSpace(clip(text)), why)
}
