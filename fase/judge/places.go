package judge

import (
	"fmt"
	"slices"

	"github.com/eve-emulation/eve/dsv"
	"github.com/eve-emulation/eve/fase/adapt"
	"github.com/eve-emulation/eve/fase/runs"
	"github.com/eve-emulation/eve/fase/scenario"
	"github.com/eve-emulation/eve/fase/service"
	"github.com/eve-emulation/eve/fase/sim"
)

// maxOptions bounds the combinations of places that are tried.
const maxOptions = 256

// A site is one service whose places the adaptation may change: which sets of servers it may have, from the least to the most.
type site struct {
	service int
	sets    [][]int
}

// An option is one set for each site.
type option struct {
	picks []int   // by site, index of its set
	cost  float64 // servers that hold a service, those of all services together
}

// sites lists what the adaptation may place. why says what cannot be enumerated.
func sites(plan *scenario.Plan) (out []site, why string) {
	type reach struct {
		moves, grows []int
		scales       bool
	}
	reached := map[int]*reach{}
	of := func(svc int) *reach {
		if reached[svc] == nil {
			reached[svc] = &reach{}
		}
		return reached[svc]
	}
	act := func(a adapt.Action) {
		switch a.Verb {
		case adapt.Move:
			of(a.Service).moves = append(of(a.Service).moves, a.Server)
		case adapt.Replicate:
			of(a.Service).grows = append(of(a.Service).grows, a.Server)
		case adapt.Retire, adapt.Scale:
			of(a.Service).scales = true
		}
	}
	for i := range plan.Adapt.Rules {
		for _, a := range plan.Adapt.Rules[i].Do {
			act(a)
		}
	}
	for i := range plan.Adapt.Controls {
		c := &plan.Adapt.Controls[i]
		if len(c.Actuator.Places) > 0 {
			return nil, fmt.Sprintf("%s places services where it likes", c.Name)
		}
		if c.Actuator.Verb == adapt.Scale {
			of(c.Actuator.Service).scales = true
		}
	}
	for svc := range plan.Services {
		if r := reached[svc]; r != nil {
			out = append(out, site{svc, sets(&plan.Services[svc], r.moves, r.grows, r.scales)})
		}
	}
	return out, ""
}

// sets are the places that a service may have: where it only moves, its own or one of the others; else so many of all in their
// order.
func sets(cfg *service.Config, moves, grows []int, scales bool) [][]int {
	if len(moves) > 0 && len(grows) == 0 && !scales {
		out := [][]int{cfg.On}
		for _, x := range moves {
			if !slices.ContainsFunc(out, func(s []int) bool { return slices.Equal(s, []int{x}) }) {
				out = append(out, []int{x})
			}
		}
		return out
	}
	all := slices.Clone(cfg.On)
	for _, x := range slices.Concat(cfg.Candidates, grows, moves) {
		if !slices.Contains(all, x) {
			all = append(all, x)
		}
	}
	if cfg.Most > 0 {
		all = all[:min(len(all), max(cfg.Most, len(cfg.On)))]
	}
	var out [][]int
	for n := max(1, cfg.Least); n <= len(all); n++ {
		out = append(out, all[:n:n])
	}
	return out
}

// options lists every combination, the cheapest first.
func options(plan *scenario.Plan, ss []site) ([]option, error) {
	n := 1
	for _, s := range ss {
		if n *= len(s.sets); n > maxOptions {
			return nil, fmt.Errorf("there are more than %d combinations of places", maxOptions)
		}
	}
	out := make([]option, 0, n)
	picks := make([]int, len(ss))
	for {
		out = append(out, option{slices.Clone(picks), float64(servers(plan, ss, picks))})
		i := len(ss) - 1
		for ; i >= 0; i-- {
			if picks[i]++; picks[i] < len(ss[i].sets) {
				break
			}
			picks[i] = 0
		}
		if i < 0 {
			break
		}
	}
	slices.SortStableFunc(out, func(a, b option) int {
		if a.cost != b.cost {
			return int(a.cost - b.cost)
		}
		return sum(a.picks) - sum(b.picks)
	})
	return out, nil
}

func sum(xs []int) int {
	n := 0
	for _, x := range xs {
		n += x
	}
	return n
}

// servers counts the emulated servers that hold a service.
func servers(plan *scenario.Plan, ss []site, picks []int) int {
	held := map[int]bool{}
	for svc := range plan.Services[:len(plan.Services)-len(plan.Targets)] {
		on := plan.Services[svc].On
		for i, s := range ss {
			if s.service == svc {
				on = s.sets[picks[i]]
			}
		}
		for _, x := range on {
			held[x] = true
		}
	}
	return len(held)
}

// covers says whether an option has at least as much of everything as another one.
func (o option) covers(p option) bool {
	for i := range o.picks {
		if o.picks[i] < p.picks[i] {
			return false
		}
	}
	return true
}

// A change has the option of that number from an instant on.
type change struct {
	at     dsv.Instant
	option int
}

// writes are the mappings of a schedule. Servers that a service leaves drain; nothing is copied, for whoever knows the future
// has copied in time.
func writes(plan *scenario.Plan, ss []site, os []option, schedule []change) []sim.Write {
	var out []sim.Write
	for i, s := range ss {
		epoch, before := uint32(1), plan.Services[s.service].On
		held := slices.Clone(before)
		for _, c := range schedule {
			now := s.sets[os[c.option].picks[i]]
			if slices.Equal(now, before) {
				continue
			}
			before = now
			epoch++
			m := service.Mapping{Epoch: epoch, At: c.at}
			for _, x := range held {
				if !slices.Contains(now, x) {
					m.Replicas = append(m.Replicas, service.Replica{Server: plan.Topology.Servers[x], Weight: 1, State: service.Draining})
				}
			}
			for _, x := range now {
				m.Replicas = append(m.Replicas, service.Replica{Server: plan.Topology.Servers[x], Weight: 1, State: service.Serving})
				if !slices.Contains(held, x) {
					held = append(held, x)
				}
			}
			out = append(out, sim.Write{At: c.at, Name: service.MapName(plan.Services[s.service].Name), Value: dsv.TextValue(m.Encode())})
		}
	}
	return out
}

// levels are the replicas over time, within a window, of each site that may have more or fewer.
func levels(plan *scenario.Plan, ss []site, os []option, schedule []change, from dsv.Instant) map[string][]runs.ReplicaLevel {
	out := map[string][]runs.ReplicaLevel{}
	for i, s := range ss {
		if len(s.sets[0]) == len(s.sets[len(s.sets)-1]) {
			continue // it only moves
		}
		var ls []runs.ReplicaLevel
		for _, c := range schedule {
			l := runs.ReplicaLevel{From: runs.Number(max(c.at, from).Seconds()), Replicas: len(s.sets[os[c.option].picks[i]])}
			switch n := len(ls); {
			case n > 0 && ls[n-1].From == l.From:
				ls[n-1] = l
			case n == 0 || ls[n-1].Replicas != l.Replicas:
				ls = append(ls, l)
			}
		}
		out[plan.Services[s.service].Name] = ls
	}
	return out
}
