package modules_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/eve-emulation/eve/dsv"
	"github.com/eve-emulation/eve/dsv/dsvbolt"
	"github.com/eve-emulation/eve/dsv/dsvtest"
	"github.com/eve-emulation/eve/evekernel"
	"github.com/eve-emulation/eve/evekernel/egs"
	"github.com/eve-emulation/eve/evekernel/wire"
	"github.com/eve-emulation/eve/modules"
)

func TestProxyIsASpace(t *testing.T) {
	for _, c := range codings() {
		t.Run(c.String(), func(t *testing.T) {
			dsvtest.Run(t, func(t *testing.T) dsv.Space {
				k, _ := open(t, evekernel.Config{})
				return connect(t, linkTo(k, c))
			})
			dsvtest.History(t, func(t *testing.T) dsv.Space {
				db, err := dsvbolt.Create(filepath.Join(t.TempDir(), "run.db"))
				if err != nil {
					t.Fatal(err)
				}
				t.Cleanup(func() { _ = db.Close() })
				k, _ := open(t, evekernel.Config{Recorder: db})
				return connect(t, linkTo(k, c))
			})
			dsvtest.NoHistory(t, func(t *testing.T) dsv.Space {
				k, _ := open(t, evekernel.Config{})
				return connect(t, linkTo(k, c))
			})
		})
	}
}

// TestProxyStandsAmongUsers has several users of one proxy at once.
func TestProxyStandsAmongUsers(t *testing.T) {
	for _, c := range []wire.Coding{wire.CBOR, wire.JSON} {
		t.Run(c.String(), func(t *testing.T) {
			dsvtest.Random(t, func(t *testing.T) dsv.Space {
				k, _ := open(t, evekernel.Config{})
				return connect(t, linkTo(k, c))
			})
		})
	}
}

// TestReconnect cuts the connection again and again while deltas are sent and watched: none is lost, none counted twice,
// and the watch sees every change once and in order.
func TestReconnect(t *testing.T) {
	const deltas = 3000
	k, _ := open(t, evekernel.Config{})
	ctx, cancel := context.WithTimeout(t.Context(), 2*patience)
	defer cancel()
	r := newRelay(t, k.Addr().String())
	link := linkTo(k, wire.CBOR)
	link.Name, link.Dial = "writer", r.dial
	p := connect(t, link)
	if err := p.Create(ctx, dsv.Declaration{Name: "n", Kind: dsv.Int, Merge: dsv.Sum}); err != nil {
		t.Fatal(err)
	}
	all, err := p.Watch(ctx, dsv.WatchRequest{Pattern: "n", Mode: dsv.All})
	if err != nil {
		t.Fatal(err)
	}
	latest, err := p.Watch(ctx, dsv.WatchRequest{Pattern: "n"})
	if err != nil {
		t.Fatal(err)
	}
	cutting, stop := context.WithCancel(ctx)
	cut := make(chan struct{})
	go func() {
		defer close(cut)
		every := time.NewTicker(60 * time.Millisecond)
		defer every.Stop()
		for cutting.Err() == nil {
			r.cut()
			select {
			case <-every.C:
			case <-cutting.Done():
			}
		}
	}()
	synced := make(chan error, 1)
	go func() {
		var errs []error
		for seq := uint64(1); seq <= deltas; seq++ {
			d := dsv.Delta{Name: "n", Writer: 7, Seq: seq, T1: dsv.Instant(seq), Value: dsv.IntValue(1), Weight: 1}
			errs = append(errs, p.Sync(ctx, []dsv.Delta{d}))
			if seq%100 == 0 {
				time.Sleep(10 * time.Millisecond)
			}
		}
		synced <- errors.Join(errs...)
	}()
	for want := int64(1); want <= deltas; want++ {
		u, err := all.Next(ctx)
		if err != nil {
			t.Fatalf("change %d: %v", want, err)
		}
		if u.Gap != 0 || u.Reading.Value.Int != want {
			t.Fatalf("watch of all: %d (gap %d), want %d", u.Reading.Value.Int, u.Gap, want)
		}
	}
	stop()
	<-cut
	if err := <-synced; err != nil {
		t.Fatal(err)
	}
	for last := int64(0); last < deltas; {
		u, err := latest.Next(ctx)
		if err != nil {
			t.Fatal(err)
		}
		if u.Reading.Value.Int <= last {
			t.Fatalf("watch of the latest: %d after %d", u.Reading.Value.Int, last)
		}
		last = u.Reading.Value.Int
	}
	got, err := k.Space().Read(ctx, "n")
	if err != nil || got.Value.Int != deltas {
		t.Errorf("the Store has %d (error %v), want %d", got.Value.Int, err, deltas)
	}
	if r.cuts < 3 {
		t.Errorf("the connection was cut %d times only", r.cuts)
	}
}

