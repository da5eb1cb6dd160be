package adapt_test

import (
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
)

// script is a controller that says what a function says, and remembers what it saw.
type script struct {
	say  func(r *adapt.Reading) adapt.Answer
	seen []adapt.Reading
}

func (s *script) Step(r *adapt.Reading) adapt.Answer {
	saw := *r
	saw.Metrics, saw.Places = slices.Clone(r.Metrics), slices.Clone(r.Places)
	for i := range saw.Metrics {
		saw.Metrics[i].Each = slices.Clone(saw.Metrics[i].Each)
	}
	s.seen = append(s.seen, saw)
	return s.say(r)
}

const second = time.Second

func controlled(t testing.TB, s *script, change func(*adapt.Control)) *bench {
	c := adapt.Control{
		Name: "c", Kind: "test", New: func() adapt.Controller { return s }, Period: second,
		Metrics:  []adapt.Metric{{Text: "server_1.cpu.utilisation", Expr: compiled(t, "server_1.cpu.utilisation"), Target: 0.6}},
		Actuator: adapt.Actuator{Verb: adapt.Assign, Service: -1, Var: "knob", Bounds: adapt.Bounds{Least: 1, Most: 9}, Init: math.NaN()},
	}
	change(&c)
	return openWith(t, adapt.Config{Topology: topology(), Controls: []adapt.Control{c}})
}

func answers(xs ...float64) func(*adapt.Reading) adapt.Answer {
	return func(r *adapt.Reading) adapt.Answer {
		if int(r.N) < len(xs) {
			return adapt.Answer{Value: xs[r.N]}
		}
		return adapt.None()
	}
}

// TestControlSets writes a variable within its bounds where it changes, at the multiples of the period.
func TestControlSets(t *testing.T) {
	s := &script{say: answers(3, 3, math.NaN(), 100, math.Inf(1), math.Inf(-1), -5, math.Inf(1))}
	b := controlled(t, s, func(*adapt.Control) {})
	b.load(0, 8500*time.Millisecond, 0.7)
	b.expect("1s run.control.c = 3", "1s knob = 3", "4s run.control.c = 9", "4s knob = 9", "5s c: test: failed it came to no finite number",
		"7s run.control.c = 1", "7s knob = 1", "8s c: test: failed it came to no finite number")
	for i, r := range s.seen {
		if r.At != dsv.At(time.Duration(i+1)*second) || r.N != int64(i) {
			t.Errorf("step %d: got %d at %v, want it at second %d", i, r.N, r.At, i+1)
		}
		if got := r.Metrics[0]; math.Abs(got.Value-0.7) > 1e-9 || got.Target != 0.6 || got.Each != nil {
			t.Errorf("step %d: got %+v, want 0.7 toward 0.6", i, got)
		}
	}
	if got := []float64{s.seen[1].Value, s.seen[4].Value}; !slices.Equal(got, []float64{3, 9}) {
		t.Errorf("what stands: got %v, want 3 and 9", got)
	}
}

// TestControlSeesWhatStands: the value is that of the variable, whoever wrote it.
func TestControlSeesWhatStands(t *testing.T) {
	s := &script{say: func(r *adapt.Reading) adapt.Answer { return adapt.Answer{Value: r.Value + 1} }}
	b := controlled(t, s, func(c *adapt.Control) { c.Actuator.Init = 2 })
	b.run(second)
	b.changed(1500*time.Millisecond, dsv.Update{Name: "knob", Reading: dsv.Reading{Value: dsv.FloatValue(5)}})
	b.run(2 * second)
	b.expect("1s run.control.c = 3", "1s knob = 3", "2s run.control.c = 6", "2s knob = 6")
}

// TestControlDelay acts late, and counts what is under way as standing.
func TestControlDelay(t *testing.T) {
	s := &script{say: answers(3, 4, 4, 5)}
	b := controlled(t, s, func(c *adapt.Control) { c.Delay = 2300 * time.Millisecond })
	b.run(10 * second)
	b.expect("1s run.control.c = 3", "2s run.control.c = 4", "3.3s knob = 3", "4s run.control.c = 5", "4.3s knob = 4", "6.3s knob = 5")
	if got := s.seen[2].Value; got != 4 {
		t.Errorf("what stands at 3 s: got %v, want the 4 that were asked for", got)
	}
}

