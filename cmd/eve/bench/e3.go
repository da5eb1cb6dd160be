package bench

import (
	"context"
	"fmt"
	"net"
	"net/url"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/eve-emulation/eve/dmm"
	"github.com/eve-emulation/eve/dsv"
	"github.com/eve-emulation/eve/fase/report"
	"github.com/eve-emulation/eve/modules"
)

// e3 measures what a manipulator saves: messages, and CPU time of the kernel: E3.
type e3 struct {
	cfg   Config
	rates []float64 // updates per second of all modules together
	found map[string]map[float64]*saving
}

// A saving is what was found in one way at one rate, by round.
type saving struct{ updates, messages, cpu, seconds []float64 }

const (
	e3Modules = 4
	e3Without = "without"
)

// A way is how updates reach the kernel: as remote writes, or under a trigger.
type way struct {
	name  string
	spec  dmm.Spec
	count int // of a count trigger
}

func ways() []way {
	spec := func(n dsv.Name, t dmm.Trigger) dmm.Spec { return dmm.Spec{Name: n, Manipulator: "histogram", Sync: t} }
	return []way{
		{name: e3Without},
		{name: "count: 10", spec: spec("bench.count_10", dmm.Trigger{Count: 10}), count: 10},
		{name: "count: 100", spec: spec("bench.count_100", dmm.Trigger{Count: 100}), count: 100},
		{name: "every: 100ms", spec: spec("bench.every", dmm.Trigger{Every: 100 * time.Millisecond})},
	}
}

// A stint is what all modules do at the same time: so many updates each, at so many a second each.
type stint struct {
	way  way
	n    int
	rate float64
}

// A meter counts the messages that a connection sends: gorilla writes each with one call. Pings and pongs are none.
type meter struct {
	net.Conn
	messages *atomic.Int64
}

func (m meter) Write(b []byte) (int, error) {
	if len(b) > 0 && b[0]&0x0f < 8 { // the opcode of a WebSocket frame; from 8 on it is control
		m.messages.Add(1)
	}
	return m.Conn.Write(b)
}

func (x *e3) run(ctx context.Context, r *Report) error {
	x.cfg.say("E3: what a manipulator saves")
	x.rates = pick(x.cfg, []float64{1000, 3000, 10_000, 100_000}, []float64{1000, 10_000})
	x.found = map[string]map[float64]*saving{}
	var names []string
	for i := range e3Modules {
		names = append(names, fmt.Sprintf("probe_%d", i+1))
	}
	k, err := x.cfg.openKernel(ctx, opening{Parties: names})
	if err != nil {
		return err
	}
	defer k.stop()
	var messages atomic.Int64
	stints := make([]chan stint, e3Modules)
	var busy sync.WaitGroup
	g, gctx := errgroup.WithContext(ctx)
	ready := make(chan struct{}, e3Modules)
	for i, name := range names {
		stints[i] = make(chan stint)
		link := modules.Link{Name: name, URL: k.URL, Token: k.Token, Dial: metered(k.URL, &messages)}
		g.Go(func() error {
			return modules.Run(gctx, modules.Func(func(ctx context.Context, env *modules.Env) error {
				return x.module(ctx, env, stints[i], ready, &busy)
			}), link)
		})
	}
	g.Go(func() error {
		defer func() {
			for _, c := range stints {
				close(c)
			}
		}()
		for range names {
			select {
			case <-ready:
			case <-gctx.Done():
				return nil
			}
		}
		return x.sweep(gctx, k, stints, &busy, &messages)
	})
	if err := g.Wait(); err != nil {
		return err
	}
	x.report(r)
	return nil
}

// metered dials the kernel and counts the messages to it.
func metered(at string, messages *atomic.Int64) func(context.Context) (net.Conn, error) {
	return func(ctx context.Context) (net.Conn, error) {
		var d net.Dialer
		c, err := d.DialContext(ctx, "tcp", hostOf(at))
		return meter{c, messages}, err
	}
}

