package bench

import (
	"context"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/eve-emulation/eve/fase/report"
)

// Engines measures requests per CPU second of the server for every engine and for peers, each on one processor with the
// clients on another; what an RDR costs beside a plain GET; and threads beside events with many tasks (S1).
func Engines(ctx context.Context, cfg Config) (*Report, error) {
	names, err := engineNames(cfg.Engines)
	if err != nil {
		return nil, err
	}
	if err := CheckWebPeers(cfg.Peers); err != nil {
		return nil, err
	}
	x := &contest{cfg: cfg, engines: names}
	return measure("engines", cfg,
		func(r *Report) error { return x.speed(ctx, r) },
		func(r *Report) error { return x.tasks(ctx, r) },
	)
}

// The requests that are fired.
const (
	plainGet = "GET / HTTP/1.1\r\nHost: eve\r\n\r\n"
)

// rdrPost is a POST of a resource demand.
func rdrPost(text string) string {
	return "POST /rdr HTTP/1.1\r\nHost: eve\r\nContent-Length: " + strconv.Itoa(len(text)) + "\r\n\r\n" + text
}

// A contest fires at servers in turns.
type contest struct {
	cfg     Config
	engines []string
	clients *part
}

// A heat is one server under one load, and what came of its rounds.
type heat struct {
	server      *web
	what        string // of the request, where there are several
	request     string
	connections int

	perRequest, perCPU, rate, load []float64
	p50, p99                       []float64
}

// open starts the clients.
func (x *contest) open(ctx context.Context) (done func(), err error) {
	x.clients, err = x.cfg.partOn(ctx, clientCPU, "volley", "GOMAXPROCS=2")
	if err != nil {
		return func() {}, err
	}
	return x.clients.stop, nil
}

// servers starts engines and peers, in the order of the tables.
func (x *contest) servers(ctx context.Context, engines, peers []string) (ws []*web, done func(), err error) {
	done = func() {
		for _, w := range ws {
			w.stop()
		}
	}
	start := func(name string, peer bool) error {
		w, err := x.cfg.openWeb(ctx, name, peer)
		if err == nil {
			ws = append(ws, w)
		}
		return err
	}
	for _, n := range engines {
		if err := start(n, false); err != nil {
			return ws, done, err
		}
	}
	for _, n := range peers {
		if err := start(n, true); err != nil {
			return ws, done, err
		}
	}
	return ws, done, nil
}

// round fires once.
func (x *contest) round(l *heat, warm, run time.Duration) error {
	var v volleyed
	err := x.clients.call("fire", firing{
		Address: l.server.address, Request: l.request, Connections: l.connections, PID: l.server.pid, Warm: warm, Run: run,
	}, &v)
	if err != nil {
		return fmt.Errorf("%s, %d connections: %w", l.server.name, l.connections, err)
	}
	l.perRequest = append(l.perRequest, v.ServerCPU/float64(v.Answers))
	l.perCPU = append(l.perCPU, float64(v.Answers)/v.ServerCPU)
	l.rate = append(l.rate, float64(v.Answers)/v.Seconds)
	l.load = append(l.load, v.LoadCPU/v.Seconds)
	l.p50, l.p99 = append(l.p50, v.P50), append(l.p99, v.P99)
	return nil
}

// rounds fires at all heats in turns, beginning with another each time.
func (x *contest) rounds(heats []*heat, rounds int, warm, run time.Duration) error {
	for i := range rounds {
		for k := range heats {
			if err := x.round(heats[(k+i)%len(heats)], warm, run); err != nil {
				return err
			}
		}
	}
	return nil
}

