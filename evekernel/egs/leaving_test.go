package egs_test

import (
	"sync"
	"sync/atomic"
	"testing"

	"github.com/eve-emulation/eve/dsv"
	"github.com/eve-emulation/eve/evekernel/egs"
)

// TestFiltersHold lets sinks come, change their filters and leave while events flow, and checks that no event that every
// one of their filters blocks reaches them.
func TestFiltersHold(t *testing.T) {
	h := egs.NewHub(egs.Config{})
	if err := h.Open(egs.Channel{Name: "work", Attrs: []egs.Attr{{Name: "n", Kind: dsv.Int}}}); err != nil {
		t.Fatal(err)
	}
	ctx := t.Context()
	src, err := h.Member("source").Attach(ctx, "work")
	if err != nil {
		t.Fatal(err)
	}
	var stop atomic.Bool
	var work sync.WaitGroup
	defer work.Wait()
	defer stop.Store(true)
	for range 2 {
		work.Go(func() {
			for !stop.Load() {
				for n := range 2 {
					if _, err := src.Submit(ctx, egs.Event{Values: []dsv.Value{dsv.IntValue(int64(n))}}); err != nil {
						t.Error(err)
						return
					}
				}
			}
		})
	}
	var wrong, right atomic.Int64
	for range 3000 {
		s, err := h.Member("sink").Subscribe(ctx, egs.SubscribeRequest{
			Channel: "work", Out: egs.FilterSpec{Expr: "n == 1"}, Handler: func(e egs.Event) {
				if e.Values[0].Int != 1 {
					wrong.Add(1)
				} else {
					right.Add(1)
				}
			},
		})
		if err != nil {
			t.Fatal(err)
		}
		if err := s.SetOut(ctx, egs.FilterSpec{Expr: "n > 0"}); err != nil {
			t.Fatal(err)
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if wrong.Load() != 0 || right.Load() == 0 {
		t.Errorf("%d events came that the filters block, and %d that they do not", wrong.Load(), right.Load())
	}
}
