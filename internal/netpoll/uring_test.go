package netpoll_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/eve-emulation/eve/internal/mono"
	"github.com/eve-emulation/eve/internal/netpoll"
)

// newRing returns a started ring of the calling goroutine, which it locks to its thread, and closes it when the test ends.
func newRing(t testing.TB, cfg netpoll.RingConfig) *netpoll.Ring {
	t.Helper()
	r, err := netpoll.NewRing(cfg)
	if errors.Is(err, errors.ErrUnsupported) {
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	runtime.LockOSThread()
	t.Cleanup(func() {
		if err := r.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
		if err := r.Close(); err != nil {
			t.Errorf("close twice: %v", err)
		}
		runtime.UnlockOSThread()
	})
	if err := r.Start(); err != nil {
		t.Fatal(err)
	}
	return r
}

// turn waits once and dispatches.
func turn(t testing.TB, r *netpoll.Ring, until int64) bool {
	t.Helper()
	found, err := r.Wait(until)
	if err != nil {
		t.Fatal(err)
	}
	r.Dispatch()
	return found
}

// until turns the ring until done.
func until(t testing.TB, r *netpoll.Ring, what string, done func() bool) {
	t.Helper()
	for end := mono.Now() + int64(10*time.Second); !done(); {
		turn(t, r, end)
		if mono.Now() >= end {
			t.Fatalf("%s: has not come", what)
		}
	}
}

// A ringPair is a connection: fd is the side of the ring, peer the other.
type ringPair struct {
	fd   int
	peer *net.TCPConn
}

// pairs connects n peers by Accept.
func pairs(t testing.TB, r *netpoll.Ring, n int) []ringPair {
	t.Helper()
	ln, err := netpoll.Listen(netip.MustParseAddrPort("127.0.0.1:0"), 4096, false)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = netpoll.Close(ln) })
	addr, err := netpoll.Local(ln)
	if err != nil {
		t.Fatal(err)
	}
	var got []ringPair
	var ev netpoll.RingEvent
	ev = r.On(7, func(c *netpoll.Completion) {
		if c.Err != 0 || c.ID != 77 {
			t.Errorf("accept: got %+v", c)
		}
		if !c.More { // no place was left to report further ones
			r.Accept(ln, ev, 77)
		}
		got = append(got, ringPair{fd: c.N})
		t.Cleanup(func() { _ = netpoll.Close(c.N) })
	})
	r.Accept(ln, ev, 77)
	byPort := map[uint16]*net.TCPConn{}
	for range n {
		c, err := net.Dial("tcp", addr.String())
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = c.Close() })
		byPort[netip.MustParseAddrPort(c.LocalAddr().String()).Port()] = c.(*net.TCPConn)
	}
	until(t, r, "connections", func() bool { return len(got) == n })
	for i := range got {
		from, err := netpoll.Peer(got[i].fd)
		if err != nil {
			t.Fatal(err)
		}
		got[i].peer = byPort[from.Port()]
	}
	return got
}

// rings are the configurations under which receiving is tested.
var rings = []struct {
	name string
	cfg  netpoll.RingConfig
}{
	{"parts of buffers", netpoll.RingConfig{Buffers: 4, BufferBytes: 4096}},
	{"whole buffers", netpoll.RingConfig{Buffers: 16, BufferBytes: 512, WholeOnly: true}},
	{"one small buffer", netpoll.RingConfig{Buffers: 1, BufferBytes: 64}},
	{"few entries", netpoll.RingConfig{Entries: 2, Completions: 2, Buffers: 2, BufferBytes: 128}},
}

// TestRingReceive has many peers send at once, more than there are buffers and places for completions, and expects every byte once and in order.
func TestRingReceive(t *testing.T) {
	for _, tt := range rings {
		t.Run(tt.name, func(t *testing.T) {
			r := newRing(t, tt.cfg)
			ps := pairs(t, r, 40)
			got := make([][]byte, len(ps))
			ended, exhausted, rearmed := 0, 0, 0
			var ev netpoll.RingEvent
			ev = r.On(1, func(c *netpoll.Completion) {
				got[c.ID] = append(got[c.ID], c.Data...)
				switch {
				case c.More:
				case c.Err == 0 && c.N == 0:
					ended++
				case c.Err == syscall.ENOBUFS:
					exhausted++
					r.Receive(ps[c.ID].fd, ev, c.ID)
				case c.Err == 0:
					rearmed++
					r.Receive(ps[c.ID].fd, ev, c.ID)
				default:
					t.Errorf("receive: got %+v", c)
					ended++
				}
			})
			for i, p := range ps {
				r.Receive(p.fd, ev, uint64(i))
			}
			turn(t, r, 0)
			text := make([][]byte, len(ps))
			for i, p := range ps {
				text[i] = bytes.Repeat([]byte{byte('A' + i)}, 300*i)
				for k := range text[i] {
					text[i][k] += byte(k % 7)
				}
				if _, err := p.peer.Write(text[i]); err != nil {
					t.Fatal(err)
				}
				_ = p.peer.CloseWrite()
			}
			until(t, r, "ends of streams", func() bool { return ended == len(ps) })
			for i := range ps {
				if !bytes.Equal(got[i], text[i]) {
					t.Errorf("connection %d: got %d bytes, want %d, or others", i, len(got[i]), len(text[i]))
				}
			}
			t.Logf("%d receives found no buffer, %d ended otherwise", exhausted, rearmed)
			if tt.cfg.Buffers == 1 && exhausted == 0 {
				t.Error("buffers never ran out")
			}
		})
	}
}