// TestControlNoise is keyed: the same seed sees the same, others others, and its errors are normal.
func TestControlNoise(t *testing.T) {
	run := func(seed uint64, name string) []float64 {
		s := &script{say: answers()}
		b := controlled(t, s, func(c *adapt.Control) { c.Seed, c.Name, c.Noise, c.Period = seed, name, 0.1, 100*time.Millisecond })
		b.load(0, 100*second, 0.5)
		var errs []float64
		for _, r := range s.seen[2:] {
			errs = append(errs, r.Metrics[0].Value/0.5-1)
		}
		return errs
	}
	a := run(1, "c")
	if !slices.Equal(a, run(1, "c")) {
		t.Error("the same seed saw something else")
	}
	if slices.Equal(a, run(2, "c")) || slices.Equal(a, run(1, "d")) {
		t.Error("another seed, or another name, saw the same")
	}
	var mean, squares float64
	for _, x := range a {
		mean += x / float64(len(a))
		squares += x * x / float64(len(a))
	}
	// Of about 1000 errors of 10 %: the mean within 4 × 0.1/√1000, the deviation within 4 × 0.1/√2000.
	if math.Abs(mean) > 0.0127 || math.Abs(math.Sqrt(squares)-0.1) > 0.009 {
		t.Errorf("got a mean of %v and a deviation of %v, want 0 and 0.1", mean, math.Sqrt(squares))
	}
}

// TestControlUnknown shows what is unknown as unknown.
func TestControlUnknown(t *testing.T) {
	s := &script{say: answers()}
	b := controlled(t, s, func(*adapt.Control) {})
	b.run(2 * second)
	b.expect()
	if got := s.seen[0].Metrics[0].Value; !math.IsNaN(got) {
		t.Errorf("got %v, want NaN", got)
	}
}

// TestControlWindow reads what names no window over that of the control.
func TestControlWindow(t *testing.T) {
	for window, want := range map[time.Duration]float64{0: 1, 4 * second: 0.5} {
		s := &script{say: answers()}
		b := controlled(t, s, func(c *adapt.Control) { c.Window, c.Period = window, 4050*time.Millisecond })
		b.load(0, 2*second, 0)
		b.load(2*second, 4100*time.Millisecond, 1)
		if got := s.seen[0].Metrics[0].Value; math.Abs(got-want) > 1e-9 {
			t.Errorf("window %v: got %v, want %v", window, got, want)
		}
	}
}

func scaling(c *adapt.Control) {
	c.Actuator = adapt.Actuator{Verb: adapt.Scale, Service: 1, Bounds: adapt.Bounds{Least: 1, Most: 3, Whole: true}, Init: math.NaN()}
}

// TestControlScales: what is asked for while an action is under way takes its place, and counts as what stands.
func TestControlScales(t *testing.T) {
	s := &script{say: answers(2, 3, 1, 3)}
	b := controlled(t, s, scaling)
	b.run(1500 * time.Millisecond)
	b.expect("1s run.control.c = 2", "1s c: scale app to 2: decided", "1s app e2 server_1=serving server_2=copying")
	b.run(4 * second)
	b.expect(
		"2s run.control.c = 3", "2s c: scale app to 3: decided", "2s c: scale app to 2: done scale app to 3 of c took its place",
		"2s app e3 server_1=serving server_2=copying cdn=copying",
		"3s run.control.c = 1", "3s c: scale app to 1: decided", "3s c: scale app to 3: done scale app to 1 of c took its place",
		"3s app e4 server_1=serving", "3s c: scale app to 1: done",
		"4s run.control.c = 3", "4s c: scale app to 3: decided", "4s app e5 server_1=serving server_2=copying",
		"4s app e6 server_1=serving server_2=copying cdn=copying",
	)
	stands := []float64{s.seen[0].Value, s.seen[1].Value, s.seen[2].Value, s.seen[3].Value}
	if want := []float64{1, 2, 3, 1}; !slices.Equal(stands, want) {
		t.Errorf("what stands: got %v, want %v", stands, want)
	}
	if got := b.all[0]; got.Rule != "c" || got.When != "test of server_1.cpu.utilisation toward 0.6" {
		t.Errorf("got %+v, want who decided and why", got)
	}
}

