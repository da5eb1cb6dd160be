package adapt_test

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/eve-emulation/eve/dmm/expr"
	"github.com/eve-emulation/eve/dsv"
	"github.com/eve-emulation/eve/fase/adapt"
	"github.com/eve-emulation/eve/fase/machine"
	"github.com/eve-emulation/eve/fase/service"
	"github.com/eve-emulation/eve/fase/step"
)

var _ step.Core = (*adapt.Loop)(nil)

func topology() *service.Topology {
	return &service.Topology{Servers: []string{"server_1", "server_2", "cdn"}, Services: []string{"static", "app"}}
}

func declaration(n dsv.Name) (dsv.Declaration, bool) {
	switch n {
	case "server_1.cpu.utilisation":
		return dsv.Declaration{Name: n, Kind: dsv.Float, Merge: dsv.Mean, Unit: "1"}, true
	case "static.latency":
		return dsv.Declaration{Name: n, Kind: dsv.Histogram, Merge: dsv.Hists, Unit: "s"}, true
	case "crowd.requests":
		return dsv.Declaration{Name: n, Kind: dsv.Int, Merge: dsv.Sum, Unit: "1"}, true
	case "knob", "crowd.rate":
		return dsv.Declaration{Name: n, Kind: dsv.Float, Merge: dsv.Last}, true
	case "mode":
		return dsv.Declaration{Name: n, Kind: dsv.Text, Merge: dsv.Last}, true
	}
	return dsv.Declaration{}, false
}

// rule makes a rule that has a name of its own, a condition and actions.
func rule(t testing.TB, name, when string, hold, cooldown time.Duration, do ...string) adapt.Rule {
	t.Helper()
	p, err := expr.Compile(when, declaration)
	if err != nil {
		t.Fatal(err)
	}
	r := adapt.Rule{Name: name, When: p, WhenText: when, For: hold, Cooldown: cooldown}
	for _, text := range do {
		a, err := adapt.ParseAction(text, topology())
		if err != nil {
			t.Fatal(err)
		}
		r.Do = append(r.Do, a)
	}
	return r
}

// bench drives a Loop by hand and logs what it writes.
type bench struct {
	t    testing.TB
	loop *adapt.Loop
	log  []string
	last map[string]service.Mapping
	all  []adapt.Decision
}

func open(t testing.TB, rules ...adapt.Rule) *bench {
	return openWith(t, adapt.Config{Topology: topology(), Rules: rules})
}

func openWith(t testing.TB, cfg adapt.Config) *bench {
	b := &bench{t: t, loop: adapt.NewLoop(cfg), last: map[string]service.Mapping{}}
	b.mapping(0, "static", service.Mapping{Epoch: 1, Replicas: []service.Replica{{Server: "server_1", Weight: 1, State: service.Serving}}})
	b.mapping(0, "app", service.Mapping{Epoch: 1, Replicas: []service.Replica{{Server: "server_1", Weight: 1, State: service.Serving}}})
	return b
}

func (b *bench) mapping(at time.Duration, svc string, m service.Mapping) {
	b.last[svc] = m
	b.changed(at, dsv.Update{Name: service.MapName(svc), Reading: dsv.Reading{Value: dsv.TextValue(m.Encode())}})
}

func (b *bench) changed(at time.Duration, u dsv.Update) {
	b.until(at)
	b.loop.Changed(dsv.At(at), u)
	b.collect()
}

// delta tells of a delta that ended at t1, right then.
func (b *bench) delta(n dsv.Name, t1 time.Duration, v dsv.Value, weight float64) {
	b.late(n, t1, t1, v, weight)
}

// late tells of a delta that ended at t1 later, at an instant.
func (b *bench) late(n dsv.Name, at, t1 time.Duration, v dsv.Value, weight float64) {
	d := dsv.Delta{Name: n, T0: dsv.At(t1 - 100*time.Millisecond), T1: dsv.At(t1), Value: v, Weight: weight}
	b.changed(at, dsv.Update{Name: n, Delta: &d, Reading: dsv.Reading{Value: v, Weight: weight, T1: d.T1}})
}

