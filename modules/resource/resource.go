// Package resource has two kinds of modules that share resources between hosts by events, after KECho's resource managers
// (Poellabauer et al., 2002, section 3).
//
//   - A manager offers some of a resource. It meets what its own host asks for as long as it can; the rest it asks of
//     others.
//   - An asker has nothing, and asks others for everything.
//
// They do not know each other, nor how many there are: managers are sinks of a channel for each resource, join it and leave
// it at any time, and publish how much they have free; whoever asks is a source. A request goes to the managers that have
// enough, by a filter at its source, `sink.free >= amount`. A manager that can meet it reserves the amount for the time of a
// lease and answers with an offer. Who asked chooses one, confirms it on a second channel, and declines the others; when the
// one chosen has left meanwhile, or the lease is over, it takes the next. So every request is granted by exactly one
// manager, or refused for a reason.
//
// What both measure, by the module's name:
//
//	NAME.requests NAME.granted NAME.refused NAME.refused_REASON    requests and what became of them
//	NAME.time_to_grant                                             from a request to its grant
//	NAME.asked NAME.spared NAME.offers                             requests sent, not sent thanks to the filter, and answered
//	NAME.outcomes                                                  each request, JSON
//	NAME.free NAME.used NAME.grants NAME.revoked NAME.lapsed       a manager's
//	NAME.ledger                                                    each grant and revocation of a manager, JSON
package resource

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/eve-emulation/eve/dmm"
	"github.com/eve-emulation/eve/dsv"
	"github.com/eve-emulation/eve/evekernel/egs"
	"github.com/eve-emulation/eve/modules"
)

// A ManagerConfig is what a scenario can say about a manager.
type ManagerConfig struct {
	Resource string        `json:"resource"` // what it offers; managers and askers of one name deal with each other
	Capacity float64       `json:"capacity"` // how much of it, in whatever unit requests have
	Cost     float64       `json:"cost"`     // of one unit, told in its offers
	Location string        `json:"location"` // where it is, told in its offers
	Lease    time.Duration `json:"lease"`    // how long an offer stands
	Join     time.Duration `json:"join"`     // when it joins, since the run's start
	Leave    time.Duration `json:"leave"`    // when it leaves and ends; 0: at the run's end
	Own      Demand        `json:"own"`      // what its own host asks for; none without a rate
}

// An AskerConfig is what a scenario can say about an asker.
type AskerConfig struct {
	Resource string `json:"resource"`
	Demand
}

// A Demand is a stream of requests.
type Demand struct {
	Rate     float64       `json:"rate"`     // requests per second, Poisson
	Count    int           `json:"count"`    // how many; 0: no end
	Amount   float64       `json:"amount"`   // of each
	Most     float64       `json:"most"`     // where it is more than amount, amounts are uniform between both
	Hold     time.Duration `json:"hold"`     // how long what was granted is used, in the mean; exponential
	Deadline time.Duration `json:"deadline"` // a request is granted within it, or refused
	Gather   time.Duration `json:"gather"`   // how long offers are awaited before one is chosen; `first` does not wait
	Choose   Criterion     `json:"choose"`
	Near     string        `json:"near"` // the location that the criterion near prefers
	Seed     uint64        `json:"seed"` // of arrivals, amounts and holds
}

// A Criterion says which offer is chosen.
type Criterion string

// The criteria.
const (
	First    Criterion = "first"     // the one that comes first
	Cheapest Criterion = "cheapest"  // the one that costs least
	MostFree Criterion = "most_free" // the one of the manager that has most left
	Near     Criterion = "near"      // one from the location `near`; of several the cheapest
)

// UnmarshalText reads a criterion's name.
func (c *Criterion) UnmarshalText(b []byte) error {
	all := []Criterion{First, Cheapest, MostFree, Near}
	if !slices.Contains(all, Criterion(b)) {
		return fmt.Errorf("criterion %.40q: want one of %q", b, all)
	}
	*c = Criterion(b)
	return nil
}

// A Reason is why a request was refused.
type Reason string

// The reasons.
const (
	Nobody Reason = "nobody" // no manager has published that it has enough: nobody was asked
	Silent Reason = "silent" // managers were asked and none made an offer in time
	Gone   Reason = "gone"   // all who made an offer had left, or could not keep it, when it was to be confirmed
	Late   Reason = "late"   // the deadline passed while an offer was being confirmed
	Ended  Reason = "ended"  // the asker ended first
)

// Reasons lists them all.
func Reasons() []Reason { return []Reason{Nobody, Silent, Gone, Late, Ended} }

func defaultDemand() Demand {
	return Demand{
		Amount: 1, Hold: 100 * time.Millisecond, Deadline: 500 * time.Millisecond, Gather: 20 * time.Millisecond,
		Choose: First, Seed: 1,
	}
}

// ManagerSpec is the kind manager.
var ManagerSpec = modules.Spec{
	Name: "manager", Help: "Offers a resource to whoever asks on its channel, and asks others for what it lacks.",
	Config: func() any { c := defaultManager(); return &c },
	New:    func() modules.Module { return modules.Func(runManager) },
}

// AskerSpec is the kind asker.
var AskerSpec = modules.Spec{
	Name: "asker", Help: "Asks resource managers for what it needs, and chooses among their offers.",
	Config: func() any { c := defaultAsker(); return &c },
	New:    func() modules.Module { return modules.Func(runAsker) },
}

