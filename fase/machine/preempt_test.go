package machine_test

import (
	"cmp"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/eve-emulation/eve/dsv"
	"github.com/eve-emulation/eve/fase/machine"
	"github.com/eve-emulation/eve/fase/stat"
	"github.com/eve-emulation/eve/fase/step"
)

const ms = 1_000_000

// A plannedJob is one job, and what became of it.
type plannedJob struct {
	at     dsv.Instant
	demand int64
	rank   int64
	class  int
	gone   dsv.Instant // departure; 0: turned away
	stay   machine.Stay
}

// through brings jobs to a station, those for whom admit is false are turned away.
func through(s machine.Station, jobs []plannedJob, admit func() bool) {
	ranked, _ := s.(machine.Ranked)
	// Slots are used again, so that they stay dense.
	var free []uint32
	slots, gen := map[step.Ref]int{}, uint32(0)
	leave := func(to dsv.Instant) {
		for s.Next() <= to {
			t := s.Next()
			s.Advance(t)
			for k, ref := range s.Departed() {
				i := slots[ref]
				jobs[i].gone, jobs[i].stay = t, s.Stays()[k]
				delete(slots, ref)
				free = append(free, ref.Slot())
			}
		}
	}
	for i := range jobs {
		j := &jobs[i]
		leave(j.at)
		if admit != nil && !admit() {
			continue
		}
		slot := uint32(len(slots))
		if n := len(free); n > 0 {
			slot, free = free[n-1], free[:n-1]
		}
		gen++
		ref := step.NewRef(slot, gen)
		slots[ref] = i
		if ranked != nil {
			ranked.ArriveRanked(j.at, ref, j.demand, j.rank)
		} else {
			s.Arrive(j.at, ref, j.demand)
		}
	}
	leave(dsv.Never - 1)
}

// poisson are jobs of one class: exponential gaps and, where exponential, demands of a mean in ns.
func poisson(rng *rand.Rand, n int, rate, demand float64, class int) []plannedJob {
	jobs, at := make([]plannedJob, n), 0.0
	for i := range jobs {
		at += rng.ExpFloat64() / rate * 1e9
		jobs[i] = plannedJob{at: dsv.Instant(at), demand: 1 + int64(rng.ExpFloat64()*demand), class: class, rank: int64(class)}
	}
	return jobs
}

func inOrder(jobs []plannedJob) []plannedJob {
	slices.SortStableFunc(jobs, func(a, b plannedJob) int { return cmp.Compare(a.at, b.at) })
	return jobs
}

// judge compares the mean response of the jobs of a class, in ns, with theory: within 4 standard errors of 20 batches, each error at
// most 3 %.
func judge(t *testing.T, what string, jobs []plannedJob, class int, want float64) {
	t.Helper()
	var xs []float64
	for _, j := range jobs[len(jobs)/20:] {
		if j.class == class && j.gone > 0 {
			xs = append(xs, float64(j.gone-j.at))
		}
	}
	e, err := stat.BatchMeans(xs, stat.Batches, 0.95)
	if err != nil {
		t.Fatal(err)
	}
	se := e.Half() / 2.093 // t(19), 95 %
	t.Logf("%s: %.4g ms ± %.2g of %d, theory %.4g ms", what, e.Value/1e6, se/1e6, e.N, want/1e6)
	if se > 0.03*want || math.Abs(e.Value-want) > 4*se {
		t.Errorf("%s: got a mean response of %.5g ± %.2g ns, want %.5g", what, e.Value, se, want)
	}
}

// plainly computes the departures from a preemptive station in the plainest words: at each instant the c jobs that come first are
// served, by rank and then by arrival, or by what is left.
func plainly(c int, byLeft bool, jobs []plannedJob) []dsv.Instant {
	gone := make([]dsv.Instant, len(jobs))
	left := map[int]int64{}
	serve := func(now, to dsv.Instant) {
		for len(left) > 0 && now < to {
			var order []int
			for i := range left {
				order = append(order, i)
			}
			slices.SortFunc(order, func(a, b int) int {
				if byLeft {
					return cmp.Or(cmp.Compare(left[a], left[b]), cmp.Compare(a, b))
				}
				return cmp.Or(cmp.Compare(jobs[a].rank, jobs[b].rank), cmp.Compare(a, b))
			})
			order = order[:min(c, len(order))]
			d := int64(to - now)
			for _, i := range order {
				d = min(d, left[i])
			}
			now += dsv.Instant(d)
			for _, i := range order {
				if left[i] -= d; left[i] == 0 {
					gone[i] = now
					delete(left, i)
				}
			}
		}
	}
	now := dsv.Instant(0)
	for i, j := range jobs {
		serve(now, j.at)
		now, left[i] = j.at, j.demand
	}
	serve(now, dsv.Never-1)
	return gone
}