// TestControlEach reads a metric at each replica; who came lately is not ready.
func TestControlEach(t *testing.T) {
	s := &script{say: answers()}
	b := controlled(t, s, func(c *adapt.Control) {
		scaling(c)
		one := compiled(t, "server_1.cpu.utilisation")
		c.Metrics = []adapt.Metric{{Text: "it.cpu.utilisation", Target: 0.6, Each: []*expr.Program{one, compiled(t, "knob"), one}}}
		c.Window = 2 * second
	})
	b.changed(0, dsv.Update{Name: "knob", Reading: dsv.Reading{Value: dsv.FloatValue(0.3)}})
	b.load(0, 1500*time.Millisecond, 0.8)
	m := service.Mapping{Epoch: 7, At: dsv.At(1520 * time.Millisecond), Replicas: []service.Replica{
		{Server: "server_1", Weight: 1, State: service.Serving},
		{Server: "server_2", Weight: 1, State: service.Serving},
		{Server: "cdn", Weight: 1, State: service.Draining},
	}}
	b.mapping(1500*time.Millisecond, "app", m)
	b.load(1500*time.Millisecond, 4100*time.Millisecond, 0.8)
	for i, want := range []string{"0 0.8 true|0.8", "0 0.8 true 1 0.3 false|0.8", "0 0.8 true 1 0.3 false|0.8", "0 0.8 true 1 0.3 true|0.55"} {
		got := ""
		for _, e := range s.seen[i].Metrics[0].Each {
			got += fmt.Sprintf("%d %.4g %v ", e.Server, e.Value, e.Ready)
		}
		got = strings.TrimSpace(got) + fmt.Sprintf("|%.4g", s.seen[i].Metrics[0].Value)
		if got != want {
			t.Errorf("at second %d: got %s, want %s", i+1, got, want)
		}
	}
}

// TestControlEachIsReady once it has served for as long as its metric looks back, and while its server is up.
func TestControlEachIsReady(t *testing.T) {
	s := &script{say: answers()}
	b := controlled(t, s, func(c *adapt.Control) {
		scaling(c)
		c.Metrics = []adapt.Metric{{Text: "mean(it.cpu.utilisation, 2s)", Target: 0.6, Each: []*expr.Program{
			compiled(t, "mean(server_1.cpu.utilisation, 2s)"), compiled(t, "mean(server_1.cpu.utilisation, 2s)"),
		}}}
	})
	app := func(at time.Duration, epoch uint32) {
		b.mapping(at, "app", service.Mapping{Epoch: epoch, At: dsv.At(at), Replicas: []service.Replica{
			{Server: "server_1", Weight: 1, State: service.Serving}, {Server: "server_2", Weight: 1, State: service.Serving},
		}})
	}
	up := func(from, to time.Duration, x float64) {
		b.changed(to, dsv.Update{Name: "server_1.up", Delta: &dsv.Delta{T0: dsv.At(from), T1: dsv.At(to), Value: dsv.FloatValue(x), Weight: 1}})
	}
	b.load(0, 1500*time.Millisecond, 0.8)
	app(1500*time.Millisecond, 7)
	b.load(1500*time.Millisecond, 4500*time.Millisecond, 0.8)
	up(4400*time.Millisecond, 4500*time.Millisecond, 0)
	b.load(4500*time.Millisecond, 5500*time.Millisecond, 0)
	up(5400*time.Millisecond, 5500*time.Millisecond, 1)
	b.load(5500*time.Millisecond, 8100*time.Millisecond, 0.8)
	// At seconds 1 to 8, of server_1, which is down from 4.5 s to 5.5 s, and of server_2, which came at 1.5 s.
	for i, want := range []string{"true", "true false", "true false", "true true", "false true", "false true", "false true", "true true"} {
		var got []string
		for _, e := range s.seen[i].Metrics[0].Each {
			got = append(got, fmt.Sprint(e.Ready))
		}
		if got := strings.Join(got, " "); got != want {
			t.Errorf("at second %d: got %s, want %s", i+1, got, want)
		}
	}
}

// TestControlSetsFarm: the settings of a farm's other servers go with that of the first.
func TestControlSetsFarm(t *testing.T) {
	s := &script{say: answers(3, 3, 5)}
	b := controlled(t, s, func(c *adapt.Control) { c.Actuator.Also = []dsv.Name{"knob_2", "knob_3"} })
	b.run(1500 * time.Millisecond)
	b.changed(1500*time.Millisecond, dsv.Update{Name: "knob_3", Reading: dsv.Reading{Value: dsv.FloatValue(4)}})
	b.run(4 * second)
	b.expect("1s run.control.c = 3", "1s knob = 3", "1s knob_2 = 3", "1s knob_3 = 3", "2s knob_3 = 3",
		"3s run.control.c = 5", "3s knob = 5", "3s knob_2 = 5", "3s knob_3 = 5")
}