// load tells of a utilisation in each tenth of a second of (from, to].
func (b *bench) load(from, to time.Duration, x float64) {
	for t := from + 100*time.Millisecond; t <= to; t += 100 * time.Millisecond {
		b.delta("server_1.cpu.utilisation", t, dsv.FloatValue(0.1*x), 0.1)
	}
}

// ack tells of an acknowledgement.
func (b *bench) ack(at time.Duration, n dsv.Name, epoch float64) {
	b.changed(at, dsv.Update{Name: n, Reading: dsv.Reading{Value: dsv.FloatValue(epoch), T1: dsv.At(at)}})
}

// until advances the loop through all that is due before an instant.
func (b *bench) until(to time.Duration) {
	for next := b.loop.Next(); next < dsv.At(to); next = b.loop.Next() {
		b.loop.Advance(next)
		b.collect()
		if b.loop.Next() == next {
			b.t.Fatalf("stuck at %v", time.Duration(next))
		}
	}
}

// run advances the loop through all that is due until an instant, inclusive.
func (b *bench) run(to time.Duration) { b.until(to + 1) }

func (b *bench) collect() {
	b.t.Helper()
	for _, e := range slices.Clone(b.loop.Effects()) {
		if e.Kind != step.Set || e.Node != -1 {
			b.t.Errorf("unexpected effect %+v", e)
		}
		n, v := b.loop.Write(e.Ref)
		at := time.Duration(e.At).String()
		switch {
		case n == adapt.DecisionsName:
			var d adapt.Decision
			if err := json.Unmarshal(v.Bytes, &d); err != nil || d.At != e.At {
				b.t.Errorf("decision %s at %v: %v", v.Bytes, e.At, err)
			}
			b.all = append(b.all, d)
			b.log = append(b.log, strings.TrimRight(fmt.Sprintf("%s %s: %s: %s %s", at, d.Rule, d.Action, d.Phase, d.Cause), " "))
		case strings.HasPrefix(string(n), "map."):
			m, err := service.ParseMapping(v.Text)
			svc := strings.TrimPrefix(string(n), "map.")
			if old := b.last[svc]; err != nil || m.Epoch != old.Epoch+1 || m.At != e.At.Add(adapt.Notice) {
				b.t.Errorf("mapping %s after epoch %d at %v: %v", v.Text, old.Epoch, e.At, err)
			}
			b.last[svc] = m
			b.log = append(b.log, at+" "+show(svc, m))
		default:
			b.log = append(b.log, fmt.Sprintf("%s %s = %v", at, n, v))
		}
	}
}

func show(svc string, m service.Mapping) string {
	parts := []string{fmt.Sprintf("%s e%d", svc, m.Epoch)}
	if m.Level != "" {
		parts = append(parts, "level="+m.Level)
	}
	for _, r := range m.Replicas {
		parts = append(parts, strings.TrimSuffix(fmt.Sprintf("%s=%s@%s", r.Server, r.State, r.Address), "@"))
	}
	return strings.Join(parts, " ")
}

// expect compares what was written since the last call.
func (b *bench) expect(want ...string) {
	b.t.Helper()
	if got := b.log; !slices.Equal(got, want) {
		b.t.Errorf("got\n\t%s\nwant\n\t%s", strings.Join(got, "\n\t"), strings.Join(want, "\n\t"))
	}
	b.log = nil
}

const busy = "server_1.cpu.utilisation > 0.85"

func TestNoRules(t *testing.T) {
	b := open(t)
	if got := b.loop.Next(); got != dsv.Never {
		t.Errorf("Next: got %v, want never", got)
	}
	if got := b.loop.Watches(); len(got) != 0 {
		t.Errorf("Watches: got %v", got)
	}
}

