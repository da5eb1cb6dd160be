package judge

import (
	"context"

	"github.com/eve-emulation/eve/dsv"
	"github.com/eve-emulation/eve/fase/adapt"
	"github.com/eve-emulation/eve/fase/campaign"
	"github.com/eve-emulation/eve/fase/runs"
	"github.com/eve-emulation/eve/fase/scenario"
	"github.com/eve-emulation/eve/fase/service"
	"github.com/eve-emulation/eve/fase/sim"
)

// A world simulates the arrivals of a run again and again, each time with services elsewhere.
type world struct {
	plan     *scenario.Plan // without adaptation
	sites    []site
	options  []option
	from, to dsv.Instant  // the measured window
	excused  map[int]bool // seconds that are violated whatever is done

	attempts      *attempts
	budget, spent int // requests and calls
	simulations   int
	fixed         dsv.Instant // length of the intervals; 0: as the budget allows
}

// still returns a plan that is the same but for its adaptation: nobody decides anything. It measures no more than it takes, for
// measuring is most of the work of a simulation.
func still(plan *scenario.Plan) *scenario.Plan {
	p := *plan
	a := plan.Adapt
	p.Adapt = adapt.Config{Topology: a.Topology, Services: a.Services, Servers: a.Servers, Follows: a.Follows, End: a.End}
	needed := map[dsv.Name]bool{}
	for i := range p.Clients {
		for _, leaf := range []string{".requests", ".errors", ".latency", ".in_flight"} {
			needed[dsv.Name(p.Clients[i].Name+leaf)] = true
		}
	}
	for i := range p.Services {
		needed[dsv.Name(p.Services[i].Name+".requests")] = true
	}
	for _, o := range p.Objectives() {
		for _, n := range o.Program.Vars() {
			needed[n] = true
		}
	}
	for _, f := range a.Follows {
		for _, n := range f.Expr.Vars() {
			needed[n] = true
		}
	}
	loads, views := p.Loads(), p.Views()
	p.Measures = nil
	for _, m := range plan.Measures {
		_, load := loads[m.Name]
		if _, view := views[m.Name]; needed[m.Name] || load || view {
			p.Measures = append(p.Measures, m)
		}
	}
	return &p
}

// placed returns the plan with services where an option has them at the start, and no server on standby.
func (w *world) placed(o int) *scenario.Plan {
	p := *w.plan
	p.Services = append([]service.Config(nil), p.Services...)
	for i, s := range w.sites {
		p.Services[s.service].On = s.sets[w.options[o].picks[i]]
	}
	p.Servers = append([]scenario.Server(nil), p.Servers...)
	for i := range p.Servers {
		p.Servers[i].Services, p.Servers[i].Standby = p.Services, false
	}
	for i := range p.Clients {
		if i == 0 {
			p.Clients = append(p.Clients[:0:0], p.Clients...)
		}
		p.Clients[i].Services = p.Services
	}
	p.Adapt.Services = p.Services
	return &p
}

// A trial is what one simulation came to.
type trial struct {
	verdicts *verdicts
	bad      int // the first second that was violated and is not excused, by its number since T0; -1: none
	groups   map[string]*groupTotal
	cost     int // requests and calls that were simulated
}

type groupTotal struct {
	requests, errors int64
	latency          dsv.HistSum
}

// run simulates a plan up to an instant, with mappings written by schedule. Where stop is set it ends with the first second that
// is violated and not excused. It changes nothing, so several may run at once.
func (w *world) run(ctx context.Context, plan *scenario.Plan, ws []sim.Write, until dsv.Instant, stop bool) (*trial, error) {
	t := &trial{verdicts: newVerdicts(plan, w.from), bad: -1, groups: map[string]*groupTotal{}}
	t.verdicts.brief = true
	for i := range plan.Clients {
		t.groups[plan.Clients[i].Name] = &groupTotal{}
	}
	taps := map[dsv.Name]func(*dsv.Delta){}
	w.listen(plan, t, taps)
	over := false
	_, err := campaign.Run(ctx, plan, nil, campaign.Hooks{
		Prepare: func(s *sim.Sim) (func() error, error) {
			s.Schedule(ws)
			return nil, nil
		},
		Deltas: func(deltas []dsv.Delta) bool {
			for i := range deltas {
				if tap := taps[deltas[i].Name]; tap != nil {
					tap(&deltas[i])
				}
				t.verdicts.add(&deltas[i])
			}
			return true
		},
		Live: func(at dsv.Instant) bool {
			if at%second == 0 && at/second > dsv.Instant(t.verdicts.first) && at <= w.to && !over {
				k := int(at/second) - 1
				if t.verdicts.look(at) && !w.excused[k] && t.bad < 0 {
					t.bad = k
					over = stop
				}
			}
			over = over || at >= until
			return !over
		},
	})
	t.verdicts.windows = nil // they are many, and trials are kept
	return t, err
}

// listen gathers what groups met within the window, and counts what is simulated.
func (w *world) listen(plan *scenario.Plan, t *trial, taps map[dsv.Name]func(*dsv.Delta)) {
	inside := func(d *dsv.Delta) bool { return d.T1 > w.from && d.T1 <= w.to }
	for i := range plan.Clients {
		g, name := t.groups[plan.Clients[i].Name], plan.Clients[i].Name
		taps[dsv.Name(name+".requests")] = func(d *dsv.Delta) {
			t.cost += int(d.Value.Int)
			if inside(d) {
				g.requests += d.Value.Int
			}
		}
		taps[dsv.Name(name+".errors")] = func(d *dsv.Delta) {
			if inside(d) {
				g.errors += d.Value.Int
			}
		}
		taps[dsv.Name(name+".latency")] = func(d *dsv.Delta) {
			if inside(d) {
				g.latency.Add(d.Value.Hist)
			}
		}
	}
	for i := range plan.Services {
		taps[dsv.Name(plan.Services[i].Name+".requests")] = func(d *dsv.Delta) { t.cost += int(d.Value.Int) }
	}
}

// baseline tells what a trial of the whole window came to.
func (t *trial) baseline() *runs.Baseline {
	var a runs.Adaptation
	t.verdicts.tell(&a)
	b := &runs.Baseline{Violation: a.Violation, Clients: map[string]runs.BaselineGroup{}}
	for name, g := range t.groups {
		d := runs.Distribute(g.latency.Hist())
		b.Clients[name] = runs.BaselineGroup{Requests: g.requests, Errors: g.errors, Mean: d.Mean, P95: d.P95, P99: d.P99}
	}
	return b
}
