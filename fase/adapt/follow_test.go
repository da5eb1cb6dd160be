package adapt_test

import (
	"testing"
	"time"

	"github.com/eve-emulation/eve/dmm/expr"
	"github.com/eve-emulation/eve/dsv"
	"github.com/eve-emulation/eve/fase/adapt"
)

func compiled(t testing.TB, text string) *expr.Program {
	t.Helper()
	p, err := expr.Compile(text, declaration)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// TestFollow keeps a variable at what an expression comes to: from the first settled measurement on, within its bounds, and
// only when it changes.
func TestFollow(t *testing.T) {
	for _, tt := range []struct {
		name, expr string
		init       float64
		bounds     adapt.Bounds
		want       []string
	}{
		{"as it is", "floor(10 * server_1.cpu.utilisation + 0.1)", 0, adapt.Bounds{}, []string{"200ms crowd.rate = 5", "1.2s crowd.rate = 6", "1.3s crowd.rate = 7"}},
		{"not what it begins with", "floor(10 * server_1.cpu.utilisation + 0.1)", 5, adapt.Bounds{}, []string{"1.2s crowd.rate = 6", "1.3s crowd.rate = 7"}},
		{"within bounds", "floor(10 * server_1.cpu.utilisation + 0.1)", 0, adapt.Bounds{Least: 5.5, Most: 6.5}, []string{"200ms crowd.rate = 5.5", "1.2s crowd.rate = 6", "1.3s crowd.rate = 6.5"}},
		{"whole", "server_1.cpu.utilisation", 0, adapt.Bounds{Whole: true}, []string{"200ms crowd.rate = 1"}},
		{"unknown throughout", "log(server_1.cpu.utilisation - 1)", 0, adapt.Bounds{}, nil},
		{"infinite", "exp(2000 * server_1.cpu.utilisation)", 0, adapt.Bounds{}, nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			b := openWith(t, adapt.Config{Topology: topology(), Follows: []adapt.Follow{{
				Var: "crowd.rate", Expr: compiled(t, tt.expr), Init: tt.init, Bounds: tt.bounds,
			}}})
			b.load(0, time.Second, 0.5)
			// The mean over 1 s rises with two tenths that are busier by 1, and stays.
			b.load(time.Second, 1200*time.Millisecond, 1.5)
			b.run(1300 * time.Millisecond)
			b.expect(tt.want...)
		})
	}
}

// TestSetFormula sets a variable to what an expression comes to when the rule fires.
func TestSetFormula(t *testing.T) {
	open := func(t *testing.T, bounds adapt.Bounds) *bench {
		r := rule(t, "r", busy, 0, 0, "set knob = knob / 2", "degrade app to lite")
		r.Do[0].Expr, r.Do[0].Bounds = compiled(t, r.Do[0].Formula), bounds
		return open(t, r)
	}
	t.Run("known", func(t *testing.T) {
		b := open(t, adapt.Bounds{})
		b.changed(0, dsv.Update{Name: "knob", Reading: dsv.Reading{Value: dsv.FloatValue(8)}})
		b.load(0, time.Second, 0.9)
		b.expect("200ms r: set knob = knob / 2: decided", "200ms knob = 4", "200ms r: set knob = knob / 2: done",
			"200ms r: degrade app to lite: decided", "200ms app e2 level=lite server_1=serving", "200ms r: degrade app to lite: done")
	})
	t.Run("bounded", func(t *testing.T) {
		b := open(t, adapt.Bounds{Least: 5, Most: 9})
		b.changed(0, dsv.Update{Name: "knob", Reading: dsv.Reading{Value: dsv.FloatValue(8)}})
		b.load(0, 300*time.Millisecond, 0.9)
		if b.log[1] != "200ms knob = 5" {
			t.Errorf("got %q, want the least, 5", b.log[1])
		}
	})
	t.Run("unknown", func(t *testing.T) {
		b := open(t, adapt.Bounds{})
		b.load(0, time.Second, 0.9)
		b.expect("200ms r: set knob = knob / 2: failed what it sets is unknown")
	})
}

func TestParseFormula(t *testing.T) {
	a, err := adapt.ParseAction(" set crowd.rate =  crowd.rate  / 2 ", topology())
	if want := "crowd.rate  / 2"; err != nil || a.Formula != want || a.Col != 20 || a.Var != "crowd.rate" {
		t.Errorf("got %+v, %v, want %q at column 20", a, err, want)
	}
	_, err = adapt.ParseAction("set knob =", topology())
	if want := "col 11: an expression is missing; write set VARIABLE = EXPRESSION"; err == nil || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
}
