package scenario

import (
	"fmt"
	"slices"

	"github.com/eve-emulation/eve/fase/adapt"
)

// leastLimit is the least rate that a limit is brought to by what is reckoned while a run goes.
const leastLimit = 1

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

// graded warns of a level that nothing which is asked of a service has: it would be served at its first one.
func (c *compiler) graded(at *node, svc int, level string) {
	name := c.plan.Services[svc].Name
	var levels []string
	called := false
	for i := range c.plan.Clients {
		for _, b := range c.plan.Clients[i].Requests() {
			called = called || slices.Contains(b.Services(), name)
			for _, l := range b.Levels(name) {
				if !slices.Contains(levels, l) {
					levels = append(levels, l)
				}
			}
		}
	}
	switch {
	case !called || slices.Contains(levels, level):
	case len(levels) == 0:
		c.warn(at, fmt.Sprintf("no request that calls %s has levels: %s changes nothing", name, clip(level)),
			fmt.Sprintf("write call %s { level full { … } level %s { … } }", name, clip(level)))
	default:
		c.warn(at, fmt.Sprintf("no request that calls %s has the level %s", name, clip(level)), didYouMean(level, levels))
	}
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
