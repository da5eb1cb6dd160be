package step_test

import (
	"slices"
	"testing"

	"github.com/eve-emulation/eve/dsv"
	"github.com/eve-emulation/eve/fase/step"
)

// clock is a core that acts at fixed instants and asks for one effect each time.
type clock struct {
	name string
	due  []dsv.Instant
	log  *[]string
	out  []step.Effect
}

func (c *clock) Next() dsv.Instant {
	if len(c.due) == 0 {
		return dsv.Never
	}
	return c.due[0]
}

func (c *clock) Advance(to dsv.Instant) {
	for len(c.due) > 0 && c.due[0] <= to {
		*c.log = append(*c.log, c.name)
		c.out = append(c.out, step.Effect{At: c.due[0], Kind: step.Send})
		c.due = c.due[1:]
	}
}

func (c *clock) Effects() []step.Effect {
	out := c.out
	c.out = nil
	return out
}

// ping answers the first effects that it sees by an input to the other core, which emits another effect at once.
type ping struct {
	cores []*clock
	at    []dsv.Instant
	left  int
}

func (p *ping) Route(core int, e step.Effect) {
	p.at = append(p.at, e.At)
	if p.left > 0 {
		p.left--
		other := p.cores[1-core]
		other.out = append(other.out, step.Effect{At: e.At})
	}
}

func TestDriverOrdersCoresByInstant(t *testing.T) {
	var log []string
	a := &clock{name: "a", due: []dsv.Instant{1, 5, 5, 9}, log: &log}
	b := &clock{name: "b", due: []dsv.Instant{2, 5, 12}, log: &log}
	r := &ping{cores: []*clock{a, b}}
	d := step.NewDriver(r, a, b)
	d.Run(10) // late for everything but the last
	if want := []string{"a", "b", "a", "a", "b", "a"}; !slices.Equal(log, want) {
		t.Errorf("order: got %v, want %v", log, want)
	}
	if want := []dsv.Instant{1, 2, 5, 5, 5, 9}; !slices.Equal(r.at, want) {
		t.Errorf("effects: got %v, want %v", r.at, want)
	}
	if got := d.Next(); got != 12 {
		t.Errorf("next: got %d, want 12", got)
	}
	if got := d.Now(); got != 9 {
		t.Errorf("now: got %d, want 9", got)
	}
}

func TestDriverRoutesUntilQuiet(t *testing.T) {
	var log []string
	a, b := &clock{name: "a", due: []dsv.Instant{1}, log: &log}, &clock{name: "b", log: &log}
	r := &ping{cores: []*clock{a, b}, left: 3}
	step.NewDriver(r, a, b).Run(1)
	if got, want := len(r.at), 4; got != want {
		t.Errorf("effects of one step and three answers: got %d, want %d", got, want)
	}
}

func TestAgenda(t *testing.T) {
	var a step.Agenda[int, string]
	for _, x := range []struct {
		key int
		x   string
	}{{5, "e"}, {1, "a"}, {3, "c"}, {3, "d"}, {2, "b"}, {9, "z"}} {
		a.Push(x.key, x.x)
	}
	if !a.Remove(func(s string) bool { return s == "z" }) || a.Remove(func(s string) bool { return s == "z" }) {
		t.Error("remove: want true once")
	}
	var got []string
	for a.Len() > 0 {
		_, x, _ := a.Pop()
		got = append(got, x)
	}
	if want := []string{"a", "b", "c", "d", "e"}; !slices.Equal(got, want) {
		t.Errorf("order: got %v, want %v", got, want)
	}
	if _, _, ok := a.Pop(); ok {
		t.Error("pop of an empty agenda: got ok")
	}
	if _, _, ok := a.Peek(); ok {
		t.Error("peek of an empty agenda: got ok")
	}
}

func TestAgendaAllocatesNothing(t *testing.T) {
	var a step.Agenda[dsv.Instant, step.Ref]
	for i := range 1000 {
		a.Push(dsv.Instant(i*7919%1000), step.Ref(i))
	}
	if n := testing.AllocsPerRun(100, func() {
		at, x, _ := a.Pop()
		a.Push(at+500, x)
	}); n != 0 {
		t.Errorf("allocations of a pop and a push: got %v, want 0", n)
	}
}

func TestRef(t *testing.T) {
	r := step.NewRef(7, 9)
	if r.Slot() != 7 || r.Gen() != 9 {
		t.Errorf("ref of slot 7, generation 9: got %d, %d", r.Slot(), r.Gen())
	}
}
