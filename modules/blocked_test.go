package modules_test

import (
	"sync"
	"testing"
	"time"

	"github.com/eve-emulation/eve/dsv"
	"github.com/eve-emulation/eve/evekernel/egs"
)

// TestBlockedHandler has a handler block, and checks on every path that other sinks of its process go on soon, that its
// process and the source can use the kernel, and that it accounts for everything once it goes on.
func TestBlockedHandler(t *testing.T) {
	k, _ := opened(t)
	if err := k.Hub().Open(egs.Channel{Name: "other"}); err != nil {
		t.Fatal(err)
	}
	ps := participants(t, k)
	ctx := within(t)
	for _, way := range [][2]string{
		{"direct_too", "direct"}, {"direct", "relayed"}, {"inside", "direct"}, {"inside", "text"}, {"direct", "inside"}, {"relayed", "inside"},
	} {
		t.Run(way[0]+" to "+way[1], func(t *testing.T) {
			from, to := ps[way[0]], ps[way[1]]
			blocked, release := make(chan struct{}), make(chan struct{})
			var once sync.Once
			free := sync.OnceFunc(func() { close(release) })
			defer free()
			stuck, err := to.Subscribe(ctx, egs.SubscribeRequest{Channel: "alarms", Handler: func(egs.Event) {
				once.Do(func() { close(blocked) })
				<-release
			}})
			if err != nil {
				t.Fatal(err)
			}
			defer func() { free(); _ = stuck.Close() }()
			other, err := to.Subscribe(ctx, egs.SubscribeRequest{Channel: "other"})
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = other.Close() }()
			src, err := from.Attach(ctx, "alarms")
			if err != nil {
				t.Fatal(err)
			}
			alone(ctx, t, src)
			submitted := uint64(0)
			submit := func() {
				t.Helper()
				if _, err := src.Submit(ctx, egs.Event{Values: []dsv.Value{dsv.FloatValue(1)}}); err != nil {
					t.Fatal(err)
				}
				submitted++
			}
			submit()
			<-blocked
			came := make(chan error, 1)
			go func() {
				_, err := other.Next(ctx)
				came <- err
			}()
			began := time.Now()
			for waits := true; waits; {
				submit()
				if err := from.Publish(ctx, egs.Event{Channel: "other"}); err != nil {
					t.Fatal(err)
				}
				select {
				case err := <-came:
					if err != nil {
						t.Fatalf("the other sink: %v", err)
					}
					waits = false
				case <-time.After(10 * time.Millisecond):
				}
			}
			if d := time.Since(began); d > 5*time.Second {
				t.Errorf("the other sink waited %v", d)
			}
			for _, p := range []egs.Service{from, to} {
				if _, err := p.Members(ctx, "team"); err != nil {
					t.Error(err)
				}
			}
			free()
			for st := stuck.Stats(); st.Delivered+st.Lost != submitted; st = stuck.Stats() {
				submit()
				time.Sleep(time.Millisecond)
				if ctx.Err() != nil {
					t.Fatalf("of %d events the sink counts %+v", submitted, st)
				}
			}
		})
	}
}
