package service

import (
	"github.com/eve-emulation/eve/dsv"
	"github.com/eve-emulation/eve/fase/step"
	"github.com/eve-emulation/eve/rdr"
)

// A Site is where a Runner runs: a host, which has resources, or a user, who has none.
type Site interface {
	// Demand starts meeting a demand on the site's resources; Runner.Met ends it. Waits, timers and calls are the
	// Runner's own business.
	Demand(at dsv.Instant, ref step.Ref, d *rdr.Demand)
	// Notice gives back what the demand ref holds (OpFree, OpUnlock), or withdraws it (OpCancel). kind, name and n are
	// those of the demand.
	Notice(at dsv.Instant, ref step.Ref, notice, kind rdr.Op, name string, n int64)
	// Called tells how a call of execution x ended.
	Called(x uint32, cause Cause)
	// Ended tells that the main strand of execution x has ended; forks may go on.
	Ended(at dsv.Instant, x uint32)
	// Gone tells that every strand has ended. The site releases the slot, now or later.
	Gone(at dsv.Instant, x uint32)
	// Apply puts a mapping in force whose instant has come.
	Apply(at dsv.Instant, svc int, m Mapping)
	// Event hands on an event of the site's own that has become due.
	Event(at dsv.Instant, e Event)
}

// An Event is something due at an instant, on the one agenda of a runner and its site.
type Event struct {
	Kind uint8
	Ref  step.Ref
	N    int64
}

// The events of a Runner. A site numbers its own from SiteEvent.
const (
	eventMet       uint8 = iota // a wait or a timer has passed; Ref: op
	eventApply                  // a mapping is in force; N: index in maps
	eventUnstalled              // a request passes that met a partition; Ref: call
	eventSweep                  // a caller looks at the replicas that it has ejected; N: service
	eventStalled                // an answer does, or the failure to connect; Ref: call
	eventEmpty                  // nobody serves a call; Ref: call
	SiteEvent
)
