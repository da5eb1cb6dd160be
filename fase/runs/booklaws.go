package runs

import (
	"cmp"
	"fmt"
	"math"
	"slices"

	"github.com/eve-emulation/eve/dsv"
	"github.com/eve-emulation/eve/fase/machine"
	"github.com/eve-emulation/eve/fase/scenario"
	"github.com/eve-emulation/eve/fase/stat"
	"github.com/eve-emulation/eve/fase/user"
)

// A LogLaw is Little's law of a group: the time that all its requests took is the integral of their number. Log is that integral, swept
// over the records of single requests; Meter the one that the group kept while it ran, without what the unfinished ones took.
type LogLaw struct {
	Of       string       `json:"of"`
	Requests int64        `json:"requests"`
	Taken    Number       `json:"taken_seconds"` // sum of response times
	Log      Number       `json:"log_seconds"`   // null: not every request was recorded
	Meter    Number       `json:"meter_seconds"` // null: the group did not end in order
	Error    Number       `json:"error"`         // the greatest difference, as a share
	Verdict  stat.Verdict `json:"verdict"`
	Words    string       `json:"words,omitempty"`
}

// A BusyLaw is the utilisation law of a server's CPU: it was busy for as long as the demands of the executions that ended, and for no
// longer than all that was asked of it.
type BusyLaw struct {
	Of         string       `json:"of"`
	Executions int64        `json:"executions"`
	Busy       Number       `json:"busy_seconds"`   // utilisation × cores, over the run
	Served     Number       `json:"served_seconds"` // demands of executions that ended, less what was withdrawn of them, ÷ speed
	Asked      Number       `json:"asked_seconds"`  // demands that were asked of the CPU and not withdrawn ÷ speed
	Error      Number       `json:"error"`          // by how much busy is outside the two, as a share of served
	Verdict    stat.Verdict `json:"verdict"`
	Words      string       `json:"words,omitempty"`
}

// allTold reports whether every part of a group told what it counted; in virtual time there is one.
func (t *totals) allTold(g *user.Config, l *ledgers) bool {
	parts := max(g.Parts, 1)
	if t.virtual {
		parts = 1
	}
	return l.parts[g.Name] == parts
}

// logLaw is Little's law of a group; false where nothing ended.
func (t *totals) logLaw(g *user.Config, l *ledgers) (LogLaw, bool) {
	v := func(what string) dsv.Name { return dsv.Name(g.Name + "." + what) }
	h := t.whole(v("latency")).Value.Hist
	nan := Number(math.NaN())
	x := LogLaw{Of: g.Name, Requests: int64(h.Count()), Taken: Number(h.Sum()), Log: nan, Meter: nan, Verdict: stat.Inconclusive}
	if x.Requests == 0 {
		return x, false
	}
	differ := func(y float64) { x.Error = max(x.Error, Number(math.Abs(y-h.Sum())/math.Max(h.Sum(), 1e-9))) }
	log, n := swept(t.records(g.Name))
	if n == x.Requests {
		x.Log = Number(log)
		differ(log)
	}
	if found := l.groups[g.Name]; found != nil && t.allTold(g, l) && !t.lost && !forks(g) {
		area, _ := t.whole(v("in_flight")).Value.Number()
		x.Meter = Number(area - found.Age)
		differ(area - found.Age)
	}
	x.Error = beyondRounding(x.Error)
	switch {
	case n != x.Requests && math.IsNaN(float64(x.Meter)):
		x.Words = fmt.Sprintf("%d of %d requests were recorded", n, x.Requests)
	case float64(x.Error) <= MaxLittleError:
		x.Verdict = stat.Pass
	case t.lost:
		x.Words = "measurements are missing"
	default:
		x.Verdict, x.Words = stat.Fail, fmt.Sprintf("requests took %.9g s in all, where the integral of their number is %.9g s by the log and %.9g s by the meter",
			h.Sum(), float64(x.Log), float64(x.Meter))
	}
	return x, true
}

// beyondRounding is an error that sums of floating point do not explain: those depend on how a history was cut into pieces.
func beyondRounding(x Number) Number {
	if x < 1e-12 {
		return 0
	}
	return x
}

// forks reports whether a group's requests leave something under way when they end.
func forks(g *user.Config) bool {
	for _, b := range g.Requests() {
		if b != nil && b.Forks() {
			return true
		}
	}
	return false
}

