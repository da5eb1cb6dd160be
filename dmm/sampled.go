package dmm

import (
	"time"

	"github.com/eve-emulation/eve/dsv"
)

// maxWindow bounds the seconds of a window, and slices says how finely it slides.
const (
	maxWindow  = 3600
	slicesHeld = 16
)

// lastWindow is a histogram of the last so many seconds. It holds a histogram of each sixteenth, and forgets one as a
// whole once its end is older than the window.
type lastWindow struct {
	length, slice dsv.Instant
	counts        dsv.Counts // of the newest slice, since the last Take
	end           dsv.Instant
	held          []heldSlice
	n             float64
}

type heldSlice struct {
	end  dsv.Instant
	hist *dsv.Hist
}

func newWindow(s Spec) Shadow {
	w := &lastWindow{length: dsv.Instant(s.Param * float64(time.Second))}
	w.slice = max(1, w.length/slicesHeld)
	w.end = w.slice
	return w
}

func (s *lastWindow) Write(x, _ float64) {
	s.counts.Add(x)
	s.n++
}

func (s *lastWindow) WriteValue(v dsv.Value) { writeNumber(s, v) }

// Now moves the window's end to at.
func (s *lastWindow) Now(at dsv.Instant) {
	if at <= s.end {
		return
	}
	s.hold()
	s.end = (at + s.slice - 1) / s.slice * s.slice
	old := 0
	for old < len(s.held) && s.held[old].end <= at-s.length {
		old++
	}
	kept := copy(s.held, s.held[old:])
	clear(s.held[kept:])
	s.held = s.held[:kept]
}

// hold moves what was counted to the newest slice.
func (s *lastWindow) hold() {
	if s.counts.Count() == 0 {
		return
	}
	h := s.counts.Take()
	if last := len(s.held) - 1; last >= 0 && s.held[last].end == s.end {
		s.held[last].hist = dsv.MergeHists(s.held[last].hist, h)
		return
	}
	s.held = append(s.held, heldSlice{s.end, h})
}

func (s *lastWindow) Take() (dsv.Value, float64) {
	s.hold()
	var sum dsv.HistSum
	for _, h := range s.held {
		sum.Add(h.hist)
	}
	n := s.n
	s.n = 0
	return dsv.HistValue(dsv.MergeHists(sum.Hist())), n
}

// everyNth keeps one write in so many, the first one first.
type everyNth struct {
	x, n  float64
	one   uint64
	count uint64
}

func newSample(s Spec) Shadow { return &everyNth{one: max(1, uint64(s.Param))} }

func (s *everyNth) Write(x, _ float64) {
	if s.count%s.one == 0 {
		s.x = x
	}
	s.count++
	s.n++
}

func (s *everyNth) WriteValue(v dsv.Value) { writeNumber(s, v) }

func (s *everyNth) Take() (dsv.Value, float64) {
	n := s.n
	s.n = 0
	return dsv.FloatValue(s.x), n
}

// Level makes triggers look at what is kept.
func (s *everyNth) Level() float64 { return s.x }
