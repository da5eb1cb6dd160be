package machine_test

import (
	"math"
	"slices"
	"testing"

	"github.com/eve-emulation/eve/dsv"
	"github.com/eve-emulation/eve/fase/machine"
)

// arrival is a job that comes to a station.
type arrival struct {
	at     dsv.Instant
	job    machine.Job
	demand int64
}

type departure struct {
	at  dsv.Instant
	job machine.Job
}

// serve steps a station through arrivals, sorted by instant, and returns the departures.
func serve(s machine.Station, arrivals []arrival) []departure {
	var out []departure
	advance := func(to dsv.Instant) {
		for s.Next() <= to && s.Next() != dsv.Never {
			t := s.Next()
			s.Advance(t)
			for _, j := range s.Departed() {
				out = append(out, departure{t, j})
			}
		}
	}
	for _, a := range arrivals {
		advance(a.at)
		s.Arrive(a.at, a.job, a.demand)
	}
	advance(dsv.Never - 1)
	return out
}

func TestStations(t *testing.T) {
	three := []arrival{{0, 1, 100}, {10, 2, 50}, {20, 3, 30}}
	for _, tt := range []struct {
		name string
		s    machine.Station
		in   []arrival
		want []departure
	}{
		{"one server", machine.NewQueue(1, 1), three, []departure{{100, 1}, {150, 2}, {180, 3}}},
		{"two servers", machine.NewQueue(2, 1), three, []departure{{60, 2}, {90, 3}, {100, 1}}},
		{"double speed", machine.NewQueue(1, 2), three, []departure{{50, 1}, {75, 2}, {90, 3}}},
		{"no demand", machine.NewQueue(1, 1), []arrival{{5, 1, 0}}, []departure{{5, 1}}},
		// 1 alone until 10, two until 20, then three: 3 has 30 after 90 more.
		{"sharing", machine.NewSharing(1, 1), three, []departure{{110, 3}, {140, 2}, {180, 1}}},
		{"sharing, one core each", machine.NewSharing(3, 1), three, []departure{{50, 3}, {60, 2}, {100, 1}}},
		{"sharing, no demand", machine.NewSharing(1, 1), []arrival{{5, 1, 0}}, []departure{{5, 1}}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := serve(tt.s, tt.in); !slices.Equal(got, tt.want) {
				t.Errorf("departures: got %v, want %v", got, tt.want)
			}
			if n := tt.s.Len(); n != 0 {
				t.Errorf("present in the end: got %d, want 0", n)
			}
		})
	}
}

// gone withdraws a job.
func gone(s machine.Station, at dsv.Instant, job machine.Job) bool {
	_, here := s.Withdraw(at, job)
	return here
}

func TestWithdraw(t *testing.T) {
	for _, tt := range []struct {
		name string
		s    machine.Station
		left int64       // of 1 when it was withdrawn at 10
		want []departure // after that
	}{
		{"queue", machine.NewQueue(1, 1), 90, []departure{{60, 2}}},
		{"ranked", machine.NewRanked(1, 1), 90, []departure{{60, 2}}},
		{"shortest first", machine.NewSRPT(1, 1), 100, []departure{{50, 2}}},
		{"twice as fast", machine.NewQueue(1, 2), 80, []departure{{35, 2}}},
		{"sharing", machine.NewSharing(1, 1), 95, []departure{{55, 2}}}, // 2 had 5 of its 50 by 10
	} {
		tt.s.Arrive(0, 1, 100)
		tt.s.Arrive(0, 2, 50)
		tt.s.Arrive(0, 3, 70)
		if left, here := tt.s.Withdraw(0, 3); !here || left != 70 || gone(tt.s, 0, 3) {
			t.Errorf("%s: withdraw: got %d ns left, %v; want 70, true once", tt.name, left, here)
		}
		if left, here := tt.s.Withdraw(10, 1); !here || left != tt.left {
			t.Errorf("%s: withdraw of a job in service: got %d ns left, %v; want %d, true", tt.name, left, here, tt.left)
		}
		if got := serve(tt.s, nil); !slices.Equal(got, tt.want) {
			t.Errorf("%s: departures: got %v, want %v", tt.name, got, tt.want)
		}
	}
}

func TestUse(t *testing.T) {
	for _, s := range []machine.Station{machine.NewQueue(1, 1), machine.NewSharing(1, 1)} {
		serve(s, []arrival{{0, 1, 2e9}, {1e9, 2, 2e9}})
		busy, present := s.Use(5e9)
		if math.Abs(busy-4) > 1e-6 {
			t.Errorf("%T: busy seconds: got %v, want 4", s, busy)
		}
		if want := map[bool]float64{true: 5, false: 6}[isQueue(s)]; math.Abs(present-want) > 1e-6 {
			t.Errorf("%T: job-seconds: got %v, want %v", s, present, want)
		}
		if busy, present = s.Use(6e9); busy != 0 || present != 0 {
			t.Errorf("%T: use of an idle second: got %v, %v, want 0, 0", s, busy, present)
		}
	}
}

func isQueue(s machine.Station) bool {
	_, ok := s.(*machine.Queue)
	return ok
}

func TestBurner(t *testing.T) {
	b := machine.NewBurner(1, 10)
	b.Arrive(0, 1, 25)
	b.Arrive(0, 2, 5)
	var order []machine.Job
	for at := dsv.Instant(1); ; at++ {
		grants := slices.Clone(b.Grants())
		if len(grants) == 0 {
			break
		}
		order = append(order, grants[0].Job)
		b.Met(at, grants[0].Job)
	}
	if want := []machine.Job{1, 2, 1, 1}; !slices.Equal(order, want) {
		t.Errorf("slices went to: got %v, want %v", order, want)
	}
	if got, want := b.Departed(), []machine.Job{2, 1}; !slices.Equal(got, want) {
		t.Errorf("departed: got %v, want %v", got, want)
	}
	b.Arrive(10, 3, 5)
	b.Grants()
	if !gone(b, 11, 3) || b.Len() != 0 {
		t.Error("withdraw of a job that burns: want true, and nobody present")
	}
}

func TestPool(t *testing.T) {
	p := machine.NewPool(10)
	if held, ok := p.Acquire(0, 1, 6); !held || !ok {
		t.Fatal("acquire 6 of 10: want it held")
	}
	if held, ok := p.Acquire(0, 2, 6); held || !ok {
		t.Fatal("acquire 6 of the 4 left: want it to wait")
	}
	if held, _ := p.Acquire(0, 3, 1); held {
		t.Fatal("acquire behind a line: want nobody overtaken")
	}
	if _, ok := p.Acquire(0, 4, 11); ok {
		t.Fatal("acquire 11 of 10: want a refusal")
	}
	p.Release(2e9, 6)
	if got, want := p.Departed(), []machine.Job{2, 3}; !slices.Equal(got, want) {
		t.Errorf("got what they waited for: got %v, want %v", got, want)
	}
	held, _ := p.Use(3e9)
	if held != 6*2+7 {
		t.Errorf("amount-seconds held: got %v, want 19", held)
	}
	p.Release(3e9, 6)
	p.Release(3e9, 1)
	if !p.Idle() {
		t.Error("pool after all was given back: want it idle")
	}
}

func BenchmarkQueue(b *testing.B) {
	q := machine.NewQueue(1, 1)
	b.ReportAllocs()
	at := dsv.Instant(0)
	for i := range b.N {
		q.Arrive(at, machine.Job(i), 90)
		at += 100
		q.Advance(at)
		q.Departed()
	}
}
