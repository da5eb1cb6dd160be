package adapt_test

import (
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/eve-emulation/eve/dmm/expr"
	"github.com/eve-emulation/eve/dsv"
	"github.com/eve-emulation/eve/fase/adapt"
	"github.com/eve-emulation/eve/fase/service"
	"github.com/eve-emulation/eve/fase/step"
)

// outside drives a Loop with one controller that the test answers for, and keeps its ticks and what it wrote.
type outside struct {
	t     *testing.T
	loop  *adapt.Loop
	ticks []adapt.Tick
	told  []adapt.Decision
	wrote []string // "knob=3"
}

// remote returns a Loop whose controller sets knob to 0 to 10 once a second.
func remote(t *testing.T, change func(*adapt.Control)) *outside {
	t.Helper()
	load, err := expr.Compile("server_1.cpu.utilisation", declaration)
	if err != nil {
		t.Fatal(err)
	}
	c := adapt.Control{
		Name: "steer", Kind: "program", Exec: []string{"steer"}, Period: time.Second,
		Metrics:  []adapt.Metric{{Name: "load", Text: "server_1.cpu.utilisation", Expr: load, Target: math.NaN()}},
		Actuator: adapt.Actuator{Verb: adapt.Assign, Service: -1, Var: "knob", Bounds: adapt.Bounds{Most: 10}, Places: []int{1}, Init: math.NaN()},
	}
	if change != nil {
		change(&c)
	}
	return &outside{t: t, loop: adapt.NewLoop(adapt.Config{Topology: topology(), Controls: []adapt.Control{c}, End: dsv.At(1000 * time.Second)})}
}

// until advances the Loop, and takes its effects.
func (o *outside) until(at time.Duration) {
	o.t.Helper()
	for o.collect(); o.loop.Next() <= dsv.At(at); o.collect() {
		o.loop.Advance(o.loop.Next())
	}
}

func (o *outside) collect() {
	o.t.Helper()
	for _, e := range slices.Clone(o.loop.Effects()) {
		if e.Kind == step.Tick {
			tick, ok := o.loop.Tick(e)
			if !ok {
				o.t.Fatal("a tick that is not the Loop's")
			}
			o.ticks = append(o.ticks, tick)
			continue
		}
		name, v := o.loop.Write(e.Ref)
		if name == adapt.DecisionsName {
			var d adapt.Decision
			if err := json.Unmarshal(v.Bytes, &d); err != nil {
				o.t.Fatal(err)
			}
			o.told = append(o.told, d)
		} else if name == "knob" {
			o.wrote = append(o.wrote, fmt.Sprintf("knob=%g", v.Float))
		}
	}
}

// answer answers the last tick at an instant.
func (o *outside) answer(at time.Duration, a adapt.Answer) {
	o.t.Helper()
	o.until(at)
	last := o.ticks[len(o.ticks)-1]
	o.loop.Answer(dsv.At(at), last.Control, last.N, a)
	o.collect()
}

// said are the phases and causes of the decisions so far.
func (o *outside) said() string {
	var all []string
	for _, d := range o.told {
		all = append(all, d.Phase+": "+d.Cause)
	}
	return strings.Join(all, "; ")
}

func value(x float64) adapt.Answer { return adapt.Answer{Value: x} }

func TestTicks(t *testing.T) {
	o := remote(t, nil)
	m := service.Mapping{Epoch: 1, Replicas: []service.Replica{
		{Server: "server_1", Weight: 1, State: service.Serving}, {Server: "cdn", Weight: 1, State: service.Draining},
	}}
	o.loop.Changed(0, dsv.Update{Name: service.MapName("app"), Reading: dsv.Reading{Value: dsv.TextValue(m.Encode())}})
	for at := 1100 * time.Millisecond; at <= 1900*time.Millisecond; at += 100 * time.Millisecond {
		o.until(at)
		d := dsv.Delta{Name: "server_1.cpu.utilisation", T0: dsv.At(at - 100*time.Millisecond), T1: dsv.At(at), Value: dsv.FloatValue(0.04), Weight: 0.1}
		o.loop.Changed(dsv.At(at), dsv.Update{Name: d.Name, Delta: &d})
	}
	if len(o.ticks) != 1 {
		t.Fatalf("before 2 s: got %d ticks, want 1", len(o.ticks))
	}
	o.answer(1900*time.Millisecond, value(3))
	o.until(2 * time.Second)
	if len(o.ticks) != 2 {
		t.Fatalf("at 2 s: got %d ticks, want 2", len(o.ticks))
	}
	first, second := o.ticks[0], o.ticks[1]
	if first.N != 0 || first.At != dsv.At(time.Second) || !math.IsNaN(first.Readings["load"]) || !math.IsNaN(first.Value) || first.Name != "steer" {
		t.Errorf("first tick: got %+v, want nothing known", first)
	}
	if second.N != 1 || math.Abs(second.Readings["load"]-0.4) > 1e-9 || second.Value != 3 || second.Replicas["app"] != 1 || len(second.Replicas) != 1 {
		t.Errorf("second tick: got %+v, want a load of 0.4, the value 3, one replica of app", second)
	}
	if got := strings.Join(o.wrote, " "); got != "knob=3" {
		t.Errorf("wrote %q, want knob=3", got)
	}
}

