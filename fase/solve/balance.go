package solve

import (
	"math"

	"github.com/eve-emulation/eve/fase/exact"
	"github.com/eve-emulation/eve/fase/service"
)

// kept is how much of the wait at a station's copies is left when each request joins the shortest line of some of them, at utilisation rho.
func (s *solver) kept(k int, rho float64) float64 {
	st := &s.n.stations[k]
	n := len(st.names)
	d := min(st.choices, n)
	if d < 2 || n < 2 || rho <= 0 || rho >= 1 {
		return 1
	}
	random := rho / (1 - rho)
	all := shortestOf(n, d, rho) - 1
	// Each of several callers keeps the lines of its own calls even, which are the fewer the more callers there are.
	informed := 1 / float64(max(st.callers, 1))
	return min(1, informed*all/random+(1-informed)*math.Sqrt(all/random))
}

// evened is the variance of a wait of mean w at a station whose lines a balancer keeps even, where the demand has a mean of service: as at one common
// line, or, with few choices, by where in the line an arrival stands in the limit of many servers, of which it is at place i with a probability of
// s(i−1)^d − s(i)^d, s(i) being ρ^((d^i − 1)/(d − 1)).
func (s *solver) evened(k int, w, service, rho float64) float64 {
	st := &s.n.stations[k]
	n := len(st.names)
	d := min(st.choices, n)
	if d >= n {
		return w * w * max(0, 2/max(erlang(n, rho), 1e-9)-1)
	}
	first, second, before := 0.0, 0.0, 1.0
	for i, power := 1, float64(d); before > 1e-12; i, power = i+1, power*float64(d) {
		here := math.Pow(rho, (power-1)/float64(d-1))
		p := math.Pow(before, float64(d)) - math.Pow(here, float64(d))
		first, second = first+p*float64(i), second+p*float64(i*(i+1))
		before = here
	}
	limit := first - 1 // the mean wait there, in demands
	if limit <= 0 {
		return 0
	}
	grow := w / service / limit
	return max(0, second-first*first-1) * service * service * grow * grow
}

// shortestOf is the mean response in mean demands at n exponential servers of utilisation rho, where each request joins the shortest of d lines
// drawn at random: of all n that of M/M/n and a term in ρ², of fewer the limit of many servers (Mitzenmacher 1996) with a term in 1/n. Both terms were
// fitted to the exact chains of 2 to 5 servers (exact.ChoicesOf), from which they are off by at most 4 %; ten servers at 0.9 by 5.
func shortestOf(n, d int, rho float64) float64 {
	line, _ := exact.MMc(n, rho)
	if d >= n {
		return line + apart(rho)
	}
	limit, _ := exact.Choices(d, rho)
	x := limit * (1 + 0.165*rho/(1-rho)/float64(n))
	return min(max(x, line+apart(rho)), 1/(1-rho))
}

// apart is what joining the shortest of several lines costs beyond one common line, in mean demands.
func apart(rho float64) float64 { return 0.32 * rho * rho }

// noteBalance says how a balancer is treated.
func (b *builder) noteBalance(s *service.Config) {
	where := b.plan.Where("services." + s.Name + ".balance")
	what, expect := "", ""
	switch s.Balance {
	case service.Least:
		what, expect = "each call joins the shortest line, by the formula of exponential demands", "10 % of the wait; more where several callers each know their own calls alone, or figures of servers are old"
	case service.Power:
		what, expect = "each call joins the shortest of some lines, as many servers have it (Mitzenmacher 1996)", "5 % of the wait at 16 servers; more where figures of servers are old"
	case service.Custom:
		what, expect = "an expression picks the server: it is taken for the least loaded", "unknown: it is that of the expression"
	case service.RoundRobin:
		what, expect = "calls in turn are gaps of an Erlang law at each server", "5 % of the wait with one caller; with several the turns mix, and it is that of a draw"
	case service.Hash:
		what, expect = "who asks is taken for a draw", "unequal shares of clients: large where few clients ask"
	default:
		return
	}
	b.notes.add(where, "balance of "+s.Name+": "+what, Approximated, expect)
}
