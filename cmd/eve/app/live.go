package app

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"time"

	"golang.org/x/term"

	"github.com/eve-emulation/eve/dmm"
	"github.com/eve-emulation/eve/dsv"
	"github.com/eve-emulation/eve/fase/adapt"
	"github.com/eve-emulation/eve/fase/scenario"
	"github.com/eve-emulation/eve/fase/service"
)

// A view shows a run while it goes: on a terminal a few lines that are redrawn, elsewhere a plain line every few
// seconds; and in between, for good, what happens: decisions, modules that die.
type view struct {
	plan *scenario.Plan
	out  io.Writer
	tty  bool
	wide int // columns; 0: unknown

	mu      sync.Mutex // guards what follows
	windows map[dsv.Name]*dmm.Window
	maps    []string // by service: where it is
	now     dsv.Instant
	drawn   int // lines that are redrawn
}

// span is the window of the figures that are shown.
const span = 2 * time.Second

func newView(plan *scenario.Plan, out io.Writer) *view {
	v := &view{plan: plan, out: out, windows: map[dsv.Name]*dmm.Window{}, maps: make([]string, len(plan.Topology.Services))}
	if f, ok := out.(*os.File); ok && term.IsTerminal(int(f.Fd())) {
		v.tty = true
		v.wide, _, _ = term.GetSize(int(f.Fd()))
	}
	wanted := map[dsv.Name]bool{}
	for _, c := range plan.Clients {
		for _, leaf := range []string{"latency", "requests", "errors"} {
			wanted[dsv.Name(c.Name+"."+leaf)] = true
		}
	}
	for _, s := range plan.Servers {
		wanted[dsv.Name(s.Name+".cpu.utilisation")] = true
	}
	for _, m := range plan.Measures {
		if wanted[m.Name] {
			v.windows[m.Name] = dmm.NewWindow(m.Declaration(), 2*span)
		}
	}
	return v
}

// say prints a line for good.
func (v *view) say(line string) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.erase()
	fmt.Fprintln(v.out, line)
	v.draw()
}

// take takes one change of a variable.
func (v *view) take(u dsv.Update) {
	if u.Name == adapt.DecisionsName {
		var d adapt.Decision
		if json.Unmarshal(u.Reading.Value.Bytes, &d) == nil {
			v.say(decision(d))
		}
		return
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	if w := v.windows[u.Name]; w != nil && u.Delta != nil {
		w.Add(*u.Delta)
		return
	}
	if name, ok := strings.CutPrefix(string(u.Name), "map."); ok {
		if svc := v.plan.Topology.Service(name); svc >= 0 {
			if m, err := service.ParseMapping(u.Reading.Value.Text); err == nil {
				v.maps[svc] = places(m)
			}
		}
	}
}

// places tells where a service is: "server_1 + server_2 (copying)".
func places(m service.Mapping) string {
	var parts []string
	for _, r := range m.Replicas {
		p := r.Server
		if r.State != service.Serving {
			p += " (" + string(r.State) + ")"
		}
		parts = append(parts, p)
	}
	if m.Level != "" {
		parts = append(parts, "at level "+m.Level)
	}
	return strings.Join(parts, " + ")
}

func decision(d adapt.Decision) string {
	s := fmt.Sprintf("%7.1f s  %s: %s — %s", d.At.Seconds(), d.Rule, d.Action, d.Phase)
	if d.Phase == "decided" && len(d.Reading) > 0 {
		s += " because " + readings(d.Reading)
	}
	if d.Cause != "" {
		s += ": " + d.Cause
	}
	return s
}

// tick redraws the figures at an instant of the run; elsewhere than on a terminal it prints a line.
func (v *view) tick(now dsv.Instant) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.now = now
	if v.tty {
		v.erase()
		v.draw()
		return
	}
	fmt.Fprintln(v.out, strings.Join(v.lines(), "  |  "))
}

// done leaves the last figures on the screen.
func (v *view) done() {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.drawn = 0
}

func (v *view) erase() {
	if v.drawn > 0 {
		fmt.Fprintf(v.out, "\x1b[%dA\x1b[J", v.drawn)
		v.drawn = 0
	}
}

