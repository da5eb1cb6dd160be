package runs

import (
	"github.com/eve-emulation/eve/dsv"
	"github.com/eve-emulation/eve/fase/scenario"
	"github.com/eve-emulation/eve/fase/service"
)

// A Station is the result of something that is held while other things are done, over the window: the workers of a service, or a
// lock of a server.
type Station struct {
	Utilisation Number       `json:"utilisation"`     // share of the workers in use, or of the time that the lock is held
	Queue       Number       `json:"queue_mean"`      // those that hold one or wait for one; of several servers, the mean
	Wait        Distribution `json:"wait_seconds"`    // until it was had
	Service     Distribution `json:"service_seconds"` // from then until it was given back
}

// StationNames lists the stations, in the order of CompareNames.
func (s *Summary) StationNames() []string { return names(s.Stations) }

// stations computes what was measured of pools and locks; nil without any.
func (t *totals) stations(plan *scenario.Plan) map[string]Station {
	var out map[string]Station
	add := func(name dsv.Name) {
		if out == nil {
			out = map[string]Station{}
		}
		out[string(name)] = Station{
			Utilisation: Number(orZero(t.measured(name + ".utilisation").Mean())),
			Queue:       Number(orZero(t.measured(name + ".queue").Mean())),
			Wait:        Distribute(t.hist(name + ".wait")), Service: Distribute(t.hist(name + ".service")),
		}
	}
	for _, s := range plan.Services {
		if s.Pool.Threads > 0 {
			add(service.PoolName(s.Name, ""))
		}
	}
	for i := range plan.Servers {
		for _, l := range plan.Servers[i].Locks {
			if name := service.LockName(plan.Servers[i].Name, l, ""); t.hist(name+".wait").Count() > 0 {
				add(name) // a lock that nobody enters here is another server's
			}
		}
	}
	return out
}

// split is a distribution of what was measured; nil where nothing was.
func (t *totals) split(name dsv.Name) *Distribution {
	h := t.hist(name)
	if h.Count() == 0 {
		return nil
	}
	d := Distribute(h)
	return &d
}
