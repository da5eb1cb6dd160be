package dsvtest

import (
	"context"
	"errors"
	"maps"
	"slices"
	"testing"

	"github.com/eve-emulation/eve/dsv"
)

// testWatchLatest checks that a watcher which sleeps through changes still learns the sum of all, and how many they were.
func testWatchLatest(_ *testing.T, k *kit) {
	const changes = 3000
	k.declare("n", dsv.Int, dsv.Sum)
	k.declare("h", dsv.Histogram, dsv.Hists)
	w := k.watch(dsv.WatchRequest{Pattern: "*"})
	for seq := uint64(1); seq <= changes; seq++ {
		k.must(k.Sync(k.ctx, []dsv.Delta{
			delta("n", 1, seq, dsv.IntValue(1), 1),
			delta("h", 1, seq, dsv.HistValue(samples(float64(seq)*1e-3)), 1),
		}))
	}
	var n int64
	var hists []*dsv.Hist
	seen, from := map[dsv.Name]int{}, map[dsv.Name]dsv.Instant{}
	for seen["n"] < changes || seen["h"] < changes {
		u := k.next(w)
		seen[u.Name] += 1 + u.Skipped
		if u.Delta == nil {
			k.t.Fatalf("update %+v has no delta", u)
		}
		if u.Delta.T0 != from[u.Name] {
			k.t.Errorf("%s: delta from %d, want from the end of the one before, %d", u.Name, u.Delta.T0, from[u.Name])
		}
		from[u.Name] = u.Delta.T1
		if u.Name == "n" {
			n += u.Delta.Value.Int
			if n != u.Reading.Value.Int {
				k.t.Errorf("deltas add up to %d, the reading is %d", n, u.Reading.Value.Int)
			}
		} else {
			hists = append(hists, u.Delta.Value.Hist)
			if sum := dsv.MergeHists(hists...); !sum.Equal(u.Reading.Value.Hist) {
				k.t.Errorf("deltas merge to %d samples, the reading has %d", sum.Count(), u.Reading.Value.Hist.Count())
			}
		}
	}
	if seen["n"] != changes || seen["h"] != changes {
		k.t.Errorf("updates and skips are %v, want %d each", seen, changes)
	}
}

// testWatchDeletions checks that a watch of latest values ends with what is true, whatever came in which order: a
// deletion too, and what was made again after it.
func testWatchDeletions(_ *testing.T, k *kit) {
	for n, c := range map[dsv.Name]struct {
		again bool
		want  string
	}{"gone": {false, "gone"}, "back": {true, "back"}} {
		watches := []dsv.Watch{k.watch(dsv.WatchRequest{Pattern: string(n)}), k.watch(dsv.WatchRequest{Pattern: "*"})}
		for range 40 {
			k.declare(n, dsv.Text, dsv.Last)
			k.write(n, dsv.TextValue("first"))
			k.must(k.Delete(k.ctx, n))
		}
		if c.again {
			k.declare(n, dsv.Text, dsv.Last)
			k.write(n, dsv.TextValue("back"))
		}
		for _, w := range watches {
			changes, last, state := 0, dsv.Revision(0), ""
			for want := map[bool]int{false: 80, true: 81}[c.again]; changes < want; {
				u := k.next(w)
				if u.Name != n {
					continue // of the case before
				}
				changes += 1 + u.Skipped
				if u.Revision <= last {
					k.t.Fatalf("%s: revision %d after %d", n, u.Revision, last)
				}
				last = u.Revision
				if state = u.Reading.Value.Text; u.Deleted {
					state = "gone"
				}
			}
			if state != c.want {
				k.t.Errorf("%s: the watch ends with %q, want %q", n, state, c.want)
			}
			k.must(w.Close())
		}
	}
}

