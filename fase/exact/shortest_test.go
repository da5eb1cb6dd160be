package exact_test

import (
	"slices"
	"testing"

	"github.com/eve-emulation/eve/dsv"
	"github.com/eve-emulation/eve/fase/exact"
)

func TestShortest(t *testing.T) {
	jobs := []exact.Job{{0, 10}, {1, 10}, {2, 3}, {3, 1}, {5, 4}, {10, 1}}
	both := func(_ int, l []int) []int { return append(l, 0, 1) }
	for _, tt := range []struct {
		name string
		n    int
		pick func(int, []int) []int
		want []dsv.Instant
	}{
		// One line is that of Lindley.
		{"one server", 1, func(_ int, l []int) []int { return append(l, 0) }, exact.FCFS(1, jobs)},
		// 0 → a until 10, 1 → b until 11, 2 → a (ties to the first) until 13, 3 → b until 12, 5 → a until 17; at 10 the first has left a, so
		// both have two: a until 18.
		{"the shortest of two", 2, both, []dsv.Instant{10, 11, 13, 12, 17, 18}},
		{"in turns", 2, func(i int, l []int) []int { return append(l, i%2) }, []dsv.Instant{10, 11, 13, 12, 17, 13}},
	} {
		if got := exact.Shortest(tt.n, jobs, tt.pick); !slices.Equal(got, tt.want) {
			t.Errorf("%s: got %v, want %v", tt.name, got, tt.want)
		}
	}
}
