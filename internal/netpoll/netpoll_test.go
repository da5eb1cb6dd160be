package netpoll_test

import (
	"bytes"
	"errors"
	"io"
	"net/netip"
	"runtime"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/eve-emulation/eve/internal/mono"
	"github.com/eve-emulation/eve/internal/netpoll"
)

var loopback = netip.MustParseAddrPort("127.0.0.1:0")

func poller(t testing.TB) *netpoll.Poller { return pollerOn(t, netpoll.Epoll) }

func pollerOn(t testing.TB, m netpoll.Mechanism) *netpoll.Poller {
	t.Helper()
	p, err := netpoll.NewPollerOn(m, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := errors.Join(p.Close(), p.Close()); err != nil {
			t.Error(err)
		}
	})
	return p
}

func must[T any](v T, err error) func(testing.TB) T {
	return func(t testing.TB) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

func closing(t testing.TB, fd int) int {
	t.Cleanup(func() { _ = netpoll.Close(fd) })
	return fd
}

// pair returns both ends of a connection: the one that connected, and the one that was accepted.
func pair(t testing.TB, from netip.Addr) (a, b int) {
	t.Helper()
	ln := closing(t, must(netpoll.Listen(loopback, 16, false))(t))
	addr := must(netpoll.Local(ln))(t)
	a = closing(t, must(netpoll.Connect(from, addr))(t))
	p := poller(t)
	if err := errors.Join(p.Add(ln, 1, netpoll.In), p.Add(a, 2, netpoll.Out)); err != nil {
		t.Fatal(err)
	}
	for seen := uint64(0); seen != 3; {
		for _, ev := range must(p.Wait(mono.Never))(t) {
			seen |= ev.Tag
		}
	}
	if err := netpoll.ConnectError(a); err != nil {
		t.Fatal(err)
	}
	return a, closing(t, must(netpoll.Accept(ln))(t))
}

func TestSockets(t *testing.T) {
	from := netip.MustParseAddr("127.0.0.7")
	a, b := pair(t, from)
	if got := must(netpoll.Peer(b))(t); got.Addr() != from {
		t.Errorf("source address: got %v, want %v", got, from)
	}
	if got, want := must(netpoll.Peer(a))(t), must(netpoll.Local(b))(t); got != want {
		t.Errorf("peer of the one: got %v, want the other's address %v", got, want)
	}
	for _, fd := range []int{a, b} {
		if got, err := syscall.GetsockoptInt(fd, syscall.IPPROTO_TCP, syscall.TCP_NODELAY); got != 1 || err != nil {
			t.Errorf("TCP_NODELAY: got %d, %v, want 1", got, err)
		}
	}
	buf := make([]byte, 100)
	if _, err := netpoll.Read(b, buf); !errors.Is(err, netpoll.ErrAgain) {
		t.Errorf("read of nothing: got %v, want %v", err, netpoll.ErrAgain)
	}
	if n, err := netpoll.Writev(a, [][]byte{[]byte("he"), nil, []byte("llo"), {}}); n != 5 || err != nil {
		t.Errorf("writev: got %d, %v, want 5, nil", n, err)
	}
	if n, err := netpoll.Read(b, buf); string(buf[:n]) != "hello" || err != nil {
		t.Errorf("read: got %q, %v, want hello", buf[:n], err)
	}
	if err := netpoll.CloseWrite(a); err != nil {
		t.Error(err)
	}
	if n, err := netpoll.Read(b, buf); n != 0 || !errors.Is(err, io.EOF) {
		t.Errorf("read at the end: got %d, %v, want 0, EOF", n, err)
	}
	if n, err := netpoll.Write(b, []byte("back")); n != 4 || err != nil {
		t.Errorf("write after the peer's end: got %d, %v, want 4, nil", n, err)
	}
}

// TestFull writes until the socket takes no more, and reads it all.
func TestFull(t *testing.T) {
	a, b := pair(t, netip.Addr{})
	block := bytes.Repeat([]byte("x"), 100_000)
	pieces := make([][]byte, netpoll.MaxVec+10)
	for i := range pieces {
		pieces[i] = block
	}
	sent := 0
	for {
		n, err := netpoll.Writev(a, pieces)
		if errors.Is(err, netpoll.ErrAgain) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		sent += n
	}
	if _, err := netpoll.Write(a, block); !errors.Is(err, netpoll.ErrAgain) {
		t.Errorf("write to a full socket: got %v, want %v", err, netpoll.ErrAgain)
	}
	p := poller(t)
	if err := p.Add(b, 1, netpoll.In); err != nil {
		t.Fatal(err)
	}
	for got := 0; got < sent; {
		if evs := must(p.Wait(mono.Never))(t); len(evs) == 0 {
			continue
		}
		n, err := netpoll.Read(b, block)
		if err != nil {
			t.Fatal(err)
		}
		got += n
	}
}

func TestErrors(t *testing.T) {
	ln := must(netpoll.Listen(loopback, 1, false))(t)
	addr := must(netpoll.Local(ln))(t)
	if _, err := netpoll.Listen(addr, 1, false); !errors.Is(err, syscall.EADDRINUSE) {
		t.Errorf("listen twice: got %v, want %v", err, syscall.EADDRINUSE)
	}
	if _, err := netpoll.Accept(ln); !errors.Is(err, netpoll.ErrAgain) {
		t.Errorf("accept of nothing: got %v, want %v", err, netpoll.ErrAgain)
	}
	if err := netpoll.Close(ln); err != nil {
		t.Error(err)
	}
	if err := netpoll.Close(ln); err == nil {
		t.Error("close twice: got no error")
	}
	fd, err := netpoll.Connect(netip.Addr{}, addr)
	if err == nil {
		p := poller(t)
		if err := p.Add(closing(t, fd), 1, netpoll.Out); err != nil {
			t.Fatal(err)
		}
		for len(must(p.Wait(mono.Never))(t)) == 0 {
		}
		err = netpoll.ConnectError(fd)
	}
	if !netpoll.Refused(err) || netpoll.Reset(err) || netpoll.Exhausted(err) {
		t.Errorf("connect to nobody: got %v, want refused", err)
	}

	a, b := pair(t, netip.Addr{})
	if err := netpoll.Abort(a); err != nil {
		t.Error(err)
	}
	p := poller(t)
	if err := p.Add(b, 1, netpoll.In); err != nil {
		t.Fatal(err)
	}
	for len(must(p.Wait(mono.Never))(t)) == 0 {
	}
	if _, err := netpoll.Read(b, make([]byte, 1)); !netpoll.Reset(err) {
		t.Errorf("read after an abort: got %v, want reset", err)
	}
	if _, err := netpoll.Write(b, make([]byte, 1)); !netpoll.Reset(err) {
		t.Errorf("write after an abort: got %v, want reset", err)
	}
	if !netpoll.Exhausted(syscall.EMFILE) || netpoll.Exhausted(syscall.ECONNRESET) {
		t.Error("exhausted: EMFILE must be, ECONNRESET must not")
	}
}

// TestShared spreads connections over listeners of one address.
func TestShared(t *testing.T) {
	one := closing(t, must(netpoll.Listen(loopback, 64, true))(t))
	addr := must(netpoll.Local(one))(t)
	two := closing(t, must(netpoll.Listen(addr, 64, true))(t))
	for range 64 {
		closing(t, must(netpoll.Connect(netip.Addr{}, addr))(t))
	}
	p := poller(t)
	if err := errors.Join(p.Add(one, 0, netpoll.In), p.Add(two, 1, netpoll.In)); err != nil {
		t.Fatal(err)
	}
	got := [2]int{}
	for got[0]+got[1] < 64 {
		for _, ev := range must(p.Wait(mono.Never))(t) {
			fd, err := netpoll.Accept([2]int{one, two}[ev.Tag])
			if err == nil {
				closing(t, fd)
				got[ev.Tag]++
			}
		}
	}
	if got[0] == 0 || got[1] == 0 {
		t.Errorf("connections at each listener: got %v, want some at both", got)
	}
}

func TestPoller(t *testing.T) { onEach(t, checkPoller) }

func checkPoller(t *testing.T, m netpoll.Mechanism) {
	a, b := pair(t, netip.Addr{})
	p := pollerOn(t, m)
	const tag = 1<<63 | 7<<32 | 9
	if err := p.Add(b, tag, netpoll.In); err != nil {
		t.Fatal(err)
	}
	if err := p.Add(b, tag, netpoll.In); err == nil {
		t.Error("add twice: got no error")
	}
	if evs := must(p.Wait(0))(t); len(evs) != 0 {
		t.Errorf("events before anything happened: got %v", evs)
	}
	for range 2 { // a level stays
		if _, err := netpoll.Write(a, []byte("x")); err != nil {
			t.Fatal(err)
		}
		evs := must(p.Wait(mono.Never))(t)
		if len(evs) != 1 || evs[0] != (netpoll.Event{Tag: tag, Events: netpoll.In}) {
			t.Errorf("events: got %v, want In of tag %x", evs, uint64(tag))
		}
	}
	if err := p.Modify(b, 5, netpoll.Out); err != nil {
		t.Fatal(err)
	}
	if evs := must(p.Wait(mono.Never))(t); len(evs) != 1 || evs[0] != (netpoll.Event{Tag: 5, Events: netpoll.Out}) {
		t.Errorf("events: got %v, want Out of tag 5", evs)
	}
	if err := p.Delete(b); err != nil {
		t.Fatal(err)
	}
	if evs := must(p.Wait(0))(t); len(evs) != 0 {
		t.Errorf("events of a deleted descriptor: got %v", evs)
	}
}

// TestInstant waits for instants: never early, asleep and spinning.
func TestInstant(t *testing.T) { onEach(t, checkInstant) }

func checkInstant(t *testing.T, m netpoll.Mechanism) {
	p := pollerOn(t, m)
	for _, spin := range []time.Duration{0, 100 * time.Microsecond, time.Hour} {
		p.Spin(int64(spin))
		for _, d := range []time.Duration{-time.Second, 0, time.Microsecond, 300 * time.Microsecond, 2500 * time.Microsecond} {
			at := mono.Now() + int64(d)
			for mono.Now() < at { // a signal may end a wait
				if evs := must(p.Wait(at))(t); len(evs) != 0 {
					t.Errorf("events: got %v, want none", evs)
				}
			}
		}
	}
}

// TestWake ends waits from another goroutine, one Wake each, before and during the wait.
func TestWake(t *testing.T) { onEach(t, checkWake) }

func checkWake(t *testing.T, m netpoll.Mechanism) {
	p := pollerOn(t, m)
	lasted := false
	for range 5 { // a signal may end a wait, but hardly every one
		p.Wake()
		p.Wake()
		must(p.Wait(mono.Never))(t)
		start := mono.Now()
		must(p.Wait(start + int64(5*time.Millisecond)))(t)
		lasted = lasted || mono.Now() >= start+int64(5*time.Millisecond)
	}
	if !lasted {
		t.Error("two wakes before a wait ended two waits")
	}
	turns := make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() {
		for range turns {
			p.Wake()
		}
	})
	for range 1000 {
		turns <- struct{}{}
		must(p.Wait(mono.Never))(t)
	}
	close(turns)
	wg.Wait()
}