// What is answered after the bound counts for nothing. It is told once, and once more when that comes again.
func TestBound(t *testing.T) {
	for _, tt := range []struct {
		name   string
		bound  time.Duration
		answer time.Duration // after the tick of 1 s
		wrote  string
		ticks  int // by 4.5 s, when no other tick is answered
	}{
		{"at once", 0, 0, "knob=3", 4},
		{"in time", 0, 999 * time.Millisecond, "knob=3", 4},
		{"after the period", 0, time.Second, "", 4},
		{"after a bound", 200 * time.Millisecond, 200 * time.Millisecond, "", 4},
		{"within a bound", 200 * time.Millisecond, 199 * time.Millisecond, "knob=3", 4},
		{"within a bound beyond the period", 2500 * time.Millisecond, 2400 * time.Millisecond, "knob=3", 2},
		{"after a bound beyond the period", 2500 * time.Millisecond, 2500 * time.Millisecond, "", 2},
	} {
		t.Run(tt.name, func(t *testing.T) {
			o := remote(t, func(c *adapt.Control) { c.Bound = tt.bound })
			o.until(time.Second + tt.answer)
			o.loop.Answer(dsv.At(time.Second+tt.answer), 0, 0, value(3))
			o.until(4500 * time.Millisecond)
			if got := strings.Join(o.wrote, " "); got != tt.wrote {
				t.Errorf("wrote %q, want %q", got, tt.wrote)
			}
			if len(o.ticks) != tt.ticks {
				t.Errorf("ticks: got %d, want %d", len(o.ticks), tt.ticks)
			}
		})
	}
}

func TestSilence(t *testing.T) {
	o := remote(t, nil)
	o.until(5 * time.Second)
	if got, want := o.said(), "failed: no answer to tick 1 within 1s"; got != want {
		t.Errorf("silent for five ticks: got %q, want %q", got, want)
	}
	o.answer(5500*time.Millisecond, value(1))
	o.until(9 * time.Second)
	if got, want := o.said(), "failed: no answer to tick 1 within 1s; failed: no answer to tick 6 within 1s"; got != want {
		t.Errorf("silent again: got %q, want %q", got, want)
	}
}

// However often something goes wrong, the decisions stay few; the end is always told, and nothing comes after it.
func TestMishapsAreBounded(t *testing.T) {
	o := remote(t, nil)
	for i := range 1000 {
		o.loop.Refuse(dsv.At(time.Duration(i)*time.Millisecond), 0, "nonsense", false)
		o.collect()
	}
	o.loop.Refuse(dsv.At(time.Second), 0, "was killed", true)
	o.loop.Refuse(dsv.At(time.Second), 0, "nonsense", false)
	o.loop.Refuse(dsv.At(time.Second), 0, "was killed", true)
	o.until(10 * time.Second)
	if len(o.told) != 21 || !strings.Contains(o.told[19].Cause, "only its end is told") {
		t.Fatalf("decisions: got %d, %s, want 20 and the end", len(o.told), o.said())
	}
	if last := o.told[20]; last.Phase != adapt.Lost || last.Cause != "was killed" || last.Rule != "steer" {
		t.Errorf("the end: got %+v", last)
	}
	if len(o.ticks) > 1 {
		t.Errorf("after its end: got %d ticks", len(o.ticks))
	}
}

// One that ends while it is awaited is told once.
func TestEndsWhileAwaited(t *testing.T) {
	o := remote(t, nil)
	o.until(1500 * time.Millisecond)
	o.loop.Refuse(dsv.At(1500*time.Millisecond), 0, "was killed", true)
	o.until(10 * time.Second)
	if got, want := o.said(), "lost: was killed"; got != want {
		t.Errorf("decisions: got %q, want %q", got, want)
	}
	if len(o.ticks) != 1 {
		t.Errorf("ticks: got %d, want 1", len(o.ticks))
	}
}

// Answers that make no sense change nothing, and harm nobody.
func TestAbsurdAnswers(t *testing.T) {
	act := func(text string) adapt.Action {
		a, err := adapt.ParseAction(text, topology())
		if err != nil {
			t.Fatal(err)
		}
		return a
	}
	for _, tt := range []struct {
		name  string
		a     adapt.Answer
		wrote string
		said  string
	}{
		{"nothing", adapt.None(), "", ""},
		{"too much", value(99), "knob=10", ""},
		{"negative", value(-99), "knob=0", ""},
		{"infinite", value(math.Inf(1)), "", "failed: it came to no finite number"},
		{"a service that is not its own", adapt.Answer{Value: 3, Actions: []adapt.Action{act("degrade static to lite")}}, "", "failed: degrade static to lite: static is not among its services"},
		{"a variable", adapt.Answer{Value: math.NaN(), Actions: []adapt.Action{act("set knob 4")}}, "knob=4", "decided: ; done: "},
	} {
		t.Run(tt.name, func(t *testing.T) {
			o := remote(t, nil)
			o.answer(1500*time.Millisecond, tt.a)
			o.until(1600 * time.Millisecond)
			if got := strings.Join(o.wrote, " "); got != tt.wrote {
				t.Errorf("wrote %q, want %q", got, tt.wrote)
			}
			if got := o.said(); got != tt.said {
				t.Errorf("decisions: got %q, want %q", got, tt.said)
			}
			o.loop.Answer(dsv.At(1600*time.Millisecond), 0, 0, value(7)) // a second answer
			o.loop.Answer(dsv.At(1600*time.Millisecond), 0, 5, value(7)) // to a tick that was never told
			o.loop.Answer(dsv.At(1600*time.Millisecond), 9, 0, value(7)) // from nobody
			o.loop.Refuse(dsv.At(1600*time.Millisecond), -1, "nobody", true)
			o.until(1700 * time.Millisecond)
			if got := strings.Join(o.wrote, " "); got != tt.wrote {
				t.Errorf("after answers of nobody: wrote %q, want %q", got, tt.wrote)
			}
		})
	}
}