func TestMove(t *testing.T) {
	b := open(t, rule(t, "offload", busy, 0, 0, "move static to cdn"))
	b.load(0, 300*time.Millisecond, 0.9)
	// What ended at 0.1 s is used 0.1 s later, at the first evaluation that is at least 50 ms after.
	b.expect("200ms offload: move static to cdn: decided", "200ms static e2 server_1=serving cdn=copying")
	b.ack(1*time.Second, "cdn.static.ready", 2)
	b.ack(2*time.Second, "server_1.static.copied", 1)
	b.run(2500 * time.Millisecond)
	b.expect()
	b.ack(2512*time.Millisecond, "server_1.static.copied", 2)
	b.expect(
		"2.512s offload: move static to cdn: copied",
		"2.512s static e3 server_1=draining cdn=serving",
		"2.512s offload: move static to cdn: switched",
	)
	b.ack(3*time.Second, "server_1.static.drained", 2)
	b.ack(3*time.Second, "cdn.static.drained", 3)
	b.run(3200 * time.Millisecond)
	b.expect()
	b.ack(3200*time.Millisecond, "server_1.static.drained", 3)
	b.expect("3.2s static e4 cdn=serving", "3.2s offload: move static to cdn: done")
	b.load(3200*time.Millisecond, 8*time.Second, 0.95)
	b.expect() // it is there already
	d := b.all[0]
	if got, ok := d.Reading["server_1.cpu.utilisation"]; !ok || got != 0.9 || d.When != busy {
		t.Errorf("got reading %v of %q", d.Reading, d.When)
	}
}

func TestMoveStopped(t *testing.T) {
	b := open(t, rule(t, "r", busy, 0, 0, "move app to server_2 stopped"))
	b.mapping(0, "app", service.Mapping{Epoch: 7, Replicas: []service.Replica{
		{Server: "server_1", Weight: 1, State: service.Serving}, {Server: "cdn", Weight: 1, State: service.Serving},
	}})
	b.load(0, 300*time.Millisecond, 0.9)
	b.ack(time.Second, "server_1.app.copied", 8)
	b.ack(time.Second, "server_2.app.ready", 8)
	b.ack(2*time.Second, "server_1.app.drained", 9)
	b.run(2100 * time.Millisecond)
	b.ack(2200*time.Millisecond, "cdn.app.drained", 9)
	b.expect(
		"200ms r: move app to server_2 stopped: decided",
		"200ms app e8 server_1=stopped cdn=stopped server_2=copying",
		"1s r: move app to server_2 stopped: copied",
		"1s app e9 server_1=draining cdn=draining server_2=serving",
		"1s r: move app to server_2 stopped: switched",
		"2.2s app e10 server_2=serving",
		"2.2s r: move app to server_2 stopped: done",
	)
}

func TestReplicateRetireDegradeSet(t *testing.T) {
	b := open(t, rule(t, "r", busy, 0, 0, "replicate app to cdn", "degrade app to lite", "set crowd.rate 80/s", "retire app from server_1"))
	b.load(0, 200*time.Millisecond, 0.9)
	b.run(200 * time.Millisecond)
	b.expect("200ms r: replicate app to cdn: decided", "200ms app e2 server_1=serving cdn=copying")
	b.ack(time.Second, "cdn.app.ready", 2)
	b.ack(time.Second, "server_1.app.copied", 2)
	b.expect(
		"1s r: replicate app to cdn: copied",
		"1s app e3 server_1=serving cdn=serving",
		"1s r: replicate app to cdn: switched",
		"1s r: replicate app to cdn: done",
		"1s r: degrade app to lite: decided",
		"1s app e4 level=lite server_1=serving cdn=serving",
		"1s r: degrade app to lite: done",
		"1s r: set crowd.rate 80/s: decided",
		"1s crowd.rate = 80",
		"1s r: set crowd.rate 80/s: done",
		"1s r: retire app from server_1: decided",
		"1s app e5 level=lite server_1=draining cdn=serving",
		"1s r: retire app from server_1: switched",
	)
	b.ack(1500*time.Millisecond, "server_1.app.drained", 5)
	b.expect("1.5s app e6 level=lite cdn=serving", "1.5s r: retire app from server_1: done")
	for _, d := range b.all {
		if first := d.Phase == "decided"; first != (len(d.Reading) == 1) || first != (d.When == busy) {
			t.Errorf("%s: got reading %v of %q", d.Phase, d.Reading, d.When)
		}
	}
}

