// Package session describes what one user does in one visit: a Markov walk over pages, with state.
//
// A [Graph] is what a person writes: pages, the probabilities of the next page, which may depend on the state of the session
// (things in the cart, logged in or not), and what a page does to the state. The state is of whole numbers within bounds, so
// a graph unfolds into a [Chain], a finite Markov chain whose steps are pages in a state, once, when it is loaded: a walk
// costs one draw and a search among the ways onward, and what is to be expected of it is known exactly, as [Visits].
package session

import (
	"fmt"
	"math"
	"strings"

	"github.com/eve-emulation/eve/dmm/expr"
	"github.com/eve-emulation/eve/dsv"
)

// Exit is where a session ends: the target of an Edge that leads to no page, or to no step.
const Exit = -1

// A Graph is a session as written. It is immutable once unfolded.
type Graph struct {
	Pages []Page
	Start int // index of the first page
	State []Var
}

// A Page is where a session asks for something.
type Page struct {
	Name string
	Do   []Update // to the state, in this order, once the page has been answered
	Next []Way    // the first whose condition holds counts
}

// A Way is how a session goes on from a page: with these probabilities, which add up to 1.
type Way struct {
	When *expr.Formula // over the state, in the order of Graph.State; nil holds always
	To   []Edge
}

// An Edge leads somewhere, Exit included, with a probability.
type Edge struct {
	To int
	P  float64
}

// A Var is a variable of the state. It never leaves its bounds: an update beyond one stays at it.
type Var struct {
	Name        string
	From        int // at the start of each session
	Least, Most int
	Truth       bool // true or false, kept as 1 and 0
}

// Unbounded is the Most of a variable without a bound.
const Unbounded = math.MaxInt32

// An Update sets a variable of the state.
type Update struct {
	Var   int
	Value *expr.Formula // over the state before it
}

// Inputs are what formulas over the state may read, in the order of their values.
func (g *Graph) Inputs() []expr.Input {
	in := make([]expr.Input, len(g.State))
	for i, v := range g.State {
		in[i] = expr.Input{Name: v.Name, Kind: dsv.Int, Condition: v.Truth}
	}
	return in
}

// MaxSteps bounds the steps that a graph unfolds into: what is expected of a chain takes time with their cube.
const MaxSteps = 2000

// A Mistake is what is wrong with a graph, at a page of it, or at a way onward from the page.
type Mistake struct {
	Page     int // -1: the graph as a whole
	Way      int // -1: the page as a whole
	Msg, Fix string
}

// Error returns the message, and the fix after a semicolon.
func (m *Mistake) Error() string {
	if m.Fix == "" {
		return m.Msg
	}
	return m.Msg + "; " + m.Fix
}

// told writes a state for messages: "with cart = 2 and login = false"; empty without variables.
func (g *Graph) told(values []int) string {
	var parts []string
	for i, v := range g.State {
		switch {
		case !v.Truth:
			parts = append(parts, fmt.Sprintf("%s = %d", v.Name, values[i]))
		case values[i] != 0:
			parts = append(parts, v.Name+" = true")
		default:
			parts = append(parts, v.Name+" = false")
		}
	}
	if len(parts) == 0 {
		return ""
	}
	return " with " + strings.Join(parts, " and ")
}
