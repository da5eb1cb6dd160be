package adapt_test

import (
	"fmt"
	"math"
	"slices"
	"testing"
	"time"

	"github.com/eve-emulation/eve/dsv"
	"github.com/eve-emulation/eve/fase/adapt"
)

// readings runs a rule that acts at each evaluation at which its condition holds, and returns what each found.
func readings(b *bench, term string) map[time.Duration]float64 {
	got := map[time.Duration]float64{}
	for _, d := range b.all {
		if d.Phase == "decided" {
			got[d.At.Sub(0)] = d.Reading[term]
		}
	}
	return got
}

// always returns a rule that acts at every evaluation where its condition is known and true.
func always(t *testing.T, when string) adapt.Rule {
	return rule(t, "r", when, 0, 1, "set knob 1", "set knob 0")
}

func TestWindowBoundaries(t *testing.T) {
	const ms = time.Millisecond
	one := func(b *bench, t1 time.Duration) { b.delta("crowd.requests", t1, dsv.IntValue(1), 1) }
	for _, tc := range []struct {
		name  string
		when  string
		term  string
		t1    []time.Duration // of deltas that count 1 each, told at once
		first time.Duration   // evaluation that sees them
		last  time.Duration
	}{
		{"default of a count", "crowd.requests > 0", "crowd.requests", []time.Duration{1000 * ms}, 1100 * ms, 6000 * ms},
		{"explicit", "rate(crowd.requests, 2s) > 0", "rate(crowd.requests, 2s)", []time.Duration{1000 * ms}, 1100 * ms, 3000 * ms},
		{"50 ms is settled", "crowd.requests > 0", "crowd.requests", []time.Duration{1050 * ms}, 1100 * ms, 6000 * ms},
		{"less is not", "crowd.requests > 0", "crowd.requests", []time.Duration{1050*ms + 1}, 1200 * ms, 6100 * ms},
		{"from the start", "crowd.requests > 0", "crowd.requests", []time.Duration{100 * ms}, 200 * ms, 5100 * ms},
		{"not from before the start", "crowd.requests > 0", "crowd.requests", []time.Duration{50 * ms}, 0, 0},
	} {
		t.Run(tc.name, func(t *testing.T) {
			b := open(t, always(t, tc.when))
			for _, t1 := range tc.t1 {
				one(b, t1)
			}
			b.run(12 * time.Second)
			got := readings(b, tc.term)
			var ats []time.Duration
			for at := range got {
				ats = append(ats, at)
			}
			slices.Sort(ats)
			if tc.first == 0 {
				if len(ats) != 0 {
					t.Errorf("got evaluations %v, want none", ats)
				}
				return
			}
			if len(ats) == 0 || ats[0] != tc.first || ats[len(ats)-1] != tc.last || len(ats) != int((tc.last-tc.first)/adapt.Period)+1 {
				t.Errorf("got evaluations %v, want %v to %v", ats, tc.first, tc.last)
			}
		})
	}
}

func TestWindowsHoldWhatTheyAreLongFor(t *testing.T) {
	b := open(t, always(t, "crowd.requests > 0 and rate(crowd.requests, 10s) > 0"))
	for i := range time.Duration(200) {
		b.delta("crowd.requests", (i+1)*100*time.Millisecond, dsv.IntValue(1), 1)
	}
	b.run(20 * time.Second)
	counts, rates := readings(b, "crowd.requests"), readings(b, "rate(crowd.requests, 10s)")
	for _, tc := range []struct {
		at          time.Duration
		count, rate float64
	}{
		{time.Second, 9, 9 / 0.95},
		{5 * time.Second, 49, 49 / 4.95},
		{6 * time.Second, 50, 59 / 5.95},
		{12 * time.Second, 50, 10},
		{20 * time.Second, 50, 10},
	} {
		if counts[tc.at] != tc.count || math.Abs(rates[tc.at]-tc.rate) > 1e-9 {
			t.Errorf("at %v: got count %v and rate %v, want %v and %v", tc.at, counts[tc.at], rates[tc.at], tc.count, tc.rate)
		}
	}
}

func TestBareMeanIsOneSecond(t *testing.T) {
	b := open(t, always(t, "server_1.cpu.utilisation >= 0 and mean(server_1.cpu.utilisation, 5s) >= 0 and max(static.latency) > 0"))
	b.delta("static.latency", 100*time.Millisecond, dsv.HistValue(dsv.NewHist([]uint32{uint32(dsv.BucketOf(0.5))}, []uint64{1})), 1)
	b.load(0, time.Second, 0)
	b.load(time.Second, 3*time.Second, 1)
	b.run(3 * time.Second)
	bare, long := readings(b, "server_1.cpu.utilisation"), readings(b, "mean(server_1.cpu.utilisation, 5s)")
	if got := fmt.Sprintf("%.2f %.2f", bare[1600*time.Millisecond], bare[2200*time.Millisecond]); got != "0.50 1.00" {
		t.Errorf("bare: got %s", got)
	}
	if got := fmt.Sprintf("%.2f", long[2600*time.Millisecond]); got != "0.60" {
		t.Errorf("over 5 s: got %s", got)
	}
}

