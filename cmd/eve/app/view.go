package app

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"github.com/eve-emulation/eve/dmm"
	"github.com/eve-emulation/eve/dsv"
	"github.com/eve-emulation/eve/fase/adapt"
	"github.com/eve-emulation/eve/fase/report"
	"github.com/eve-emulation/eve/fase/runs"
	"github.com/eve-emulation/eve/fase/scenario"
	"github.com/eve-emulation/eve/fase/service"
)

// A view shows a run while it goes: on a terminal a few lines that are redrawn, elsewhere a plain line every few
// seconds; and in between, for good, what happens: decisions, modules that die.
type view struct {
	*screen
	plan *scenario.Plan

	mu      sync.Mutex // guards what follows
	windows map[dsv.Name]*dmm.Window
	errors  map[dsv.Name]float64 // so far
	maps    []string             // by service: where it is
	now     dsv.Instant
}

// span is the window of the figures that are shown.
const span = 2 * time.Second

func newView(plan *scenario.Plan, out io.Writer) *view {
	v := &view{
		screen: newScreen(out), plan: plan, maps: make([]string, len(plan.Topology.Services)),
		windows: map[dsv.Name]*dmm.Window{}, errors: map[dsv.Name]float64{},
	}
	wanted := map[dsv.Name]bool{}
	for _, c := range plan.Clients {
		for _, leaf := range []string{"latency", "requests", "errors"} {
			wanted[dsv.Name(c.Name+"."+leaf)] = true
		}
	}
	for _, s := range plan.Servers {
		for _, r := range runs.Resources() {
			wanted[utilisation(s.Name, r)] = true
		}
	}
	for _, m := range plan.Measures {
		if wanted[m.Name] {
			v.windows[m.Name] = dmm.NewWindow(m.Declaration(), 2*span)
		}
	}
	return v
}

// cpu is the resource that every server has.
const cpu runs.Resource = "cpu"

func utilisation(server string, r runs.Resource) dsv.Name {
	return dsv.Name(server + "." + string(r) + ".utilisation")
}

