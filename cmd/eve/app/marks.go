package app

import (
	"context"
	"time"

	"github.com/eve-emulation/eve/dsv"
	"github.com/eve-emulation/eve/fase/scenario"
	"github.com/eve-emulation/eve/internal/mono"
)

// marks tells of the faults of a run, when they begin and when they end. The servers and the clients know of them by themselves.
type marks struct {
	x     *execution
	left  []scenario.FaultMark
	timer *time.Timer
}

func (x *execution) newMarks() *marks {
	m := &marks{x: x, left: x.plan.FaultMarks(), timer: time.NewTimer(time.Hour)}
	m.wind()
	return m
}

// wind sets the timer for the next mark.
func (m *marks) wind() {
	m.timer.Stop()
	if len(m.left) > 0 {
		m.timer.Reset(time.Duration(m.x.t0.Load() + int64(m.left[0].At) - mono.Now()))
	}
}

// tell writes the marks whose time has come.
func (m *marks) tell(ctx context.Context) error {
	for len(m.left) > 0 && m.x.t0.Load()+int64(m.left[0].At) <= mono.Now() {
		_, err := m.x.kernel.Space().Write(ctx, scenario.FaultsName, dsv.BytesValue(m.left[0].Encode()))
		if err != nil {
			return err
		}
		m.left = m.left[1:]
	}
	m.wind()
	return nil
}
