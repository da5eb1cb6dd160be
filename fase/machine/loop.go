package machine

import (
	"math"

	"github.com/eve-emulation/eve/dsv"
)

// Loop is one line, first come first served, before threads that do two kinds of work themselves: an event loop that computes
// and waits for the disk, one thing at a time. Each [Side] of it is the station of one kind.
type Loop struct {
	threads int
	line    ring[looped]
	serving []looped // at most threads, unordered: they are few
	seq     uint64
	sides   [2]Side
}

// A Side is the station of one kind of work of a [Loop]: its jobs wait in one line with those of the other side. Busy are the
// threads that do this kind of work.
type Side struct {
	loop  *Loop
	speed float64
	departures
	use use
}

// looped is a job of a Loop: it came, and where it is served, has been from an instant on.
type looped struct {
	side       *Side
	job        Job
	demand     int64 // that is left at from
	came, from dsv.Instant
	ends       dsv.Instant
	served     int64
	seq        uint64
}

// NewLoop returns the two stations of a loop of so many threads. A demand of the first side takes demand/speed.
func NewLoop(threads int, speed float64) (first, second *Side) {
	l := &Loop{threads: max(threads, 1)}
	l.sides[0] = Side{loop: l, speed: orOne(speed)}
	l.sides[1] = Side{loop: l, speed: 1}
	return &l.sides[0], &l.sides[1]
}

// Arrive implements Station.
func (s *Side) Arrive(at dsv.Instant, job Job, demand int64) {
	l := s.loop
	s.use.upTo(at)
	s.use.present++
	j := looped{side: s, job: job, demand: demand, came: at}
	if len(l.serving) == l.threads {
		l.line.push(j)
		return
	}
	l.start(at, j)
}

func (l *Loop) start(at dsv.Instant, j looped) {
	l.seq++
	j.side.use.upTo(at)
	j.side.use.busy++
	j.from, j.seq = at, l.seq
	j.ends = j.end()
	l.serving = append(l.serving, j)
}

func (j *looped) end() dsv.Instant {
	if j.side.speed == 0 {
		return dsv.Never
	}
	return after(j.from, math.Round(float64(j.demand)/j.side.speed))
}

// pause brings what is left of a job in service up to an instant.
func (j *looped) pause(at dsv.Instant) {
	if at > j.from {
		j.demand = max(j.demand-round(float64(at-j.from)*j.side.speed), 0)
		j.served += int64(at - j.from)
		j.from = at
	}
}

// leave frees the thread of the i-th job in service at an instant, and gives it to the next in line.
func (l *Loop) leave(at dsv.Instant, i int) {
	s := l.serving[i].side
	s.use.upTo(at)
	s.use.busy--
	s.use.present--
	last := len(l.serving) - 1
	l.serving[i] = l.serving[last]
	l.serving = l.serving[:last]
	if next, ok := l.line.pop(); ok {
		l.start(at, next)
	}
}

// first is the index of the next departure, ties in order of starting; -1 when idle.
func (l *Loop) first() int {
	best := -1
	for i := range l.serving {
		s := &l.serving[i]
		if best < 0 || s.ends < l.serving[best].ends || s.ends == l.serving[best].ends && s.seq < l.serving[best].seq {
			best = i
		}
	}
	return best
}

// Withdraw implements Station.
func (s *Side) Withdraw(at dsv.Instant, job Job) (left int64, here bool) {
	l := s.loop
	for i := range l.serving {
		if j := &l.serving[i]; j.side == s && j.job == job {
			j.pause(at)
			left = j.demand
			l.leave(at, i)
			return left, true
		}
	}
	here = l.line.remove(func(j looped) bool {
		if j.side != s || j.job != job {
			return false
		}
		left = j.demand
		return true
	})
	if here {
		s.use.upTo(at)
		s.use.present--
	}
	return left, here
}

// SetSpeed changes the speed of this kind of work from an instant on, to which the station has been advanced.
func (s *Side) SetSpeed(at dsv.Instant, speed float64) {
	for i := range s.loop.serving {
		if j := &s.loop.serving[i]; j.side == s {
			j.pause(at)
		}
	}
	s.speed = max(speed, 0)
	for i := range s.loop.serving {
		if j := &s.loop.serving[i]; j.side == s {
			j.ends = j.end()
		}
	}
}

// Next implements Station; it is the same of both sides.
func (s *Side) Next() dsv.Instant {
	if i := s.loop.first(); i >= 0 {
		return s.loop.serving[i].ends
	}
	return dsv.Never
}

// Advance implements Station. It advances both sides.
func (s *Side) Advance(to dsv.Instant) {
	l := s.loop
	for {
		i := l.first()
		if i < 0 || l.serving[i].ends > to || l.serving[i].ends == dsv.Never {
			return
		}
		j := l.serving[i]
		served := j.served + int64(j.ends-j.from)
		j.side.add(j.job, Stay{int64(j.ends-j.came) - served, served})
		l.leave(j.ends, i)
	}
}

// Use implements Station.
func (s *Side) Use(at dsv.Instant) (busy, present float64) { return s.use.take(at) }

// Len implements Station.
func (s *Side) Len() int { return s.use.present }