// TestControlLimits writes a limit into the mapping, without decisions.
func TestControlLimits(t *testing.T) {
	s := &script{say: answers(3, 3, 40)}
	b := controlled(t, s, func(c *adapt.Control) {
		c.Actuator = adapt.Actuator{Verb: adapt.Limit, Service: 1, Bounds: adapt.Bounds{Least: 1, Most: 20}, Init: math.NaN()}
	})
	b.run(4 * second)
	b.expect("1s run.control.c = 3", "1s app e2 server_1=serving", "3s run.control.c = 20", "3s app e3 server_1=serving")
	if got := b.last["app"].Limit; got != 20 {
		t.Errorf("got a limit of %v, want 20", got)
	}
	if got := []float64{s.seen[1].Value, s.seen[3].Value}; !slices.Equal(got, []float64{3, 20}) {
		t.Errorf("what stands: got %v, want 3 and 20", got)
	}
}

// TestControlLimitsFromTheStart: a first answer that is what Init says is written all the same, since no limit is there yet.
func TestControlLimitsFromTheStart(t *testing.T) {
	s := &script{say: answers(3, 3)}
	b := controlled(t, s, func(c *adapt.Control) {
		c.Actuator = adapt.Actuator{Verb: adapt.Limit, Service: 1, Bounds: adapt.Bounds{Least: 1, Most: 20}, Init: 3}
	})
	b.run(3 * second)
	b.expect("1s run.control.c = 3", "1s app e2 server_1=serving")
	if got := b.last["app"].Limit; got != 3 {
		t.Errorf("got a limit of %v, want 3", got)
	}
}

// TestControlDegrades brings a service to the level of a number.
func TestControlDegrades(t *testing.T) {
	s := &script{say: answers(1, 1, 0)}
	b := controlled(t, s, func(c *adapt.Control) {
		c.Actuator = adapt.Actuator{Verb: adapt.Degrade, Service: 1, Levels: []string{"full", "lite"}, Bounds: adapt.Bounds{Most: 1, Whole: true}, Init: math.NaN()}
	})
	b.run(4 * second)
	b.expect("1s run.control.c = 1", "1s c: degrade app to lite: decided", "1s app e2 level=lite server_1=serving", "1s c: degrade app to lite: done",
		"3s run.control.c = 0", "3s c: degrade app to full: decided", "3s app e3 level=full server_1=serving", "3s c: degrade app to full: done")
	if got := s.seen[1].Value; got != 1 {
		t.Errorf("what stands: got %v, want level 1", got)
	}
}

// TestControlMoves takes actions, and sees where services are.
func TestControlMoves(t *testing.T) {
	move, err := adapt.ParseAction("move app to server_2", topology())
	if err != nil {
		t.Fatal(err)
	}
	s := &script{say: func(r *adapt.Reading) adapt.Answer {
		a := adapt.None()
		if r.N == 1 {
			a.Actions, a.Why = []adapt.Action{move}, "it is better there"
		}
		return a
	}}
	b := controlled(t, s, func(c *adapt.Control) {
		c.Actuator = adapt.Actuator{Service: -1, Places: []int{1, 0}, Init: math.NaN()}
	})
	b.run(3 * second)
	b.expect("2s c: move app to server_2: decided", "2s app e2 server_1=serving server_2=copying")
	if got := [][]int{s.seen[0].Places, s.seen[2].Places}; !slices.Equal(got[0], []int{0, 0}) || !slices.Equal(got[1], []int{-1, 0}) {
		t.Errorf("where services are: got %v, want both on the first, and then one under way", got)
	}
	if !strings.HasSuffix(b.all[0].When, ": it is better there") {
		t.Errorf("got %q, want why", b.all[0].When)
	}
}

// TestControlEnds with the run.
func TestControlEnds(t *testing.T) {
	s := &script{say: answers(2, 3, 4, 5)}
	l := adapt.NewLoop(adapt.Config{Topology: topology(), End: dsv.At(2500 * time.Millisecond), Controls: []adapt.Control{{
		Name: "c", New: func() adapt.Controller { return s }, Period: second,
		Actuator: adapt.Actuator{Verb: adapt.Assign, Service: -1, Var: "knob", Init: math.NaN()},
	}}})
	for next := l.Next(); next != dsv.Never; next = l.Next() {
		l.Advance(next)
	}
	if len(s.seen) != 2 {
		t.Errorf("got %d steps, want those at 1 s and 2 s", len(s.seen))
	}
}
