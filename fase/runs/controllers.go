package runs

import (
	"fmt"
	"math"

	"github.com/eve-emulation/eve/fase/adapt"
	"github.com/eve-emulation/eve/fase/scenario"
)

// A Control is one controller of the run, and what its values went to. What it asked for is the variable run.control.NAME.
type Control struct {
	Name     string   `json:"name"`
	Kind     string   `json:"kind"`
	Verb     string   `json:"verb,omitempty"`     // scale, limit, degrade or set; absent for those that only take actions
	Service  string   `json:"service,omitempty"`  // that was scaled, limited or degraded
	Variable string   `json:"variable,omitempty"` // that was set; of a farm the first
	Levels   []string `json:"levels,omitempty"`   // of degrade, the best first
}

// controllers lists the controllers. It adds those that are programs to the modules, and tells of those that ended before the run did: like a
// module that died, they make it one that failed.
func (s *Summary) controllers(plan *scenario.Plan) {
	for i := range plan.Adapt.Controls {
		c := &plan.Adapt.Controls[i]
		told := Control{Name: c.Name, Kind: c.Kind, Verb: string(c.Actuator.Verb), Variable: string(c.Actuator.Var), Levels: c.Actuator.Levels}
		if c.Actuator.Service >= 0 && c.Actuator.Verb != "" && c.Actuator.Verb != adapt.Assign {
			told.Service = plan.Topology.Services[c.Actuator.Service]
		}
		s.Controls = append(s.Controls, told)
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
