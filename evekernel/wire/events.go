package wire

import (
	"errors"
	"fmt"

	"github.com/eve-emulation/eve/dsv"
	"github.com/eve-emulation/eve/evekernel/egs"
)

// The operations on channels. OpSeen says that a source knows of the members up to a version.
const (
	OpOpen        Op = "open"
	OpChannel     Op = "channel"
	OpAttach      Op = "attach"
	OpDetach      Op = "detach"
	OpSeen        Op = "seen"
	OpPublish     Op = "publish"
	OpSubscribe   Op = "subscribe"
	OpDescribe    Op = "describe"
	OpFilter      Op = "filter"
	OpUnsubscribe Op = "unsubscribe"
)

// LogChannel takes the log lines of modules; nobody opens it.
const LogChannel dsv.Name = "eve.log"

// Evt is an event on a channel, or, where Re is set, an answer to one.
type Evt struct {
	Sub      Uint              `json:"sub,omitempty"`
	Channel  dsv.Name          `json:"channel"`
	From     string            `json:"from,omitempty"`
	At       Int               `json:"at,omitempty"`
	Priority int               `json:"priority,omitempty"`
	Attrs    map[string]*Value `json:"attrs,omitempty"`
	Data     []byte            `json:"data,omitempty"`
	Lost     Uint              `json:"lost,omitempty"`
	ID       Uint              `json:"id,omitempty"`   // of an event that asks
	Re       Uint              `json:"re,omitempty"`   // of an answer: the ID of the event
	Node     Uint              `json:"node,omitempty"` // the process that published it; of an answer, that asked
	Seq      Uint              `json:"seq,omitempty"`
	To       []Address         `json:"to,omitempty"` // sinks, by a source that filters and numbers itself
}

// An Address is an egs.Address.
type Address struct {
	Node Uint `json:"node,omitempty"`
	Sub  Uint `json:"sub"`
	Seq  Uint `json:"seq"`
}

// A Sink is what a participant says of a sink of its own.
type Sink struct {
	Link     string            `json:"link,omitempty"`     // HOST:PORT where its process takes direct links
	Facts    map[string]*Value `json:"facts,omitempty"`    // what it tells the filters about itself
	Filter   *Filter           `json:"filter,omitempty"`   // what the sources are to apply for it
	Numbered bool              `json:"numbered,omitempty"` // it counts by itself what is lost, by the numbers of the events
}

// A Filter is an egs.FilterSpec.
type Filter struct {
	Expr string `json:"expr,omitempty"`
	Wasm []byte `json:"wasm,omitempty"`
}

// A Peer is an egs.Peer, or an egs.Change that made it one.
type Peer struct {
	Node   Uint              `json:"node,omitempty"`
	Sub    Uint              `json:"sub"`
	Member string            `json:"member,omitempty"`
	Link   string            `json:"link,omitempty"`
	Facts  map[string]*Value `json:"facts,omitempty"`
	Filter *Filter           `json:"filter,omitempty"`
	Left   bool              `json:"left,omitempty"`
}

// Peers tells a source of the members of a channel, or of changes to them.
type Peers struct {
	Channel dsv.Name `json:"channel"`
	Version Uint     `json:"version"`
	List    []Peer   `json:"list,omitempty"`
}

// A Channel is an egs.Channel.
type Channel struct {
	Name     dsv.Name `json:"name"`
	Help     string   `json:"help,omitempty"`
	Priority int      `json:"priority,omitempty"`
	Attrs    []Attr   `json:"attrs,omitempty"`
}

// An Attr is an egs.Attr.
type Attr struct {
	Name string `json:"name"`
	Kind string `json:"kind"`
	Unit string `json:"unit,omitempty"`
}

// FromChannel returns c as it travels.
func FromChannel(c egs.Channel) *Channel {
	w := &Channel{Name: c.Name, Help: c.Help, Priority: c.Priority}
	for _, a := range c.Attrs {
		w.Attrs = append(w.Attrs, Attr{Name: a.Name, Kind: a.Kind.String(), Unit: a.Unit})
	}
	return w
}

// Channel returns what travelled.
func (w *Channel) Channel() (egs.Channel, error) {
	if w == nil {
		return egs.Channel{}, fmt.Errorf("no channel: %w", dsv.ErrName)
	}
	c := egs.Channel{Name: w.Name, Help: w.Help, Priority: w.Priority}
	for _, a := range w.Attrs {
		k, err := parseKind(a.Kind)
		if err != nil {
			return egs.Channel{}, fmt.Errorf("attribute %s: %w", a.Name, err)
		}
		c.Attrs = append(c.Attrs, egs.Attr{Name: a.Name, Kind: k, Unit: a.Unit})
	}
	return c, nil
}

