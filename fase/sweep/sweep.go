// Package sweep is campaigns: one scenario at many settings.
//
// The nouns: an [Axis] is what is varied, a path or several of a scenario, with the values that it takes; a [Grid] is the product of axes, of
// which each combination is a point; a [Metric] is a figure that is told of each point; a [Result] is what one point came to with one seed; a
// [Log] keeps results on disk as they come, so that a sweep that was cut off goes on where it stopped; a [Table] is what all of it came to,
// with intervals over the seeds.
//
//	rate, _ := sweep.ParseAxis("clients.jobs.rate=[20..95 step 15]/s")
//	grid, _ := sweep.NewGrid(rate)
//	for i := range grid.Points() {
//		plan, err := scenario.Load(file, text, scenario.Options{Set: grid.Set(i)})
//	}
//
// A point is no more than overrides of the scenario, as `--set` takes them, and nothing here knows how a point is run. Nothing here starts a
// goroutine; only a Log may be used by several.
package sweep

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
)

// MaxPoints bounds the points of a grid, and the values of an axis.
const MaxPoints = 100_000

// MaxAxes bounds the axes of a grid.
const MaxAxes = 8

// An Axis is what is varied, and the values that it takes, in their order.
type Axis struct {
	// Paths are those of the scenario that are set together, or short names of it; one, unless the axis is a list.
	Paths  []string `json:"paths"`
	Values []Value  `json:"values"`
	// Unit is that of the numbers of the values, as it is written in all of them, or a base unit; empty where there is none, and where the
	// values are no numbers.
	Unit string `json:"unit,omitempty"`
}

// A Value is one place on an axis.
type Value struct {
	// Texts are what the paths are set to, in YAML; an empty one leaves its path as the scenario has it.
	Texts []string `json:"texts"`
	// Number is the place on the axis, in its unit, where all values of the axis are numbers; else nil.
	Number *float64 `json:"number,omitempty"`
}

// Numeric reports whether all values of the axis are numbers.
func (a Axis) Numeric() bool {
	return len(a.Values) > 0 && !slices.ContainsFunc(a.Values, func(v Value) bool { return v.Number == nil })
}

// Name is what the axis is called in tables: its path, or its paths.
func (a Axis) Name() string { return strings.Join(a.Paths, ", ") }

// Short is the last part of the path, "rate" of clients.jobs.rate; of several the first one's.
func (a Axis) Short() string {
	p := a.Paths[0]
	return p[strings.LastIndexByte(p, '.')+1:]
}

// Label is how a value is told: "35/s", or for several paths "4, 35/s".
func (v Value) Label() string {
	texts := make([]string, len(v.Texts))
	for i, t := range v.Texts {
		if texts[i] = t; t == "" {
			texts[i] = "–"
		}
	}
	return strings.Join(texts, ", ")
}

// Along is the axis along which a sweep is drawn: of those with several values the one with the most numbers, else the first; -1 where none has
// several.
func Along(axes []Axis) int {
	x := -1
	for i, a := range axes {
		if len(a.Values) < 2 {
			continue
		}
		if x < 0 || a.Numeric() && (!axes[x].Numeric() || len(a.Values) > len(axes[x].Values)) {
			x = i
		}
	}
	return x
}

// Between returns n texts of values evenly spaced from the least to the greatest of an axis, and where they are, so that a curve can be drawn;
// none of an axis whose values are no numbers, or numbers without a unit, such as counts, which have nothing between.
func (a Axis) Between(n int) (texts []string, at []float64) {
	if !a.Numeric() || a.Unit == "" || n < 2 {
		return nil, nil
	}
	low, high := math.Inf(1), math.Inf(-1)
	for _, v := range a.Values {
		if d, err := parseDecimal(v.Texts[0]); err != nil || d.unit != a.Unit {
			return nil, nil // written in several units
		}
		low, high = min(low, *v.Number), max(high, *v.Number)
	}
	for i := range n {
		x := low + (high-low)*float64(i)/float64(n-1)
		text := strconv.FormatFloat(x, 'f', 9, 64)
		texts, at = append(texts, strings.TrimRight(strings.TrimRight(text, "0"), ".")+a.Unit), append(at, x)
	}
	return texts, at
}

// A Grid is the product of axes. It is immutable.
type Grid struct {
	axes   []Axis
	points int
}

// Errors of sweeps.
var (
	// ErrTooMany reports a grid of more than MaxPoints points.
	ErrTooMany = errors.New("too many points")
	// ErrEmpty reports a grid without an axis, and an axis without a value.
	ErrEmpty = errors.New("nothing is varied")
)

// NewGrid returns the product of axes. A path that is set by two of them is a mistake.
func NewGrid(axes ...Axis) (*Grid, error) {
	g := &Grid{axes: axes, points: 1}
	if len(axes) == 0 {
		return nil, ErrEmpty
	}
	if len(axes) > MaxAxes {
		return nil, fmt.Errorf("%d axes: at most %d", len(axes), MaxAxes)
	}
	seen := map[string]bool{}
	for _, a := range axes {
		if len(a.Values) == 0 || len(a.Paths) == 0 {
			return nil, fmt.Errorf("%s: %w", a.Name(), ErrEmpty)
		}
		if i := slices.IndexFunc(a.Values, func(v Value) bool { return len(v.Texts) != len(a.Paths) }); i >= 0 {
			return nil, fmt.Errorf("%s: value %d is of %d paths", a.Name(), i+1, len(a.Values[i].Texts))
		}
		for _, p := range a.Paths {
			if seen[p] {
				return nil, fmt.Errorf("%s: it is varied twice", p)
			}
			seen[p] = true
		}
		if g.points *= len(a.Values); g.points > MaxPoints {
			return nil, fmt.Errorf("%w: at most %d", ErrTooMany, MaxPoints)
		}
	}
	return g, nil
}

// Axes are the axes, in order. They belong to the grid.
func (g *Grid) Axes() []Axis { return g.axes }

// Points is how many there are. They count from 0; the last axis varies fastest.
func (g *Grid) Points() int { return g.points }

// At returns the index of the value of each axis at a point.
func (g *Grid) At(point int) []int {
	at := make([]int, len(g.axes))
	for i := len(g.axes) - 1; i >= 0; i-- {
		n := len(g.axes[i].Values)
		at[i] = point % n
		point /= n
	}
	return at
}

// Index is the point at the indices of the values of each axis.
func (g *Grid) Index(at []int) int {
	point := 0
	for i, k := range at {
		point = point*len(g.axes[i].Values) + k
	}
	return point
}

// Set returns the overrides of a point, as PATH=VALUE.
func (g *Grid) Set(point int) []string {
	var set []string
	for i, k := range g.At(point) {
		a := g.axes[i]
		for j, p := range a.Paths {
			if t := a.Values[k].Texts[j]; t != "" {
				set = append(set, p+"="+t)
			}
		}
	}
	return set
}

// Label tells a point in words: "clients.jobs.rate=35/s, servers.web.count=2".
func (g *Grid) Label(point int) string { return strings.Join(g.Set(point), ", ") }

// number returns a value that is a number.
func number(x float64) *float64 {
	if math.IsNaN(x) || math.IsInf(x, 0) {
		return nil
	}
	return &x
}