func TestAllocations(t *testing.T) { onEach(t, checkAllocations) }

func checkAllocations(t *testing.T, m netpoll.Mechanism) {
	a, b := pair(t, netip.Addr{})
	p := pollerOn(t, m)
	if err := p.Add(b, 1, netpoll.In); err != nil {
		t.Fatal(err)
	}
	msg, buf := []byte("hello"), make([]byte, 16)
	pieces := [][]byte{msg, msg}
	got := testing.AllocsPerRun(100, func() {
		_, _ = netpoll.Write(a, msg)
		_, _ = netpoll.Writev(a, pieces)
		_, _ = p.Wait(mono.Now() + 1e9)
		_ = p.Modify(b, 1, netpoll.In)
		_, _ = netpoll.Read(b, buf)
		_, _ = netpoll.Read(b, buf)
		p.Wake()
		_, _ = p.Wait(mono.Never)
	})
	if got != 0 {
		t.Errorf("allocations: got %v, want 0", got)
	}
}

// TestLightWait has a poller keep from the scheduler: it must wait as long, and wake up as ever.
func TestLightWait(t *testing.T) {
	p := poller(t)
	p.Light(true)
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	a, b := pair(t, netip.Addr{})
	if err := p.Add(b, 1, netpoll.In); err != nil {
		t.Fatal(err)
	}
	for range 3 {
		if _, err := netpoll.Write(a, []byte("x")); err != nil {
			t.Fatal(err)
		}
		for found := false; !found; {
			evs, err := p.Wait(mono.Never)
			if err != nil {
				t.Fatal(err)
			}
			found = len(evs) == 1 && evs[0].Tag == 1
		}
		if _, err := netpoll.Read(b, make([]byte, 8)); err != nil {
			t.Fatal(err)
		}
		turns := 0
		for end := mono.Now() + int64(25*time.Millisecond); mono.Now() < end; turns++ {
			if evs, err := p.Wait(end); err != nil || len(evs) > 0 {
				t.Fatalf("wait: got %v, %v, want nothing", evs, err)
			}
		}
		if turns > 20 { // a signal may end one now and then
			t.Errorf("waits that ended before their instant: got %d, want next to none", turns-1)
		}
		done := make(chan struct{})
		go func() {
			defer close(done)
			p.Wake()
		}()
		if _, err := p.Wait(mono.Never); err != nil {
			t.Fatal(err)
		}
		<-done
	}
}
