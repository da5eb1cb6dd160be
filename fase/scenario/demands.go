package scenario

import (
	"errors"
	"fmt"
	"slices"

	"github.com/eve-emulation/eve/dsv"
	"github.com/eve-emulation/eve/fase/service"
	"github.com/eve-emulation/eve/fase/user"
	"github.com/eve-emulation/eve/rdr"
)

// Demands is what a scenario asks for in the mean, with its services where they are at the start.
type Demands struct {
	Groups  []GroupDemand
	Servers []ServerDemand
	Held    []HeldDemand // workers of services, and locks of servers
}

// A GroupDemand is what one client group asks for.
type GroupDemand struct {
	Name   string
	Closed bool
	Rate   float64  // per second, at its peak; closed: what the population asks for if nothing ever queues
	Mean   rdr.Mean // of one request, or one session, by service
	// Dispersion is the index of dispersion of the arrivals in the long run, where they come in bursts at one mean rate; else 0.
	Dispersion float64
}

// A ServerDemand is what the open groups offer to one server, as shares of its capacity. A closed group asks less when it
// is answered later, and so cannot overload: it is not counted.
type ServerDemand struct {
	Name            string
	CPU, Disk, Link Offer
}

// An Offer is the highest share of a resource that is offered over the run: above 1 its queue grows without bound while it
// lasts.
type Offer struct {
	Utilisation float64
	At          dsv.Instant // when it is first reached
	Rate        float64     // of all open groups together then, per second
}

// Overloads says in sentences which resources are offered more than they can carry.
func (d Demands) Overloads() []string {
	var out []string
	for _, s := range d.Servers {
		for _, r := range s.offers() {
			if r.Utilisation > 1 {
				out = append(out, fmt.Sprintf("%s.%s is offered %.2f of its capacity at the peak of %.4g/s: overload is intended?",
					s.Name, r.name, r.Utilisation, r.Rate))
			}
		}
	}
	for _, h := range d.Held {
		if h.Utilisation > 1 {
			out = append(out, fmt.Sprintf("%s is offered at least %.2f of its capacity at the peak of %.4g/s: overload is intended?", h.Name, h.Utilisation, h.Rate))
		}
	}
	return out
}

// Demands computes the mean demands from the requests' distributions. Where a mean does not exist the error is an Errors
// that names the statement.
func (p *Plan) Demands() (Demands, error) {
	var d Demands
	if len(p.unbounded) > 0 {
		return d, p.unbounded
	}
	at, rates := p.rates()
	for i := range p.Clients {
		g := &p.Clients[i]
		peak := 0.0
		if g.Users > 0 {
			r, _ := roundOf(g)
			peak = r.rate(g)
		} else {
			peak = slices.Max(rates[i])
		}
		d.Groups = append(d.Groups, GroupDemand{Dispersion: dispersion(g), Name: g.Name, Closed: g.Users > 0, Rate: peak, Mean: p.means[i]})
	}
	for i := range p.Servers {
		d.Servers = append(d.Servers, p.serverDemand(i, at, rates))
	}
	d.Held = p.heldDemands(at, rates)
	return d, nil
}

// dispersion is the index of dispersion of a group's arrivals, where its rate is one.
func dispersion(g *user.Config) float64 {
	if g.Law != user.MMPP || g.Bursts == nil || len(g.Rate) != 1 || g.Sine != nil {
		return 0
	}
	return g.Bursts.Dispersion(g.Rate[0].Rate)
}

// serverDemand sums, at every corner of the rate curves, what the services on a server are asked for: the sum is linear in
// between.
func (p *Plan) serverDemand(server int, at []dsv.Instant, rates [][]float64) ServerDemand {
	cpu, disk, link := make([]float64, len(p.Clients)), make([]float64, len(p.Clients)), make([]float64, len(p.Clients))
	for i := range p.Clients {
		for _, s := range p.Services {
			if slices.Contains(s.On, server) {
				c, d, l := p.shares(server, p.means[i].Of(s.Name))
				files, sent := p.fileDemand(server, s.Name, &p.means[i])
				d, l = d+files, l+sent
				share := spread(&s, server)
				cpu[i], disk[i], link[i] = cpu[i]+c*share, disk[i]+d*share, link[i]+l*share
			}
		}
	}
	d := ServerDemand{Name: p.Servers[server].Name}
	for k, t := range at {
		var c, dk, l, rate float64
		for i := range p.Clients {
			x := rates[i][k]
			rate += x
			c, dk, l = c+x*cpu[i], dk+x*disk[i], l+x*link[i]
		}
		d.CPU.raise(c, t, rate)
		d.Disk.raise(dk, t, rate)
		d.Link.raise(l, t, rate)
	}
	return d
}

// spread is the share of a service's calls that one of its servers gets at the start, by weight.
func spread(s *service.Config, server int) float64 {
	sum := 0
	for _, on := range s.On {
		sum += s.Weight(on)
	}
	return float64(s.Weight(server)) / float64(sum)
}

// rates returns the instants between which every rate is linear, and the rates of each group then.
func (p *Plan) rates() ([]dsv.Instant, [][]float64) {
	at := corners(p.Clients)
	rates := make([][]float64, len(p.Clients))
	for i := range p.Clients {
		g := &p.Clients[i]
		points := make([]ratePoint, len(g.Rate))
		for k, q := range g.Rate {
			points[k] = ratePoint{q.At.Sub(0), q.Rate}
		}
		rates[i] = make([]float64, len(at))
		for k, t := range at {
			if t < g.End {
				rates[i][k] = rateAt(points, t.Sub(0)) * g.Swing()
			}
		}
	}
	return at, rates
}

func (o *Offer) raise(utilisation float64, at dsv.Instant, rate float64) {
	if utilisation > o.Utilisation {
		*o = Offer{utilisation, at, rate}
	}
}

// shares returns the seconds of each resource of a server that a use takes; of the link, for its replies. What its calls
// send is not known by caller and is left out.
func (p *Plan) shares(server int, u rdr.Use) (cpu, disk, link float64) {
	m := p.Servers[server].Machine
	cpu = u.CPU / service.Speed(m.CPU) / float64(m.CPU.Cores)
	disk = (u.DiskReads+u.DiskWrites)*m.Disk.Seek.Seconds() + u.DiskSyncs*m.Disk.Sync.Seconds() +
		(u.DiskReadBytes+u.DiskWriteBytes)/float64(m.Disk.Rate)
	if m.Link.Rate > 0 {
		link = u.ReplyBytes * 8 / float64(m.Link.Rate)
	}
	return cpu, disk, link
}

// corners returns the instants between which every rate is linear, those of the run alone.
func corners(groups []user.Config) []dsv.Instant {
	var at []dsv.Instant
	for i := range groups {
		for _, p := range groups[i].Rate {
			if p.At < groups[i].End {
				at = append(at, p.At)
			}
		}
		at = append(at, groups[i].End-1)
	}
	slices.Sort(at)
	return slices.Compact(at)
}

// demands computes the means once, while the texts are at hand in which a mistake would stand.
func (c *compiler) demands() {
	inner := compiler{faults: &faults{main: c.main}, parsed: c.parsed}
	for _, g := range c.plan.Clients {
		r, err := roundOf(&g)
		var several rdr.Errors
		if errors.As(err, &several) {
			for _, e := range several {
				inner.oneRDR(inner.owner(e, c.parsed[0]), e)
			}
		}
		c.plan.means = append(c.plan.means, r.demand)
	}
	c.plan.unbounded = inner.sorted(inner.errs)
}
