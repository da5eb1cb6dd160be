package recipe_test

import (
	"os"
	"strings"
	"testing"
	"time"

	"github.com/eve-emulation/eve/dmm"
	"github.com/eve-emulation/eve/dmm/recipe"
	"github.com/eve-emulation/eve/dsv"
)

// TestPublished has a participant make what was published, whatever it is and however long its name.
func TestPublished(t *testing.T) {
	guest, err := os.ReadFile("../wasm/testdata/ewma.wasm")
	if err != nil {
		t.Fatal(err)
	}
	long := dsv.Name("probe." + strings.Repeat("x", dsv.MaxName-len("probe.")))
	sync := dmm.Trigger{Every: time.Second}
	rs := map[dsv.Name]dmm.Recipe{
		"probe.a": {Name: "max", Sync: sync},
		"probe.b": {Expr: "0.9*shadow + 0.1*sample", Init: new(1.0), Sync: sync},
		"probe.c": {Wasm: guest, Sync: sync},
		long:      {Wasm: guest, Sync: sync},
	}
	space := dsv.NewStore(nil)
	for range 2 { // a kernel that is started again publishes again
		if err := recipe.Publish(t.Context(), space, rs); err != nil {
			t.Fatal(err)
		}
	}
	list, err := recipe.Published(t.Context(), space)
	if err != nil || len(list) != len(rs) {
		t.Fatalf("got %d recipes, %v, want %d", len(list), err, len(rs))
	}
	for n, r := range rs {
		m, ok, err := list.Make(t.Context(), space, n, nil)
		if err != nil || !ok {
			t.Errorf("%s: %v, %v", n, ok, err)
			continue
		}
		if m.Spec.Name != n || m.Spec.Sync != sync || m.Guest() != (r.Wasm != nil) {
			t.Errorf("%s: got %+v", n, m.Spec)
		}
		if err := m.Close(); err != nil {
			t.Error(err)
		}
	}
	if _, ok, err := list.Make(t.Context(), space, "probe.d", nil); ok || err != nil {
		t.Errorf("what was not published: %v, %v", ok, err)
	}
}
