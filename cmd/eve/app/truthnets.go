package app

import (
	"fmt"
	"math"
	"strconv"
	"strings"

	"github.com/eve-emulation/eve/dsv"
	"github.com/eve-emulation/eve/fase/exact"
	"github.com/eve-emulation/eve/fase/user"
)

// cardNumber is that of a card, for their order.
func cardNumber(card string) int {
	n, err := strconv.Atoi(strings.TrimPrefix(card, "E"))
	if err != nil {
		panic(err) // cards are constants
	}
	return n
}

// turnedAway is the share of requests that are refused; served is how long those take that are not.
func turnedAway(_ float64, refused bool) float64 {
	if refused {
		return 1
	}
	return 0
}

func served(took float64, refused bool) float64 {
	if refused {
		return nan
	}
	return took
}

// bounded is E5: stations that turn requests away. Erlang's loss system is memory of which each request takes a quarter; who finds none
// fails. Erlang B holds whatever the law of the demands. M/M/1/K is a pool of one worker, before which K − 1 may wait.
func bounded() []system {
	const load, places = 3.0, 4
	var list []system
	for _, x := range []struct {
		name, tag, law string
		variance       float64
	}{{"M/M/4/4", "b_", "cpu exp(5ms)", 9}, {"M/H2/4/4", "bh_", h2, 16}} {
		s := one("E5", fmt.Sprintf("%s at %g erlangs: lost", x.name, load), x.tag, fmt.Sprintf("cpus: %d, memory: {size: %dMiB, full: fail}", places, places),
			"memory 1MiB { "+x.law+" }", load/demand.Seconds(), exact.ErlangB(places, load), x.variance, nil, 0)
		s.path, s.score, s.share = losses(places, places), turnedAway, true
		list = append(list, s)
	}
	const k = 5
	for i, rho := range []float64{0.8, 1.5} {
		variance := []float64{7, 2}[i]
		lost, took := mm1k(rho, k)
		s := one("E5", fmt.Sprintf("M/M/1/%d at %g: lost", k, rho), fmt.Sprintf("k%.0f_", 10*rho), "cpus: 1", "cpu exp(5ms)", rho/demand.Seconds(), lost, variance, nil, 0)
		s.services = []string{fmt.Sprintf("@s: {on: [@x], pool: {threads: 1, queue: %d}}", k-1)}
		s.path, s.score, s.share = losses(1, k), turnedAway, true
		list = append(list, s)
		s.name, s.tag, s.theory, s.variance = fmt.Sprintf("M/M/1/%d at %g", k, rho), fmt.Sprintf("kr%.0f_", 10*rho), took*demand.Seconds(), 6
		s.score, s.share = served, false
		list = append(list, s)
	}
	return list
}

// mm1k is the share that is lost of M/M/1/K, and how many demands those that are not take: the stationary law is a geometric one that is
// cut off (Kleinrock, Queueing Systems I, section 3.6). ρ is not 1.
func mm1k(rho float64, k int) (lost, took float64) {
	var sum, jobs, p float64
	for n, x := 0, 1.0; n <= k; n, x = n+1, x*rho {
		sum, jobs, p = sum+x, jobs+float64(n)*x, x
	}
	lost = p / sum
	return lost, jobs / sum / (rho * (1 - lost))
}

// losses is the path through a station that takes no more than most.
func losses(servers, most int) func(*course) []dsv.Instant {
	return func(c *course) []dsv.Instant {
		return c.station(0, c.arrival(0), func(order []int, jobs []exact.Job) []dsv.Instant {
			departures, refused := exact.Loss(servers, most, jobs)
			c.refused = make([]bool, len(order))
			for n, i := range order {
				c.refused[i] = refused[n]
			}
			return departures
		})
	}
}

// threeStations is E7: eight users, who think for five units, go through stations of two, one and half a unit: X = 0.48458, R = 11.5092.
func threeStations() system {
	const unit, users = 5e-3, 8
	c := must2(exact.MVA(users, 5*unit, 2*unit, unit, unit/2))
	s := tandem()
	s.card, s.name, s.tag, s.theory, s.variance = "E7", "closed, 3 stations, 8 users, Z = 5", "nw_", c.Response, 2.5
	s.requests = "request @job { call @s1 { cpu exp(10ms) } call @s2 { cpu exp(5ms) } call @s3 { cpu exp(2500us) } }"
	s.clients = []string{fmt.Sprintf("@g: {request: @job, users: %d, think: exp(25ms), patience: none}", users)}
	s.closed, s.rounds = true, (*course).roundTrips
	return s
}

