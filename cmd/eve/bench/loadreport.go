package bench

import (
	"fmt"
	"math"
	"strings"
	"time"

	"github.com/eve-emulation/eve/fase/report"
)

// knownLoad is what a load generator took for a request when the goals were set, in a run of its own: absolute times are of that machine.
var knownLoad = map[string]string{
	ours: "goal: 1.1 × wrk", wrkPeer: "11.3 µs", fortioPeer: "12.4 µs", vegetaPeer: "55 µs",
}

func (x *gallop) reportClosed(r *Report, all []*runner, w *web) {
	t := &Table{
		Card: loadCard, Title: fmt.Sprintf("%d connections that are never idle, the clients on one processor, the server (%s) on another", connectionsClosed, w.name),
		Head: "CPU/request", Also: []string{"per CPU second", "eve ÷ it", "requests/s", "of its processor", "of the server's", "p50", "p99"},
		Published: "before",
		Note: "CPU time of the whole process of a load generator; eve ÷ it: requests for a CPU second of the client, eve over it, round by round; where a generator leaves its processor idle " +
			"the server was the limit of its requests/s; before: when the goals were set",
	}
	panel := report.ChartPanel{Title: "1000 requests per CPU second of the client", FormatY: func(y float64) string { return report.Count(math.Round(y)) }}
	bars := report.ChartSeries{Label: fmt.Sprintf("%d connections, never idle", connectionsClosed)}
	for _, c := range all {
		perCPU := NewFigure(PerSecond, c.perCPU...)
		t.Rows = append(t.Rows, Row{Name: c.label(), Ours: NewFigure(Seconds, c.perRequest...), Also: []Figure{
			perCPU, against(all, c.name), NewFigure(PerSecond, c.rate...), NewFigure(Share, c.load...), NewFigure(Share, c.server...),
			NewFigure(Seconds, c.p50...), NewFigure(Seconds, c.p99...),
		}, Published: knownLoad[c.name]})
		panel.Groups = append(panel.Groups, c.name)
		bars.Ys = append(bars.Ys, float64(perCPU.Value)/1e3)
	}
	panel.Series = []report.ChartSeries{bars}
	r.Tables = append(r.Tables, t)
	r.Charts = append(r.Charts, report.Chart{
		Name: "load", Title: "Load generators on one processor", Panels: []report.ChartPanel{panel},
		Caption: "Requests for a second of the client's processor time, each generator in turn against the same server; medians of rounds. The second panel: lateness at a rate.",
	})
	e := runnerOf(all, ours)
	r.Shapes = append(r.Shapes, Always(loadCard, "requests of eve's that were not answered", e.lost, len(e.rate)))
	if runnerOf(all, wrkPeer).rival != nil {
		r.Shapes = append(r.Shapes, goal(AtLeast(loadCard, "requests for a CPU second of the client, eve over wrk", against(all, wrkPeer), 1.1)))
	}
}

// label is the name in tables.
func (c *runner) label() string {
	if c.rival != nil {
		return "peer " + c.name
	}
	return c.name
}

func (x *gallop) reportPaced(r *Report, all []*runner, rate int) {
	t := &Table{
		Card: loadCard, Title: fmt.Sprintf("how late requests come at %s a second", report.Count(float64(rate))), Head: "send lag p50",
		Also: []string{"p99", "seen p50", "seen p99", "sent", "CPU/request", "response p50", "response p99"}, Published: "before",
		Note: "send lag: sent − due, which only eve tells; seen: arrivals at the server against a plan of equal gaps, the earliest being on time; fortio has a plan for each connection; " +
			"sent: of what was to be sent; responses: eve's count from due, the others' from sending",
	}
	known := map[string]string{
		poissonRunner: "goal: 50 / 150 µs", spinRunner: "goal: 2 / 60 µs", fortioPeer: "744 µs / 2.5 ms response", vegetaPeer: "collapsed",
	}
	panel := report.ChartPanel{Title: "late, p50 and p99", LogY: true, FormatY: report.Seconds}
	p50, p99 := report.ChartSeries{Label: "p50"}, report.ChartSeries{Label: "p99"}
	for _, c := range all {
		a, b := NewFigure(Seconds, c.lag50...), NewFigure(Seconds, c.lag99...)
		t.Rows = append(t.Rows, Row{Name: c.label(), Ours: a, Also: []Figure{
			b, NewFigure(Seconds, c.seen50...), NewFigure(Seconds, c.seen99...), NewFigure(Share, c.achieved...), NewFigure(Seconds, c.perRequest...),
			NewFigure(Seconds, c.p50...), NewFigure(Seconds, c.p99...),
		}, Published: known[c.name]})
		if !a.measured() {
			a, b = NewFigure(Seconds, c.seen50...), NewFigure(Seconds, c.seen99...)
		}
		panel.Groups = append(panel.Groups, strings.ReplaceAll(strings.TrimPrefix(c.name, ours+", "), ", ", " "))
		p50.Ys, p99.Ys = append(p50.Ys, float64(a.Value)), append(p99.Ys, float64(b.Value))
	}
	panel.Series = []report.ChartSeries{p50, p99}
	r.Tables = append(r.Tables, t)
	if n := len(r.Charts); n > 0 {
		r.Charts[n-1].Panels = append(r.Charts[n-1].Panels, panel)
	}
	lost, rounds := 0, 0
	for _, c := range all {
		lost, rounds = lost+c.lost, rounds+len(c.lag50)
	}
	r.Shapes = append(r.Shapes, Always(loadCard, fmt.Sprintf("requests of eve's plans of %s/s that were not sent and answered", report.Count(float64(rate))), lost, rounds))
	for _, g := range []struct {
		name     string
		p50, p99 float64
	}{{poissonRunner, 50e-6, 150e-6}, {spinRunner, 2e-6, 60e-6}} {
		c := runnerOf(all, g.name)
		r.Shapes = append(r.Shapes,
			goal(c.late(g.name+": send lag, p50", c.lag50, g.p50)), goal(c.late(g.name+": send lag, p99", c.lag99, g.p99)))
	}
}

