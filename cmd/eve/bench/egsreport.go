package bench

import (
	"github.com/eve-emulation/eve/fase/report"
)

// time returns what was sampled, over the rounds.
func (x *events) time(what string) Figure {
	s := x.times[what]
	if s == nil {
		return NewFigure(Seconds)
	}
	return s.median()
}

func (x *events) p99(what string) Figure {
	s := x.times[what]
	if s == nil {
		return NewFigure(Seconds)
	}
	return s.quantile(0.99)
}

func (x *events) report(r *Report) {
	x.reportCosts(r)
	x.reportFilters(r)
	x.reportFan(r)
}

// reportCosts is K1 to K3.
func (x *events) reportCosts(r *Report) {
	t := &Table{
		Card: "K1–K3", Title: "events: the cost of the operations, and the way to the handler", Head: "p50", Also: []string{"p99"},
		Peers: []string{"TCP"}, Published: "KECho",
		Note: "KECho from user space is our module process, from its kernel the inside of ours; TCP: half of a bare ping-pong of the same size",
	}
	if x.nats != nil {
		t.Peers = append(t.Peers, fromNATS)
	}
	published := map[string]string{
		at("create", fromModule): "182 µs", at("create", fromKernel): "170 µs",
		at("submit to eight, per sink", fromModule): "95 µs", at("submit to eight, per sink", fromKernel): "85 µs",
		at("poll", fromModule): "40 µs", at("poll", fromKernel): "5 µs",
	}
	names := []string{"create", "submit to one sink", "submit to eight, per sink", "poll", "poll of nothing"}
	for _, size := range eventSizes() {
		names = append(names, delivery(size))
		for _, place := range []string{fromModule, fromKernel} {
			published[at(delivery(size), place)] = "250–300 µs"
		}
	}
	for _, name := range names {
		for _, place := range []string{fromModule, fromKernel} {
			what := at(name, place)
			row := Row{Name: what, Ours: x.time(what), Also: []Figure{x.p99(what)}, Published: published[what], Peers: map[string]Figure{}}
			for peer, from := range map[string]string{"TCP": fromBare, fromNATS: fromNATS} {
				row.Peers[peer] = x.time(at(name, from))
			}
			t.Rows = append(t.Rows, row)
		}
	}
	r.Tables = append(r.Tables, t)
	over := func(name string) Figure { return Ratio(x.time(at(name, fromKernel)), x.time(at(name, fromModule))) }
	r.Shapes = append(r.Shapes,
		AtMost("K1", "create inside the kernel's process over a module's", over("create"), 1),
		AtMost("K2", "submit to eight sinks inside the kernel's process over a module's", over("submit to eight, per sink"), 1.5),
		AtMost("K3", "poll inside the kernel's process over a module's", over("poll"), 1.5))
	for _, size := range eventSizes() {
		what := delivery(size)
		r.Shapes = append(r.Shapes, goal(AtMost("K3", what+" over half a TCP ping-pong", Ratio(x.time(at(what, fromModule)), x.time(at(what, fromBare))), 1.3)))
	}
}

// reportFilters is K4.
func (x *events) reportFilters(r *Report) {
	t := &Table{
		Card: "K4", Title: "filters at the source, eight sinks, 100 B", Head: "handling", Also: []string{"submission", "filter alone"}, Published: "KECho: handling, submission",
		Note: "handling: from the beginning of Submit until the last sink's handler has the event, to none until Submit returns",
	}
	published := map[int]string{8: "950, 430 µs", 1: "312, 156 µs", 0: "200, 56 µs"}
	t.Rows = append(t.Rows, Row{
		Name: filterCase(noFilter, sinkCount), Ours: x.time("handling, " + filterCase(noFilter, sinkCount)),
		Also: []Figure{x.time("submission, " + filterCase(noFilter, sinkCount)), NewFigure(Seconds)},
	})
	for _, kind := range filterKinds() {
		for _, let := range lets() {
			c := filterCase(kind, let)
			t.Rows = append(t.Rows, Row{
				Name: c, Ours: x.time("handling, " + c), Published: published[let],
				Also: []Figure{x.time("submission, " + c), x.time("filter, " + kind)},
			})
		}
	}
	r.Tables = append(r.Tables, t)
	x.reportBurden(r)
	handling := func(kind string, let int) Figure { return x.time("handling, " + filterCase(kind, let)) }
	for _, kind := range filterKinds() {
		r.Shapes = append(r.Shapes,
			AtMost("K4", kind+" filter: handling, to one sink over to eight", Ratio(handling(kind, 1), handling(kind, 8)), 0.8),
			AtMost("K4", kind+" filter: handling, to none over to one", Ratio(handling(kind, 0), handling(kind, 1)), 0.8))
	}
	r.Shapes = append(r.Shapes, Always("K4", "a blocked event arrives nowhere", x.leaks, x.blocked))
	for i, most := range []float64{100e-9, 1e-6, 3e-6} {
		kind := filterKinds()[i]
		r.Shapes = append(r.Shapes, goal(AtMost("K4", kind+" filter alone", x.time("filter, "+kind), most)))
	}
	r.Charts = append(r.Charts, x.filterChart())
}