// TestRingSend checks that a Send is silent, and that what a full socket does not take comes back and can be sent whole.
func TestRingSend(t *testing.T) {
	r := newRing(t, netpoll.RingConfig{SendBytes: 300_000})
	p := pairs(t, r, 1)[0]
	var left []byte
	shorts, ends := 0, 0
	short := r.On(0, func(c *netpoll.Completion) {
		if c.Err != 0 || c.ID != 5 {
			t.Errorf("send: got %+v", c)
		}
		shorts++
		left = append(left, c.Data...)
	})
	whole := r.On(0, func(c *netpoll.Completion) {
		if c.Err != 0 || c.ID != 6 {
			t.Errorf("send whole: got %+v", c)
		}
		ends++
	})
	sum := 0
	block := bytes.Repeat([]byte("0123456789abcdef"), 16384)
	pieces := [][]byte{block[:10], block[10:]}
	read := make(chan error, 1)
	for shorts == 0 {
		if !r.Send(p.fd, short, 5, pieces) {
			t.Fatal("send: got false, want true")
		}
		if r.Send(p.fd, short, 5, pieces) {
			t.Fatal("send beyond the room: got true, want false")
		}
		sum += len(block)
		turn(t, r, 0)
		if sum > 1<<28 {
			t.Fatal("the socket takes without end")
		}
	}
	rest := left
	for sent := 0; len(rest) > 0; sent++ {
		n, err := r.SendWhole(p.fd, whole, 6, rest)
		if err != nil || n == 0 {
			t.Fatalf("send whole: got %d, %v", n, err)
		}
		rest = rest[n:]
		if turn(t, r, 0); sent == 0 && ends != 0 {
			t.Fatal("a full socket has taken more")
		}
		if sent == 0 {
			go func() { read <- readBlocks(p.peer, block, sum) }()
		}
		until(t, r, "end of send", func() bool { return ends > sent })
	}
	if err := <-read; err != nil {
		t.Error(err)
	}
}

// readBlocks reads n bytes and checks that they are block again and again.
func readBlocks(c *net.TCPConn, block []byte, n int) error {
	b := make([]byte, len(block))
	for at := 0; at < n; at += len(b) {
		if _, err := io.ReadFull(c, b); err != nil {
			return err
		}
		if !bytes.Equal(b, block) {
			return fmt.Errorf("block at %d: other bytes came than were sent", at)
		}
	}
	return nil
}

// TestRingStable sends from memory that stays where it is.
func TestRingStable(t *testing.T) {
	r := newRing(t, netpoll.RingConfig{})
	p := pairs(t, r, 1)[0]
	block := bytes.Repeat([]byte("0123456789abcdef"), 16384)
	var pin runtime.Pinner
	defer pin.Unpin()
	pin.Pin(&block[0])
	sent := 0
	ev := r.On(0, func(c *netpoll.Completion) { sent += c.N })
	read := make(chan error, 1)
	go func() { read <- readBlocks(p.peer, block, 20*len(block)) }()
	for i := range 20 {
		r.SendStable(p.fd, ev, 1, block)
		until(t, r, "end of send", func() bool { return sent == (i+1)*len(block) })
	}
	if err := <-read; err != nil {
		t.Error(err)
	}
}

func TestRingWake(t *testing.T) {
	r := newRing(t, netpoll.RingConfig{})
	for range 5 {
		done := make(chan struct{})
		go func() {
			defer close(done)
			r.Wake()
			r.Wake()
		}()
		if turn(t, r, mono.Never) {
			t.Error("a wake-up is no completion")
		}
		<-done
		turn(t, r, 0)
	}
}