func TestFor(t *testing.T) {
	for _, tc := range []struct {
		name string
		feed func(b *bench)
		want string // of the first line, or empty
	}{
		{"fires once it has held", func(b *bench) { b.load(0, 3*time.Second, 0.9) }, "1.2s"},
		{"not before", func(b *bench) { b.load(0, 1100*time.Millisecond, 0.9); b.run(1199 * time.Millisecond) }, ""},
		{"a false in between starts anew", func(b *bench) {
			b.load(0, 1*time.Second, 0.86)
			b.load(1*time.Second, 1100*time.Millisecond, 0.1) // false at 1.2 s and until the window has left it behind
			b.load(1100*time.Millisecond, 4*time.Second, 0.86)
		}, "3.2s"},
		{"silence starts anew", func(b *bench) {
			b.load(0, 100*time.Millisecond, 0.9) // in the window for 1 s, used at 0.2 s to 1.1 s
			b.load(3*time.Second, 5*time.Second, 0.9)
		}, "4.2s"},
		{"nothing known", func(b *bench) { b.run(5 * time.Second) }, ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			b := open(t, rule(t, "r", busy, time.Second, 0, "degrade app to lite"))
			tc.feed(b)
			got := ""
			if len(b.log) > 0 {
				got, _, _ = strings.Cut(b.log[0], " ")
			}
			if got != tc.want {
				t.Errorf("got %q, want %q: %q", got, tc.want, b.log)
			}
		})
	}
}

func TestRearm(t *testing.T) {
	fired := func(b *bench) string {
		var at []string
		for _, d := range b.all {
			if d.Phase == "decided" {
				at = append(at, d.At.Sub(0).String()+" "+d.Action)
			}
		}
		return strings.Join(at, ", ")
	}
	// Another hand turns the knob back after each decision, so that acting would change something again.
	turnBack := func(b *bench, at time.Duration) {
		b.changed(at, dsv.Update{Name: "knob", Reading: dsv.Reading{Value: dsv.FloatValue(0), T1: dsv.At(at)}})
	}
	// The load is high until 4 s and again from 6 s on; it is all of the window of 1 s that is used at 7.1 s.
	for _, tc := range []struct {
		name     string
		cooldown time.Duration
		want     string
	}{
		{"only a false condition", 0, "200ms set knob 1, 7.1s set knob 1"},
		{"after the cooldown too", 1500 * time.Millisecond, "200ms set knob 1, 1.7s set knob 1, 3.2s set knob 1, 7.1s set knob 1"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			b := open(t, rule(t, "r", busy, 0, tc.cooldown, "set knob 1"))
			for s := range time.Duration(8) {
				x := 0.9
				if s >= 4 && s < 6 {
					x = 0.1
				}
				for tenth := range time.Duration(10) {
					at := s*time.Second + tenth*100*time.Millisecond
					b.load(at, at+100*time.Millisecond, x)
					turnBack(b, at+100*time.Millisecond+1)
				}
			}
			got := fired(b)
			if got != tc.want {
				t.Errorf("got %s, want %s", got, tc.want)
			}
		})
	}
}

