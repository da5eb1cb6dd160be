package bench

import (
	"context"
	"fmt"
	"math"
	"slices"

	"github.com/eve-emulation/eve/dsv"
	"github.com/eve-emulation/eve/fase/report"
	"github.com/eve-emulation/eve/fase/runs"
	"github.com/eve-emulation/eve/fase/scenario"
	"github.com/eve-emulation/eve/fase/stat"
	"github.com/eve-emulation/eve/fase/user"
)

// forwarder offers requests of 38 ms to the first of eight servers, which forwards those that have waited for 2.5 s, or does
// not, in virtual time: K5.
type forwarder struct{ cfg Config }

// forwarded is what was found at one rate; of those that were served where they came, and of those that were forwarded, the median
// response time, which is NaN where there is none.
type forwarded struct{ p50, local, onward, most, share, givenUp float64 }

const k5Servers = 8

func (x *forwarder) run(ctx context.Context, r *Report) error {
	rates := pick(x.cfg, []float64{20, 23, 26, 30, 33, 36, 40, 45, 50}, []float64{20, 40})
	x.cfg.say("K5: forwarding to the least loaded, in virtual time")
	var with, without []forwarded
	for _, rate := range rates {
		for _, forwards := range []bool{true, false} {
			f, err := x.try(ctx, rate, forwards)
			if err != nil {
				return err
			}
			if forwards {
				with = append(with, f)
			} else {
				without = append(without, f)
			}
		}
	}
	x.report(r, rates, with, without)
	return nil
}

func (x *forwarder) try(ctx context.Context, rate float64, forwards bool) (f forwarded, err error) {
	first, servers, on := "limit: 1", "", "server_1"
	if forwards {
		first += ", forward: {after: 2.5s, to: least}"
	}
	for i := 2; i <= k5Servers; i++ {
		servers += fmt.Sprintf("  server_%d: {cancel: on-close, admit: {limit: 1}}\n", i)
		on += fmt.Sprintf(", server_%d", i)
	}
	plan, err := scenario.Load("k5.yaml", fmt.Appendf(nil, `eve: 1
name: k5
duration: 60s
seed: 3
requests: |
  request r { call app { cpu 38ms reply 1KiB } }
servers:
  server_1: {cancel: on-close, admit: {%s}}
%sservices:
  app: {on: [%s], balance: first}
clients:
  crowd: {request: r, rate: %g/s, patience: 5s}
`, first, servers, on, rate), scenario.Options{})
	if err != nil {
		return f, err
	}
	t, err := virtual(ctx, plan)
	if err != nil {
		return f, err
	}
	from, to := t.bounds()
	h, err := t.hist("crowd.latency", from, to)
	if err != nil {
		return f, err
	}
	n, err := t.sum("server_1.admit.forwarded", from, to)
	if err != nil {
		return f, err
	}
	gone, err := t.sum("crowd.errors_abandoned", from, to)
	all := float64(h.Count())
	if err != nil {
		return f, err
	}
	local, onward, err := t.places("crowd", "app")
	return forwarded{h.Quantile(0.5), local, onward, h.Max(), n / all, gone / all}, err
}

// places is the median response time of requests that the first server answered, and of those that another one did, in s. In virtual time,
// with links that take none, a request ends at the instant of its answer, by which they are told apart.
func (t trial) places(group, svc string) (local, onward float64, err error) {
	first := map[dsv.Instant]bool{} // by when they were answered: whether by the first server
	if err := runs.Visits(t.h, svc, func(v runs.Visit) error {
		first[v.Done] = v.Server == 0
		return nil
	}); err != nil {
		return 0, 0, err
	}
	var here, there []float64
	err = runs.Requests(t.h, group, func(r user.Record) error {
		took := r.Done.Sub(r.Due).Seconds()
		switch at, answered := first[r.Done]; {
		case !answered:
		case at:
			here = append(here, took)
		default:
			there = append(there, took)
		}
		return nil
	})
	return median(here), median(there), err
}

// median is NaN of nothing.
func median(xs []float64) float64 {
	slices.Sort(xs)
	return stat.Quantile(xs, 0.5)
}

func (x *forwarder) report(r *Report, rates []float64, with, without []forwarded) {
	t := &Table{
		Card: "K5", Title: "requests of 38 ms offered to one of eight servers for 60 s; those that waited for 2.5 s are forwarded",
		Head: "p50", Also: []string{"p50 local", "p50 forwarded", "max", "forwarded", "p50 without", "max without", "given up without"}, Published: "KECho, Fig. 8a",
		Note: "virtual time; response times at the clients, who give up after 5 s; one server can do 26.3 a second, so where the knee is depends on the length",
	}
	for i, rate := range rates {
		w, o := with[i], without[i]
		row := Row{Name: PerSecond.text(rate), Ours: NewFigure(Seconds, w.p50), Also: []Figure{
			NewFigure(Seconds, w.local), NewFigure(Seconds, w.onward), NewFigure(Seconds, w.most), NewFigure(Share, w.share), NewFigure(Seconds, o.p50), NewFigure(Seconds, o.most), NewFigure(Share, o.givenUp),
		}}
		if rate >= 33 {
			row.Published = "local 2.5 s, forwarded slightly above; without 5 s"
		}
		t.Rows = append(t.Rows, row)
	}
	r.Tables = append(r.Tables, t)
	line := func(label string, y func(forwarded) float64, fs []forwarded) report.ChartSeries {
		l := report.ChartSeries{Label: label}
		for i, f := range fs {
			if v := y(f); !math.IsNaN(v) {
				l.Xs, l.Ys = append(l.Xs, rates[i]), append(l.Ys, v)
			}
		}
		return l
	}
	p50 := func(f forwarded) float64 { return f.p50 }
	local := func(f forwarded) float64 { return f.local }
	onward := func(f forwarded) float64 { return f.onward }
	last := len(rates) - 1
	r.Shapes = append(r.Shapes,
		Within("K5", "p50 of those served where they came, "+PerSecond.text(rates[last]), NewFigure(Seconds, with[last].local), 2.3, 2.55),
		Within("K5", "p50 of the forwarded over that, "+PerSecond.text(rates[last]), NewFigure(One, with[last].onward/with[last].local), 1, 1.1),
		Within("K5", "the slowest with forwarding, "+PerSecond.text(rates[last]), NewFigure(Seconds, with[last].most), 2.5, 2.8),
		Within("K5", "p50 without it, "+PerSecond.text(rates[last]), NewFigure(Seconds, without[last].p50), 4.5, 5.05),
		AtMost("K5", "given up with forwarding, "+PerSecond.text(rates[last]), NewFigure(Share, with[last].givenUp), 0))
	r.Charts = append(r.Charts, report.Chart{
		Name: "k5-forwarding", Title: "K5  Load balancing by forwarding: eight servers, one of which is asked",
		Caption: "Median response time against the rate offered to one of eight servers. Without balancing it climbs to the patience of 5 s; with it local requests level at 2.5 s, and forwarded ones slightly above. Published: KECho, Fig. 8a.",
		Panels: []report.ChartPanel{
			{Title: "response time", XLabel: "requests per second", FormatY: Seconds.text, Series: []report.ChartSeries{
				line("without balancing", p50, without),
				line("forwarded requests", onward, with),
				line("local requests", local, with),
				{Label: "published, local", Xs: []float64{33, 50}, Ys: []float64{2.5, 2.5}},
				{Label: "published, without", Xs: []float64{33, 50}, Ys: []float64{5, 5}},
			}},
		},
	})
}
