package bench

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"net"
	"net/netip"
	"os"
	"runtime"
	"strconv"
	"sync"
	"syscall"
	"time"

	"github.com/eve-emulation/eve/internal/mono"
	"github.com/eve-emulation/eve/modules/relay"
)

// A relaying says what the relay of a part is to do.
type relaying struct {
	Mode      relay.Mode `json:"mode"`
	Extension string     `json:"extension,omitempty"`
	To        string     `json:"to"`
}

// relayHost is a relay in a process of its own.
type relayHost struct {
	relay *relay.Relay
	run   sync.WaitGroup
	err   error
}

func relayPart(ctx context.Context) (duty, func() error, error) {
	h := &relayHost{}
	return duty{
		"open":  take(func(r relaying) (any, error) { return h.open(ctx, r) }),
		"stats": take(func(struct{}) (any, error) { return h.stats() }),
	}, func() error {
		h.run.Wait() // ctx has ended
		return h.err
	}, nil
}

func (h *relayHost) open(ctx context.Context, r relaying) (any, error) {
	if h.relay != nil {
		return nil, errors.New("is open")
	}
	to, err := netip.ParseAddrPort(r.To)
	if err != nil {
		return nil, err
	}
	cfg := relay.Config{Mode: r.Mode, Drain: 100 * time.Millisecond}
	if r.Extension != "" {
		cfg.Guest, _ = relay.Extension(r.Extension)
	}
	if h.relay, err = relay.Listen(ctx, cfg); err != nil {
		return nil, err
	}
	h.relay.Forward(to)
	h.run.Go(func() { h.err = h.relay.Run(ctx) })
	return h.relay.Addr().String(), nil
}

// relayState is what a relay has done, and its memory after it gave back what it does not need.
type relayState struct {
	Stats    relay.Stats `json:"stats"`
	Resident float64     `json:"resident"` // bytes
}

func (h *relayHost) stats() (any, error) {
	if h.relay == nil {
		return nil, errors.New("is not open")
	}
	settled()
	b, err := residentBytes(os.Getpid())
	return relayState{h.relay.Stats(), b}, err
}

// A sending says what a source is to send.
type sending struct {
	To    string        `json:"to"`
	Size  int           `json:"size"`  // of a message
	Count int           `json:"count"` // of messages; 0: as many as go within For
	For   time.Duration `json:"for"`
	Pace  time.Duration `json:"pace"` // between two messages; 0: as fast as they are taken
}

// A sent is what a source sent.
type sent struct {
	Messages int    `json:"messages"`
	Bytes    int64  `json:"bytes"`
	Sum      uint32 `json:"sum"`   // CRC-32 of it all
	Upper    uint32 `json:"upper"` // and in capitals
}

// A receiving says how a sink is to read one connection.
type receiving struct {
	Size  int  `json:"size"`  // of a message
	Times bool `json:"times"` // notes how long each was under way
	Sum   bool `json:"sum"`
}

// A received is what a sink got.
type received struct {
	Bytes    int64         `json:"bytes"`
	Took     time.Duration `json:"took"`               // from the first byte to the end
	Transits []int64       `json:"transits,omitempty"` // ns
	Sum      uint32        `json:"sum"`
}

// streamHost is a source or a sink of streams in a process of its own. Both block in the kernel on a thread of their own.
type streamHost struct {
	listener *net.TCPListener
	idle     []net.Conn // of a source that holds them
	kept     []net.Conn // of a sink
}

func streamPart(context.Context) (duty, func() error, error) {
	l, err := net.ListenTCP("tcp", &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		return nil, nil, err
	}
	h := &streamHost{listener: l}
	return duty{
		"listen":  take(func(struct{}) (any, error) { return l.Addr().String(), nil }),
		"send":    take(func(s sending) (any, error) { return onThread(func() (sent, error) { return h.send(s) }) }),
		"receive": take(func(r receiving) (any, error) { return onThread(func() (received, error) { return h.receive(r) }) }),
		"hold":    take(func(c leaving) (any, error) { return struct{}{}, h.hold(c) }),
		"keep":    take(func(c leaving) (any, error) { return struct{}{}, h.keep(c) }),
		"drop":    take(func(struct{}) (any, error) { return struct{}{}, h.drop() }),
	}, func() error { return errors.Join(h.drop(), l.Close()) }, nil
}

// onThread runs f on a thread that keeps time.
func onThread[T any](f func() (T, error)) (T, error) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	if err := mono.TimerSlack(1); err != nil {
		var none T
		return none, err
	}
	return f()
}

// blocking takes the descriptor out of a connection, which is closed.
func blocking(c *net.TCPConn) (*os.File, error) {
	f, err := c.File()
	if err = errors.Join(err, c.Close()); err != nil {
		return nil, err
	}
	return f, syscall.SetNonblock(int(f.Fd()), false)
}

