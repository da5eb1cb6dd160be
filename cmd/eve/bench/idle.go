package bench

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/eve-emulation/eve/fase/report"
)

// MostIdle is the most idle connections to one server: systems commonly let a process have 20 000 descriptors.
const MostIdle = 19_000

// active is how many connections are never idle, as in the published experiment.
const active = 100

// Idle measures active connections beside idle ones (A6), and what an idle one takes. With Config.Open it opens so many
// connections instead.
func Idle(ctx context.Context, cfg Config) (*Report, error) {
	if cfg.Open > 0 {
		return measure("idle --connections "+strconv.Itoa(cfg.Open), cfg, func(r *Report) error { return (&crowded{cfg: cfg}).run(ctx, r) })
	}
	if err := CheckWebPeers(cfg.Peers); err != nil {
		return nil, err
	}
	names, err := engineNames(cfg.Engines)
	if err != nil {
		return nil, err
	}
	if len(cfg.Engines) == 0 {
		wanted := []string{"reactors", "uring", "sped-epoll-et", "sped-poll", "sped-select", "threads"}
		names = slices.DeleteFunc(wanted, func(n string) bool { return !slices.Contains(names, n) })
	}
	x := &idlers{contest: contest{cfg: cfg, engines: names}}
	return measure("idle", cfg, func(r *Report) error { return x.run(ctx, r) })
}

// idlers measures servers that have idle connections.
type idlers struct {
	contest
	holder  *part
	holding int // connections that are idle now
	levels  []int
	ws      []*web
	heats   []*heat // connections counts the idle ones
}

func (x *idlers) run(ctx context.Context, r *Report) error {
	done, err := x.open(ctx)
	defer done()
	if err != nil {
		return err
	}
	if x.holder, err = x.cfg.partOn(ctx, clientCPU, "volley"); err != nil {
		return err
	}
	defer x.holder.stop()
	x.ws, done, err = x.servers(ctx, x.engines, x.cfg.Peers)
	defer done()
	if err != nil {
		return err
	}
	if err := x.weigh(ctx, r); err != nil { // before the kernel's slab has grown
		return err
	}
	if err := x.sweep(ctx, r); err != nil {
		return err
	}
	if len(x.cfg.Idle) > 0 {
		return nil // it was asked for these alone
	}
	return x.many(ctx, r)
}

// sweep takes all servers in turns through all levels of idle connections.
func (x *idlers) sweep(ctx context.Context, r *Report) error {
	x.levels = x.cfg.Idle
	if len(x.levels) == 0 {
		x.levels = pick(x.cfg, []int{0, 1000, 9000}, []int{0, 200})
	}
	x.levels = slices.Compact(slices.Sorted(slices.Values(x.levels)))
	for _, w := range x.ws {
		for _, n := range x.levels {
			x.heats = append(x.heats, &heat{server: w, request: plainGet, connections: n})
		}
	}
	x.cfg.say("A6: %d active connections beside %s idle ones, %d servers in turns", active, joinInts(x.levels), len(x.ws))
	start := time.Now()
	rounds := pick(x.cfg, 9, 2)
	for round := range rounds {
		for i := range x.ws {
			if err := x.sweepOne(ctx, x.ws[(i+round)%len(x.ws)], x.levels, round); err != nil {
				return err
			}
		}
	}
	if err := x.refine(ctx, rounds, start.Add(pick(x.cfg, sweepFor, 0))); err != nil {
		return err
	}
	x.reportSweep(r)
	return nil
}

// A loss of 5 % is seen when the interval of a ratio is no wider than that. On a noisy host it may take longer than sweepFor,
// when no further round begins.
const (
	narrow   = 0.05
	sweepFor = 150 * time.Second
)

