// Package egs holds Eve's event and group services: what participants of a run use beside variables.
//
//   - A barrier lets all modules start on one instant. Its parties are expected by name; once the last has joined, T0
//     is announced some time ahead.
//   - A group is a set of members that others can list.
//   - A [Channel] carries typed events: an [Event] has attributes, which the channel declares, and data, which it does
//     not look into. Subscribers that are too slow lose events and are told how many.
//
// [Hub] keeps them in the kernel's memory. A module reaches it through its connection; both are a [Service].
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

// An Attr declares one attribute of a channel's events.
type Attr struct {
	Name string
	Kind dsv.Kind // Float, Int or Text
	Unit string
}

// A Channel declares what its events carry.
type Channel struct {
	Name  dsv.Name
	Help  string
	Attrs []Attr
}

// An Event is one event on a channel. Events are immutable: who publishes one gives it up, who receives one must not
// change it.
type Event struct {
	Channel dsv.Name
	From    string // the member that published it
	At      dsv.Instant
	Attrs   map[string]dsv.Value
	Data    []byte
	Lost    uint64 // events that this subscriber lost before this one
}

// A Subscription delivers a channel's events until it is closed.
type Subscription interface {
	// Next waits for the next event: dsv.ErrClosed after Close, the context's error when ctx ends. One goroutine at a
	// time may call it.
	Next(ctx context.Context) (Event, error)
	// Close ends the subscription; it may be called twice and from any goroutine.
	Close() error
}

// A Service is what one member can do with barriers, groups and channels. Every method may be called from several
// goroutines at once.
type Service interface {
	// Join waits until all parties of a barrier have joined. A member that joins late, or again, gets the same Start at
	// once. ErrBarrier, with the name of the member at fault, when the barrier cannot be reached any more. When ctx ends
	// first, the join is taken back.
	Join(ctx context.Context, barrier dsv.Name) (Start, error)
	// Enter makes this member one of the group; entering twice is no error. Members that end leave all their groups.
	Enter(ctx context.Context, group dsv.Name) error
	Leave(ctx context.Context, group dsv.Name) error
	// Members lists a group's members in the order of their names; a group that nobody entered is empty.
	Members(ctx context.Context, group dsv.Name) ([]string, error)
	// Open declares a channel; opening it again with an equal declaration is no error, with another it is dsv.ErrExists.
	Open(ctx context.Context, c Channel) error
	// Publish hands an event to all present subscribers of its channel: dsv.ErrNotFound, or ErrAttributes when it does
	// not fit the declaration.
	Publish(ctx context.Context, e Event) error
	// Subscribe follows a channel from now on: dsv.ErrNotFound.
	Subscribe(ctx context.Context, channel dsv.Name) (Subscription, error)
}

// The errors of a Service, beside those of package dsv.
var (
	ErrBarrier    = errors.New("barrier cannot be reached")
	ErrAttributes = errors.New("event does not fit its channel")
)
