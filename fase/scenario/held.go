package scenario

import (
	"fmt"
	"slices"
	"strings"

	"github.com/eve-emulation/eve/dsv"
	"github.com/eve-emulation/eve/fase/service"
	"github.com/eve-emulation/eve/fase/user"
	"github.com/eve-emulation/eve/rdr"
)

// A HeldDemand is what the open groups offer to something that is held while something else is done: the workers of a service, or
// a lock of a server. It counts how long it is held when nothing queues, so it is the least.
type HeldDemand struct {
	Name string // SERVICE.pool, or SERVER.lock.NAME
	Offer
}

// held is how long one request of a group, or one session, holds workers and locks.
func (p *Plan) held(g *user.Config) rdr.Held {
	cost := rdr.Cost{Demand: p.takes, Call: p.trip}
	if g.Sessions == nil {
		if g.Request == nil {
			return rdr.Held{}
		}
		h, _ := g.Request.Holds(cost) // what has no mean is told elsewhere
		return h
	}
	v, err := g.Visits()
	if err != nil {
		return rdr.Held{}
	}
	var sum rdr.Held
	for i, page := range g.Sessions.Pages {
		h, _ := page.Request.Holds(cost)
		sum.Add(h, v.Mean[i])
	}
	return sum
}

// takes is how long a demand takes at a service, in the mean of its servers.
func (p *Plan) takes(svc string, u rdr.Use) float64 {
	sum, on := 0.0, p.places(svc)
	for _, i := range on {
		m := &p.Servers[i].Machine
		cpu, disk, link := p.shares(i, u)
		sum += cpu*float64(max(m.CPU.Cores, 1)) + disk + link
	}
	return sum / float64(max(len(on), 1))
}

// trip is how long the link delays of a call are between two services, both ways, in the mean of their servers.
func (p *Plan) trip(from, to string) float64 {
	sum, froms, tos := 0.0, p.places(from), p.places(to)
	for _, a := range froms {
		for _, b := range tos {
			if a != b {
				sum += 2 * (p.Servers[a].Machine.Link.Delay + p.Servers[b].Machine.Link.Delay).Seconds()
			}
		}
	}
	return sum / float64(max(len(froms)*len(tos), 1))
}

// places are the emulated servers that hold a service at the start.
func (p *Plan) places(svc string) []int {
	i := p.Topology.Service(svc)
	if i < 0 || i >= len(p.Services) {
		return nil
	}
	return slices.DeleteFunc(slices.Clone(p.Services[i].On), func(s int) bool { return s >= len(p.Servers) })
}

// heldDemands sums, at every corner of the rate curves, what is held: as serverDemand does for resources.
func (p *Plan) heldDemands(at []dsv.Instant, rates [][]float64) []HeldDemand {
	held := make([]rdr.Held, len(p.Clients))
	for i := range p.Clients {
		if p.Clients[i].Users == 0 && p.Clients[i].Trace == nil {
			held[i] = p.held(&p.Clients[i])
		}
	}
	var out []HeldDemand
	add := func(name string, share func(rdr.Held) float64) {
		d := HeldDemand{Name: name}
		for k, t := range at {
			sum, rate := 0.0, 0.0
			for i := range held {
				rate += rates[i][k]
				sum += rates[i][k] * share(held[i])
			}
			d.raise(sum, t, rate)
		}
		out = append(out, d)
	}
	for _, s := range p.Services {
		if n := s.Pool.Threads * len(s.On); n > 0 {
			add(string(service.PoolName(s.Name, "")), func(h rdr.Held) float64 { return h.Workers[s.Name] / float64(n) })
		}
	}
	for i := range p.Servers {
		for _, l := range p.Servers[i].Locks {
			share := func(h rdr.Held) (sum float64) {
				for _, s := range p.Services {
					if slices.Contains(s.On, i) {
						sum += h.Locks[rdr.LockAt{Service: s.Name, Lock: l}] / float64(len(s.On))
					}
				}
				return sum
			}
			if slices.ContainsFunc(held, func(h rdr.Held) bool { return share(h) > 0 }) {
				add(string(service.LockName(p.Servers[i].Name, l, "")), share)
			}
		}
	}
	return out
}

// SoftwareFirst says in a sentence which workers or lock are full before any resource is, where that is so and where they are offered
// more than half of what they can carry; "" otherwise.
func (d Demands) SoftwareFirst() string {
	hard, name := 0.0, ""
	for _, s := range d.Servers {
		for _, r := range s.offers() {
			if r.Utilisation > hard {
				hard, name = r.Utilisation, s.Name+"."+r.name
			}
		}
	}
	var first HeldDemand
	for _, h := range d.Held {
		if h.Utilisation > first.Utilisation {
			first = h
		}
	}
	if first.Utilisation <= max(hard, 0.5) {
		return ""
	}
	what := "no resource of a server is used"
	if name != "" {
		what = fmt.Sprintf("%s, the busiest resource, is offered %.2f of its own", name, hard)
	}
	kind := "the workers are"
	if strings.Contains(first.Name, ".lock.") {
		kind = "the lock is"
	}
	return fmt.Sprintf("%s is full first: %s held at least %.2f of the time at the peak of %.4g/s, while %s", first.Name, kind, first.Utilisation, first.Rate, what)
}

type resourceOffer struct {
	name string
	Offer
}

func (s *ServerDemand) offers() []resourceOffer {
	return []resourceOffer{{service.Resources()[0], s.CPU}, {service.Resources()[1], s.Disk}, {service.Resources()[3], s.Link}}
}
