package find_test

import (
	"errors"
	"math"
	"testing"
	"time"

	"github.com/eve-emulation/eve/fase/find"
)

// step is a server that is perfect up to a load and useless above.
func step(s *find.Search, upTo float64) (tried []float64) {
	for p, more := s.Next(); more; p, more = s.Next() {
		tried = append(tried, p.Load)
		v := find.Pass
		if p.Load > upTo {
			v = find.Fail
		}
		s.Tell(find.Outcome{Verdict: v, Took: time.Second}, "")
	}
	return tried
}

func TestSearchOfAStep(t *testing.T) {
	ls := limits(t, "p99 < 20ms")
	for _, test := range []struct {
		name   string
		cfg    find.Config
		upTo   float64
		want   float64 // at least
		probes int     // at most
	}{
		{"above the start", find.Config{Start: 100}, 5000, 4900, 16},
		{"below the start", find.Config{Start: 100000}, 3000, 2940, 16},
		{"whole numbers", find.Config{Start: 10, Whole: true}, 37, 37, 14},
		{"one user", find.Config{Start: 64, Whole: true}, 1, 1, 12},
		{"a bound", find.Config{Start: 100, Max: 250}, 5000, 250, 5},
		{"coarse", find.Config{Start: 100, Resolve: 0.5}, 130, 100, 5},
	} {
		test.cfg.Limits = ls
		s, err := find.NewSearch(test.cfg)
		if err != nil {
			t.Fatal(err)
		}
		tried := step(s, test.upTo)
		a := s.Answer()
		if !a.Confirmed || a.Load < test.want || a.Load > test.upTo || len(tried) > test.probes {
			t.Errorf("%s: got %g after %v, want %g to %g after at most %d probes", test.name, a.Load, tried, test.want, test.upTo, test.probes)
		}
		if a.Bounded != (test.cfg.Max > 0) {
			t.Errorf("%s: bounded is %t", test.name, a.Bounded)
		}
		if trials := s.Trials(); trials[len(trials)-1].Purpose != find.Confirm {
			t.Errorf("%s: the last probe is to %s", test.name, trials[len(trials)-1].Purpose)
		}
	}
}

func TestNothingHolds(t *testing.T) {
	s, err := find.NewSearch(find.Config{Limits: limits(t, "p99 < 20ms"), Start: 100})
	if err != nil {
		t.Fatal(err)
	}
	step(s, 0)
	if a := s.Answer(); a.Load != 0 || a.Why == "" {
		t.Errorf("got %+v, want no load, and why", a)
	}
}

// TestUnconfirmed passes every probe below 500 but no confirmation above 400.
func TestUnconfirmed(t *testing.T) {
	s, err := find.NewSearch(find.Config{Limits: limits(t, "p99 < 20ms"), Start: 100, Resolve: 0.1})
	if err != nil {
		t.Fatal(err)
	}
	for p, more := s.Next(); more; p, more = s.Next() {
		o := find.Outcome{Verdict: find.Pass, Took: time.Second}
		switch {
		case p.Load > 500:
			o.Verdict = find.Fail
		case p.Purpose == find.Confirm && p.Load > 400:
			o.Verdict = find.Inconclusive
		}
		s.Tell(o, "")
	}
	if a := s.Answer(); !a.Confirmed || a.Load > 400 || a.Load < 350 {
		t.Errorf("got %+v, want a load below 400 that is confirmed", a)
	}
}

// TestGeneratorLimit cannot offer more than 300.
func TestGeneratorLimit(t *testing.T) {
	s, err := find.NewSearch(find.Config{Limits: limits(t, "p99 < 20ms"), Start: 100})
	if err != nil {
		t.Fatal(err)
	}
	for p, more := s.Next(); more; p, more = s.Next() {
		why := ""
		if p.Load > 300 {
			why = "it issued too few"
		}
		s.Tell(find.Outcome{Verdict: find.Pass, Took: time.Second}, why)
	}
	if a := s.Answer(); a.Limited == "" || !a.Confirmed || a.Load > 300 || a.Load < 290 || !math.IsInf(a.Failed, 1) {
		t.Errorf("got %+v, want 300, limited by the generator", a)
	}
}

// TestBusyHost has every probe limited by something else: the search gives up instead of going down for ever.
func TestBusyHost(t *testing.T) {
	s, err := find.NewSearch(find.Config{Limits: limits(t, "p99 < 20ms"), Start: 1000})
	if err != nil {
		t.Fatal(err)
	}
	var tried []float64
	for p, more := s.Next(); more; p, more = s.Next() {
		tried = append(tried, p.Load)
		s.Tell(find.Outcome{Verdict: find.Pass, Took: time.Second}, "the host is busy")
	}
	if a := s.Answer(); len(tried) != 6 || tried[1] != 1000 || a.Load != 0 || a.Limited == "" || a.Why == "" {
		t.Errorf("got %+v after %v, want each load twice, three of them, and why", a, tried)
	}
}

// TestFlatLine has evidence that hardly depends on the load, so that no load is far enough below the line: the search still
// ends.
func TestFlatLine(t *testing.T) {
	ls := limits(t, "p99 < 20ms")
	s, err := find.NewSearch(find.Config{Limits: ls, Start: 1000, Probe: time.Second, Confirm: time.Second})
	if err != nil {
		t.Fatal(err)
	}
	probes := 0
	for p, more := s.Next(); more; p, more = s.Next() {
		probes++
		share := 0.01 * math.Pow(p.Load/800, 0.3)
		s.Tell(find.Outcome{
			Verdict: find.Inconclusive, Took: time.Second,
			Evidence: []find.Evidence{{Limit: ls[0], Share: share, Allowed: 0.01, Effective: 20, Verdict: find.Inconclusive}},
		}, "")
	}
	if a := s.Answer(); probes > 30 || a.Confirmed || a.Why == "" {
		t.Errorf("got %+v after %d probes, want no load that is confirmed, and why", a, probes)
	}
}

func TestWrongSearches(t *testing.T) {
	ls := limits(t, "p99 < 20ms")
	for _, cfg := range []find.Config{
		{},
		{Limits: ls, Start: -1},
		{Limits: ls, Start: 10, Max: 5},
		{Limits: ls, Start: 10, Min: 20},
		{Limits: ls, Factor: 1},
		{Limits: ls, Resolve: 1},
		{Limits: ls, Probe: time.Millisecond},
		{Limits: ls, Probe: time.Minute, Confirm: time.Second},
		{Limits: ls, Pass: 0.7},
	} {
		if _, err := find.NewSearch(cfg); !errors.Is(err, find.ErrConfig) {
			t.Errorf("%+v: got %v, want ErrConfig", cfg, err)
		}
	}
}
