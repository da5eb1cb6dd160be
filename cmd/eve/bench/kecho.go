package bench

import (
	"context"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/eve-emulation/eve/evekernel/egs"
	"github.com/eve-emulation/eve/fase/report"
	"github.com/eve-emulation/eve/internal/mono"
)

// KEcho repeats the load balancing of KECho: what forwarding does for response times (K5, in virtual time), and what the events cost
// by which servers tell their load and hand requests on (K6 to K8, in processes).
func KEcho(ctx context.Context, cfg Config) (*Report, error) {
	f, o := &forwarder{cfg: cfg}, &overhead{cfg: cfg, rounds: pick(cfg, 9, 2), cells: map[string]*burden{}}
	return measure("kecho", cfg,
		func(r *Report) error { return f.run(ctx, r) },
		func(r *Report) error { return o.run(ctx, r) },
	)
}

// overhead measures K6 to K8. One process stands for the servers that tell and hand on, eight others for those that are told and
// asked, as the published servers were members of one channel each.
type overhead struct {
	cfg    Config
	rounds int
	x      *events
	cells  map[string]*burden

	seen, passed atomic.Int64 // answers that came to the IN-filter, and that it let through
	spent        atomic.Int64 // ns in it
	broken       int          // requests with other than one answer
	asked        int
}

// burden is what balancing cost at one setting, over the rounds: CPU seconds per second, and seconds within the IN-filter for each
// request that was handed on.
type burden struct {
	all, handling, filter []float64
}

// traffic is what goes over the channels for one measurement.
type traffic struct {
	name   string
	loads  float64 // load events per second, of all servers; each goes to eight
	passes float64 // requests handed on per second
	to     int     // servers that each of them is handed to
}

const (
	k6Capacity  = 26.3 // requests of 38 ms that one server can do in a second
	k6LoadEvery = 10.0 // load events per server and second
)

func k6(rate float64) traffic {
	return traffic{"K6 " + PerSecond.text(rate), k6LoadEvery * sinkCount, max(0, rate-k6Capacity), 1}
}

func k7(perServer float64) traffic {
	return traffic{"K7 " + PerSecond.text(perServer), perServer * sinkCount, 10, 1}
}

func k8(n int) traffic {
	return traffic{fmt.Sprintf("K8 %d", n), k6LoadEvery * sinkCount, 20, n}
}

func k6Rates() []float64 { return []float64{20, 30, 40, 50} }
func k7Rates() []float64 { return []float64{1, 10, 50, 100} }
func k8Counts() []int    { return []int{1, 2, 3, 4, 5} }

func (o *overhead) run(ctx context.Context, r *Report) error {
	o.x = &events{cfg: o.cfg, times: map[string]*sampler{}}
	defer o.x.close()
	if err := o.x.open(ctx); err != nil {
		return err
	}
	o.cfg.say("K6 to K8: what balancing by events costs")
	o.x.bus.back.SetIn(egs.FilterFunc(o.first))
	f, err := newFilter(goFilter)
	if err != nil {
		return err
	}
	o.x.bus.sources[channelEight].SetOut(f)
	list := []traffic{}
	for _, rate := range k6Rates() {
		list = append(list, k6(rate))
	}
	for _, rate := range k7Rates() {
		list = append(list, k7(rate))
	}
	for _, n := range k8Counts() {
		list = append(list, k8(n))
	}
	for range o.rounds {
		idle, err := o.carry(ctx, traffic{})
		if err != nil {
			return err
		}
		for _, t := range list {
			got, err := o.carry(ctx, t)
			if err != nil {
				return fmt.Errorf("%s: %w", t.name, err)
			}
			b := o.cells[t.name]
			if b == nil {
				b = &burden{}
				o.cells[t.name] = b
			}
			b.all = append(b.all, got.all-idle.all)
			b.handling = append(b.handling, got.handling-idle.handling)
			b.filter = append(b.filter, got.filter)
		}
		if _, err := o.x.collect(); err != nil {
			return err
		}
	}
	o.report(r)
	return nil
}

// first is the IN-filter of answers: the first one to a request passes, its duplicates do not.
func (o *overhead) first(*egs.Event, *egs.Sink) bool {
	start := mono.Now()
	pass := o.seen.Add(1) == 1
	if pass {
		o.passed.Add(1)
	}
	o.spent.Add(mono.Now() - start)
	return pass
}

// used is CPU seconds per second, of all processes and of those that were told; and the time within the IN-filter, s for each
// request that was handed on.
type used struct{ all, handling, filter float64 }

// carry has the traffic flow for a while.
func (o *overhead) carry(ctx context.Context, t traffic) (used, error) {
	length := pick(o.cfg, time.Second, 100*time.Millisecond)
	from := used{o.x.cpu(o.x.kernel.pid()), o.sinks(), float64(o.spent.Load()) / 1e9}
	start := mono.Now()
	loads, passes := 0, 0
	for {
		now := float64(mono.Now()-start) / 1e9
		if now >= length.Seconds() {
			break
		}
		for ; float64(loads) < now*t.loads; loads++ {
			if err := o.x.bus.submit(ctx, channelEight, 100, sinkCount, 0); err != nil {
				return used{}, err
			}
		}
		for ; float64(passes) < now*t.passes; passes++ {
			if err := o.hand(ctx, t.to); err != nil {
				return used{}, err
			}
		}
		time.Sleep(time.Millisecond)
	}
	took := float64(mono.Now()-start) / 1e9
	return used{
		(o.x.cpu(o.x.kernel.pid()) - from.all) / took, (o.sinks() - from.handling) / took,
		(float64(o.spent.Load())/1e9 - from.filter) / float64(max(passes, 1)),
	}, nil
}