func (x *contest) speed(ctx context.Context, r *Report) error {
	done, err := x.open(ctx)
	defer done()
	if err != nil {
		return err
	}
	ws, done, err := x.servers(ctx, x.engines, x.cfg.Peers)
	defer done()
	if err != nil {
		return err
	}
	counts := x.cfg.Connections
	if len(counts) == 0 {
		counts = pick(x.cfg, []int{64, 1000}, []int{8, 32})
	}
	counts = slices.Compact(slices.Sorted(slices.Values(counts)))
	var heats []*heat
	for _, n := range counts {
		for _, w := range ws {
			heats = append(heats, &heat{server: w, request: plainGet, connections: n})
		}
	}
	x.cfg.say("engines: %d servers with %s connections in turns", len(ws), joinInts(counts))
	warm, run := pick(x.cfg, 80*time.Millisecond, 10*time.Millisecond), pick(x.cfg, 300*time.Millisecond, 30*time.Millisecond)
	if err := x.rounds(heats, pick(x.cfg, 9, 2), warm, run); err != nil {
		return err
	}
	if err := x.further(heats, counts, warm, run, time.Now().Add(pick(x.cfg, speedFor, 0))); err != nil {
		return err
	}
	x.reportSpeed(r, heats, counts)
	return x.rdr(r, ws)
}

// speedFor is how long rounds may go on whose intervals are still wide.
const speedFor = 150 * time.Second

// further has more rounds in turns of those servers that are judged, until the intervals of all their ratios are narrow: whatever
// it is that they tell. A round is of all of them, because ratios go round by round.
func (x *contest) further(heats []*heat, counts []int, warm, run time.Duration, end time.Time) error {
	for i, n := range counts {
		share := time.Until(end) / time.Duration(len(counts)-i)
		var judged []*heat
		for _, h := range heats {
			if h.connections == n && slices.ContainsFunc(x.claims(n), func(c claim) bool { return h.server.name == c.engine || h.server.name == c.peer }) {
				judged = append(judged, h)
			}
		}
		for until := time.Now().Add(share); !x.narrow(heats, n) && time.Now().Before(until); {
			if err := x.rounds(judged, 1, warm, run); err != nil {
				return err
			}
			judged = append(judged[1:], judged[0]) // which begins with another next time
		}
	}
	return nil
}

// narrow says whether the ratios that are judged are known well enough.
func (x *contest) narrow(heats []*heat, n int) bool {
	for _, c := range x.claims(n) {
		if f := find(heats, c.engine, n).against(find(heats, c.peer, n)); float64(f.High-f.Low) > narrow {
			return false
		}
	}
	return true
}

func joinInts(ns []int) string {
	var s []string
	for _, n := range ns {
		s = append(s, strconv.Itoa(n))
	}
	return strings.Join(s, " and ")
}

func find(heats []*heat, name string, connections int) *heat {
	i := slices.IndexFunc(heats, func(l *heat) bool { return l.server.name == name && l.connections == connections })
	if i < 0 {
		return &heat{}
	}
	return heats[i]
}

// against is a heat's requests per CPU second over another's, round by round.
func (l *heat) against(o *heat) Figure {
	return Ratio(NewFigure(PerSecond, l.perCPU...), NewFigure(PerSecond, o.perCPU...))
}

// faster is a heat's throughput over another's, round by round.
func (l *heat) faster(o *heat) Figure {
	return Ratio(NewFigure(PerSecond, l.rate...), NewFigure(PerSecond, o.rate...))
}

