package service

import (
	"slices"
	"strings"
	"time"

	"github.com/eve-emulation/eve/dsv"
)

// FaultKind says what a fault does.
type FaultKind string

// The kinds of faults.
const (
	Crash     FaultKind = "crash"     // a server loses what it does and what it has in memory, and refuses until it is repaired
	Slow      FaultKind = "slow"      // a resource works Factor times slower
	Partition FaultKind = "partition" // messages between sides do not pass
)

// A Fault is one thing that goes wrong, from At until Until, when it is repaired.
type Fault struct {
	Name      string
	Kind      FaultKind
	At, Until dsv.Instant // Until is dsv.Never where nobody repairs it
	Server    int         // crash, slow: index; else -1
	Resource  string      // slow: cpu, disk or link
	Factor    float64     // slow: above 0; below 1 is faster
	Sides     [][]Party   // partition: at least two
}

// A Party is somebody whom messages come from: a server by its index, a group of clients, or Control.
type Party int

// Control is the kernel with the rules: mappings and settings come from it, and measurements go to it.
const Control Party = -1

// GroupParty is the party of a client group, by its number.
func GroupParty(group int) Party { return Party(-2 - group) }

// FaultsOf lists the crashes and slow-downs of one server.
func FaultsOf(faults []Fault, server int) []Fault {
	return slices.DeleteFunc(slices.Clone(faults), func(f Fault) bool { return f.Kind == Partition || f.Server != server })
}

// UpName is the variable that tells whether a server is up: 1, and 0 while it is down, boots or is on standby without a service;
// in between, the share of the time.
func UpName(server string) dsv.Name { return dsv.Name(server + ".up") }

// A Network says when messages pass between parties. It is immutable and shared; nil is a network where all pass.
//
// A partition loses packets, as a broken switch does, and TCP sends them again: Minimal RTO (RFC 6298 as Linux has it) after the
// first, and after twice the time each further time. So a message that meets a partition arrives with the first
// packet that is sent after it has healed.
type Network struct {
	cuts []cut // by instant
}

// RTO is how long TCP waits before it sends a packet again that nobody acknowledged; the wait doubles each time, up to MaxRTO.
const (
	RTO    = 200 * time.Millisecond
	MaxRTO = 120 * time.Second
)

type cut struct {
	from, until dsv.Instant
	side        map[Party]int
}

// NewNetwork returns the network with the partitions among faults; nil where there are none.
func NewNetwork(faults []Fault) *Network {
	n := &Network{}
	for _, f := range faults {
		if f.Kind != Partition {
			continue
		}
		c := cut{f.At, f.Until, map[Party]int{}}
		for i, side := range f.Sides {
			for _, p := range side {
				c.side[p] = i
			}
		}
		n.cuts = append(n.cuts, c)
	}
	if len(n.cuts) == 0 {
		return nil
	}
	slices.SortStableFunc(n.cuts, func(a, b cut) int { return int(min(max(a.from-b.from, -1), 1)) })
	return n
}

func (c *cut) between(a, b Party) bool {
	i, one := c.side[a]
	k, two := c.side[b]
	return one && two && i != k
}

// Heals is the first instant from at on at which messages pass between two parties.
func (n *Network) Heals(at dsv.Instant, a, b Party) dsv.Instant {
	if n == nil || a == b {
		return at
	}
	for i := range n.cuts { // by instant, so that one pass finds what follows on another
		c := &n.cuts[i]
		if c.from > at {
			break
		}
		if at < c.until && c.between(a, b) {
			at = c.until
		}
	}
	return at
}

// Arrives is when a message arrives that is sent at an instant and takes no time: then, or with the packet of it that is the
// first to be sent while no partition is in force; dsv.Never where none heals.
func (n *Network) Arrives(sent dsv.Instant, a, b Party) dsv.Instant {
	at := sent
	for wait := RTO; ; wait = min(2*wait, MaxRTO) {
		heals := n.Heals(at, a, b)
		if heals == at || heals == dsv.Never {
			return heals
		}
		at = at.Add(wait)
	}
}

// String names a fault as scenarios do: "crash server_1".
func (f *Fault) String(name func(Party) string) string {
	switch f.Kind {
	case Crash:
		return "crash " + name(Party(f.Server))
	case Slow:
		return "slow " + name(Party(f.Server)) + "." + f.Resource
	}
	sides := make([]string, len(f.Sides))
	for i, side := range f.Sides {
		names := make([]string, len(side))
		for k, p := range side {
			names[k] = name(p)
		}
		sides[i] = strings.Join(names, ", ")
	}
	return "partition " + strings.Join(sides, " | ")
}