func TestLastValue(t *testing.T) {
	r := rule(t, "r", "crowd.rate > 50 or mode == 'rush'", 0, 0, "degrade app to lite")
	for _, tc := range []struct {
		name string
		feed func(b *bench)
		want string
	}{
		{"settles", func(b *bench) {
			b.delta("crowd.rate", 1070*time.Millisecond, dsv.FloatValue(60), 1)
			b.delta("crowd.rate", 1170*time.Millisecond, dsv.FloatValue(20), 1)
		}, "1.2s"},
		{"a later one replaces it", func(b *bench) {
			b.delta("crowd.rate", 1070*time.Millisecond, dsv.FloatValue(60), 1)
			b.delta("crowd.rate", 1150*time.Millisecond, dsv.FloatValue(20), 1)
		}, ""},
		{"by their ends, not by their coming", func(b *bench) {
			b.late("crowd.rate", 1000*time.Millisecond, 900*time.Millisecond, dsv.FloatValue(20), 1)
			b.late("crowd.rate", 1010*time.Millisecond, 800*time.Millisecond, dsv.FloatValue(60), 1)
		}, ""},
		{"written whole", func(b *bench) {
			b.changed(1060*time.Millisecond, dsv.Update{Name: "crowd.rate", Reading: dsv.Reading{Value: dsv.FloatValue(60)}})
		}, "1.2s"},
		{"text", func(b *bench) {
			b.changed(1010*time.Millisecond, dsv.Update{Name: "mode", Reading: dsv.Reading{Value: dsv.TextValue("rush")}})
		}, "1.1s"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			b := open(t, r)
			tc.feed(b)
			b.run(3 * time.Second)
			got := ""
			if len(b.all) > 0 {
				got = b.all[0].At.Sub(0).String()
			}
			if got != tc.want {
				t.Errorf("got %q, want %q: %q", got, tc.want, b.log)
			}
		})
	}
}

func TestWatches(t *testing.T) {
	b := open(t, rule(t, "r", "crowd.requests > 0", 0, 0, "move static to cdn", "set knob 1"))
	want := []dsv.Name{"*.address", "*.static.copied", "*.static.drained", "*.static.ready", "*.up", "crowd.requests", "knob", "map.static"}
	if got := b.loop.Watches(); !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
	for _, n := range []dsv.Name{"server_1.static.copied", "cdn.address", "map.static"} {
		if matches := slices.DeleteFunc(slices.Clone(want), func(p dsv.Name) bool { return !n.Match(string(p)) }); len(matches) != 1 {
			t.Errorf("%s matches %v", n, matches)
		}
	}
}

func TestWriteOnce(t *testing.T) {
	b := open(t, rule(t, "r", "crowd.requests > 0", 0, 0, "degrade app to lite"))
	d := dsv.Delta{T1: dsv.At(50 * time.Millisecond), Value: dsv.IntValue(1), Weight: 1}
	b.loop.Changed(0, dsv.Update{Name: "crowd.requests", Delta: &d})
	b.loop.Advance(b.loop.Next())
	es := b.loop.Effects()
	if len(es) != 3 {
		t.Fatalf("got %d effects, want 3", len(es))
	}
	for _, e := range es {
		if n, v := b.loop.Write(e.Ref); n == "" || v.Kind == 0 {
			t.Errorf("got nothing for %v", e.Ref)
		}
		if n, _ := b.loop.Write(e.Ref); n != "" {
			t.Errorf("got %s a second time", n)
		}
	}
	if n, _ := b.loop.Write(1 << 20); n != "" {
		t.Errorf("got %s for a Ref that is not the loop's", n)
	}
	if again := b.loop.Effects(); len(again) != 0 {
		t.Errorf("got effects again: %v", again)
	}
}

// The same updates give the same writes.
func TestDeterministic(t *testing.T) {
	run := func() []string {
		b := open(t, rule(t, "a", busy, 300*time.Millisecond, time.Second, "move static to cdn", "set knob 1"),
			rule(t, "b", "server_1.cpu.utilisation < 0.4", 0, 0, "move static to server_1", "set knob 0"),
			rule(t, "c", "crowd.requests > 100", 0, 0, "replicate app to cdn", "retire app from server_1"))
		for i := range time.Duration(300) {
			at := i * 100 * time.Millisecond
			b.load(at, at+100*time.Millisecond, float64((i/40)%2))
			b.delta("crowd.requests", at+100*time.Millisecond, dsv.IntValue(int64(i)), 1)
			for _, s := range []string{"static", "app"} {
				for _, m := range b.last[s].Replicas {
					for _, ack := range []string{"copied", "ready", "drained"} {
						b.ack(at+100*time.Millisecond, dsv.Name(m.Server+"."+s+"."+ack), float64(b.last[s].Epoch))
					}
				}
			}
		}
		return b.log
	}
	first := run()
	if len(first) < 30 {
		t.Fatalf("got only %q", first)
	}
	for range 5 {
		if got := run(); !slices.Equal(got, first) {
			t.Fatalf("got\n%q\nthen\n%q", first, got)
		}
	}
}

func TestIrrelevantUpdatesAreCheap(t *testing.T) {
	b := open(t, rule(t, "r", busy, 0, 0, "move static to cdn"))
	u := dsv.Update{Name: "somebody.else", Reading: dsv.Reading{Value: dsv.FloatValue(1)}}
	if got := testing.AllocsPerRun(100, func() { b.loop.Changed(0, u) }); got != 0 {
		t.Errorf("got %v allocations, want 0", got)
	}
}

func BenchmarkChanged(b *testing.B) {
	h := open(b, rule(b, "r", busy, 0, 0, "move static to cdn"))
	b.Run("irrelevant", func(b *testing.B) {
		b.ReportAllocs()
		u := dsv.Update{Name: "somebody.else", Reading: dsv.Reading{Value: dsv.FloatValue(1)}}
		for b.Loop() {
			h.loop.Changed(0, u)
		}
	})
	b.Run("read by a rule", func(b *testing.B) {
		b.ReportAllocs()
		d := dsv.Delta{Name: "server_1.cpu.utilisation", Value: dsv.FloatValue(0.1), Weight: 0.1}
		u := dsv.Update{Name: d.Name, Delta: &d}
		for b.Loop() {
			d.T1 = d.T1.Add(100 * time.Millisecond)
			h.loop.Changed(0, u)
		}
	})
}
