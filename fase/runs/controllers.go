package runs

import (
	"fmt"
	"math"

	"github.com/eve-emulation/eve/fase/adapt"
	"github.com/eve-emulation/eve/fase/scenario"
)

// controllers adds the controllers that are programs to the modules, and tells of those that ended before the run did: like a
// module that died, they make it one that failed.
func (s *Summary) controllers(plan *scenario.Plan) {
	for i := range plan.Adapt.Controls {
		c := &plan.Adapt.Controls[i]
		if len(c.Exec) == 0 {
			continue
		}
		m := Module{Name: c.Name, State: "exited", At: Number(math.NaN())}
		for _, d := range s.Decisions {
			if d.Rule != c.Name || d.Phase != adapt.Lost {
				continue
			}
			m.State, m.Exit, m.At = "failed", d.Cause, d.Time
			if s.Error == "" {
				s.Error = fmt.Sprintf("controller %s at %.1f s: %s; the run went on with what it had decided", c.Name, float64(d.Time), d.Cause)
			}
		}
		s.Modules = append(s.Modules, m)
	}
}
