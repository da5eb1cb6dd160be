package relay_test

import (
	"errors"
	"io"
	"net"
	"os"
	"strconv"
	"syscall"
	"testing"
	"time"

	"github.com/eve-emulation/eve/modules/relay"
)

// highest is the greatest descriptor of this process.
func highest(t *testing.T) int {
	t.Helper()
	list, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	most := 0
	for _, e := range list {
		n, _ := strconv.Atoi(e.Name())
		most = max(most, n)
	}
	return most
}

// A relay that has no descriptors left resets who comes, serves who is there, and takes new ones once there are some.
func TestExhaustion(t *testing.T) {
	for _, mode := range []relay.Mode{relay.Copy, relay.Splice} {
		t.Run(string(mode), func(t *testing.T) {
			l := listen(t)
			r := begin(t, relay.Config{Mode: mode}, l.Addr())
			near, far := through(t, r, l)
			var clients [40]int // their sockets are there before
			for i := range clients {
				fd, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM, 0)
				if err != nil {
					t.Fatal(err)
				}
				defer func() { _ = syscall.Close(fd) }()
				clients[i] = fd
			}
			for top := highest(t); ; { // so that no number below is free
				f, err := os.Open(os.DevNull)
				if err != nil {
					t.Fatal(err)
				}
				defer f.Close()
				if int(f.Fd()) > top {
					break
				}
			}
			var old syscall.Rlimit
			if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &old); err != nil {
				t.Fatal(err)
			}
			few := syscall.Rlimit{Cur: uint64(highest(t)) + 8, Max: old.Max}
			if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &few); err != nil {
				t.Fatal(err)
			}
			defer func() { _ = syscall.Setrlimit(syscall.RLIMIT_NOFILE, &old) }()
			to := &syscall.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}, Port: int(r.Addr().Port())}
			for _, fd := range clients {
				if err := syscall.Connect(fd, to); err != nil && !errors.Is(err, syscall.ECONNRESET) {
					t.Fatal(err)
				}
			}
			settle(t, r, func(s relay.Stats) bool { return s.Errors[relay.Exhausted] > 10 })
			for range 3 { // in spite of it
				if _, err := near.Write([]byte("x")); err != nil {
					t.Fatal(err)
				}
				if _, err := io.ReadFull(far, make([]byte, 1)); err != nil {
					t.Fatal(err)
				}
			}
			if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &old); err != nil {
				t.Fatal(err)
			}
			for _, fd := range clients {
				_ = syscall.Shutdown(fd, syscall.SHUT_WR)
			}
			for { // those that got through come first
				if err := l.SetDeadline(time.Now().Add(10 * time.Second)); err != nil {
					t.Fatal(err)
				}
				late := dial(t, r)
				if _, err := late.Write([]byte("late")); err != nil {
					continue
				}
				c, err := l.AcceptTCP()
				if err != nil {
					t.Fatal(err)
				}
				got, b := "", make([]byte, 4)
				if n, err := c.Read(b); err == nil {
					got = string(b[:n])
				}
				_ = c.Close()
				if got == "late" {
					return
				}
			}
		})
	}
}

// Reads stop at urgent data, and splice does not pass it at all: what stands behind comes through all the same, at once, and
// before the end of the stream. The urgent byte itself is nobody's.
func TestUrgent(t *testing.T) {
	onEach(t, func(t *testing.T, cfg relay.Config) {
		l := listen(t)
		r := begin(t, cfg, l.Addr())
		for _, size := range []int{5, 3000} {
			near, far := through(t, r, l)
			before, after := stream(size, size), stream(size+1, size)
			raw, err := near.SyscallConn()
			if err != nil {
				t.Fatal(err)
			}
			for range 3 {
				if _, err := near.Write(before); err != nil {
					t.Fatal(err)
				}
				var failed error
				if err := raw.Control(func(fd uintptr) { failed = syscall.Sendto(int(fd), []byte("!"), syscall.MSG_OOB, nil) }); err != nil || failed != nil {
					t.Fatal(err, failed)
				}
				if _, err := near.Write(after); err != nil {
					t.Fatal(err)
				}
				got := make([]byte, 2*size)
				if err := far.SetReadDeadline(time.Now().Add(10 * time.Second)); err != nil {
					t.Fatal(err)
				}
				if n, err := io.ReadFull(far, got); err != nil || string(got) != string(before)+string(after) {
					t.Fatalf("%d bytes around urgent data: got %d, %v", 2*size, n, err)
				}
			}
			if err := near.CloseWrite(); err != nil {
				t.Fatal(err)
			}
			if rest, err := io.ReadAll(far); len(rest) != 0 || err != nil {
				t.Errorf("afterwards: got %q, %v", rest, err)
			}
		}
	})
}