// FromEvent returns an event of channel c as it travels. It shares the memory of e.
func FromEvent(sub Uint, e egs.Event, c *egs.Channel) (*Evt, error) {
	attrs, err := fromValues(c.Attributes(&e))
	if err != nil {
		return nil, err
	}
	return &Evt{
		Sub: sub, Channel: e.Channel, From: e.From, At: Int(e.At), Priority: e.Priority, Attrs: attrs, Data: e.Data,
		Lost: Uint(e.Lost), ID: Uint(e.ID), Re: Uint(e.Re), Node: Uint(e.Node), Seq: Uint(e.Seq),
	}, nil
}

// Event returns what travelled as an event of channel c. It shares the memory of w.
func (w *Evt) Event(c *egs.Channel) (egs.Event, error) {
	if w == nil {
		return egs.Event{}, fmt.Errorf("no event: %w", dsv.ErrName)
	}
	attrs, err := toValues(w.Attrs)
	if err != nil {
		return egs.Event{}, err
	}
	vs, err := c.Values(attrs)
	if err != nil {
		return egs.Event{}, err
	}
	return egs.Event{
		Channel: w.Channel, From: w.From, At: dsv.Instant(w.At), Priority: w.Priority, Values: vs, Data: w.Data,
		Lost: uint64(w.Lost), ID: uint64(w.ID), Re: uint64(w.Re), Node: uint64(w.Node), Seq: uint64(w.Seq),
	}, nil
}

func fromValues(vs map[string]dsv.Value) (map[string]*Value, error) {
	if len(vs) == 0 {
		return nil, nil
	}
	m := make(map[string]*Value, len(vs))
	for n, v := range vs {
		x, err := FromValue(v)
		if err != nil {
			return nil, fmt.Errorf("attribute %s: %w", n, err)
		}
		m[n] = x
	}
	return m, nil
}

func toValues(w map[string]*Value) (map[string]dsv.Value, error) {
	m := make(map[string]dsv.Value, len(w))
	for n, x := range w {
		v, err := x.Value()
		if err != nil {
			return nil, fmt.Errorf("attribute %s: %w", n, err)
		}
		m[n] = v
	}
	return m, nil
}

// FromSink returns what a participant says of its sink as it travels.
func FromSink(link string, facts map[string]dsv.Value, out egs.FilterSpec) (*Sink, error) {
	fs, err := fromValues(facts)
	if err != nil {
		return nil, err
	}
	return &Sink{Link: link, Facts: fs, Filter: FromFilter(out), Numbered: true}, nil
}

// Told returns the facts and the filter that travelled.
func (w *Sink) Told() (map[string]dsv.Value, egs.FilterSpec, error) {
	if w == nil {
		return map[string]dsv.Value{}, egs.FilterSpec{}, nil
	}
	facts, err := toValues(w.Facts)
	return facts, w.Filter.Spec(), err
}

// FromFilter returns f as it travels.
func FromFilter(f egs.FilterSpec) *Filter {
	if f.IsZero() {
		return nil
	}
	return &Filter{Expr: f.Expr, Wasm: f.Wasm}
}

// Spec returns what travelled.
func (w *Filter) Spec() egs.FilterSpec {
	if w == nil {
		return egs.FilterSpec{}
	}
	return egs.FilterSpec{Expr: w.Expr, Wasm: w.Wasm}
}

// FromChange returns a change as it travels.
func FromChange(c egs.Change) (Peer, error) {
	p, err := FromPeer(c.Peer)
	p.Left = c.Left
	return p, err
}

// FromPeer returns p as it travels.
func FromPeer(p egs.Peer) (Peer, error) {
	facts, err := fromValues(p.Sink.Facts)
	return Peer{
		Node: Uint(p.Sink.ID.Node), Sub: Uint(p.Sink.ID.Sub), Member: p.Sink.Member, Link: p.Link,
		Facts: facts, Filter: FromFilter(p.Out),
	}, err
}

// Peer returns what travelled.
func (w *Peer) Peer() (egs.Peer, error) {
	facts, err := toValues(w.Facts)
	return egs.Peer{
		Sink: egs.Sink{ID: egs.SinkID{Node: uint64(w.Node), Sub: uint64(w.Sub)}, Member: w.Member, Facts: facts},
		Link: w.Link, Out: w.Filter.Spec(),
	}, err
}

// maxTo bounds the sinks that one event names.
const maxTo = 1 << 14

// Addresses returns the sinks that an event names.
func (w *Evt) Addresses() ([]egs.Address, error) {
	if len(w.To) > maxTo {
		return nil, errors.New("too many addresses")
	}
	as := make([]egs.Address, len(w.To))
	for i, a := range w.To {
		as[i] = egs.Address{ID: egs.SinkID{Node: uint64(a.Node), Sub: uint64(a.Sub)}, Seq: uint64(a.Seq)}
	}
	return as, nil
}
