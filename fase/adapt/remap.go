package adapt

import (
	"fmt"
	"math"
	"slices"
)

// Remap moves services to where the busiest server is least busy: from what each service demands (one metric each, in the order
// of Services: seconds of service per second) and what each server can do, it looks for the placement with the least greatest
// utilisation, and moves there where that is lower by more than Gain. The demand of a service is U = X × D, the utilisation law
// (Denning and Buzen, "The Operational Analysis of Queueing Network Models", 1978). Finding the least is bin packing, so it
// is approached: the better of two descents by single moves and exchanges, one from where the services are, one from the greatest
// demand first to the least busy server (LPT: Graham, "Bounds on Multiprocessing Timing Anomalies", 1969).
type Remap struct {
	Services []Placed
	Capacity []float64 // by server: seconds of service per second; 0: not to be used
	Names    []string  // of the servers, for the actions
	Gain     float64   // by which the greatest utilisation has to fall, absolute; 0: 0.1; below 0: none
	Most     int       // moves at a step; 0: as many as it takes
}

// Placed is one service that a Remap may move. It is at one server.
type Placed struct {
	Name    string
	Service int
}

const remapGain = 0.1

// New returns the controller.
func (c Remap) New() Controller {
	switch {
	case c.Gain == 0:
		c.Gain = remapGain
	case c.Gain < 0:
		c.Gain = 0
	}
	return &remap{Remap: c}
}

type remap struct{ Remap }

// Step implements Controller.
func (c *remap) Step(r *Reading) Answer {
	if len(r.Metrics) < len(c.Services) || len(r.Places) < len(c.Services) {
		return None()
	}
	demand := make([]float64, len(c.Services))
	for i := range demand {
		if demand[i] = r.Metrics[i].Value; !(demand[i] >= 0) || demand[i] > maxLoad {
			return None()
		}
	}
	at := r.Places[:len(c.Services)]
	if slices.Contains(at, -1) {
		return None() // under way, or at several
	}
	to := Place(demand, c.Capacity, at)
	if to == nil || Busiest(demand, c.Capacity, at)-Busiest(demand, c.Capacity, to) <= c.Gain {
		return None()
	}
	a := None()
	for i, x := range to {
		if x != at[i] && (c.Most == 0 || len(a.Actions) < c.Most) {
			s := c.Services[i]
			a.Actions = append(a.Actions, Action{Verb: Move, Service: s.Service, Server: x, Text: fmt.Sprintf("move %s to %s", s.Name, c.Names[x])})
		}
	}
	return a
}

// Busiest is the greatest utilisation of a placement: at[i] is the server of the i-th demand.
func Busiest(demand, capacity []float64, at []int) float64 {
	load := make([]float64, len(capacity))
	for i, x := range at {
		load[x] += demand[i]
	}
	most := 0.0
	for x, l := range load {
		switch {
		case l == 0:
		case !(capacity[x] > 0):
			return math.Inf(1)
		default:
			most = max(most, l/capacity[x])
		}
	}
	return most
}

// Place returns where each demand should go that now is at a server, so that the busiest server is about as little busy as
// possible; see [Remap]. It is nil where no server has capacity.
func Place(demand, capacity []float64, at []int) []int {
	usable := false
	for _, c := range capacity {
		usable = usable || c > 0
	}
	if !usable {
		return nil
	}
	stay := descend(demand, capacity, slices.Clone(at))
	anew := descend(demand, capacity, greatestFirst(demand, capacity))
	if Busiest(demand, capacity, anew) < Busiest(demand, capacity, stay)*(1-1e-9) {
		return anew
	}
	return stay
}

// greatestFirst places the greatest demand first, each where the server is least busy with it.
func greatestFirst(demand, capacity []float64) []int {
	order := make([]int, len(demand))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(a, b int) int {
		switch {
		case demand[a] > demand[b]:
			return -1
		case demand[a] < demand[b]:
			return 1
		}
		return 0
	})
	to, load := make([]int, len(demand)), make([]float64, len(capacity))
	for _, i := range order {
		best := -1
		for x, c := range capacity {
			if c > 0 && (best < 0 || (load[x]+demand[i])/c < (load[best]+demand[i])/capacity[best]) {
				best = x
			}
		}
		to[i] = best
		load[best] += demand[i]
	}
	return to
}

// descend improves a placement by the best move or exchange, until none helps: the sorted utilisations fall lexicographically, so
// that it goes on where several servers are the busiest.
func descend(demand, capacity []float64, at []int) []int {
	now := ranked(demand, capacity, at)
	for range 64 * (len(demand) + 1) {
		better := false
		try := func(next []int) {
			if u := ranked(demand, capacity, next); less(u, now) {
				at, now, better = slices.Clone(next), u, true
			}
		}
		from := slices.Clone(at)
		next := slices.Clone(from)
		for i := range from {
			for x := range capacity {
				if x != from[i] && capacity[x] > 0 {
					next[i] = x
					try(next)
					next[i] = from[i]
				}
			}
			for k := i + 1; k < len(from); k++ {
				next[i], next[k] = from[k], from[i]
				try(next)
				next[i], next[k] = from[i], from[k]
			}
		}
		if !better {
			break
		}
	}
	return at
}

// ranked are the utilisations of a placement, the greatest first.
func ranked(demand, capacity []float64, at []int) []float64 {
	load := make([]float64, len(capacity))
	for i, x := range at {
		load[x] += demand[i]
	}
	for x, c := range capacity {
		switch {
		case c > 0:
			load[x] /= c
		case load[x] > 0:
			load[x] = math.Inf(1)
		}
	}
	slices.Sort(load)
	slices.Reverse(load)
	return load
}

// less compares ranked utilisations, where those that differ by rounding are equal.
func less(a, b []float64) bool {
	for i := range a {
		if d := a[i] - b[i]; math.Abs(d) > 1e-12*max(1, math.Abs(b[i])) || math.IsInf(a[i], 1) != math.IsInf(b[i], 1) {
			return d < 0 || math.IsInf(b[i], 1)
		}
	}
	return false
}