// hand hands one request to n servers and waits for the first answer, and until all others have come to the filter.
func (o *overhead) hand(ctx context.Context, n int) error {
	o.seen.Store(0)
	o.passed.Store(0)
	o.asked++
	if err := o.x.bus.submit(ctx, channelEight, 100, float64(n), 1); err != nil {
		return err
	}
	if err := await(ctx, o.x.bus, 1); err != nil {
		return o.x.stalled("a request that was handed on", err)
	}
	for late := mono.Now() + int64(answerTimeout); o.seen.Load() < int64(n); time.Sleep(50 * time.Microsecond) {
		if mono.Now() > late {
			return o.x.stalled("duplicates of an answer", errNoAnswer)
		}
	}
	if o.passed.Load() != 1 {
		o.broken++
	}
	return nil
}

func (o *overhead) sinks() float64 {
	sum := 0.0
	for _, s := range o.x.sinks {
		sum += s.cpu()
	}
	return sum
}

// ratio is that of two settings, round by round.
func (o *overhead) ratio(a, b traffic, of func(*burden) []float64) Figure {
	xs, ys := of(o.cells[a.name]), of(o.cells[b.name])
	out := make([]float64, len(xs))
	for i := range xs {
		out[i] = xs[i] / max(ys[i], 1e-9)
	}
	return NewFigure(One, out...)
}

func (o *overhead) report(r *Report) {
	t := &Table{
		Card: "K6–K8", Title: "what it costs eight servers to balance by events", Head: "CPU", Also: []string{"of it handling", "IN-filter per request"}, Published: "KECho",
		Note: "CPU seconds per second of all processes, beyond what they take idle; handling: at those who are told and asked. K6: requests of 38 ms per second to one server, what it cannot do is handed on, each server tells its load ten times a second. K7: load events per server and second. K8: 20 requests per second are handed to so many servers",
	}
	row := func(x traffic, published string) Row {
		b := o.cells[x.name]
		row := Row{Name: x.name, Ours: NewFigure(Share, b.all...), Also: []Figure{NewFigure(Share, b.handling...), NewFigure(Seconds, b.filter...)}, Published: published}
		t.Rows = append(t.Rows, row)
		return row
	}
	panel := func(title, label string) report.ChartPanel {
		return report.ChartPanel{Title: title, XLabel: label, FormatY: func(v float64) string { return Share.text(max(v, 0)) }, Series: []report.ChartSeries{{Label: "all"}, {Label: "handling"}}}
	}
	put := func(p *report.ChartPanel, x float64, row Row) {
		all := float64(row.Ours.Value)
		for i, y := range []float64{all, float64(row.Also[0].Value)} {
			p.Series[i].Xs, p.Series[i].Ys = append(p.Series[i].Xs, x), append(p.Series[i].Ys, y)
		}
	}
	p6, p7, p8 := panel("K6", "requests per second"), panel("K7", "load events per server and second"), panel("K8", "servers that each request is handed to")
	for _, rate := range k6Rates() {
		put(&p6, rate, row(k6(rate), "nearly flat; handling 70 %"))
	}
	for _, rate := range k7Rates() {
		put(&p7, rate, row(k7(rate), "grows"))
	}
	for _, n := range k8Counts() {
		put(&p8, float64(n), row(k8(n), "nearly flat; the IN-filter grows most"))
	}
	r.Tables = append(r.Tables, t)
	r.Charts = append(r.Charts, report.Chart{
		Name: "k6-overhead", Title: "K6–K8  The overhead of load balancing by events", Panels: []report.ChartPanel{p6, p7, p8},
		Caption: "CPU seconds per second of all processes. Published: nearly flat against the rate of requests, growing with the frequency of load events, nearly flat against the number of servers asked.",
	})
	all, filter := func(b *burden) []float64 { return b.all }, func(b *burden) []float64 { return b.filter }
	var shares []float64
	for i, x := range o.cells[k6(50).name].handling {
		shares = append(shares, x/max(o.cells[k6(50).name].all[i], 1e-9))
	}
	r.Shapes = append(r.Shapes,
		AtMost("K6", "overhead at 50/s over that at 20/s", o.ratio(k6(50), k6(20), all), 2),
		Within("K6", "share of handling, 50/s", NewFigure(Share, shares...), 0.4, 0.95),
		AtLeast("K7", "overhead with 100 load events per second over 10", o.ratio(k7(100), k7(10), all), 2),
		AtLeast("K7", "overhead with 50 load events per second over 10", o.ratio(k7(50), k7(10), all), 1.5),
		AtMost("K8", "overhead of asking five servers over one", o.ratio(k8(5), k8(1), all), 2),
		AtLeast("K8", "IN-filter with five servers over one", o.ratio(k8(5), k8(1), filter), 2),
		Always("K8", "requests with another number of answers than one", o.broken, o.asked),
	)
}
