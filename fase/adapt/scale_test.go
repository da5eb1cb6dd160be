package adapt_test

import (
	"strings"
	"testing"
	"time"

	"github.com/eve-emulation/eve/dsv"
	"github.com/eve-emulation/eve/fase/adapt"
	"github.com/eve-emulation/eve/fase/service"
)

// farm is a topology of five servers, of which the last takes no service.
func farm() *service.Topology {
	return &service.Topology{Servers: []string{"s1", "s2", "s3", "s4", "target"}, Services: []string{"app"}}
}

// farmRule is a rule over a knob: scaling makes one for each wish.
func farmRule(t *testing.T, name, when string, do ...string) adapt.Rule {
	t.Helper()
	r := adapt.Rule{Name: name, When: compiled(t, when), WhenText: when}
	for _, text := range do {
		a, err := adapt.ParseAction(text, farm())
		if err != nil {
			t.Fatal(err)
		}
		if a.Formula != "" {
			a.Expr = compiled(t, a.Formula)
		}
		r.Do = append(r.Do, a)
	}
	return r
}

// openFarm has app on s2, with the candidates s2, s1, s3, s4.
func openFarm(t *testing.T, cfg adapt.Config) *bench {
	cfg.Topology, cfg.Servers = farm(), 4
	if cfg.Services == nil {
		cfg.Services = []service.Config{{Name: "app", On: []int{1}}}
	}
	b := &bench{t: t, loop: adapt.NewLoop(cfg), last: map[string]service.Mapping{}}
	b.mapping(0, "app", service.Mapping{Epoch: 1, Replicas: []service.Replica{{Server: "s2", Weight: 1, State: service.Serving}}})
	return b
}

// turn sets the knob, which rules see at the next evaluation from 50 ms later on.
func (b *bench) turn(at time.Duration, x float64) {
	b.changed(at, dsv.Update{Name: "knob", Reading: dsv.Reading{Value: dsv.FloatValue(x), T1: dsv.At(at)}})
}

// up tells in a delta of a tenth of a second whether a server was up.
func (b *bench) up(at time.Duration, server string, x float64) {
	b.delta(service.UpName(server), at, dsv.FloatValue(0.1*x), 0.1)
}

// TestScale goes up by copies that come one by one, and down from the end.
func TestScale(t *testing.T) {
	b := openFarm(t, adapt.Config{Rules: []adapt.Rule{farmRule(t, "r", "knob > 0", "scale app to = knob")}})
	b.turn(50*time.Millisecond, 3)
	b.run(100 * time.Millisecond)
	b.expect(
		"100ms r: scale app to = knob: decided",
		"100ms app e2 s2=serving s1=copying",
		"100ms app e3 s2=serving s1=copying s3=copying",
	)
	b.ack(time.Second, "s3.app.ready", 3)
	b.ack(time.Second, "s1.app.ready", 2)
	b.ack(2*time.Second, "s2.app.copied", 2)
	b.expect(
		"2s r: scale app to = knob: copied",
		"2s app e4 s2=serving s1=serving s3=copying",
		"2s r: scale app to = knob: switched",
	)
	b.ack(3*time.Second, "s2.app.copied", 3)
	b.expect(
		"3s r: scale app to = knob: copied",
		"3s app e5 s2=serving s1=serving s3=serving",
		"3s r: scale app to = knob: switched",
		"3s r: scale app to = knob: done",
	)
	b.turn(4*time.Second, 0)
	b.run(4200 * time.Millisecond)
	b.turn(5*time.Second, 1)
	b.run(5100 * time.Millisecond)
	b.ack(5200*time.Millisecond, "s1.app.drained", 6)
	b.run(5300 * time.Millisecond)
	b.expect(
		"5.1s r: scale app to = knob: decided",
		"5.1s app e6 s2=serving s1=draining s3=draining",
	)
	b.ack(5400*time.Millisecond, "s3.app.drained", 6)
	b.expect("5.4s app e7 s2=serving", "5.4s r: scale app to = knob: done")
}

