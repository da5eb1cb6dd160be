package machine

import (
	"math"

	"github.com/eve-emulation/eve/dsv"
)

// Slice is what processor sharing grants at a time under `run: burn`, in nanoseconds.
const Slice = 1_000_000

// A Grant lets a job consume N units of a resource now; Met tells what it did consume.
type Grant struct {
	Job Job
	N   int64
}

// Burner is a station whose departures are inputs: it grants at most c slices at a time, somebody consumes them for
// real, and Met ends them. Processor sharing grants slices of 1 ms in turn, and one that preempts by rank; every other discipline grants the whole demand
// at once, to the first in line, and that of the operating system all of them. A server is busy from the Begin of a grant to its
// Met: until then whoever is to consume it does something else.
type Burner struct {
	servers int
	most    int   // grants at a time
	slice   int64 // 0: whole demands
	line    line
	byLeft  bool      // the line goes by what is left of a demand
	running []granted // demand is what is left beyond the grant
	grants  []Grant
	outs    []Grant
	departures
	use use
}

// granted is a job that has a grant of n; key is where it stood in the line.
type granted struct {
	waiting
	n     int64
	key   key
	begun bool
	since dsv.Instant // when its consumption began
}

// NewBurner returns a station of c servers; slice is the largest grant, 0 for whole demands.
func NewBurner(c int, slice int64) *Burner {
	return &Burner{servers: max(c, 1), most: max(c, 1), slice: slice}
}

// NewOpenBurner returns a station of c servers that grants every demand at once, whole: whoever consumes them shares the
// servers by himself.
func NewOpenBurner(c int) *Burner {
	b := NewBurner(c, 0)
	b.most = math.MaxInt
	return b
}

// NewDeepBurner returns a station of one server that grants up to most demands at once, whole: a disk, to which several give
// commands. It is busy while anyone does.
func NewDeepBurner(most int) *Burner {
	b := NewBurner(1, 0)
	b.most = max(most, 1)
	return b
}

// NewRankedBurner returns a station of c servers with a line by rank, which grants whole demands.
func NewRankedBurner(c int) *Burner {
	b := NewBurner(c, 0)
	b.line.ranked = true
	return b
}

// NewPreemptiveBurner returns a station of c servers with a line by rank, which grants slices of 1 ms: what has begun gives way
// to what stands before it at the end of its slice.
func NewPreemptiveBurner(c int) *Burner {
	b := NewRankedBurner(c)
	b.slice = Slice
	return b
}

// NewSRPTBurner is NewPreemptiveBurner with a line by what is left of each demand.
func NewSRPTBurner(c int) *Burner {
	b := NewPreemptiveBurner(c)
	b.byLeft = true
	return b
}

// Arrive implements Station.
func (b *Burner) Arrive(at dsv.Instant, job Job, demand int64) { b.ArriveRanked(at, job, demand, 0) }

// ArriveRanked implements Ranked.
func (b *Burner) ArriveRanked(at dsv.Instant, job Job, demand, rank int64) {
	b.use.upTo(at)
	b.use.present++
	if b.byLeft {
		rank = demand
	}
	b.line.push(waiting{job: job, demand: demand, came: at}, rank)
	b.grant()
}

func (b *Burner) grant() {
	for len(b.running) < b.most {
		w, k, ok := b.line.pop()
		if !ok {
			break
		}
		g := b.granted(w, k)
		b.running = append(b.running, g)
		b.grants = append(b.grants, Grant{g.job, g.n})
	}
	b.count()
}

// count finds how many servers are busy.
func (b *Burner) count() {
	n := 0
	for i := range b.running {
		if b.running[i].begun {
			n++
		}
	}
	b.use.busy = min(n, b.servers)
}

func (b *Burner) granted(w waiting, k key) granted {
	n := w.demand
	if b.slice > 0 {
		n = min(n, b.slice)
	}
	w.demand -= n
	return granted{waiting: w, n: n, key: k}
}

// Begin is to be called when the consumption of a job's grant begins, and returns the grant to consume: that of a job with a
// lesser rank, if one has come since, in which case the first is back in its place in the line. It returns false when the job
// has no grant any more.
func (b *Burner) Begin(at dsv.Instant, job Job) (g Grant, ok bool) {
	b.use.upTo(at)
	for i := range b.running {
		r := &b.running[i]
		if r.job != job {
			continue
		}
		if first, ok := b.line.peek(); ok && first.rank < r.key.rank {
			w, k, _ := b.line.pop()
			r.demand += r.n
			b.line.insert(r.waiting, r.key)
			*r = b.granted(w, k)
		}
		r.begun, r.since = true, at
		b.count()
		return Grant{r.job, r.n}, true
	}
	return Grant{}, false
}

// Scale multiplies what is left of every demand by a factor, but for what has been granted: the work takes so much longer from now
// on. Demands that come later are the caller's to scale.
func (b *Burner) Scale(factor float64) {
	scale := func(w *waiting) { w.demand = round(float64(w.demand) * factor) }
	for i := range b.running {
		r := &b.running[i]
		if scale(&r.waiting); b.byLeft {
			r.key.rank = r.demand + r.n
		}
	}
	for i := range b.line.fifo.n {
		scale(&b.line.fifo.buf[(b.line.fifo.head+i)&(len(b.line.fifo.buf)-1)])
	}
	for i := range b.line.heap.items {
		x := &b.line.heap.items[i]
		if scale(&x.waiting); b.byLeft { // the order stays, but for what differs by less than rounding
			x.rank = x.demand
		}
	}
}

// Grants lists the grants made since the last call; valid until the next.
func (b *Burner) Grants() []Grant {
	b.grants, b.outs = b.outs[:0], b.grants
	return b.outs
}

// Met ends the grant of a job. It departs when nothing of its demand is left, and goes to the end of the line otherwise.
func (b *Burner) Met(at dsv.Instant, job Job) {
	b.use.upTo(at)
	for i, w := range b.running {
		if w.job != job {
			continue
		}
		b.running = append(b.running[:i], b.running[i+1:]...)
		if w.begun {
			w.served += int64(at - w.since)
		}
		switch {
		case w.demand == 0:
			b.use.present--
			b.add(job, Stay{int64(at-w.came) - w.served, w.served})
		case b.byLeft:
			b.line.push(w.waiting, w.demand)
		case b.line.ranked:
			b.line.insert(w.waiting, w.key)
		default:
			b.line.push(w.waiting, 0)
		}
		b.grant()
		return
	}
}

// Withdraw implements Station. A grant that runs is ended: what it consumes from now on is lost.
func (b *Burner) Withdraw(at dsv.Instant, job Job) (left int64, here bool) {
	b.use.upTo(at)
	for i, w := range b.running {
		if w.job == job {
			left = w.demand + w.n
			if w.begun {
				left = w.demand + max(w.n-int64(at-w.since), 0)
			}
			b.running = append(b.running[:i], b.running[i+1:]...)
			b.use.present--
			b.grant()
			return left, true
		}
	}
	if left, here = b.line.remove(job); here {
		b.use.present--
	}
	return left, here
}

// Next implements Station: a Burner acts on input only.
func (b *Burner) Next() dsv.Instant { return dsv.Never }

// Advance implements Station.
func (b *Burner) Advance(dsv.Instant) {}

// Use implements Station.
func (b *Burner) Use(at dsv.Instant) (busy, present float64) { return b.use.take(at) }

// Len implements Station.
func (b *Burner) Len() int { return b.use.present }
