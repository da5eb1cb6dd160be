package spread_test

import (
	"os"
	"strings"
	"testing"
	"time"

	"github.com/eve-emulation/eve/dmm"
	"github.com/eve-emulation/eve/dmm/dmmtest"
	"github.com/eve-emulation/eve/modules/examples/spread"
)

func TestContract(t *testing.T) {
	m := spread.Spec.Manipulators[0]
	for _, sync := range []dmm.Trigger{{}, {Every: 100 * time.Millisecond}, {Count: 7}} {
		dmmtest.Run(t, dmm.Spec{Name: "probe.x", Manipulator: m.Name, Custom: &m, Sync: sync})
	}
}

func TestSpread(t *testing.T) {
	s := spread.Spec.Manipulators[0].New(dmm.Spec{})
	for _, tc := range []struct {
		samples []float64
		want    float64
	}{{[]float64{3, -1, 2}, 4}, {[]float64{7}, 0}, {[]float64{7, 9}, 2}} {
		for _, x := range tc.samples {
			s.Write(x, 1)
		}
		if v, weight := s.Take(); v.Float != tc.want || weight != float64(len(tc.samples)) {
			t.Errorf("%v: got %v of weight %v, want %v", tc.samples, v, weight, tc.want)
		}
	}
}

// The manual shows what is tested here.
func TestManual(t *testing.T) {
	doc, err := os.ReadFile("../../../docs/writing-manipulators.md")
	if err != nil {
		t.Fatal(err)
	}
	code, err := os.ReadFile("spread.go")
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(doc), "```go\n"+string(code)+"```\n") {
		t.Error("the manual's manipulator is not spread.go")
	}
}
