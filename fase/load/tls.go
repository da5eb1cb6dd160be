package load

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/eve-emulation/eve/internal/netpoll"
)

// A TLS says how a server's certificate is checked. The zero value checks it as browsers do: by the host's certificates, for the
// name that the server is called by.
type TLS struct {
	Insecure bool   // any certificate will do
	CA       []byte // PEM: certificates that are trusted instead of the host's
	Name     string // asked for (SNI) and verified; by default the name in Host, or the address
}

// Config makes the configuration of crypto/tls. It speaks TLS 1.2 and 1.3 and HTTP/1.1. Every connection does the whole handshake, as
// each stands for a client that comes for the first time.
func (t TLS) Config() (*tls.Config, error) {
	c := &tls.Config{ServerName: t.Name, InsecureSkipVerify: t.Insecure, NextProtos: []string{"http/1.1"}, MinVersion: tls.VersionTLS12}
	if t.CA != nil {
		c.RootCAs = x509.NewCertPool()
		if !c.RootCAs.AppendCertsFromPEM(t.CA) {
			return nil, errors.New("read certificates: no certificate in PEM form")
		}
	}
	return c, nil
}

// named returns c with the name of the server in it.
func named(c *tls.Config, host string) *tls.Config {
	if c.ServerName != "" {
		return c
	}
	if h, _, err := net.SplitHostPort(host); err == nil {
		host = h
	}
	c = c.Clone()
	c.ServerName = strings.Trim(host, "[]")
	return c
}

// A tunnel is the TLS of one connection. Its handshake runs in a goroutine, because crypto/tls can only wait in it; the loop feeds
// it what comes and sends what it says. From then on the loop reads and writes through it, without waiting.
type tunnel struct {
	tls *tls.Conn
	fd  int // the loop's alone

	mu   sync.Mutex // guards what follows during the handshake; afterwards only the loop is there
	came sync.Cond  // in has grown, or end is set
	in   []byte     // came, and is not read yet
	end  error      // of the stream, or of the connection; nothing more will come
	out  []byte     // said, and not written yet
	done bool       // the handshake is over
}

// maxShake bounds what a server may send ahead in its handshake, in bytes.
const maxShake = 256 << 10

var errShake = errors.New("more than 256 KiB without an end of the handshake")

// A shook tells the loop about a handshake.
type shook struct {
	conn connRef
	done bool // it is over; else there is something to be sent
	err  error
}

// shakes is what goroutines tell the loop.
type shakes struct {
	mu    sync.Mutex // guards news
	news  []shook
	taken []shook // the loop's own
	wg    sync.WaitGroup
}

func (s *shakes) add(n shook) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.news = append(s.news, n)
}

// take returns the news, valid until the next take.
func (s *shakes) take() []shook {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.taken, s.news = s.news, s.taken[:0]
	return s.taken
}

// shake begins the handshake of an open connection.
func (l *Loop) shake(c *conn) {
	t := &tunnel{fd: c.fd}
	t.came.L = &t.mu
	ref := c.ref()
	t.tls = tls.Client(&wire{t, func() {
		l.shakes.add(shook{conn: ref})
		l.mail.wake()
	}}, c.pool.tls)
	c.state, c.tunnel = shaking, t
	l.shakes.wg.Go(func() {
		err := t.tls.HandshakeContext(context.Background())
		l.shakes.add(shook{conn: ref, done: true, err: err})
		l.mail.wake()
	})
}

// shaken acts on what goroutines told.
func (l *Loop) shaken() {
	news := l.shakes.take()
	if len(news) == 0 {
		return
	}
	l.tick()
	for _, n := range news {
		switch c := l.find(n.conn); {
		case c == nil || c.state != shaking:
		case !n.done:
			c.tunnel.flushSaid()
		case n.err != nil:
			l.notConnected(c, &tlsError{n.err})
		default:
			c.tunnel.done = true
			l.stands(c)
		}
	}
	l.driver.Flush() // what the groups ask for now
}

// handshaken acts on an event of a connection whose handshake is under way.
func (l *Loop) handshaken(c *conn, ev netpoll.Events) {
	t := c.tunnel
	if ev&netpoll.Out != 0 {
		t.flushSaid()
	}
	for ev&^netpoll.Out != 0 {
		n, err := netpoll.Read(c.fd, l.in)
		if errors.Is(err, netpoll.ErrAgain) {
			return
		}
		if !t.feed(l.in[:n], err) {
			return
		}
	}
}

// feed hands what came to the handshake, and reports whether it wants more.
func (t *tunnel) feed(p []byte, err error) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.end != nil {
		return false
	}
	t.in = append(t.in, p...)
	if err == nil && len(t.in) > maxShake {
		err = errShake
	}
	t.end = err
	t.came.Broadcast()
	return err == nil
}

// flushSaid writes what the handshake has said; an error of it shows when the answer is read.
func (t *tunnel) flushSaid() {
	t.mu.Lock()
	defer t.mu.Unlock()
	_ = t.flush()
}

