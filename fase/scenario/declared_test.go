package scenario_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/eve-emulation/eve/dmm/expr"
	"github.com/eve-emulation/eve/dsv"
	"github.com/eve-emulation/eve/fase/scenario"
)

// gateConfig knows its variables, and what is wrong with it.
type gateConfig struct {
	Width int `json:"width"`
}

func (c *gateConfig) Check() error {
	if c.Width < 1 {
		return errors.New("width: want at least 1")
	}
	return nil
}

func (c *gateConfig) Variables() []dsv.Declaration {
	return []dsv.Declaration{{Name: "wait", Kind: dsv.Histogram, Unit: "s"}, {Name: "passed", Kind: dsv.Float, Unit: "1"}}
}

const gated = `eve: 1
duration: 1s
modules:
  gate: {kind: gate}
  many: {kind: gate, count: 2, config: {width: 2}}
expect:
  - p99(gate.wait) < 10ms and gate.passed > 3
  - p50(many_2.wait) < 10ms
`

func gates() scenario.Options {
	return scenario.Options{Kinds: map[string]any{"gate": &gateConfig{Width: 3}}}
}

// Conditions know what a module declares, here and in the processes that fetch the scenario.
func TestDeclared(t *testing.T) {
	p := load(t, gated, gates())
	store := dsv.NewStore(nil)
	if err := scenario.Publish(t.Context(), store, p); err != nil {
		t.Fatal(err)
	}
	q, err := scenario.Fetch(t.Context(), store)
	if err != nil {
		t.Fatal(render(err))
	}
	for _, plan := range []*scenario.Plan{p, q} {
		if len(plan.Expect) != 2 || plan.Expect[0].Program == (*expr.Program)(nil) {
			t.Errorf("conditions: got %+v", plan.Expect)
		}
	}
}

func TestDeclaredMistakes(t *testing.T) {
	for _, tt := range []struct{ from, to, want string }{
		{"p50(many_2.wait)", "p50(many_2.passed)", "8:5: "},
		{"p50(many_2.wait)", "p50(many_3.wait)", `many_3.wait`},
		{"gate.passed", "gate.pased", `gate.passed`},
		{"width: 2", "width: 0", "5:40: "},
		{"width: 2", "width: 0", "width: want at least 1"},
		{"{kind: gate}", "{kind: gate, config: {width: -1}}", "4:30: "},
	} {
		_, err := scenario.Load("x.yaml", []byte(strings.Replace(gated, tt.from, tt.to, 1)), gates())
		var list scenario.Errors
		if !errors.As(err, &list) || !strings.Contains(strings.Join(told(list), "\n"), tt.want) {
			t.Errorf("%s: got %v, want %s", tt.to, err, tt.want)
		}
	}
	// What measure says of a variable comes first.
	if _, err := scenario.Load("x.yaml", []byte(gated+"measure:\n  gate.wait: {dmm: mean}\n"), gates()); err == nil {
		t.Error("the quantile of a mean: got no error")
	}
}
