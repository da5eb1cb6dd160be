package plan

import (
	"container/heap"
	"context"
	"encoding/binary"
	"errors"
	"math"
	"slices"
)

// Counts is how many there are of each tier.
type Counts []int

// Sum is how many there are together.
func (c Counts) Sum() int {
	sum := 0
	for _, n := range c {
		sum += n
	}
	return sum
}

// With returns the counts with one of them changed by so many.
func (c Counts) With(tier, by int) Counts {
	d := slices.Clone(c)
	d[tier] += by
	return d
}

// Covers reports whether there is at least as much of everything.
func (c Counts) Covers(d Counts) bool {
	for i := range c {
		if c[i] < d[i] {
			return false
		}
	}
	return true
}

func (c Counts) key() string {
	b := make([]byte, 0, 2*len(c))
	for _, n := range c {
		b = binary.AppendUvarint(b, uint64(n))
	}
	return string(b)
}

// An Oracle says whether counts suffice. More of anything must not make it false.
type Oracle func(Counts) (bool, error)

// Bounds are those of a search over counts.
type Bounds struct {
	From, To Counts    // at least and at most of each
	Cost     []float64 // of one of each, above 0; nil: 1 each
	Start    Counts    // where to look first; nil: From
	Most     int       // vectors that are asked about; 0: 20000
}

// A Least is what a search over counts found.
type Least struct {
	Counts Counts // nil: none within the bounds suffices
	Cost   float64
	Exact  bool // nothing cheaper suffices; false: there were too many to look at, and no single one can be taken away
	Asked  int
}

// ErrBounds reports bounds that hold no counts.
var ErrBounds = errors.New("there are no counts between the bounds")

// Cheapest finds the counts of least cost that suffice; of several the one with the fewest of the first tier, then of the next. It
// doubles all until they suffice, finds the least of each alone while there is plenty of the others, and goes up from there in the
// order of cost, so the first that suffices is the cheapest.
func Cheapest(ctx context.Context, b Bounds, suffices Oracle) (Least, error) {
	s := search{Bounds: b, ctx: ctx, known: map[string]bool{}, oracle: suffices}
	if s.Most == 0 {
		s.Most = 20_000
	}
	for i := range b.From {
		if b.From[i] > b.To[i] || b.From[i] < 0 {
			return Least{}, ErrBounds
		}
	}
	top, err := s.enough()
	if err != nil || top == nil {
		return Least{Asked: s.asked, Exact: true}, err
	}
	plenty := slices.Clone(top)
	for i := range plenty {
		plenty[i] = min(2*top[i], b.To[i])
	}
	low := make(Counts, len(top))
	for i := range low {
		if low[i], err = s.alone(plenty, i, b.From[i], top[i]); err != nil {
			return Least{}, err
		}
	}
	return s.climb(low, plenty, top)
}

type search struct {
	Bounds
	ctx    context.Context
	oracle Oracle
	known  map[string]bool
	asked  int
}

func (s *search) ask(c Counts) (bool, error) {
	k := c.key()
	if v, ok := s.known[k]; ok {
		return v, nil
	}
	if err := s.ctx.Err(); err != nil {
		return false, err
	}
	v, err := s.oracle(c)
	if err == nil {
		s.known[k] = v
		s.asked++
	}
	return v, err
}

// enough doubles until the counts suffice; nil: not even the bounds do.
func (s *search) enough() (Counts, error) {
	c := append(Counts{}, s.From...) // not nil, which is none
	for i := range s.Start {
		c[i] = min(max(s.Start[i], c[i]), s.To[i])
	}
	for {
		ok, err := s.ask(c)
		if ok || err != nil {
			return c, err
		}
		if slices.Equal(c, s.To) {
			return nil, nil
		}
		for i := range c {
			c[i] = min(max(2*c[i], 1), s.To[i])
		}
	}
}

// alone is the least count of one tier that suffices while the others have plenty.
func (s *search) alone(plenty Counts, tier, from, to int) (int, error) {
	c := slices.Clone(plenty)
	for from < to {
		mid := (from + to) / 2
		c[tier] = mid
		ok, err := s.ask(c)
		if err != nil {
			return 0, err
		}
		if ok {
			to = mid
		} else {
			from = mid + 1
		}
	}
	return to, nil
}

func (s *search) cost(c Counts) float64 {
	sum := 0.0
	for i, n := range c {
		if s.Cost == nil {
			sum += float64(n)
		} else {
			sum += float64(n) * s.Cost[i]
		}
	}
	return sum
}

type ranked struct {
	cost float64
	c    Counts
}

type frontier []ranked

func (f frontier) Len() int { return len(f) }
func (f frontier) Less(i, j int) bool {
	if d := f[i].cost - f[j].cost; math.Abs(d) > 1e-9*(1+math.Abs(f[i].cost)) {
		return d < 0
	}
	return slices.Compare(f[i].c, f[j].c) < 0
}
func (f frontier) Swap(i, j int) { f[i], f[j] = f[j], f[i] }
func (f *frontier) Push(x any)   { *f = append(*f, x.(ranked)) }
func (f *frontier) Pop() any {
	old := *f
	x := old[len(old)-1]
	*f = old[:len(old)-1]
	return x
}

// climb goes up from low in the order of cost.
func (s *search) climb(low, plenty, top Counts) (Least, error) {
	f := &frontier{{s.cost(low), low}}
	seen := map[string]bool{low.key(): true}
	for f.Len() > 0 && s.asked < s.Most {
		x := heap.Pop(f).(ranked)
		ok, err := s.ask(x.c)
		if err != nil {
			return Least{}, err
		}
		if ok {
			return Least{x.c, x.cost, true, s.asked}, nil
		}
		for i := range x.c {
			if x.c[i] < plenty[i] {
				if n := x.c.With(i, 1); !seen[n.key()] {
					seen[n.key()] = true
					heap.Push(f, ranked{s.cost(n), n})
				}
			}
		}
	}
	return s.trim(top, low)
}

// trim takes away what can be, the dearest first.
func (s *search) trim(c, low Counts) (Least, error) {
	c = slices.Clone(c)
	order := make([]int, len(c))
	for i := range order {
		order[i] = i
	}
	if s.Cost != nil {
		slices.SortStableFunc(order, func(i, j int) int { return -compare(s.Cost[i], s.Cost[j]) })
	}
	for _, i := range order {
		n, err := s.alone(c, i, low[i], c[i])
		if err != nil {
			return Least{}, err
		}
		c[i] = n
	}
	return Least{c, s.cost(c), false, s.asked}, nil
}

func compare(a, b float64) int {
	switch {
	case a < b:
		return -1
	case a > b:
		return 1
	}
	return 0
}
