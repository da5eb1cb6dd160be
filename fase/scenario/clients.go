package scenario

import (
	"fmt"
	"math"
	"slices"
	"sort"
	"time"

	"github.com/eve-emulation/eve/dsv"
	"github.com/eve-emulation/eve/fase/user"
)

func (c *compiler) clients() {
	called := map[string]bool{}
	for i, n := range c.raw.clients {
		g := user.Config{
			Name: n.name, Index: i, Seed: c.plan.Seed, Patience: n.v.patience.v, Retry: n.v.retry.retry(),
			End: dsv.At(c.plan.Duration), Warmup: dsv.At(c.plan.Warmup),
			Topology: c.plan.Topology, Services: c.plan.Services, Named: c.fair() || c.hashed(), Sticky: c.hashed(),
		}
		c.asks(&g, n)
		if g.Request != nil || g.Sessions != nil {
			for _, b := range g.Requests() {
				for _, s := range b.Services() {
					called[s] = true
				}
			}
		}
		if n.v.stop.written() && dsv.At(n.v.stop.v) < g.End {
			g.End = dsv.At(n.v.stop.v)
		}
		c.population(&g, n)
		c.connections(&g, n)
		c.plan.Clients = append(c.plan.Clients, g)
	}
	if len(c.errs) > 0 || len(c.raw.clients) == 0 {
		return
	}
	for _, s := range c.raw.services {
		if !called[s.name] {
			c.warn(s.at, fmt.Sprintf("nobody calls service %s", s.name), "")
		}
	}
	for _, t := range c.raw.targets {
		if !called[t.name] {
			c.warn(t.at, fmt.Sprintf("nobody calls target %s", t.name), fmt.Sprintf("a request calls it by `http %s GET \"/\"`", t.name))
		}
	}
	c.shares()
}

func (c *compiler) whatRequests(name string) string {
	if len(c.blocks) == 0 {
		return "define it in `requests:`"
	}
	return didYouMean(name, c.blocks)
}

// population reads what makes a group open or closed.
func (c *compiler) population(g *user.Config, n named[rawClient]) {
	v := &n.v
	rate, users := n.node.get("rate") != nil, n.node.get("users") != nil
	if v.trace.at != nil {
		c.replay(g, n)
		return
	}
	switch {
	case rate && users:
		c.at(n.at, fmt.Sprintf("client group %s has both a rate and users", n.name), "a group is open (rate) or closed (users)")
		return
	case !rate && !users:
		c.at(n.at, fmt.Sprintf("client group %s has neither a rate nor users", n.name), "write rate: 40/s for arrivals from outside, trace: for those of a file, or users: 20 for a population")
		return
	case users:
		c.only(v.arrive.at, "arrive", "rate")
		c.only(n.node.get("bursts"), "bursts", "rate")
		g.Users, g.Start = v.users.v, dsv.At(v.start.v)
		c.starts(g, v)
		if v.think.written() {
			g.Think = &user.Think{Mean: v.think.v.mean, Exponential: v.think.v.exponential}
		}
		return
	}
	c.only(v.think.at, "think", "users")
	c.law(g, n)
	g.Rate, g.Sine = curve(v.rate.points.v, v.start.v), v.rate.sine
	c.starts(g, v)
	if v.rate.points.written() && !slices.ContainsFunc(v.rate.points.v, func(p ratePoint) bool { return p.rate > 0 }) {
		c.at(v.rate.points.at, "the rate is always 0: no request arrives", "write a rate above 0/s")
	}
}

func (c *compiler) starts(g *user.Config, v *rawClient) {
	if at := v.start.at; at != nil && dsv.At(v.start.v) >= g.End {
		c.at(at, fmt.Sprintf("the group starts at %v, when no request begins any more", v.start.v), "start comes before stop and before the end of the run")
	}
}

func (c *compiler) only(at *node, key, with string) {
	if at != nil {
		c.at(at, fmt.Sprintf("`%s` is for groups with `%s`", key, with), "remove it")
	}
}

// curve makes the points of a rate. It begins at 0 with the first rate, or with 0 before start.
func curve(points []ratePoint, start time.Duration) []user.Point {
	var out []user.Point
	if start > 0 {
		out = append(out, user.Point{At: 0}, user.Point{At: dsv.At(start) - 1})
		out = append(out, user.Point{At: dsv.At(start), Rate: rateAt(points, start)})
	} else if len(points) > 0 && points[0].at > 0 {
		out = append(out, user.Point{At: 0, Rate: points[0].rate})
	}
	for _, p := range points {
		if p.at > start || start == 0 {
			out = append(out, user.Point{At: dsv.At(p.at), Rate: p.rate})
		}
	}
	return out
}

// rateAt is the rate of a curve at a time.
func rateAt(points []ratePoint, t time.Duration) float64 {
	i := sort.Search(len(points), func(i int) bool { return points[i].at >= t })
	switch {
	case len(points) == 0:
		return 0
	case i == len(points):
		return points[i-1].rate
	case i == 0 || points[i].at == t:
		return points[i].rate
	}
	p, q := points[i-1], points[i]
	return p.rate + (q.rate-p.rate)*float64(t-p.at)/float64(q.at-p.at)
}

// shares sets which part of the requests is recorded one by one: all of them up to the rate of `records:`.
func (c *compiler) shares() {
	limit := c.raw.records.v
	total := 0.0
	for i := range c.plan.Clients {
		g := &c.plan.Clients[i]
		peak := 0.0
		for _, p := range g.Rate {
			peak = math.Max(peak, p.Rate*g.Swing())
		}
		r, _ := roundOf(g) // without a mean it counts nothing
		if g.Users > 0 {
			peak = r.rate(g)
		}
		peak *= r.requests
		total += peak
		g.RecordShare = math.Min(1, limit/peak)
	}
	for i := range c.plan.Servers {
		c.plan.Servers[i].RecordShare = math.Min(1, limit/math.Max(total, 1))
	}
}
