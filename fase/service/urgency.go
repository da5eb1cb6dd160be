package service

import (
	"time"

	"github.com/eve-emulation/eve/dsv"
	"github.com/eve-emulation/eve/rdr"
)

// Urgency is what the attributes of a request or a block come to. Calls inherit it, each part that their block has none of.
type Urgency struct {
	Priority int         // a larger one is more urgent
	Deadline dsv.Instant // of the run, the same wherever the request goes; 0: none
}

// urgency is that of a block which begins at an instant: what it inherits and, where that is nothing, its own.
func urgency(at dsv.Instant, b *rdr.Block, key rdr.Key, inherited Urgency) Urgency {
	u := inherited
	if u.Priority == 0 {
		u.Priority, _ = b.Priority(key)
	}
	if u.Deadline == 0 {
		d, _ := b.Deadline(key)
		u.Deadline = due(at, d)
	}
	return u
}

// due is the instant of a deadline that counts from another; a deadline of 0 is none.
func due(at dsv.Instant, d time.Duration) dsv.Instant {
	if d <= 0 {
		return 0
	}
	return at.Add(d)
}

// Urgency is that of execution x.
func (r *Runner) Urgency(x uint32) Urgency { return r.tasks[x].urgency }