func (v *view) draw() {
	if !v.tty || v.now == 0 {
		return
	}
	lines := v.lines()
	for _, l := range lines {
		if r := []rune(l); v.wide > 1 && len(r) >= v.wide {
			l = string(r[:v.wide-2]) + "…"
		}
		fmt.Fprintln(v.out, l)
	}
	v.drawn = len(lines)
}

// lines are the figures: the time, a line for each group of clients, the servers, the mapping.
func (v *view) lines() []string {
	total := v.plan.Duration.Seconds()
	lines := []string{fmt.Sprintf("%7.1f s  of %g s", v.now.Seconds(), total)}
	if v.tty {
		const cells = 40
		n := min(int(v.now.Seconds()/total*cells), cells)
		lines[0] += "  " + strings.Repeat("━", n) + strings.Repeat("╌", cells-n)
	}
	for _, c := range v.plan.Clients {
		lines = append(lines, v.group(c.Name))
	}
	var cpu []string
	for _, s := range v.plan.Servers {
		if t, ok := v.total(s.Name + ".cpu.utilisation"); ok {
			cpu = append(cpu, fmt.Sprintf("%s %.0f %%", s.Name, 100*t.Mean()))
		}
	}
	if len(cpu) > 0 {
		lines = append(lines, "cpu  "+strings.Join(cpu, "  "))
	}
	var where []string
	for i, m := range v.maps {
		if m != "" {
			where = append(where, v.plan.Topology.Services[i]+" on "+m)
		}
	}
	return append(lines, strings.Join(where, "  "))
}

func (v *view) group(name string) string {
	n, _ := v.total(name + ".requests")
	e, _ := v.total(name + ".errors")
	h, ok := v.total(name + ".latency")
	s := fmt.Sprintf("%s  %.0f/s", name, n.Count()/span.Seconds())
	if ok && !h.Empty() {
		s += fmt.Sprintf("  p50 %s  p99 %s", short(h.Quantile(0.5)), short(h.Quantile(0.99)))
	}
	return s + fmt.Sprintf("  errors %.0f", e.Count())
}

func (v *view) total(name string) (dmm.Total, bool) {
	w := v.windows[dsv.Name(name)]
	if w == nil {
		return dmm.Total{}, false
	}
	return w.Sum(w.Newest().Add(-span), w.Newest()), true
}

// short is a time in seconds as people read it.
func short(seconds float64) string {
	d := time.Duration(seconds * 1e9)
	switch {
	case d < time.Millisecond:
		return d.Round(time.Microsecond).String()
	case d < time.Second:
		return fmt.Sprintf("%.3g ms", seconds*1e3)
	}
	return fmt.Sprintf("%.3g s", seconds)
}

// follow shows what a space tells until ctx ends.
func (v *view) follow(ctx context.Context, space dsv.Space, clock func() dsv.Instant) error {
	figures, err := space.Watch(ctx, dsv.WatchRequest{Pattern: "*"})
	if err != nil {
		return err
	}
	defer figures.Close()
	decisions, err := space.Watch(ctx, dsv.WatchRequest{Pattern: string(adapt.DecisionsName), Mode: dsv.All})
	if err != nil {
		return err
	}
	defer decisions.Close()
	var wg sync.WaitGroup
	wg.Go(func() { v.pump(ctx, figures, false) })
	wg.Go(func() { v.pump(ctx, decisions, true) })
	every := time.Second
	if !v.tty {
		every = 5 * time.Second
	}
	t := time.NewTicker(every)
	defer t.Stop()
	for {
		select {
		case <-ctx.Done():
			wg.Wait()
			v.done()
			return nil
		case <-t.C:
			if now := clock(); now > 0 {
				v.tick(min(now, dsv.At(v.plan.Duration)))
			}
		}
	}
}

func (v *view) pump(ctx context.Context, w dsv.Watch, decisions bool) {
	for {
		u, err := w.Next(ctx)
		if err != nil {
			return
		}
		if decisions == (u.Name == adapt.DecisionsName) {
			v.take(u)
		}
	}
}
