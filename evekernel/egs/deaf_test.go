package egs_test

import (
	"runtime"
	"sync/atomic"
	"testing"
	"time"

	"github.com/eve-emulation/eve/dsv"
	"github.com/eve-emulation/eve/evekernel/egs"
)

// TestDeafSource checks that sinks wait once for a source that does not say what it has seen, not each time, that nothing
// is kept for it meanwhile, and that it is waited for again when it has caught up.
func TestDeafSource(t *testing.T) {
	h := egs.NewHub(egs.Config{})
	if err := h.Open(egs.Channel{Name: "work"}); err != nil {
		t.Fatal(err)
	}
	var version atomic.Uint64
	w, _, _, err := h.Watch("work", func(c egs.Change) { version.Store(c.Version) })
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	ctx := t.Context()
	began := time.Now()
	s, err := h.Member("sink").Subscribe(ctx, egs.SubscribeRequest{Channel: "work"})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = s.Close() }()
	if d := time.Since(began); d < egs.KnownWithin {
		t.Errorf("subscribed after %v, want to wait %v for the source", d, egs.KnownWithin)
	}
	load := func(n int) {
		t.Helper()
		for range n {
			if err := s.Describe(ctx, map[string]dsv.Value{"load": dsv.FloatValue(0.5)}); err != nil {
				t.Fatal(err)
			}
		}
	}
	began = time.Now()
	load(1000)
	before := heap()
	load(20_000)
	if grown := heap() - before; grown > 200_000 {
		t.Errorf("20000 changes that nobody saw keep %d bytes", grown)
	}
	if d := time.Since(began); d > 10*egs.KnownWithin {
		t.Errorf("describing took %v", d)
	}
	w.Seen(version.Load())
	done := make(chan struct{})
	go func() { defer close(done); load(1) }()
	select {
	case <-done:
		t.Error("a source that has caught up is not waited for")
	case <-time.After(20 * time.Millisecond):
	}
	w.Seen(version.Load())
	<-done
}

func heap() int64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}
