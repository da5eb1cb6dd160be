package runs

import (
	"math"
	"slices"

	"github.com/eve-emulation/eve/dsv"
	"github.com/eve-emulation/eve/fase/machine"
	"github.com/eve-emulation/eve/fase/scenario"
	"github.com/eve-emulation/eve/fase/service"
	"github.com/eve-emulation/eve/fase/stat"
)

// A Law is an operational law of queueing: it holds of measurements of any system, whatever its distributions, but for what
// is under way at the ends of the window.
type Law string

// The laws.
const (
	Little      Law = "little"      // mean requests in flight = rate of those that ended × mean response time
	Utilisation Law = "utilisation" // mean utilisation of a CPU = demand delivered ÷ (window × cores × speed)
)

// A Check is what a law says of a group of clients, or of a server's CPU, and what was measured, each by variables of
// their own.
type Check struct {
	Law      Law    `json:"law"`
	Of       string `json:"of"` // group or server
	Measured Number `json:"measured"`
	Expected Number `json:"expected"`
	Error    Number `json:"error"` // |measured − expected| ÷ expected
	// Edges is the share that requests under way at the ends of the window can make up; beyond MaxCheckError the check
	// says nothing.
	Edges   Number       `json:"edges"`
	Verdict stat.Verdict `json:"verdict"`
}

// MaxCheckError is up to where a law holds.
const MaxCheckError = 0.05

// checks compares what was measured apart and is bound by a law. What was not used has no check.
func (t *totals) checks(plan *scenario.Plan, s *Summary) []Check {
	out := []Check{}
	if t.seconds() <= 0 {
		return out
	}
	for _, name := range s.Groups() {
		c := s.Clients[name]
		x := Check{Law: Little, Of: name, Measured: Number(t.measured(dsv.Name(name + ".in_flight")).Mean())}
		x.Expected = t.perSecond(float64(c.Requests)) * c.Response.Mean
		x.Edges = 2 * c.Response.P99 / Number(t.seconds())
		out = x.judged(out)
	}
	capacity, burns := map[string]float64{}, map[string]bool{}
	for i := range plan.Servers {
		h := &plan.Servers[i]
		if !slowed(h) { // the books know how to reckon with that
			capacity[h.Name], burns[h.Name] = cpuCapacity(h), h.Machine.Run == machine.Burn
		}
	}
	for _, name := range s.ServerNames() {
		r, x := s.Servers[name]["cpu"], Check{Law: Utilisation, Of: name}
		if have := capacity[name]; have > 0 { // a target's is not known
			x.Measured, x.Expected = r.Utilisation, t.perSecond(float64(r.Delivered)/have)
			out = x.judged(out)
			// What is burned may take longer than the CPU time that it is: then this tells of the host and not of the figures.
			if n := len(out); burns[name] && n > 0 && out[n-1].Of == name && out[n-1].Verdict == stat.Fail && x.Measured > x.Expected {
				out[n-1].Verdict = stat.Inconclusive
			}
		}
	}
	return out
}

// cpuCapacity is how much demand a server's CPU meets at most, in seconds per second.
func cpuCapacity(s *scenario.Server) float64 {
	cpu := s.Machine.CPU
	if s.Machine.Run == machine.Burn {
		cpu.Quota = 0 // the kernel keeps it, and utilisation counts what is burned
	}
	return float64(max(1, cpu.Cores)) * service.Speed(cpu)
}

// slowed reports whether a fault makes a server's CPU slower than it is for some of the run.
func slowed(s *scenario.Server) bool {
	return slices.ContainsFunc(s.Faults, func(f service.Fault) bool { return f.Kind == service.Slow && f.Resource == "cpu" })
}

// judged appends the check with its verdict, if there is anything to check.
func (x Check) judged(out []Check) []Check {
	measured, expected := float64(x.Measured), float64(x.Expected)
	if !(expected > 0) || math.IsNaN(measured) {
		return out
	}
	x.Error = Number(math.Abs(measured-expected) / expected)
	switch {
	case !(x.Edges <= MaxCheckError):
		x.Verdict = stat.Inconclusive
	case x.Error <= MaxCheckError:
		x.Verdict = stat.Pass
	default:
		x.Verdict = stat.Fail
	}
	return append(out, x)
}
