package egs

import (
	"context"
	"errors"
	"fmt"
	"math"
	"strings"
	"sync"

	"github.com/eve-emulation/eve/dmm/wasm"
	"github.com/eve-emulation/eve/dsv"
)

// MaxGuest bounds the bytes of a guest that filters events: every source of the channel is sent it.
const MaxGuest = 64 << 10

// A guest is a WebAssembly guest over an event and a sink.
type guest struct {
	module  *wasm.Module
	filter  *wasm.Filter
	from    []origin // of each input
	scratch sync.Pool
}

func compileGuest(code []byte, c *Channel) (Filter, error) {
	if len(code) > MaxGuest {
		return nil, fmt.Errorf("a guest of %d bytes, at most %d: %w", len(code), MaxGuest, dsv.ErrTooLarge)
	}
	m, err := wasm.Compile(context.Background(), code)
	if err != nil {
		return nil, fmt.Errorf("filter: %w: %w", err, ErrFilter)
	}
	g := &guest{module: m}
	g.filter, err = m.Filter(nil)
	if err == nil {
		err = g.bind(c)
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("filter: %w: %w", err, ErrFilter), m.Close())
	}
	return g, nil
}

// bind finds where the guest's inputs come from.
func (g *guest) bind(c *Channel) error {
	ins := g.filter.Inputs()
	g.from = make([]origin, len(ins))
	for i, n := range ins {
		switch {
		case c.Index(n) >= 0 || n == "priority" || n == "size" || strings.HasPrefix(n, "sink."):
			g.from[i] = originOf(n, c)
		case n == "data":
			g.from[i] = origin{attr: fromData}
		default:
			return fmt.Errorf("input %.60q: neither an attribute nor priority, size, data or sink.NAME", n)
		}
	}
	g.scratch.New = func() any { s := make([]float64, len(ins)); return &s }
	return nil
}

// Pass implements Filter; an event passes a guest that is detached.
func (g *guest) Pass(e *Event, sink *Sink) bool {
	ok, _ := g.try(e, sink)
	return ok
}

func (g *guest) try(e *Event, sink *Sink) (bool, error) {
	p := g.scratch.Get().(*[]float64) //nolint:forcetypeassert // ours
	values := *p
	for i, o := range g.from {
		values[i] = o.number(e, sink)
	}
	ok, err := g.filter.Pass(values, e.Data)
	g.scratch.Put(p)
	return ok, err
}

// number is the input as a number: NaN for what is not there or is none.
func (o origin) number(e *Event, sink *Sink) float64 {
	switch {
	case o.attr >= 0 && o.attr < len(e.Values):
		if x, ok := e.Values[o.attr].Number(); ok {
			return x
		}
	case o.attr == fromPriority:
		return float64(e.Priority)
	case o.attr == fromSize:
		return float64(len(e.Data))
	case o.attr == fromFact:
		if x, ok := sink.Number(o.fact); ok {
			return x
		}
	}
	return math.NaN()
}

// discard releases the guest.
func (g *guest) discard() { _ = g.module.Close() }
