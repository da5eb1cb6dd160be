package wire

import (
	"bufio"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"time"
)

// The sizes of a connection's buffers. Longer messages are read and, by a kernel, written past them.
const (
	readBuffer        = 8 << 10
	writeBuffer       = 4 << 10
	clientWriteBuffer = groupBytes // a client's message goes through it, since it is masked
)

// A socket is the net.Conn below a WebSocket. It moves deadlines seldom, since that costs more than a small frame does,
// and lets what waits to be sent go before it waits for bytes itself.
type socket struct {
	net.Conn

	// The reader's, once the handshake is over.
	before func()        // called before each read; a participant's socket has none
	quiet  time.Duration // a read that takes longer fails; 0 for the deadlines that are set
	readBy time.Time

	// A participant's socket hands on the bytes of one WebSocket frame at a time: so nothing is left behind in the
	// buffers above it when its reader changes.
	framed bool
	buf    []byte // what was read and not handed on: from r to w
	r, w   int
	left   int // of the frame that is being handed on

	// The writer's; the WebSocket has one at a time.
	writeBy time.Time
}

// slack is how much earlier than asked for a deadline may be.
const slack = time.Second

// Read implements net.Conn.
func (s *socket) Read(b []byte) (int, error) {
	if s.before != nil {
		s.before()
	}
	if s.framed {
		return s.readFrame(b)
	}
	return s.read(b)
}

// read reads from below. Silence of quiet is an error; a deadline that somebody moved to interrupt another read is not.
func (s *socket) read(b []byte) (int, error) {
	for {
		if s.quiet > 0 {
			if by := time.Now().Add(s.quiet); by.Sub(s.readBy) > slack {
				s.readBy = by
				if err := s.Conn.SetReadDeadline(by); err != nil {
					return 0, err
				}
			}
		}
		n, err := s.Conn.Read(b)
		if n > 0 || s.quiet == 0 || !errors.Is(err, os.ErrDeadlineExceeded) || !time.Now().Before(s.readBy) {
			return n, err
		}
		s.readBy = time.Time{} // it has to be set again
	}
}

// readFrame hands on what there is of the present frame.
func (s *socket) readFrame(b []byte) (int, error) {
	for s.left == 0 {
		n, ok := frameSize(s.buf[s.r:s.w])
		if ok {
			s.left = n
			break
		}
		if err := s.fill(); err != nil {
			return 0, err
		}
	}
	if s.r == s.w && s.left >= len(s.buf) { // past the buffer
		n, err := s.read(b[:min(len(b), s.left)])
		s.left -= n
		return n, err
	}
	if s.r == s.w {
		if err := s.fill(); err != nil {
			return 0, err
		}
	}
	n := copy(b, s.buf[s.r:min(s.w, s.r+s.left)])
	s.r += n
	s.left -= n
	return n, nil
}

// fill reads more into the buffer.
func (s *socket) fill() error {
	s.room()
	n, err := s.read(s.buf[s.w:])
	s.w += n
	return err
}

func (s *socket) room() {
	if s.buf == nil {
		s.buf = make([]byte, readBuffer)
	}
	if s.r > 0 {
		s.w = copy(s.buf, s.buf[s.r:s.w])
		s.r = 0
	}
}

// wait waits until the next frame is here, or ctx ends: then nothing is lost, and the error is the context's. whole is
// false for a frame that only who can wait longer should read: what is no message in one frame, or does not fit the buffer.
func (s *socket) wait(ctx context.Context) (whole bool, err error) {
	whole, known := s.next()
	if !known && ctx.Done() != nil {
		stop := context.AfterFunc(ctx, func() { _ = s.Conn.SetReadDeadline(time.Unix(1, 0)) })
		defer stop()
	}
	for ; !known; whole, known = s.next() {
		if by := time.Now().Add(s.quiet); by.Sub(s.readBy) > slack {
			s.readBy = by
			if err := s.Conn.SetReadDeadline(by); err != nil {
				return false, err
			}
		}
		if ctx.Err() != nil {
			return false, ctx.Err()
		}
		s.room()
		n, err := s.Conn.Read(s.buf[s.w:])
		s.w += n
		switch {
		case n > 0 || err == nil:
		case !errors.Is(err, os.ErrDeadlineExceeded) || !time.Now().Before(s.readBy):
			return false, err
		default:
			s.readBy = time.Time{} // it has to be set again
		}
	}
	return whole, nil
}

// next tells whether the frame that comes next is a whole message in the buffer; known is false while it may become one.
func (s *socket) next() (whole, known bool) {
	b := s.buf[s.r:s.w]
	if len(b) > 0 && b[0] != finText && b[0] != finBinary {
		return false, true
	}
	n, ok := frameSize(b)
	if ok && n > len(s.buf) {
		return false, true
	}
	return true, ok && len(b) >= n
}

// The first byte of a WebSocket frame that is a message.
const (
	finText   = 0x81
	finBinary = 0x82
)

// frameSize returns how long the WebSocket frame is that begins with b, head and all; ok is false while b is too short to
// tell. A length that no frame has is left to the reader above.
func frameSize(b []byte) (n int, ok bool) {
	if len(b) < 2 {
		return 0, false
	}
	head, size := 2, uint64(b[1]&0x7f)
	if b[1]&0x80 != 0 {
		head += 4
	}
	switch {
	case size == 126 && len(b) < 4, size == 127 && len(b) < 10:
		return 0, false
	case size == 126:
		head, size = head+2, uint64(binary.BigEndian.Uint16(b[2:]))
	case size == 127:
		head, size = head+8, min(binary.BigEndian.Uint64(b[2:]), 1<<40)
	}
	return head + int(size), true
}

// SetWriteDeadline implements net.Conn: the deadline holds, or one that is earlier by less than a second.
func (s *socket) SetWriteDeadline(by time.Time) error {
	if d := by.Sub(s.writeBy); d >= 0 && d < slack && !by.IsZero() {
		return nil
	}
	s.writeBy = by
	return s.Conn.SetWriteDeadline(by)
}

// SetDeadline implements net.Conn.
func (s *socket) SetDeadline(by time.Time) error {
	s.writeBy, s.readBy = by, by
	return s.Conn.SetDeadline(by)
}

// hijacker makes the connection that is taken from an HTTP server a socket.
type hijacker struct {
	http.ResponseWriter
	sock *socket
}

// Hijack implements http.Hijacker.
func (h *hijacker) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	conn, rw, err := http.NewResponseController(h.ResponseWriter).Hijack()
	if err != nil {
		return nil, nil, fmt.Errorf("hijack: %w", err)
	}
	h.sock = &socket{Conn: conn}
	return h.sock, rw, nil
}