// flush writes what is left to be written; ErrAgain if some stays.
func (t *tunnel) flush() error {
	for len(t.out) > 0 {
		n, err := netpoll.Write(t.fd, t.out)
		if err != nil {
			return err
		}
		t.out = append(t.out[:0], t.out[n:]...)
	}
	return nil
}

// close ends a handshake that is under way, and says goodbye on a connection that stands.
func (t *tunnel) close(broken bool) {
	if t.done {
		if !broken && len(t.out) == 0 {
			_ = t.tls.Close() // it is polite; nobody waits for it
		}
		return
	}
	t.feed(nil, net.ErrClosed)
}

// read reads what came, as netpoll.Read does; another error is a *tlsError.
func (t *tunnel) read(p []byte) (int, error) {
	n, err := t.tls.Read(p)
	switch {
	case n > 0:
		return n, nil
	case errors.Is(err, errWait):
		return 0, netpoll.ErrAgain
	case errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF): // the latter within a record
		return 0, err
	}
	return 0, sorted(err)
}

// write encrypts the first of pieces, and writes it as far as possible; the rest is flushed by the next call. ErrAgain if what was
// written before is still under way.
func (t *tunnel) write(p []byte) (int, error) {
	if err := t.flush(); err != nil || len(p) == 0 {
		return 0, err
	}
	n, err := t.tls.Write(p[:min(len(p), maxRecord)])
	if n > 0 {
		err = nil
	}
	return n, sorted(err)
}

// maxRecord is the payload of a TLS record.
const maxRecord = 16 << 10

// unsent reports whether something said has not been written.
func (t *tunnel) unsent() bool { return t != nil && len(t.out) > 0 }

// A tlsError is a connection that is not, or no longer, one of TLS.
type tlsError struct{ err error }

func (e *tlsError) Error() string {
	err := e.err
	if x, ok := errors.AsType[x509.CertificateInvalidError](err); ok && x.Reason == x509.Expired {
		err = errors.New("x509: certificate has expired or is not yet valid") // without the time of day
	}
	return "tls: " + strings.TrimPrefix(err.Error(), "tls: ")
}

func (e *tlsError) Unwrap() error { return e.err }

// sorted tells errors of the socket from those of TLS.
func sorted(err error) error {
	if err == nil {
		return nil
	}
	if errno, ok := errors.AsType[syscall.Errno](err); ok {
		return errno
	}
	return &tlsError{err}
}

// A wire is what crypto/tls reads from and writes to: a connection whose bytes the loop moves.
type wire struct {
	*tunnel
	said func() // tells the loop that there is something to be written
}

// Read waits during the handshake; afterwards it is an errWait when nothing has come.
func (w *wire) Read(p []byte) (int, error) {
	if !w.done {
		return w.await(p)
	}
	if len(w.in) > 0 {
		return w.take(p), nil
	}
	if w.end != nil {
		return 0, w.end
	}
	n, err := netpoll.Read(w.fd, p)
	if errors.Is(err, netpoll.ErrAgain) {
		err = errWait
	}
	return n, err
}

func (w *wire) await(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for len(w.in) == 0 && w.end == nil {
		w.came.Wait()
	}
	if len(w.in) == 0 {
		return 0, w.end
	}
	return w.take(p), nil
}

func (w *wire) take(p []byte) int {
	n := copy(p, w.in)
	if w.in = append(w.in[:0], w.in[n:]...); len(w.in) == 0 {
		w.in = nil
	}
	return n
}

// Write takes all; what cannot be written at once is kept. During the handshake the loop writes it.
func (w *wire) Write(p []byte) (int, error) {
	if !w.done {
		return w.say(p)
	}
	n := 0
	if len(w.out) == 0 {
		var err error
		if n, err = netpoll.Write(w.fd, p); err != nil && !errors.Is(err, netpoll.ErrAgain) {
			return n, err
		}
	}
	w.out = append(w.out, p[n:]...)
	return len(p), nil
}

func (w *wire) say(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.end != nil && !errors.Is(w.end, io.EOF) {
		return 0, w.end
	}
	w.out = append(w.out, p...)
	w.said()
	return len(p), nil
}

// Close implements net.Conn; the loop closes the socket.
func (*wire) Close() error { return nil }

// LocalAddr implements net.Conn.
func (*wire) LocalAddr() net.Addr { return nil }

// RemoteAddr implements net.Conn.
func (*wire) RemoteAddr() net.Addr { return nil }

// SetDeadline implements net.Conn; the loop keeps the time.
func (*wire) SetDeadline(time.Time) error { return nil }

// SetReadDeadline implements net.Conn.
func (*wire) SetReadDeadline(time.Time) error { return nil }

// SetWriteDeadline implements net.Conn.
func (*wire) SetWriteDeadline(time.Time) error { return nil }

// errWait says that nothing has come; crypto/tls goes on after errors that are temporary.
var errWait net.Error = waiting{}

type waiting struct{}

func (waiting) Error() string   { return "nothing has come" }
func (waiting) Timeout() bool   { return true }
func (waiting) Temporary() bool { return true }

// shakeTimeout is the error of a handshake that did not end.
func shakeTimeout(d time.Duration) error {
	return &tlsError{fmt.Errorf("no end of the handshake within %v", d)}
}
