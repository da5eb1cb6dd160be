package bench

import (
	"context"
	"math"
	"time"

	"github.com/eve-emulation/eve/dsv"
	"github.com/eve-emulation/eve/fase/report"
)

// shedders runs SEDA's two controllers: load shedding (S3) and overload control (S4), for real and in virtual time.
type shedders struct{ cfg Config }

// A shed is what a service did with its requests in one run.
type shed struct {
	p50, p90, most  float64 // s, of those that were served
	rejected, rate  float64 // share; served per second
	seconds, p90s   []float64
	shares, moved   []float64 // per second: share rejected, what the controller has set
	served, refused float64
}

// The services of flash-crowd-admission: that of the server with the controller, and that of the one without.
const (
	controlled   = "shop"
	uncontrolled = "other"
)

func (x *shedders) run(ctx context.Context, r *Report) error {
	set := pick(x.cfg, []string{"duration=70s"}, []string{"duration=5s", "warmup=4s", "clients.crowd.start=1s", "clients.others_crowd.start=1s"})
	var with, without [2]shed // for real, in virtual time
	read := func(i int) func(trial) error {
		return func(t trial) (err error) {
			if with[i], err = t.shed(controlled, "server_1.admit.rate"); err != nil {
				return err
			}
			without[i], err = t.shed(uncontrolled, "")
			return err
		}
	}
	x.cfg.say("S4: 3 users become 1000, on real sockets for %s", set[0][len("duration="):])
	if err := x.both(ctx, "flash-crowd-admission", set, read(0), read(1)); err != nil {
		return err
	}
	x.overload(r, with, without)

	set = pick(x.cfg, []string{"duration=65s"}, []string{"duration=5s", "warmup=4s"})
	var page [2]shed
	at := func(i int) func(trial) error {
		return func(t trial) (err error) {
			page[i], err = t.shed("web", "server_1.admit.threshold")
			return err
		}
	}
	x.cfg.say("S3: 1024 users of pages of 40 ms, on real sockets for %s", set[0][len("duration="):])
	if err := x.both(ctx, "shedding", set, at(0), at(1)); err != nil {
		return err
	}
	x.shedding(r, page)
	return nil
}

// both runs a shipped scenario for real, and the same in virtual time.
func (x *shedders) both(ctx context.Context, name string, set []string, real, inSim func(trial) error) error {
	if err := x.cfg.real(ctx, name, set, real); err != nil {
		return err
	}
	return inVirtualTime(ctx, name, set, inSim)
}

// shed reads what became of the requests of a service; moved is the variable that the controller sets, if there is one.
func (t trial) shed(svc string, moved dsv.Name) (s shed, err error) {
	from, to := t.bounds()
	h, err := t.hist(dsv.Name(svc+".residence"), from, to)
	if err != nil {
		return s, err
	}
	s.p50, s.p90, s.most = h.Quantile(0.5), h.Quantile(0.9), h.Max()
	s.served = float64(h.Count())
	if s.refused, err = t.sum(dsv.Name(svc+".rejected"), from, to); err != nil {
		return s, err
	}
	s.rejected = s.refused / (s.refused + s.served)
	s.rate = s.served / to.Sub(from).Seconds()
	for at := dsv.Instant(0); at < to; at += dsv.At(time.Second) {
		next := min(at+dsv.At(time.Second), to)
		h, err := t.hist(dsv.Name(svc+".residence"), at, next)
		if err != nil {
			return s, err
		}
		refused, err := t.sum(dsv.Name(svc+".rejected"), at, next)
		if err != nil {
			return s, err
		}
		last := math.NaN()
		if moved != "" {
			if err := t.h.History(moved, at, next, func(u dsv.Update) error {
				if u.Delta != nil {
					last, _ = u.Delta.Value.Number()
				}
				return nil
			}); err != nil {
				return s, err
			}
		}
		s.seconds = append(s.seconds, next.Seconds())
		s.p90s, s.moved = append(s.p90s, h.Quantile(0.9)), append(s.moved, last)
		s.shares = append(s.shares, refused/(refused+float64(h.Count())))
	}
	return s, nil
}

// row is one run as a row of a table.
func (s shed) row(name, published string) Row {
	return Row{
		Name: name, Ours: NewFigure(Seconds, s.p90), Published: published,
		Also: []Figure{NewFigure(Seconds, s.p50), NewFigure(Seconds, s.most), NewFigure(Share, s.rejected), NewFigure(PerSecond, s.rate)},
	}
}

func shedTable(card, title string) *Table {
	return &Table{
		Card: card, Title: title, Head: "p90", Also: []string{"p50", "max", "rejected", "served"}, Published: "published",
		Note: "response times of those who were served, at the server",
	}
}

