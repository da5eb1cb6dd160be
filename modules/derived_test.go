package modules_test

import (
	"math"
	"path/filepath"
	"testing"
	"time"

	"github.com/eve-emulation/eve/dsv"
	"github.com/eve-emulation/eve/dsv/dsvbolt"
	"github.com/eve-emulation/eve/evekernel"
	"github.com/eve-emulation/eve/evekernel/wire"
	"github.com/eve-emulation/eve/modules"
)

// TestReadOver reads derived values over windows, from the history; a watch begins with what the history has.
func TestReadOver(t *testing.T) {
	for _, c := range []wire.Coding{wire.CBOR, wire.JSON} {
		t.Run(c.String(), func(t *testing.T) {
			db, err := dsvbolt.Create(filepath.Join(t.TempDir(), "run.db"))
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() {
				if err := db.Close(); err != nil {
					t.Error(err)
				}
			})
			k, _ := open(t, evekernel.Config{Lead: time.Millisecond, Recorder: db})
			begin(t, k)
			for k.Now() <= 0 {
				time.Sleep(time.Millisecond)
			}
			readOver(t, k, connect(t, modules.Link{Name: "probe", URL: k.URL(), Token: k.Token(), Coding: c}))
		})
	}
}

func readOver(t *testing.T, k *evekernel.Kernel, p *modules.Proxy) {
	t.Helper()
	for _, d := range []dsv.Declaration{
		{Name: "app.requests", Kind: dsv.Int, Merge: dsv.Sum, Unit: "1", History: true},
		{Name: "app.latency", Kind: dsv.Histogram, Merge: dsv.Hists, Unit: "s", History: true},
		{Name: "app.limit", Kind: dsv.Float, History: true},
		{Name: "app.plain", Kind: dsv.Int, Merge: dsv.Sum},
	} {
		if err := p.Create(t.Context(), d); err != nil {
			t.Fatal(err)
		}
	}
	latest := k.Now()
	var deltas []dsv.Delta
	for i, w := range []struct {
		ago time.Duration
		n   int64
		x   float64
	}{{5 * time.Second, 1000, 9}, {1500 * time.Millisecond, 70, 3}, {500 * time.Millisecond, 20, 0.2}, {0, 10, 0.1}} {
		var c dsv.Counts
		c.Add(w.x)
		d := dsv.Delta{Writer: 9, Epoch: 1, Seq: uint64(i + 1), T0: latest.Add(-w.ago - time.Second), T1: latest.Add(-w.ago)}
		d.Name, d.Value, d.Weight = "app.requests", dsv.IntValue(w.n), float64(w.n)
		deltas = append(deltas, d)
		d.Name, d.Value, d.Weight = "app.latency", dsv.HistValue(c.Take()), 1
		deltas = append(deltas, d)
		d.Name, d.Value, d.Weight = "app.limit", dsv.FloatValue(w.x), 1
		deltas = append(deltas, d)
	}
	if err := p.Sync(t.Context(), deltas); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name   dsv.Name
		window time.Duration
		want   float64
	}{
		{"app.requests.count", time.Second, 30},
		{"app.requests.count", 2 * time.Second, 100},
		{"app.requests.rate", 2 * time.Second, 100 / min(2, latest.Seconds())}, // the run is younger
		{"app.requests.count", 0, 1100},
		{"app.latency.max", time.Second, 0.2},
		{"app.latency.p50", 2 * time.Second, 0.2},
		{"app.latency.max", 0, 9},
		{"app.latency.count", 10 * time.Second, 4},
		{"app.limit.mean", time.Second, 0.1},
	} {
		r, err := p.ReadOver(t.Context(), c.name, c.window)
		if err != nil || math.Abs(r.Value.Float-c.want) > 0.001*c.want {
			t.Errorf("%s over %v: got %v, %v, want %v", c.name, c.window, r.Value.Float, err, c.want)
		}
	}
	for _, c := range []struct {
		name   dsv.Name
		window time.Duration
	}{{"app.plain.rate", time.Second}, {"app.latency.p95", -1}, {"app.latency.p95", time.Hour}, {"app.latency", time.Second}} {
		if r, err := p.ReadOver(t.Context(), c.name, c.window); err == nil {
			t.Errorf("%s over %v: got %+v and no error", c.name, c.window, r)
		}
	}
	w, err := p.Watch(t.Context(), dsv.WatchRequest{Pattern: "app.requests.count", Window: 10 * time.Minute, Every: 20 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	ctx, cancel := contextFor(t)
	defer cancel()
	u, err := w.Next(ctx)
	if err != nil || u.Reading.Value.Float != 1100 {
		t.Errorf("the watch begins with %+v, %v, want 1100", u, err)
	}
}

// TestDerivedWatchMissesNothing has a watch of a window tell what came between its beginning and the first look at it, once.
func TestDerivedWatchMissesNothing(t *testing.T) {
	db, err := dsvbolt.Create(filepath.Join(t.TempDir(), "run.db"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	})
	k, _ := open(t, evekernel.Config{Lead: time.Millisecond, Recorder: db})
	begin(t, k)
	s, n := k.Space(), dsv.Name("app.requests")
	if err := s.Create(t.Context(), dsv.Declaration{Name: n, Kind: dsv.Int, Merge: dsv.Sum, History: true}); err != nil {
		t.Fatal(err)
	}
	seq := map[dsv.WriterID]uint64{}
	add := func(w dsv.WriterID) {
		t.Helper()
		seq[w]++
		d := dsv.Delta{Name: n, Writer: w, Epoch: 1, Seq: seq[w], T1: max(1, k.Now()), Value: dsv.IntValue(1), Weight: 1}
		if err := s.Sync(t.Context(), []dsv.Delta{d}); err != nil {
			t.Fatal(err)
		}
	}
	for range 3 {
		add(1)
		add(2)
	}
	w, err := s.Watch(t.Context(), dsv.WatchRequest{Pattern: "app.requests.count", Window: 10 * time.Minute, Every: 50 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	add(2)
	add(1)
	ctx, cancel := contextFor(t)
	defer cancel()
	for want := 8.0; ; {
		u, err := w.Next(ctx)
		if err != nil {
			t.Fatal(err)
		}
		if u.Reading.T1 < k.Now()-dsv.At(time.Second) {
			continue
		}
		if u.Reading.Value.Float != want {
			t.Errorf("after %v got %v", want, u.Reading.Value)
		}
		if want++; want > 10 {
			return
		}
		add(1)
	}
}

// TestDerivedBounds refuses windows and periods that nobody can serve.
func TestDerivedBounds(t *testing.T) {
	eachCoding(t, func(t *testing.T, k *evekernel.Kernel, link modules.Link) {
		p := connect(t, link)
		if err := p.Create(t.Context(), dsv.Declaration{Name: "a.n", Kind: dsv.Int, Merge: dsv.Sum}); err != nil {
			t.Fatal(err)
		}
		for _, r := range []dsv.WatchRequest{
			{Window: -1}, {Window: math.MaxInt64}, {Window: math.MinInt64}, {Every: -1}, {Every: 1}, {Every: math.MaxInt64},
		} {
			r.Pattern = "a.n.count"
			if w, err := p.Watch(t.Context(), r); err == nil {
				t.Errorf("%v and %v: no error", r.Window, r.Every)
				_ = w.Close()
			}
		}
	})
}
