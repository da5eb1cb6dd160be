package dmm_test

import (
	"errors"
	"math"
	"slices"
	"testing"
	"time"

	"github.com/eve-emulation/eve/dmm"
	"github.com/eve-emulation/eve/dsv"
)

// TestChain says which manipulators may stand behind which.
func TestChain(t *testing.T) {
	of := func(name string) dsv.Declaration {
		return dmm.Spec{Name: "x", Manipulator: name}.Declaration("", "", false)
	}
	for _, c := range []struct {
		from, into string
		ok         bool
	}{
		{"count", "count", true},
		{"count", "ewma", true},
		{"mean", "max", true},
		{"histogram", "histogram", true},
		{"histogram", "max", false},
		{"window", "window", false},
		{"mean", "histogram", true},
		{"records", "records", true},
		{"records", "last", false},
		{"last", "records", false},
		{"last", "last", true},
	} {
		if err := dmm.Chain(of(c.from), of(c.into)); (err == nil) != c.ok || err != nil && !errors.Is(err, dsv.ErrKind) {
			t.Errorf("%s behind %s: got %v, want %v", c.into, c.from, err, c.ok)
		}
	}
}

// TestTriggerString tells triggers in words.
func TestTriggerString(t *testing.T) {
	for want, x := range map[string]dmm.Trigger{
		"its end":                            {},
		"every 100ms or 500 writes":          {Every: 100 * time.Millisecond, Count: 500},
		"a change by 0.5 or a change by 10%": {Change: 0.5, ChangeRelative: 0.1},
		"above 2 or below -1":                {Above: new(2.0), Below: new(-1.0)},
	} {
		if got := x.String(); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}

// TestDerivedNames takes names of derived values apart.
func TestDerivedNames(t *testing.T) {
	for _, f := range dmm.Derivations() {
		base, g, ok := dmm.Derived(dsv.Name("app.latency." + f.String()))
		if !ok || base != "app.latency" || g != f {
			t.Errorf("%v: got %q, %v, %v", f, base, g, ok)
		}
	}
	for _, n := range []dsv.Name{"p95", ".p95", "app.latency", "app.latency.p96", ""} {
		if base, f, ok := dmm.Derived(n); ok {
			t.Errorf("%q: got %q, %v", n, base, f)
		}
	}
	if !math.IsNaN(dmm.Derivation(0).Of(dmm.Total{})) || dmm.Derivation(0).Check(dsv.Declaration{}) == nil {
		t.Error("no derivation computes something")
	}
}

// TestWindowSlides forgets samples when they are older than the window, also when nothing is written.
func TestWindowSlides(t *testing.T) {
	set := newSet(t, dmm.Spec{Name: "x", Manipulator: "window", Param: 1, Sync: dmm.Trigger{Every: 250 * time.Millisecond}})
	v := set.Var("x")
	v.Write(100*ms, 1)
	var counts []uint64
	for at := 250 * ms; at <= 2500*ms; at += 250 * ms {
		set.Advance(at)
		if at == 500*ms {
			v.Write(600*ms, 2)
			v.Write(600*ms, 3)
		}
	}
	for _, d := range set.Take(nil) {
		counts = append(counts, d.Value.Hist.Count())
	}
	// The first sample is gone a second after it at the latest, the others too; the last delta says that none is left.
	if want := []uint64{1, 1, 3, 3, 2, 2, 0}; !slices.Equal(counts, want) {
		t.Errorf("got %v, want %v", counts, want)
	}
}

// TestSample keeps one write in so many.
func TestSample(t *testing.T) {
	set := newSet(t, dmm.Spec{Name: "x", Manipulator: "sample", Param: 3, Sync: dmm.Trigger{Change: 0.1}})
	v := set.Var("x")
	for i := range 8 {
		v.Write(dsv.Instant(i+1), float64(i))
	}
	var got []float64
	for _, d := range set.Take(nil) {
		got = append(got, d.Value.Float)
	}
	if want := []float64{0, 3, 6}; !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

// TestSetGrows adds variables to a set that is in use, and removes them.
func TestSetGrows(t *testing.T) {
	set := newSet(t)
	every := dmm.Trigger{Every: 100 * time.Millisecond}
	v, err := set.Add(dmm.Spec{Name: "a", Manipulator: "sum", Sync: every}, 250*ms)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := set.Add(dmm.Spec{Name: "a", Manipulator: "sum"}, 0); err == nil {
		t.Error("a name twice is no error")
	}
	if got := set.Next(); got != 300*ms {
		t.Errorf("the first window ends at %d, want %d", got, 300*ms)
	}
	v.Write(260*ms, 1)
	w, err := set.Add(dmm.Spec{Name: "b", Manipulator: "sum", Sync: every}, 250*ms)
	if err != nil {
		t.Fatal(err)
	}
	w.Write(270*ms, 5)
	set.Flush(280 * ms) // before any trigger
	v.Write(290*ms, 2)
	set.Advance(300 * ms)
	set.Remove("b")
	w.Write(310*ms, 7) // goes nowhere
	v.Write(310*ms, 4)
	set.Close(320 * ms)
	var got []float64
	for _, d := range set.Take(nil) {
		if d.Name != "a" {
			t.Errorf("got a delta of %s", d.Name)
			continue
		}
		got = append(got, d.Value.Float)
	}
	if want := []float64{1, 2, 4}; !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}
