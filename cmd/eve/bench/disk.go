package bench

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/eve-emulation/eve/fase/files"
	"github.com/eve-emulation/eve/fase/report"
)

// Disk measures servers of real files: one loop that waits for the disk itself beside one with helpers (F1), and SEDA's table
// (S2).
func Disk(ctx context.Context, cfg Config) (*Report, error) {
	spec := shelfSpec{Directories: pick(cfg, 24, 2)}
	return measure("disk", cfg, func(r *Report) (err error) {
		set, held, err := spec.hold(ctx)
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, held.Close()) }()
		f1, s2 := &f1{cfg: cfg, set: set}, &s2{cfg: cfg, set: set, files: held}
		if err := f1.run(ctx, r); err != nil {
			return err
		}
		return s2.run(ctx, r)
	})
}

// The engines of F1: a single loop without and with helpers.
const (
	spedEngine  = "sped-epoll-lt"
	ampedEngine = "amped"
)

// f1 takes both engines in turns through caches that hold less and less of the files.
type f1 struct {
	cfg    Config
	set    *files.Set
	stocks []stock
	direct bool
}

// A stock is what a cache of one size does for both engines.
type stock struct {
	share  float64 // of the bytes of all files; 1: all
	misses float64 // share of the requests, as computed
	cells  map[string]*shelfCell
}

// shelfCell is one engine in one stock.
type shelfCell struct {
	part  *part
	door  shelved
	rate  []float64 // answers per second
	cpu   []float64 // s of the server's process for an answer
	p99   []float64
	bytes []float64 // per second
}

func (x *f1) directories() int { return x.set.Config().Directories }

func (x *f1) run(ctx context.Context, r *Report) error {
	set := x.set
	x.cfg.say("F1: %d MiB of files, in caches of all and less of them; %s and %s in turns", set.Bytes()>>20, spedEngine, ampedEngine)
	defer x.close()
	for _, share := range pick(x.cfg, []float64{1, 0.5, 0.25, 0.1, 0.03, 0.01}, []float64{1, 0.05}) {
		q := stock{share: share, cells: map[string]*shelfCell{}}
		cache := int64(share * float64(set.Bytes()))
		q.misses = max(1-set.HitRatio(cache).Requests, 0)
		x.stocks = append(x.stocks, q)
		for _, name := range []string{spedEngine, ampedEngine} {
			p, d, err := x.cfg.openShelf(ctx, shelfSpec{Engine: name, Directories: x.directories(), Cache: cache, Helpers: helpers(name)})
			if err != nil {
				return fmt.Errorf("%s: %w", name, err)
			}
			q.cells[name] = &shelfCell{part: p, door: d}
			x.direct = d.Direct
			if err := x.warm(ctx, p, d, set.Len(), share, set.Path); err != nil {
				return fmt.Errorf("%s: %w", name, err)
			}
		}
	}
	readers, err := x.cfg.partOn(ctx, clientCPU, "readers")
	if err != nil {
		return err
	}
	defer readers.stop()
	for round := range pick(x.cfg, 19, 2) { // many short ones, so that what else the machine does meets both engines alike
		for i, q := range x.stocks {
			if round%2 == 1 && i > 0 && i < len(x.stocks)-1 { // the first and the last are judged, the others drawn
				continue
			}
			names := []string{spedEngine, ampedEngine}
			for i := range names {
				if err := x.round(readers, q.cells[names[(i+round)%2]]); err != nil {
					return err
				}
			}
		}
	}
	x.report(r)
	return nil
}

// helpers is how many threads wait for the disk: those of amped.
func helpers(engine string) int {
	if engine == ampedEngine {
		return 8
	}
	return 1
}

func (x *f1) close() {
	for _, q := range x.stocks {
		for _, c := range q.cells {
			c.part.stop()
		}
	}
}

// warm fills the cache: every file is got once where all have room, else files are drawn for a while.
func (x *f1) warm(ctx context.Context, p *part, d shelved, n int, share float64, path func(int) string) error {
	s := readersSpec{Address: d.TCP, Readers: 8, For: pick(x.cfg, time.Second, 20*time.Millisecond)}
	if share < 1 {
		_, err := s.read(ctx)
		return err
	}
	one := &reader{spec: readersSpec{Address: d.TCP}} // which is used by hand
	defer one.hangUp()
	late, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	for i := range n {
		one.request = readersSpec{Path: onePlace + path(i)}.request()
		if _, err := one.ask(late); err != nil {
			return err
		}
	}
	return nil
}