// What a later scale asks for takes the place of an earlier one: what is still wanted goes on, what drains serves again.
func TestScaleTakesOver(t *testing.T) {
	b := openFarm(t, adapt.Config{Rules: []adapt.Rule{
		farmRule(t, "up", "knob > 0 and knob < 4", "scale app to 4"), farmRule(t, "less", "knob > 1 and knob < 4", "scale app to 2"),
		farmRule(t, "one", "knob > 2", "scale app to 1"), farmRule(t, "two", "knob > 3", "scale app to 2"),
	}})
	b.turn(50*time.Millisecond, 1)
	b.run(100 * time.Millisecond)
	b.log = nil
	b.ack(time.Second, "s1.app.ready", 2)
	b.turn(time.Second, 2)
	b.run(1100 * time.Millisecond)
	b.expect(
		"1.1s less: scale app to 2: decided",
		"1.1s up: scale app to 4: done scale app to 2 of less took its place",
		"1.1s app e5 s2=serving s1=copying",
	)
	b.ack(1200*time.Millisecond, "s2.app.copied", 2) // it goes on since epoch 2
	b.log = nil
	b.turn(2*time.Second, 3)
	b.run(2100 * time.Millisecond)
	b.expect("2.1s one: scale app to 1: decided", "2.1s app e7 s2=serving s1=draining")
	b.turn(3*time.Second, 4)
	b.run(3100 * time.Millisecond)
	b.expect(
		"3.1s two: scale app to 2: decided",
		"3.1s one: scale app to 1: done scale app to 2 of two took its place",
		"3.1s app e8 s2=serving s1=serving",
		"3.1s two: scale app to 2: done",
	)
}

// Bounds hold, whatever is asked for; a server that is down is passed over, and one that does not come is told.
func TestScaleBounds(t *testing.T) {
	for _, tc := range []struct {
		name     string
		services []service.Config
		knob     float64
		acks     func(b *bench)
		want     []string
	}{
		{"without candidates all servers, and one at least", nil, 9, nil, []string{
			"300ms app e2 s2=serving s1=copying", "300ms app e3 s2=serving s1=copying s3=copying",
			"300ms app e4 s2=serving s1=copying s3=copying s4=copying",
		}},
		{"at least one", nil, -3, nil, nil},
		{"at most", []service.Config{{On: []int{1}, Candidates: []int{1, 3, 0}, Least: 1, Most: 2}}, 9, nil, []string{
			"300ms app e2 s2=serving s4=copying",
		}},
		{"down to none", []service.Config{{On: []int{1}, Candidates: []int{1, 3, 0}, Least: 0, Most: 2}}, -1, nil, []string{
			"300ms app e2 s2=draining",
		}},
		{"one is down", nil, 2, func(b *bench) { b.up(100*time.Millisecond, "s1", 1); b.up(200*time.Millisecond, "s1", 0) }, []string{
			"300ms app e2 s2=serving s3=copying",
		}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			b := openFarm(t, adapt.Config{Services: tc.services, Rules: []adapt.Rule{farmRule(t, "r", "knob != 0", "scale app to = knob")}})
			if tc.acks != nil {
				tc.acks(b)
			}
			b.turn(210*time.Millisecond, tc.knob)
			b.run(400 * time.Millisecond)
			var got []string
			for _, line := range b.log {
				if strings.Contains(line, " app e") {
					got = append(got, line)
				}
			}
			if strings.Join(got, "|") != strings.Join(tc.want, "|") {
				t.Errorf("got %q, want %q", got, tc.want)
			}
		})
	}
}

// From none a service comes up without a copy, since nobody could send one.
func TestScaleFromNone(t *testing.T) {
	cfg := adapt.Config{
		Services: []service.Config{{Candidates: []int{2, 3}, Most: 2}}, Rules: []adapt.Rule{farmRule(t, "r", "knob > 0", "scale app to 2")},
	}
	b := openFarm(t, cfg)
	b.mapping(0, "app", service.Mapping{Epoch: 5})
	b.turn(50*time.Millisecond, 1)
	b.run(100 * time.Millisecond)
	b.ack(time.Second, "s4.app.ready", 7)
	b.ack(2*time.Second, "s3.app.ready", 6)
	b.expect(
		"100ms r: scale app to 2: decided",
		"100ms app e6 s3=copying",
		"100ms app e7 s3=copying s4=copying",
		"1s r: scale app to 2: copied",
		"1s app e8 s3=copying s4=serving",
		"1s r: scale app to 2: switched",
		"2s r: scale app to 2: copied",
		"2s app e9 s3=serving s4=serving",
		"2s r: scale app to 2: switched",
		"2s r: scale app to 2: done",
	)
}