func testWatchAll(_ *testing.T, k *kit) {
	const changes = 2000
	k.declare("a.n", dsv.Int, dsv.Sum)
	k.declare("b.n", dsv.Int, dsv.Last)
	w := k.watch(dsv.WatchRequest{Pattern: "*.n", Mode: dsv.All})
	written := make(chan error, 1)
	go func() {
		for seq := uint64(1); seq <= changes; seq++ {
			if err := k.Sync(k.ctx, []dsv.Delta{delta("a.n", 1, seq, dsv.IntValue(int64(seq)), 1)}); err != nil {
				written <- err
				return
			}
			if _, err := k.Write(k.ctx, "b.n", dsv.IntValue(int64(seq))); err != nil {
				written <- err
				return
			}
		}
		written <- nil
	}()
	var last dsv.Revision
	next := map[dsv.Name]int64{"a.n": 1, "b.n": 1}
	for range 2 * changes {
		u := k.next(w)
		if u.Revision <= last {
			k.t.Fatalf("revision %d after %d", u.Revision, last)
		}
		last = u.Revision
		got := u.Reading.Value.Int
		if u.Name == "a.n" {
			got = u.Delta.Value.Int
		}
		if got != next[u.Name] || u.Skipped != 0 {
			k.t.Fatalf("%s: change %d, %d skipped, want change %d", u.Name, got, u.Skipped, next[u.Name])
		}
		next[u.Name]++
	}
	k.must(<-written)
}

// testWatchPresent checks that a watch begins with what is there.
func testWatchPresent(_ *testing.T, k *kit) {
	k.declare("b", dsv.Int, dsv.Last)
	k.declare("a", dsv.Int, dsv.Last)
	k.declare("unset", dsv.Int, dsv.Last)
	k.write("b", dsv.IntValue(1))
	rev := k.write("a", dsv.IntValue(2))
	for _, mode := range []dsv.Mode{dsv.Latest, dsv.All} {
		w := k.watch(dsv.WatchRequest{Pattern: "*", Mode: mode})
		got := map[dsv.Name]int64{}
		var last dsv.Revision
		for range 2 {
			u := k.next(w)
			got[u.Name] = u.Reading.Value.Int
			if mode == dsv.All && u.Revision <= last {
				k.t.Errorf("revision %d after %d", u.Revision, last)
			}
			last = max(last, u.Revision)
		}
		if want := map[dsv.Name]int64{"a": 2, "b": 1}; !maps.Equal(got, want) || last != rev {
			k.t.Errorf("mode %d: present values are %v at %d, want %v at %d", mode, got, last, want, rev)
		}
	}
}

func testWatchResumes(_ *testing.T, k *kit) {
	k.declare("x", dsv.Int, dsv.Last)
	k.declare("other", dsv.Int, dsv.Last)
	first := k.watch(dsv.WatchRequest{Pattern: "x", Mode: dsv.All})
	for i := range 100 {
		k.write("x", dsv.IntValue(int64(i)))
		k.write("other", dsv.IntValue(int64(i)))
	}
	var at dsv.Revision
	for range 40 {
		at = k.next(first).Revision
	}
	k.must(first.Close())
	for i := 100; i < 120; i++ {
		k.write("x", dsv.IntValue(int64(i)))
	}
	again := k.watch(dsv.WatchRequest{Pattern: "x", Mode: dsv.All, From: at})
	for i := 40; i < 120; i++ {
		if u := k.next(again); u.Reading.Value.Int != int64(i) || u.Name != "x" || u.Gap != 0 {
			k.t.Fatalf("resumed at %+v, want value %d", u, i)
		}
	}
	k.write("x", dsv.IntValue(120))
	if u := k.next(again); u.Reading.Value.Int != 120 {
		k.t.Fatalf("after the log, %+v, want value 120", u)
	}
}

