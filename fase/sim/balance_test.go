package sim_test

import (
	"fmt"
	"math"
	"testing"
	"time"

	"github.com/eve-emulation/eve/dsv"
	"github.com/eve-emulation/eve/fase/exact"
	"github.com/eve-emulation/eve/fase/scenario"
	"github.com/eve-emulation/eve/fase/stat"
)

// farm is a Poisson stream of exponential demands, 10 ms in the mean, over n servers that a balancer picks from.
func farm(t testing.TB, n int, rho float64, duration time.Duration, balance, more string) *scenario.Plan {
	t.Helper()
	return load(t, "farm", fmt.Appendf(nil, `eve: 1
name: farm
duration: %gs
seed: 15
records: 1/s
requests: |
  request job { call app { cpu exp(10ms) } }
servers:
  web: {count: %d, process: farm}
services:
  app: {on: web, balance: %s}
clients:
  jobs: {request: job, rate: %g/s}
%s`, duration.Seconds(), n, balance, rho*100*float64(n), more), scenario.Options{})
}

// meanResponse is the mean response time of a group in mean demands of 10 ms, by Little's law from the integral of those in
// flight, after the first tenth of the run, with the standard error by 20 batches of time.
func meanResponse(t testing.TB, s *simulation, group dsv.Name) (mean, se float64) {
	t.Helper()
	from := s.plan.Duration / 10
	batch := func(at dsv.Instant) int {
		return int(float64(at.Sub(dsv.At(from))-1) / float64(s.plan.Duration-from) * stat.Batches)
	}
	var area, count [stat.Batches]float64
	read := func(n dsv.Name, into *[stat.Batches]float64) {
		err := s.history.History(n, -1, dsv.Never, func(u dsv.Update) error {
			if at := u.Delta.T1; at > dsv.At(from) {
				x, _ := u.Delta.Value.Number()
				into[min(batch(at), stat.Batches-1)] += x
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	read(group+".in_flight", &area)
	read(group+".issued", &count)
	a, n := 0.0, 0.0
	for i := range area {
		a, n = a+area[i], n+count[i]
	}
	mean = a / n
	for i := range area { // of a ratio, by the delta method
		d := (area[i] - mean*count[i]) / (n / stat.Batches)
		se += d * d
	}
	se = math.Sqrt(se / (stat.Batches - 1) / stat.Batches)
	return mean / 0.010, se / 0.010
}

// must is the value of a theory.
func must(x float64, err error) float64 {
	if err != nil {
		panic(err)
	}
	return x
}

// Each balancer's mean response lies within 4 standard errors, which are at most 3 %, of the exact value. With 100 servers
// what d choices come to is that of infinitely many within 1 % (accuracy.md, E15).
func TestBalancersKeepTheory(t *testing.T) {
	if testing.Short() || raced {
		t.Skip("hundreds of thousands of requests; a simulation is one goroutine")
	}
	for _, tt := range []struct {
		balance string
		n       int
		rho     float64
		secs    int
		want    float64
		bias    float64 // that of finitely many servers
	}{
		{"random", 4, 0.5, 200, 2, 0},
		{"power of 1", 4, 0.5, 200, 2, 0},
		{"power of 2", 4, 0.7, 200, must(exact.ChoicesOf(4, 2, 0.7, 20)), 0},
		{"power of 3", 4, 0.7, 200, must(exact.ChoicesOf(4, 3, 0.7, 16)), 0},
		{"least", 4, 0.7, 200, must(exact.ChoicesOf(4, 4, 0.7, 14)), 0},
		{"shortest", 2, 0.5, 200, must(exact.ChoicesOf(2, 2, 0.5, 30)), 0},
		{"round-robin", 4, 0.8, 200, must(exact.ErlangArrivals(4, 0.8)), 0},
		{"hash", 4, 0.5, 200, 2, 0}, // each arrival of an open group is a session of its own
		{"power of 2", 100, 0.7, 5, must(exact.Choices(2, 0.7)), 0.01},
		{"power of 3", 100, 0.7, 5, must(exact.Choices(3, 0.7)), 0.01},
	} {
		t.Run(fmt.Sprintf("%s of %d", tt.balance, tt.n), func(t *testing.T) {
			s := simulate(t, farm(t, tt.n, tt.rho, time.Duration(tt.secs)*time.Second, tt.balance, ""))
			got, se := meanResponse(t, s, "jobs")
			t.Logf("%.4f ± %.4f, theory %.4f", got, se, tt.want)
			if se > 0.03*tt.want {
				t.Errorf("standard error: got %.4f, want at most 3 %% of %.4f", se, tt.want)
			}
			if math.Abs(got-tt.want) > 4*se+tt.bias*tt.want {
				t.Errorf("mean response: got %.4f, want %.4f ± 4·%.4f", got, tt.want, se)
			}
		})
	}
}

// On one sample path: joining the shortest queue is no better than one queue for all, and each choice more is better.
func TestOrderOfBalancers(t *testing.T) {
	if testing.Short() || raced {
		t.Skip("hundreds of thousands of requests; a simulation is one goroutine")
	}
	const n, rho = 8, 0.9
	last := math.Inf(1)
	for _, balance := range []string{"random", "round-robin", "power of 2", "power of 3", "shortest"} {
		s := simulate(t, farm(t, n, rho, 30*time.Second, balance, ""))
		got, _ := meanResponse(t, s, "jobs")
		t.Logf("%s: %.3f", balance, got)
		if got > 0.95*last {
			t.Errorf("mean response with %s: got %.3f, want less than the %.3f of the one before", balance, got, last)
		}
		last = got
	}
	if least := must(exact.MMc(n, rho)); last < least {
		t.Errorf("mean response with shortest: got %.3f, want more than the %.3f of M/M/%d", last, least, n)
	}
}

// What callers see of the servers' queues is as old as its synchronisation lets it be: the older, the more of them run to
// whoever looked idle, until that is worse than not to look (Mitzenmacher, "How Useful Is Old Information?", 2000).
func TestStaleViews(t *testing.T) {
	if testing.Short() || raced {
		t.Skip("hundreds of thousands of requests; a simulation is one goroutine")
	}
	mean := func(balance, more string) float64 {
		got, _ := meanResponse(t, simulate(t, farm(t, 8, 0.8, 20*time.Second, balance, more)), "jobs")
		t.Logf("%s %s: %.3f", balance, more, got)
		return got
	}
	random := mean("random", "")
	last := mean("shortest", "")
	for _, every := range []string{"10ms", "100ms", "1s"} {
		got := mean("{kind: shortest, by: in_flight}", "measure:\n  web.in_flight: {sync: {every: "+every+"}}\n")
		if got < 1.2*last {
			t.Errorf("mean response with a view of every %s: got %.3f, want more than the %.3f of the fresher one", every, got, last)
		}
		last = got
	}
	if last < random {
		t.Errorf("mean response with a view of every 1s: got %.3f, want more than the %.3f of random", last, random)
	}
	// Two choices of what is old do less harm than all.
	if got := mean("{kind: power of 2, by: in_flight}", "measure:\n  web.in_flight: {sync: {every: 1s}}\n"); got > last/2 {
		t.Errorf("mean response with power of 2 and a view of every 1s: got %.3f, want less than half the %.3f of shortest", got, last)
	}
}
