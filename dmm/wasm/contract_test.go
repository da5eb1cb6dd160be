package wasm_test

import (
	"math"
	"testing"
	"time"

	"github.com/tetratelabs/wazero"

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

// A guest computes what it would without its steps being counted.
func TestCountingChangesNothing(t *testing.T) {
	ctx := t.Context()
	r := wazero.NewRuntimeWithConfig(ctx, wazero.NewRuntimeConfigInterpreter())
	defer func() {
		if err := r.Close(ctx); err != nil {
			t.Error(err)
		}
	}()
	for _, name := range []string{"ewma", "lastfour", "work", "faults"} {
		t.Run(name, func(t *testing.T) {
			plain, err := r.InstantiateWithConfig(ctx, guest(t, name), wazero.NewModuleConfig().WithName(name))
			if err != nil {
				t.Fatal(err)
			}
			fold := plain.ExportedFunction("fold")
			s := newShadow(t, compile(t, name))
			s.Write(0, 1)
			for i := range 200 {
				x := math.Floor(100 * math.Abs(math.Sin(float64(i))))
				if name == "faults" {
					x += 12 // what it does no harm for
				}
				before := s.Level()
				if i == 0 && name == "lastfour" { // it began with the sample 0
					if _, err := fold.Call(ctx, 0, math.Float64bits(0)); err != nil {
						t.Fatal(err)
					}
				}
				want, err := fold.Call(ctx, math.Float64bits(before), math.Float64bits(x))
				if err != nil {
					t.Fatal(err)
				}
				if s.Write(x, 1); math.Float64bits(s.Level()) != want[0] || s.Fault() != nil {
					t.Fatalf("fold(%v, %v): got %v, %v, want %v", before, x, s.Level(), s.Fault(), math.Float64frombits(want[0]))
				}
			}
		})
	}
}