// TestRingWait waits for instants: with and without sleeping to the end, light or not, on kernels that know instants and others.
func TestRingWait(t *testing.T) {
	for _, tt := range []struct {
		name            string
		spin            int64
		light, relative bool
	}{{name: "asleep"}, {name: "spinning", spin: 1_000_000}, {name: "light", light: true}, {name: "old", relative: true}, {name: "old and light", light: true, relative: true}} {
		t.Run(tt.name, func(t *testing.T) {
			r := newRing(t, netpoll.RingConfig{})
			r.Spin(tt.spin)
			r.Light(tt.light)
			if tt.relative {
				r.Relative()
			}
			p := pairs(t, r, 1)[0]
			got := 0
			r.Receive(p.fd, r.On(0, func(c *netpoll.Completion) { got += c.N }), 1)
			for i := range 3 {
				_, _ = p.peer.Write([]byte("x")) // so that the wait after it may be light
				until(t, r, "byte", func() bool { return got == i+1 })
				end := mono.Now() + int64(25*time.Millisecond)
				turns := 0
				for ; mono.Now() < end; turns++ {
					if turn(t, r, end) {
						t.Error("something has come that nobody sent")
					}
				}
				if turns > 20 { // a signal may end one now and then
					t.Errorf("waits that ended before their instant: got %d, want next to none", turns-1)
				}
				if turn(t, r, end) {
					t.Error("something has come that nobody sent")
				}
			}
		})
	}
}

// TestRingUnsupported checks what is said where there is no ring.
func TestRingUnsupported(t *testing.T) {
	for _, tt := range []struct {
		errno       syscall.Errno
		says        string
		unsupported bool
	}{
		{syscall.ENOSYS, "the kernel has no io_uring", true},
		{syscall.EPERM, "forbidden", true},
		{syscall.EINVAL, "SINGLE_ISSUER with DEFER_TASKRUN (Linux 6.1)", true},
		{syscall.ENOMEM, "cannot allocate memory", false},
	} {
		err := netpoll.Unsupported(tt.errno)
		if !strings.Contains(err.Error(), tt.says) || errors.Is(err, errors.ErrUnsupported) != tt.unsupported {
			t.Errorf("%v: got %q, want %q, unsupported: %v", tt.errno, err, tt.says, tt.unsupported)
		}
	}
	if got := netpoll.Lacking(1<<32 - 1); got != "" {
		t.Errorf("a kernel with everything lacks %q", got)
	}
	if got := netpoll.Lacking(1<<32 - 1 - 1<<8 - 1<<11); got != "EXT_ARG (Linux 5.11), CQE_SKIP (Linux 5.17)" {
		t.Errorf("lacking: got %q", got)
	}
}

// TestRingPriority expects completions of one Wait in the order of their priorities.
func TestRingPriority(t *testing.T) {
	r := newRing(t, netpoll.RingConfig{})
	ps := pairs(t, r, 6)
	var order []uint64
	var events []netpoll.RingEvent
	for i := range 3 {
		events = append(events, r.On(2-i, func(c *netpoll.Completion) {
			if c.N > 0 {
				order = append(order, c.ID)
			}
		}))
	}
	for i, p := range ps {
		r.Receive(p.fd, events[i%3], uint64(i%3))
		_, _ = p.peer.Write([]byte("x"))
	}
	until(t, r, "bytes", func() bool { return len(order) == 6 })
	want := []uint64{2, 2, 1, 1, 0, 0}
	for i := range want {
		if order[i] != want[i] {
			t.Fatalf("order: got %v, want %v", order, want)
		}
	}
}

// TestRingStop ends a Receive while its peer goes on sending, and takes it up again.
func TestRingStop(t *testing.T) {
	r := newRing(t, netpoll.RingConfig{})
	p := pairs(t, r, 1)[0]
	var got []byte
	stopped := false
	ev := r.On(0, func(c *netpoll.Completion) {
		got = append(got, c.Data...)
		if !c.More {
			stopped = true
			if c.Err != syscall.ECANCELED {
				t.Errorf("end of receive: got %+v, want ECANCELED", c)
			}
		}
	})
	r.Receive(p.fd, ev, 9)
	turn(t, r, 0)
	r.StopReceive(ev, 9)
	until(t, r, "end", func() bool { return stopped })
	_, _ = p.peer.Write([]byte("late"))
	turn(t, r, mono.Now()+int64(5*time.Millisecond))
	if len(got) != 0 {
		t.Errorf("after the end: got %q", got)
	}
	stopped = false
	r.Receive(p.fd, ev, 9)
	until(t, r, "bytes", func() bool { return string(got) == "late" })
	r.CloseFile(p.fd, true)
	until(t, r, "end", func() bool { return stopped })
	if _, err := p.peer.Read(make([]byte, 1)); err == nil {
		t.Error("read from a closed connection: got no error")
	}
}

