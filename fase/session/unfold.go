package session

import (
	"encoding/binary"
	"fmt"
	"math"

	"github.com/eve-emulation/eve/dmm/expr"
)

// Unfold makes the chain of a graph: a step for each page in each state that a session can come to. The mistakes are pages
// that no session reaches, states of a page from which no way leads on, steps from which the exit is out of reach, and a
// state that grows without bound.
func (g *Graph) Unfold() (*Chain, []*Mistake) {
	u := unfolding{g: g, index: map[string]int{}, chain: &Chain{}}
	for _, p := range g.Pages {
		u.chain.Pages = append(u.chain.Pages, p.Name)
	}
	from := make([]int, len(g.State))
	for i, v := range g.State {
		from[i] = v.From
	}
	u.step(g.Start, from)
	u.chain.Start = []Edge{{To: 0, P: 1}}
	for i := 0; i < len(u.chain.Steps); i++ {
		if len(u.chain.Steps) > MaxSteps {
			return nil, []*Mistake{u.tooMany()}
		}
		u.onward(i)
	}
	if len(u.mistakes) == 0 {
		u.unreached()
		u.endless()
	}
	if len(u.mistakes) > 0 {
		return nil, u.mistakes
	}
	return u.chain, nil
}

type unfolding struct {
	g        *Graph
	chain    *Chain
	index    map[string]int // of steps, by page and state
	scalars  []expr.Scalar
	mistakes []*Mistake
}

// step returns the index of a page in a state.
func (u *unfolding) step(page int, state []int) int {
	key := binary.AppendVarint(nil, int64(page))
	for _, x := range state {
		key = binary.AppendVarint(key, int64(x))
	}
	i, ok := u.index[string(key)]
	if !ok {
		i = len(u.chain.Steps)
		u.index[string(key)] = i
		u.chain.Steps = append(u.chain.Steps, Step{Page: page, State: state})
	}
	return i
}

func (u *unfolding) wrong(page, way int, msg, fix string) {
	for _, m := range u.mistakes {
		if m.Page == page && m.Way == way {
			return // of other states of the page
		}
	}
	u.mistakes = append(u.mistakes, &Mistake{Page: page, Way: way, Msg: msg, Fix: fix})
}

func (u *unfolding) values(state []int) []expr.Scalar {
	u.scalars = u.scalars[:0]
	for _, x := range state {
		u.scalars = append(u.scalars, expr.Scalar{Num: float64(x)})
	}
	return u.scalars
}

// onward finds where a step leads.
func (u *unfolding) onward(i int) {
	at := u.chain.Steps[i].Page
	p := &u.g.Pages[at]
	state, ok := u.update(at, u.chain.Steps[i].State)
	if !ok {
		return
	}
	for _, w := range p.Next {
		if w.When != nil && !w.When.Holds(u.values(state)) {
			continue
		}
		var next []Edge
		for _, e := range w.To {
			if e.To != Exit && e.P > 0 {
				next = append(next, Edge{To: u.step(e.To, state), P: e.P})
			}
		}
		u.chain.Steps[i].Next = next
		return
	}
	u.wrong(at, -1, fmt.Sprintf("a session at page %s%s has no way onward", p.Name, u.g.told(state)),
		"add a last alternative without `when`")
}

// update returns the state after a page.
func (u *unfolding) update(page int, before []int) ([]int, bool) {
	p := &u.g.Pages[page]
	if len(p.Do) == 0 {
		return before, true
	}
	state := append([]int(nil), before...)
	for _, d := range p.Do {
		v := u.g.State[d.Var]
		x := math.Round(d.Value.Eval(u.values(state)))
		if math.IsNaN(x) {
			u.wrong(page, -1, fmt.Sprintf("%s has no value after page %s%s", v.Name, p.Name, u.g.told(before)), "check the update")
			return nil, false
		}
		state[d.Var] = int(max(float64(v.Least), min(x, float64(v.Most))))
	}
	return state, true
}

func (u *unfolding) tooMany() *Mistake {
	for i, v := range u.g.State {
		low, high := u.chain.Steps[0].State[i], u.chain.Steps[0].State[i]
		for _, s := range u.chain.Steps {
			low, high = min(low, s.State[i]), max(high, s.State[i])
		}
		if (v.Most == Unbounded || v.Least == -Unbounded) && high-low > 50 {
			return &Mistake{Page: -1, Way: -1, Msg: v.Name + " grows without bound", Fix: fmt.Sprintf("bound it: `%s: %d..9` stays from %d to 9", v.Name, v.From, v.From)}
		}
	}
	return &Mistake{Page: -1, Way: -1, Msg: fmt.Sprintf("the session has more than %d combinations of a page and a state", MaxSteps), Fix: "use narrower bounds, or fewer variables"}
}

func (u *unfolding) unreached() {
	reached := make([]bool, len(u.g.Pages))
	for _, s := range u.chain.Steps {
		reached[s.Page] = true
	}
	for p, ok := range reached {
		if !ok {
			u.wrong(p, -1, fmt.Sprintf("no session reaches page %s", u.g.Pages[p].Name), "lead to it from another page, or remove it")
		}
	}
}

// endless tells of pages from which no exit can be reached.
func (u *unfolding) endless() {
	ends := u.chain.ending()
	for i, ok := range ends {
		if ok {
			continue
		}
		s := u.chain.Steps[i]
		u.wrong(s.Page, -1, fmt.Sprintf("a session at page %s%s can never end", u.g.Pages[s.Page].Name, u.g.told(s.State)),
			"give it, or a page that it leads to, a way to `exit`")
	}
}
