package load

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/eve-emulation/eve/fase/service"
	"github.com/eve-emulation/eve/internal/netpoll"
	"github.com/eve-emulation/eve/rdr"
)

// A plain is what the message of a plain HTTP request is made of. A call whose place was last taken by the same one keeps the
// message that was made then.
type plain struct {
	method, path string
	more         *rdr.HTTP
	send         int64
	pool         *pool

	head  bool // a HEAD, whose answer has no body
	safe  bool // may be sent again though it may have arrived
	close bool // asks the server to close the connection
}

// encodePlain makes the message of a request without a block.
func (k *call) encodePlain(r *service.Request, p *pool) error {
	was := &k.plain
	if was.pool == p && was.more == r.HTTP && was.send == r.Send && was.method == r.Method && was.path == r.Path && len(k.msg) > 0 {
		return nil
	}
	*was = plain{}
	var more rdr.HTTP
	if r.HTTP != nil {
		more = *r.HTTP
	}
	now := plain{method: r.Method, path: r.Path, more: r.HTTP, send: r.Send, pool: p}
	k.pad, k.body = r.Send, ""
	if len(more.Body) > maxInline {
		k.body, more.Body = more.Body, ""
	}
	msg, err := now.append(k.msg[:0], more, p.host, int64(len(more.Body)+len(k.body))+k.pad)
	k.msg = msg
	if err == nil {
		*was = now
	}
	return err
}

// append appends the head, and what more has of the body.
func (m *plain) append(b []byte, more rdr.HTTP, host string, length int64) ([]byte, error) {
	method, path := m.method, m.path
	if method == "" {
		method = "GET"
	}
	if path == "" {
		path = "/"
	}
	if !clean(method) || !clean(path) {
		return b, fmt.Errorf("send request: %q %q is no method and path", method, path)
	}
	m.head = method == "HEAD"
	m.safe = m.head || method == "GET" || method == "OPTIONS" || method == "TRACE"
	b = append(append(b, method...), ' ')
	b = append(append(b, path...), " HTTP/1.1\r\n"...)
	if named := m.look(more.Fields); !named {
		b = append(append(append(b, "Host: "...), host...), "\r\n"...)
	}
	b = append(b, more.Fields...)
	if length > 0 || method == "POST" || method == "PUT" || method == "PATCH" {
		b = append(strconv.AppendInt(append(b, "Content-Length: "...), length, 10), "\r\n"...)
	}
	return append(append(b, "\r\n"...), more.Body...), nil
}

// look reads what matters here of header lines, and reports whether Host is among them.
func (m *plain) look(fields string) (host bool) {
	for line := range strings.SplitSeq(fields, "\r\n") {
		name, value, _ := strings.Cut(line, ":")
		switch {
		case strings.EqualFold(name, "host"):
			host = true
		case strings.EqualFold(name, "connection"):
			for option := range strings.SplitSeq(value, ",") {
				m.close = m.close || strings.EqualFold(strings.TrimSpace(option), "close")
			}
		}
	}
	return host
}

// clean reports whether s can stand in a request line.
func clean(s string) bool {
	for i := range len(s) {
		if s[i] <= ' ' || s[i] == 0x7f {
			return false
		}
	}
	return true
}

// maxInline is how long a body may be to stand in the message itself.
const maxInline = 2 << 10

// filler is what requests are padded with; it is only read.
var filler = make([]byte, 64<<10)

// pieces puts what follows the offset at of a request into out, as far as it fits, and returns how many pieces that are. They
// are valid until the loop's next call.
func (l *Loop) pieces(k *call, at int64, out [][]byte) int {
	n := 0
	if msg := int64(len(k.msg)); at < msg {
		out[0], n, at = k.msg[at:], 1, msg
	}
	at -= int64(len(k.msg))
	if body := int64(len(k.body)); at < body {
		size := copy(l.copied(), k.body[at:])
		out[n] = l.out[:size]
		n++
		if at += int64(size); at < body {
			return n
		}
	}
	at -= int64(len(k.body))
	for ; n < len(out) && at < k.pad; n++ {
		size := min(k.pad-at, int64(len(filler)))
		out[n] = filler[:size]
		at += size
	}
	return n
}

// copied is where bodies are copied to on their way out.
func (l *Loop) copied() []byte {
	if l.out == nil {
		l.out = make([]byte, len(filler))
	}
	return l.out
}

// writeMore writes a request that is more than its message, from the offset at.
func (l *Loop) writeMore(fd int, k *call, at int64) (int, error) {
	var pieces [8][]byte
	return netpoll.Writev(fd, pieces[:l.pieces(k, at, pieces[:])])
}
