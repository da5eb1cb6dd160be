package expr

import (
	"slices"

	"github.com/eve-emulation/eve/dsv"
)

const programList = "p50 p90 p95 p99 p999 mean rate max min count ewma abs floor sqrt exp log"

func functions() []string {
	return []string{"p50", "p90", "p95", "p99", "p999", "mean", "rate", "max", "min", "count", "ewma"}
}

func isFunction(name string) bool { return slices.Contains(functions(), name) }

// quantile returns what a function asks of a histogram.
func quantile(function string) (float64, bool) {
	switch function {
	case "p50":
		return 0.5, true
	case "p90":
		return 0.9, true
	case "p95":
		return 0.95, true
	case "p99":
		return 0.99, true
	case "p999":
		return 0.999, true
	}
	return 0, false
}

// varSort says what can be asked of a variable.
type varSort uint8

const (
	lastVar varSort = iota
	counterVar
	sumVar
	meanVar
	minVar
	maxVar
	histogramVar
	textVar
	bytesVar
)

func sortOf(d dsv.Declaration) varSort {
	switch d.Kind {
	case dsv.Histogram:
		return histogramVar
	case dsv.Text:
		return textVar
	case dsv.Bytes:
		return bytesVar
	}
	switch d.Merge {
	case dsv.Sum:
		if d.Kind == dsv.Int {
			return counterVar
		}
		return sumVar
	case dsv.Mean:
		return meanVar
	case dsv.Min:
		return minVar
	case dsv.Max:
		return maxVar
	}
	return lastVar
}

// String says what a variable is.
func (s varSort) String() string {
	return [...]string{"a latest value", "a counter", "a sum", "a mean", "a least value", "a greatest value", "a histogram", "a text", "bytes"}[s]
}

// allows reports whether a function can be taken of a variable; the empty function is the variable alone.
func (s varSort) allows(function string) bool {
	switch s {
	case lastVar:
		return function == ""
	case counterVar:
		return function == "" || function == "rate" || function == "count"
	case sumVar:
		return function == "" || function == "rate"
	case meanVar:
		return function == "" || function == "mean" || function == "ewma"
	case minVar:
		return function == "" || function == "min"
	case maxVar:
		return function == "" || function == "max"
	case histogramVar:
		return function != ""
	case textVar:
		return function == ""
	}
	return false
}

// fix says what can be asked instead.
func (s varSort) fix(name string) string {
	switch s {
	case lastVar:
		return "use " + name + " alone, which is its latest value"
	case counterVar, sumVar:
		return "use " + name + " for its total, or rate(" + name + ")"
	case meanVar:
		return "use mean(" + name + ") or ewma(" + name + ")"
	case minVar:
		return "use min(" + name + ")"
	case maxVar:
		return "use max(" + name + ")"
	case histogramVar:
		return "use p95(" + name + ") or mean(" + name + ")"
	case textVar:
		return "compare it: " + name + " == \"text\""
	}
	return "expressions read numbers and texts"
}

// suggest returns the known name that src was most likely meant to be, or "".
func (c *compiler) suggest(name string) string {
	names := make([]string, len(c.known))
	for i, n := range c.known {
		names[i] = string(n)
	}
	return Nearest(name, names)
}

// Nearest returns the candidate that a mistyped name was most likely meant to be: the one with the least edit distance, the
// first of equals, or "" when none is near.
func Nearest(name string, candidates []string) string {
	best, least := "", max(1, min(len(name)/3, 6))+1
	for _, c := range candidates {
		if d := distance(name, c, least); d < least && d < len(c) { // nothing of c would be left otherwise
			best, least = c, d
		}
	}
	return best
}

// distance is the number of bytes to insert, delete, replace or swap with a neighbour to make a into b; limit or more where
// it is at least limit.
func distance(a, b string, limit int) int {
	if len(a)-len(b) >= limit || len(b)-len(a) >= limit {
		return limit
	}
	rows := [3][]int{make([]int, len(b)+1), make([]int, len(b)+1), make([]int, len(b)+1)}
	before, last, row := rows[0], rows[1], rows[2]
	for j := range last {
		last[j] = j
	}
	for i := 1; i <= len(a); i++ {
		row[0] = i
		for j := 1; j <= len(b); j++ {
			change := 1
			if a[i-1] == b[j-1] {
				change = 0
			}
			row[j] = min(last[j]+1, row[j-1]+1, last[j-1]+change)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				row[j] = min(row[j], before[j-2]+1)
			}
		}
		before, last, row = last, row, before
	}
	return last[len(b)]
}
