package link_test

import (
	"context"
	"encoding/binary"
	"errors"
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/eve-emulation/eve/dsv"
	"github.com/eve-emulation/eve/evekernel/egs"
	"github.com/eve-emulation/eve/evekernel/link"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// patience bounds the wait for anything that comes at once on a machine that is not busy.
const patience = 30 * time.Second

// put queues an event with one int.
func put(t *testing.T, l *link.Link, priority int, seq uint64, n int64, data int) bool {
	t.Helper()
	e := egs.Event{Priority: priority, Values: []dsv.Value{{}, {}, dsv.IntValue(n)}, Data: make([]byte, data)}
	l.Room()
	ok, flush := l.Queue(priority, []link.Dest{{Sub: 0, Seq: seq}}, link.AppendBody(nil, beats(), &e), false)
	if flush {
		l.Flush()
	}
	return ok
}

// TestRefusals checks who is let in.
func TestRefusals(t *testing.T) {
	p := start(t, 1, func(egs.Event) {})
	dial := func(node uint64, secret string) error {
		n := link.New(link.Config{Node: 7, Name: "n", Secret: secret})
		defer n.Close()
		_, err := n.Dial(t.Context(), node, p.addr)
		return err
	}
	if err := dial(1, "secret"); err != nil {
		t.Errorf("dial: %v", err)
	}
	if err := dial(2, "secret"); !errors.Is(err, link.ErrRefused) {
		t.Errorf("dial of another process: %v, want %v", err, link.ErrRefused)
	}
	for _, secret := range []string{"", "guess", "secrets"} {
		if err := dial(1, secret); err == nil {
			t.Errorf("dial with secret %q: let in", secret)
		}
	}
	for _, hello := range []string{"GET / HTTP/1.1\r\n\r\n", "EVE1\xff\xff", "EVE1\x06\x00secret12345678\x01\x00\xff"} {
		c, err := net.Dial("tcp", p.addr)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := c.Write([]byte(hello)); err != nil {
			t.Fatal(err)
		}
		if err := c.SetReadDeadline(time.Now().Add(patience)); err != nil {
			t.Fatal(err)
		}
		if n, err := c.Read(make([]byte, 1)); n != 0 || err == nil {
			t.Errorf("hello %q was answered", hello)
		}
		_ = c.Close()
	}
}

// TestBothWays checks that one connection carries events both ways, in order and whole, whatever their size.
func TestBothWays(t *testing.T) {
	const events = 300
	sizes := []int{0, 1, 100, 70_000, 500_000}
	collect := func(done *sync.WaitGroup) func(egs.Event) {
		next := int64(0)
		done.Add(1)
		return func(e egs.Event) {
			if n := e.Values[2].Int; n != next || e.Lost != 0 || len(e.Data) != sizes[n%int64(len(sizes))] {
				t.Errorf("got event %d of %d bytes after %d lost, want %d of %d", n, len(e.Data), e.Lost, next, sizes[next%int64(len(sizes))])
			}
			if next++; next == events {
				done.Done()
			}
		}
	}
	var done sync.WaitGroup
	a, b := start(t, 1, collect(&done)), start(t, 2, collect(&done))
	ab, err := a.Dial(t.Context(), 2, b.addr)
	if err != nil {
		t.Fatal(err)
	}
	if again, err := a.Dial(t.Context(), 2, b.addr); err != nil || again != ab {
		t.Errorf("dialled twice: another link (error %v)", err)
	}
	ba, err := b.Dial(t.Context(), 1, a.addr)
	if err != nil {
		t.Fatal(err)
	}
	var work sync.WaitGroup
	for _, l := range []*link.Link{ab, ba} {
		work.Go(func() {
			for i := range events {
				for !put(t, l, 0, uint64(i+1), int64(i), sizes[i%len(sizes)]) {
					time.Sleep(time.Millisecond) // no room: it has no number yet that could be missed
				}
			}
		})
	}
	work.Wait()
	done.Wait()
	a.Close()
	if ab.Up() {
		t.Error("a link is up after its endpoint closed")
	}
	for late := time.Now().Add(patience); ba.Up(); time.Sleep(time.Millisecond) {
		if time.Now().After(late) {
			t.Fatal("the other end does not notice")
		}
	}
	if put(t, ba, 0, events+1, 0, 0) {
		t.Error("a link that is down takes events")
	}
}

// TestStuckPeer checks that a peer which reads nothing costs a bounded wait and bounded memory, that what it misses is
// counted.
func TestStuckPeer(t *testing.T) {
	hold := make(chan struct{})
	var got, lost atomic.Int64
	p := start(t, 2, func(e egs.Event) {
		<-hold
		got.Add(1)
		lost.Add(int64(e.Lost))
	})
	src := start(t, 1)
	l, err := src.Dial(t.Context(), 2, p.addr)
	if err != nil {
		t.Fatal(err)
	}
	seq, sent := uint64(0), int64(0)
	began := time.Now()
	for full := 0; full < 100; {
		seq++
		if put(t, l, 0, seq, 0, 4000) {
			sent++
			full = 0
		} else {
			full++
		}
		if time.Since(began) > patience {
			t.Fatalf("%d events and still room", sent)
		}
	}
	sent0 := sent
	close(hold)
	for late := time.Now().Add(patience); got.Load() < sent0; time.Sleep(time.Millisecond) {
		if time.Now().After(late) {
			t.Fatalf("got %d, want %d", got.Load(), sent0)
		}
	}
	seq++
	for late := time.Now().Add(patience); !put(t, l, 0, seq, 0, 0); time.Sleep(time.Millisecond) {
		if time.Now().After(late) {
			t.Fatal("no room for one more")
		}
	}
	for late := time.Now().Add(patience); got.Load()+lost.Load() < int64(seq); time.Sleep(time.Millisecond) {
		if time.Now().After(late) {
			t.Fatalf("got %d and lost %d, want %d together", got.Load(), lost.Load(), seq)
		}
	}
	if got.Load() != sent0+1 || lost.Load() < 100 {
		t.Errorf("got %d and lost %d, sent %d of %d", got.Load(), lost.Load(), sent0+1, seq)
	}
}

// TestPriority checks that of what waits for a link the higher priority goes first.
func TestPriority(t *testing.T) {
	hold := make(chan struct{})
	order := make(chan int, 100)
	p := start(t, 2, func(e egs.Event) {
		<-hold
		if len(e.Data) < 1000 {
			order <- e.Priority
		}
	})
	src := start(t, 1)
	l, err := src.Dial(t.Context(), 2, p.addr)
	if err != nil {
		t.Fatal(err)
	}
	seq := uint64(0)
	for queued := false; !queued; queued = l.Queued() > link.MaxQueue/4 { // until the peer's buffers are full
		seq++
		put(t, l, 9, seq, 0, 60_000)
	}
	for i := range 30 {
		put(t, l, i%3, uint64(i/3+1), 0, 10)
	}
	close(hold)
	last := 3
	for i := range 30 {
		select {
		case priority := <-order:
			if priority > last {
				t.Errorf("event %d has priority %d after %d", i, priority, last)
			}
			last = priority
		case <-time.After(patience):
			t.Fatalf("event %d did not come", i)
		}
	}
}

// TestSilentCaller checks that one who says nothing keeps neither the others nor Close.
func TestSilentCaller(t *testing.T) {
	p := start(t, 1, func(egs.Event) {})
	c, err := net.Dial("tcp", p.addr)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = c.Close() }()
	n := link.New(link.Config{Node: 2, Secret: "secret"})
	defer n.Close()
	if _, err := n.Dial(t.Context(), 1, p.addr); err != nil {
		t.Fatal(err)
	}
	p.Close()
	p.Close()
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	if _, err := p.Dial(ctx, 2, "127.0.0.1:1"); !errors.Is(err, net.ErrClosed) {
		t.Errorf("dial after close: %v, want %v", err, net.ErrClosed)
	}
}

// FuzzLink feeds a link with anything: it takes whole events, or ends.
func FuzzLink(f *testing.F) {
	body := link.AppendBody(nil, beats(), &egs.Event{ID: 7, Values: []dsv.Value{dsv.FloatValue(1), dsv.TextValue("x"), dsv.IntValue(-3)}, Data: []byte("data")})
	event := append([]byte{0, 0, 0, 0, 1, 1, 0, 1}, body...)
	binary.LittleEndian.PutUint32(event, uint32(len(event)-4))
	f.Add(event)
	f.Add(append(event, event[:9]...))
	f.Add([]byte{1, 0, 0, 0, 2})
	f.Add([]byte{3, 0, 0, 0, 2, 1, 0})
	f.Add([]byte{255, 255, 255, 255})
	decl := beats()
	f.Fuzz(func(t *testing.T, b []byte) {
		link.Feed(b, decl, func(e egs.Event) {
			if err := decl.Fits(&e); err != nil {
				t.Errorf("an event that does not fit: %v", err)
			}
		})
	})
}
