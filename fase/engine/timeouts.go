package engine

import "github.com/eve-emulation/eve/internal/mono"

// A timeout is a reason to wait for a peer no longer than a fixed time. All connections that wait for the same reason stand in one
// list, which is ordered by their instants because they all wait equally long.
type timeout uint8

const (
	none     timeout = iota // waiting for the handler, or free
	idling                  // for the first byte of a request
	arriving                // for the rest of a request
	sending                 // for the peer to take bytes
	leaving                 // for the peer's end of stream
	timeouts                // how many there are
)

// nowhere ends a list.
const nowhere = ^uint32(0)

type timeoutList struct {
	first, last uint32
	length      int64 // ns
}

func (r *reactor) initTimeouts() {
	for i := range r.lists {
		r.lists[i] = timeoutList{first: nowhere, last: nowhere}
	}
	cfg := &r.e.cfg
	r.lists[idling].length = int64(cfg.IdleTimeout)
	r.lists[arriving].length = int64(cfg.HeadTimeout)
	r.lists[sending].length = int64(cfg.SendTimeout)
	r.lists[leaving].length = int64(lingerTime)
}

// wait puts c at the end of list k, counting from now.
func (r *reactor) wait(c *conn, k timeout) {
	r.unwait(c)
	if k == none {
		return
	}
	l := &r.lists[k]
	c.list, c.when = k, r.now+l.length
	c.prev, c.next = l.last, nowhere
	if l.last == nowhere {
		l.first = c.slot
	} else {
		r.conns.at(l.last).next = c.slot
	}
	l.last = c.slot
}

// unwait takes c out of its list.
func (r *reactor) unwait(c *conn) {
	if c.list == none {
		return
	}
	l := &r.lists[c.list]
	if c.prev == nowhere {
		l.first = c.next
	} else {
		r.conns.at(c.prev).next = c.next
	}
	if c.next == nowhere {
		l.last = c.prev
	} else {
		r.conns.at(c.next).prev = c.prev
	}
	c.list = none
}

// nextTimeout returns the earliest instant at which one strikes.
func (r *reactor) nextTimeout() int64 {
	at := mono.Never
	for i := range r.lists {
		if l := &r.lists[i]; l.first != nowhere {
			at = min(at, r.conns.at(l.first).when)
		}
	}
	return at
}

// expire ends the connections whose time is over.
func (r *reactor) expire() {
	for k := range r.lists {
		for l := &r.lists[k]; l.first != nowhere; {
			c := r.conns.at(l.first)
			if c.when > r.now {
				break
			}
			if timeout(k) != leaving {
				r.count.TimedOut++
			}
			if timeout(k) == arriving && len(c.x.pending) == 0 && c.x.queued == 0 {
				r.unwait(c)
				r.refuse(c, errSlow)
				r.settle(c)
				continue
			}
			r.drop(c)
		}
	}
}
