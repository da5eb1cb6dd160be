package machine

import (
	"math"

	"github.com/eve-emulation/eve/dsv"
	"github.com/eve-emulation/eve/fase/step"
)

// Sharing is a processor-sharing station of c servers: n jobs present progress at rate min(1, c/n) each. It keeps
// virtual time, the service that a job present since the start would have had, so a change of n costs O(log n)
// (Parekh and Gallager 1993 use the same device).
type Sharing struct {
	servers int
	speed   float64
	virtual float64 // ns of service per job since the station was last empty
	last    dsv.Instant
	had     float64                      // ns of a server per job since then
	jobs    step.Agenda[float64, sharer] // by the virtual time of departure
	departures
	use use
}

// A sharer is a job that shares, with when it came and what each job had had then.
type sharer struct {
	job  Job
	came dsv.Instant
	had  float64
	ends float64 // the virtual time of its departure
}

// NewSharing returns an empty station of c servers of a speed.
func NewSharing(c int, speed float64) *Sharing {
	return &Sharing{servers: max(c, 1), speed: orOne(speed)}
}

// share is what each job has of a server.
func (s *Sharing) share() float64 {
	if n := s.jobs.Len(); n > s.servers {
		return float64(s.servers) / float64(n)
	}
	return 1
}

// rate is the service that each job gets per nanosecond.
func (s *Sharing) rate() float64 { return s.speed * s.share() }

func (s *Sharing) upTo(at dsv.Instant) {
	s.use.upTo(at)
	if s.jobs.Len() > 0 && at > s.last {
		d := float64(at-s.last) * s.share()
		s.virtual += d * s.speed
		s.had += d
	}
	s.last = max(s.last, at)
}

func (s *Sharing) count() {
	n := s.jobs.Len()
	s.use.present, s.use.busy = n, min(n, s.servers)
	if n == 0 {
		s.virtual, s.had = 0, 0
	}
}

// Arrive implements Station.
func (s *Sharing) Arrive(at dsv.Instant, job Job, demand int64) {
	s.upTo(at)
	ends := s.virtual + float64(demand)
	s.jobs.Push(ends, sharer{job, at, s.had, ends})
	s.count()
}

// Withdraw implements Station.
func (s *Sharing) Withdraw(at dsv.Instant, job Job) (left int64, here bool) {
	s.upTo(at)
	here = s.jobs.Remove(func(j sharer) bool {
		if j.job != job {
			return false
		}
		left = round(max(j.ends-s.virtual, 0))
		return true
	})
	if here {
		s.count()
	}
	return left, here
}

// Next implements Station. It is rounded up to the nanosecond, so that the job has had all of its service by then.
func (s *Sharing) Next() dsv.Instant {
	finish, _, ok := s.jobs.Peek()
	if !ok {
		return dsv.Never
	}
	left := max(finish-s.virtual, 0)
	if s.speed == 0 {
		if left > slack {
			return dsv.Never
		}
		return s.last
	}
	return after(s.last, math.Ceil(left/s.rate()-slack))
}

// slack is what virtual time may be off by, in ns, after the rounding of many additions.
const slack = 1e-3

// Advance implements Station.
func (s *Sharing) Advance(to dsv.Instant) {
	for s.jobs.Len() > 0 {
		t := s.Next()
		if t > to || t == dsv.Never {
			break
		}
		s.upTo(t)
		_, j, _ := s.jobs.Pop()
		here := int64(t - j.came)
		service := min(round(s.had-j.had), here)
		s.add(j.job, Stay{here - service, service})
		s.count()
	}
	s.upTo(to)
}

// SetSpeed changes the speed from an instant on, to which the station has been advanced: what was served so far counts. A speed of
// 0 stops it.
func (s *Sharing) SetSpeed(at dsv.Instant, speed float64) {
	s.upTo(at)
	s.speed = max(speed, 0)
}

// Use implements Station.
func (s *Sharing) Use(at dsv.Instant) (busy, present float64) {
	s.upTo(at)
	return s.use.take(at)
}

// Len implements Station.
func (s *Sharing) Len() int { return s.jobs.Len() }