func TestConnectionBound(t *testing.T) {
	l := listen(t)
	r := begin(t, relay.Config{Connections: 2}, l.Addr())
	near, _ := through(t, r, l)
	through(t, r, l)
	c, err := net.Dial("tcp", r.Addr().String())
	if err == nil {
		_, err = c.Read(make([]byte, 1))
		_ = c.Close()
	}
	if !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("the third: got %v, want a reset", err)
	}
	if err := errors.Join(near.SetLinger(0), near.Close()); err != nil {
		t.Fatal(err)
	}
	settle(t, r, func(s relay.Stats) bool { return s.Open == 1 })
	through(t, r, l)
}

// pingpong sends a message through and awaits it at the other end.
func pingpong(t testing.TB, near, far net.Conn, there, got []byte) {
	if _, err := near.Write(there); err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadFull(far, got); err != nil {
		t.Fatal(err)
	}
}

// A chunk allocates nothing, whether the other side takes it at once or not.
func TestDoesNotAllocate(t *testing.T) {
	onEach(t, func(t *testing.T, cfg relay.Config) {
		l := listen(t)
		r := begin(t, cfg, l.Addr())
		near, far := through(t, r, l)
		for _, size := range []int{64, 1 << 20} { // the second fills the sockets' buffers, which are small
			if err := errors.Join(near.SetWriteBuffer(1<<16), far.SetReadBuffer(1<<16)); err != nil {
				t.Fatal(err)
			}
			there, got := stream(1, size), make([]byte, size)
			done := make(chan error)
			send := make(chan struct{})
			go func() {
				for range send {
					_, err := near.Write(there)
					done <- err
				}
				close(done)
			}()
			n := testing.AllocsPerRun(20, func() {
				send <- struct{}{}
				if _, err := io.ReadFull(far, got); err != nil {
					t.Fatal(err)
				}
				if err := <-done; err != nil {
					t.Fatal(err)
				}
			})
			close(send)
			<-done
			if n != 0 {
				t.Errorf("%d bytes: got %v allocations", size, n)
			}
		}
	})
}

// BenchmarkConnection opens a connection through the relay, sends a byte, and closes it on both sides.
func BenchmarkConnection(b *testing.B) {
	for name, cfg := range variants(b) {
		b.Run(name, func(b *testing.B) {
			l := listen(b)
			r := begin(b, cfg, l.Addr())
			b.ReportAllocs()
			for b.Loop() {
				near, err := net.DialTCP("tcp", nil, net.TCPAddrFromAddrPort(r.Addr()))
				if err != nil {
					b.Fatal(err)
				}
				far, err := l.AcceptTCP()
				if err != nil {
					b.Fatal(err)
				}
				pingpong(b, near, far, []byte("x"), make([]byte, 1))
				if err := errors.Join(near.Close(), far.Close()); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkMessage sends a message through.
func BenchmarkMessage(b *testing.B) {
	for name, cfg := range variants(b) {
		for _, size := range []int{64, 16 << 10} {
			b.Run(name+"/"+strconv.Itoa(size), func(b *testing.B) {
				l := listen(b)
				r := begin(b, cfg, l.Addr())
				near, far := through(b, r, l)
				there, got := stream(1, size), make([]byte, size)
				b.SetBytes(int64(size))
				b.ReportAllocs()
				for b.Loop() {
					pingpong(b, near, far, there, got)
				}
			})
		}
	}
}
