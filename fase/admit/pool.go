package admit

import (
	"github.com/eve-emulation/eve/dsv"
	"github.com/eve-emulation/eve/fase/step"
)

// A Request is what is known of a registered request.
type Request struct {
	Ref      step.Ref // its slot is dense, and distinct among those in the pool: memory grows with the largest
	Demand   int64    // ns of service on the server's own machine
	Priority int      // a larger one is more urgent
	Deadline dsv.Instant
	Object   uint64 // what it asks for; 0: nothing that could be cached or shared
	Client   uint64 // who asks
	Stays    bool   // it is not to be forwarded
}

// pool holds the registered requests: in order of arrival, and, for policies that go by a rank, in a heap by it. Both know
// the places of a slot, so that one leaves in O(log n). Memory is reused.
type pool struct {
	policy Policy
	cached func(object uint64) bool
	nodes  []node // by slot; the arrival list runs through it
	first  int32  // slot + 1 of the oldest; 0: none
	last   int32
	size   int

	heap []rank
	seq  uint64

	object uint64 // that was served last
	fair   fair
}

type node struct {
	Request
	arrived    dsv.Instant
	prev, next int32 // slot + 1
	place      int32 // index in the heap + 1
	present    bool
}

type rank struct {
	key  int64
	seq  uint64
	slot uint32
}

// ranked reports whether a policy goes by a rank that is known at registration.
func (p Policy) ranked() bool { return p == SJF || p == EDF || p == Fair || p == Priority }

func (p *pool) push(at dsv.Instant, r Request) {
	slot := int(r.Ref.Slot())
	if slot >= len(p.nodes) {
		p.nodes = append(p.nodes, make([]node, slot+1-len(p.nodes))...)
	}
	p.nodes[slot] = node{Request: r, arrived: at, prev: p.last, present: true}
	if p.last != 0 {
		p.nodes[p.last-1].next = int32(slot + 1)
	} else {
		p.first = int32(slot + 1)
	}
	p.last = int32(slot + 1)
	p.size++
	if !p.policy.ranked() {
		return
	}
	p.seq++
	p.heap = append(p.heap, rank{p.key(&r), p.seq, uint32(slot)})
	p.nodes[slot].place = int32(len(p.heap))
	p.up(len(p.heap) - 1)
}

// key is where a request stands: the least is first.
func (p *pool) key(r *Request) int64 {
	switch p.policy {
	case SJF:
		return r.Demand
	case EDF:
		if r.Deadline == 0 {
			return int64(dsv.Never)
		}
		return int64(r.Deadline)
	case Fair:
		return p.fair.start(r.Client, r.Demand)
	}
	return ^int64(r.Priority) // order reversed, and no overflow
}

// choose is the slot of the request that the policy puts first. The pool must not be empty.
func (p *pool) choose() uint32 {
	if p.policy.ranked() {
		return p.heap[0].slot
	}
	if p.policy == Hits || p.policy == Object {
		for s := p.first; s != 0; s = p.nodes[s-1].next {
			if p.near(p.nodes[s-1].Object) {
				return uint32(s - 1)
			}
		}
	}
	return uint32(p.first - 1)
}

// near reports whether what asks for an object goes before what came before it.
func (p *pool) near(object uint64) bool {
	switch {
	case object == 0:
		return false
	case p.policy == Object:
		return object == p.object
	}
	return p.cached != nil && p.cached(object)
}

// served notes that a request leaves for service.
func (p *pool) served(n *node) {
	p.object = n.Object
	if p.policy == Fair {
		p.fair.served(p.heap[n.place-1].key)
	}
}

// get returns the node of a request that is here.
func (p *pool) get(ref step.Ref) *node {
	if s := int(ref.Slot()); s < len(p.nodes) && p.nodes[s].present && p.nodes[s].Ref == ref {
		return &p.nodes[s]
	}
	return nil
}

func (p *pool) remove(slot uint32) {
	n := &p.nodes[slot]
	if n.prev != 0 {
		p.nodes[n.prev-1].next = n.next
	} else {
		p.first = n.next
	}
	if n.next != 0 {
		p.nodes[n.next-1].prev = n.prev
	} else {
		p.last = n.prev
	}
	if n.place != 0 {
		p.unrank(int(n.place - 1))
	}
	*n = node{}
	p.size--
}

func (p *pool) unrank(i int) {
	last := len(p.heap) - 1
	moved := p.heap[last]
	p.heap = p.heap[:last]
	if i == last {
		return
	}
	p.put(i, moved)
	p.down(i)
	p.up(i)
}

func (p *pool) put(i int, r rank) {
	p.heap[i] = r
	p.nodes[r.slot].place = int32(i + 1)
}

func (p *pool) less(i, j int) bool {
	x, y := &p.heap[i], &p.heap[j]
	return x.key < y.key || x.key == y.key && x.seq < y.seq
}

func (p *pool) swap(i, j int) {
	x, y := p.heap[i], p.heap[j]
	p.put(i, y)
	p.put(j, x)
}

func (p *pool) up(i int) {
	for i > 0 {
		q := (i - 1) / 2
		if !p.less(i, q) {
			return
		}
		p.swap(i, q)
		i = q
	}
}

func (p *pool) down(i int) {
	for {
		c := 2*i + 1
		if c >= len(p.heap) {
			return
		}
		if c+1 < len(p.heap) && p.less(c+1, c) {
			c++
		}
		if !p.less(c, i) {
			return
		}
		p.swap(i, c)
		i = c
	}
}