// testWatchSlow checks that a watcher in mode All that reads nothing is either served whole, or told what it missed.
func testWatchSlow(_ *testing.T, k *kit) {
	const changes, batch = 20_000, 500 // more than the Store queues
	k.declare("n", dsv.Int, dsv.Sum)
	w := k.watch(dsv.WatchRequest{Pattern: "n", Mode: dsv.All})
	for seq := uint64(1); seq <= changes; seq += batch {
		ds := make([]dsv.Delta, batch)
		for i := range ds {
			ds[i] = delta("n", 1, seq+uint64(i), dsv.IntValue(1), 1)
		}
		k.must(k.Sync(k.ctx, ds))
	}
	var last dsv.Revision
	var sum int64
	for sum < changes {
		u := k.next(w)
		if u.Gap != 0 {
			_, err := w.Next(k.ctx)
			k.is(err, dsv.ErrGap)
			if u.Gap < last {
				k.t.Fatalf("gap resumes from %d, before what was delivered, %d", u.Gap, last)
			}
			w = k.watch(dsv.WatchRequest{Pattern: "n", Mode: dsv.All, From: u.Gap})
			// What lies between is lost, and the next reading says how much.
			last = u.Gap
			continue
		}
		if u.Revision <= last {
			k.t.Fatalf("revision %d after %d", u.Revision, last)
		}
		last = u.Revision
		sum = u.Reading.Value.Int
	}
	if sum != changes {
		k.t.Errorf("last reading %d, want %d", sum, changes)
	}
}

func testWatchPatterns(t *testing.T, k *kit) {
	names := []dsv.Name{"app.latency", "app.cpu.utilisation", "db.cpu.utilisation", "db.cpu.queue", "app"}
	for _, c := range []struct {
		pattern string
		want    []dsv.Name
	}{
		{"*", names},
		{"app", []dsv.Name{"app"}},
		{"app.*", []dsv.Name{"app.latency", "app.cpu.utilisation"}},
		{"*.cpu.utilisation", []dsv.Name{"app.cpu.utilisation", "db.cpu.utilisation"}},
		{"db.*.queue", []dsv.Name{"db.cpu.queue"}},
		{"*.latency", []dsv.Name{"app.latency"}},
	} {
		var ws []dsv.Watch
		for _, mode := range []dsv.Mode{dsv.Latest, dsv.All} {
			ws = append(ws, k.watch(dsv.WatchRequest{Pattern: c.pattern, Mode: mode}))
		}
		for _, n := range names { // declared after the watches
			k.declare(n, dsv.Int, dsv.Last)
			k.write(n, dsv.IntValue(1))
		}
		for _, w := range ws {
			var got []dsv.Name
			for range c.want {
				got = append(got, k.next(w).Name)
			}
			if !slices.Equal(got, c.want) {
				t.Errorf("pattern %s: updates of %v, want %v", c.pattern, got, c.want)
			}
			k.must(w.Close())
		}
		for _, n := range names {
			k.must(k.Delete(k.ctx, n))
		}
	}
	for _, p := range []string{"", ".", "a.", "A", "a*", "**", "a.*b"} {
		_, err := k.Watch(k.ctx, dsv.WatchRequest{Pattern: p})
		k.is(err, dsv.ErrName)
	}
}

func testWatchEnds(t *testing.T, k *kit) {
	k.declare("x", dsv.Int, dsv.Last)
	for _, mode := range []dsv.Mode{dsv.Latest, dsv.All} {
		w := k.watch(dsv.WatchRequest{Pattern: "x", Mode: mode})
		ctx, cancel := context.WithCancel(k.ctx)
		cancel()
		_, err := w.Next(ctx)
		k.is(err, context.Canceled)
		k.write("x", dsv.IntValue(1))
		k.next(w) // a context that ended ends one call, not the watch

		waiting := make(chan error, 1)
		go func() {
			for {
				if _, err := w.Next(k.ctx); err != nil {
					waiting <- err
					return
				}
			}
		}()
		k.must(w.Close())
		k.must(w.Close())
		if err := <-waiting; !errors.Is(err, dsv.ErrClosed) {
			t.Errorf("next after close: %v, want %v", err, dsv.ErrClosed)
		}
		k.must(k.Delete(k.ctx, "x"))
		k.declare("x", dsv.Int, dsv.Last)
	}
}