func defaultManager() ManagerConfig {
	return ManagerConfig{Resource: "cpu", Capacity: 1, Lease: 200 * time.Millisecond, Own: defaultDemand()}
}

func defaultAsker() AskerConfig {
	c := AskerConfig{Resource: "cpu", Demand: defaultDemand()}
	c.Rate = 10
	return c
}

func (c ManagerConfig) check() error {
	var errs []error
	if _, err := dsv.ParseName(c.Resource); err != nil || strings.Contains(c.Resource, ".") {
		errs = append(errs, fmt.Errorf("resource %.40q: want [a-z][a-z0-9_]*", c.Resource))
	}
	for what, bad := range map[string]bool{
		"capacity: a positive number": !(c.Capacity > 0), "cost: at least 0": !(c.Cost >= 0), "lease: at least 1ms": c.Lease < time.Millisecond,
		"join: at least 0": c.Join < 0, "leave: after join": c.Leave != 0 && c.Leave <= c.Join,
	} {
		if bad {
			errs = append(errs, errors.New(what))
		}
	}
	return errors.Join(append(errs, c.Own.check())...)
}

func (c AskerConfig) check() error {
	return errors.Join(ManagerConfig{Resource: c.Resource, Capacity: 1, Lease: time.Second, Own: c.Demand}.check())
}

func (d Demand) check() error {
	var errs []error
	for what, bad := range map[string]bool{
		"rate: at least 0": !(d.Rate >= 0), "count: at least 0": d.Count < 0, "amount: a positive number": !(d.Amount > 0),
		"most: 0, or more than amount": d.Most != 0 && d.Most < d.Amount, "hold: at least 0": d.Hold < 0,
		"deadline: at least 1ms": d.Deadline < time.Millisecond, "gather: less than deadline": d.Gather < 0 || d.Gather >= d.Deadline,
	} {
		if bad {
			errs = append(errs, errors.New(what))
		}
	}
	return errors.Join(errs...)
}

// The attributes of the channel on which requests are asked and offers answered, by their index.
const (
	askRequest = iota
	askAmount
	askManager
	askOffer
	askFree
	askCost
	askLocation
)

// The attributes of the channel on which offers are confirmed and declined, by their index.
const (
	decideManager = iota
	decideOffer
	decideRequest
	decideVerdict
	decideHold
)

// The verdicts on an offer, and what a manager answers.
const (
	take    = "take"
	decline = "decline"
	granted = "granted"
	gone    = "gone"
)

// The facts that managers publish.
const (
	factFree = "free"
	factID   = "id"
)

// The filters that managers have the sources apply.
const (
	enough = "sink.free >= amount"
	mine   = "sink.id == manager"
)

func requestsChannel(resource string) egs.Channel {
	return egs.Channel{
		Name: dsv.Name("resources." + resource + ".requests"), Help: "Who needs some of the resource asks; who has it offers.",
		Attrs: []egs.Attr{
			{Name: "request", Kind: dsv.Text},
			{Name: "amount", Kind: dsv.Float},
			{Name: "manager", Kind: dsv.Int},
			{Name: "offer", Kind: dsv.Int},
			{Name: "free", Kind: dsv.Float},
			{Name: "cost", Kind: dsv.Float},
			{Name: "location", Kind: dsv.Text},
		},
	}
}

func decisionsChannel(resource string) egs.Channel {
	return egs.Channel{
		Name: dsv.Name("resources." + resource + ".decisions"), Help: "Who asked takes one offer and declines the others.",
		Priority: 1, // what is decided goes before what is asked
		Attrs: []egs.Attr{
			{Name: "manager", Kind: dsv.Int},
			{Name: "offer", Kind: dsv.Int},
			{Name: "request", Kind: dsv.Text},
			{Name: "verdict", Kind: dsv.Text},
			{Name: "hold", Kind: dsv.Float, Unit: "s"},
		},
	}
}

// An offer is what a manager answered.
type offer struct {
	manager, id      int64
	free, cost       float64
	location, member string
}

func readOffer(e *egs.Event) (offer, bool) {
	if len(e.Values) <= askLocation {
		return offer{}, false
	}
	v := e.Values
	return offer{v[askManager].Int, v[askOffer].Int, v[askFree].Float, v[askCost].Float, v[askLocation].Text, e.From}, true
}

// best returns the index of the offer to take first.
func (d *Demand) best(offers []offer) int {
	best := 0
	for i := range offers {
		if d.compare(offers[i], offers[best]) < 0 {
			best = i
		}
	}
	return best
}

func (d *Demand) compare(a, b offer) int {
	cheap := cmp.Or(cmp.Compare(a.cost, b.cost), cmp.Compare(b.free, a.free))
	switch d.Choose {
	case Cheapest:
		return cheap
	case MostFree:
		return cmp.Or(cmp.Compare(b.free, a.free), cmp.Compare(a.cost, b.cost))
	case Near:
		switch {
		case a.location == b.location:
			return cheap
		case a.location == d.Near:
			return -1
		case b.location == d.Near:
			return 1
		}
		return cheap
	}
	return 0
}

// period is how often counts are synchronised.
const period = 100 * time.Millisecond

func spec(name, leaf, manipulator string) dmm.Spec {
	s := dmm.Spec{Name: dsv.Name(name + "." + leaf), Manipulator: manipulator, Sync: dmm.Trigger{Every: period}}
	if manipulator == "last" {
		s.Sync = dmm.Trigger{Change: 1e-9}
	}
	return s
}