// refine has further rounds, at the two levels that are compared, of the servers that are to lose nothing, until the intervals are
// narrow: whatever it is that they tell.
func (x *idlers) refine(ctx context.Context, round int, end time.Time) error {
	most, judged := x.judged()
	if !judged {
		return nil
	}
	levels := []int{0, most}
	for ; time.Now().Before(end); round++ {
		wide := 0
		for _, w := range x.ws {
			if w.peer || !level(w.name) || x.narrow(w, most) {
				continue
			}
			wide++
			if err := x.sweepOne(ctx, w, levels, round); err != nil {
				return err
			}
		}
		if wide == 0 {
			break
		}
	}
	return nil
}

// narrow says whether the ratios of a server are known well enough.
func (x *idlers) narrow(w *web, most int) bool {
	many, none := find(x.heats, w.name, most), find(x.heats, w.name, 0)
	for _, f := range []Figure{many.against(none), many.faster(none)} {
		if float64(f.High-f.Low) > narrow {
			return false
		}
	}
	return true
}

// sweepOne is a round of one server: up through the levels, and down in every other round, so that what drifts favours none.
func (x *idlers) sweepOne(ctx context.Context, w *web, levels []int, round int) error {
	if round%2 == 1 {
		levels = slices.Clone(levels)
		slices.Reverse(levels)
	}
	for _, n := range levels {
		if err := x.hold(ctx, w, n); err != nil {
			return err
		}
		if err := x.fireBeside(find(x.heats, w.name, n)); err != nil {
			return err
		}
		if err := allAlive(x.holder, w, n); err != nil {
			return err
		}
	}
	return x.let(ctx, w)
}

// allAlive tells when a server has closed some of its idle connections: what was measured is not beside as many.
func allAlive(holder *part, w *web, n int) error {
	var h held
	if err := holder.call("alive", struct{}{}, &h); err != nil {
		return err
	}
	if h.Number != n {
		return fmt.Errorf("%s: %d idle connections: the server keeps %d of them: %s", w.name, n, h.Number, h.Limit)
	}
	return nil
}

// fireBeside is one round of the active connections.
func (x *idlers) fireBeside(l *heat) error {
	shot := *l
	shot.connections = active
	if err := x.round(&shot, pick(x.cfg, 50*time.Millisecond, 10*time.Millisecond), pick(x.cfg, 300*time.Millisecond, 30*time.Millisecond)); err != nil {
		return fmt.Errorf("%d idle: %w", l.connections, err)
	}
	shot.connections = l.connections
	*l = shot
	return nil
}

// hold opens idle connections until a server has so many; when it has more, all anew.
func (x *idlers) hold(ctx context.Context, w *web, n int) error {
	if n < x.holding {
		if err := x.let(ctx, w); err != nil {
			return err
		}
	}
	var h held
	if err := x.holder.call("hold", wanted{Address: w.address, Sources: sources(0), Number: n}, &h); err != nil {
		return err
	}
	if h.Number != n {
		return fmt.Errorf("%s: %d idle connections: only %d came about: %s", w.name, n, h.Number, h.Limit)
	}
	x.holding = n
	return rests(ctx, w.pid)
}

// let closes the idle connections.
func (x *idlers) let(ctx context.Context, w *web) error {
	if err := x.holder.call("release", struct{}{}, nil); err != nil {
		return err
	}
	x.holding = 0
	return rests(ctx, w.pid)
}

// rests waits until a process has nothing more to do, at most some seconds: what it was given before is no part of what is
// measured next.
func rests(ctx context.Context, pid int) error {
	const step = 5 * time.Millisecond
	before := processCPU(pid)
	for range 600 {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(step):
		}
		now := processCPU(pid)
		if now-before < 0.02*step.Seconds() {
			return nil
		}
		before = now
	}
	return nil
}

// The published relatives of A6, by how an engine waits.
func publishedIdle(engine string) string {
	switch engine {
	case "sped-select":
		return "−44 % at 2000 cold (USENIX 1998), up to −79 % at 10 000 (OLS 2004)"
	case "sped-poll":
		return "up to −79 % at 10 000 (OLS 2004)"
	case "sped-epoll-et", "sped-epoll-lt", "reactors":
		return "level at 10 000 (OLS 2004)"
	}
	return ""
}

