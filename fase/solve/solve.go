// Package solve answers a scenario analytically: throughputs, response times, utilisations and the bottleneck in the long run, from the
// scenario alone and without running anything.
//
// The nouns: a [Model] is what one plan comes to at one instant of its rates: every demand of every request with its moments, where it is
// made, and what is held meanwhile. [Model.Solve] makes an [Answer] of it: per client group, per service and per resource, with bounds, the
// bottleneck, and every assumption that was made, with the place in the scenario that needs it.
//
// Stations are treated by the formulas that apply: M/M/1, M/G/1 (Pollaczek and Khinchine), M/M/c, processor sharing and priorities; closed
// populations by exact mean value analysis where the network has a product form (package qn), else by the arrival theorem in the manner of Bard
// and Schweitzer; workers and admission of open groups as stations as fast as their busy workers are (flow equivalence: Chandy, Herzog and Woo 1975); locks, and
// workers of closed groups, as servers that are held while what is below them is done (Rolia and Sevcik, "The Method of Layers", IEEE
// Trans. Software Engineering 21(8), 1995); `par` as fork and join.
//
// All is pure: no clock, no draws; values of this package may be used from any goroutine once made.
package solve

import (
	"errors"
	"fmt"
	"time"

	"github.com/eve-emulation/eve/dsv"
)

// ErrUnstable reports open groups that offer a resource more than it can carry, so that there is no long run: queues grow without bound. The
// error is an [Unstable].
var ErrUnstable = errors.New("unstable")

// Unstable says which resource cannot carry what it is offered, and how much could be.
type Unstable struct {
	Resource string  // as in Answer.Resources
	Offered  float64 // share of its capacity
	Rate     float64 // of all open groups together, requests per second
	Largest  float64 // of them together that leaves it below its capacity, at the same mix

	tier    string
	station int
}

// Error names the resource and the largest rate.
func (u *Unstable) Error() string {
	return fmt.Sprintf("%s is offered %.3g of its capacity at %.4g/s, and its queue grows without bound; the largest rate that it carries is below %.4g/s",
		u.Resource, u.Offered, u.Rate, u.Largest)
}

// Is makes it an ErrUnstable.
func (u *Unstable) Is(target error) bool { return target == ErrUnstable }

// Options say which moment of a scenario is solved. The zero value works.
type Options struct {
	// At is the instant of the rate curves; nil: when the open groups ask for the most together.
	At *dsv.Instant
	// Level is the quality level of each service; nil: the first that requests name, as at the start.
	Level func(service string) string
}

// Quality says how far a figure can be believed.
type Quality string

// The qualities.
const (
	Exact        Quality = "exact"        // it is the figure of the scenario in the long run
	Approximated Quality = "approximated" // by a method that is known to be off at times; the assumptions say by how much
	LeftOut      Quality = "left out"     // of an assumption: the statement was not treated
)

// Kind is what a resource is.
type Kind string

// The kinds.
const (
	Hardware Kind = "resource" // a processor, a disk, a link
	Pool     Kind = "pool"     // workers, of a service, an engine or an admission
	Lock     Kind = "lock"
)

// An Answer is a scenario in the long run.
type Answer struct {
	At         time.Duration // of the run, whose rates these are
	Groups     []Group       // in the order of the scenario
	Services   []Service
	Resources  []Resource // in the order of the scenario: servers, then what they run
	Bottleneck Limit      // what is full first when the load grows at the same mix
	Second     Limit      // what is full first once the bottleneck has as much capacity as it takes
	Bounds     Bounds
	// Assumptions are those that were made, the gravest first: what is left out, then what is approximated, then what is exact.
	Assumptions []Assumption
	Method      string // in words
	Iterations  int
}

// A Group is what the clients of one group see.
type Group struct {
	Name       string
	Closed     bool
	Users      int
	Rate       float64 // requests per second: of an open group as it asks, of a closed one as it comes to
	Throughput float64 // requests per second that end well
	Response   float64 // mean, s
	Deviation  float64 // standard deviation of the response, s
	Least      float64 // what a response cannot be less than, s: delays and demands that are constant
	Demand     float64 // mean service of one request, all resources together, s
	Errors     float64 // share of requests that fail
	Quality    Quality // of Response
	// Shape says which law the quantiles follow.
	Shape Shape
}

// A Service is what is called, as its callers see it.
type Service struct {
	Name       string
	Throughput float64 // calls per second
	Response   float64 // mean from the call to the last byte of the answer, s
	Residence  float64 // mean from arrival at a server to the reply's departure, s
	Rejected   float64 // share of calls that are turned away
}

// A Resource is something that serves, or is held.
type Resource struct {
	Name        string // app_1.cpu, db_1.disk, web_1.link, app_1.app.pool, db_1.lock.rows, front.admit
	Kind        Kind
	Tier        string // those of one tier are alike: what serves the same services in the same way
	Servers     int
	Utilisation float64 // of each server
	Wait        float64 // mean wait of one visit, s
	Service     float64 // mean service, or holding, of one visit, s
	Rate        float64 // visits per second
	Queue       float64 // mean number present, waiting and in service
	// Demand is the mean service of one request here, all its visits together, by group, s; of several that are alike, each has its share.
	Demand []float64
}

// A Limit is a resource that bounds what a scenario can do. The zero value is none.
type Limit struct {
	Resource string
	Kind     Kind
	Tier     string
	Factor   float64 // times the present load at which it is full; +Inf where nothing ever is
	Rate     float64 // requests per second of all groups together then
}

// Bounds are what no scheduling can break (Denning and Buzen 1978).
type Bounds struct {
	Throughput float64            // requests per second of all groups together, at most, at the present mix
	Response   map[string]float64 // by group: mean, at least, s
	Knee       map[string]float64 // by closed group alone: users from which on someone must wait
}

// An Assumption is something that the analysis takes for granted, and where the scenario says otherwise.
type Assumption struct {
	Where  string  `json:"where"` // file:line:column
	What   string  `json:"what"`  // the subject
	How    Quality `json:"how"`
	Expect string  `json:"expect"` // by how much it is expected to be wrong, in words
}
