package fit

import (
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/eve-emulation/eve/dmm"
	"github.com/eve-emulation/eve/dsv"
	"github.com/eve-emulation/eve/fase/adapt"
	"github.com/eve-emulation/eve/fase/runs"
	"github.com/eve-emulation/eve/fase/scenario"
	"github.com/eve-emulation/eve/fase/service"
)

// A Recording is what one run measured: requests of each class and use of each resource, by cells of one length.
type Recording struct {
	Name      string
	Classes   []Class
	Resources []Resource
	From, To  dsv.Instant
	Warnings  []string

	plan     *scenario.Plan
	acted    bool // rules or controllers did
	cell     time.Duration
	requests [][]float64 // by class and cell, of which the work lies there
	ended    [][]float64 // by class and cell
	use      [][]float64 // by resource and cell; NaN where it was not measured
}

// period is how often variables are synchronised unless a scenario says otherwise.
const period = 100 * time.Millisecond

// Read reads a run in (from, to], which is to leave out its warm-up. name is what the run is called in what is told of it. A class
// that nobody asked, and a resource that nobody used, are not in the Recording. It is ErrNoRequests or ErrNoUse where nothing is.
func Read(name string, h runs.History, plan *scenario.Plan, from, to dsv.Instant) (*Recording, error) {
	r := &Recording{Name: name, plan: plan, cell: period}
	d := reader{history: h, declared: map[dsv.Name]dsv.Declaration{}, r: r}
	for _, x := range h.Declarations() {
		d.declared[x.Name] = x
	}
	sources := classes(plan)
	resources := resources(plan)
	d.length(plan, sources, resources)
	cell := dsv.At(r.cell)
	r.From = (from + cell - 1) / cell * cell
	r.To = max(r.From, to/cell*cell)
	for _, s := range sources {
		if err := d.class(s); err != nil {
			return nil, fmt.Errorf("read %s: %w", name, err)
		}
	}
	if len(r.Classes) == 0 {
		return nil, fmt.Errorf("read %s: %w", name, ErrNoRequests)
	}
	for _, x := range resources {
		if err := d.resource(x); err != nil {
			return nil, fmt.Errorf("read %s: %w", name, err)
		}
	}
	if len(r.Resources) == 0 {
		return nil, fmt.Errorf("read %s: %w", name, ErrNoUse)
	}
	d.moved(plan)
	return r, nil
}

// Plan is the scenario of the run.
func (r *Recording) Plan() *scenario.Plan { return r.plan }

// cells is how many there are.
func (r *Recording) cells() int { return int((r.To - r.From) / dsv.At(r.cell)) }

// A source is a class before it is read: where its requests are counted.
type source struct {
	Class
	sent, done, failed []dsv.Name
}

// classes lists the kinds of requests of a scenario in the order in which its groups name them.
func classes(plan *scenario.Plan) []source {
	var out []source
	add := func(request, of string, sent, done, failed string) {
		i := slices.IndexFunc(out, func(s source) bool { return s.Name == request })
		if i < 0 {
			i = len(out)
			out = append(out, source{Class: Class{Name: request}})
		}
		s := &out[i]
		s.Sources = append(s.Sources, of)
		s.sent, s.done, s.failed = append(s.sent, dsv.Name(sent)), append(s.done, dsv.Name(done)), append(s.failed, dsv.Name(failed))
	}
	for i := range plan.Clients {
		g := &plan.Clients[i]
		switch {
		case g.Sessions != nil:
			for _, p := range g.Sessions.Pages {
				page := g.Name + ".page." + p.Name
				add(p.Request.Name(), g.Name+"."+p.Name, g.Name+".visits."+p.Name, page+".latency", page+".errors")
			}
		case g.Request != nil:
			add(g.Request.Name(), g.Name, g.Name+".issued", g.Name+".requests", g.Name+".errors")
		default: // a trace that says itself what is asked
			add(g.Name, g.Name, g.Name+".issued", g.Name+".requests", g.Name+".errors")
		}
	}
	return out
}

// resources lists what can be fitted: of targets the processors that they keep busy and the bytes that they answered, of emulated
// servers, and of farms as a whole, processors, disks and links.
func resources(plan *scenario.Plan) []Resource {
	var out []Resource
	for _, t := range plan.Targets {
		out = append(out,
			Resource{Name: t.Name + ".cpu", Of: t.Name, Kind: CPU, Unit: "s", Target: true, Capacity: workers(t), vars: []dsv.Name{dsv.Name(t.Name + ".cpu.utilisation")}},
			Resource{Name: t.Name + ".bytes", Of: t.Name, Kind: Bytes, Unit: "B", Target: true, vars: []dsv.Name{service.ReceivedName(t.Name)}})
	}
	farmed := map[int]bool{}
	each := func(name string, servers []int) {
		for _, kind := range []Kind{CPU, Disk, Link} {
			x := Resource{Name: name + "." + string(kind), Of: name, Kind: kind, Unit: "s", servers: servers}
			for _, i := range servers {
				farmed[i] = true
				x.vars = append(x.vars, dsv.Name(plan.Servers[i].Name+"."+string(kind)+".delivered"))
				x.Capacity++
				if m := plan.Servers[i].Machine; kind == CPU {
					x.Capacity += float64(m.CPU.Cores)*service.Speed(m.CPU) - 1
				}
			}
			out = append(out, x)
		}
	}
	for _, f := range plan.Farms {
		each(f.Name, f.Servers)
	}
	for i := range plan.Servers {
		if !farmed[i] {
			each(plan.Servers[i].Name, []int{i})
		}
	}
	return out
}

