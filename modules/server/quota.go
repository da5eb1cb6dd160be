package server

import (
	"fmt"

	"github.com/eve-emulation/eve/fase/burn"
	"github.com/eve-emulation/eve/fase/machine"
	"github.com/eve-emulation/eve/fase/scenario"
)

// limit has the kernel see to the quota of the servers of this process, which all have the same; nil where they have none, or
// where demands are held and not consumed, and so are slower by it.
func limit(plan *scenario.Plan, names []string) (*burn.Quota, error) {
	for _, name := range names {
		i := plan.Topology.Server(name)
		if i < 0 || i >= len(plan.Servers) {
			continue
		}
		m := plan.Servers[i].Machine
		if m.Run != machine.Burn || m.CPU.Quota <= 0 {
			continue
		}
		q, err := burn.LimitCPU(m.CPU.Quota)
		if err != nil {
			return nil, fmt.Errorf("emulate %s: quota: %w; leave `quota` out, or write run: hold", name, err)
		}
		return q, nil
	}
	return nil, nil
}
