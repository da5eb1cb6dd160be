package machine

import (
	"math"

	"github.com/eve-emulation/eve/dsv"
	"github.com/eve-emulation/eve/fase/step"
)

// A Job names work at a station. It is chosen by whoever brings the work, and never used twice at one station.
type Job = step.Ref

// A Station is a resource that serves jobs for a time. It is a core whose output is departures: step it like any other,
// and take what departed after each Advance.
type Station interface {
	// Arrive brings a job with its demand in nanoseconds of service. A demand of 0 departs at the same instant.
	Arrive(at dsv.Instant, job Job, demand int64)
	// Withdraw takes a job back, waiting or in service; false when it is not here.
	Withdraw(at dsv.Instant, job Job) bool
	Next() dsv.Instant
	Advance(to dsv.Instant)
	// Departed lists the jobs that have ended, in order, and forgets them; valid until the next call.
	Departed() []Job
	// Use integrates load up to at and returns what has passed since the last call: busy server-seconds and
	// job-seconds present.
	Use(at dsv.Instant) (busy, present float64)
	// Len is the number of jobs present.
	Len() int
}

// use integrates how many servers are busy and how many jobs are present.
type use struct {
	last          dsv.Instant
	busy, present int
	busyNs        float64
	presentNs     float64
}

func (u *use) upTo(at dsv.Instant) {
	if d := float64(at - u.last); d > 0 {
		u.busyNs += d * float64(u.busy)
		u.presentNs += d * float64(u.present)
		u.last = at
	}
}

func (u *use) take(at dsv.Instant) (busy, present float64) {
	u.upTo(at)
	busy, present = u.busyNs/1e9, u.presentNs/1e9
	u.busyNs, u.presentNs = 0, 0
	return busy, present
}

// Ranked is a Station with a line that may go by rank: a job that is brought with a rank stands behind those of a lesser
// rank and, of its own, behind those that came before it. [NewRanked] and [NewRankedBurner] make such a line; another one
// ignores the rank. What is served already is not interrupted.
type Ranked interface {
	Station
	// ArriveRanked is Arrive with a rank; Arrive has rank 0. The slots of the jobs that wait in a line by rank are distinct,
	// and dense: memory grows with the largest.
	ArriveRanked(at dsv.Instant, job Job, demand, rank int64)
}

type waiting struct {
	job    Job
	demand int64
}

type inService struct {
	job  Job
	from dsv.Instant
	ends dsv.Instant
	seq  uint64
}

// Queue is a station of c servers with one line, first come first served or by rank. A job that has to wait starts at the scheduled
// departure of the one before it, however late the station is stepped.
type Queue struct {
	servers int
	speed   float64
	line    line
	serving []inService // at most servers, unordered: c is small
	gone    []Job
	out     []Job
	seq     uint64
	use     use
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

// after is the instant ns nanoseconds after another, or Never when that is beyond all time.
func after(at dsv.Instant, ns float64) dsv.Instant {
	if ns >= float64(dsv.Never-max(at, 0)) {
		return dsv.Never
	}
	return at + dsv.Instant(ns)
}

func orOne(x float64) float64 {
	if x <= 0 {
		return 1
	}
	return x
}

// Arrive implements Station.
func (q *Queue) Arrive(at dsv.Instant, job Job, demand int64) { q.ArriveRanked(at, job, demand, 0) }

// ArriveRanked implements Ranked.
func (q *Queue) ArriveRanked(at dsv.Instant, job Job, demand, rank int64) {
	q.use.upTo(at)
	q.use.present++
	if len(q.serving) < q.servers {
		q.start(at, waiting{job, demand})
		return
	}
	q.line.push(waiting{job, demand}, rank)
}

func (q *Queue) start(at dsv.Instant, w waiting) {
	q.seq++
	ends := after(at, math.Round(float64(w.demand)/q.speed))
	q.serving = append(q.serving, inService{w.job, at, ends, q.seq})
	q.use.busy = len(q.serving)
}

// Withdraw implements Station.
func (q *Queue) Withdraw(at dsv.Instant, job Job) bool {
	q.use.upTo(at)
	for i := range q.serving {
		if q.serving[i].job == job {
			q.leave(at, i)
			return true
		}
	}
	if q.line.remove(job) {
		q.use.present--
		return true
	}
	return false
}

// leave frees server i at an instant and starts the next in line.
func (q *Queue) leave(at dsv.Instant, i int) {
	last := len(q.serving) - 1
	q.serving[i] = q.serving[last]
	q.serving = q.serving[:last]
	q.use.busy = last
	q.use.present--
	if w, _, ok := q.line.pop(); ok {
		q.start(at, w)
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
		if i < 0 || q.serving[i].ends > to {
			return
		}
		s := q.serving[i]
		q.use.upTo(s.ends)
		q.gone = append(q.gone, s.job)
		q.leave(s.ends, i)
	}
}

// Departed implements Station.
func (q *Queue) Departed() []Job { return takeJobs(&q.gone, &q.out) }

// Use implements Station.
func (q *Queue) Use(at dsv.Instant) (busy, present float64) { return q.use.take(at) }

// Len implements Station.
func (q *Queue) Len() int { return q.use.present }

// takeJobs swaps the list that fills with the one that was handed out before.
func takeJobs(fill, out *[]Job) []Job {
	*fill, *out = (*out)[:0], *fill
	return *out
}
