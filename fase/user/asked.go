package user

import (
	"github.com/eve-emulation/eve/dsv"
	"github.com/eve-emulation/eve/fase/session"
	"github.com/eve-emulation/eve/rdr"
)

// Asked is what each of some records of the group asked, in their order: nil where that cannot be told. begun is how many arrivals, or
// rounds of users, began, sessions counted once. The weights of a mix must be as they were at the start.
func (c *Config) Asked(records []Record, begun int64) []*rdr.Block {
	out := make([]*rdr.Block, len(records))
	switch {
	case c.Sessions == nil && c.Trace.requests() == nil:
		for i := range records {
			out[i] = c.Request
		}
	case c.Sessions == nil:
		at := places(records)
		for n := range c.Trace.Due {
			if i, ok := at[c.Key(uint64(n), 0)]; ok {
				out[i] = c.Request
				if a := c.Trace.ask(uint64(n)); a != nil && a.Request != nil {
					out[i] = a.Request
				}
			}
		}
	case c.Sessions.Mix:
		s := c.Sessions
		for i := range records {
			step := session.First(s.Chain.Start, records[i].Key.Mix(firstNode).Uniform())
			out[i] = s.Pages[s.Chain.Steps[step].Page].Request
		}
	default:
		c.walked(places(records), begun, out)
	}
	return out
}

// places are the indices of records, by their keys.
func places(records []Record) map[rdr.Key]int {
	at := make(map[rdr.Key]int, len(records))
	for i := range records {
		at[records[i].Key] = i
	}
	return at
}

// walked finds the pages of sessions that walk.
func (c *Config) walked(at map[rdr.Key]int, begun int64, out []*rdr.Block) {
	// walk looks for the pages of one session, and reports whether there is any.
	walk := func(key rdr.Key) bool {
		met := false
		c.Sessions.Walk(key, func(_, page int, k rdr.Key, _ dsv.Instant) bool {
			i, ok := at[k]
			if ok {
				out[i], met = c.Sessions.Pages[page].Request, true
			}
			return ok // a session has one page under way at a time
		})
		return met
	}
	if c.open() {
		for n := range uint64(begun) + 10*c.parts() { // of some parts more may have begun than of others
			walk(c.Key(n, 0))
		}
		return
	}
	for u, left := uint64(0), begun; left > 0 && u < uint64(begun)+uint64(c.Users); u++ {
		for n := uint64(0); walk(c.Key(u, n)); n++ {
			left--
		}
	}
}
