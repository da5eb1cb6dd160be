package find_test

import (
	"slices"
	"testing"

	"github.com/eve-emulation/eve/dsv"
	"github.com/eve-emulation/eve/fase/find"
)

// TestCalls takes the calls of one service apart that others and earlier windows stand between.
func TestCalls(t *testing.T) {
	latency := func(n dsv.Name, end dsv.Instant, xs ...float64) dsv.Delta {
		var h dsv.Counts
		for _, x := range xs {
			h.Add(x)
		}
		return dsv.Delta{Name: n, T1: end, Value: dsv.HistValue(h.Hist())}
	}
	errors := dsv.Delta{Name: "app.errors", T1: 20, Value: dsv.IntValue(1)}
	deltas := []dsv.Delta{
		latency("app.latency", 30, 0.4), // later, though told first
		latency("db.latency", 20, 9),
		latency("app.latency", 10, 7), // before what counts
		errors,
		latency("app.latency", 20, 0.2, 0.1),
	}
	type call struct {
		at     dsv.Instant
		ms     int
		failed bool
	}
	var got []call
	find.Calls(deltas, "app", 10, func(at dsv.Instant, x float64, failed bool) {
		got = append(got, call{at, int(x*1000 + 0.5), failed})
	})
	want := []call{{19, 100, true}, {19, 200, false}, {29, 400, false}}
	if !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}
