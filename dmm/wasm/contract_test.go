package wasm_test

import (
	"testing"
	"time"

	"github.com/eve-emulation/eve/dmm"
	"github.com/eve-emulation/eve/dmm/dmmtest"
	"github.com/eve-emulation/eve/dsv"
)

// Guests keep to the contract of all manipulators.
func TestContract(t *testing.T) {
	man, err := compile(t, "ewma").Manipulator("guest")
	if err != nil {
		t.Fatal(err)
	}
	above := 2.5
	for _, sync := range []dmm.Trigger{{}, {Every: 100 * time.Millisecond}, {Count: 7}, {Change: 0.5}, {Above: &above}} {
		dmmtest.Run(t, dmm.Spec{Name: "probe.x", Manipulator: "guest", Custom: man, Sync: sync})
	}
}

// A variable whose guest is detached goes on, and its owner is told, once.
func TestSpecIsTold(t *testing.T) {
	man, err := compile(t, "faults").Manipulator("guest")
	if err != nil {
		t.Fatal(err)
	}
	var told []string
	set, err := dmm.NewSet(1, 1, []dmm.Spec{{
		Name: "probe.x", Manipulator: "guest", Custom: man, Sync: dmm.Trigger{Every: 100 * time.Millisecond},
		OnFault: func(n dsv.Name, err error) { told = append(told, string(n)+": "+err.Error()) },
	}})
	if err != nil {
		t.Fatal(err)
	}
	v := set.Var("probe.x")
	for i, x := range []float64{0, 0, 3, 8, 9} { // 3: a loop without end
		v.Write(dsv.At(time.Duration(i+1)*60*time.Millisecond), x)
	}
	if len(told) != 0 {
		t.Errorf("a write told %q", told)
	}
	set.Close(dsv.At(time.Second))
	if len(told) != 1 || told[0] != "probe.x: call fold: took too many steps: at most 1000000" {
		t.Errorf("told %q", told)
	}
	ds := set.Take(nil)
	if len(ds) == 0 || ds[len(ds)-1].Value.Float != 9 {
		t.Errorf("got %+v, want 9 at the end", ds)
	}
}