// TestLatestAfterLoss checks that a watch of the latest values skips, after a lost connection, what it has seen, and
// learns what it has missed.
func TestLatestAfterLoss(t *testing.T) {
	k, _ := open(t, evekernel.Config{})
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	r := newRelay(t, k.Addr().String())
	link := linkTo(k, wire.CBOR)
	link.Dial = r.dial
	p := connect(t, link)
	for _, n := range []dsv.Name{"a", "b"} {
		if err := p.Create(ctx, dsv.Declaration{Name: n, Kind: dsv.Int}); err != nil {
			t.Fatal(err)
		}
		if _, err := p.Write(ctx, n, dsv.IntValue(1)); err != nil {
			t.Fatal(err)
		}
	}
	w, err := p.Watch(ctx, dsv.WatchRequest{Pattern: "*"})
	if err != nil {
		t.Fatal(err)
	}
	next := func(n dsv.Name, want int64) {
		t.Helper()
		if u, err := w.Next(ctx); err != nil || u.Name != n || u.Reading.Value.Int != want {
			t.Fatalf("update is %+v (error %v), want %s at %d", u, err, n, want)
		}
	}
	next("a", 1)
	next("b", 1)
	r.stop()
	if _, err := k.Space().Write(ctx, "b", dsv.IntValue(2)); err != nil {
		t.Fatal(err)
	}
	r.resume(k.Addr().String())
	next("b", 2)
	// What was deleted meanwhile is told, and what was made again after it.
	r.stop()
	if err := errors.Join(k.Space().Delete(ctx, "a"), k.Space().Delete(ctx, "b"), k.Space().Create(ctx, dsv.Declaration{Name: "b", Kind: dsv.Int})); err != nil {
		t.Fatal(err)
	}
	if _, err := k.Space().Write(ctx, "b", dsv.IntValue(3)); err != nil {
		t.Fatal(err)
	}
	r.resume(k.Addr().String())
	for _, n := range []dsv.Name{"a", "b"} {
		if u, err := w.Next(ctx); err != nil || u.Name != n || !u.Deleted {
			t.Fatalf("update is %+v (error %v), want that %s was deleted", u, err, n)
		}
	}
	next("b", 3)
	r.stop() // a deletion is told once
	if _, err := k.Space().Write(ctx, "b", dsv.IntValue(4)); err != nil {
		t.Fatal(err)
	}
	r.resume(k.Addr().String())
	next("b", 4)
}

