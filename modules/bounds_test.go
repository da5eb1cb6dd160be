package modules_test

import (
	"testing"
	"time"

	"github.com/eve-emulation/eve/dsv"
	"github.com/eve-emulation/eve/evekernel/egs"
)

// TestSlowSinkIsBounded has a sink of each kind read nothing while large events come: what waits for it is bounded in
// bytes, and what is beyond that is counted.
func TestSlowSinkIsBounded(t *testing.T) {
	const events, size, most = 100, 256 << 10, 4 << 20
	k, _ := opened(t)
	ps := participants(t, k)
	ctx := within(t)
	src, err := ps["direct_too"].Attach(ctx, "alarms")
	if err != nil {
		t.Fatal(err)
	}
	for _, to := range []string{"direct", "direct_too", "relayed", "text", "inside"} {
		t.Run(to, func(t *testing.T) {
			s, err := ps[to].Subscribe(ctx, egs.SubscribeRequest{Channel: "alarms"})
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = s.Close() }()
			alone(ctx, t, src)
			for range events {
				if _, err := src.Submit(ctx, egs.Event{Data: make([]byte, size)}); err != nil {
					t.Fatal(err)
				}
			}
			for s.Stats().Lost < events-most/size {
				if ctx.Err() != nil {
					t.Fatalf("of %d events the sink counts %+v", events, s.Stats())
				}
				time.Sleep(time.Millisecond)
			}
			got, lost := 0, uint64(0)
			for got+int(lost) < events {
				if _, err := src.Submit(ctx, egs.Event{Values: []dsv.Value{dsv.FloatValue(1)}}); err != nil {
					t.Fatal(err)
				}
				for last := false; !last; {
					e, err := s.Next(ctx)
					if err != nil {
						t.Fatal(err)
					}
					lost += e.Lost
					if last = len(e.Data) == 0; !last {
						got++
					}
				}
			}
			if got*size > most || got+int(lost) != events || s.Stats().Lost != lost {
				t.Errorf("got %d and lost %d (counted %d) of %d, want at most %d bytes to wait", got, lost, s.Stats().Lost, events, most)
			}
		})
	}
}

// TestSubmitDoesNotAllocate sends events with a text and data over a link: neither end allocates.
func TestSubmitDoesNotAllocate(t *testing.T) {
	if testing.Short() {
		t.Skip("under the race detector, which asks for short tests, pools forget at random")
	}
	k, _ := opened(t)
	ps := participants(t, k)
	ctx := within(t)
	came := make(chan struct{}, 1)
	if _, err := ps["direct"].Subscribe(ctx, egs.SubscribeRequest{
		Channel: "alarms", Out: egs.FilterSpec{Expr: "level > 0.5"}, Handler: func(egs.Event) { came <- struct{}{} },
	}); err != nil {
		t.Fatal(err)
	}
	src, err := ps["direct_too"].Attach(ctx, "alarms")
	if err != nil {
		t.Fatal(err)
	}
	e := egs.Event{Data: make([]byte, 100), Values: []dsv.Value{dsv.FloatValue(0.7), dsv.TextValue("hall"), dsv.IntValue(3)}}
	if n := testing.AllocsPerRun(500, func() {
		if _, err := src.Submit(ctx, e); err != nil {
			t.Error(err)
		}
		<-came
	}); n >= 1 {
		t.Errorf("an event costs %v allocations, want none", n)
	}
}
