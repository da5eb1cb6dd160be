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
	guests  []*Var // that may fail, and want it told
	periods []period
	due     chan struct{}
	ignored atomic.Uint64
	lean    bool

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
	return newSet(writer, epoch, specs, false)
}

// NewLeanSet makes a Set for a participant that is one goroutine, which writes, synchronises and never reads: a write takes no
// lock, and what was synchronised is kept by nobody but the Space, so that [Var.Read] returns nothing.
func NewLeanSet(writer dsv.WriterID, epoch uint32, specs []Spec) (*Set, error) {
	return newSet(writer, epoch, specs, true)
}

func newSet(writer dsv.WriterID, epoch uint32, specs []Spec, lean bool) (*Set, error) {
	s := &Set{
		lean: lean, writer: writer, epoch: epoch, vars: make(map[dsv.Name]*Var, len(specs)), due: make(chan struct{}, 1),
	}
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

// Add adds a variable at the instant at, at which its first window begins; an error for a wrong spec and for a name that
// is there. Like Advance it belongs to the goroutine that synchronises, and no Var or Names may be under way beside it.
func (s *Set) Add(spec Spec, at dsv.Instant) (*Var, error) {
	if err := spec.Check(); err != nil {
		return nil, err
	}
	if s.vars[spec.Name] != nil {
		return nil, fmt.Errorf("measure %s: named twice", spec.Name)
	}
	v := s.add(spec)
	if at <= 0 {
		return v, nil
	}
	v.emit.Lock()
	v.until = at
	v.emit.Unlock()
	for i := range s.periods {
		if p := &s.periods[i]; p.every == spec.Sync.Every && len(p.vars) == 1 {
			p.next = v.boundaryAfter(at + 1)
		}
	}
	return v, nil
}

// Remove forgets a variable; what of it was not taken is lost, and later writes go nowhere. It is called like Add.
func (s *Set) Remove(n dsv.Name) {
	v := s.vars[n]
	if v == nil {
		return
	}
	delete(s.vars, n)
	same := func(o *Var) bool { return o == v }
	s.order = slices.DeleteFunc(s.order, same)
	s.guests = slices.DeleteFunc(s.guests, same)
	for i := range s.periods {
		s.periods[i].vars = slices.DeleteFunc(s.periods[i].vars, same)
	}
	s.periods = slices.DeleteFunc(s.periods, func(p period) bool { return len(p.vars) == 0 })
	v.close(dsv.Never)
	s.mu.Lock()
	s.ready = slices.DeleteFunc(s.ready, func(d dsv.Delta) bool { return d.Name == n })
	s.mu.Unlock()
}

func (s *Set) add(spec Spec) *Var {
	man, _ := spec.manipulator()
	d := spec.Declaration("", "", false)
	v := &Var{
		spec: spec, man: man, set: s, count: int64(spec.Sync.Count), level: spec.Sync.levels(),
		total: dsv.NewFold(d.Kind, d.Merge), numeric: d.Kind != dsv.Text && d.Kind != dsv.Bytes,
	}
	v.lot = max(1, v.count/(8*shards))
	if man.Merge == dsv.Hists && !s.lean {
		v.hist = new(dsv.Counts)
	}
	v.alone, v.lean = man.OneWriter || v.level, s.lean
	v.first.init(v)
	v.first.lean = s.lean && !v.level && v.count == 0
	v.first.own = true
	s.vars[spec.Name] = v
	s.order = append(s.order, v)
	if spec.Custom != nil && spec.OnFault != nil {
		s.guests = append(s.guests, v)
	}
	every := spec.Sync.Every
	if every == 0 {
		return v
	}
	i := slices.IndexFunc(s.periods, func(p period) bool { return p.every == every })
	if i < 0 {
		i = len(s.periods)
		s.periods = append(s.periods, period{every: every, next: dsv.At(every)})
	}
	s.periods[i].vars = append(s.periods[i].vars, v)
	return v
}

// Writer returns the writer of the Set's deltas.
func (s *Set) Writer() dsv.WriterID { return s.writer }

// Flush synchronises at the instant at what was written until now, whatever the triggers say, except what belongs to
// windows after that of at. It is called like Advance.
func (s *Set) Flush(at dsv.Instant) {
	for _, v := range s.order {
		v.flush(at, false)
	}
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
	s.examine()
	for _, v := range s.order {
		if v.hist != nil {
			v.emit.Lock()
			v.addUp()
			v.emit.Unlock()
		}
	}
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
	s.examine()
	for _, v := range s.order {
		v.close(at)
	}
	s.periods = nil
}

// examine tells of guests that failed.
func (s *Set) examine() {
	for _, v := range s.guests {
		v.examine()
	}
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