// roundTrips adds what the users of a closed group ask of stations, one after the other, until an instant.
func (c *course) roundTrips(g *user.Config, end dsv.Instant) {
	type round struct {
		user int
		n    uint64
	}
	calls := map[int]round{} // whose demands are drawn, by user
	demands := make([][]int64, g.Users)
	var one course
	visits := func(u int, n uint64, k int) (exact.Visit, bool) {
		if r := (round{u, n}); k == 0 || calls[u] != r {
			one.reset(1, 3)
			one.add(0, g.Request, g.Key(uint64(u), n), 0)
			demands[u] = demands[u][:0]
			for _, call := range one.asked[0].calls {
				demands[u] = append(demands[u], call.demand)
			}
			calls[u] = r
		}
		if k == len(demands[u]) {
			return exact.Visit{}, false
		}
		return exact.Visit{Station: k, Demand: demands[u][k]}, true
	}
	for _, r := range exact.ClosedNetwork([]int{1, 1, 1}, g.Users, g.Start, end, func(u int, n uint64) int64 { return int64(g.ThinkTime(uint64(u), n)) }, visits) {
		c.add(0, g.Request, g.Key(uint64(r.User), r.N), r.Arrival)
	}
	c.sort()
}

// feedbackMost is how often a request of E9 comes back at most: what is left out are three in a million.
const feedbackMost = 10

// feedback is E9: a request comes back with probability 0.3, so that it makes 1/0.7 visits, each of which finds an M/M/1 at 0.7 (Jackson).
func feedback() system {
	const rho, back = 0.7, 0.3
	again := ""
	for range feedbackMost {
		again = fmt.Sprintf("choose { %g: { } %g: { call @s { cpu exp(5ms) } %s } }", 1-back, back, again)
	}
	visits := (1 - math.Pow(back, feedbackMost+1)) / (1 - back)
	s := one("E9", "feedback with 0.3 at 0.7", "v_", "cpus: 1", "cpu exp(5ms)", rho/visits/demand.Seconds(), visits*demand.Seconds()/(1-rho), 22, exact.FCFS, 1)
	s.requests = "request @job { call @s { cpu exp(5ms) } " + again + " }"
	s.path = (*course).visits
	return s
}

// visits is the path through one station to which requests come back.
func (c *course) visits() []dsv.Instant {
	arrivals := make([]dsv.Instant, len(c.asked))
	for i := range c.asked {
		arrivals[i] = c.asked[i].due
	}
	return exact.Network([]int{1}, arrivals, func(i, k int) (exact.Visit, bool) {
		if k == len(c.asked[i].calls) {
			return exact.Visit{}, false
		}
		return exact.Visit{Demand: c.asked[i].calls[k].demand}, true
	})
}

// approximated is E13 by Nelson and Tantawi's approximation for n branches ("Approximate Analysis of Fork/Join Synchronization in Parallel
// Queues", IEEE Trans. Computers 37(6), 1988), which is 0.3 to 4.3 % low.
func approximated(n int, rho, variance float64) system {
	harmonic := func(n int) (h float64) {
		for i := 1; i <= n; i++ {
			h += 1 / float64(i)
		}
		return h
	}
	r := harmonic(n) / harmonic(2)
	s := renamed(forkJoin(n, rho, demand.Seconds()*must(exact.ForkJoin2(rho))*(r+4.0/11*(1-r)*rho), variance), "E13")
	s.name, s.tolerance = s.name+", approximated", 0.05
	return s
}

// fanOut is E14: a request asks n idle leaves at once, and each of them takes longer than its 99th percentile once in a hundred times: the
// tail of one becomes the rule of all (Dean and Barroso, "The Tail at Scale", CACM 56(2), 2013).
func fanOut(n int) system {
	over := -demand.Seconds() * math.Log(0.01)
	p := 1 - math.Pow(0.99, float64(n))
	return system{
		card: "E14", name: fmt.Sprintf("some of %d leaves over its p99", n), tag: fmt.Sprintf("l%d_", n),
		requests: "request @job { par {" + strings.Repeat(" call @s { cpu exp(5ms) }", n) + " } }",
		servers:  []string{"@x: {cpus: 4096, run: hold, process: truth}"}, services: []string{"@s: {on: [@x]}"},
		clients: []string{"@g: {request: @job, arrive: poisson, rate: 20/s, patience: none}"},
		theory:  p, variance: (1 - p) / p, share: true,
		score: func(took float64, _ bool) float64 {
			if took > over {
				return 1
			}
			return 0
		},
		path: func(c *course) []dsv.Instant {
			out := make([]dsv.Instant, len(c.asked))
			for i := range out {
				out[i] = c.asked[i].due
				for _, call := range c.asked[i].calls {
					out[i] = max(out[i], c.asked[i].due+dsv.Instant(call.demand))
				}
			}
			return out
		},
	}
}
