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
	jobs    step.Agenda[float64, Job] // by the virtual time of departure
	gone    []Job
	out     []Job
	use     use
}

// NewSharing returns an empty station of c servers of a speed.
func NewSharing(c int, speed float64) *Sharing {
	return &Sharing{servers: max(c, 1), speed: orOne(speed)}
}

// rate is the service that each job gets per nanosecond.
func (s *Sharing) rate() float64 {
	n := s.jobs.Len()
	if n <= s.servers {
		return s.speed
	}
	return s.speed * float64(s.servers) / float64(n)
}

func (s *Sharing) upTo(at dsv.Instant) {
	s.use.upTo(at)
	if s.jobs.Len() > 0 && at > s.last {
		s.virtual += float64(at-s.last) * s.rate()
	}
	s.last = max(s.last, at)
}

func (s *Sharing) count() {
	n := s.jobs.Len()
	s.use.present, s.use.busy = n, min(n, s.servers)
	if n == 0 {
		s.virtual = 0
	}
}

// Arrive implements Station.
func (s *Sharing) Arrive(at dsv.Instant, job Job, demand int64) {
	s.upTo(at)
	s.jobs.Push(s.virtual+float64(demand), job)
	s.count()
}

// Withdraw implements Station.
func (s *Sharing) Withdraw(at dsv.Instant, job Job) bool {
	s.upTo(at)
	if !s.jobs.Remove(func(j Job) bool { return j == job }) {
		return false
	}
	s.count()
	return true
}

// Next implements Station. It is rounded up to the nanosecond, so that the job has had all of its service by then.
func (s *Sharing) Next() dsv.Instant {
	finish, _, ok := s.jobs.Peek()
	if !ok {
		return dsv.Never
	}
	left := max(finish-s.virtual, 0)
	return after(s.last, math.Ceil(left/s.rate()-slack))
}

// slack is what virtual time may be off by, in ns, after the rounding of many additions.
const slack = 1e-3

// Advance implements Station.
func (s *Sharing) Advance(to dsv.Instant) {
	for s.jobs.Len() > 0 {
		t := s.Next()
		if t > to {
			break
		}
		s.upTo(t)
		_, job, _ := s.jobs.Pop()
		s.gone = append(s.gone, job)
		s.count()
	}
	s.upTo(to)
}

// Departed implements Station.
func (s *Sharing) Departed() []Job { return takeJobs(&s.gone, &s.out) }

// Use implements Station.
func (s *Sharing) Use(at dsv.Instant) (busy, present float64) {
	s.upTo(at)
	return s.use.take(at)
}

// Len implements Station.
func (s *Sharing) Len() int { return s.jobs.Len() }
