// Package egs holds Eve's event and group services: what participants of a run use beside variables.
//
//   - A barrier lets all modules start on one instant. Its parties are expected by name; once the last has joined, T0
//     is announced some time ahead.
//   - A group is a set of members that others can list.
//   - A [Channel] carries typed [Event]s from sources to sinks. A [Source] submits, a [Subscription] is a sink: both join
//     and leave at any time. A [Sink] tells about itself, as facts.
//   - A [Filter] decides about events: OUT at the source, once per event and sink, where a blocked event costs no
//     message; IN at the sink, once per event that arrives. Filters are replaced while events flow.
//   - An [Inquiry] collects the answers to an event that asks: of several the first can win.
//
// [Hub] keeps them in the kernel's memory: it is registry and contact point, and relays events where members have no
// direct link. A module reaches it through its connection; both are a [Service]. docs/events.md is the manual.
package egs

import (
	"context"
	"errors"

	"github.com/eve-emulation/eve/dsv"
)

// StartBarrier is the barrier that all modules of a run join: its Start is the run's T0.
const StartBarrier dsv.Name = "start"

// A Start is what a barrier announces when its last party has joined.
type Start struct {
	T0   int64  // ns of CLOCK_MONOTONIC, ahead of the moment of the announcement
	Boot string // the boot id of the host whose clock T0 was read from
}

// A SubscribeRequest says how to follow a channel.
type SubscribeRequest struct {
	Channel dsv.Name
	// In is asked once about each event that arrives; nil lets all pass.
	In Filter
	// Out is asked at the sources once about each event that is submitted; what it blocks is not sent. The zero
	// FilterSpec lets all pass.
	Out FilterSpec
	// Facts is what the sink tells the filters about itself. Names are as variables', values Float, Int or Text.
	Facts map[string]dsv.Value
	// Handler, where not nil, is called with each event instead of Next: on the goroutine that received it, so it must
	// not block for long, and never by two goroutines at once. It may submit, ask and answer, but not Close its own
	// Subscription, which waits for it. The event's Values and Data are valid during the call only.
	Handler func(Event)
}

// A Subscription is a sink: it delivers a channel's events until it is closed. Of events that wait, those of higher
// priority come first; of those of one source and priority the order is kept, and none comes twice. What is lost on the way
// is counted, in the next event's Lost and in Stats. All methods may be called from several goroutines at once, but for Next.
type Subscription interface {
	Channel() Channel
	// Next waits for the next event: dsv.ErrClosed after Close, the context's error when ctx ends. One goroutine at a
	// time may call it, and none when there is a Handler.
	Next(ctx context.Context) (Event, error)
	// Answer answers an event that asks, to whoever asked; whether anybody still waits is not told.
	Answer(ctx context.Context, to, answer Event) error
	// Describe replaces what the sink tells about itself. It returns once the sources know.
	Describe(ctx context.Context, facts map[string]dsv.Value) error
	// SetIn replaces the filter of what arrives; nil lets all pass.
	SetIn(f Filter)
	// SetOut replaces the filter that the sources apply for this sink. It returns once they do.
	SetOut(ctx context.Context, f FilterSpec) error
	Stats() SinkStats
	// Close leaves: nothing is delivered after it has returned. It waits for a Handler that runs. It may be called twice
	// and from any goroutine.
	Close() error
}

// SinkStats counts what became of the events for one sink.
type SinkStats struct {
	Delivered uint64 // given to the Handler, or by Next
	Filtered  uint64 // blocked by the IN filter
	Lost      uint64 // dropped because the sink or a link was too slow, or because a link was lost
	Late      uint64 // came after later ones of the same source and priority, and were counted as lost before: dropped
}

// A Source submits events to one channel. All methods may be called from several goroutines at once.
type Source interface {
	Channel() Channel
	// Submit sends an event to the channel's sinks that the OUT filters admit, and returns how many it was handed to. A
	// sink that does not take it in time loses it, and others do not wait. ErrAttributes when e does not fit the
	// declaration. e's Values and Data are the caller's again when Submit has returned.
	Submit(ctx context.Context, e Event) (delivered int, err error)
	// Ask submits an event that wants answers.
	Ask(ctx context.Context, e Event) (*Inquiry, error)
	// SetOut replaces the filter that this source applies to each event and sink, beside those of the sinks; nil lets
	// all pass.
	SetOut(f Filter)
	// Sinks lists the present sinks, in no order.
	Sinks() []Sink
	Stats() SourceStats
	// Close leaves: Submit returns dsv.ErrClosed after it. It may be called twice.
	Close() error
}

// SourceStats counts what became of the events of the sources that one process has on a channel.
type SourceStats struct {
	Submitted uint64 // events
	Delivered uint64 // handed to a sink, counted per event and sink
	Filtered  uint64 // blocked by an OUT filter, counted per event and sink
	Dropped   uint64 // not taken in time, counted per event and sink
	Late      uint64 // answers that came when nobody waited for them any more
}

// A SinkID names a sink within a run: the process that it lives in and a number there.
type SinkID struct {
	Node uint64
	Sub  uint64
}

// A Sink is what a filter knows about a sink. It is immutable.
type Sink struct {
	ID     SinkID
	Member string
	Facts  map[string]dsv.Value
}

// Number returns a fact as a number, and whether it is one.
func (s *Sink) Number(fact string) (float64, bool) {
	v, ok := s.Facts[fact]
	if !ok {
		return 0, false
	}
	return v.Number()
}

// A Service is what one member can do with barriers, groups and channels. Every method may be called from several
// goroutines at once.
type Service interface {
	// Join waits until all parties of a barrier have joined. A member that joins late, or again, gets the same Start at
	// once. ErrBarrier, with the name of the member at fault, when the barrier cannot be reached any more. A join that
	// ctx ends does not count.
	Join(ctx context.Context, barrier dsv.Name) (Start, error)
	// Enter makes this member one of the group; entering twice is no error. Members that end leave all their groups.
	Enter(ctx context.Context, group dsv.Name) error
	Leave(ctx context.Context, group dsv.Name) error
	// Members lists a group's members in the order of their names; a group that nobody entered is empty.
	Members(ctx context.Context, group dsv.Name) ([]string, error)
	// Open declares a channel; opening it again with an equal declaration is no error, with another it is dsv.ErrExists.
	Open(ctx context.Context, c Channel) error
	// Attach makes this member a source of a channel: dsv.ErrNotFound.
	Attach(ctx context.Context, channel dsv.Name) (Source, error)
	// Subscribe makes this member a sink of a channel: dsv.ErrNotFound. Once it has returned, the sources know of it: it
	// gets what is submitted from then on. A source that does not answer for a second is not waited for.
	Subscribe(ctx context.Context, r SubscribeRequest) (Subscription, error)
	// Publish submits one event without a Source of one's own: dsv.ErrNotFound, or ErrAttributes.
	Publish(ctx context.Context, e Event) error
}

// The errors of a Service, beside those of package dsv.
var (
	ErrBarrier    = errors.New("barrier cannot be reached")
	ErrAttributes = errors.New("event does not fit its channel")
	ErrFilter     = errors.New("not a filter")
	ErrNobody     = errors.New("nobody was asked")
)
