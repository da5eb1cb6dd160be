package machine_test

import (
	"cmp"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/eve-emulation/eve/dsv"
	"github.com/eve-emulation/eve/fase/machine"
)

func TestRank(t *testing.T) {
	type job struct {
		demand   int64
		priority int
		deadline dsv.Instant
	}
	for _, tt := range []struct {
		d      machine.Discipline
		sooner job
		later  job
	}{
		{machine.SJF, job{1, 0, 9}, job{2, 9, 1}},
		{machine.Priority, job{9, 1, 9}, job{1, 0, 1}},
		{machine.Priority, job{9, 0, 9}, job{1, -1, 1}},
		{machine.Priority, job{priority: 1 << 62}, job{priority: -1 << 63}},
		{machine.EDF, job{9, 0, 7}, job{1, 9, 8}},
		{machine.EDF, job{9, 0, 7}, job{1, 9, 0}}, // none
		{machine.EDF, job{9, 0, -7}, job{1, 9, 1}},
	} {
		x := tt.d.Rank(tt.sooner.demand, tt.sooner.priority, tt.sooner.deadline)
		y := tt.d.Rank(tt.later.demand, tt.later.priority, tt.later.deadline)
		if x >= y {
			t.Errorf("%v: rank of %+v: got %d, want less than %d of %+v", tt.d, tt.sooner, x, y, tt.later)
		}
	}
	for _, d := range []machine.Discipline{machine.FCFS, machine.PS} {
		if got := d.Rank(5, 6, 7); got != 0 || d.Ranked() {
			t.Errorf("%v: got rank %d, ranked %v; want 0, false", d, got, d.Ranked())
		}
	}
}

func TestDisciplineNames(t *testing.T) {
	names := machine.Disciplines()
	if want := []string{"fcfs", "ps", "sjf", "priority", "edf", "os"}; !slices.Equal(names, want) {
		t.Errorf("disciplines: got %q, want %q", names, want)
	}
	for i, n := range names {
		if d, ok := machine.ParseDiscipline(n); !ok || d != machine.Discipline(i) || d.String() != n {
			t.Errorf("parse %q: got %v, %v", n, d, ok)
		}
	}
	if d, ok := machine.ParseDiscipline("lifo"); ok {
		t.Errorf("parse lifo: got %v, want none", d)
	}
}

// A job of a plain model, in a list that is searched from end to end.
type listed struct {
	job          machine.Job
	demand, rank int64
	started      bool
	ends         dsv.Instant
}

// plain is a queue by rank in the plainest words.
type plain struct {
	c    int
	jobs []listed // in order of arrival
}

func (p *plain) start(at dsv.Instant) {
	for {
		busy, best := 0, -1
		for i, j := range p.jobs {
			switch {
			case j.started:
				busy++
			case best < 0 || j.rank < p.jobs[best].rank:
				best = i
			}
		}
		if best < 0 || busy == p.c {
			return
		}
		p.jobs[best].started, p.jobs[best].ends = true, at+dsv.Instant(p.jobs[best].demand)
	}
}

func (p *plain) to(at dsv.Instant) (out []departure) {
	for {
		first := -1
		for i, j := range p.jobs {
			if j.started && j.ends <= at && (first < 0 || j.ends < p.jobs[first].ends) {
				first = i
			}
		}
		if first < 0 {
			return out
		}
		d := departure{p.jobs[first].ends, p.jobs[first].job}
		out = append(out, d)
		p.jobs = slices.Delete(p.jobs, first, first+1)
		p.start(d.at)
	}
}

// TestRankedAgainstPlain steps queues by rank and the plain model through arrivals and withdrawals at random; ranks are few,
// so that ties are many.
func TestRankedAgainstPlain(t *testing.T) {
	for seed := range uint64(100) {
		rng := rand.New(rand.NewPCG(seed, 3))
		p := &plain{c: 1 + rng.IntN(3)}
		q := machine.NewRanked(p.c, 1)
		at := dsv.Instant(0)
		var got, want []departure
		advance := func() {
			want = append(want, p.to(at)...)
			for q.Next() <= at {
				t0 := q.Next()
				q.Advance(t0)
				for _, j := range q.Departed() {
					got = append(got, departure{t0, j})
				}
			}
		}
		for n := range machine.Job(400) {
			at += dsv.Instant(rng.IntN(200))
			advance()
			if rng.IntN(4) == 0 && len(p.jobs) > 0 {
				i := rng.IntN(len(p.jobs))
				job := p.jobs[i].job
				if !gone(q, at, job) || gone(q, at, job) {
					t.Fatalf("seed %d: withdraw of job %d: want true once", seed, job)
				}
				p.jobs = slices.Delete(p.jobs, i, i+1)
				p.start(at)
			}
			j := listed{job: n + 1, demand: int64(rng.IntN(250)), rank: int64(rng.IntN(5)) - 2}
			q.ArriveRanked(at, j.job, j.demand, j.rank)
			p.jobs = append(p.jobs, j)
			p.start(at)
		}
		at += 1_000_000
		advance()
		order := func(a, b departure) int { return cmp.Or(cmp.Compare(a.at, b.at), cmp.Compare(a.job, b.job)) }
		slices.SortFunc(got, order) // which of two servers tells first of one instant is left open
		slices.SortFunc(want, order)
		if !slices.Equal(got, want) {
			t.Fatalf("seed %d, %d servers: departures differ\ngot  %v\nwant %v", seed, p.c, got, want)
		}
		if q.Len() != 0 || gone(q, at, 1) || gone(q, at, 1<<31) {
			t.Errorf("seed %d: in the end: got %d present, or a withdrawal of nobody", seed, q.Len())
		}
	}
}

