package exact_test

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/eve-emulation/eve/dsv"
	"github.com/eve-emulation/eve/fase/exact"
)

func TestByHand(t *testing.T) {
	tests := []struct {
		name    string
		path    func(int, []exact.Job) []dsv.Instant
		servers int
		jobs    []exact.Job
		want    []dsv.Instant
	}{
		{"fcfs, none", exact.FCFS, 1, nil, []dsv.Instant{}},
		// The second waits from 2 to 5, the third from 6 to 7; the fourth finds the server idle.
		{"fcfs, one server", exact.FCFS, 1, []exact.Job{{0, 5}, {2, 2}, {6, 4}, {20, 1}}, []dsv.Instant{5, 7, 11, 21}},
		{"fcfs, together", exact.FCFS, 1, []exact.Job{{3, 1}, {3, 0}, {3, 2}}, []dsv.Instant{4, 4, 6}},
		{"fcfs, arrives at a departure", exact.FCFS, 1, []exact.Job{{0, 5}, {5, 1}}, []dsv.Instant{5, 6}},
		// The third waits for the server that is free at 3, the fourth for the one at 8: a later job may leave first.
		{"fcfs, two servers", exact.FCFS, 2, []exact.Job{{0, 10}, {1, 2}, {2, 5}, {3, 1}, {9, 3}}, []dsv.Instant{10, 3, 8, 9, 12}},
		{"fcfs, before zero", exact.FCFS, 1, []exact.Job{{-10, 3}, {-9, 3}}, []dsv.Instant{-7, -4}},

		{"sjf, none", exact.SJF, 1, nil, []dsv.Instant{}},
		// At 10 the third is the shortest of three, at 12 the fourth, whose equal came later.
		{"sjf", exact.SJF, 1, []exact.Job{{0, 10}, {1, 5}, {2, 2}, {3, 3}, {4, 3}}, []dsv.Instant{10, 23, 12, 15, 18}},
		{"sjf, together", exact.SJF, 1, []exact.Job{{3, 3}, {3, 2}, {3, 1}}, []dsv.Instant{6, 9, 7}},
		// The third arrives as the first leaves: the second has been chosen.
		{"sjf, arrives at a departure", exact.SJF, 1, []exact.Job{{0, 5}, {1, 4}, {5, 1}}, []dsv.Instant{5, 9, 10}},
		{"sjf, idle between", exact.SJF, 1, []exact.Job{{0, 1}, {5, 2}, {5, 1}}, []dsv.Instant{1, 7, 8}},
		// At 4 the second server takes the shorter of those that wait.
		{"sjf, two servers", exact.SJF, 2, []exact.Job{{0, 10}, {1, 3}, {2, 9}, {3, 2}}, []dsv.Instant{10, 4, 15, 6}},

		{"ps, none", exact.PS, 1, nil, []dsv.Instant{}},
		{"ps, alone", exact.PS, 1, []exact.Job{{5, 7}, {12, 1}, {100, 3}}, []dsv.Instant{12, 13, 103}},
		// 0-4 the first alone: 6 left. 4-8 both, until the second has its 2: at 8. The first has 4 left: at 12.
		{"ps, two", exact.PS, 1, []exact.Job{{0, 10}, {4, 2}}, []dsv.Instant{12, 8}},
		// Three equal jobs together share: all at 3 times the demand.
		{"ps, together", exact.PS, 1, []exact.Job{{0, 4}, {0, 4}, {0, 4}}, []dsv.Instant{12, 12, 12}},
		// Thirds: 1 each needs 3; then two halves of 1: at 5; then 1 alone: at 6.
		{"ps, staggered", exact.PS, 1, []exact.Job{{0, 3}, {0, 2}, {0, 1}}, []dsv.Instant{6, 5, 3}},
		{"ps, latecomers", exact.PS, 1, []exact.Job{{0, 1}, {1, 2}, {2, 1}, {2, 1}}, []dsv.Instant{1, 5, 5, 5}},
		{"ps, rounded up", exact.PS, 2, []exact.Job{{0, 1}, {0, 1}, {0, 1}}, []dsv.Instant{2, 2, 2}},
		// Two servers serve two jobs fully; from 2 on three share them at 2/3: the first has 2 left, done at 5; then two again.
		{"ps, two servers", exact.PS, 2, []exact.Job{{0, 4}, {0, 10}, {2, 6}}, []dsv.Instant{5, 11, 9}},
		{"ps, no demand", exact.PS, 1, []exact.Job{{0, 4}, {1, 0}}, []dsv.Instant{4, 1}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := tt.path(tt.servers, tt.jobs); !slices.Equal(got, tt.want) {
				t.Errorf("departures: got %v, want %v", got, tt.want)
			}
		})
	}
}

// draw returns jobs of an M/M/c queue in ns, mean demand 1000.
func draw(r *rand.Rand, n, c int, rho float64) []exact.Job {
	jobs := make([]exact.Job, n)
	at := 0.0
	for i := range jobs {
		at += 1000 * r.ExpFloat64() / rho / float64(c)
		jobs[i] = exact.Job{Arrival: dsv.Instant(at), Demand: int64(1000 * r.ExpFloat64())}
	}
	return jobs
}

