package machine

import (
	"math"

	"github.com/eve-emulation/eve/dsv"
)

// Queue is a station of c servers with one line, first come first served or by rank. A job that has to wait starts at the scheduled
// departure of the one before it, however late the station is stepped. One that preempts ([NewPreemptive], [NewSRPT]) gives a job
// the server of one behind it in the line.
type Queue struct {
	servers int
	speed   float64
	preempt preempt
	line    line
	serving []inService // at most servers, unordered: c is small
	departures
	seq uint64
	use use
}

type preempt uint8

const (
	never  preempt = iota
	byRank         // of the line
	byLeft         // by what is left of the demand
)

type inService struct {
	waiting
	key  key
	from dsv.Instant
	ends dsv.Instant
	seq  uint64
}

// NewQueue returns an empty first-come-first-served queue of c servers that work at a speed: a demand takes demand/speed.
func NewQueue(c int, speed float64) *Queue {
	return &Queue{servers: max(c, 1), speed: orOne(speed)}
}

// NewRanked is NewQueue with a line by rank.
func NewRanked(c int, speed float64) *Queue {
	q := NewQueue(c, speed)
	q.line.ranked = true
	return q
}

// NewPreemptive is NewRanked where a job that finds no server free takes that of one with a greater rank at once: of the greatest,
// and of several of those the one that came last. What is interrupted waits where it stood in the line and then goes on with
// what is left of it (preempt-resume).
func NewPreemptive(c int, speed float64) *Queue {
	q := NewRanked(c, speed)
	q.preempt = byRank
	return q
}

// NewSRPT is NewPreemptive where the rank of a job is what is left of its demand, whatever it is brought with: shortest remaining
// processing time (Schrage, "A Proof of the Optimality of the Shortest Remaining Processing Time Discipline", Operations
// Research 16(3), 1968).
func NewSRPT(c int, speed float64) *Queue {
	q := NewRanked(c, speed)
	q.preempt = byLeft
	return q
}

// Arrive implements Station.
func (q *Queue) Arrive(at dsv.Instant, job Job, demand int64) { q.ArriveRanked(at, job, demand, 0) }

// ArriveRanked implements Ranked.
func (q *Queue) ArriveRanked(at dsv.Instant, job Job, demand, rank int64) {
	q.use.upTo(at)
	q.use.present++
	if q.preempt == byLeft {
		rank = demand
	}
	w, k := waiting{job: job, demand: demand, came: at}, q.line.key(rank)
	if len(q.serving) == q.servers {
		last := q.last(at, rank)
		if last < 0 {
			q.line.insert(w, k)
			return
		}
		q.interrupt(at, last)
	}
	q.start(at, w, k)
}

// last is the index of the job in service that one of a rank takes the server of; -1 for none.
func (q *Queue) last(at dsv.Instant, rank int64) int {
	if q.preempt == never {
		return -1
	}
	best, most := -1, key{rank: rank, seq: math.MaxUint64}
	for i := range q.serving {
		s := &q.serving[i]
		if s.ends <= at {
			continue // it is done, and departs when the station is stepped
		}
		k := s.key
		if q.preempt == byLeft {
			k.rank = q.left(s, at)
		}
		if most.before(k) {
			best, most = i, k
		}
	}
	return best
}

// left is what is left of the demand of a job in service.
func (q *Queue) left(s *inService, at dsv.Instant) int64 {
	return max(s.demand-round(float64(at-s.from)*q.speed), 0)
}

// interrupt puts a job in service back into the line.
func (q *Queue) interrupt(at dsv.Instant, i int) {
	s := &q.serving[i]
	q.pause(at, s)
	if q.preempt == byLeft {
		s.key.rank = s.demand
	}
	q.line.insert(s.waiting, s.key)
	q.free(i)
}

// pause brings what is left of a job in service up to an instant.
func (q *Queue) pause(at dsv.Instant, s *inService) {
	if at <= s.from {
		return
	}
	s.demand = q.left(s, at)
	s.served += int64(at - s.from)
	s.from = at
}

func (q *Queue) start(at dsv.Instant, w waiting, k key) {
	q.seq++
	q.serving = append(q.serving, inService{w, k, at, q.ends(at, w.demand), q.seq})
	q.use.busy = len(q.serving)
}

func (q *Queue) ends(at dsv.Instant, demand int64) dsv.Instant {
	if q.speed == 0 {
		return dsv.Never
	}
	return after(at, math.Round(float64(demand)/q.speed))
}

// SetSpeed changes the speed from an instant on, to which the station has been advanced: what was served so far counts. A speed of
// 0 stops it.
func (q *Queue) SetSpeed(at dsv.Instant, speed float64) {
	q.use.upTo(at)
	for i := range q.serving {
		q.pause(at, &q.serving[i])
	}
	q.speed = max(speed, 0)
	for i := range q.serving {
		s := &q.serving[i]
		s.ends = q.ends(s.from, s.demand)
	}
}

// Withdraw implements Station.
func (q *Queue) Withdraw(at dsv.Instant, job Job) (left int64, here bool) {
	q.use.upTo(at)
	for i := range q.serving {
		if s := &q.serving[i]; s.job == job {
			left = q.left(s, at)
			q.leave(at, i)
			return left, true
		}
	}
	if left, here = q.line.remove(job); here {
		q.use.present--
	}
	return left, here
}

// free takes a job out of its server.
func (q *Queue) free(i int) {
	last := len(q.serving) - 1
	q.serving[i] = q.serving[last]
	q.serving = q.serving[:last]
	q.use.busy = last
}

// leave frees server i at an instant and starts the next in line.
func (q *Queue) leave(at dsv.Instant, i int) {
	q.free(i)
	q.use.present--
	if w, k, ok := q.line.pop(); ok {
		q.start(at, w, k)
	}
}

// first is the index of the next departure, ties in order of starting; -1 when idle.
func (q *Queue) first() int {
	best := -1
	for i := range q.serving {
		s := &q.serving[i]
		if best < 0 || s.ends < q.serving[best].ends || s.ends == q.serving[best].ends && s.seq < q.serving[best].seq {
			best = i
		}
	}
	return best
}

// Next implements Station.
func (q *Queue) Next() dsv.Instant {
	if i := q.first(); i >= 0 {
		return q.serving[i].ends
	}
	return dsv.Never
}

// Advance implements Station.
func (q *Queue) Advance(to dsv.Instant) {
	for {
		i := q.first()
		if i < 0 || q.serving[i].ends > to || q.serving[i].ends == dsv.Never {
			return
		}
		s := q.serving[i]
		q.use.upTo(s.ends)
		served := s.served + int64(s.ends-s.from)
		q.add(s.job, Stay{int64(s.ends-s.came) - served, served})
		q.leave(s.ends, i)
	}
}

// Use implements Station.
func (q *Queue) Use(at dsv.Instant) (busy, present float64) { return q.use.take(at) }

// Len implements Station.
func (q *Queue) Len() int { return q.use.present }

// Waiting is the number of jobs in the line.
func (q *Queue) Waiting() int { return q.use.present - len(q.serving) }