// round measures one engine for a while.
func (x *f1) round(readers *part, c *shelfCell) error {
	s := readersSpec{
		Address: c.door.TCP, Readers: pick(x.cfg, 64, 8),
		Warm: pick(x.cfg, 100*time.Millisecond, 10*time.Millisecond), For: pick(x.cfg, 450*time.Millisecond, 40*time.Millisecond),
	}
	before := c.part.cpu()
	h, err := s.on(readers)
	if err != nil {
		return err
	}
	used := c.part.cpu() - before
	if h.Failed > 0 {
		return fmt.Errorf("%d of %d requests failed: %s", h.Failed, h.Answers+h.Failed, h.Why)
	}
	c.rate = append(c.rate, float64(h.Answers)/h.Seconds)
	c.bytes = append(c.bytes, h.Bytes/h.Seconds)
	c.p99 = append(c.p99, h.P99)
	c.cpu = append(c.cpu, used/float64(h.All))
	return nil
}

func (q stock) name() string { return report.Share(q.share) + " of the files cached" }

func (x *f1) report(r *Report) {
	t := &Table{
		Card: "F1", Title: fmt.Sprintf("%d readers of %d directories of files, drawn by Zipf's law", pick(x.cfg, 64, 8), x.directories()),
		Head: ampedEngine, Also: []string{"p99", "CPU", "computed misses", "p99 of " + spedEngine, "CPU of " + spedEngine},
		Peers: []string{spedEngine}, Published: "Pai et al. 1999",
		Note: "answers per second, by medians of rounds; CPU is the server's, for an answer; the ratio is amped over sped",
	}
	for i, q := range x.stocks {
		a, s := q.cells[ampedEngine], q.cells[spedEngine]
		row := Row{
			Name: q.name(), Ours: NewFigure(PerSecond, a.rate...), Peers: map[string]Figure{spedEngine: NewFigure(PerSecond, s.rate...)},
			Also: []Figure{
				NewFigure(Seconds, a.p99...), NewFigure(Seconds, a.cpu...), NewFigure(Share, q.misses),
				NewFigure(Seconds, s.p99...), NewFigure(Seconds, s.cpu...),
			},
		}
		switch i {
		case 0:
			row.Published = "level"
		case len(x.stocks) - 1:
			row.Published = "SPED falls behind"
		}
		t.Rows = append(t.Rows, row)
	}
	r.Tables = append(r.Tables, t)
	ratio := func(q stock) Figure {
		return Ratio(NewFigure(PerSecond, q.cells[ampedEngine].rate...), NewFigure(PerSecond, q.cells[spedEngine].rate...))
	}
	first, last := x.stocks[0], x.stocks[len(x.stocks)-1]
	cpu := func(q stock) Figure {
		return Ratio(NewFigure(Seconds, q.cells[ampedEngine].cpu...), NewFigure(Seconds, q.cells[spedEngine].cpu...))
	}
	r.Shapes = append(r.Shapes,
		Within("F1", "all cached: CPU of amped for an answer over sped", cpu(first), 0.9, 1.1),
		Within("F1", "all cached: amped over sped", ratio(first), 0.9, 1.1),
		AtLeast("F1", report.Share(last.share)+" cached: amped over sped", ratio(last), 1.3))
	if !x.direct {
		r.Notes = append(r.Notes, "The file system takes no direct reads here: files come through the kernel's page cache, and the disk is hardly ever waited for.")
	}
	r.Charts = append(r.Charts, x.chart())
}

func (x *f1) chart() report.Chart {
	panel := func(title string, unit Unit, y func(*shelfCell) []float64) report.ChartPanel {
		p := report.ChartPanel{Title: title, XLabel: "share of the files that the cache holds", LogX: true, FormatX: Share.text, FormatY: unit.text}
		for _, name := range []string{spedEngine, ampedEngine} {
			s := report.ChartSeries{Label: name}
			for _, q := range x.stocks {
				s.Xs, s.Ys = append(s.Xs, q.share), append(s.Ys, float64(NewFigure(unit, y(q.cells[name])...).Value))
			}
			p.Series = append(p.Series, s)
		}
		return p
	}
	return report.Chart{
		Name: "f1-disk", Title: "F1  Cached and disk-bound files: one loop, without and with helpers",
		Caption: "While everything is cached both are level. The less is, the more often the single loop stands still for the disk, and serves nobody meanwhile.",
		Panels: []report.ChartPanel{
			panel("answers per second", PerSecond, func(c *shelfCell) []float64 { return c.rate }),
			panel("response time, p99", Seconds, func(c *shelfCell) []float64 { return c.p99 }),
		},
	}
}