// Every job departs at the nanosecond of the plain path, and has been served for its demand by then.
func TestPreemptiveExactPath(t *testing.T) {
	for seed := range uint64(40) {
		rng := rand.New(rand.NewPCG(seed, 11))
		c := 1 + rng.IntN(3)
		var jobs []plannedJob
		for class := range 3 {
			jobs = append(jobs, poisson(rng, 300, 30*float64(c), 10e6, class)...)
		}
		inOrder(jobs)
		for name, s := range map[string]machine.Station{"rank": machine.NewPreemptive(c, 1), "left": machine.NewSRPT(c, 1)} {
			got := slices.Clone(jobs)
			through(s, got, nil)
			for i, want := range plainly(c, name == "left", jobs) {
				j := got[i]
				if j.gone != want || j.stay.Service != j.demand || j.stay.Wait+j.stay.Service != int64(j.gone-j.at) {
					t.Fatalf("seed %d, by %s, %d servers, job %d: got departure %d and %+v, want %d with a service of %d",
						seed, name, c, i, j.gone, j.stay, want, j.demand)
				}
			}
		}
	}
}

// Preemptive-resume priorities, M/M/1 of two classes with one mean demand: T1 = S/(1-ρ1), and
// T2 = S/((1-ρ1)(1-ρ1-ρ2)) (Kleinrock, Queueing Systems II, 1976, section 3.5). The first class does not notice the second.
func TestPreemptivePriorityTheory(t *testing.T) {
	if testing.Short() {
		t.Skip("long")
	}
	const demand = 10e6
	rng := rand.New(rand.NewPCG(3, 5))
	jobs := inOrder(append(poisson(rng, 120_000, 40, demand, 0), poisson(rng, 120_000, 40, demand, 1)...))
	through(machine.NewPreemptive(1, 1), jobs, nil)
	judge(t, "urgent", jobs, 0, demand/(1-0.4))
	judge(t, "patient", jobs, 1, demand/((1-0.4)*(1-0.8)))
}

// srpt is the mean response of M/M/1 under SRPT in mean demands (Schrage and Miller, "The Queue M/G/1 with the Shortest Remaining
// Processing Time Discipline", Operations Research 14(4), 1966), by Simpson's rule.
func srpt(rho float64) float64 {
	const steps, most = 40_000, 40.0
	h := most / steps
	load := func(x float64) float64 { return rho * (1 - math.Exp(-x)*(1+x)) }         // λ∫t f(t)
	second := func(x float64) float64 { return rho * (2 - math.Exp(-x)*(x*x+2*x+2)) } // λ∫t² f(t)
	wait := func(x float64) float64 {                                                 // until the first service
		return (second(x) + rho*x*x*math.Exp(-x)) / (2 * (1 - load(x)) * (1 - load(x)))
	}
	sum, residence := 0.0, 0.0
	for i := range steps + 1 {
		x := float64(i) * h
		weight := 2.0 + 2*float64(i%2)
		if i == 0 || i == steps {
			weight = 1
		}
		if i > 0 {
			residence += h / 2 * (1/(1-load(x-h)) + 1/(1-load(x)))
		}
		sum += weight * (wait(x) + residence) * math.Exp(-x)
	}
	return sum * h / 3
}

func TestSRPTTheory(t *testing.T) {
	if testing.Short() {
		t.Skip("long")
	}
	// Table 1 of Bansal and Harchol-Balter ("Analysis of SRPT Scheduling", SIGMETRICS 2001) has no M/M/1; the limits are known: the
	// demand alone when idle, and less than first come first served always.
	if got := srpt(1e-6); math.Abs(got-1) > 1e-4 {
		t.Fatalf("mean response without load: got %v, want 1", got)
	}
	const demand = 10e6
	for _, rho := range []float64{0.5, 0.8} {
		rng := rand.New(rand.NewPCG(4, 9))
		jobs := poisson(rng, 200_000, rho/demand*1e9, demand, 0)
		through(machine.NewSRPT(1, 1), jobs, nil)
		judge(t, fmt.Sprintf("SRPT at %v", rho), jobs, 0, srpt(rho)*demand)
		if srpt(rho) > 1/(1-rho) {
			t.Errorf("SRPT at %v: theory %v is above first come first served", rho, srpt(rho))
		}
	}
}

// M/M/1/K: the share that is turned away is (1-ρ)ρᴷ/(1-ρᴷ⁺¹), and the mean response of the others follows by Little's law.
func TestBoundedQueueTheory(t *testing.T) {
	if testing.Short() {
		t.Skip("long")
	}
	const demand, k = 10e6, 5
	for _, rho := range []float64{0.7, 1.5} {
		rng := rand.New(rand.NewPCG(8, 1))
		jobs := poisson(rng, 200_000, rho/demand*1e9, demand, 0)
		q := machine.NewQueue(1, 1)
		through(q, jobs, func() bool { return q.Waiting() < k-1 || q.Len() == 0 })
		lost := 0
		for _, j := range jobs {
			if j.gone == 0 {
				lost++
			}
		}
		rk := math.Pow(rho, k)
		want := (1 - rho) * rk / (1 - rk*rho)
		got := float64(lost) / float64(len(jobs))
		t.Logf("loss at %v: %.4f, theory %.4f", rho, got, want)
		if math.Abs(got-want) > 0.04*want {
			t.Errorf("loss at %v: got %.4f, want %.4f", rho, got, want)
		}
		n := rho/(1-rho) - (k+1)*rk*rho/(1-rk*rho) // jobs present
		judge(t, fmt.Sprintf("M/M/1/%d at %v", k, rho), jobs, 0, n/(rho*(1-want))*demand)
	}
}