// TestAlter changes limits, pauses and levels at once, also while replicas move, whose acknowledgements stay valid.
func TestAlter(t *testing.T) {
	b := openFarm(t, adapt.Config{Rules: []adapt.Rule{
		farmRule(t, "go", "knob > 0", "replicate app to s3"), farmRule(t, "r", "knob > 1", "limit app 80/s", "pause app", "pause app", "degrade app to lite"),
		farmRule(t, "q", "knob > 2", "limit app = knob * 10", "resume app", "limit app none", "limit app none"),
	}})
	b.turn(50*time.Millisecond, 1)
	b.run(100 * time.Millisecond)
	b.log = nil
	b.turn(time.Second, 2)
	b.run(1100 * time.Millisecond)
	if m := b.last["app"]; m.Limit != 80 || !m.Paused || m.Level != "lite" || m.Epoch != 5 || m.Replicas[1].Since != 2 || m.Replicas[0].Since != 1 {
		t.Errorf("got %+v", m)
	}
	b.log = nil
	b.turn(2*time.Second, 3)
	b.run(2100 * time.Millisecond)
	b.expect(
		"2.1s q: limit app = knob * 10: decided", "2.1s app e6 level=lite s2=serving s3=copying", "2.1s q: limit app = knob * 10: done",
		"2.1s q: resume app: decided", "2.1s app e7 level=lite s2=serving s3=copying", "2.1s q: resume app: done",
		"2.1s q: limit app none: decided", "2.1s app e8 level=lite s2=serving s3=copying", "2.1s q: limit app none: done",
	)
	if m := b.last["app"]; m.Limit != 0 || m.Paused {
		t.Errorf("got %+v", m)
	}
	b.ack(3*time.Second, "s3.app.ready", 2)
	b.ack(3*time.Second, "s2.app.copied", 2)
	b.expect(
		"3s go: replicate app to s3: copied", "3s app e9 level=lite s2=serving s3=serving", "3s go: replicate app to s3: switched",
		"3s go: replicate app to s3: done",
	)
}

// TestDead refuses actions on servers that are down, and gives up what waits for one that goes down.
func TestDead(t *testing.T) {
	for _, tc := range []struct {
		name, do string
		standby  []int
		before   func(b *bench) // before 100 ms
		after    func(b *bench) // from 1 s on
		want     string         // the cause of the failure
	}{
		{"target", "move app to s3", nil, func(b *bench) { b.up(90*time.Millisecond, "s3", 0) }, nil, "s3 is down"},
		{"source", "move app to s3", nil, func(b *bench) { b.up(90*time.Millisecond, "s2", 0) }, nil, "s2, which would send the copy, is down"},
		{"partly up", "move app to s3", nil, func(b *bench) { b.up(90*time.Millisecond, "s3", 0.5) }, nil, ""},
		{"standby is no failure", "move app to s3", []int{2}, func(b *bench) { b.up(90*time.Millisecond, "s3", 0) }, nil, ""},
		{"target meanwhile", "replicate app to s3", nil, nil, func(b *bench) { b.up(1100*time.Millisecond, "s3", 0) }, "s3 is down"},
		{"source meanwhile", "replicate app to s3", nil, nil, func(b *bench) { b.up(1100*time.Millisecond, "s2", 0) }, "s2 went down before app was copied"},
		{
			"standby that had booted", "replicate app to s3",
			[]int{2},
			func(b *bench) { b.up(90*time.Millisecond, "s3", 0) },
			func(b *bench) { b.up(1100*time.Millisecond, "s3", 1); b.up(1200*time.Millisecond, "s3", 0) }, "s3 is down",
		},
	} {
		t.Run(tc.name, func(t *testing.T) {
			b := openFarm(t, adapt.Config{Standby: tc.standby, Rules: []adapt.Rule{farmRule(t, "r", "knob > 0", tc.do)}})
			b.turn(50*time.Millisecond, 1)
			if tc.before != nil {
				tc.before(b)
			}
			b.run(time.Second)
			if tc.after != nil {
				tc.after(b)
			}
			b.run(2 * time.Second)
			last := b.all[len(b.all)-1]
			if last.Cause != tc.want || (last.Phase == "failed") != (tc.want != "") {
				t.Errorf("got %+v, want %q", last, tc.want)
			}
			if m := b.last["app"]; tc.want != "" && (len(m.Replicas) != 1 || m.Replicas[0].State != service.Serving) {
				t.Errorf("got mapping %+v", m)
			}
		})
	}
}

