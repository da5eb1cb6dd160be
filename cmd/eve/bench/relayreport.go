package bench

import (
	"github.com/eve-emulation/eve/fase/report"
)

// What was published of relatives: TCP splice halved the CPU of a proxy for large flows, and in a test of 2019 a small burst took
// 220 µs by copies, 258 µs by splice and 263 µs by sockmap. The shapes claim that much: half of the cost, and no gain.
const (
	publishedSplice = "splice halves a proxy's cost"
	publishedBurst  = "258 against 220 µs"
	publishedHalf   = 0.5
)

func (x *relays) way(name string) *passage {
	for _, w := range x.ways {
		if w.name == name {
			return w
		}
	}
	return nil
}

func (x *relays) report(r *Report) {
	r.Tables = append(r.Tables, x.costs(), x.delays(), x.connectionTable())
	last := len(x.sizes) - 1
	perGB := func(name string, i int) Figure { return NewFigure(Seconds, x.way(name).sizes[i].perGB...) }
	rate := func(name string, i int) Figure { return NewFigure(Bytes, x.way(name).sizes[i].rate...) }
	p50 := func(name string, i int) Figure { return NewFigure(Seconds, x.way(name).sizes[i].p50...) }
	big, small := report.Size(float64(x.sizes[last])), report.Size(float64(x.sizes[0]))
	r.Shapes = append(r.Shapes,
		Always("UN", "streams that did not come out as they should", x.garbled, x.checked),
		Always("UN", "relays that met errors, or counted other than what passed", x.wrongCounts, x.counted),
		AtMost("UN", "CPU per GB of splice over copy, "+big, Ratio(perGB(waySplice, last), perGB(wayCopy, last)), publishedHalf),
		AtLeast("UN", "p50 under way of splice over copy, "+small, Ratio(p50(waySplice, 0), p50(wayCopy, 0)), 1),
		goal(AtLeast("UN", "throughput of splice over copy, "+big, Ratio(rate(waySplice, last), rate(wayCopy, last)), 1)),
		goal(AtMost("UN", "CPU per GB of inspecting over copy, "+big, Ratio(perGB(wayInspect, last), perGB(wayCopy, last)), 3)),
		goal(AtMost("UN", "CPU per GB of transforming over copy, "+big, Ratio(perGB(wayTransform, last), perGB(wayCopy, last)), 4)),
		goal(AtMost("UN", "p50 under way of inspecting over copy, "+small, Ratio(p50(wayInspect, 0), p50(wayCopy, 0)), 1.25)),
	)
	if x.way(wayNginx) != nil {
		r.Shapes = append(r.Shapes,
			goal(AtMost("UN", "CPU per GB of copy over nginx, "+big, Ratio(perGB(wayCopy, last), perGB(wayNginx, last)), 1)),
			goal(AtMost("UN", "p50 under way of copy over nginx, "+small, Ratio(p50(wayCopy, 0), p50(wayNginx, 0)), 1)),
		)
	}
	r.Charts = append(r.Charts, x.chart())
}

// costs is throughput and CPU.
func (x *relays) costs() *Table {
	t := &Table{
		Card: "UN", Title: "a relay between source and sink: one connection, as fast as it goes", Head: "CPU s per GB",
		Also: []string{"bytes per second", "of direct"}, Published: "relatives",
		Note: "CPU of the relay's process, user and system; the relay has a processor, source and sink the other. inspect counts HTTP heads, transform makes capitals, both in WebAssembly; direct has no relay. " +
			"Where source and sink are what limits, throughput is theirs.",
	}
	for i, size := range x.sizes {
		for _, w := range x.ways {
			c := w.sizes[i]
			rate := NewFigure(Bytes, c.rate...)
			row := Row{
				Name: report.Size(float64(size)) + ", " + w.name, Ours: NewFigure(Seconds, c.perGB...),
				Also: []Figure{rate, Ratio(rate, NewFigure(Bytes, x.way(wayDirect).sizes[i].rate...))},
			}
			if w.name == waySplice && i == len(x.sizes)-1 {
				row.Published = publishedSplice
			}
			t.Rows = append(t.Rows, row)
		}
	}
	return t
}

// delays is latency and jitter.
func (x *relays) delays() *Table {
	t := &Table{
		Card: "UN", Title: "one message at a time, at an even pace: from the source's write to the sink's last byte", Head: "p50",
		Also: []string{"p99", "jitter", "p50 more than direct"}, Published: "relatives",
		Note: "p99 and jitter are medians over the rounds; jitter is the mean difference between messages that follow each other",
	}
	for i, size := range x.sizes {
		for _, w := range x.ways {
			c, direct := w.sizes[i], x.way(wayDirect).sizes[i]
			more := make([]float64, len(c.p50))
			for k := range more {
				more[k] = c.p50[k] - direct.p50[k]
			}
			row := Row{
				Name: report.Size(float64(size)) + ", " + w.name, Ours: NewFigure(Seconds, c.p50...),
				Also: []Figure{NewFigure(Seconds, c.p99...), NewFigure(Seconds, c.jitter...), NewFigure(Seconds, more...)},
			}
			if w.name == waySplice && i == 0 {
				row.Published = publishedBurst
			}
			t.Rows = append(t.Rows, row)
		}
	}
	return t
}

func (x *relays) connectionTable() *Table {
	t := &Table{
		Card: "UN", Title: "what a connection costs a relay", Head: "CPU to open", Also: []string{"memory while idle"},
		Note: "memory of the process, without the kernel's sockets; an extension has an instance for each direction, with memory of its own",
	}
	for _, w := range x.ways {
		if w.carrier.pid != 0 {
			t.Rows = append(t.Rows, Row{
				Name: w.name, Ours: NewFigure(Seconds, w.conn.cpu...), Also: []Figure{NewFigure(Bytes, w.conn.memory...)},
			})
		}
	}
	return t
}

// decimal writes a number of bytes that is a power of ten.
func decimal(x float64) string {
	switch {
	case x >= 1e6:
		return One.text(x/1e6) + " MB"
	case x >= 1e3:
		return One.text(x/1e3) + " kB"
	}
	return One.text(x) + " B"
}

// chart draws CPU per GB and the time under way over the size of messages.
func (x *relays) chart() report.Chart {
	cpu := report.ChartPanel{Title: "CPU s of the relay per GB", XLabel: "message", LogX: true, LogY: true, FormatX: decimal, FormatY: Seconds.text}
	delay := report.ChartPanel{Title: "under way, p50", XLabel: "message", LogX: true, LogY: true, FormatX: decimal, FormatY: Seconds.text}
	for _, w := range x.ways {
		c, d := report.ChartSeries{Label: w.name}, report.ChartSeries{Label: w.name}
		for i, size := range x.sizes {
			c.Xs, d.Xs = append(c.Xs, float64(size)), append(d.Xs, float64(size))
			c.Ys = append(c.Ys, float64(NewFigure(Seconds, w.sizes[i].perGB...).Value))
			d.Ys = append(d.Ys, float64(NewFigure(Seconds, w.sizes[i].p50...).Value))
		}
		if w.carrier.pid != 0 {
			cpu.Series = append(cpu.Series, c)
		}
		delay.Series = append(delay.Series, d)
	}
	return report.Chart{
		Name: "un-relay", Title: "UN  A relay by copy, splice and WebAssembly",
		Caption: "Splice spends least where messages are large, and nothing is gained where they are small; an extension pays for each byte that it looks at.",
		Panels:  []report.ChartPanel{cpu, delay},
	}
}
