package step_test

import (
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/eve-emulation/eve/dsv"
	"github.com/eve-emulation/eve/fase/step"
)

// gossip is a core that acts at instants of its own and tells others, who act a little later, or at once.
type gossip struct {
	id    int
	due   step.Agenda[dsv.Instant, int]
	out   []step.Effect
	spare []step.Effect
}

func (g *gossip) Next() dsv.Instant {
	if at, _, ok := g.due.Peek(); ok {
		return at
	}
	return dsv.Never
}

func (g *gossip) Advance(to dsv.Instant) {
	for g.Next() <= to {
		at, left, _ := g.due.Pop()
		for k := range 1 + left%2 {
			if left > 0 {
				g.out = append(g.out, step.Effect{At: at, Node: int32((g.id*7 + left*13 + k) % 130), N: int64(left - 1)})
			}
		}
	}
}

func (g *gossip) Effects() []step.Effect {
	g.out, g.spare = g.spare[:0], g.out
	return g.spare
}

// town routes what gossips tell, and logs it.
type town struct {
	cores []*gossip
	touch func(int)
	log   []step.Effect
}

func (w *town) Route(core int, e step.Effect) {
	w.log = append(w.log, step.Effect{At: e.At, Node: int32(core), Key: uint64(e.Node), N: e.N})
	to := w.cores[e.Node]
	w.touch(int(e.Node))
	if e.N%3 == 0 { // it acts at once
		to.out = append(to.out, step.Effect{At: e.At, Node: (e.Node + 1) % int32(len(w.cores)), N: e.N - 1})
		return
	}
	to.due.Push(e.At+dsv.Instant(e.N%4), int(e.N))
}

func newTown(n int) (*town, []step.Core) {
	rng := rand.New(rand.NewPCG(3, 5))
	w := &town{touch: func(int) {}}
	var cores []step.Core
	for i := range n {
		g := &gossip{id: i}
		for range 3 {
			g.due.Push(dsv.Instant(rng.IntN(40)), 1+rng.IntN(12))
		}
		w.cores, cores = append(w.cores, g), append(cores, g)
	}
	return w, cores
}

// A calendar steps and routes as a driver does, whatever falls on one instant.
func TestCalendarDoesAsDriverDoes(t *testing.T) {
	polled, cores := newTown(130)
	d := step.NewDriver(polled, cores...)
	told, cores := newTown(130)
	c := step.NewCalendar(told, cores...)
	told.touch = c.Touch
	for at := dsv.Instant(0); at <= 100; at += 9 {
		if got, want := c.Next(), d.Next(); got != want {
			t.Fatalf("next after %d: got %d, want %d", at, got, want)
		}
		if got, want := c.Run(at), d.Run(at); got != want {
			t.Fatalf("steps until %d: got %d, want %d", at, got, want)
		}
		if got, want := c.Now(), d.Now(); got != want {
			t.Fatalf("now: got %d, want %d", got, want)
		}
	}
	if len(polled.log) < 1000 {
		t.Fatalf("only %d effects", len(polled.log))
	}
	if !slices.Equal(told.log, polled.log) {
		t.Errorf("the calendar's %d effects are not the driver's %d", len(told.log), len(polled.log))
	}
}

// What comes out of an agenda is sorted by key, ties in the order in which they went in, also after removals.
func TestAgendaSorts(t *testing.T) {
	type item struct {
		key dsv.Instant
		n   int
	}
	rng := rand.New(rand.NewPCG(1, 2))
	var a step.Agenda[dsv.Instant, int]
	var want []item
	for n := range 3000 {
		key := dsv.Instant(rng.IntN(500))
		a.Push(key, n)
		want = append(want, item{key, n})
		if n%7 == 0 {
			gone := rng.IntN(len(want))
			if !a.Remove(func(x int) bool { return x == want[gone].n }) {
				t.Fatalf("%d is not there", want[gone].n)
			}
			want = slices.Delete(want, gone, gone+1)
		}
	}
	slices.SortStableFunc(want, func(x, y item) int { return int(x.key - y.key) })
	var got []item
	for {
		key, n, ok := a.Pop()
		if !ok {
			break
		}
		got = append(got, item{key, n})
	}
	if !slices.Equal(got, want) {
		t.Errorf("got %d items in another order than the %d that were wanted", len(got), len(want))
	}
}