// A change of speed counts what was served so far, under every order.
func TestSetSpeed(t *testing.T) {
	type speeds interface {
		machine.Station
		SetSpeed(at dsv.Instant, speed float64)
	}
	for name, s := range map[string]speeds{
		"queue": machine.NewQueue(1, 1), "preemptive": machine.NewPreemptive(1, 1), "srpt": machine.NewSRPT(1, 1), "sharing": machine.NewSharing(1, 1),
	} {
		s.Arrive(0, step.NewRef(0, 1), 10*ms)
		s.SetSpeed(4*dsv.Instant(ms), 0.5) // 6 ms of demand are left
		if got, want := s.Next(), dsv.Instant(16*ms); got != want {
			t.Errorf("%s: half the speed after 4 of 10 ms: departs at %d, want %d", name, got, want)
		}
		s.SetSpeed(6*dsv.Instant(ms), 0)
		if got := s.Next(); got != dsv.Never {
			t.Errorf("%s: stopped: departs at %d", name, got)
		}
		s.Advance(20 * dsv.Instant(ms))
		s.SetSpeed(20*dsv.Instant(ms), 2) // 5 ms are left
		at := s.Next()
		s.Advance(at)
		if got := s.Departed(); at != 22_500_000 || len(got) != 1 || s.Stays()[0].Service != int64(at) {
			t.Errorf("%s: departs at %d: %v, %+v; want at 22.5 ms with as much service", name, at, got, s.Stays())
		}
	}
}

// Under run: burn what has begun gives way at the end of its slice, and goes on later where it stopped.
func TestPreemptiveBurner(t *testing.T) {
	low, high := step.NewRef(0, 1), step.NewRef(1, 1)
	for name, b := range map[string]*machine.Burner{"rank": machine.NewPreemptiveBurner(1), "left": machine.NewSRPTBurner(1)} {
		b.ArriveRanked(0, low, 5*ms, 7)
		var order []machine.Job
		at := dsv.Instant(0)
		for n := 0; b.Len() > 0; n++ {
			if n == 2 {
				b.ArriveRanked(at, high, 2*ms, 3)
			}
			for _, g := range append([]machine.Grant(nil), b.Grants()...) {
				g, ok := b.Begin(at, g.Job)
				if !ok || g.N != machine.Slice {
					t.Fatalf("%s: grant %+v, %v; want a slice", name, g, ok)
				}
				at += dsv.Instant(g.N)
				order = append(order, g.Job)
				b.Met(at, g.Job)
			}
		}
		want := []machine.Job{low, low, high, high, low, low, low}
		if !slices.Equal(order, want) {
			t.Errorf("%s: slices: got %v, want %v", name, order, want)
		}
		if got, stays := b.Departed(), b.Stays(); !slices.Equal(got, []machine.Job{high, low}) ||
			!slices.Equal(stays, []machine.Stay{{0, 2 * ms}, {2 * ms, 5 * ms}}) {
			t.Errorf("%s: departed: got %v with %+v", name, got, stays)
		}
	}
}

// Stations that preempt allocate nothing once they have grown.
func TestPreemptiveAllocs(t *testing.T) {
	for name, s := range map[string]machine.Ranked{"rank": machine.NewPreemptive(1, 1), "left": machine.NewSRPT(1, 1)} {
		at, n := dsv.Instant(0), uint32(0)
		if got := testing.AllocsPerRun(2000, func() {
			n++
			at += 8000
			s.ArriveRanked(at, step.NewRef(n%64, n), int64(1000+n*7919%20_000), int64(n%5))
			for s.Len() > 32 || s.Next() <= at {
				at = max(at, s.Next())
				s.Advance(at)
				s.Departed()
			}
		}); got != 0 {
			t.Errorf("%s: got %v allocations a job, want none", name, got)
		}
	}
}

// TestSlowerBurnerGoesByWhatIsLeft: what got longer while it waited stands behind what is shorter now.
func TestSlowerBurnerGoesByWhatIsLeft(t *testing.T) {
	const ms = 1_000_000
	b := machine.NewSRPTBurner(1)
	b.Arrive(0, 1, ms)
	b.Arrive(0, 2, 10*ms)
	b.Scale(3)
	b.Arrive(0, 3, 20*ms)
	b.Grants()
	b.Met(ms, 1)
	if g := b.Grants(); len(g) != 1 || g[0].Job != 3 {
		t.Errorf("got %v, want a grant to 3, of which 20 ms are left, and not to 2, of which 30 ms are", g)
	}
}