func TestNothingIsNoDecision(t *testing.T) {
	for _, do := range []string{
		"move static to server_1", "replicate app to server_1", "retire app from cdn", "degrade app to full", "set knob 3",
	} {
		t.Run(do, func(t *testing.T) {
			b := open(t, rule(t, "r", busy, 0, 0, do))
			b.mapping(0, "app", service.Mapping{Epoch: 2, Level: "full", Replicas: b.last["app"].Replicas})
			b.changed(0, dsv.Update{Name: "knob", Reading: dsv.Reading{Value: dsv.FloatValue(3)}})
			b.load(0, 2*time.Second, 0.9)
			b.expect()
		})
	}
}

// An action that changed nothing leaves its rule armed: it acts once there is something to change.
func TestNothingLeavesArmed(t *testing.T) {
	b := open(t, rule(t, "r", busy, 0, 0, "set knob 3"))
	b.changed(0, dsv.Update{Name: "knob", Reading: dsv.Reading{Value: dsv.FloatValue(3)}})
	b.load(0, time.Second, 0.9)
	b.changed(1050*time.Millisecond, dsv.Update{Name: "knob", Reading: dsv.Reading{Value: dsv.FloatValue(4)}})
	b.load(time.Second, 2*time.Second, 0.9)
	b.expect("1.1s r: set knob 3: decided", "1.1s knob = 3", "1.1s r: set knob 3: done")
}

func TestRetireRefusesTheLast(t *testing.T) {
	b := open(t, rule(t, "r", busy, 0, 0, "retire app from server_1", "set knob 1"))
	b.load(0, 2*time.Second, 0.9)
	b.expect("200ms r: retire app from server_1: failed server_1 holds the last replica of app")
	if len(b.all[0].Reading) != 1 {
		t.Errorf("got no reading with %+v", b.all[0])
	}
}

func TestSameServiceWaits(t *testing.T) {
	b := open(t,
		rule(t, "one", busy, 0, 0, "move static to cdn"),
		rule(t, "two", busy, 0, 0, "replicate static to server_2"),
		rule(t, "three", busy, 0, 0, "move static to cdn"),
		rule(t, "other", busy, 0, 0, "replicate app to server_2"),
	)
	b.load(0, 200*time.Millisecond, 0.9)
	b.run(300 * time.Millisecond)
	b.expect(
		"200ms one: move static to cdn: decided",
		"200ms static e2 server_1=serving cdn=copying",
		"200ms other: replicate app to server_2: decided",
		"200ms app e2 server_1=serving server_2=copying",
	)
	b.ack(time.Second, "cdn.static.ready", 2)
	b.ack(time.Second, "server_1.static.copied", 2)
	b.log = nil
	b.ack(2*time.Second, "server_1.static.drained", 3)
	b.expect(
		"2s static e4 cdn=serving",
		"2s one: move static to cdn: done",
		"2s two: replicate static to server_2: decided",
		"2s static e5 cdn=serving server_2=copying",
	)
	b.ack(3*time.Second, "server_2.static.ready", 5)
	b.ack(3*time.Second, "cdn.static.copied", 5)
	b.run(4 * time.Second)
	b.expect(
		"3s two: replicate static to server_2: copied",
		"3s static e6 cdn=serving server_2=serving",
		"3s two: replicate static to server_2: switched",
		"3s two: replicate static to server_2: done",
	) // three finds static on the cdn
}

