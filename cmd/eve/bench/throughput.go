package bench

import (
	"context"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/eve-emulation/eve/dsv"
	"github.com/eve-emulation/eve/fase/report"
)

// throughput measures batched writes: of ours over one connection and over many, recorded ones, and those of peers, in
// turns.
type throughput struct {
	cfg   Config
	sides []*side
	size  int64 // bytes of the file behind the recorded side
}

// A load is how values are written: so many connections, and on each so many batches of so many values under way.
type load struct {
	name                     string
	connections, lots, batch int
}

func loads() []load {
	return []load{{"1 connection", 1, 8, 128}, {"50 connections", 50, 1, 32}}
}

// A side is one system under one load.
type side struct {
	system string
	load   load
	write  []operation // one for each batch under way; i is the number of values
	pid    int

	rate, perCPU []float64
	total        int64
}

const (
	ours     = "eve"
	recorded = "eve, recorded"
)

func (x *throughput) run(ctx context.Context, r *Report) (err error) {
	x.cfg.say("batched writes")
	k, err := x.cfg.openKernel(ctx, opening{})
	if err != nil {
		return err
	}
	defer k.stop()
	dir, err := os.MkdirTemp("", "eve-bench-")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	rec, err := x.cfg.openKernel(ctx, opening{DB: filepath.Join(dir, "run.db")})
	if err != nil {
		return err
	}
	defer rec.stop()
	for _, l := range loads() {
		done, err := x.ours(ctx, k, ours, l, false)
		defer done()
		if err != nil {
			return err
		}
	}
	done, err := x.ours(ctx, rec, recorded, loads()[0], true)
	defer done()
	if err != nil {
		return err
	}
	peers, err := x.cfg.openPeers(ctx)
	defer closeAll(peers)
	if err != nil {
		return err
	}
	for _, p := range peers {
		for _, l := range loads() {
			write, done, err := p.batches(ctx, l.connections)
			if err != nil {
				return err
			}
			defer done()
			// What others have under way on one connection is one pipeline, of as many values.
			x.sides = append(x.sides, &side{system: p.name(), load: load{l.name, l.connections, 1, l.lots * l.batch}, write: write, pid: p.pid()})
		}
	}
	servers := []int{k.pid(), rec.pid()}
	for _, p := range peers {
		servers = append(servers, p.pid())
	}
	together, err := apart(servers)
	defer together()
	if err != nil {
		return err
	}
	for range pick(x.cfg, 25, 2) {
		for _, s := range x.sides {
			if err := s.round(ctx, pick(x.cfg, 300*time.Millisecond, 50*time.Millisecond)); err != nil {
				return fmt.Errorf("%s, %s: %w", s.system, s.load.name, err)
			}
		}
	}
	var st state
	if err := rec.call("state", nil, &st); err != nil {
		return err
	}
	x.size = st.DBBytes
	x.report(r)
	return nil
}

// ours adds a side of our own; done, which is never nil, ends its connections.
func (x *throughput) ours(ctx context.Context, k *kernel, system string, l load, history bool) (done func(), err error) {
	var clients []*client
	done = func() {
		for _, c := range clients {
			c.close()
		}
	}
	s := &side{system: system, load: l, pid: k.pid()}
	for c := range l.connections {
		p, err := k.dial(ctx)
		if err != nil {
			return done, err
		}
		clients = append(clients, p)
		w, err := p.Welcome(ctx)
		if err != nil {
			return done, err
		}
		for lot := range l.lots {
			n := dsv.Name(fmt.Sprintf("bench.lot_%d_%02d_%02d", l.connections, c, lot))
			if err := p.Create(ctx, dsv.Declaration{Name: n, Kind: dsv.Float, Unit: "s", History: history}); err != nil {
				return done, err
			}
			s.write = append(s.write, writeLot(p, n, dsv.WriterID(w.Writer), uint32(w.Epoch), l.batch))
		}
	}
	x.sides = append(x.sides, s)
	return done, nil
}

// writeLot writes batches of single samples of a smooth series, one a millisecond.
func writeLot(p *client, n dsv.Name, writer dsv.WriterID, epoch uint32, batch int) operation {
	deltas := make([]dsv.Delta, batch)
	seq := uint64(0)
	return func(ctx context.Context, values int) error {
		for i := range deltas[:values] {
			seq++
			t := dsv.Instant(seq) * 1e6
			deltas[i] = dsv.Delta{
				Name: n, Writer: writer, Epoch: epoch, Seq: seq, T0: t - 1e6, T1: t, Weight: 1,
				Value: dsv.FloatValue(math.Round(1e6*(0.01+0.001*math.Sin(float64(seq)/500))) / 1e6), // a response time, to the microsecond
			}
		}
		return p.Sync(ctx, deltas[:values])
	}
}