// take takes one change of a variable.
func (v *view) take(u dsv.Update) {
	if u.Name == adapt.DecisionsName {
		var d adapt.Decision
		if json.Unmarshal(u.Reading.Value.Bytes, &d) == nil {
			v.say(decision(d, v.columns()))
		}
		return
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	if w := v.windows[u.Name]; w != nil {
		if u.Delta != nil {
			w.Add(*u.Delta)
		}
		if strings.HasSuffix(string(u.Name), ".errors") {
			v.errors[u.Name], _ = u.Reading.Value.Number()
		}
		return
	}
	if svc, m, ok := v.plan.Topology.Mapping(u.Name, u.Reading.Value); ok {
		v.maps[svc] = places(m)
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

// decision tells one step of an adaptation, with the reading that caused it: below, where a line of width columns cannot
// hold both; width 0 is any.
func decision(d adapt.Decision, width int) string {
	s := fmt.Sprintf("%7.1f s  %s: %s — %s", d.At.Seconds(), d.Rule, d.Action, d.Phase)
	why := ""
	if d.Phase == "decided" && len(d.Reading) > 0 {
		why = "because " + report.Readings(d.Reading)
	}
	if d.Cause != "" {
		s += ": " + d.Cause
	}
	switch {
	case why == "":
		return s
	case width > 0 && utf8.RuneCountInString(s)+1+utf8.RuneCountInString(why) > width:
		return s + "\n           " + why
	}
	return s + " " + why
}

// tick shows the figures at an instant of the run; elsewhere than on a terminal it prints a line.
func (v *view) tick(now dsv.Instant) {
	v.mu.Lock()
	v.now = now
	lines := v.lines(v.columns())
	v.mu.Unlock()
	if v.terminal() {
		v.show(lines)
		return
	}
	v.say(strings.Join(lines, "  |  "))
}

// done leaves the last figures on the screen.
func (v *view) done() { v.leave() }

// lines are the figures: the time, a line for each group of clients, the servers, the mapping; mu is held.
func (v *view) lines(width int) []string {
	lines := []string{v.progress()}
	for _, c := range v.plan.Clients {
		lines = append(lines, v.group(c.Name))
	}
	var servers []string
	for _, s := range v.plan.Servers {
		if busy := v.server(s.Name); busy != "" {
			servers = append(servers, busy)
		}
	}
	if len(servers) > 0 {
		lines = append(lines, wrap("cpu", servers, width)...)
	}
	var where []string
	for i, m := range v.maps {
		if m != "" {
			where = append(where, v.plan.Topology.Services[i]+" on "+m)
		}
	}
	if len(where) > 0 {
		lines = append(lines, wrap("map", where, width)...)
	}
	return lines
}

// progress tells the time, with a bar on a terminal.
func (v *view) progress() string {
	s := fmt.Sprintf("%7.1f s of %g s", v.now.Seconds(), v.plan.Duration.Seconds())
	if v.terminal() {
		s += "  " + bar(v.now.Seconds()/v.plan.Duration.Seconds())
	}
	return s
}

// bar draws a share of one.
func bar(share float64) string {
	const cells = 40
	n := min(max(int(share*cells), 0), cells)
	return strings.Repeat("━", n) + strings.Repeat("╌", cells-n)
}

// short is a time in seconds as people read it.
func short(seconds float64) string { return report.Seconds(seconds) }

func (v *view) group(name string) string {
	n, _ := v.total(dsv.Name(name + ".requests"))
	h, ok := v.total(dsv.Name(name + ".latency"))
	s := fmt.Sprintf("%s  %.0f/s", name, n.Count()/v.seconds())
	if ok && !h.Empty() {
		s += fmt.Sprintf("  p50 %s  p99 %s", short(h.Quantile(0.5)), short(h.Quantile(0.99)))
	}
	s += "  errors " + report.Count(v.errors[dsv.Name(name+".errors")])
	if e, _ := v.total(dsv.Name(name + ".errors")); e.Count() > 0 {
		s += fmt.Sprintf(" (%.0f/s)", e.Count()/v.seconds())
	}
	return s
}

// server tells how busy a server's processors are, and what of it is busier.
func (v *view) server(name string) string {
	t, ok := v.total(utilisation(name, cpu))
	if !ok {
		return ""
	}
	busiest, s := max(t.Mean(), 0.1), fmt.Sprintf("%s %.0f %%", name, 100*t.Mean())
	if t.Empty() {
		busiest, s = 0.1, name+" –"
	}
	more := ""
	for _, r := range runs.Resources() {
		if t, ok := v.total(utilisation(name, r)); ok && r != cpu && !t.Empty() && t.Mean() > busiest {
			busiest, more = t.Mean(), fmt.Sprintf(" (%s %.0f %%)", r, 100*t.Mean())
		}
	}
	return s + more
}

// total sums a variable over the span that ends now. What was not written for that long has nothing in it.
func (v *view) total(name dsv.Name) (dmm.Total, bool) {
	w := v.windows[name]
	if w == nil {
		return dmm.Total{}, false
	}
	to := v.now.Add(-lag)
	return w.Sum(to.Add(-span), to), true
}

// seconds is how long the stretch is that total sums: at the beginning there is less than the span.
func (v *view) seconds() float64 {
	return min(span.Seconds(), max(v.now.Add(-lag).Seconds(), lag.Seconds()))
}

// lag is how old what is shown is: so long a synchronisation may take to arrive.
const lag = 150 * time.Millisecond

// follow shows what a space tells until ctx ends, and the state at the end.
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
	if !v.terminal() && v.plan.Duration > 10*time.Second {
		every = 5 * time.Second
	}
	timer := time.NewTimer(untilNext(clock(), every))
	defer timer.Stop()
	end := dsv.At(v.plan.Duration)
	for {
		select {
		case <-ctx.Done():
			wg.Wait()
			v.tick(min(clock(), end))
			return nil
		case <-timer.C:
			now := clock()
			if now > dsv.At(every/2) && now < end {
				v.tick(now)
			}
			timer.Reset(untilNext(now, every))
		}
	}
}

// untilNext is the time until the next multiple of every that is not just now.
func untilNext(now dsv.Instant, every time.Duration) time.Duration {
	d := every - (time.Duration(now)%every+every)%every
	if d < every/4 {
		d += every
	}
	return d
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