// TestFlapping tells two rules that undo each other, once, and not those that take turns at leisure or that do not undo.
func TestFlapping(t *testing.T) {
	for _, tc := range []struct {
		name   string
		do     [2]string
		period time.Duration
		want   int
	}{
		{"fast", [2]string{"limit app 10/s", "limit app none"}, time.Second, 1},
		{"set", [2]string{"set crowd.rate 10/s", "set crowd.rate 20/s"}, time.Second, 1},
		{"at leisure", [2]string{"limit app 10/s", "limit app none"}, 30 * time.Second, 0},
		{"on different things", [2]string{"limit app 10/s", "degrade app to lite"}, time.Second, 0},
	} {
		t.Run(tc.name, func(t *testing.T) {
			b := openFarm(t, adapt.Config{Rules: []adapt.Rule{farmRule(t, "a", "knob > 0", tc.do[0]), farmRule(t, "b", "knob < 0", tc.do[1])}})
			for i := range 12 {
				b.turn(time.Duration(i)*tc.period, float64(1-i%2*2))
			}
			b.run(12 * tc.period)
			var told []string
			for _, d := range b.all {
				if d.Phase == adapt.Flapping {
					told = append(told, d.Cause)
				}
			}
			if len(told) != tc.want {
				t.Fatalf("got %d times: %q, want %d", len(told), told, tc.want)
			}
			for _, part := range []string{"undo each other: 4 decisions on ", " in 3s", "`cooldown: 6s`"} {
				if tc.want > 0 && !strings.Contains(told[0], part) {
					t.Errorf("got %q, want it to hold %q", told[0], part)
				}
			}
		})
	}
}

// TestCooldownIsAPause holds a rule back whose condition goes and comes.
func TestCooldownIsAPause(t *testing.T) {
	r := farmRule(t, "r", "knob > 0", "limit app = knob")
	r.Cooldown = 5 * time.Second
	b := openFarm(t, adapt.Config{Rules: []adapt.Rule{r}})
	for i := range 24 {
		x := float64(i + 1)
		if i%2 == 1 {
			x = 0
		}
		b.turn(time.Duration(i)*500*time.Millisecond, x)
	}
	b.run(13 * time.Second)
	var got []string
	for _, d := range b.all {
		if d.Phase == "decided" {
			got = append(got, d.At.Sub(0).String())
		}
	}
	if want := "100ms 5.1s 10.1s"; strings.Join(got, " ") != want {
		t.Errorf("got %v, want %s", got, want)
	}
}

// TestLivingSource takes a copy from the first replica whose server is up, and says so in the mapping.
func TestLivingSource(t *testing.T) {
	b := openFarm(t, adapt.Config{Rules: []adapt.Rule{farmRule(t, "r", "knob > 0", "replicate app to s3")}})
	b.mapping(0, "app", service.Mapping{Epoch: 2, Replicas: []service.Replica{
		{Server: "s2", Weight: 1, State: service.Serving}, {Server: "s1", Weight: 1, State: service.Serving},
	}})
	b.turn(50*time.Millisecond, 1)
	b.up(90*time.Millisecond, "s2", 0)
	b.run(100 * time.Millisecond)
	b.expect("100ms r: replicate app to s3: decided", "100ms app e3 s2=serving s1=serving s3=copying")
	if got := b.last["app"].Replicas[2].Source; got != "s1" {
		t.Errorf("source of the copy: got %q, want s1", got)
	}
	b.ack(time.Second, "s3.app.ready", 3)
	b.ack(2*time.Second, "s2.app.copied", 3) // it is not asked
	b.expect()
	b.ack(3*time.Second, "s1.app.copied", 3)
	b.expect(
		"3s r: replicate app to s3: copied",
		"3s app e4 s2=serving s1=serving s3=serving",
		"3s r: replicate app to s3: switched",
		"3s r: replicate app to s3: done",
	)
	if got := b.last["app"].Replicas[2].Source; got != "" {
		t.Errorf("source of a copy that is there: got %q, want none", got)
	}
}
