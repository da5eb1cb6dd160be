package bench

import (
	"context"
	"fmt"
	"time"

	"github.com/eve-emulation/eve/dsv"
	"github.com/eve-emulation/eve/evekernel/egs"
)

// The kinds of filters; all let an event pass to the sinks whose rank is below its level.
const (
	noFilter   = "no filter"
	goFilter   = "Go"
	exprFilter = "expression"
	wasmFilter = "WebAssembly"
)

func filterKinds() []string { return []string{goFilter, exprFilter, wasmFilter} }

// lets are to how many of the eight sinks a filter lets an event go.
func lets() []int { return []int{8, 1, 0} }

// newFilter makes a filter of a kind: nil for no filter. A source releases the filter that it replaces, so that each is
// used once.
func newFilter(kind string) (egs.Filter, error) {
	c := eventChannel(channelEight)
	switch kind {
	case noFilter:
		return nil, nil //nolint:nilnil // no filter is a filter
	case exprFilter:
		return egs.FilterSpec{Expr: "sink.rank < level"}.Compile(&c)
	case wasmFilter:
		return egs.FilterSpec{Wasm: filterGuest}.Compile(&c)
	}
	return egs.FilterFunc(func(e *egs.Event, sink *egs.Sink) bool {
		rank, ok := sink.Number("rank")
		return ok && rank < e.Values[0].Float
	}), nil
}

// filters measures K4.
func (x *events) filters(ctx context.Context) error {
	x.cfg.say("K4: filters")
	alone := map[string]egs.Filter{}
	for _, kind := range filterKinds() {
		var err error
		if alone[kind], err = newFilter(kind); err != nil {
			return err
		}
	}
	defer x.bus.sources[channelEight].SetOut(nil)
	for range x.rounds {
		if err := x.filtered(ctx, noFilter, sinkCount); err != nil {
			return err
		}
		if err := x.burden(ctx, noFilter, sinkCount); err != nil {
			return err
		}
		for _, kind := range filterKinds() {
			for _, let := range lets() {
				if err := x.filtered(ctx, kind, let); err != nil {
					return err
				}
			}
			if err := x.burden(ctx, kind, sinkCount-1); err != nil {
				return err
			}
			x.pass(kind, alone[kind])
		}
		x.next()
	}
	return nil
}

// burden measures the CPU time of all processes for one event that a filter lets go to so many sinks, where events come
// one by one and nobody answers.
func (x *events) burden(ctx context.Context, kind string, let int) error {
	if err := x.setOut(kind); err != nil {
		return err
	}
	n := pick(x.cfg, 60, 5)
	before := x.cpu(x.kernel.pid())
	for range n {
		if err := x.bus.submit(ctx, channelEight, 100, float64(let), 0); err != nil {
			return err
		}
		time.Sleep(time.Millisecond)
	}
	if _, err := x.bus.ask(ctx, channelEight, 100, float64(let), let); err != nil { // all that came before is there
		return x.stalled("filter "+filterCase(kind, let), err)
	}
	x.sample("CPU, "+kind, (x.cpu(x.kernel.pid())-before)/float64(n+1))
	_, err := x.collect()
	return err
}

func (x *events) setOut(kind string) error {
	f, err := newFilter(kind)
	if err == nil {
		x.bus.sources[channelEight].SetOut(f)
	}
	return err
}

// cpu is the CPU time, in s, of all processes that have a part in events: this one, the sinks, and the kernel or server.
func (x *events) cpu(server int) float64 {
	sum := ownCPU() + processCPU(server)
	for _, s := range x.sinks {
		sum += s.cpu()
	}
	return sum
}

// filtered sends events through a filter that lets them go to so many sinks.
func (x *events) filtered(ctx context.Context, kind string, let int) error {
	if err := x.setOut(kind); err != nil {
		return err
	}
	n := pick(x.cfg, 30, 5)
	name := filterCase(kind, let)
	for range n {
		took, err := x.bus.ask(ctx, channelEight, 100, float64(let), let)
		if err != nil {
			return x.stalled("filter "+name, err)
		}
		x.sample("submission, "+name, took)
		if let == 0 {
			x.sample("handling, "+name, took)
		}
	}
	got, err := x.collect()
	if err != nil {
		return err
	}
	last := map[int64]int64{} // by when it was sent, the time until the last sink had it
	for rank, g := range got {
		if rank >= let {
			x.leaks += int(g.Count)
			x.blocked += n
			continue
		}
		for _, r := range g.List {
			last[r.Sent] = max(last[r.Sent], r.Got-r.Sent)
		}
	}
	for _, t := range last {
		x.sample("handling, "+name, float64(t)/1e9)
	}
	return nil
}

func filterCase(kind string, let int) string { return kind + ", " + toSinks(let) }

func toSinks(n int) string {
	switch n {
	case 0:
		return "to none"
	case 1:
		return "to one sink"
	}
	return fmt.Sprintf("to %d sinks", n)
}

// pass times the filter alone.
func (x *events) pass(kind string, f egs.Filter) {
	e := egs.Event{Channel: channelEight, Values: []dsv.Value{dsv.FloatValue(1), dsv.IntValue(0)}, Data: make([]byte, 68)}
	s := egs.Sink{Facts: map[string]dsv.Value{"rank": dsv.FloatValue(3)}}
	n := pick(x.cfg, 20_000, 500)
	start := time.Now()
	for range n {
		if f.Pass(&e, &s) {
			x.leaks++
		}
	}
	x.sample("filter, "+kind, time.Since(start).Seconds()/float64(n))
}
