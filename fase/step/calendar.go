package step

import (
	"math/bits"

	"github.com/eve-emulation/eve/dsv"
)

// A Calendar is a [Driver] of many cores. It steps them in the same order and routes the same effects in the same order, but
// asks only those cores for their Next and their Effects that it has advanced or that were named by Touch: a step costs
// O(log n) in the number of cores. Whoever hands an input to a core has to Touch it.
type Calendar struct {
	cores  []Core
	router Router
	buf    []Effect
	now    dsv.Instant

	due   []dsv.Instant // by core, padded with Never to a power of two
	best  []int32       // winner tree over due: best[1] is the core with the least, ties to the first
	loud  set           // cores that may hold effects
	stale set           // cores whose due is to be asked for
	moved []int32       // the cores in stale
	asked []int32       // cores that are asked before every step
}

// NewCalendar returns a calendar of cores whose effects go to r. Every core counts as touched.
func NewCalendar(r Router, cores ...Core) *Calendar {
	n := 1
	for n < len(cores) {
		n *= 2
	}
	c := &Calendar{
		cores: cores, router: r, due: make([]dsv.Instant, n), best: make([]int32, 2*n),
		loud: newSet(len(cores)), stale: newSet(len(cores)),
	}
	for i := range c.due {
		c.due[i] = dsv.Never
		c.best[n+i] = int32(i)
	}
	for i := n - 1; i > 0; i-- {
		c.best[i] = c.best[2*i]
	}
	for i := range cores {
		c.Touch(i)
	}
	return c
}

// Touch tells that a core has had an input.
func (c *Calendar) Touch(core int) {
	c.loud.add(core)
	if c.stale.add(core) {
		c.moved = append(c.moved, int32(core))
	}
}

// Watch has a core asked for its Next before every step, since more than what Touch tells of can move it. It emits no effects.
func (c *Calendar) Watch(core int) { c.asked = append(c.asked, int32(core)) }

// Now is the instant of the last step.
func (c *Calendar) Now() dsv.Instant { return c.now }

// Next is the least Next of all cores.
func (c *Calendar) Next() dsv.Instant {
	c.refresh()
	return c.due[c.best[1]]
}

// Run advances every core through all that is due until now, in order of instants, and routes the effects. It returns
// the number of steps taken.
func (c *Calendar) Run(now dsv.Instant) int {
	c.flush(0)
	for steps := 0; ; steps++ {
		c.refresh()
		i := int(c.best[1])
		t := c.due[i]
		if t > now || t == dsv.Never {
			return steps
		}
		c.now = max(c.now, t)
		c.cores[i].Advance(t)
		c.Touch(i)
		c.flush(i)
	}
}

// refresh asks for the Next of the cores that were touched.
func (c *Calendar) refresh() {
	for _, i := range c.moved {
		c.stale.remove(int(i))
		c.ask(i)
	}
	c.moved = c.moved[:0]
	for _, i := range c.asked {
		c.ask(i)
	}
}

func (c *Calendar) ask(core int32) {
	if t := c.cores[core].Next(); t != c.due[core] {
		c.due[core] = t
		c.rank(core)
	}
}

// rank finds the winners anew above a core.
func (c *Calendar) rank(core int32) {
	due, best := c.due, c.best
	for i := (len(due) + int(core)) / 2; i > 0; i /= 2 {
		a, b := best[2*i], best[2*i+1]
		if due[b] < due[a] {
			a = b
		}
		if best[i] == a && a != core {
			return // neither before nor now has this core won here
		}
		best[i] = a
	}
}

// flush asks the cores in turn for their effects, from the i-th on, until none of them may hold any.
func (c *Calendar) flush(i int) {
	for {
		j := c.loud.next(i)
		if j < 0 {
			if j = c.loud.next(0); j < 0 {
				return
			}
		}
		c.loud.remove(j)
		if es := c.cores[j].Effects(); len(es) > 0 {
			c.route(j, es)
		}
		i = j + 1
	}
}

// route copies effects before routing them, because a route may feed the very core that emitted them.
func (c *Calendar) route(core int, es []Effect) {
	if len(es) == 1 {
		c.router.Route(core, es[0])
		return
	}
	base := len(c.buf)
	c.buf = append(c.buf, es...)
	end := len(c.buf)
	for k := base; k < end; k++ {
		c.router.Route(core, c.buf[k])
	}
	c.buf = c.buf[:base]
}

// set is a set of small numbers that finds the next member quickly: a bit each, and a bit for each word that is not zero.
type set struct{ words, full []uint64 }

func newSet(n int) set {
	w := n>>6 + 1
	return set{make([]uint64, w), make([]uint64, w>>6+1)}
}

// add reports whether x is new.
func (s *set) add(x int) bool {
	w, bit := x>>6, uint64(1)<<(x&63)
	old := s.words[w]
	if old&bit != 0 {
		return false
	}
	s.words[w] = old | bit
	s.full[w>>6] |= 1 << (w & 63)
	return true
}

func (s *set) remove(x int) {
	w := x >> 6
	if s.words[w] &^= 1 << (x & 63); s.words[w] == 0 {
		s.full[w>>6] &^= 1 << (w & 63)
	}
}

// next is the least member that is at least x, or -1.
func (s *set) next(x int) int {
	w := x >> 6
	if w >= len(s.words) {
		return -1
	}
	if m := s.words[w] >> (x & 63); m != 0 {
		return x + bits.TrailingZeros64(m)
	}
	w++
	f := w >> 6
	if f >= len(s.full) {
		return -1
	}
	m := s.full[f] >> (w & 63) << (w & 63)
	for m == 0 {
		if f++; f == len(s.full) {
			return -1
		}
		m = s.full[f]
	}
	w = f<<6 + bits.TrailingZeros64(m)
	return w<<6 + bits.TrailingZeros64(s.words[w])
}
