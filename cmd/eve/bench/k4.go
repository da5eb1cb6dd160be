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

// makeFilters compiles them.
func (x *events) makeFilters() {
	x.filter = map[string]egs.Filter{noFilter: nil}
	x.filter[goFilter] = egs.FilterFunc(func(e *egs.Event, sink *egs.Sink) bool {
		rank, ok := sink.Number("rank")
		return ok && rank < e.Values[0].Float
	})
	c := eventChannel(channelEight)
	for kind, spec := range map[string]egs.FilterSpec{
		exprFilter: {Expr: "sink.rank < level"}, wasmFilter: {Wasm: filterGuest},
	} {
		f, err := spec.Compile(&c)
		if err != nil {
			x.missing = append(x.missing, fmt.Sprintf("no %s filter: %v", kind, err))
			continue
		}
		x.filter[kind] = f
	}
}

// filters measures K4.
func (x *events) filters(ctx context.Context) error {
	x.cfg.say("K4: filters")
	x.makeFilters()
	defer x.bus.sources[channelEight].SetOut(nil)
	for range x.rounds {
		if err := x.filtered(ctx, noFilter, sinkCount); err != nil {
			return err
		}
		for _, kind := range filterKinds() {
			if x.filter[kind] == nil {
				continue
			}
			for _, let := range lets() {
				if err := x.filtered(ctx, kind, let); err != nil {
					return err
				}
			}
			x.pass(kind)
		}
		x.next()
	}
	return nil
}

// filtered sends events through a filter that lets them go to so many sinks.
func (x *events) filtered(ctx context.Context, kind string, let int) error {
	src := x.bus.sources[channelEight]
	src.SetOut(x.filter[kind])
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
func (x *events) pass(kind string) {
	f := x.filter[kind]
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