func (x *gallop) reportSteps(r *Report, rates []int, all [][]*runner) {
	var peers []string
	for _, c := range all[0] {
		if c.rival != nil {
			peers = append(peers, c.name)
		}
	}
	t := &Table{
		Card: loadCard, Title: "what is sent of a rate", Head: ours, Also: []string{"its processor", "send lag p50", "p99", "limited"}, Peers: peers,
		Note: "eve: of the arrivals that a Poisson process planned; peers: of equal gaps, by the time they took; limited: rounds of eve's in which it said of itself that it was the limit",
	}
	for i, rate := range rates {
		e := runnerOf(all[i], ours)
		row := Row{
			Name: report.Count(float64(rate)) + "/s", Ours: NewFigure(Share, e.achieved...), Peers: map[string]Figure{},
			Also: []Figure{NewFigure(Share, e.load...), NewFigure(Seconds, e.lag50...), NewFigure(Seconds, e.lag99...), NewFigure(One, float64(e.limited))},
		}
		for _, p := range peers {
			row.Peers[p] = NewFigure(Share, runnerOf(all[i], p).achieved...)
		}
		t.Rows = append(t.Rows, row)
		if rate == steady {
			r.Shapes = append(r.Shapes, goal(e.within(fmt.Sprintf("rounds at %s/s in which eve was the limit", report.Count(steady)))))
			if err := limitedBy(e); err != nil {
				r.Notes = append(r.Notes, fmt.Sprintf("at %s/s: %v", report.Count(steady), err))
			}
		}
	}
	r.Tables = append(r.Tables, t)
}

func (x *gallop) reportMemory(r *Report, few, many, own int, thinking, connected []float64) {
	a, b := NewFigure(Bytes, thinking...), NewFigure(Bytes, connected...)
	r.Tables = append(r.Tables, &Table{
		Card: loadCard, Title: "memory of a user, as the slope between two numbers of them", Head: "process", Also: []string{"from", "to"}, Published: "goal",
		Rows: []Row{
			{Name: "who thinks", Ours: a, Also: []Figure{NewFigure(One, float64(few)), NewFigure(One, float64(many))}, Published: "1 KiB"},
			{Name: "who thinks and keeps a connection", Ours: b, Also: []Figure{NewFigure(One, float64(few)), NewFigure(One, float64(own))}, Published: "1 KiB"},
		},
		Note: "anonymous pages in RAM of a new process of clients, after it gave back what it does not use; the kernel's sockets come on top",
	})
	r.Shapes = append(r.Shapes,
		goal(AtMost(loadCard, "memory of a user who thinks", a, 1024)),
		goal(AtMost(loadCard, "memory of a user who thinks and keeps a connection", b, 1024)))
}

func (x *gallop) reportMany(r *Report, users int, think time.Duration, c *runner, v *visited) {
	rate := NewFigure(PerSecond, float64(v.OK)/v.Seconds)
	// The interactive response time law, of a closed population: X = N ÷ (R + Z).
	law := float64(users) / (float64(v.Response.Mean) + think.Seconds())
	r.Tables = append(r.Tables, &Table{
		Card: loadCard, Title: fmt.Sprintf("%s users who think for %v, in one process", report.Count(float64(users)), think), Head: "requests/s",
		Also: []string{"N ÷ (R + Z)", "its processor", "send lag p50", "p99", "response p50", "p99", "connections", "memory"},
		Rows: []Row{{Name: ours, Ours: rate, Also: []Figure{
			NewFigure(PerSecond, law), NewFigure(Share, c.load...), NewFigure(Seconds, c.lag50...), NewFigure(Seconds, c.lag99...),
			NewFigure(Seconds, float64(v.Response.P50)), NewFigure(Seconds, float64(v.Response.P99)), NewFigure(One, float64(v.Opened)), NewFigure(Bytes, v.Resident),
		}}},
	})
	limited := goal(unlessDisturbed(Always(loadCard, "the clients of so many users are the limit", c.limited, 1), c.quiet[0]))
	limited.Hard = false
	r.Shapes = append(r.Shapes,
		Always(loadCard, "requests of so many users that failed, or that are unaccounted for", c.lost, int(v.Issued)), limited,
		goal(Within(loadCard, "requests a second of so many users, over N ÷ (R + Z)", NewFigure(One, float64(v.OK)/v.Seconds/law), 0.97, 1.03)))
	if err := limitedBy(c); err != nil {
		r.Notes = append(r.Notes, fmt.Sprintf("%d users: %v", users, err))
	}
}
