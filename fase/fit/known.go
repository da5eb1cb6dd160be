package fit

import (
	"slices"

	"github.com/eve-emulation/eve/fase/scenario"
	"github.com/eve-emulation/eve/rdr"
)

// known puts what the scenario says beside the demands of the processors of emulated servers, with the services where they are at the
// start. A class of which there is no mean has none.
func (f *Fit) known(r *Fitted) {
	if r.Kind != CPU || r.Target {
		return
	}
	for i := range r.Demands {
		for _, plan := range f.plans {
			if x, ok := meanCPU(plan, f.Classes[i].Name, r.servers); ok {
				r.Demands[i].Known = &x
				break
			}
		}
	}
}

// block finds a request of a scenario that some group asks; nil where there is none.
func block(plan *scenario.Plan, name string) *rdr.Block {
	for i := range plan.Clients {
		for _, b := range plan.Clients[i].Requests() {
			if b != nil && b.Name() == name {
				return b
			}
		}
	}
	return nil
}

// meanCPU is what a request demands of the processors of servers, in seconds at speed 1.
func meanCPU(plan *scenario.Plan, class string, servers []int) (float64, bool) {
	b := block(plan, class)
	if b == nil {
		return 0, false
	}
	m, err := b.Mean()
	if err != nil {
		return 0, false
	}
	sum := 0.0
	for i := range plan.Services {
		s := &plan.Services[i]
		all, here := 0, 0
		for _, on := range s.On {
			all += s.Weight(on)
			if on < len(plan.Servers) && slices.Contains(servers, on) {
				here += s.Weight(on)
			}
		}
		if here > 0 {
			sum += m.Of(s.Name).CPU * float64(here) / float64(all)
		}
	}
	return sum, true
}
