package egs

import (
	"fmt"
	"math"
	"slices"
	"unicode/utf8"

	"github.com/eve-emulation/eve/dsv"
)

// The limits of a channel and its events.
const (
	MaxAttrs    = 64  // attributes of one channel, and facts of one sink
	MaxPriority = 127 // of a channel or an event; the least is its negative
)

// A Channel declares what its events carry.
type Channel struct {
	Name     dsv.Name
	Help     string
	Priority int // of events that say none
	Attrs    []Attr
}

// An Attr declares one attribute of a channel's events.
type Attr struct {
	Name string
	Kind dsv.Kind // Float, Int or Text
	Unit string
}

// An Event is one event on a channel. Who receives one must not change it, and Clones what it keeps of one that a
// Handler or a Filter is shown: Values and Data are theirs only during the call.
type Event struct {
	Channel  dsv.Name
	From     string // the member that published it
	At       dsv.Instant
	Priority int // of two that wait the higher goes first; 0 for the channel's

	// Values are the attributes in the order of their declaration; what lacks at the end, or has no kind, the event does
	// not carry. [Channel.Values] makes them of names.
	Values []dsv.Value
	Data   []byte

	Lost uint64 // events that this subscriber lost since the one before

	// What the service fills in. Node and ID together name an event within a run.
	Node uint64 // the process that published it; 0 for the kernel's
	ID   uint64
	Re   uint64 // for an answer: the ID of the event that it answers
	Seq  uint64 // the number of the event among those of its Node and Priority for this sink, from 1; 0 for none
}

// Clone returns an event that shares no memory with e.
func (e Event) Clone() Event {
	e.Values = slices.Clone(e.Values)
	e.Data = slices.Clone(e.Data)
	return e
}

// size is about how many bytes the event takes in a queue.
func (e *Event) size() int {
	n := 256 + len(e.Data) + 80*len(e.Values)
	for i := range e.Values {
		n += len(e.Values[i].Text)
	}
	return n
}

// Index returns where in an event's Values the attribute is; -1 when it is not declared.
func (c *Channel) Index(attr string) int {
	return slices.IndexFunc(c.Attrs, func(a Attr) bool { return a.Name == attr })
}

// Value returns an attribute of e; ok is false when it is not declared or e does not carry it.
func (c *Channel) Value(e *Event, attr string) (v dsv.Value, ok bool) {
	i := c.Index(attr)
	if i < 0 || i >= len(e.Values) || e.Values[i].Kind == 0 {
		return dsv.Value{}, false
	}
	return e.Values[i], true
}

// Number returns an attribute of e as a number: NaN when e does not carry it, or it is none.
func (c *Channel) Number(e *Event, attr string) float64 {
	v, _ := c.Value(e, attr)
	if x, ok := v.Number(); ok {
		return x
	}
	return math.NaN()
}

// Values returns attributes in the order of their declaration: ErrAttributes for one that is not declared.
func (c *Channel) Values(attrs map[string]dsv.Value) ([]dsv.Value, error) {
	if len(attrs) == 0 {
		return nil, nil
	}
	vs := make([]dsv.Value, len(c.Attrs))
	for n, v := range attrs {
		i := c.Index(n)
		if i < 0 {
			return nil, fmt.Errorf("attribute %.60q is not declared: %w", n, ErrAttributes)
		}
		vs[i] = v
	}
	return vs, nil
}

// Attributes returns e's attributes by name, those that it carries.
func (c *Channel) Attributes(e *Event) map[string]dsv.Value {
	var m map[string]dsv.Value
	for i, v := range e.Values {
		if v.Kind == 0 || i >= len(c.Attrs) {
			continue
		}
		if m == nil {
			m = make(map[string]dsv.Value, len(e.Values))
		}
		m[c.Attrs[i].Name] = v
	}
	return m
}

// Equal tells whether both are the same declaration.
func (c Channel) Equal(d Channel) bool {
	return c.Name == d.Name && c.Help == d.Help && c.Priority == d.Priority && slices.Equal(c.Attrs, d.Attrs)
}

// Check tells whether the channel can be declared so.
func (c Channel) Check() error {
	if _, err := dsv.ParseName(string(c.Name)); err != nil {
		return err
	}
	switch {
	case len(c.Attrs) > MaxAttrs:
		return fmt.Errorf("%d attributes, at most %d: %w", len(c.Attrs), MaxAttrs, dsv.ErrTooLarge)
	case c.Priority < -MaxPriority || c.Priority > MaxPriority:
		return fmt.Errorf("priority %d: beyond %d: %w", c.Priority, MaxPriority, ErrAttributes)
	}
	for i, a := range c.Attrs {
		switch {
		case a.Name == "" || len(a.Name) > dsv.MaxName || !utf8.ValidString(a.Name):
			return fmt.Errorf("attribute %.20q: %w", a.Name, dsv.ErrName)
		case a.Kind != dsv.Float && a.Kind != dsv.Int && a.Kind != dsv.Text:
			return fmt.Errorf("attribute %s: %v where float, int or text can be: %w", a.Name, a.Kind, dsv.ErrKind)
		case slices.ContainsFunc(c.Attrs[:i], func(b Attr) bool { return a.Name == b.Name }):
			return fmt.Errorf("attribute %s: declared twice: %w", a.Name, dsv.ErrExists)
		}
	}
	return nil
}

// Fits tells whether the event is as declared: ErrAttributes, or dsv.ErrTooLarge when its data and texts are beyond
// dsv.MaxBytes together.
func (c *Channel) Fits(e *Event) error {
	if len(e.Values) > len(c.Attrs) {
		return fmt.Errorf("%d attributes, declared %d: %w", len(e.Values), len(c.Attrs), ErrAttributes)
	}
	if e.Priority < -MaxPriority || e.Priority > MaxPriority {
		return fmt.Errorf("priority %d: beyond %d: %w", e.Priority, MaxPriority, ErrAttributes)
	}
	size := len(e.Data)
	for i := range e.Values {
		v := &e.Values[i]
		switch {
		case v.Kind == 0:
			continue
		case v.Kind != c.Attrs[i].Kind:
			return fmt.Errorf("attribute %s is %v, declared %v: %w", c.Attrs[i].Name, v.Kind, c.Attrs[i].Kind, ErrAttributes)
		case v.Kind == dsv.Float && (math.IsNaN(v.Float) || math.IsInf(v.Float, 0)):
			return fmt.Errorf("attribute %s is not finite: %w", c.Attrs[i].Name, ErrAttributes)
		case v.Kind == dsv.Text && !utf8.ValidString(v.Text):
			return fmt.Errorf("attribute %s is not UTF-8: %w", c.Attrs[i].Name, ErrAttributes)
		}
		size += len(v.Text)
	}
	if size > dsv.MaxBytes {
		return fmt.Errorf("%d bytes of data, at most %d: %w", size, dsv.MaxBytes, dsv.ErrTooLarge)
	}
	return nil
}
