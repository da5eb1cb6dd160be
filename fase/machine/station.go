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
	// Withdraw takes a job back, waiting or in service, and returns what is left of its demand; false when it is not here.
	Withdraw(at dsv.Instant, job Job) (left int64, here bool)
	Next() dsv.Instant
	Advance(to dsv.Instant)
	// Departed lists the jobs that have ended, in order, and forgets them; valid until the next call.
	Departed() []Job
	// Stays tells how long each of the jobs that Departed returned last was here, in the same order; valid as long.
	Stays() []Stay
	// Use integrates load up to at and returns what has passed since the last call: busy server-seconds and
	// job-seconds present.
	Use(at dsv.Instant) (busy, present float64)
	// Len is the number of jobs present.
	Len() int
}

// A Stay is how long a job was at a station, in nanoseconds: without a server, and with one. A job that shares its server with
// others has it for its share of the time. The sum is from its arrival to its departure.
type Stay struct{ Wait, Service int64 }

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

// departures are the jobs that have left a station, and how long they were there: the list that fills, and the one handed out.
type departures struct {
	jobs, outJobs   []Job
	stays, outStays []Stay
}

func (d *departures) add(job Job, s Stay) {
	d.jobs = append(d.jobs, job)
	d.stays = append(d.stays, s)
}

// Departed implements Station.
func (d *departures) Departed() []Job {
	d.stays, d.outStays = d.outStays[:0], d.stays
	return takeJobs(&d.jobs, &d.outJobs)
}

// Stays implements Station.
func (d *departures) Stays() []Stay { return d.outStays }

// takeJobs swaps the list that fills with the one that was handed out before.
func takeJobs(fill, out *[]Job) []Job {
	*fill, *out = (*out)[:0], *fill
	return *out
}

// Ranked is a Station with a line that may go by rank: a job that is brought with a rank stands behind those of a lesser
// rank and, of its own, behind those that came before it. [NewRanked] and [NewRankedBurner] make such a line; another one
// ignores the rank. What is served already is interrupted only by a station that preempts.
type Ranked interface {
	Station
	// ArriveRanked is Arrive with a rank; Arrive has rank 0. The slots of the jobs that wait in a line by rank are distinct,
	// and dense: memory grows with the largest.
	ArriveRanked(at dsv.Instant, job Job, demand, rank int64)
}

// A waiting job: its demand is what is left of it.
type waiting struct {
	job    Job
	demand int64
	came   dsv.Instant // arrival
	served int64       // ns with a server so far
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

// round is a time in whole nanoseconds; more than a century counts as one.
func round(ns float64) int64 { return int64(math.Round(min(ns, century))) }

const century = 100 * 365.25 * 24 * 3600 * 1e9
