package solve

import (
	"math"

	"github.com/eve-emulation/eve/fase/qn"
	"github.com/eve-emulation/eve/fase/scenario"
)

// A Model is what a plan comes to at one instant. It is immutable.
type Model struct {
	plan    *scenario.Plan
	options Options
	scale   float64
}

// Of makes the model of a plan. The error names the statement that has no mean, by file, line and column.
func Of(plan *scenario.Plan, o Options) (*Model, error) {
	if _, err := plan.Demands(); err != nil {
		return nil, err
	}
	return &Model{plan: plan, options: o, scale: 1}, nil
}

// Scaled is the model with the rates of all open groups, and the users of all closed ones, multiplied by a factor above 0. Users are
// rounded, to at least one.
func (m *Model) Scaled(factor float64) *Model {
	c := *m
	c.scale *= factor
	return &c
}

// Solve solves the model. The error is an ErrUnstable, an [Unstable], where an open group offers a resource more than it carries.
func (m *Model) Solve() (*Answer, error) {
	d, err := m.plan.Demands()
	if err != nil {
		return nil, err
	}
	n := qn.Network{}
	for i := range m.plan.Servers {
		n.Stations = append(n.Stations, qn.Station{Name: m.plan.Servers[i].Name + ".cpu", Servers: max(m.plan.Servers[i].Machine.CPU.Cores, 1)})
	}
	for i, g := range d.Groups {
		c := qn.Class{Name: g.Name, Rate: g.Rate * m.scale}
		if u := m.plan.Clients[i].Users; u > 0 {
			c.Rate, c.Users = 0, max(1, int(math.Round(float64(u)*m.scale)))
			if t := m.plan.Clients[i].Think; t != nil {
				c.Think = t.Mean.Seconds()
			}
		}
		for k := range m.plan.Servers {
			x := 0.0
			for _, s := range m.plan.Services {
				for _, on := range s.On {
					if on == k {
						x += g.Mean.Of(s.Name).CPU / float64(len(s.On))
					}
				}
			}
			c.Demands = append(c.Demands, x)
		}
		n.Classes = append(n.Classes, c)
	}
	s, err := n.Solve()
	if err != nil {
		return nil, err
	}
	a := &Answer{Method: s.Method, Bounds: Bounds{Response: map[string]float64{}, Knee: map[string]float64{}}}
	for i, c := range n.Classes {
		x := s.Classes[i]
		g := Group{Name: c.Name, Closed: c.Users > 0, Users: c.Users, Rate: x.Throughput, Throughput: x.Throughput, Response: x.Response, Deviation: x.Response, Quality: Approximated}
		g.Shape = Shape{Mean: x.Response, Deviation: x.Response, Quality: Approximated}
		a.Groups = append(a.Groups, g)
	}
	for k, st := range n.Stations {
		a.Resources = append(a.Resources, Resource{Name: st.Name, Kind: Hardware, Servers: st.Servers, Utilisation: s.Stations[k].Utilisation, Queue: s.Stations[k].Queue})
	}
	return a, nil
}
