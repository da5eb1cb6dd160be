package dmm

import (
	"cmp"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/eve-emulation/eve/dsv"
)

// A Set is all manipulated variables of one participant. Vars may be written from any goroutine at any time; Next,
// Advance, Take and Close are called by one goroutine, which synchronises.
//
// Deltas wait in the Set until they are taken; nothing bounds them but the variables' triggers.
type Set struct {
	writer  dsv.WriterID
	epoch   uint32
	vars    map[dsv.Name]*Var
	order   []*Var
	periods []period
	due     chan struct{}
	ignored atomic.Uint64

	mu    sync.Mutex // guards ready; taken last
	ready []dsv.Delta
}

// period groups the variables that are synchronised at the same instants.
type period struct {
	every time.Duration
	next  dsv.Instant
	vars  []*Var
}

// NewSet makes a Set. Specs are checked; a name that comes twice is an error.
func NewSet(writer dsv.WriterID, epoch uint32, specs []Spec) (*Set, error) {
	s := &Set{writer: writer, epoch: epoch, vars: make(map[dsv.Name]*Var, len(specs)), due: make(chan struct{}, 1)}
	for _, spec := range specs {
		if err := spec.Check(); err != nil {
			return nil, err
		}
		if s.vars[spec.Name] != nil {
			return nil, fmt.Errorf("measure %s: named twice", spec.Name)
		}
		s.add(spec)
	}
	return s, nil
}

func (s *Set) add(spec Spec) {
	man, _ := spec.manipulator()
	d := spec.Declaration("", "", false)
	v := &Var{
		spec: spec, man: man, set: s, count: int64(spec.Sync.Count), level: spec.Sync.levels(),
		total: dsv.NewFold(d.Kind, d.Merge), numeric: d.Kind != dsv.Text && d.Kind != dsv.Bytes,
	}
	v.alone = man.OneWriter || v.level
	v.first.init(v)
	s.vars[spec.Name] = v
	s.order = append(s.order, v)
	every := spec.Sync.Every
	if every == 0 {
		return
	}
	i := slices.IndexFunc(s.periods, func(p period) bool { return p.every == every })
	if i < 0 {
		i = len(s.periods)
		s.periods = append(s.periods, period{every: every, next: dsv.At(every)})
	}
	s.periods[i].vars = append(s.periods[i].vars, v)
}

// Var returns the variable of that name; nil, whose methods do nothing, when it is not measured.
func (s *Set) Var(n dsv.Name) *Var {
	if s == nil {
		return nil
	}
	return s.vars[n]
}

// Names lists the variables in the order of their specs.
func (s *Set) Names() []dsv.Name {
	names := make([]dsv.Name, len(s.order))
	for i, v := range s.order {
		names[i] = v.spec.Name
	}
	return names
}

// Begin moves the start of the first windows from T0 to at, for a participant that joins a run late: before the first
// write.
func (s *Set) Begin(at dsv.Instant) {
	for _, v := range s.order {
		v.emit.Lock()
		v.until = at
		v.emit.Unlock()
	}
	for i := range s.periods {
		p := &s.periods[i]
		p.next = p.vars[0].boundaryAfter(at + 1)
	}
}

// Next returns the next instant of a time trigger, a multiple of its period since T0; Never without any.
func (s *Set) Next() dsv.Instant {
	next := dsv.Never
	for i := range s.periods {
		next = min(next, s.periods[i].next)
	}
	return next
}

// Advance fires the time triggers that are due by to, in the order of their instants.
func (s *Set) Advance(to dsv.Instant) {
	for {
		at := s.Next()
		if at > to || at == dsv.Never {
			return
		}
		for i := range s.periods {
			p := &s.periods[i]
			if p.next != at {
				continue
			}
			for _, v := range p.vars {
				v.boundary(at)
			}
			p.next = at.Add(p.every)
		}
	}
}

// Take appends the deltas that became due to dst, oldest first, and forgets them.
func (s *Set) Take(dst []dsv.Delta) []dsv.Delta {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := len(dst)
	dst = append(dst, s.ready...)
	clear(s.ready)
	s.ready = s.ready[:0]
	slices.SortStableFunc(dst[n:], func(a, b dsv.Delta) int { return cmp.Compare(a.T1, b.T1) })
	return dst
}

// Due is signalled when a count, change or threshold made deltas due between two instants of the time triggers.
func (s *Set) Due() <-chan struct{} { return s.due }

// Ignored returns how many writes were ignored: samples that are not finite, values of another kind, records too long.
func (s *Set) Ignored() uint64 { return s.ignored.Load() }

// Close synchronises everything at the instant at; Take returns it. Later writes are not synchronised.
func (s *Set) Close(at dsv.Instant) {
	s.Advance(at)
	for _, v := range s.order {
		v.close(at)
	}
	s.periods = nil
}

func (s *Set) push(d dsv.Delta) {
	s.mu.Lock()
	s.ready = append(s.ready, d)
	s.mu.Unlock()
}

func (s *Set) signal() {
	select {
	case s.due <- struct{}{}:
	default:
	}
}
