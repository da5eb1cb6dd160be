package scenario

import (
	"fmt"

	"github.com/eve-emulation/eve/fase/adapt"
)

// scaled checks how many replicas a rule asks for.
func (c *compiler) scaled(do spot[string], a *adapt.Action) bool {
	cfg := adapt.Config{Topology: c.plan.Topology, Services: c.plan.Services, Servers: len(c.plan.Servers)}
	least, most := cfg.Replicas(a.Service)
	if a.Formula != "" {
		a.Bounds = adapt.Bounds{Least: float64(least), Most: float64(most), Whole: true}
		a.Expr = c.number(do.at, a.Formula, a.Col-1, "1")
		return a.Expr != nil
	}
	if a.Count < least || a.Count > most {
		c.at(do.at, fmt.Sprintf("%s may have %d to %d replicas, not %d", c.plan.Services[a.Service].Name, least, most, a.Count),
			"its `replicas` say how many: {least: 1, most: 8}")
		return false
	}
	return true
}

// standby lists the servers that carry nothing until an action brings a service.
func (c *compiler) standby() []int {
	var list []int
	for i := range c.plan.Servers {
		if c.plan.Servers[i].Standby {
			list = append(list, i)
		}
	}
	return list
}
