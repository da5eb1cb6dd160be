package runs_test

import (
	"slices"
	"testing"

	"github.com/eve-emulation/eve/fase/runs"
)

func TestNamesSortAsAReaderCounts(t *testing.T) {
	sorted := []string{
		"", "a", "a01", "a1", "a1.x", "a2", "a10", "a10.x2", "a10.x10", "aa", "server", "server_2", "server_10", "server_10a",
		"server_99999999999999999999", "server_100000000000000000000", "server_a",
	}
	for i, a := range sorted {
		for j, b := range sorted {
			got, want := runs.CompareNames(a, b), 0
			if i < j {
				want = -1
			} else if i > j {
				want = 1
			}
			if got != want {
				t.Errorf("%q and %q: got %d, want %d", a, b, got, want)
			}
		}
	}
	s := runs.Summary{Servers: map[string]map[runs.Resource]runs.Resourced{"server_10": nil, "server_2": nil, "cdn": nil}}
	if got, want := s.ServerNames(), []string{"cdn", "server_2", "server_10"}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}