// swept is the integral of the number of requests in flight over a log that begins and ends with none, in request-seconds, and how many
// there are. It is exact to the nanosecond.
func swept(rs []user.Record) (integral float64, n int64) {
	type event struct {
		at  dsv.Instant
		by  int64
		end bool
	}
	events := make([]event, 0, 2*len(rs))
	for _, r := range rs {
		events = append(events, event{at: r.Due, by: 1}, event{at: r.Done, by: -1, end: true})
	}
	slices.SortFunc(events, func(a, b event) int { return cmp.Compare(a.at, b.at) })
	var area, present int64
	var last dsv.Instant
	for _, e := range events {
		area += present * int64(e.at-last)
		present, last = present+e.by, e.at
	}
	return float64(area) / 1e9, int64(len(rs))
}

// busyLaws are the utilisation laws of the CPUs that were used.
func (t *totals) busyLaws(plan *scenario.Plan, l *ledgers) []BusyLaw {
	out := []BusyLaw{}
	served, executions, whole := t.demands(plan)
	for i := range plan.Servers {
		h := &plan.Servers[i]
		busy, _ := t.whole(dsv.Name(h.Name + ".cpu.utilisation")).Value.Number()
		asked := t.whole(dsv.Name(h.Name+".cpu.requested")).Number() - l.spared[h.Name]
		if slowed(h) { // what it delivered tells how long that would have taken at its own speed
			busy = t.whole(dsv.Name(h.Name+".cpu.delivered")).Number() / cpuCapacity(h)
		}
		speed := cpuCapacity(h) / float64(max(1, h.Machine.CPU.Cores))
		x := BusyLaw{
			Of: h.Name + ".cpu", Executions: executions[i], Busy: Number(busy * float64(max(1, h.Machine.CPU.Cores))),
			Served: Number(served[i] / speed), Asked: Number(asked / speed), Verdict: stat.Inconclusive,
		}
		if x.Served <= 0 {
			continue
		}
		out = append(out, x.judged(whole && l.told[h.Name] && !t.lost, h.Machine.Run == machine.Burn))
	}
	return out
}

// judged holds the busy time between what was served and what was asked. known says that both are known. What is burned may take longer
// than the CPU time that it is, which tells of the host.
func (x BusyLaw) judged(known, burns bool) BusyLaw {
	slack := MaxBusyError * x.Served
	if x.Served < Number(x.Executions)*1e-3 {
		slack = max(slack, Number(x.Executions)*MaxBusyEach)
	}
	off := max(x.Served-x.Busy, x.Busy-max(x.Asked, x.Served), 0)
	x.Error = beyondRounding(off / x.Served)
	switch {
	case !known && math.Abs(float64(x.Busy-x.Asked)) <= MaxBusyError*float64(x.Asked):
		x.Error, x.Verdict = beyondRounding(Number(math.Abs(float64(x.Busy-x.Asked)))/x.Asked), stat.Pass // nearly all that was asked had been served
	case !known:
		x.Words = "not every execution was recorded"
	case off <= slack:
		x.Verdict = stat.Pass
	case burns && x.Busy > x.Served:
		x.Words = "what was burned took longer than the CPU time that it is"
	default:
		x.Verdict = stat.Fail
		x.Words = fmt.Sprintf("busy for %.6g s, where executions that ended asked for %.6g s and all for %.6g s", float64(x.Busy), float64(x.Served), float64(x.Asked))
	}
	return x
}

// demands adds up the CPU demands of the executions that ended, by server; whole is whether each was recorded.
func (t *totals) demands(plan *scenario.Plan) (seconds []float64, executions []int64, whole bool) {
	seconds, executions, whole = make([]float64, len(plan.Topology.Servers)), make([]int64, len(plan.Topology.Servers)), true
	for _, svc := range plan.Topology.Services {
		n := RecordsName(svc)
		if _, ok := t.declarations[n]; !ok {
			continue
		}
		err := Visits(t.history, svc, func(v Visit) error {
			if v.Server < len(seconds) {
				seconds[v.Server] += v.CPU.Seconds()
				executions[v.Server]++
			}
			return nil
		})
		if err != nil {
			t.broken[n] = err
		}
	}
	for i := range plan.Servers {
		if s := plan.Servers[i].RecordShare; s > 0 && s < 1 {
			whole = false
		}
	}
	return seconds, executions, whole
}
