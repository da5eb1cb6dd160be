package evekernel_test

import (
	"math"
	"testing"

	"github.com/eve-emulation/eve/dsv"
	"github.com/eve-emulation/eve/evekernel"
	"github.com/eve-emulation/eve/evekernel/wire"
)

// TestMuchCredit checks that a watch which is given more credit than there are numbers goes on.
func TestMuchCredit(t *testing.T) {
	k := open(t, evekernel.Config{})
	if err := k.Space().Create(t.Context(), dsv.Declaration{Name: "x", Kind: dsv.Int}); err != nil {
		t.Fatal(err)
	}
	p := dial(t, k, wire.Hello{})
	p.ask(wire.Req{ID: 1, Op: wire.OpWatch, Watch: 1, Pattern: "x", Mode: "all", Credit: math.MaxInt})
	p.ask(wire.Req{ID: 2, Op: wire.OpMore, Watch: 1, Credit: math.MaxInt})
	p.ask(wire.Req{ID: 3, Op: wire.OpMore, Watch: 1, Credit: 2})
	if _, err := k.Space().Write(t.Context(), "x", dsv.IntValue(1)); err != nil {
		t.Fatal(err)
	}
	if f := p.hear(); f.Upd == nil || f.Upd.Watch != 1 {
		t.Fatalf("heard %+v, want an update", f)
	}
}
