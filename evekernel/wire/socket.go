package wire

import (
	"bufio"
	"fmt"
	"net"
	"net/http"
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
	before func()        // called before each read
	quiet  time.Duration // a read that takes longer fails; 0 for the deadlines that are set
	readBy time.Time

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
	if s.quiet > 0 {
		if by := time.Now().Add(s.quiet); by.Sub(s.readBy) > slack {
			s.readBy = by
			if err := s.Conn.SetReadDeadline(by); err != nil {
				return 0, err
			}
		}
	}
	return s.Conn.Read(b)
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
