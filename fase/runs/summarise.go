package runs

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"
	"strings"

	"github.com/eve-emulation/eve/dmm/expr"
	"github.com/eve-emulation/eve/dsv"
	"github.com/eve-emulation/eve/fase/adapt"
	"github.com/eve-emulation/eve/fase/scenario"
	"github.com/eve-emulation/eve/fase/service"
	"github.com/eve-emulation/eve/fase/stat"
)

// Extras are what a summary tells beside the history: what became of the run itself.
type Extras struct {
	Version      string // of Eve
	Kind         Kind   // default Virtual
	Interrupted  bool   // ended early
	NotCertified bool   // a certified result was asked for, and the host was too noisy
	Error        string // what failed; empty when nothing did
	Modules      []Module
	Warnings     []string
}

// lost says whether measurements are missing, because what wrote them did not end in order.
func (x *Extras) lost() bool {
	return x.Error != "" || slices.ContainsFunc(x.Modules, func(m Module) bool { return m.Exit != "" })
}

// Summarise computes the results of a run from its history. Equal plans, histories and extras give equal summaries, and
// those give equal bytes. An incomplete history gives warnings and the results of what there is.
func Summarise(plan *scenario.Plan, h History, x Extras) *Summary {
	t := newTotals(h)
	t.setWindow(plan, x.Interrupted)
	t.virtual = x.Kind != Real
	t.lost = x.lost() || len(Gaps(h)) > 0
	s := &Summary{
		Summary: SummaryVersion, Version: x.Version, Kind: x.Kind, Scenario: plan.Name, About: plan.About, Seed: plan.Seed,
		Interrupted: x.Interrupted, Error: x.Error, Duration: Number(plan.Duration.Seconds()),
		Window:  Interval{From: Number(t.from.Seconds()), To: Number(t.to.Seconds())},
		Clients: map[string]Client{}, Servers: map[string]map[Resource]Resourced{}, Services: map[string]Service{},
		Decisions: []Decision{}, Expect: []Expect{}, Modules: append([]Module{}, x.Modules...),
		Warnings: append([]string{}, x.Warnings...),
	}
	if s.Kind == "" {
		s.Kind = Virtual
	}
	for i := range plan.Clients {
		s.Clients[plan.Clients[i].Name] = t.client(plan, &plan.Clients[i])
	}
	for _, name := range plan.Topology.Servers {
		s.Servers[name] = t.server(name)
	}
	s.Caches = t.caches(plan.Topology.Servers)
	for _, name := range plan.Topology.Services {
		s.Services[name] = t.service(name)
	}
	s.Stations = t.stations(plan)
	s.Processes = t.processes(plan)
	s.Variables = t.variables(plan)
	s.Checks = t.checks(plan, s)
	s.Books = t.bookkeeping(plan, s)
	s.Decisions = append(s.Decisions, t.decisions()...)
	s.Transfers = t.transfers(plan)
	s.Faults = faults(plan)
	s.controllers(plan)
	for _, e := range plan.Expect {
		s.Expect = append(s.Expect, t.expect(e))
	}
	s.warn(plan, t)
	s.Exit = s.ends(x).Exit()
	return s
}

// setWindow finds the measured window: from the end of the warm-up to the end of the run; of an interrupted run, to the
// last that is known of it.
func (t *totals) setWindow(plan *scenario.Plan, interrupted bool) {
	t.from, t.to = dsv.At(plan.Warmup), dsv.At(plan.Duration)
	if !interrupted {
		return
	}
	var ns []dsv.Name
	for _, g := range plan.Clients {
		ns = append(ns, dsv.Name(g.Name+".issued"), dsv.Name(g.Name+".requests"), dsv.Name(g.Name+".in_flight"))
	}
	for _, x := range plan.Topology.Servers {
		ns = append(ns, dsv.Name(x+".in_flight"), dsv.Name(x+".cpu.utilisation"))
	}
	if len(ns) == 0 {
		ns = t.ofModules(plan)
	}
	t.to = min(t.to, t.newest(ns...))
	t.from = min(t.from, t.to)
}

func (t *totals) seconds() float64 { return t.to.Sub(t.from).Seconds() }

// perSecond divides by the length of the measured window; NaN when it is empty.
func (t *totals) perSecond(x float64) Number {
	if t.seconds() <= 0 {
		return Number(math.NaN())
	}
	return Number(x / t.seconds())
}

// Resources are the resources of a server, in the order of reports.
func Resources() []Resource { return []Resource{"cpu", "disk", "memory", "link"} }

func (t *totals) server(name string) map[Resource]Resourced {
	out := map[Resource]Resourced{}
	for _, r := range Resources() {
		v := func(what string) dsv.Name { return dsv.Name(name + "." + string(r) + "." + what) }
		if _, ok := t.declarations[v("utilisation")]; !ok {
			continue
		}
		sum := func(what string) Number { return Number(t.measured(v(what)).Number()) }
		x := Resourced{
			Utilisation: Number(orZero(t.measured(v("utilisation")).Mean())),
			Queue:       Number(orZero(t.measured(v("queue")).Mean())),
			Requested:   sum("requested"), Delivered: sum("delivered"),
			Wait: t.split(v("wait")), Service: t.split(v("service")),
		}
		if _, ok := t.declarations[v("queue")]; !ok { // a target's jobs are not seen, and one elsewhere is not measured
			x.Queue, x.Utilisation = Number(math.NaN()), Number(t.measured(v("utilisation")).Mean())
		}
		if r == "memory" {
			x.RequestedBytes, x.DeliveredBytes = x.Requested, x.Delivered
			x.Requested, x.Delivered = Number(math.NaN()), Number(math.NaN())
		}
		out[r] = x
	}
	return out
}

