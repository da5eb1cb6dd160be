package runs

import (
	"cmp"
	"math"
	"slices"

	"github.com/eve-emulation/eve/dsv"
	"github.com/eve-emulation/eve/fase/scenario"
	"github.com/eve-emulation/eve/fase/service"
)

// A Transfer is one copy of a service from one server to another, of a move, a replication or of scaling.
type Transfer struct {
	Service   string `json:"service"`
	From      string `json:"from,omitempty"` // empty: nobody held it, and nothing was copied
	To        string `json:"to"`
	SizeBytes int64  `json:"size_bytes"`
	Began     Number `json:"began"`    // s: the mapping with the copy came into force, or the copy before it on the same link had left
	Left      Number `json:"left"`     // s: its last byte left the source; null: it never did
	Serving   Number `json:"serving"`  // s: the target served; null: the copy was given up, or the run ended
	Took      Number `json:"took"`     // s: from began to left
	AtLink    Number `json:"at_link"`  // s: size ÷ rate of the source's link; null where it has no rate
	Downtime  Number `json:"downtime"` // s for which nobody served: of a move that stops the service
}

// transfers lists the copies of all services, in the order in which they began.
func (t *totals) transfers(plan *scenario.Plan) []Transfer {
	var out []Transfer
	for svc := range len(plan.Services) - len(plan.Targets) {
		out = append(out, t.transfersOf(plan, svc)...)
	}
	slices.SortStableFunc(out, func(a, b Transfer) int { return cmp.Compare(a.Began, b.Began) })
	return out
}

// copying is a transfer whose end has not come.
type copying struct {
	Transfer
	since uint32
	down  bool
}

func (t *totals) transfersOf(plan *scenario.Plan, svc int) []Transfer {
	name, nan := plan.Topology.Services[svc], Number(math.NaN())
	var open []copying
	var out []Transfer
	free := map[string]Number{} // when a source's former copy had left
	end := func(c copying, serving, at Number) {
		c.Serving = serving
		if c.down {
			c.Downtime = at - c.Began
		}
		if c.Left = t.left(c.From, name, c.since, at); c.Left == c.Left {
			c.Began = max(c.Began, free[c.From])
			c.Took, free[c.From] = c.Left-c.Began, c.Left
		}
		out = append(out, c.Transfer)
	}
	for _, m := range t.mappings(name) {
		at := Number(m.At.Seconds())
		open = slices.DeleteFunc(open, func(c copying) bool {
			i := slices.IndexFunc(m.Replicas, func(r service.Replica) bool { return r.Server == c.To })
			switch {
			case i >= 0 && m.Replicas[i].State == service.Copying && m.Since(i) == c.since:
				return false
			case i >= 0 && m.Replicas[i].State == service.Serving:
				end(c, at, at)
			default:
				end(c, nan, at)
			}
			return true
		})
		source := slices.IndexFunc(m.Replicas, func(r service.Replica) bool { return r.State == service.Serving || r.State == service.Stopped })
		for i, r := range m.Replicas {
			since := m.Since(i)
			if r.State != service.Copying || slices.ContainsFunc(open, func(c copying) bool { return c.To == r.Server }) {
				continue
			}
			c := copying{since: since, Transfer: Transfer{Service: name, To: r.Server, Began: at, Took: nan, AtLink: nan}}
			from := source
			if i := slices.IndexFunc(m.Replicas, func(x service.Replica) bool { return x.Server == r.Source }); i >= 0 {
				from = i
			}
			if from >= 0 {
				c.From, c.SizeBytes = m.Replicas[from].Server, int64(plan.Services[svc].Size)
				c.down = m.Replicas[from].State == service.Stopped
				if x := plan.Topology.Server(c.From); x >= 0 && x < len(plan.Servers) && plan.Servers[x].Machine.Link.Rate > 0 {
					c.AtLink = Number(float64(c.SizeBytes) * 8 / float64(plan.Servers[x].Machine.Link.Rate))
				}
			}
			open = append(open, c)
		}
	}
	for _, c := range open {
		c.down = false
		end(c, nan, Number(math.Inf(1)))
	}
	return out
}

// mappings are those of a service, in the order in which they came into force.
func (t *totals) mappings(name string) []service.Mapping {
	n := service.MapName(name)
	if _, ok := t.declarations[n]; !ok {
		return nil
	}
	var ms []service.Mapping
	err := t.history.History(n, -1, dsv.Never, func(u dsv.Update) error {
		v := u.Reading.Value
		if u.Delta != nil {
			v = u.Delta.Value
		}
		if m, err := service.ParseMapping(v.Text); err == nil {
			ms = append(ms, m)
		}
		return nil
	})
	if err != nil {
		t.broken[n] = err
	}
	slices.SortStableFunc(ms, func(a, b service.Mapping) int { return cmp.Compare(a.Epoch, b.Epoch) })
	return ms
}

// left is when the copy of an epoch had left its source, in s; NaN where it had not by the instant at which it was over: what a source tells
// later is of other copies.
func (t *totals) left(source, name string, since uint32, over Number) Number {
	n := service.CopiedName(source, name)
	at := math.NaN()
	if _, ok := t.declarations[n]; source == "" || !ok {
		return Number(at)
	}
	err := t.history.History(n, -1, dsv.Never, func(u dsv.Update) error {
		v, when := u.Reading.Value, u.Reading.T1
		if u.Delta != nil {
			v, when = u.Delta.Value, u.Delta.T1
		}
		if x, ok := v.Number(); ok && x >= float64(since) && math.IsNaN(at) && when.Seconds() <= float64(over) {
			at = when.Seconds()
		}
		return nil
	})
	if err != nil {
		t.broken[n] = err
	}
	return Number(at)
}
