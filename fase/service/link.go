package service

import (
	"time"

	"github.com/eve-emulation/eve/dmm"
	"github.com/eve-emulation/eve/dsv"
	"github.com/eve-emulation/eve/fase/machine"
	"github.com/eve-emulation/eve/rdr"
)

// The directions of a link.
const (
	linkIn = iota
	linkOut
	numDirections
)

// crossing is how messages cross a server's link, beside what its rate takes.
type crossing struct {
	cfg  machine.LinkConfig
	node uint64
	last [numDirections]dsv.Instant // when the latest message in order arrives
	lost *dmm.Var
}

// What sets the draws of a link apart from others: one for each direction of a request and of its answer, so that the draws
// differ at the ends of a call and on its way back.
const (
	crossRequest uint64 = 0x11f0 + iota // into the server
	crossReply                          // out of it
	crossCall                           // out of the server that calls
	crossAnswer                         // into it
)

// losses bounds how often one message is lost, as TCP gives up after as many (tcp_retries2 of Linux); slowest bounds a time-out.
const (
	losses  = 15
	slowest = 120 * time.Second
)

// instant reports whether a message arrives when it is sent.
func (c *crossing) instant() bool { return c.cfg.Delay <= 0 && c.cfg.Jitter <= 0 && c.cfg.Loss <= 0 }

// arrives is when a message arrives at the other end that leaves at an instant. What it draws follows from the key of its call
// and from what it is. A message that was lost is sent again after the time-out, which doubles, and is then in no order with
// those of other connections.
func (c *crossing) arrives(at dsv.Instant, key rdr.Key, what uint64) dsv.Instant {
	delay := c.cfg.Delay
	if c.cfg.Jitter <= 0 && c.cfg.Loss <= 0 {
		return at.Add(delay)
	}
	key = key.Mix(what).Mix(c.node)
	if c.cfg.Jitter > 0 {
		delay += time.Duration((2*key.Uniform() - 1) * float64(c.cfg.Jitter))
	}
	if again := c.again(at, key); again > 0 {
		return at.Add(again + delay)
	}
	dir := linkIn
	if what == crossReply || what == crossCall {
		dir = linkOut
	}
	t := max(at.Add(delay), c.last[dir])
	c.last[dir] = t
	return t
}

// again is how long it takes until a message is sent for the last time; 0 for one that is not lost.
func (c *crossing) again(at dsv.Instant, key rdr.Key) time.Duration {
	if c.cfg.Loss <= 0 {
		return 0
	}
	var sum time.Duration
	timeout := c.cfg.RTO
	if timeout <= 0 {
		timeout = 200 * time.Millisecond
	}
	for n := uint64(1); n <= losses && key.Mix(n).Uniform() < c.cfg.Loss; n++ {
		sum += timeout
		timeout = min(2*timeout, slowest)
		c.lost.Write(at, 1)
	}
	return sum
}