func TestRingConnect(t *testing.T) {
	r := newRing(t, netpoll.RingConfig{})
	for _, host := range []string{"127.0.0.1:0", "[::1]:0"} {
		ln, err := net.Listen("tcp", host)
		if err != nil {
			t.Skip(err)
		}
		to := netip.MustParseAddrPort(ln.Addr().String())
		var got []syscall.Errno
		ev := r.On(0, func(c *netpoll.Completion) { got = append(got, c.Err) })
		for i := range 2 {
			fd, err := netpoll.Socket(to.Addr())
			if err != nil {
				t.Fatal(err)
			}
			if err := r.Connect(fd, ev, 3, to); err != nil {
				t.Fatal(err)
			}
			until(t, r, "connection", func() bool { return len(got) == i+1 })
			_ = netpoll.Close(fd)
			_ = ln.Close()
		}
		if got[0] != 0 || got[1] != syscall.ECONNREFUSED {
			t.Errorf("connect to %s: got %v, want success and then refusal", host, got)
		}
	}
}

// TestRingClose closes a ring with operations of every kind under way.
func TestRingClose(t *testing.T) {
	r := newRing(t, netpoll.RingConfig{})
	ps := pairs(t, r, 3)
	ev := r.On(0, func(*netpoll.Completion) {})
	for i, p := range ps {
		r.Receive(p.fd, ev, uint64(i))
	}
	for range 200 { // the socket is full at some time
		if _, err := r.SendWhole(ps[0].fd, ev, 4, make([]byte, 60_000)); err != nil {
			t.Fatal(err)
		}
	}
	turn(t, r, 0)
	if _, err := ps[1].peer.Write([]byte("x")); err != nil {
		t.Fatal(err)
	}
	if err := r.Close(); err != nil {
		t.Errorf("close: %v", err)
	}
}

func TestRingConfig(t *testing.T) {
	for _, tt := range []struct {
		cfg  netpoll.RingConfig
		want string
	}{
		{netpoll.RingConfig{Entries: 1 << 20}, "entries"},
		{netpoll.RingConfig{Buffers: 3}, "power of two"},
		{netpoll.RingConfig{SendBytes: -1}, "negative"},
	} {
		if _, err := netpoll.NewRing(tt.cfg); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("new ring %+v: got %v, want an error with %q", tt.cfg, err, tt.want)
		}
	}
}

// TestRingUnsentAll fills more sockets in one turn than there are places for completions: Unsent must hand all of it over at once, or
// what is sent next would overtake it.
func TestRingUnsentAll(t *testing.T) {
	const many, size = 12, 200_000
	r := newRing(t, netpoll.RingConfig{Entries: 2, Completions: 2, SendBytes: many * size})
	ps := pairs(t, r, many)
	got := make([]int, many)
	ev := r.On(0, func(c *netpoll.Completion) { got[c.ID] += len(c.Data) })
	block := [][]byte{make([]byte, size)}
	for i, p := range ps {
		_ = p.peer.SetReadBuffer(4096)
		_ = netpoll.Buffers(p.fd, 0, 4096)
		if !r.Send(p.fd, ev, uint64(i), block) {
			t.Fatal("send: got false, want true")
		}
	}
	if _, err := r.Wait(0); err != nil {
		t.Fatal(err)
	}
	r.Unsent()
	for i, n := range got {
		if n == 0 || n == size {
			t.Errorf("connection %d: %d bytes came back, want some of %d", i, n, size)
		}
	}
	if !r.Send(ps[0].fd, ev, 0, [][]byte{make([]byte, many*size)}) {
		t.Error("send when all was handed over: got false, want true") // the room is free again
	}
}

// TestRingMemory has many long sends under way at once, and expects that their memory is given back when they have ended.
func TestRingMemory(t *testing.T) {
	const many = 1000 // of 64 KiB
	r := newRing(t, netpoll.RingConfig{})
	p := pairs(t, r, 1)[0]
	ended := 0
	ev := r.On(0, func(*netpoll.Completion) { ended++ })
	piece := make([]byte, 60_000)
	for range many {
		if _, err := r.SendWhole(p.fd, ev, 1, piece); err != nil {
			t.Fatal(err)
		}
	}
	busy := r.Resident()
	_ = p.peer.Close()
	until(t, r, "ends of sends", func() bool { return ended == many })
	if free := r.Resident(); busy < many*len(piece) || free > 20<<20 {
		t.Errorf("memory of blocks: got %d bytes under way and %d afterwards, want at least %d and at most %d", busy, free, many*len(piece), 20<<20)
	}
}
