package resource

import (
	"container/heap"
	"slices"

	"github.com/eve-emulation/eve/dsv"
)

// A pool is how much of a resource a manager has, and who has the rest. It reads no clock; instants never go back. It
// belongs to one goroutine at a time.
type pool struct {
	capacity float64
	used     float64 // by offers and grants
	last     int64   // the number of the latest entry
	entries  map[int64]*entry
	due      dues     // entries by the instant of their end
	ended    []*entry // grants that ended, oldest first: whoever asked may yet say that it did not learn of one
}

// maxEnded bounds the grants that ended and are remembered.
const maxEnded = 1024

// An entry is an offer until it is granted, and then a grant.
type entry struct {
	id      int64
	request string
	amount  float64
	until   dsv.Instant
	granted bool
	index   int // in dues
}

// newPool returns a pool whose entries have numbers beyond first.
func newPool(capacity float64, first int64) *pool {
	return &pool{capacity: capacity, last: first, entries: map[int64]*entry{}}
}

// free is what nobody has.
func (p *pool) free() float64 { return max(0, p.capacity-p.used) }

// reserve keeps an amount for a request until an instant; nil when there is not enough.
func (p *pool) reserve(request string, amount float64, until dsv.Instant) *entry {
	if !(amount > 0) || amount > p.free() {
		return nil
	}
	p.last++
	e := &entry{id: p.last, request: request, amount: amount, until: until}
	p.entries[e.id] = e
	p.used += amount
	heap.Push(&p.due, e)
	return e
}

// grant makes an offer a grant until an instant; nil when it is no more, or belongs to another request.
func (p *pool) grant(id int64, request string, until dsv.Instant) *entry {
	e := p.entries[id]
	if e == nil || e.request != request || e.granted {
		return nil
	}
	e.granted, e.until = true, until
	heap.Fix(&p.due, e.index)
	return e
}

// release ends an offer or a grant of a request, also a grant that has ended by itself, but none twice: then it is nil.
func (p *pool) release(id int64, request string) *entry {
	e := p.entries[id]
	if e != nil && e.request == request {
		heap.Remove(&p.due, e.index)
		p.forget(e)
		return e
	}
	i := slices.IndexFunc(p.ended, func(e *entry) bool { return e.id == id && e.request == request })
	if i < 0 {
		return nil
	}
	e = p.ended[i]
	p.ended = slices.Delete(p.ended, i, i+1)
	return e
}

// expire ends what is due; it returns nil when nothing is left that is.
func (p *pool) expire(at dsv.Instant) *entry {
	if len(p.due) == 0 || p.due[0].until > at {
		return nil
	}
	e := heap.Pop(&p.due).(*entry) //nolint:forcetypeassert // ours
	p.forget(e)
	if e.granted {
		if len(p.ended) == maxEnded {
			p.ended = slices.Delete(p.ended, 0, maxEnded/2)
		}
		p.ended = append(p.ended, e)
	}
	return e
}

func (p *pool) forget(e *entry) {
	delete(p.entries, e.id)
	p.used -= e.amount
	if len(p.entries) == 0 {
		p.used = 0 // not a sum of rounding errors
	}
}

// next is when something is due.
func (p *pool) next() dsv.Instant {
	if len(p.due) == 0 {
		return dsv.Never
	}
	return p.due[0].until
}

// offered is how many offers nobody has decided about.
func (p *pool) offered() int {
	n := 0
	for _, e := range p.entries {
		if !e.granted {
			n++
		}
	}
	return n
}

// dues is a heap of entries, the one that ends first on top.
type dues []*entry

func (d dues) Len() int           { return len(d) }
func (d dues) Less(i, j int) bool { return d[i].until < d[j].until }
func (d dues) Swap(i, j int) {
	d[i], d[j] = d[j], d[i]
	d[i].index, d[j].index = i, j
}

func (d *dues) Push(x any) {
	e := x.(*entry) //nolint:forcetypeassert // ours
	e.index = len(*d)
	*d = append(*d, e)
}

func (d *dues) Pop() any {
	old := *d
	e := old[len(old)-1]
	old[len(old)-1] = nil
	*d = old[:len(old)-1]
	return e
}
