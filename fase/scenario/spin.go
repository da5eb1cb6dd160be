package scenario

import (
	"time"

	"github.com/eve-emulation/eve/fase/machine"
)

// The bounds of a run whose loops poll.
const (
	spin          = 100 * time.Microsecond // about what an idle processor takes to wake up
	spinLoops     = 2                      // per processor, at most
	spinPerSecond = 250                    // requests per processor at the peak, at most: then polling costs some percent of it
)

// Spin is how long an event loop of the run, on a host with so many processors, polls instead of sleeping before something
// is due. The time that a sleeping processor takes to wake up would be in every sample; polling takes it out, at the price
// of the CPU. It is for runs that leave the host mostly idle: with many loops or requests, and where demands are burned,
// the processors belong to them, and Spin is 0.
func (p *Plan) Spin(cpus int) time.Duration {
	loops := len(p.Clients)
	for _, s := range p.Servers {
		if s.Machine.Run == machine.Burn {
			return 0
		}
		loops += max(s.Reactors, 1)
	}
	d, err := p.Demands()
	if err != nil || loops > spinLoops*cpus {
		return 0
	}
	rate := 0.0
	for _, g := range d.Groups {
		rate += g.Rate
	}
	if !(rate <= float64(spinPerSecond*cpus)) {
		return 0
	}
	return spin
}
