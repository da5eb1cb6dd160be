package sim

import (
	"github.com/eve-emulation/eve/dsv"
	"github.com/eve-emulation/eve/fase/scenario"
	"github.com/eve-emulation/eve/fase/step"
)

// marker is the core that tells of faults, when they begin and when they are repaired. The hosts know of them by themselves.
type marker struct {
	s    *Sim
	left []scenario.FaultMark
}

func (m *marker) Next() dsv.Instant {
	if len(m.left) == 0 {
		return dsv.Never
	}
	return m.left[0].At
}

func (m *marker) Advance(to dsv.Instant) {
	for m.Next() <= to && len(m.left) > 0 {
		m.s.write(m.left[0].At, scenario.FaultsName, dsv.BytesValue(m.left[0].Encode()))
		m.left = m.left[1:]
	}
}

func (m *marker) Effects() []step.Effect { return nil }