func (x *contest) reportSpeed(r *Report, heats []*heat, counts []int) {
	chart := report.Chart{
		Name: "engines", Title: "Requests for a CPU second of the server",
		Caption: "Each server on one processor, clients that are never idle on another, an answer of three bytes over kept connections; medians of rounds in turns.",
	}
	panel := report.ChartPanel{Title: "1000 requests per CPU second", FormatY: func(y float64) string { return report.Count(math.Round(y)) }}
	for _, n := range counts {
		t := &Table{
			Card: "C10", Title: fmt.Sprintf("servers on one processor, %d connections that are never idle", n), Head: "CPU/request",
			Also: []string{"per CPU second", "÷ nginx", "÷ C loop", "requests/s", "p50", "p99"},
			Note: "÷: requests per CPU second of the server over the peer's, round by round; threads and helpers of a server share its one processor",
		}
		s := report.ChartSeries{Label: fmt.Sprintf("%d connections", n)}
		for _, l := range heats {
			if l.connections != n {
				continue
			}
			name := l.server.name
			if l.server.peer {
				name = "peer " + name
			}
			perCPU := NewFigure(PerSecond, l.perCPU...)
			t.Rows = append(t.Rows, Row{Name: name, Ours: NewFigure(Seconds, l.perRequest...), Also: []Figure{
				perCPU, l.against(find(heats, nginx, n)), l.against(find(heats, loopPeer, n)), NewFigure(PerSecond, l.rate...),
				NewFigure(Seconds, l.p50...), NewFigure(Seconds, l.p99...),
			}})
			s.Ys = append(s.Ys, float64(perCPU.Value)/1e3)
			if n == counts[0] {
				panel.Groups = append(panel.Groups, strings.ReplaceAll(l.server.name, "-", " ")) // which may take two lines
			}
		}
		r.Tables = append(r.Tables, t)
		panel.Series = append(panel.Series, s)
		r.Shapes = append(r.Shapes, x.speedShapes(heats, n)...)
	}
	chart.Panels = []report.ChartPanel{panel}
	r.Charts = append(r.Charts, chart)
}

// A claim is that an engine serves at least so many times the requests of a peer for a CPU second.
type claim struct {
	engine, peer string
	least        float64
}

// claims are Eve's goals for the engines that are meant to be fast, against those peers that are there.
func (x *contest) claims(connections int) []claim {
	loop := 0.85
	if connections <= 64 {
		loop = 0.9
	}
	return slices.DeleteFunc([]claim{
		{"reactors", nginx, 1.1},
		{"reactors", gnetPeer, 1},
		{"reactors", loopPeer, loop},
		{"uring", nginx, 1.1},
		{"uring", gnetPeer, 1},
		{"uring", loopPeer, 1},
	}, func(c claim) bool {
		return !slices.Contains(x.engines, c.engine) || !slices.Contains(x.cfg.Peers, c.peer)
	})
}

func (x *contest) speedShapes(heats []*heat, n int) []Shape {
	var shapes []Shape
	for _, c := range x.claims(n) {
		f := find(heats, c.engine, n).against(find(heats, c.peer, n))
		shapes = append(shapes, goal(AtLeast("C10", fmt.Sprintf("%s over %s, %d connections", c.engine, c.peer, n), f, c.least)))
	}
	return shapes
}

// rdr compares a resource demand that asks for nothing with a plain GET.
func (x *contest) rdr(r *Report, ws []*web) error {
	var heats []*heat
	for _, w := range ws {
		if w.peer {
			continue
		}
		if w.name == "reactors" || w.name == "uring" || len(x.cfg.Engines) > 0 {
			heats = append(heats,
				&heat{server: w, what: "GET", request: plainGet, connections: 64},
				&heat{server: w, what: "RDR", request: rdrPost("cpu 0 reply 3B"), connections: 64})
		}
	}
	if len(heats) == 0 {
		return nil
	}
	x.cfg.say("engines: a resource demand beside a plain GET")
	if err := x.rounds(heats, pick(x.cfg, 15, 2), pick(x.cfg, 50*time.Millisecond, 10*time.Millisecond), pick(x.cfg, 250*time.Millisecond, 30*time.Millisecond)); err != nil {
		return err
	}
	t := &Table{
		Card: "C10", Title: "a POST of `cpu 0 reply 3B` beside a plain GET, 64 connections", Head: "CPU/request", Also: []string{"plain GET", "÷ GET"},
	}
	for i := 0; i < len(heats); i += 2 {
		get, post := heats[i], heats[i+1]
		dearer := Ratio(NewFigure(Seconds, post.perRequest...), NewFigure(Seconds, get.perRequest...))
		t.Rows = append(t.Rows, Row{Name: get.server.name, Ours: NewFigure(Seconds, post.perRequest...), Also: []Figure{NewFigure(Seconds, get.perRequest...), dearer}})
		r.Shapes = append(r.Shapes, goal(AtMost("C10", get.server.name+": a resource demand of nothing over a GET", dearer, 1.5)))
	}
	r.Tables = append(r.Tables, t)
	return nil
}
