package sim

import (
	"slices"

	"github.com/eve-emulation/eve/dsv"
	"github.com/eve-emulation/eve/fase/step"
)

// A Write is a value that is written at an instant, as a rule would write it.
type Write struct {
	At    dsv.Instant
	Name  dsv.Name
	Value dsv.Value
}

// Schedule has values written at their instants, as a rule would: a schedule of mappings says where
// services are without anybody deciding it. It is called once, before Run. Writes at one instant keep their order.
func (s *Sim) Schedule(writes []Write) {
	s.writes = slices.Clone(writes)
	slices.SortStableFunc(s.writes, func(a, b Write) int { return int(min(max(a.At-b.At, -1), 1)) })
}

// clockwork is the core that writes what was scheduled. It comes behind hosts and groups, as the rules do.
type clockwork struct{ s *Sim }

func (c *clockwork) Next() dsv.Instant {
	if len(c.s.writes) == 0 {
		return dsv.Never
	}
	return c.s.writes[0].At
}

func (c *clockwork) Advance(to dsv.Instant) {
	for len(c.s.writes) > 0 && c.s.writes[0].At <= to {
		w := c.s.writes[0]
		c.s.writes = c.s.writes[1:]
		c.s.write(w.At, w.Name, w.Value)
	}
}

func (c *clockwork) Effects() []step.Effect { return nil }