func (x *idlers) reportSweep(r *Report) {
	t := &Table{
		Card: "A6", Title: fmt.Sprintf("%d active connections beside idle ones", active), Head: "CPU/request",
		Also: []string{"per CPU second", "÷ none idle", "requests/s", "÷ none idle", "p50", "p99"}, Published: "published",
		Note: "÷ none idle: over the same with no idle connection, round by round; published: throughput",
	}
	rate := report.ChartPanel{Title: "requests per CPU second, none idle = 1", XLabel: "idle connections"}
	p50 := report.ChartPanel{Title: "response time, median", XLabel: "idle connections", LogY: true, FormatY: report.Seconds}
	for _, w := range x.ws {
		none := find(x.heats, w.name, x.levels[0])
		ratio, median := report.ChartSeries{Label: w.name}, report.ChartSeries{Label: w.name}
		for _, n := range x.levels {
			l := find(x.heats, w.name, n)
			row := Row{Name: fmt.Sprintf("%s, %d idle", w.name, n), Ours: NewFigure(Seconds, l.perRequest...), Also: []Figure{
				NewFigure(PerSecond, l.perCPU...), l.against(none), NewFigure(PerSecond, l.rate...), l.faster(none), NewFigure(Seconds, l.p50...), NewFigure(Seconds, l.p99...),
			}}
			if n == x.levels[len(x.levels)-1] {
				row.Published = publishedIdle(w.name)
			}
			t.Rows = append(t.Rows, row)
			ratio.Xs, ratio.Ys = append(ratio.Xs, float64(n)), append(ratio.Ys, float64(l.against(none).Value))
			median.Xs, median.Ys = append(median.Xs, float64(n)), append(median.Ys, float64(NewFigure(Seconds, l.p50...).Value))
		}
		rate.Series, p50.Series = append(rate.Series, ratio), append(p50.Series, median)
	}
	r.Tables = append(r.Tables, t)
	r.Charts = append(r.Charts, report.Chart{
		Name: "a6-idle", Title: "A6: active connections beside idle ones", Panels: []report.ChartPanel{p50, rate},
		Caption: fmt.Sprintf("%d connections that are never idle; medians of rounds in turns. Published: flat for an event mechanism, linear for select.", active),
	})
	x.sweepShapes(r)
}

// judged is the most idle connections, at which shapes are judged: 9000, or the most that were asked for when they are more. Without
// as many, or without none to compare with, there is nothing to judge.
func (x *idlers) judged() (most int, ok bool) {
	most = x.levels[len(x.levels)-1]
	if slices.Contains(x.levels, 9000) {
		most = 9000
	}
	return most, x.levels[0] == 0 && most >= 9000
}

// level says whether an engine waits by an event mechanism, and is to lose nothing to idle connections.
func level(engine string) bool {
	return slices.Contains([]string{"sped-epoll-et", "sped-epoll-lt", "reactors", "uring"}, engine)
}

// sweepShapes judge what engines lose, by CPU time and by throughput as published.
func (x *idlers) sweepShapes(r *Report) {
	most, ok := x.judged()
	if !ok {
		return
	}
	for _, w := range x.ws {
		if w.peer {
			continue
		}
		many, none := find(x.heats, w.name, most), find(x.heats, w.name, 0)
		for _, by := range []struct {
			what string
			f    Figure
		}{{"requests per CPU second", many.against(none)}, {"throughput", many.faster(none)}} {
			name := fmt.Sprintf("%s, %s at %d idle over none", w.name, by.what, most)
			switch {
			case w.name == "sped-poll" || w.name == "sped-select":
				r.Shapes = append(r.Shapes, AtMost("A6", name, by.f, 0.4))
			case level(w.name):
				r.Shapes = append(r.Shapes, AtLeast("A6", name, by.f, 0.95))
			}
		}
	}
}
