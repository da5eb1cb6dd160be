package modules_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/eve-emulation/eve/dsv"
	"github.com/eve-emulation/eve/evekernel"
	"github.com/eve-emulation/eve/evekernel/wire"
)

// TestList lists more variables than one answer takes.
func TestList(t *testing.T) {
	for _, coding := range []wire.Coding{wire.CBOR, wire.JSON} {
		t.Run(coding.String(), func(t *testing.T) {
			k, _ := open(t, evekernel.Config{})
			p := connect(t, linkTo(k, coding))
			var want []string
			for i := range 5000 {
				d := dsv.Declaration{Name: dsv.Name(fmt.Sprintf("load.n%04d", i)), Kind: dsv.Float, Unit: "s", Help: strings.Repeat("h", 100)}
				if err := k.Space().Create(t.Context(), d); err != nil {
					t.Fatal(err)
				}
				want = append(want, string(d.Name))
			}
			for _, c := range []struct {
				pattern string
				want    []string
			}{{"load.*", want}, {"load.n0042", want[42:43]}, {"store.*", nil}} {
				ds, err := p.List(t.Context(), c.pattern)
				var got []string
				for _, d := range ds {
					got = append(got, string(d.Name))
				}
				if err != nil || !slices.Equal(got, c.want) {
					t.Errorf("list %s: %d of %d (error %v)", c.pattern, len(got), len(c.want), err)
				}
			}
			if ds, err := p.List(t.Context(), "load.n0042"); err != nil || len(ds) != 1 || ds[0].Unit != "s" || ds[0].Kind != dsv.Float {
				t.Errorf("the declaration is %+v (error %v)", ds, err)
			}
			if _, err := p.List(t.Context(), "Load.*"); err == nil {
				t.Error("a pattern that is none is listed")
			}
		})
	}
}