// sweep goes through all ways and rates, round by round.
func (x *e3) sweep(ctx context.Context, k *kernel, stints []chan stint, busy *sync.WaitGroup, messages *atomic.Int64) error {
	for range pick(x.cfg, 5, 2) {
		for _, rate := range x.rates {
			for _, w := range ways() {
				if w.name == e3Without && rate > 10_000 {
					continue // more than a few connections carry one after the other
				}
				if err := x.round(ctx, k, w, rate, stints, busy, messages); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

func (x *e3) round(ctx context.Context, k *kernel, w way, rate float64, stints []chan stint, busy *sync.WaitGroup, messages *atomic.Int64) error {
	each := rate / e3Modules
	s := stint{way: w, rate: each, n: 100 * max(int(each*pick(x.cfg, 0.4, 0.1))/100, 1)}
	m0, cpu0, start := messages.Load(), k.cpu(), time.Now()
	for _, c := range stints {
		busy.Add(1)
		select {
		case c <- s:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	busy.Wait()
	took := time.Since(start).Seconds()
	time.Sleep(2*w.spec.Sync.Every + 20*time.Millisecond) // the last window ends later, and then one that tells of silence
	if x.found[w.name] == nil {
		x.found[w.name] = map[float64]*saving{}
	}
	f := x.found[w.name][rate]
	if f == nil {
		f = &saving{}
		x.found[w.name][rate] = f
	}
	f.updates = append(f.updates, float64(s.n*e3Modules))
	f.messages = append(f.messages, float64(messages.Load()-m0))
	f.cpu = append(f.cpu, k.cpu()-cpu0)
	f.seconds = append(f.seconds, took)
	return ctx.Err()
}

// module is one of the modules: it does what it is told, stint by stint.
func (x *e3) module(ctx context.Context, env *modules.Env, stints <-chan stint, ready chan<- struct{}, busy *sync.WaitGroup) error {
	for _, w := range ways()[1:] {
		if err := env.Measure(w.spec); err != nil {
			return err
		}
	}
	plain := declaration("bench.plain")
	if err := env.Space().Create(ctx, plain); err != nil {
		return err
	}
	if err := env.Ready(ctx); err != nil {
		return err
	}
	ready <- struct{}{}
	for s := range stints {
		err := s.work(ctx, env)
		busy.Done()
		if err != nil {
			return err
		}
	}
	return nil
}

// work writes a stint's updates, each when it is due, or at once when it is late.
func (s stint) work(ctx context.Context, env *modules.Env) error {
	v := env.Var(s.way.spec.Name)
	start := time.Now()
	for i := range s.n {
		due := time.Duration(float64(i) / s.rate * float64(time.Second))
		if late := time.Since(start) - due; late < -500*time.Microsecond {
			time.Sleep(-late)
		}
		if v != nil {
			v.Write(env.Now(), 0.001+float64(i&1023)*1e-6)
			continue
		}
		if _, err := env.Space().Write(ctx, "bench.plain", sampleValue(i)); err != nil {
			return err
		}
	}
	return nil
}

// per divides what was found by something else that was found.
func per(u Unit, a, b []float64) Figure {
	var xs []float64
	for i := range min(len(a), len(b)) {
		xs = append(xs, a[i]/b[i])
	}
	return NewFigure(u, xs...)
}

// sustained is how many modules of the same rate one processor of the kernel carries.
func (f *saving) sustained() Figure {
	return per(One, f.seconds, f.cpu).Map(One, func(x float64) float64 { return e3Modules * x })
}

func (x *e3) report(r *Report) {
	t := &Table{
		Card: "E3", Title: "what a DMM saves: messages to the kernel, and its CPU time", Head: "messages",
		Also: []string{"updates", "updates a message", "kernel CPU", "CPU an update", "modules sustained"}, Published: "published",
		Note: fmt.Sprintf("%d modules with one histogram share the updates; sustained: how many such modules one processor of the kernel carries, from its CPU time", e3Modules),
	}
	for _, w := range ways() {
		for _, rate := range x.rates {
			f := x.found[w.name][rate]
			if f == nil {
				continue
			}
			t.Rows = append(t.Rows, Row{
				Name: w.name + ", " + PerSecond.text(rate), Ours: per(PerSecond, f.messages, f.seconds), Published: "lost",
				Also: []Figure{per(PerSecond, f.updates, f.seconds), per(One, f.updates, f.messages), per(Share, f.cpu, f.seconds), per(Seconds, f.cpu, f.updates), f.sustained()},
			})
		}
	}
	r.Tables = append(r.Tables, t)
	top := x.rates[len(x.rates)-1]
	if top > 10_000 {
		top = 10_000
	}
	without := x.found[e3Without][top]
	for _, w := range ways() {
		f := x.found[w.name][top]
		if w.count > 0 {
			fall := Ratio(per(One, without.messages, without.updates), per(One, f.messages, f.updates))
			// What comes together when the host is busy travels in one message, so they may fall by more.
			r.Shapes = append(r.Shapes, AtLeast("E3", fmt.Sprintf("messages fall by %d under %s", w.count, w.name), fall, 0.95*float64(w.count)))
		}
	}
	for _, w := range ways()[1:] {
		f := x.found[w.name][top]
		r.Shapes = append(r.Shapes, AtLeast("E3", "kernel CPU an update without a DMM over "+w.name, Ratio(per(Seconds, without.cpu, without.updates), per(Seconds, f.cpu, f.updates)), 3))
	}
	r.Charts = append(r.Charts, x.chart())
}

func (x *e3) chart() report.Chart {
	panel := func(title string, y func(*saving) Figure, unit Unit) report.ChartPanel {
		p := report.ChartPanel{Title: title, XLabel: fmt.Sprintf("updates per second, of %d modules", e3Modules), LogX: true, LogY: true, FormatX: One.text, FormatY: unit.text}
		for _, w := range ways() {
			s := report.ChartSeries{Label: w.name}
			for _, rate := range x.rates {
				if f := x.found[w.name][rate]; f != nil {
					s.Xs, s.Ys = append(s.Xs, rate), append(s.Ys, float64(y(f).Value))
				}
			}
			p.Series = append(p.Series, s)
		}
		return p
	}
	return report.Chart{
		Name: "e3-benefit", Title: "E3  What a DMM saves",
		Caption: fmt.Sprintf("Messages to the kernel, its CPU time, and how many such modules one processor of it carries, against the rate of updates of %d modules together.", e3Modules),
		Panels: []report.ChartPanel{
			panel("messages per second", func(f *saving) Figure { return per(PerSecond, f.messages, f.seconds) }, One),
			panel("CPU of the kernel", func(f *saving) Figure { return per(Share, f.cpu, f.seconds) }, Share),
			panel("modules that one processor carries", (*saving).sustained, One),
		},
	}
}

// hostOf is the HOST:PORT of a URL.
func hostOf(raw string) string {
	u, err := url.Parse(raw)
	if err != nil {
		return ""
	}
	return u.Host
}