// The slot of a job that has gone may be used again, under another generation.
func TestRankedSlotsAreReused(t *testing.T) {
	q := machine.NewRanked(1, 1)
	ref := func(slot, gen uint64) machine.Job { return machine.Job(gen<<32 | slot) }
	q.ArriveRanked(0, ref(1, 1), 10, 0)
	q.ArriveRanked(0, ref(2, 1), 10, 0)
	if !gone(q, 0, ref(2, 1)) {
		t.Fatal("withdraw: got false")
	}
	q.ArriveRanked(0, ref(2, 2), 10, 0)
	if gone(q, 0, ref(2, 1)) {
		t.Error("withdraw of an earlier generation: got true")
	}
	if got, want := serve(q, nil), []departure{{10, ref(1, 1)}, {20, ref(2, 2)}}; !slices.Equal(got, want) {
		t.Errorf("departures: got %v, want %v", got, want)
	}
}

func TestRankedBurner(t *testing.T) {
	b := machine.NewRankedBurner(1)
	grants := func() []machine.Grant { return slices.Clone(b.Grants()) }
	begin := func(job machine.Job, want machine.Grant) {
		t.Helper()
		if got, ok := b.Begin(0, job); !ok || got != want {
			t.Errorf("begin of %d: got %v, %v, want %v", job, got, ok, want)
		}
	}
	b.ArriveRanked(0, 1, 30, 2)
	b.ArriveRanked(0, 2, 20, 2)
	if got, want := grants(), []machine.Grant{{Job: 1, N: 30}}; !slices.Equal(got, want) {
		t.Fatalf("grants: got %v, want the whole demand of the first", got)
	}
	begin(1, machine.Grant{Job: 1, N: 30}) // of equals, the first
	b.ArriveRanked(1, 3, 5, 1)
	b.ArriveRanked(1, 4, 6, 0)
	begin(1, machine.Grant{Job: 4, N: 6}) // had 1 begun, nobody would ask
	if _, ok := b.Begin(1, 1); ok {
		t.Error("begin of a job that is back in the line: got a grant")
	}
	if b.Len() != 4 {
		t.Errorf("present: got %d, want 4", b.Len())
	}
	var order []machine.Job
	at := dsv.Instant(10)
	b.Met(at, 4)
	for g := grants(); len(g) > 0; g = grants() {
		at += 10
		got, ok := b.Begin(at-10, g[0].Job)
		if !ok || got != g[0] {
			t.Errorf("begin of %v: got %v, %v", g[0], got, ok)
		}
		order = append(order, got.Job)
		b.Met(at, got.Job)
	}
	if want := []machine.Job{3, 1, 2}; !slices.Equal(order, want) {
		t.Errorf("then served: got %v, want %v", order, want)
	}
	busy, present := b.Use(at)
	if want := 40e-9; busy != want || present <= busy {
		t.Errorf("use: got %v busy, %v present; want %v and more", busy, present, want)
	}
}

// A burner without ranks has nothing to reconsider.
func TestBegin(t *testing.T) {
	b := machine.NewBurner(1, 10)
	b.Arrive(0, 1, 25)
	b.Arrive(0, 2, 5)
	if got, ok := b.Begin(15, 1); !ok || got != (machine.Grant{Job: 1, N: 10}) {
		t.Errorf("begin: got %v, %v, want a slice of the first", got, ok)
	}
	b.Met(25, 1)
	if busy, present := b.Use(35); math.Abs(busy-10e-9) > 1e-18 || math.Abs(present-70e-9) > 1e-18 {
		t.Errorf("use: got %v busy, %v present; want 10 ns from begin to met, 70 ns", busy, present)
	}
}

// churn is a queue by rank of a hundred jobs, of which the one that goes gives its slot to the next.
type churn struct {
	q    *machine.Queue
	slot uint64
	n    uint64
}

func newChurn() *churn {
	c := &churn{q: machine.NewRanked(1, 1), slot: 100}
	for i := range uint64(100) {
		c.q.ArriveRanked(0, machine.Job(i), 90, int64(i))
	}
	return c
}

// round brings a job and withdraws it, brings another, and lets one go.
func (c *churn) round() {
	at := c.q.Next()
	for range 2 {
		c.n++
		c.q.Withdraw(at, machine.Job((c.n-1)<<32|c.slot))
		c.q.ArriveRanked(at, machine.Job(c.n<<32|c.slot), 90, int64(c.n*2654435761>>7&1023))
	}
	c.q.Advance(at)
	c.slot = uint64(c.q.Departed()[0].Slot())
}

func TestRankedAllocatesNothing(t *testing.T) {
	c := newChurn()
	for range 1000 {
		c.round()
	}
	if got := testing.AllocsPerRun(1000, c.round); got != 0 {
		t.Errorf("allocations per round: got %v, want 0", got)
	}
	if got := c.q.Len(); got != 100 {
		t.Errorf("present: got %d, want 100", got)
	}
}

func BenchmarkRanked(b *testing.B) {
	c := newChurn()
	b.ReportAllocs()
	for b.Loop() {
		c.round()
	}
}
