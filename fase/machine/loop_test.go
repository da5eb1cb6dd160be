package machine_test

import (
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/eve-emulation/eve/dsv"
	"github.com/eve-emulation/eve/fase/machine"
)

// Brought all to one side, jobs leave a loop as they leave a queue, withdrawn ones included.
func TestOneSideOfALoopIsAQueue(t *testing.T) {
	for threads := 1; threads <= 3; threads++ {
		rng := rand.New(rand.NewPCG(uint64(threads), 5))
		q := machine.Station(machine.NewQueue(threads, 2))
		loop, other := machine.NewLoop(threads, 2)
		at := dsv.Instant(0)
		for i := range 4000 {
			at += dsv.Instant(rng.IntN(300))
			for _, s := range []machine.Station{q, loop} {
				s.Advance(at)
			}
			same(t, q, loop)
			job := machine.Job(i + 1)
			if i%7 == 6 {
				back := machine.Job(i - rng.IntN(6))
				l1, h1 := q.Withdraw(at, back)
				l2, h2 := loop.Withdraw(at, back)
				if l1 != l2 || h1 != h2 {
					t.Fatalf("withdraw %d: got %d, %v, want %d, %v", back, l2, h2, l1, h1)
				}
				continue
			}
			d := rng.Int64N(int64(1100 * threads))
			q.Arrive(at, job, d)
			loop.Arrive(at, job, d)
			if q.Next() != loop.Next() || loop.Next() != other.Next() || q.Len() != loop.Len() || other.Len() != 0 {
				t.Fatalf("next: got %v and %v, want %v; %d there, want %d", loop.Next(), other.Next(), q.Next(), loop.Len(), q.Len())
			}
		}
		b1, p1 := q.Use(at)
		if b2, p2 := loop.Use(at); b1 != b2 || p1 != p2 {
			t.Errorf("use: got %v and %v, want %v and %v", b2, p2, b1, p1)
		}
	}
}

func same(t *testing.T, a, b machine.Station) {
	t.Helper()
	if x, y := a.Departed(), b.Departed(); !slices.Equal(x, y) || !slices.Equal(a.Stays(), b.Stays()) {
		t.Fatalf("departed: got %v %v, want %v %v", y, b.Stays(), x, a.Stays())
	}
}

// Both sides wait in one line, each has its own figures and its own speed.
func TestSidesOfALoop(t *testing.T) {
	cpu, disk := machine.NewLoop(1, 2)
	cpu.Arrive(0, 1, 200)  // until 100
	disk.Arrive(10, 2, 50) // 100 to 150
	cpu.Arrive(20, 3, 60)  // 150 to 180
	disk.Arrive(30, 4, 20) // 180 to 200, slowed at 190: 10 more take 40
	type left struct {
		at   dsv.Instant
		job  machine.Job
		stay machine.Stay
	}
	var got []left
	for {
		at := cpu.Next()
		if at == dsv.Never {
			break
		}
		if at > 190 && len(got) == 3 {
			disk.Advance(190)
			disk.SetSpeed(190, 0.25)
			at = cpu.Next()
		}
		cpu.Advance(at)
		for _, s := range []machine.Station{cpu, disk} {
			for i, j := range s.Departed() {
				got = append(got, left{at, j, s.Stays()[i]})
			}
		}
	}
	want := []left{{100, 1, machine.Stay{Wait: 0, Service: 100}}, {150, 2, machine.Stay{Wait: 90, Service: 50}}, {180, 3, machine.Stay{Wait: 130, Service: 30}}, {230, 4, machine.Stay{Wait: 150, Service: 50}}}
	if !slices.Equal(got, want) {
		t.Errorf("departures: got %v, want %v", got, want)
	}
	if busy, present := cpu.Use(300); busy != 130e-9 || present != 260e-9 {
		t.Errorf("first side: got %v and %v, want 130 ns busy and 260 job-ns", busy, present)
	}
	if busy, present := disk.Use(300); busy != 100e-9 || present != 340e-9 {
		t.Errorf("second side: got %v and %v, want 100 ns busy and 340 job-ns", busy, present)
	}
}
