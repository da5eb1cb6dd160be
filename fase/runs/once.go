package runs

import (
	"fmt"
	"slices"

	"github.com/eve-emulation/eve/fase/scenario"
	"github.com/eve-emulation/eve/fase/service"
	"github.com/eve-emulation/eve/fase/stat"
	"github.com/eve-emulation/eve/fase/user"
	"github.com/eve-emulation/eve/rdr"
)

// An OnceLaw says that nothing is lost or done twice, whatever moves meanwhile: each call of a request that ended well was executed
// once, by the keys of single requests at the clients and of single executions at the servers; and no call was executed twice.
// It looks at the calls of requests that try, time out and fork nothing themselves.
type OnceLaw struct {
	Of       string       `json:"of"`       // the service
	Calls    int64        `json:"calls"`    // that requests made which ended well
	Executed int64        `json:"executed"` // executions that were recorded, those of requests that failed included
	Lost     int64        `json:"lost"`     // calls without an execution
	Twice    int64        `json:"twice"`    // executions beyond the first of a call
	Verdict  stat.Verdict `json:"verdict"`
	Words    string       `json:"words,omitempty"`
}

// onceLaws are those of the services that such groups call themselves, in the order of the plan.
func (t *totals) onceLaws(plan *scenario.Plan, s *Summary, l *ledgers) []OnceLaw {
	out := []OnceLaw{}
	calls := make([][]rdr.Key, len(plan.Services))
	whole := make([]bool, len(plan.Services))
	called := make([]bool, len(plan.Services))
	for i := range whole {
		whole[i] = true
	}
	for i := range plan.Clients {
		g := &plan.Clients[i]
		c := s.Clients[g.Name]
		t.callsOf(plan, g, c.begun(), calls, called, whole)
	}
	for svc := range len(plan.Services) - len(plan.Targets) {
		if called[svc] {
			out = append(out, t.onceLaw(plan, l, svc, calls[svc], whole[svc], s.resent(l, plan.Topology.Services[svc])))
		}
	}
	return out
}

// callsOf adds the keys of the calls of a group's requests that ended well, by service.
func (t *totals) callsOf(plan *scenario.Plan, g *user.Config, begun int64, calls [][]rdr.Key, called, whole []bool) {
	known := (g.RecordShare <= 0 || g.RecordShare >= 1) && g.Retry == (user.Config{}).Retry && (g.Sessions == nil || !t.mixWasSet(g))
	for _, b := range g.Requests() {
		if b == nil || !b.Certain() {
			continue
		}
		for _, name := range b.Services() {
			if svc := plan.Topology.Service(name); svc >= 0 {
				called[svc], whole[svc] = true, whole[svc] && known
			}
		}
	}
	if !known {
		return
	}
	records := t.records(g.Name)
	for i, b := range g.Asked(records, begun) {
		if b == nil || !b.Certain() || records[i].Cause != service.OK {
			continue
		}
		b.Draw(records[i].Key, "", func(d *rdr.Demand) {
			if svc := plan.Topology.Service(d.Name); d.Op == rdr.OpCall && svc >= 0 {
				calls[svc] = append(calls[svc], d.Key)
			}
		})
	}
}

// onceLaw compares calls with executions.
func (t *totals) onceLaw(plan *scenario.Plan, l *ledgers, svc int, calls []rdr.Key, whole bool, resent int64) OnceLaw {
	name := plan.Topology.Services[svc]
	x := OnceLaw{Of: name, Calls: int64(len(calls)), Verdict: stat.Pass}
	for i := range plan.Servers {
		s := plan.Servers[i].RecordShare
		whole = whole && (s <= 0 || s >= 1)
	}
	var done []rdr.Key
	if _, ok := t.declarations[RecordsName(name)]; ok {
		err := Visits(t.history, name, func(v Visit) error {
			done = append(done, rdr.Key(v.Key))
			return nil
		})
		if err != nil {
			t.broken[RecordsName(name)] = err
		}
	}
	x.Executed = int64(len(done))
	x.Lost, x.Twice = compareKeys(calls, done)
	var under int64 // executions whose records were still to come
	for _, s := range l.served[name] {
		under += s.InFlight
	}
	switch {
	case !whole:
		x.Lost, x.Verdict, x.Words = 0, stat.Inconclusive, "not every request was recorded, or some were tried again"
	case t.lost:
		x.Verdict, x.Words = stat.Inconclusive, "measurements are missing"
	case x.Twice > 0 && x.Twice <= resent:
		x.Verdict, x.Words = stat.Inconclusive, fmt.Sprintf("%d calls were executed more than once, where connections sent %d again", x.Twice, resent)
	case x.Twice > 0:
		x.Verdict, x.Words = stat.Fail, fmt.Sprintf("%d calls were executed more than once", x.Twice)
	case x.Lost > under:
		x.Verdict, x.Words = stat.Fail, fmt.Sprintf("%d calls of requests that ended well were executed by nobody", x.Lost)
	}
	return x
}

// resent is how many messages to a service the generators' connections may have sent twice.
func (s *Summary) resent(l *ledgers, name string) int64 {
	n := int64(0)
	for k := range l.edges {
		if g := s.Clients[k[0]].Generator; k[1] == name && g != nil {
			n += int64(g.Retried)
		}
	}
	return n
}

// compareKeys counts the calls that are not among the executions, and the executions beyond the first of a key. It sorts both.
func compareKeys(calls, done []rdr.Key) (lost, twice int64) {
	slices.Sort(calls)
	slices.Sort(done)
	i := 0
	for k := range done {
		if k > 0 && done[k] == done[k-1] {
			twice++
		}
	}
	for _, c := range calls {
		for i < len(done) && done[i] < c {
			i++
		}
		if i == len(done) || done[i] != c {
			lost++
		}
	}
	return lost, twice
}
