package sim

import (
	"fmt"
	"strings"

	"github.com/eve-emulation/eve/fase/admit"
	"github.com/eve-emulation/eve/fase/machine"
	"github.com/eve-emulation/eve/fase/scenario"
)

// Notes tells by name what of a plan has an effect in a run for real and none in virtual time, where there are no connections and
// no threads: a sentence each, in the order of the plan. There is none of what only says how a run is carried out, such as
// processes, addresses and precision.
func Notes(plan *scenario.Plan) []string {
	var out []string
	for i := range plan.Clients {
		c := &plan.Clients[i].Connections
		var keys []string
		for _, k := range []struct {
			key     string
			written bool
		}{{"connections", c.Own}, {"requests_per_connection", c.PerRequests > 0}, {"idle", c.Idle > 0}} {
			if k.written {
				keys = append(keys, k.key)
			}
		}
		if len(keys) > 0 {
			out = append(out, fmt.Sprintf("client %s: in virtual time connections cost nothing, so %s %s no effect", plan.Clients[i].Name, strings.Join(keys, ", "), has(keys)))
		}
	}
	for i := range plan.Servers {
		s := &plan.Servers[i]
		if s.Engine != "seda" || s.Machine.Run != machine.Burn {
			continue
		}
		what := "queue, threads and batches have"
		if s.Stages.Control.Kind != admit.NoControl {
			what = "control, queue, threads and batches have"
		}
		out = append(out, fmt.Sprintf("server %s: in virtual time the stages of seda are the processors and the disk, so %s no effect: nothing is refused before them", s.Name, what))
	}
	return out
}

func has(keys []string) string {
	if len(keys) == 1 {
		return "has"
	}
	return "have"
}