func TestMissingAcknowledgements(t *testing.T) {
	for _, tc := range []struct {
		name string
		do   string
		size int64
		acks func(b *bench)
		want []string
	}{
		{
			"target dead", "move static to cdn", 0,
			func(b *bench) { b.ack(time.Second, "server_1.static.copied", 2) },
			[]string{
				"200ms static e2 server_1=serving cdn=copying",
				"1m0.2s static e3 server_1=serving",
				"1m0.2s r: move static to cdn: failed cdn was not ready for static after 1m0s",
			},
		},
		{
			"target dead, stopped", "move static to cdn stopped", 0, func(*bench) {},
			[]string{
				"200ms static e2 server_1=stopped cdn=copying",
				"1m0.2s static e3 server_1=serving",
				"1m0.2s r: move static to cdn stopped: failed cdn was not ready for static after 1m0s",
			},
		},
		{
			"source dead", "replicate static to cdn", 12_500_000,
			func(b *bench) { b.ack(time.Second, "cdn.static.ready", 2) },
			[]string{
				"200ms static e2 server_1=serving cdn=copying",
				"1m10.2s static e3 server_1=serving",
				"1m10.2s r: replicate static to cdn: failed server_1 had not copied static after 1m10s",
			},
		},
		{
			"never drained", "move static to cdn", 0,
			func(b *bench) {
				b.ack(time.Second, "cdn.static.ready", 2)
				b.ack(2*time.Second, "server_1.static.copied", 2)
			},
			[]string{
				"200ms static e2 server_1=serving cdn=copying",
				"2s r: move static to cdn: copied",
				"2s static e3 server_1=draining cdn=serving",
				"2s r: move static to cdn: switched",
				"32s static e4 cdn=serving",
				"32s r: move static to cdn: done server_1 had not drained after 30s",
			},
		},
	} {
		t.Run(tc.name, func(t *testing.T) {
			r := rule(t, "r", busy, 0, 0, tc.do)
			b := openWith(t, adapt.Config{
				Topology: topology(), Rules: []adapt.Rule{r}, Services: []service.Config{{Name: "static", Size: size(tc.size)}, {Name: "app"}},
			})
			b.load(0, 200*time.Millisecond, 0.9)
			tc.acks(b)
			b.run(90 * time.Second)
			b.expect(append([]string{"200ms r: " + tc.do + ": decided"}, tc.want...)...)
		})
	}
}

func TestAddresses(t *testing.T) {
	at := func(addr string) service.Mapping {
		return service.Mapping{Epoch: 2, Replicas: []service.Replica{{Server: "server_1", Address: addr, Weight: 1, State: service.Serving}}}
	}
	b := open(t, rule(t, "r", busy, 0, 0, "replicate static to cdn"), rule(t, "q", busy, 0, 0, "replicate app to server_2"))
	b.mapping(0, "static", at("127.0.0.1:1"))
	b.mapping(0, "app", at("127.0.0.1:1"))
	b.changed(0, dsv.Update{Name: "cdn.address", Reading: dsv.Reading{Value: dsv.TextValue("127.0.0.1:3")}})
	b.load(0, 300*time.Millisecond, 0.9)
	b.expect(
		"200ms r: replicate static to cdn: decided",
		"200ms static e3 server_1=serving@127.0.0.1:1 cdn=copying@127.0.0.1:3",
		"200ms q: replicate app to server_2: failed server_2 has not told its address",
	)
}

// What somebody else writes into a mapping meanwhile is kept.
func TestForeignMapping(t *testing.T) {
	b := open(t, rule(t, "r", busy, 0, 0, "replicate static to cdn"))
	b.load(0, 200*time.Millisecond, 0.9)
	b.run(300 * time.Millisecond)
	m := b.last["static"].Clone()
	m.Epoch, m.Level = 3, "lite"
	b.mapping(400*time.Millisecond, "static", m)
	b.mapping(500*time.Millisecond, "static", service.Mapping{Epoch: 3}) // not newer
	b.last["static"] = m
	b.log = nil
	b.ack(time.Second, "cdn.static.ready", 3)
	b.ack(time.Second, "server_1.static.copied", 3)
	b.expect(
		"1s r: replicate static to cdn: copied",
		"1s static e4 level=lite server_1=serving cdn=serving",
		"1s r: replicate static to cdn: switched",
		"1s r: replicate static to cdn: done",
	)
}

