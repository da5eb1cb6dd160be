package dsv_test

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/eve-emulation/eve/dsv"
)

// TestCountsOfAnyNumber checks that few samples, which are listed, and many, which are counted, make the same histogram as
// their parts: by Take again and again, by Hist in between, and added up.
func TestCountsOfAnyNumber(t *testing.T) {
	var again dsv.Counts
	for _, n := range []int{0, 1, 2, 1023, 1024, 1025, 3000, 7, 1024, 0, 1025} {
		t.Run(fmt.Sprint(n), func(t *testing.T) {
			draw := rand.New(rand.NewPCG(7, uint64(n)))
			var total dsv.Counts
			var parts []*dsv.Hist
			for range n {
				x := draw.ExpFloat64() * 0.01
				switch draw.IntN(50) {
				case 0:
					x = -x
				case 1:
					x *= 1e6
				}
				again.Add(x)
				var one dsv.Counts
				one.Add(x)
				h := one.Take()
				parts = append(parts, h)
				total.AddHist(h)
			}
			seen := again.Hist()
			got := again.Take()
			if uint64(n) != got.Count() || again.Count() != 0 {
				t.Errorf("%d samples and %d left, want %d and none", got.Count(), again.Count(), n)
			}
			for _, c := range []struct {
				how string
				h   *dsv.Hist
			}{{"in between", seen}, {"merged", dsv.MergeHists(parts...)}, {"added up", total.Hist()}} {
				if !bytes.Equal(encoded(t, c.h), encoded(t, got)) {
					t.Errorf("%s: %v, want %v", c.how, dsv.HistValue(c.h), dsv.HistValue(got))
				}
			}
		})
	}
}

func encoded(t *testing.T, h *dsv.Hist) []byte {
	t.Helper()
	b, err := h.AppendBinary(nil)
	if err != nil {
		t.Fatal(err)
	}
	return b
}
