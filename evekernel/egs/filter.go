package egs

import (
	"fmt"
	"sync"
	"sync/atomic"

	"github.com/eve-emulation/eve/dmm/expr"
	"github.com/eve-emulation/eve/dsv"
)

// A Filter decides whether an event goes on: OUT, whether it is sent to the sink; IN, whether the sink that it came to
// takes it. A filter must be quick, must not wait, and must not use the channel that it filters. The event is its own only
// during the call. An OUT filter may be called by several goroutines at once, an IN filter is not.
type Filter interface {
	Pass(e *Event, sink *Sink) bool
}

// FilterFunc makes a Filter of a function.
type FilterFunc func(e *Event, sink *Sink) bool

// Pass calls f.
func (f FilterFunc) Pass(e *Event, sink *Sink) bool { return f(e, sink) }

// A FilterSpec is a filter that can travel: an expression, or a WebAssembly guest. The zero FilterSpec lets all pass.
//
// An expression is a condition over the event's attributes by name, its priority and size (bytes of data), and what the
// sink tells about itself, as sink.NAME: `level > 0.8 and sink.load < 0.5`. What is unknown does not pass. An attribute
// that is called priority, size, or sink with a dot, hides that. docs/writing-manipulators.md says what a guest is given.
type FilterSpec struct {
	Expr string
	Wasm []byte
}

// IsZero tells whether the spec lets all pass.
func (s FilterSpec) IsZero() bool { return s.Expr == "" && len(s.Wasm) == 0 }

// Equal tells whether both are the same filter.
func (s FilterSpec) Equal(t FilterSpec) bool {
	return s.Expr == t.Expr && string(s.Wasm) == string(t.Wasm)
}

// String names the filter for a log.
func (s FilterSpec) String() string {
	switch {
	case s.Expr != "":
		return fmt.Sprintf("%.200q", s.Expr)
	case len(s.Wasm) > 0:
		return fmt.Sprintf("a guest of %d bytes", len(s.Wasm))
	}
	return "no filter"
}

// Compile makes the filter for events of c: nil for the zero FilterSpec, ErrFilter for what is none.
func (s FilterSpec) Compile(c *Channel) (Filter, error) {
	switch {
	case s.IsZero():
		return nil, nil //nolint:nilnil // no filter is a filter
	case s.Expr != "" && len(s.Wasm) > 0:
		return nil, fmt.Errorf("an expression and a guest at once: %w", ErrFilter)
	case s.Expr == "":
		return compileGuest(s.Wasm, c)
	}
	return compileExpr(s.Expr, c)
}

// Check tells whether Compile would make a filter.
func (s FilterSpec) Check(c *Channel) error {
	f, err := s.Compile(c)
	if err == nil {
		(&installed{f: f}).discard()
	}
	return err
}

// A formula is an expression over an event and a sink.
type formula struct {
	f       *expr.Formula
	from    []origin // of each input
	scratch sync.Pool
}

// An origin says where an input's value comes from: the attribute of that index, or, below 0, what the constants say.
type origin struct {
	attr int
	fact string
}

const (
	fromPriority = -1 - iota
	fromSize
	fromData
	fromFact
)

func compileExpr(src string, c *Channel) (Filter, error) {
	var in []expr.Input
	for _, a := range c.Attrs {
		in = append(in, expr.Input{Name: a.Name, Kind: a.Kind, Unit: a.Unit})
	}
	for _, own := range []expr.Input{{Name: "priority", Kind: dsv.Int, Unit: "1"}, {Name: "size", Kind: dsv.Int, Unit: "B"}} {
		if c.Index(own.Name) < 0 {
			in = append(in, own)
		}
	}
	in = append(in, expr.Input{Name: "sink.*"})
	f, err := expr.CompileFormula(src, in)
	if err != nil {
		return nil, fmt.Errorf("filter %.200q: %w: %w", src, err, ErrFilter)
	}
	if !f.IsCondition() {
		return nil, fmt.Errorf("filter %.200q: a number, want a condition: %w", src, ErrFilter)
	}
	ins := f.Inputs()
	w := &formula{f: f, from: make([]origin, len(ins))}
	for i, input := range ins {
		w.from[i] = originOf(input.Name, c)
	}
	w.scratch.New = func() any { s := make([]expr.Scalar, len(ins)); return &s }
	return w, nil
}

func originOf(name string, c *Channel) origin {
	if i := c.Index(name); i >= 0 {
		return origin{attr: i}
	}
	switch name {
	case "priority":
		return origin{attr: fromPriority}
	case "size":
		return origin{attr: fromSize}
	}
	return origin{attr: fromFact, fact: name[len("sink."):]}
}

func (w *formula) Pass(e *Event, sink *Sink) bool {
	p := w.scratch.Get().(*[]expr.Scalar) //nolint:forcetypeassert // ours
	s := *p
	for i, o := range w.from {
		if !w.f.Uses(i) {
			continue
		}
		switch {
		case o.attr >= 0 && o.attr < len(e.Values):
			s[i] = expr.ScalarOf(e.Values[o.attr])
		case o.attr >= 0:
			s[i] = expr.Unknown()
		case o.attr == fromPriority:
			s[i] = expr.Scalar{Num: float64(e.Priority)}
		case o.attr == fromSize:
			s[i] = expr.Scalar{Num: float64(len(e.Data))}
		default:
			s[i] = expr.Unknown()
			if v, ok := sink.Facts[o.fact]; ok {
				s[i] = expr.ScalarOf(v)
			}
		}
	}
	ok := w.f.Holds(s)
	w.scratch.Put(p)
	return ok
}

// A Slot holds a filter that can be replaced while events flow. A filter that faults is removed. The zero Slot lets all
// pass. All methods may be called from several goroutines at once.
type Slot struct {
	p atomic.Pointer[installed]
}

type installed struct {
	f     Filter
	fault func(error)
}

// Set replaces the filter; nil lets all pass. fault, which may be nil, is told once if the filter faults. A filter that a
// FilterSpec made is the Slot's from now on.
func (s *Slot) Set(f Filter, fault func(error)) {
	var p *installed
	if f != nil {
		p = &installed{f, fault}
	}
	s.p.Swap(p).discard()
}

// Shut releases the filter; nothing passes any more. It is for a sink that leaves while events flow.
func (s *Slot) Shut() { s.Set(FilterFunc(func(*Event, *Sink) bool { return false }), nil) }

// discard releases what the filter holds.
func (p *installed) discard() {
	if p == nil {
		return
	}
	if d, ok := p.f.(interface{ discard() }); ok {
		d.discard()
	}
}

// A fallible filter is one that can fault without a panic.
type fallible interface {
	try(e *Event, sink *Sink) (bool, error)
}

// Pass asks the filter. When it faults, the event goes on.
func (s *Slot) Pass(e *Event, sink *Sink) bool {
	for {
		p := s.p.Load()
		if p == nil {
			return true
		}
		ok, err := ask(p.f, e, sink)
		if err == nil {
			return ok
		}
		if s.p.CompareAndSwap(p, nil) {
			p.discard()
			if p.fault != nil {
				p.fault(err)
			}
			return true
		} // replaced meanwhile: ask its successor
	}
}

func ask(f Filter, e *Event, sink *Sink) (ok bool, err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("panic: %v", r)
		}
	}()
	if g, is := f.(fallible); is {
		return g.try(e, sink)
	}
	return f.Pass(e, sink), nil
}