// workers is how many processors a target can keep busy, where its configuration says: each of its workers is one event loop.
func workers(t scenario.Target) float64 {
	switch t.Kind {
	case "nginx", "lighttpd", "node", "tornado", "eve":
		return float64(max(1, t.Workers))
	}
	return 0
}

// A reader reads a Recording.
type reader struct {
	history  runs.History
	declared map[dsv.Name]dsv.Declaration
	r        *Recording
}

// length makes cells as long as the variable that is synchronised or kept the least often needs.
func (d *reader) length(plan *scenario.Plan, sources []source, resources []Resource) {
	var all []dsv.Name
	for _, s := range sources {
		all = append(all, slices.Concat(s.sent, s.done)...)
	}
	for _, x := range resources {
		all = append(all, x.vars...)
	}
	for _, m := range plan.Measures {
		if slices.Contains(all, m.Name) {
			d.r.cell = max(d.r.cell, m.Sync.Every, d.declared[m.Name].Resolution)
		}
	}
	d.r.cell = (d.r.cell + period - 1) / period * period
}

// series adds up variables by cells; has is how many of them were measured in a cell.
func (d *reader) series(names []dsv.Name) (sum, has []float64, err error) {
	n := d.r.cells()
	sum, has = make([]float64, n), make([]float64, n)
	for _, name := range names {
		decl, ok := d.declared[name]
		if !ok {
			continue
		}
		w := dmm.NewWindow(decl, 0)
		err := d.history.History(name, -1, dsv.Never, func(u dsv.Update) error {
			if u.Delta != nil {
				w.Add(*u.Delta)
			}
			return nil
		})
		if err != nil {
			return nil, nil, err
		}
		level := decl.Merge == dsv.Mean
		for i := range n {
			at := d.r.From + dsv.Instant(i)*dsv.At(d.r.cell)
			t := w.Sum(at, at+dsv.At(d.r.cell))
			switch {
			case level && t.Weight > 0:
				sum[i] += t.Mean() * d.r.cell.Seconds()
				has[i]++
			case level: // nobody told
			case decl.Kind == dsv.Histogram:
				sum[i] += t.Count()
				has[i]++
			default:
				if !t.Empty() {
					sum[i] += t.Number()
				}
				has[i]++
			}
		}
	}
	return sum, has, nil
}

// class reads the requests of a class. One counts half in the cell where it was sent and half in that where it ended: its work lies
// between, and a cell that has only a part of it is as often too full as too empty. The bytes of its answer come when it ends.
func (d *reader) class(s source) error {
	sent, _, err := d.series(s.sent)
	if err != nil {
		return err
	}
	done, _, err := d.series(s.done)
	if err != nil {
		return err
	}
	failed, _, err := d.series(s.failed)
	if err != nil {
		return err
	}
	c := s.Class
	for i := range sent {
		c.Requests, c.Errors = c.Requests+done[i], c.Errors+failed[i]
		sent[i] = (sent[i] + done[i]) / 2
	}
	if c.Requests > 0 {
		d.r.Classes, d.r.requests, d.r.ended = append(d.r.Classes, c), append(d.r.requests, sent), append(d.r.ended, done)
	}
	return nil
}

func (d *reader) resource(x Resource) error {
	sum, has, err := d.series(x.vars)
	if err != nil {
		return err
	}
	used := 0.0
	for i := range sum {
		used += sum[i]
		if has[i] < float64(len(x.vars)) {
			sum[i] = math.NaN()
		}
	}
	if used > 0 {
		d.r.Resources, d.r.use = append(d.r.Resources, x), append(d.r.use, sum)
	}
	return nil
}

// moved warns where services were moved meanwhile: what a class demands of one server has changed with it.
func (d *reader) moved(plan *scenario.Plan) {
	if _, ok := d.declared[adapt.DecisionsName]; !ok || len(plan.Servers) == 0 {
		return
	}
	n := 0
	err := d.history.History(adapt.DecisionsName, -1, d.r.To, func(dsv.Update) error { n++; return nil })
	if err == nil && n > 0 {
		d.r.acted = true
		d.r.Warnings = append(d.r.Warnings, fmt.Sprintf(
			"%s: rules or controllers acted during the run: the demand of a class of one server is not one number; fit a run with --set 'adapt=[]'", d.r.Name))
	}
}
