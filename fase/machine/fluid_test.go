package machine_test

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/eve-emulation/eve/dsv"
	"github.com/eve-emulation/eve/fase/machine"
)

// fluid is a station in the plainest words: whoever is served loses demand as time passes.
type fluid struct {
	c             int
	speed         float64
	sharing       bool
	now           float64
	jobs          []fluidJob // in order of arrival
	busy, present float64    // server-nanoseconds and job-nanoseconds
}

type fluidJob struct {
	id   machine.Job
	left float64
}

// rate is the speed at which the i-th job is served.
func (f *fluid) rate(i int) float64 {
	switch {
	case f.sharing:
		return f.speed * math.Min(1, float64(f.c)/float64(len(f.jobs)))
	case i < f.c:
		return f.speed
	}
	return 0
}

// to moves to an instant and returns who left when.
func (f *fluid) to(at float64) (ids []machine.Job, when []float64) {
	for {
		next, who := at, -1
		for i, j := range f.jobs {
			if r := f.rate(i); r > 0 && f.now+j.left/r < next {
				next, who = f.now+j.left/r, i
			}
		}
		d := next - f.now
		f.busy += d * float64(min(len(f.jobs), f.c))
		f.present += d * float64(len(f.jobs))
		for i := range f.jobs {
			f.jobs[i].left -= d * f.rate(i)
		}
		f.now = next
		if who < 0 {
			return ids, when
		}
		ids, when = append(ids, f.jobs[who].id), append(when, next)
		f.remove(who)
	}
}

func (f *fluid) remove(i int) { f.jobs = append(f.jobs[:i:i], f.jobs[i+1:]...) }

// TestStationsAgainstFluid steps stations and the fluid through arrivals and withdrawals at random.
func TestStationsAgainstFluid(t *testing.T) {
	for seed := range uint64(200) {
		rng := rand.New(rand.NewPCG(seed, 1))
		f := &fluid{c: 1 + rng.IntN(3), speed: []float64{0.5, 1, 2.5}[rng.IntN(3)], sharing: rng.IntN(2) == 0}
		var s machine.Station = machine.NewQueue(f.c, f.speed)
		if f.sharing {
			s = machine.NewSharing(f.c, f.speed)
		}
		name := fmt.Sprintf("seed %d, %d servers of %v, sharing %v", seed, f.c, f.speed, f.sharing)
		left, busy, present := map[machine.Job]float64{}, 0.0, 0.0
		at := dsv.Instant(0)
		advance := func() {
			ids, when := f.to(float64(at))
			for i := range ids {
				left[ids[i]] += when[i]
			}
			for s.Next() <= at {
				t0 := s.Next()
				s.Advance(t0)
				for _, id := range s.Departed() {
					left[id] -= float64(t0)
				}
			}
		}
		for n := range machine.Job(300) {
			at += dsv.Instant(rng.IntN(2000))
			advance()
			if rng.IntN(4) == 0 && len(f.jobs) > 0 {
				i := rng.IntN(len(f.jobs))
				id, rest := f.jobs[i].id, f.jobs[i].left
				switch left, here := s.Withdraw(at, id); {
				case here && math.Abs(float64(left)-rest) > 300:
					t.Fatalf("%s: withdraw: got %d ns left, want %.0f", name, left, rest)
				case here:
					f.remove(i)
				case rest > 300: // with less, rounding may have let it leave a moment earlier
					t.Fatalf("%s: withdraw with %v ns left: got false", name, rest)
				}
			}
			demand := int64(rng.IntN(3000))
			s.Arrive(at, n+1, demand)
			f.jobs = append(f.jobs, fluidJob{n + 1, float64(demand)})
			if rng.IntN(5) == 0 {
				b, p := s.Use(at)
				busy, present = busy+b*1e9, present+p*1e9
			}
		}
		at += 1_000_000
		advance()
		b, p := s.Use(at)
		busy, present = busy+b*1e9, present+p*1e9
		for id, d := range left {
			if math.Abs(d) > 300 { // a nanosecond of rounding for each job before it
				t.Errorf("%s: job %d left %v ns apart", name, id, d)
			}
		}
		if n := s.Len(); n != 0 || len(f.jobs) != 0 {
			t.Errorf("%s: in the end %d jobs are here, want 0", name, n)
		}
		if math.Abs(busy-f.busy) > 1e-3*f.busy+300 || math.Abs(present-f.present) > 1e-3*f.present+1000 {
			t.Errorf("%s: busy %v ns, present %v ns; want %v and %v", name, busy, present, f.busy, f.present)
		}
	}
}

func TestPoolWithdrawLetsOthersIn(t *testing.T) {
	p := machine.NewPool(10)
	if held, ok := p.Acquire(0, 1, 6); !held || !ok {
		t.Fatal("6 of 10: not held")
	}
	p.Acquire(0, 2, 8) // waits
	p.Acquire(0, 3, 4) // would fit, but nobody overtakes
	if got := p.Departed(); len(got) != 0 {
		t.Fatalf("let in: got %v, want nobody", got)
	}
	if !p.Withdraw(1, 2) {
		t.Error("withdraw of who waits: got false")
	}
	if got := p.Departed(); len(got) != 1 || got[0] != 3 {
		t.Errorf("let in after the first in line went: got %v, want [3]", got)
	}
	if p.Withdraw(1, 3) {
		t.Error("withdraw of who holds: got true")
	}
	p.Release(2, 6)
	p.Release(2, 4)
	if !p.Idle() {
		t.Error("idle after all was given back: got false")
	}
}

func TestBurnerWithdrawal(t *testing.T) {
	b := machine.NewBurner(1, machine.Slice)
	b.Arrive(0, 1, 3*machine.Slice/2)
	b.Arrive(0, 2, machine.Slice)
	if g := b.Grants(); len(g) != 1 || g[0] != (machine.Grant{Job: 1, N: machine.Slice}) {
		t.Fatalf("grants: got %v", g)
	}
	if !gone(b, 1, 1) || gone(b, 1, 1) {
		t.Error("withdraw: want true once")
	}
	if g := b.Grants(); len(g) != 1 || g[0].Job != 2 {
		t.Fatalf("grants after the first was withdrawn: got %v, want job 2", g)
	}
	b.Met(2, 1) // what the withdrawn one consumed all the same
	if b.Len() != 1 || len(b.Departed()) != 0 {
		t.Errorf("after what nobody waits for: %d present", b.Len())
	}
	b.Met(3, 2)
	if got := b.Departed(); len(got) != 1 || got[0] != 2 || b.Len() != 0 {
		t.Errorf("departed: got %v with %d left", got, b.Len())
	}
}