// round writes for a while with all batches under way.
func (s *side) round(ctx context.Context, d time.Duration) error {
	var n atomic.Int64
	for _, w := range s.write { // connections and codes are warm
		if err := w(ctx, s.load.batch); err != nil {
			return err
		}
		s.total += int64(s.load.batch)
	}
	g, gctx := errgroup.WithContext(ctx)
	cpu, start := processCPU(s.pid), time.Now()
	var last sync.Mutex
	end := start
	for _, w := range s.write {
		g.Go(func() error {
			for time.Since(start) < d {
				if err := w(gctx, s.load.batch); err != nil {
					return err
				}
				n.Add(int64(s.load.batch))
			}
			last.Lock()
			end = time.Now()
			last.Unlock()
			return nil
		})
	}
	if err := g.Wait(); err != nil {
		return err
	}
	s.total += n.Load()
	s.rate = append(s.rate, float64(n.Load())/end.Sub(start).Seconds())
	s.perCPU = append(s.perCPU, float64(n.Load())/(processCPU(s.pid)-cpu))
	return nil
}

func (x *throughput) side(system, load string) *side {
	i := slices.IndexFunc(x.sides, func(s *side) bool { return s.system == system && s.load.name == load })
	if i < 0 {
		return &side{}
	}
	return x.sides[i]
}

func (x *throughput) report(r *Report) {
	t := &Table{
		Card: "speed", Title: "batched writes of floats", Head: "eve", Peers: x.cfg.Peers,
		Note: "1 connection: 8 callers with batches of 128, of peers one pipeline of 1024; 50 connections: one caller each with batches of 32",
	}
	row := func(name string, pick func(*side) []float64, load string, system string) {
		w := Row{Name: name, Ours: NewFigure(PerSecond, pick(x.side(system, load))...), Peers: map[string]Figure{}}
		for _, p := range x.cfg.Peers {
			w.Peers[p] = NewFigure(PerSecond, pick(x.side(p, load))...)
		}
		t.Rows = append(t.Rows, w)
	}
	rate, perCPU := func(s *side) []float64 { return s.rate }, func(s *side) []float64 { return s.perCPU }
	for _, l := range loads() {
		row(l.name, rate, l.name, ours)
		row(l.name+", for each CPU second of the server", perCPU, l.name, ours)
	}
	one := loads()[0].name
	rec := x.side(recorded, one)
	t.Rows = append(t.Rows,
		Row{Name: one + ", recorded", Ours: NewFigure(PerSecond, rec.rate...)},
		Row{Name: one + ", recorded, for each CPU second of the kernel", Ours: NewFigure(PerSecond, rec.perCPU...)},
		Row{Name: "file, for each sample of a smooth series", Ours: NewFigure(Bytes, float64(x.size)/float64(rec.total))},
	)
	r.Tables = append(r.Tables, t)
	r.Shapes = append(r.Shapes,
		goal(AtLeast("speed", "batched writes over one connection", NewFigure(PerSecond, x.side(ours, one).rate...), 1.5e6)),
		goal(AtLeast("speed", "samples recorded for each CPU second of the kernel", NewFigure(PerSecond, rec.perCPU...), 1e6)),
		goal(AtMost("speed", "file for each sample of a smooth series", NewFigure(Bytes, float64(x.size)/float64(rec.total)), 6)),
	)
	many := loads()[1].name
	if slices.Contains(x.cfg.Peers, "redis") {
		a, b := NewFigure(PerSecond, x.side(ours, many).perCPU...), NewFigure(PerSecond, x.side("redis", many).perCPU...)
		r.Shapes = append(r.Shapes, goal(AtLeast("speed", "50 connections, updates for each CPU second of the server, over Redis", Ratio(a, b), 1)))
	}
	r.Charts = append(r.Charts, x.chart())
}

func (x *throughput) chart() report.Chart {
	panel := func(title string, pick func(*side) []float64) report.ChartPanel {
		p := report.ChartPanel{Title: title, LogY: true, FormatY: millions}
		for _, l := range loads() {
			p.Groups = append(p.Groups, l.name)
		}
		for _, system := range append([]string{ours, recorded}, x.cfg.Peers...) {
			s := report.ChartSeries{Label: system}
			for _, l := range loads() {
				s.Ys = append(s.Ys, float64(NewFigure(PerSecond, pick(x.side(system, l.name))...).Value))
			}
			p.Series = append(p.Series, s)
		}
		return p
	}
	return report.Chart{
		Name: "batched-writes", Title: "Batched writes",
		Caption: "Updates acknowledged in a second, and in a second of CPU time of the server, which does not depend on the client's speed.",
		Panels: []report.ChartPanel{
			panel("updates per second", func(s *side) []float64 { return s.rate }),
			panel("updates per CPU second of the server", func(s *side) []float64 { return s.perCPU }),
		},
	}
}

// millions writes large counts shortly: 1.5 M, 300 k.
func millions(x float64) string {
	switch {
	case x >= 1e6:
		return One.text(x/1e6) + " M"
	case x >= 1e3:
		return One.text(x/1e3) + " k"
	}
	return One.text(x)
}
