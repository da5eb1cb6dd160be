package dmm

import (
	"io"
	"math"
	"sync"

	"github.com/eve-emulation/eve/dsv"
)

// shard holds the shadow of one Var for some of its writers: of the window that is being written, and of the one
// before, for writers that are a little late.
type shard struct {
	mu         sync.Mutex // guards what follows
	start, end dsv.Instant
	cur        Shadow // of the window (start, end]
	n          int    // writes in cur
	ahead      bool   // older holds the window that ended at start, with late > 0 writes
	late       int
	older      Shadow
	done       []part      // windows before those
	timed      Timed       // cur, where it is told the time
	counts     *dsv.Counts // of cur, where it is a histogram and no older window is open
	only       *dsv.Counts // counts, where nothing but them has to be told of a write, and no lock to be taken
	chunks     *records    // cur, where it is records, and the same holds
	lean       bool        // there may be an only, or chunks
	leveler    Leveler
	closed     bool    // what is written is no more
	own        bool    // writers have not met: what was not synchronised is counted here
	counted    int64   // so many
	lease      int64   // else: writes that are counted already
	seen       float64 // the level
	overtaken  float64 // the level at the end of the older window
	sent       float64 // the level at the last synchronisation
	_          [64]byte
}

// maxDone bounds the windows that a shard keeps when nobody takes them; beyond it, windows grow wider.
const maxDone = 256

func (s *shard) init(v *Var) {
	s.seen, s.sent = math.NaN(), math.NaN()
	s.start, s.end = math.MinInt64, v.boundaryAfter(0)
}

// window returns the shadow of the window that holds at, and counts a write in it. Callers hold mu.
func (s *shard) window(v *Var, at dsv.Instant) Shadow {
	if at > s.end || s.ahead || s.cur == nil {
		return s.windowOf(v, at)
	}
	s.n++
	return s.cur
}

// windowOf is window where a window begins, or the one before is still open.
func (s *shard) windowOf(v *Var, at dsv.Instant) Shadow {
	if at > s.end {
		s.roll(v, at)
	} else if s.ahead && at <= s.start {
		s.late++
		return s.older
	}
	if s.cur == nil {
		if s.closed {
			return nowhere{}
		}
		s.cur = v.man.New(v.spec)
		s.meet()
	}
	s.n++
	return s.cur
}

// meet notes what cur is beside a Shadow.
func (s *shard) meet() {
	s.timed, _ = s.cur.(Timed)
	s.leveler, _ = s.cur.(Leveler)
	s.counts, s.only, s.chunks = nil, nil, nil
	if s.lean && !s.ahead {
		s.chunks, _ = s.cur.(*records)
	}
	if h, ok := s.cur.(*histogram); ok && !s.ahead {
		s.counts = &h.counts
		if s.lean {
			s.only = s.counts
		}
	}
}

// nowhere takes what is written after the end.
type nowhere struct{}

func (nowhere) Write(float64, float64)     {}
func (nowhere) WriteValue(dsv.Value)       {}
func (nowhere) Take() (dsv.Value, float64) { return dsv.Value{}, 0 }

// tell tells a shadow the time that wants to know it. Callers hold mu.
func (s *shard) tell(at dsv.Instant) {
	if s.timed != nil && at < dsv.Never {
		s.timed.Now(at)
	}
}

// fault returns why the shadow failed, if it did. A shadow that can has one writer.
func (s *shard) fault() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if f, ok := s.cur.(Faulter); ok {
		return f.Fault()
	}
	return nil
}

// tally counts a write for a count trigger, and says whether it fires. Callers hold mu.
func (s *shard) tally(v *Var) bool {
	if s.own {
		s.counted++
		return s.counted >= v.count
	}
	if s.lease > 0 {
		s.lease--
		return false
	}
	s.lease = v.lot - 1
	return v.writes.Add(v.lot) >= v.count
}

// share ends the counting of one's own, before a second shard is written.
func (s *shard) share(v *Var) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.own {
		v.writes.Add(s.counted)
		s.own, s.counted = false, 0
	}
}

// forget takes away n writes that were synchronised.
func (s *shard) forget(v *Var, n int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.own {
		s.counted -= n
	} else {
		v.writes.Add(-n)
	}
}

// shut closes the shadows; what is written later goes nowhere.
func (s *shard) shut(v *Var) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, shadow := range []Shadow{s.cur, s.older} {
		if c, ok := shadow.(io.Closer); ok {
			_ = c.Close()
		}
	}
	s.closed, s.ahead = true, false
	s.cur, s.older = nil, nil
	s.meet()
}

// roll opens the window that holds at.
func (s *shard) roll(v *Var, at dsv.Instant) {
	end := v.boundaryAfter(at)
	if s.n > 0 && len(s.done) >= maxDone {
		s.end = end
		return
	}
	s.settle()
	if s.n > 0 {
		if v.man.OneWriter {
			s.tell(s.end)
			s.finish(s.cur, s.end, s.n, s.seen)
		} else {
			s.cur, s.older = s.older, s.cur
			s.ahead, s.late, s.overtaken = true, s.n, s.seen
			s.start, s.end, s.n = s.end, end, 0
			s.meet()
			return
		}
	}
	s.start, s.end, s.n = end-dsv.Instant(v.spec.Sync.Every), end, 0
}

// settle renders the older window.
func (s *shard) settle() {
	if s.ahead {
		s.finish(s.older, s.start, s.late, s.overtaken)
		s.ahead, s.late = false, 0
		s.meet()
	}
}

func (s *shard) finish(shadow Shadow, end dsv.Instant, writes int, level float64) {
	value, weight := shadow.Take()
	s.done = append(s.done, part{end, value, weight, writes, level})
}

// drain moves all that was written to the Var.
func (s *shard) drain(v *Var) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.settle()
	if s.n > 0 {
		s.finish(s.cur, s.end, s.n, s.seen)
		s.n = 0
	}
	for _, p := range s.done {
		v.add(p)
	}
	clear(s.done)
	s.done = s.done[:0]
}

// look says whether a write of x makes the Var due by its level. Callers hold mu.
func (s *shard) look(v *Var, x, weight float64) bool {
	if weight != 0 && v.man.Merge == dsv.Mean {
		x /= weight
	}
	if s.leveler != nil {
		x = s.leveler.Level()
	} else if v.man.Level != nil {
		x = v.man.Level(s.seen, x, v.spec.Param)
	}
	return s.reached(v, x)
}

// reached says whether the level x makes the Var due. Callers hold mu.
func (s *shard) reached(v *Var, x float64) bool {
	t, before := &v.spec.Sync, s.seen
	s.seen = x
	fired := t.Above != nil && x > *t.Above && !(before > *t.Above) ||
		t.Below != nil && x < *t.Below && !(before < *t.Below)
	if t.Change > 0 || t.ChangeRelative > 0 {
		by := math.Abs(x - s.sent)
		fired = fired || s.sent != s.sent ||
			t.Change > 0 && by >= t.Change ||
			t.ChangeRelative > 0 && by > 0 && by >= t.ChangeRelative*math.Abs(s.sent)
	}
	if fired {
		s.sent = x
	}
	return fired
}
