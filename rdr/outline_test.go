package rdr_test

import (
	"fmt"
	"math"
	"testing"

	"github.com/eve-emulation/eve/rdr"
)

// TestMomentsAreThoseOfTheDraws holds the moments of each law against the integral of its quantile function, and its mean against Mean.
func TestMomentsAreThoseOfTheDraws(t *testing.T) {
	for _, law := range []string{
		"5ms", "exp(5ms)", "uniform(2ms, 8ms)", "normal(5ms, 1ms)", "normal(1ms, 3ms)", "lognormal(2ms, 0.5)", "pareto(2ms, 8)", "erlang(3, 6ms)",
	} {
		b, err := rdr.ParseBlock("body", []byte("cpu "+law), rdr.Limits{})
		if err != nil {
			t.Fatal(err)
		}
		a := b.Outline()[0].Amount
		mean, _ := b.Mean()
		if got, want := a.Mean, mean.Of("").CPU; math.Abs(got/want-1) > 1e-12 {
			t.Errorf("%s: mean %g, want %g", law, got, want)
		}
		var sums [3]float64
		const n = 400_000
		for i := range n {
			x := a.Quantile((float64(i) + 0.5) / n)
			sums[0], sums[1], sums[2] = sums[0]+x/n, sums[1]+x*x/n, sums[2]+x*x*x/n
		}
		for k, got := range []float64{a.Mean, a.Second, a.Third} {
			if want := sums[k]; math.Abs(got/want-1) > 0.004*float64(k+1) {
				t.Errorf("%s: moment %d is %g, by its quantiles %g", law, k+1, got, want)
			}
		}
		if a.Quantile(1e-9) < a.Least-1e-12 {
			t.Errorf("%s: a draw of %g is below the least, %g", law, a.Quantile(1e-9), a.Least)
		}
	}
}

// TestOutline shows every statement with what it says and where it stands.
func TestOutline(t *testing.T) {
	f, err := rdr.ParseFile("x.rdr", []byte(`request r {
  par {
    call app send 10B { cpu exp(2ms)  lock rows { disk write 4KiB sync }  fail 0.1  reply 1KiB }
    { wait 5ms }
  }
  choose { 0.25: { repeat 3 { call app { } } } 0.75: { retry 2 backoff 10ms { timeout 1s { } } } }
}`), rdr.StartRequest)
	if err != nil {
		t.Fatal(err)
	}
	r, _ := f.Request("r")
	steps := r.Outline()
	call := steps[0].Body[0]
	file, line, col := call.Position()
	inner := call.Block.Outline()
	choose := steps[1]
	for _, c := range []struct{ got, want any }{
		{len(steps), 2},
		{steps[0].Verb, rdr.VerbPar},
		{call.Verb, rdr.VerbCall},
		{call.Name, "app"},
		{call.Amount.Mean, 10.0},
		{fmt.Sprint(file, line, col), "x.rdr3 5"},
		{math.Round(1e9 * inner[0].Amount.SCV()), 1e9},
		{inner[1].Verb, rdr.VerbLock},
		{inner[1].Name, "rows"},
		{inner[1].Body[0].Sync, true},
		{inner[1].Body[0].Amount.Mean, 4096.0},
		{inner[2].P, 0.1},
		{inner[3].Verb, rdr.VerbReply},
		{steps[0].Body[1].Verb, rdr.VerbSeq},
		{steps[0].Body[1].Body[0].Amount.Least, 5e-3},
		{choose.Verb, rdr.VerbChoose},
		{choose.Arms[1].P, 0.75},
		{choose.Arms[0].Body[0].Amount.Mean, 3.0},
		{choose.Arms[1].Body[0].Count, 2},
		{choose.Arms[1].Body[0].Amount.Mean, 10e-3},
		{choose.Arms[1].Body[0].Body[0].Verb, rdr.VerbTimeout},
	} {
		if c.got != c.want {
			t.Errorf("got %v, want %v", c.got, c.want)
		}
	}
}
