package engine

import "sync/atomic"

// counters is a loop's Stats as others may read them. The loop counts in plain fields and publishes before it sleeps.
type counters struct {
	seen Stats // as last published
	v    [10]atomic.Uint64
}

func (c *counters) publish(s *Stats, open int) {
	s.Open = uint64(open)
	if *s == c.seen {
		return
	}
	c.seen = *s
	for i, n := range s.list() {
		c.v[i].Store(n)
	}
}

func (c *counters) addTo(s *Stats) {
	var n [10]uint64
	for i := range n {
		n[i] = c.v[i].Load()
	}
	s.Accepted += n[0]
	s.Open += n[1]
	s.Shed += n[2]
	s.Requests += n[3]
	s.Responses += n[4]
	s.Refused += n[5]
	s.TimedOut += n[6]
	s.BytesIn += n[7]
	s.BytesOut += n[8]
	s.Calls += n[9]
}

func (s *Stats) list() [10]uint64 {
	return [10]uint64{s.Accepted, s.Open, s.Shed, s.Requests, s.Responses, s.Refused, s.TimedOut, s.BytesIn, s.BytesOut, s.Calls}
}
