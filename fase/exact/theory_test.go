package exact_test

import (
	"math"
	"testing"

	"github.com/eve-emulation/eve/fase/exact"
)

// Formulas against tabulated values, in mean demands.
func TestTheory(t *testing.T) {
	one := func(x float64, err error) float64 {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return x
	}
	cobham := func(i int, rhos ...float64) float64 {
		t.Helper()
		rs, err := exact.Cobham(rhos...)
		if err != nil {
			t.Fatal(err)
		}
		return rs[i]
	}
	for _, tt := range []struct {
		name      string
		got, want float64
	}{
		{"M/D/1 at 0.7", one(exact.MG1(0.7, 0)), 2.1667},
		{"M/H2/1 at 0.8, scv 4", one(exact.MG1(0.8, 4)), 11},
		{"M/M/1 at 0.9", one(exact.MMc(1, 0.9)), 10},
		{"M/M/2 at 0.7", one(exact.MMc(2, 0.7)), 1.9608},
		{"M/M/4 at 0.8", one(exact.MMc(4, 0.8)), 1.7455},
		{"M/M/8 at 0.9", one(exact.MMc(8, 0.9)), 1.8769},
		{"M/M/16 at 0.9", one(exact.MMc(16, 0.9)), 1.3696},
		{"Erlang B, 5 servers, 3 offered", exact.ErlangB(5, 3), 0.110054},
		{"fork-join at 0.7", one(exact.ForkJoin2(0.7)), 4.7083},
		{"tandem", one(exact.Tandem(0.7, 1, 0.8, 0.5)), 5.9207},
		{"two choices at 0.9", one(exact.Choices(2, 0.9)), 2.614},
		{"three choices at 0.7", one(exact.Choices(3, 0.7)), 1.3568},
		{"one choice", one(exact.Choices(1, 0.9)), 10},
		{"urgent class", cobham(0, 0.3, 0.4), 2},
		{"other class", cobham(1, 0.3, 0.4), 1 + 0.7/(0.7*0.3)},
	} {
		if math.Abs(tt.got-tt.want) > 2e-4*tt.want {
			t.Errorf("%s: got %.5f, want %.5f", tt.name, tt.got, tt.want)
		}
	}
	// What classes wait, weighted by their loads, is what they would wait first come, first served.
	waits := 0.3*(cobham(0, 0.3, 0.4)-1) + 0.4*(cobham(1, 0.3, 0.4)-1)
	if want := 0.7 * (one(exact.MMc(1, 0.7)) - 1); math.Abs(waits-want) > 1e-12 {
		t.Errorf("conservation law: got %.6f, want %.6f", waits, want)
	}
	for _, err := range []error{second(exact.MG1(1, 1)), second(exact.MMc(0, 0.5)), second(exact.Choices(0, 0.5)), second(exact.ForkJoin2(1.2)), second(exact.Tandem(1, 0.5, 1))} {
		if err == nil {
			t.Error("no steady load: got no error")
		}
	}
}

func second(_ float64, err error) error { return err }