// slow is processor sharing from its definition: what is left of each job, from one change of their number to the next.
func slow(c int, jobs []exact.Job) []float64 {
	left := map[int]float64{}
	out := make([]float64, len(jobs))
	now, next := 0.0, 0
	for next < len(jobs) || len(left) > 0 {
		rate := math.Min(1, float64(c)/float64(len(left)))
		event, who := math.Inf(1), -1
		for i, l := range left {
			if t := now + l/rate; t < event || t == event && i < who {
				event, who = t, i
			}
		}
		if next < len(jobs) && float64(jobs[next].Arrival) <= event {
			event, who = float64(jobs[next].Arrival), -1
		}
		for i := range left {
			left[i] -= (event - now) * rate
		}
		now = event
		if who < 0 {
			left[next] = float64(jobs[next].Demand)
			next++
			continue
		}
		delete(left, who)
		out[who] = now
	}
	return out
}

func TestPSIsItsDefinition(t *testing.T) {
	for c := 1; c <= 3; c++ {
		jobs := draw(rand.New(rand.NewPCG(1, uint64(c))), 20_000, c, 0.8)
		want := slow(c, jobs)
		for i, got := range exact.PS(c, jobs) {
			if d := float64(got) - want[i]; d < -0.1 || d > 1.1 {
				t.Fatalf("%d servers, job %d: got departure %d, want %.3f rounded up", c, i, got, want[i])
			}
		}
	}
}

// FCFS and PS conserve work: the station is busy as long, so the last departure of each busy period is the same.
func TestBusyPeriodsAgree(t *testing.T) {
	jobs := draw(rand.New(rand.NewPCG(2, 2)), 20_000, 1, 0.7)
	ends := func(departures []dsv.Instant) []dsv.Instant {
		var out []dsv.Instant
		last := dsv.Instant(-1)
		for i, j := range jobs {
			if i > 0 && j.Arrival > last {
				out = append(out, last)
			}
			last = max(last, departures[i])
		}
		return append(out, last)
	}
	fcfs, ps, sjf := ends(exact.FCFS(1, jobs)), ends(exact.PS(1, jobs)), ends(exact.SJF(1, jobs))
	if len(fcfs) < 1000 || !slices.Equal(fcfs, ps) || !slices.Equal(fcfs, sjf) {
		t.Errorf("ends of busy periods: %d of FCFS, %d of PS and %d of SJF differ", len(fcfs), len(ps), len(sjf))
	}
}

// With equal ranks the order is that of arrival; with ranks that fall it is another.
func TestNonPreemptiveIsFCFS(t *testing.T) {
	for c := 1; c <= 3; c++ {
		jobs := draw(rand.New(rand.NewPCG(3, uint64(c))), 20_000, c, 0.8)
		fcfs := exact.FCFS(c, jobs)
		if got := exact.NonPreemptive(c, jobs, func(int) int64 { return 7 }); !slices.Equal(got, fcfs) {
			t.Errorf("%d servers: by equal ranks and first come first served differ", c)
		}
		if got := exact.NonPreemptive(c, jobs, func(i int) int64 { return int64(-i) }); slices.Equal(got, fcfs) {
			t.Errorf("%d servers: last come first served is first come first served", c)
		}
	}
}

// Shortest job first waits less in sum than orders that know less, and than its opposite.
func TestSJFHasTheLeastWait(t *testing.T) {
	jobs := draw(rand.New(rand.NewPCG(4, 4)), 20_000, 1, 0.9)
	sum := func(departures []dsv.Instant) (s int64) {
		for i, j := range jobs {
			s += int64(departures[i]-j.Arrival) - j.Demand
		}
		return s
	}
	sjf := sum(exact.SJF(1, jobs))
	for name, other := range map[string][]dsv.Instant{
		"first come":  exact.FCFS(1, jobs),
		"last come":   exact.NonPreemptive(1, jobs, func(i int) int64 { return int64(-i) }),
		"longest job": exact.NonPreemptive(1, jobs, func(i int) int64 { return -jobs[i].Demand }),
	} {
		if got := sum(other); got <= sjf {
			t.Errorf("%s: got waits of %d ns, want more than the %d of shortest job first", name, got, sjf)
		}
	}
}

func TestWrongArgumentsPanic(t *testing.T) {
	for name, f := range map[string]func(){
		"order":      func() { exact.FCFS(1, []exact.Job{{2, 1}, {1, 1}}) },
		"order, ps":  func() { exact.PS(1, []exact.Job{{2, 1}, {1, 1}}) },
		"order, sjf": func() { exact.SJF(1, []exact.Job{{2, 1}, {1, 1}}) },
		"no servers": func() { exact.FCFS(0, nil) },
	} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("%s: got no panic", name)
				}
			}()
			f()
		}()
	}
}
