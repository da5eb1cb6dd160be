package modules_test

import (
	"strings"
	"testing"

	"github.com/eve-emulation/eve/dmm"
	"github.com/eve-emulation/eve/dsv"
	"github.com/eve-emulation/eve/modules"
)

// TestRegistryManipulators takes manipulators along with kinds of modules, or alone.
func TestRegistryManipulators(t *testing.T) {
	good := dmm.Manipulator{Name: "mine", Kind: dsv.Float, Merge: dsv.Sum, New: func(dmm.Spec) dmm.Shadow { return &halves{} }}
	r, err := modules.NewRegistry(modules.Spec{Name: "extra", Manipulators: []dmm.Manipulator{good}})
	if err != nil {
		t.Fatal(err)
	}
	if got := r.Manipulators().Names(); len(got) != 1 || got[0] != "mine" || len(r.Specs()) != 0 {
		t.Errorf("got %v and %d kinds", got, len(r.Specs()))
	}
	if _, err := r.Lookup("extra"); err == nil {
		t.Error("a Spec without New is no kind of module")
	}
	for want, bad := range map[string]dmm.Manipulator{
		"there is one of that name":         {Name: "ewma", Kind: dsv.Float, New: good.New, OneWriter: true},
		"it makes no shadows":               {Name: "mine", Kind: dsv.Float, Merge: dsv.Sum},
		"does not hold for hist":            {Name: "mine", Kind: dsv.Histogram, Merge: dsv.Sum, New: good.New},
		"it has one writer":                 {Name: "mine", Kind: dsv.Float, Merge: dsv.Last, New: good.New},
		"register manipulator: name \"My\"": {Name: "My", Kind: dsv.Float, Merge: dsv.Sum, New: good.New},
	} {
		_, err := modules.NewRegistry(modules.Spec{Name: "extra", Manipulators: []dmm.Manipulator{bad}})
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got error %v, want %s", err, want)
		}
	}
}