// orZero is what a mean is of a resource that nobody used.
func orZero(x float64) float64 {
	if math.IsNaN(x) {
		return 0
	}
	return x
}

func (t *totals) service(name string) Service {
	v := func(what string) dsv.Name { return dsv.Name(name + "." + what) }
	return Service{
		Latency: Distribute(t.hist(v("latency"))), Residence: Distribute(t.hist(v("residence"))),
		Wait: t.split(v("wait")), Service: t.split(v("service")),
		Requests: t.count(v("requests")), Errors: t.count(v("errors")), Rejected: t.count(v("rejected")),
	}
}

// decisions reads every step of every decision, by time.
func (t *totals) decisions() []Decision {
	var out []Decision
	if _, ok := t.declarations[adapt.DecisionsName]; !ok {
		return nil
	}
	err := blobs(t.history, adapt.DecisionsName, func(b []byte) error {
		dec := json.NewDecoder(bytes.NewReader(b))
		for {
			var d adapt.Decision
			if err := dec.Decode(&d); errors.Is(err, io.EOF) {
				return nil
			} else if err != nil {
				return fmt.Errorf("a decision is not readable: %w", err)
			}
			out = append(out, Decision{
				Time: Number(d.At.Seconds()), Rule: d.Rule, Action: d.Action, Phase: d.Phase, Cause: d.Cause, When: d.When,
				Reading: numbers(d.Reading),
			})
		}
	})
	if err != nil {
		t.broken[adapt.DecisionsName] = err
	}
	slices.SortStableFunc(out, func(a, b Decision) int {
		switch {
		case a.Time < b.Time:
			return -1
		case a.Time > b.Time:
			return 1
		}
		return 0
	})
	return out
}

func numbers(m map[string]float64) map[string]Number {
	if len(m) == 0 {
		return nil
	}
	out := make(map[string]Number, len(m))
	for k, x := range m {
		out[k] = Number(x)
	}
	return out
}

// expect judges one condition over the measured window.
func (t *totals) expect(e scenario.Expect) Expect {
	out := Expect{Text: e.Text, Verdict: stat.Inconclusive}
	if t.seconds() <= 0 {
		out.Reason = "the run ended in its warm-up"
		return out
	}
	v, err := e.Program.Eval(t)
	out.Readings = numbers(e.Program.Readings(t))
	switch {
	case err != nil:
		out.Reason = err.Error()
	case v.True():
		out.Verdict = stat.Pass
	case v.False():
		out.Verdict = stat.Fail
	default:
		out.Reason = missing(e.Program, t)
	}
	return out
}

func missing(p *expr.Program, r expr.Reader) string {
	if m := p.Missing(r); len(m) > 0 {
		return "no data for " + strings.Join(m, ", ")
	}
	return "the value is not defined"
}

// warn adds what a reader should know before believing the results.
func (s *Summary) warn(plan *scenario.Plan, t *totals) {
	for i := range plan.Clients {
		if g := &plan.Clients[i]; g.Trace != nil && g.Trace.Skipped > 0 {
			s.Warnings = append(s.Warnings, fmt.Sprintf("client %s: %d of %d lines of %s were wrong and are left out, the first in %s",
				g.Name, g.Trace.Skipped, g.Trace.Lines, g.Trace.File, g.Trace.Wrong))
		}
	}
	for _, name := range s.Groups() {
		c := s.Clients[name]
		for _, r := range c.GeneratorReasons {
			s.Warnings = append(s.Warnings, "client "+name+" was limited by its generator: "+r)
		}
		for _, g := range c.Gates {
			if g.Verdict == stat.Fail && g.Gate != GeneratorGate {
				s.Warnings = append(s.Warnings, "client "+name+": "+g.Words)
			}
		}
		if c.ArrivalsOffPlan > 0 {
			s.Warnings = append(s.Warnings, fmt.Sprintf("client %s: %d requests were not as planned", name, c.ArrivalsOffPlan))
		}
	}
	s.Warnings = append(s.Warnings, s.Books.warnings()...)
	s.Warnings = append(s.Warnings, t.warnings...)
	s.Warnings = append(s.Warnings, Incomplete(t.broken)...)
	s.Warnings = append(s.Warnings, Gaps(t.history)...)
}

func (s *Summary) ends(x Extras) Ends {
	e := Ends{Failed: x.Error != "" || s.Error != "", Interrupted: x.Interrupted, NotCertified: x.NotCertified}
	for _, c := range s.Clients {
		e.GeneratorLimited = e.GeneratorLimited || c.GeneratorLimited
		e.BooksBroken = e.BooksBroken || c.failed(BooksGate)
	}
	e.BooksBroken = e.BooksBroken || s.Books.unbalanced()
	for _, x := range s.Expect {
		e.ExpectFailed = e.ExpectFailed || x.Verdict == stat.Fail
	}
	return e
}

// causes are the causes of errors as they stand in names.
func causes() []string {
	var out []string
	for _, c := range service.Causes() {
		out = append(out, c.String())
	}
	return out
}