// stampSize is how many bytes at the head of a message say when it was sent.
const stampSize = 16

func (h *streamHost) send(s sending) (sent, error) {
	c, err := net.Dial("tcp", s.To)
	if err != nil {
		return sent{}, err
	}
	f, err := blocking(c.(*net.TCPConn))
	if err != nil {
		return sent{}, err
	}
	defer f.Close()
	fd := int(f.Fd())
	message := bytes.Repeat([]byte("The quick brown fox, 0123456789.\n"), s.Size/33+1)[:s.Size]
	capitals := bytes.ToUpper(message)
	var out sent
	begin := mono.Now()
	for (s.Count > 0 && out.Messages < s.Count) || (s.Count == 0 && mono.Now()-begin < int64(s.For)) {
		if s.Pace > 0 {
			mono.SleepUntil(begin + int64(out.Messages)*int64(s.Pace))
			copy(message, fmt.Appendf(nil, "%0*X", stampSize, mono.Now()))
		}
		if err := writeAll(fd, message); err != nil {
			return out, err
		}
		if s.Count > 0 && s.Pace == 0 {
			out.Sum, out.Upper = crc32.Update(out.Sum, crc32.IEEETable, message), crc32.Update(out.Upper, crc32.IEEETable, capitals)
		}
		out.Messages++
		out.Bytes += int64(s.Size)
	}
	return out, syscall.Shutdown(fd, syscall.SHUT_WR)
}

func writeAll(fd int, b []byte) error {
	for len(b) > 0 {
		n, err := syscall.Write(fd, b)
		if err != nil && !errors.Is(err, syscall.EINTR) {
			return err
		}
		b = b[max(n, 0):]
	}
	return nil
}

// read reads at least one byte; io.EOF at the end.
func read(fd int, b []byte) (int, error) {
	for {
		n, err := syscall.Read(fd, b)
		switch {
		case errors.Is(err, syscall.EINTR):
		case err != nil:
			return 0, err
		case n == 0:
			return 0, io.EOF
		default:
			return n, nil
		}
	}
}

// receive reads the next connection on which something comes: who only looked whether a relay is there opened one too.
func (h *streamHost) receive(r receiving) (received, error) {
	for {
		if got, err := h.receiveOne(r); got.Bytes > 0 || err != nil {
			return got, err
		}
	}
}

func (h *streamHost) receiveOne(r receiving) (received, error) {
	c, err := h.listener.AcceptTCP()
	if err != nil {
		return received{}, err
	}
	f, err := blocking(c)
	if err != nil {
		return received{}, err
	}
	defer f.Close()
	fd, buf := int(f.Fd()), make([]byte, max(256<<10, r.Size))
	if r.Times {
		buf = buf[:r.Size]
	}
	var got received
	begin, at := int64(0), 0 // of the message in buf
	for {
		n, err := read(fd, buf[at:])
		now := mono.Now()
		if errors.Is(err, io.EOF) {
			got.Took = time.Duration(now - begin)
			return got, nil
		}
		if err != nil {
			return got, err
		}
		if begin == 0 {
			begin = now
		}
		if r.Sum {
			got.Sum = crc32.Update(got.Sum, crc32.IEEETable, buf[at:at+n])
		}
		got.Bytes += int64(n)
		if !r.Times {
			continue
		}
		if at += n; at == r.Size {
			at = 0
			then, err := strconv.ParseInt(string(buf[:stampSize]), 16, 64)
			if err != nil {
				return got, err
			}
			got.Transits = append(got.Transits, now-then)
		}
	}
}

// A leaving is connections that are opened and left alone.
type leaving struct {
	To    string `json:"to,omitempty"`
	Count int    `json:"count"`
}

// hold opens connections and sends a byte on each.
func (h *streamHost) hold(c leaving) error {
	for range c.Count {
		conn, err := net.Dial("tcp", c.To)
		if err != nil {
			return err
		}
		h.idle = append(h.idle, conn)
		if _, err := conn.Write([]byte("x")); err != nil {
			return err
		}
	}
	return nil
}

// keep takes connections until so many have come, and a byte from each.
func (h *streamHost) keep(c leaving) error {
	for range c.Count {
		conn, err := h.listener.Accept()
		if err != nil {
			return err
		}
		h.kept = append(h.kept, conn)
		if _, err := conn.Read(make([]byte, 1)); err != nil {
			return err
		}
	}
	return nil
}

// drop closes all that is held or kept.
func (h *streamHost) drop() error {
	for _, c := range append(h.idle, h.kept...) {
		_ = c.Close()
	}
	h.idle, h.kept = nil, nil
	return nil
}
