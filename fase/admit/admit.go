// Package admit decides which requests a server takes, when, and in which order: admission in two phases. A request is
// registered (accepted, read and parsed), stays in a pool of known requests, and is served when its turn has come; or it is
// rejected. The delay between the two phases builds a pool that can be reordered (Bestavros et al., Boston University).
//
// The nouns: a [Config] describes admission at one server; a [Gate] carries it out, on a pool in the order of a [Policy],
// with the help of a [Bucket], of [CoDel], and of the controllers [Threshold] and [Rate]. They are cores: they are handed
// instants, read no clock, and allocate nothing per request once they are warm.
package admit

import (
	"errors"
	"fmt"
	"time"
)

// Policy orders the requests of a pool. Ties go by arrival.
type Policy uint8

// The policies.
const (
	FCFS     Policy = iota // whoever came first
	SJF                    // the least demand
	EDF                    // the earliest deadline; those without one last
	Hits                   // those whose object is cached, by arrival; then the others
	Object                 // those of the object that was served last, by arrival; then the others
	Fair                   // start-time fair queueing of the clients, by demand
	Priority               // the greatest priority
	numPolicies
)

var policyNames = [numPolicies]string{"fcfs", "sjf", "edf", "hits", "object", "fair", "priority"}

// Policies lists the names of all policies, as they stand in scenarios; the default first.
func Policies() []string { return append([]string(nil), policyNames[:]...) }

// ParsePolicy finds a policy by its name.
func ParsePolicy(name string) (p Policy, ok bool) {
	for i, n := range policyNames {
		if n == name {
			return Policy(i), true
		}
	}
	return FCFS, false
}

// String returns the name.
func (p Policy) String() string {
	if p < numPolicies {
		return policyNames[p]
	}
	return "unknown"
}

// Config describes admission at one server. The zero value serves every request at once.
type Config struct {
	Policy Policy
	// Delay is how long the pool collects: service takes from it once the request that is in it longest has waited so long,
	// and then whichever the policy puts first. So under FCFS every request waits at least Delay, and under another policy one
	// waits less only by overtaking one that has waited.
	Delay   time.Duration
	Limit   int           // requests in service at once; 0: no bound
	Queue   int           // requests in the pool; what comes beyond is rejected; 0: no bound
	CoDel   CoDelConfig   // rejects what has waited too long; the zero value does not
	Bucket  BucketConfig  // rejects what comes too fast; the zero value does not
	Control ControlConfig // moves the bound of the pool or the rate of the bucket; the zero value does not
	Forward ForwardConfig // hands requests that wait too long to another server; the zero value does not
}

// Target says how the server is chosen that a request is forwarded to.
type Target uint8

// The targets, among the other servers that serve the request's service.
const (
	Least  Target = iota // the one that has told the least load
	Random               // one drawn by the request's key
)

// ForwardConfig says when a registered request is handed to another server of its service.
type ForwardConfig struct {
	After time.Duration // in the pool; 0: never
	To    Target
}

// Errors of a Config that contradicts itself.
var (
	// ErrOrder reports a policy that has nothing to order.
	ErrOrder = errors.New("without a limit and a delay nobody waits")
	// ErrQueue reports a bound of a pool in which nobody waits.
	ErrQueue = errors.New("without a limit nobody waits")
	// ErrValue reports a value out of its range.
	ErrValue = errors.New("out of range")
)

// Check returns what is wrong with a configuration whose server has so many workers (0: no bound), and for which of its parts.
func (c Config) Check(workers int) (part string, err error) {
	pooled := c.Limit > 0 || workers > 0
	switch {
	case c.Policy >= numPolicies:
		return "policy", ErrValue
	case c.Delay < 0:
		return "delay", ErrValue
	case c.Limit < 0:
		return "limit", ErrValue
	case c.Queue < 0:
		return "queue", ErrValue
	case c.Policy != FCFS && !pooled && c.Delay == 0:
		return "policy", ErrOrder
	case c.Queue > 0 && !pooled && c.Delay == 0:
		return "queue", ErrQueue
	case c.CoDel.Target > 0 && !pooled:
		return "codel", ErrQueue
	case c.Forward.After > 0 && !pooled:
		return "forward", ErrQueue
	case c.Control.Kind == ThresholdControl && !pooled:
		return "control", ErrQueue
	}
	return "", nil
}

// Enabled reports whether a server with so many workers needs a gate at all.
func (c Config) Enabled(workers int) bool { return workers > 0 || c != Config{} }

// String tells the configuration in a few words.
func (c Config) String() string {
	return fmt.Sprintf("%v, delay %v, limit %d, queue %d", c.Policy, c.Delay, c.Limit, c.Queue)
}