// TestAllAfterLoss checks that a watch of all changes which has seen none goes on, after a lost connection, with those
// that it missed.
func TestAllAfterLoss(t *testing.T) {
	k, _ := open(t, evekernel.Config{})
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	defer cancel()
	for _, n := range []dsv.Name{"x", "other"} {
		if err := k.Space().Create(ctx, dsv.Declaration{Name: n, Kind: dsv.Int}); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := k.Space().Write(ctx, "other", dsv.IntValue(1)); err != nil {
		t.Fatal(err)
	}
	r := newRelay(t, k.Addr().String())
	link := linkTo(k, wire.CBOR)
	link.Dial = r.dial
	w, err := connect(t, link).Watch(ctx, dsv.WatchRequest{Pattern: "x", Mode: dsv.All})
	if err != nil {
		t.Fatal(err)
	}
	r.stop()
	for i := range 3 {
		if _, err := k.Space().Write(ctx, "x", dsv.IntValue(int64(i))); err != nil {
			t.Fatal(err)
		}
	}
	r.resume(k.Addr().String())
	for i := range 3 {
		if u, err := w.Next(ctx); err != nil || u.Reading.Value.Int != int64(i) {
			t.Fatalf("change %d is %+v (error %v)", i, u, err)
		}
	}
}

// TestFollowSlowly checks that who follows a variable too slowly still learns its value, and of none that it never had.
func TestFollowSlowly(t *testing.T) {
	s := dsv.NewStore(nil)
	defer s.Close()
	if err := s.Create(t.Context(), dsv.Declaration{Name: "x", Kind: dsv.Int}); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	defer cancel()
	const last = 20_000 // more than the Store queues
	var write sync.Once
	var got int64
	first := func() {
		for i := range last {
			if _, err := s.Write(ctx, "x", dsv.IntValue(int64(i+1))); err != nil {
				t.Error(err)
			}
		}
	}
	if _, err := s.Write(ctx, "x", dsv.IntValue(1)); err != nil {
		t.Fatal(err)
	}
	err := modules.Follow(ctx, s, "x", func(u dsv.Update) {
		write.Do(first)
		if got = u.Reading.Value.Int; got == 0 {
			t.Errorf("update is %+v", u)
		}
		if got == last {
			cancel()
		}
	})
	if err != nil || got != last {
		t.Errorf("followed to %d (error %v), want %d", got, err, last)
	}
}

// TestGapsCostNothing checks that a participant may be cut off, and watch again, more often than it may have watches.
func TestGapsCostNothing(t *testing.T) {
	k, _ := open(t, evekernel.Config{})
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	k.Store().SetRevision(1000) // what was before is forgotten
	p := connect(t, linkTo(k, wire.CBOR))
	for i := range 4200 {
		w, err := p.Watch(ctx, dsv.WatchRequest{Pattern: "x", Mode: dsv.All, From: 1})
		if err != nil {
			t.Fatalf("watch %d: %v", i, err)
		}
		if u, err := w.Next(ctx); err != nil || u.Gap == 0 {
			t.Fatalf("watch %d: update is %+v (error %v), want a gap", i, u, err)
		}
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

// TestManySeenAfterLoss checks that a watch goes on after a lost connection although it has seen more values than the
// kernel may send at once.
func TestManySeenAfterLoss(t *testing.T) {
	const variables = 700
	k, _ := open(t, evekernel.Config{})
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	defer cancel()
	r := newRelay(t, k.Addr().String())
	link := linkTo(k, wire.CBOR)
	link.Dial = r.dial
	p := connect(t, link)
	w, err := p.Watch(ctx, dsv.WatchRequest{Pattern: "v.*"})
	if err != nil {
		t.Fatal(err)
	}
	for i := range variables {
		n := dsv.Name(fmt.Sprintf("v.n%d", i))
		if err := k.Space().Create(ctx, dsv.Declaration{Name: n, Kind: dsv.Int}); err != nil {
			t.Fatal(err)
		}
		if _, err := k.Space().Write(ctx, n, dsv.IntValue(1)); err != nil {
			t.Fatal(err)
		}
	}
	for i := range variables {
		if _, err := w.Next(ctx); err != nil {
			t.Fatalf("update %d: %v", i, err)
		}
	}
	r.stop()
	if _, err := k.Space().Write(ctx, "v.n0", dsv.IntValue(2)); err != nil {
		t.Fatal(err)
	}
	r.resume(k.Addr().String())
	if u, err := w.Next(ctx); err != nil || u.Name != "v.n0" || u.Reading.Value.Int != 2 {
		t.Fatalf("update is %+v (error %v), want v.n0 at 2", u, err)
	}
}

// TestCloseWhileConnecting checks that Run ends when Close comes before the connection does.
func TestCloseWhileConnecting(t *testing.T) {
	k, _ := open(t, evekernel.Config{})
	link := linkTo(k, wire.CBOR)
	dialing, closed := make(chan struct{}), make(chan struct{})
	link.Dial = func(ctx context.Context) (net.Conn, error) {
		close(dialing)
		<-closed
		return new(net.Dialer).DialContext(ctx, "tcp", k.Addr().String())
	}
	p := modules.NewProxy(link, nil)
	ran := make(chan error, 1)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	go func() { ran <- p.Run(ctx) }()
	<-dialing
	if err := p.Close(nil); err != nil {
		t.Fatal(err)
	}
	close(closed)
	select {
	case err := <-ran:
		if err != nil {
			t.Errorf("run: %v", err)
		}
	case <-time.After(5 * time.Second):
		t.Error("run does not end")
		cancel()
		<-ran
	}
}

// TestLost checks that a request which must not be repeated is told to be lost, and others are repeated.
func TestLost(t *testing.T) {
	k, _ := open(t, evekernel.Config{})
	if err := k.Hub().Expect("gate", "x", "y"); err != nil {
		t.Fatal(err)
	}
	r := newRelay(t, k.Addr().String())
	link := linkTo(k, wire.JSON)
	link.Name, link.Dial = "x", r.dial
	p := connect(t, link)
	joined := make(chan error, 1)
	go func() {
		_, err := p.Join(t.Context(), "gate")
		joined <- err
	}()
	for len(k.Hub().Missing("gate")) != 1 {
		time.Sleep(time.Millisecond)
	}
	r.cut()
	if _, err := k.Hub().Member("y").Join(t.Context(), "gate"); err != nil {
		t.Fatal(err)
	}
	if err := <-joined; err != nil {
		t.Errorf("join across a lost connection: %v", err)
	}
}

func TestRefused(t *testing.T) {
	k, _ := open(t, evekernel.Config{})
	link := linkTo(k, wire.CBOR)
	link.Token = "guess"
	p := modules.NewProxy(link, nil)
	if err := p.Run(t.Context()); !errors.Is(err, wire.ErrUnauthorized) {
		t.Errorf("run with a wrong token: %v, want %v", err, wire.ErrUnauthorized)
	}
	if _, err := p.Read(t.Context(), "x"); !errors.Is(err, dsv.ErrClosed) || !errors.Is(err, wire.ErrUnauthorized) {
		t.Errorf("read after that: %v, want %v", err, dsv.ErrClosed)
	}
}

// TestServices checks barriers, groups and channels through two proxies.
func TestServices(t *testing.T) {
	for _, c := range []wire.Coding{wire.CBOR, wire.JSON} {
		t.Run(c.String(), func(t *testing.T) {
			k, _ := open(t, evekernel.Config{})
			ctx, cancel := context.WithTimeout(t.Context(), patience)
			defer cancel()
			la, lb := linkTo(k, c), linkTo(k, c)
			la.Name, lb.Name = "a", "b"
			a, b := connect(t, la), connect(t, lb)
			for _, err := range []error{a.Enter(ctx, "team"), b.Enter(ctx, "team"), b.Leave(ctx, "team"), b.Enter(ctx, "team")} {
				if err != nil {
					t.Fatal(err)
				}
			}
			if ms, err := a.Members(ctx, "team"); err != nil || len(ms) != 2 || ms[0] != "a" {
				t.Errorf("members are %v (error %v), want a and b", ms, err)
			}
			ch := egs.Channel{Name: "alarms", Help: "Too hot.", Attrs: []egs.Attr{{Name: "level", Kind: dsv.Float, Unit: "1"}}}
			if err := a.Open(ctx, ch); err != nil {
				t.Fatal(err)
			}
			s, err := b.Subscribe(ctx, egs.SubscribeRequest{Channel: "alarms"})
			if err != nil {
				t.Fatal(err)
			}
			e := egs.Event{Channel: "alarms", At: 1 << 60, Values: []dsv.Value{dsv.FloatValue(0.5)}, Data: []byte{0, 255}}
			if err := a.Publish(ctx, e); err != nil {
				t.Fatal(err)
			}
			got, err := s.Next(ctx)
			if err != nil || got.From != "a" || got.At != 1<<60 || got.Values[0].Float != 0.5 || string(got.Data) != "\x00\xff" {
				t.Errorf("event is %+v (error %v), want %+v from a", got, err, e)
			}
			e.Values = []dsv.Value{dsv.TextValue("high")}
			if err := a.Publish(ctx, e); !errors.Is(err, egs.ErrAttributes) {
				t.Errorf("publish of a wrong attribute: %v, want %v", err, egs.ErrAttributes)
			}
			ch.Help = "Other."
			if err := b.Open(ctx, ch); !errors.Is(err, dsv.ErrExists) {
				t.Errorf("open otherwise: %v, want %v", err, dsv.ErrExists)
			}
			if err := s.Close(); err != nil {
				t.Fatal(err)
			}
			if _, err := s.Next(ctx); !errors.Is(err, dsv.ErrClosed) {
				t.Errorf("next after close: %v, want %v", err, dsv.ErrClosed)
			}
		})
	}
}

// TestKernelRestarts checks that a participant goes on with a kernel that begins again at the same place, on the
// variables that the old one kept.
func TestKernelRestarts(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 2*patience)
	defer cancel()
	one, err := evekernel.New(evekernel.Config{})
	if err != nil {
		t.Fatal(err)
	}
	if err := one.Listen(); err != nil {
		t.Fatal(err)
	}
	running, crash := context.WithCancel(ctx)
	ran := make(chan error, 1)
	go func() { ran <- one.Run(running) }()
	r := newRelay(t, one.Addr().String())
	link := linkTo(one, wire.CBOR)
	link.Name, link.Dial = "writer", r.dial
	p := connect(t, link)
	d := dsv.Declaration{Name: "n", Kind: dsv.Int, Merge: dsv.Sum}
	if err := p.Create(ctx, d); err != nil {
		t.Fatal(err)
	}
	add := func(seq uint64) error {
		return p.Sync(ctx, []dsv.Delta{{Name: "n", Writer: 1, Seq: seq, Value: dsv.IntValue(1), Weight: 1}})
	}
	if err := add(1); err != nil {
		t.Fatal(err)
	}
	first, err := p.Welcome(ctx)
	if err != nil {
		t.Fatal(err)
	}
	// The old kernel vanishes without a word.
	r.stop()
	crash()
	if err := <-ran; err != nil {
		t.Fatal(err)
	}
	was, err := one.Space().Read(ctx, "n")
	if err != nil {
		t.Fatal(err)
	}
	if err := one.Close(); err != nil {
		t.Fatal(err)
	}
	sent := make(chan error, 1)
	go func() { sent <- add(2) }()

	two, _ := open(t, evekernel.Config{Token: one.Token()})
	last := dsv.Update{Name: "n", Revision: was.Revision, Reading: was}
	if err := two.Store().Restore(d, last, []dsv.Progress{{Writer: 1, Seq: 1}}); err != nil {
		t.Fatal(err)
	}
	r.resume(two.Addr().String())
	if err := <-sent; err != nil {
		t.Fatal(err)
	}
	if err := add(2); err != nil { // a repeat
		t.Fatal(err)
	}
	got, err := p.Read(ctx, "n")
	if err != nil || got.Value.Int != 2 || got.Revision <= was.Revision {
		t.Errorf("n is %v at %d (error %v), want 2 after %d", got.Value, got.Revision, err, was.Revision)
	}
	if w, err := p.Welcome(ctx); err != nil || w.Writer != first.Writer || w.Epoch != first.Epoch || w.Session == first.Session {
		t.Errorf("welcome is %+v (error %v), was %+v", w, err, first)
	}
}

// TestRunEnds checks that a guest learns that the run ends, and does not try to come back.
func TestRunEnds(t *testing.T) {
	k, err := evekernel.New(evekernel.Config{})
	if err != nil {
		t.Fatal(err)
	}
	if err := k.Listen(); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ran := make(chan error, 1)
	go func() { ran <- k.Run(ctx) }()
	p := modules.NewProxy(linkTo(k, wire.CBOR), nil)
	guest := make(chan error, 1)
	go func() { guest <- p.Run(t.Context()) }()
	w, err := p.Watch(t.Context(), dsv.WatchRequest{Pattern: "*"})
	if err != nil {
		t.Fatal(err)
	}
	cancel()
	if err := errors.Join(<-guest, <-ran, k.Close()); err != nil {
		t.Error(err)
	}
	if _, err := w.Next(t.Context()); !errors.Is(err, dsv.ErrClosed) {
		t.Errorf("next: %v, want %v", err, dsv.ErrClosed)
	}
}