func TestWaitsForTheFirstMapping(t *testing.T) {
	b := &bench{t: t, loop: adapt.NewLoop(adapt.Config{Topology: topology(), Rules: []adapt.Rule{rule(t, "r", busy, 0, 0, "degrade app to lite")}}), last: map[string]service.Mapping{}}
	b.load(0, time.Second, 0.9)
	b.expect()
	b.mapping(1500*time.Millisecond, "app", service.Mapping{Epoch: 1})
	b.expect("1.5s r: degrade app to lite: decided", "1.5s app e2 level=lite", "1.5s r: degrade app to lite: done")
}

func TestEnd(t *testing.T) {
	b := openWith(t, adapt.Config{Topology: topology(), Rules: []adapt.Rule{rule(t, "r", busy, 0, 0, "move app to cdn")}, End: dsv.At(2 * time.Second)})
	b.load(1800*time.Millisecond, 1900*time.Millisecond, 0.9) // would be used at 2 s
	b.load(1900*time.Millisecond, 2500*time.Millisecond, 0.9)
	b.expect()
	if got := b.loop.Next(); got != dsv.Never {
		t.Errorf("Next: got %v, want never", got)
	}
}

func size(n int64) machine.Bytes { return machine.Bytes(n) }

// Replicas that somebody else brings or removes are left alone.
func TestForeignReplicas(t *testing.T) {
	for _, tc := range []struct {
		name  string
		state service.State
		acks  bool
		want  string
	}{
		{"after a move", service.Draining, true, "static e5 server_2=draining cdn=serving"},
		{"after a move that failed", service.Copying, false, "static e4 server_1=serving server_2=copying"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			b := open(t, rule(t, "r", busy, 0, 0, "move static to cdn"))
			b.mapping(0, "static", service.Mapping{Epoch: 2, Replicas: []service.Replica{
				{Server: "server_1", Weight: 1, State: service.Serving}, {Server: "server_2", Weight: 1, State: tc.state},
			}})
			b.load(0, 200*time.Millisecond, 0.9)
			if tc.acks {
				b.ack(time.Second, "cdn.static.ready", 3)
				b.ack(time.Second, "server_1.static.copied", 3)
				b.ack(2*time.Second, "server_1.static.drained", 4)
			}
			b.run(70 * time.Second)
			if got := show("static", b.last["static"]); got != tc.want {
				t.Errorf("got %s, want %s", got, tc.want)
			}
		})
	}
}

// Patience ends at its instant, also between two evaluations.
func TestPatienceIsExact(t *testing.T) {
	for _, tc := range []struct {
		name string
		acks func(b *bench)
		want time.Duration
	}{
		{"target", func(*bench) {}, 61007 * time.Millisecond},
		{"source", func(b *bench) { b.ack(2*time.Second, "cdn.app.ready", 2) }, 71007 * time.Millisecond},
		{"drain", func(b *bench) {
			b.ack(2*time.Second, "cdn.app.ready", 2)
			b.ack(2011*time.Millisecond, "server_1.app.copied", 2)
		}, 32011 * time.Millisecond},
	} {
		t.Run(tc.name, func(t *testing.T) {
			r := rule(t, "r", busy, 0, 0, "move app to cdn")
			b := &bench{t: t, last: map[string]service.Mapping{}, loop: adapt.NewLoop(adapt.Config{
				Topology: topology(), Rules: []adapt.Rule{r}, Services: []service.Config{{}, {Size: size(12_500_000)}},
			})}
			b.load(0, time.Second, 0.9)
			b.mapping(1007*time.Millisecond, "app", service.Mapping{Epoch: 1, Replicas: []service.Replica{{Server: "server_1", State: service.Serving}}})
			tc.acks(b)
			b.run(90 * time.Second)
			if got := b.all[len(b.all)-1]; got.At != dsv.At(tc.want) || got.Cause == "" {
				t.Errorf("got %+v, want %v", got, tc.want)
			}
		})
	}
}