// reportBurden is what a filter costs and saves.
func (x *events) reportBurden(r *Report) {
	t := &Table{
		Card: "K4", Title: "CPU time of all processes for one event of 100 B", Head: "p50", Also: []string{"over no filter"}, Published: "KECho",
		Note: "source, sinks and kernel together; events one by one, a millisecond apart",
	}
	bare := x.time("CPU, " + noFilter)
	t.Rows = append(t.Rows, Row{Name: filterCase(noFilter, sinkCount), Ours: bare})
	for _, kind := range filterKinds() {
		f := x.time("CPU, " + kind)
		t.Rows = append(t.Rows, Row{Name: filterCase(kind, sinkCount-1), Ours: f, Also: []Figure{Ratio(f, bare)}, Published: "pays for itself"})
		r.Shapes = append(r.Shapes, AtMost("K4", kind+" filter that blocks one of eight: CPU time over no filter", Ratio(f, bare), 1))
	}
	r.Tables = append(r.Tables, t)
}

func (x *events) filterChart() report.Chart {
	panel := func(what string) report.ChartPanel {
		p := report.ChartPanel{Title: what + ", p50", FormatY: Seconds.text, LogY: true}
		for _, let := range lets() {
			p.Groups = append(p.Groups, toSinks(let))
		}
		for _, kind := range append([]string{noFilter}, filterKinds()...) {
			s := report.ChartSeries{Label: kind}
			for _, let := range lets() {
				s.Ys = append(s.Ys, float64(x.time(what+", "+filterCase(kind, let)).Value))
			}
			p.Series = append(p.Series, s)
		}
		return p
	}
	return report.Chart{
		Name: "k4-filters", Title: "K4  Filters at the source, eight sinks",
		Caption: "What a filter blocks is neither sent nor handled.",
		Panels:  []report.ChartPanel{panel("handling"), panel("submission")},
	}
}

// reportFan is the fan-out, and the chart of all deliveries.
func (x *events) reportFan(r *Report) {
	t := &Table{Card: "speed", Title: "fan-out of 100 B to eight sinks in processes of their own", Head: "eve", Note: "CPU: of the source's process, of all sinks, and of the kernel or server"}
	if x.nats != nil {
		t.Peers = []string{fromNATS}
	}
	fig := func(system string, pick func(*fanned) []float64) Figure {
		if x.fan[system] == nil {
			return NewFigure(PerSecond)
		}
		return NewFigure(PerSecond, pick(x.fan[system])...)
	}
	rate, perCPU := func(f *fanned) []float64 { return f.rate }, func(f *fanned) []float64 { return f.perCPU }
	for _, row := range []struct {
		name string
		pick func(*fanned) []float64
	}{{"deliveries", rate}, {"deliveries for each CPU second of all processes", perCPU}} {
		t.Rows = append(t.Rows, Row{Name: row.name, Ours: fig(ours, row.pick), Peers: map[string]Figure{fromNATS: fig(fromNATS, row.pick)}})
	}
	r.Tables = append(r.Tables, t)
	r.Shapes = append(r.Shapes, Always("speed", "every event of the fan-out comes to every sink", x.fan[ours].lost, x.fan[ours].sent))
	if x.nats != nil {
		r.Shapes = append(r.Shapes, goal(AtLeast("speed", "fan-out for each CPU second of all processes, over NATS", Ratio(fig(ours, perCPU), fig(fromNATS, perCPU)), 1)))
	}
	p := report.ChartPanel{Title: "submit to handler, p50", FormatY: Seconds.text}
	for _, size := range eventSizes() {
		p.Groups = append(p.Groups, delivery(size))
	}
	for _, s := range []struct{ label, place string }{
		{"from a module process", fromModule}, {"from the kernel's process", fromKernel}, {"half a TCP ping-pong", fromBare}, {"NATS", fromNATS},
	} {
		if s.place == fromNATS && x.nats == nil {
			continue
		}
		line := report.ChartSeries{Label: s.label}
		for _, size := range eventSizes() {
			line.Ys = append(line.Ys, float64(x.time(at(delivery(size), s.place)).Value))
		}
		p.Series = append(p.Series, line)
	}
	r.Charts = append(r.Charts, report.Chart{
		Name: "k3-delivery", Title: "K3  The way of an event to its handler",
		Caption: "From Submit in one process until the handler in another has the event, each once the one before was answered.",
		Panels:  []report.ChartPanel{p},
	})
}