// target is that of the controller of flash-crowd-admission, in s, and pageTarget that of shedding.
const (
	crowdTarget = 1.0
	pageTarget  = 5.0
)

func (x *shedders) overload(r *Report, with, without [2]shed) {
	t := shedTable("S4", "3 users become 1000: SEDA's overload control with a target of 1 s, from 20 s after the crowd on")
	t.Rows = []Row{
		with[0].row("controller, real sockets", "a small bump; 70–80 % rejected"),
		with[1].row("controller, virtual time", ""),
		without[0].row("none, real sockets", "above 100 s"),
		without[1].row("none, virtual time", ""),
	}
	r.Tables = append(r.Tables, t)
	r.Shapes = append(r.Shapes,
		AtMost("S4", "p90 of the served over the target, with the controller, from 20 s on", NewFigure(One, with[0].p90/crowdTarget), 2),
		AtLeast("S4", "p50 over the target, without", NewFigure(One, without[0].p50/crowdTarget), 10),
		Within("S4", "share rejected", NewFigure(Share, with[0].rejected), 0.65, 0.85),
		Within("S4", "real p50 over that in virtual time, without", NewFigure(One, without[0].p50/without[1].p50), 0.95, 1.05),
	)
	lines := func(y func(shed) []float64) []report.ChartSeries {
		return []report.ChartSeries{
			{Label: "controller", Xs: with[0].seconds, Ys: y(with[0])},
			{Label: "controller, virtual time", Xs: with[1].seconds, Ys: y(with[1])},
			{Label: "no control", Xs: without[0].seconds, Ys: y(without[0])},
		}
	}
	p90 := lines(func(s shed) []float64 { return s.p90s })
	end := with[0].seconds[len(with[0].seconds)-1]
	p90 = append(p90, report.ChartSeries{Label: "twice the target", Bound: true, Xs: []float64{0, end}, Ys: []float64{2 * crowdTarget, 2 * crowdTarget}})
	r.Charts = append(r.Charts, report.Chart{
		Name: "s4-overload-control", Title: "S4  Overload control: 3 users become 1000 at 10 s",
		Caption: "Without control everybody waits for as long as the crowd stays. With it most are told so at once, and who is served is served in time.",
		Panels: []report.ChartPanel{
			{Title: "p90 of the served, each second", XLabel: "time (s)", LogY: true, FormatY: Seconds.text, Series: p90},
			{Title: "share rejected", XLabel: "time (s)", FormatY: func(y float64) string { return Share.text(math.Abs(y)) }, Series: lines(func(s shed) []float64 { return s.shares })[:2]},
			{Title: "rate that the controller sets", XLabel: "time (s)", FormatY: PerSecond.text, Series: lines(func(s shed) []float64 { return s.moved })[:2]},
		},
	})
}

func (x *shedders) shedding(r *Report, page [2]shed) {
	t := shedTable("S3", "1024 users of pages of 40 ms: SEDA's load shedding with a target of 5 s")
	t.Rows = []Row{
		page[0].row("real sockets", "p90 11.8 s, max 22.1 s; 98 % rejected"),
		page[1].row("virtual time", ""),
	}
	r.Tables = append(r.Tables, t)
	r.Shapes = append(r.Shapes,
		AtMost("S3", "p90 of the served", NewFigure(Seconds, page[0].p90), 11.8),
		AtMost("S3", "the slowest of the served", NewFigure(Seconds, page[0].most), 22.1),
		Within("S3", "share rejected", NewFigure(Share, page[0].rejected), 0.95, 0.99),
		Within("S3", "served over what 40 ms allow", NewFigure(One, page[0].rate/25), 0.97, 1.03),
	)
	lines := func(y func(shed) []float64) []report.ChartSeries {
		return []report.ChartSeries{{Label: "real sockets", Xs: page[0].seconds, Ys: y(page[0])}, {Label: "virtual time", Xs: page[1].seconds, Ys: y(page[1])}}
	}
	p90 := lines(func(s shed) []float64 { return s.p90s })
	end := page[0].seconds[len(page[0].seconds)-1]
	p90 = append(p90, report.ChartSeries{Label: "target", Bound: true, Xs: []float64{0, end}, Ys: []float64{pageTarget, pageTarget}})
	r.Charts = append(r.Charts, report.Chart{
		Name: "s3-shedding", Title: "S3  Load shedding: 1024 users of pages of 40 ms, a target of 5 s",
		Caption: "The bound of the pool is halved while those leave who were let in before; then it grows by 2 every 200 pages.",
		Panels: []report.ChartPanel{
			{Title: "p90 of the served, each second", XLabel: "time (s)", FormatY: Seconds.text, Series: p90},
			{Title: "bound of the pool", XLabel: "time (s)", FormatY: One.text, Series: lines(func(s shed) []float64 { return s.moved })},
		},
	})
}
