// Package user emulates the clients of a run: open arrival processes and closed populations, as cores.
//
// A [Group] decides who wants what and when; it knows no transport. Every sample holds due, sent and done, and response
// times count from due. All draws are keyed, so the plan of a group (its gaps, keys and demands) is a function of the
// scenario and its seed, whatever the servers do.
package user

import (
	"time"

	"github.com/eve-emulation/eve/dsv"
	"github.com/eve-emulation/eve/fase/service"
	"github.com/eve-emulation/eve/rdr"
)

// Law is an arrival process.
type Law uint8

// The laws.
const (
	Poisson  Law = iota // unit gaps are exponential
	Constant            // unit gaps are one
	MMPP                // unit gaps are exponential, and states that come and go multiply the rate: Config.Bursts
	Replay              // Config.Trace says when
)

// A Point is one corner of a rate curve; between corners the rate is linear, after the last it is constant.
type Point struct {
	At   dsv.Instant
	Rate float64 // per second
}

// Config describes one group of clients. It is open when Rate or Trace is set, else closed with Users.
type Config struct {
	Name     string
	Index    int // group number, part of every key
	Seed     uint64
	Request  *rdr.Block // what each arrival, or user, asks: a request, run at the client; nil with Sessions
	Sessions *Sessions  // walks over pages in place of the one request
	Law      Law
	Rate     []Point       // open: at least one point; beside a Trace only to tell about how much it offers
	Sine     *Sine         // a swing of the Rate; nil: none
	Bursts   *Bursts       // of MMPP
	Trace    *Trace        // of Replay
	Users    int           // closed: population
	Think    *Think        // closed: nil means none, but 1 ms after a request that took no time at all
	Patience time.Duration // 0: endless
	Retry    Retry
	Start    dsv.Instant // closed: when the users come and begin to think
	End      dsv.Instant // no request is due at or after it
	Warmup   dsv.Instant // readers leave out what was due before it; the group measures it alike
	Topology *service.Topology
	Services []service.Config
	// Network is what its messages cross; nil: nothing holds them up.
	Network *service.Network
	// RecordShare is the share of requests that are recorded one by one, chosen by key; 0 means all.
	RecordShare float64
	Connections Connections
	// Named says that requests tell who asks, because some server is fair to clients: each user of a closed group is one
	// client, and an open group is one as a whole.
	Named bool
	// Sticky says that each session of an open group is a client of its own too, because some service is balanced by who asks.
	Sticky bool
	// Parts above 1 spreads the group over so many processes. This one emulates the sessions n of an open group, and the
	// users n of a closed one, for which n mod Parts is Part; all others keep their keys and their instants.
	Part, Parts int
}

// Think is a think time: a unit-mean law scaled by its mean.
type Think struct {
	Mean        time.Duration
	Exponential bool
}

// A Record is one request as its group saw it: the unit of the variable GROUP.records.
type Record struct {
	Key             rdr.Key
	Due, Sent, Done dsv.Instant
	Cause           service.Cause
}

// RecordSize is the size of an encoded Record in bytes.
const RecordSize = 40
