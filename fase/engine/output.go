package engine

import (
	"errors"
	"strconv"
	"time"

	"github.com/eve-emulation/eve/internal/netpoll"
)

// copyFiller is the length up to which filler is copied to the head instead of being written from the shared block.
const copyFiller = 2 << 10

// dateLine is the Date field of responses, rendered once a second, and the whole beginning of the commonest response.
type dateLine struct {
	line []byte // Date: …CRLF
	ok   []byte // status line 200, Date, and "Content-Length: "
	next int64  // instant at which it is stale
}

const (
	lengthField = "Content-Length: "
	closeField  = "Connection: close\r\n"
	keepField   = "Connection: keep-alive\r\n"
)

func (d *dateLine) refresh(now int64) {
	if now < d.next {
		return
	}
	d.next = now + int64(time.Second)
	d.line = append(d.line[:0], "Date: "...)
	d.line = time.Now().UTC().AppendFormat(d.line, "Mon, 02 Jan 2006 15:04:05 GMT")
	d.line = append(d.line, '\r', '\n')
	d.ok = append(d.ok[:0], "HTTP/1.1 200 OK\r\n"...)
	d.ok = append(d.ok, d.line...)
	d.ok = append(d.ok, lengthField...)
}

func (r *reactor) Respond(ref Ref, res Response) bool {
	if ref.loop() != r.index {
		if ref.loop() >= len(r.e.loops) {
			return false
		}
		return r.e.loops[ref.loop()].box.post(message{
			kind: responseMessage, ref: ref, status: res.Status, filler: res.Filler, close: res.Close,
		}, res.Header, res.Body)
	}
	return r.respond(ref, &res)
}

// find returns the pending request that ref names, nil if ref is stale or the request is answered.
func (r *reactor) find(ref Ref) *pending {
	c := r.conns.at(ref.slot())
	if c == nil || c.x == nil {
		return nil
	}
	head := c.serial - uint64(len(c.x.pending))
	i := (ref.serial() - head) & serialMask
	if i >= uint64(len(c.x.pending)) || c.x.pending[i].flags&isDone != 0 {
		return nil
	}
	return &c.x.pending[i]
}

// respond renders a response in its turn, or keeps it until then.
func (r *reactor) respond(ref Ref, res *Response) bool {
	p := r.find(ref)
	if p == nil {
		return false
	}
	c := r.conns.at(ref.slot())
	x := c.x
	p.flags |= isDone
	if res.Close {
		p.flags |= isClosing
	}
	r.count.Responses++
	if p != &x.pending[0] {
		p.out, p.filler = r.render(r.pool.get(256+len(res.Header)+len(res.Body)), p.flags, res)
		return true
	}
	x.out = r.outgoing(x)
	before := len(x.out)
	var filler int64
	x.out, filler = r.render(x.out, p.flags, res)
	x.queued += int64(len(x.out) - before)
	r.fill(x, filler)
	r.turnOver(c)
	r.touch(c)
	return true
}

// turnOver removes the answered request at the front, and moves the responses to the output that waited for it.
func (r *reactor) turnOver(c *conn) {
	x := c.x
	n := 0
	for {
		closing := x.pending[n].flags&isClosing != 0
		r.forget(&x.pending[n])
		n++
		if closing { // whatever was asked after it gets no answer
			c.flags |= last
			r.endPending(c, n)
			return
		}
		if n == len(x.pending) || x.pending[n].flags&isDone == 0 {
			break
		}
		p := &x.pending[n]
		x.out = append(r.pool.grow(x.out, len(p.out)), p.out...)
		x.queued += int64(len(p.out))
		r.fill(x, p.filler)
	}
	x.pending = x.pending[:copy(x.pending, x.pending[n:])]
}

// endPending drops the pending requests, of which the first n are answered.
func (r *reactor) endPending(c *conn, n int) {
	x := c.x
	x.pending = x.pending[:copy(x.pending, x.pending[n:])]
	r.abandon(c)
	for i := range x.pending {
		r.forget(&x.pending[i])
	}
	x.pending = x.pending[:0]
}

// outgoing returns x.out, with a buffer.
func (r *reactor) outgoing(x *exchange) []byte {
	if x.out == nil {
		x.out = r.pool.get(1)
	}
	return x.out
}

// fill queues n bytes of filler.
func (r *reactor) fill(x *exchange, n int64) {
	if n <= 0 {
		return
	}
	x.queued += n
	if n <= copyFiller {
		x.out = append(r.pool.grow(x.out, int(n)), r.e.filler[:n]...)
		return
	}
	x.fills = append(x.fills, fill{at: len(x.out), n: n})
}

// render appends head and body to out; filler is left to the caller, and returned.
func (r *reactor) render(out []byte, flags uint8, res *Response) ([]byte, int64) {
	out = r.pool.grow(out, 256+len(res.Header)+len(res.Body))
	r.date.refresh(r.now)
	length := res.Filler
	if length <= 0 {
		length = int64(len(res.Body))
	}
	bodiless := res.Status == 204 || res.Status == 304
	switch {
	case res.Status == 0 || res.Status == 200:
		out = append(out, r.date.ok...)
	default:
		out = append(out, "HTTP/1.1 "...)
		out = strconv.AppendInt(out, int64(res.Status), 10)
		out = append(out, ' ')
		out = append(out, reason(res.Status)...)
		out = append(out, '\r', '\n')
		out = append(out, r.date.line...)
		if !bodiless {
			out = append(out, lengthField...)
		}
	}
	if !bodiless {
		out = strconv.AppendInt(out, length, 10)
		out = append(out, '\r', '\n')
	}
	out = append(out, res.Header...)
	switch {
	case flags&isClosing != 0:
		out = append(out, closeField...)
	case flags&isOld != 0:
		out = append(out, keepField...)
	}
	out = append(out, '\r', '\n')
	if flags&isHead != 0 || bodiless {
		return out, 0
	}
	if res.Filler > 0 {
		return out, res.Filler
	}
	return append(out, res.Body...), 0
}

// touch has c settled at the end of what the loop is doing.
func (r *reactor) touch(c *conn) {
	if !c.x.dirty {
		c.x.dirty = true
		r.dirty = append(r.dirty, c.slot)
	}
}

// settle brings a connection to rest: it sends what can be sent, takes up input that was held back, and arranges what to
// wait for next, or closes it.
func (r *reactor) settle(c *conn) {
	for c.x != nil {
		c.x.dirty = false
		if !r.flush(c) {
			return
		}
		if c.flags&held == 0 || r.hold(c) || c.flags&last != 0 {
			break
		}
		c.flags &^= held
		r.consume(c, c.x.in)
	}
	r.rest(c)
}

// flush sends until nothing is left or the socket is full. It reports false if the connection is gone.
func (r *reactor) flush(c *conn) bool {
	x := c.x
	for x.queued > 0 && c.flags&blocked == 0 {
		n, err := r.send(int(c.fd), x)
		switch {
		case err == nil:
			r.count.BytesOut += uint64(n)
			x.advance(n)
			if c.list == sending {
				r.unwait(c) // progress: its time begins anew
			}
		case errors.Is(err, netpoll.ErrAgain):
			c.flags |= blocked
		default:
			r.drop(c)
			return false
		}
	}
	if x.queued == 0 {
		r.pool.put(x.out)
		x.out, x.sent, x.fills = nil, 0, x.fills[:0]
	}
	return true
}

// send writes the next pieces.
func (r *reactor) send(fd int, x *exchange) (int, error) {
	if len(x.fills) == 0 {
		return netpoll.Write(fd, x.out[x.sent:])
	}
	r.pieces = r.pieces[:0]
	at := x.sent
	for _, f := range x.fills {
		if f.at > at {
			r.pieces = append(r.pieces, x.out[at:f.at])
			at = f.at
		}
		for n := f.n; n > 0 && len(r.pieces) < netpoll.MaxVec; n -= fillerBytes {
			r.pieces = append(r.pieces, r.e.filler[:min(n, fillerBytes)])
		}
		if len(r.pieces) >= netpoll.MaxVec {
			return netpoll.Writev(fd, r.pieces)
		}
	}
	r.pieces = append(r.pieces, x.out[at:])
	return netpoll.Writev(fd, r.pieces)
}

// advance notes that n bytes have been sent.
func (x *exchange) advance(n int) {
	x.queued -= int64(n)
	done := 0 // fills
	for n > 0 {
		end := len(x.out)
		if done < len(x.fills) {
			end = x.fills[done].at
		}
		k := min(n, end-x.sent)
		x.sent += k
		if n -= k; n == 0 || done == len(x.fills) {
			break
		}
		f := &x.fills[done]
		k = int(min(int64(n), f.n))
		n -= k
		if f.n -= int64(k); f.n == 0 {
			done++
		}
	}
	x.fills = x.fills[:copy(x.fills, x.fills[done:])]
}

// rest arranges what an open connection waits for.
func (r *reactor) rest(c *conn) {
	x := c.x
	busy := x != nil && (len(x.pending) > 0 || x.queued > 0)
	if c.flags&last != 0 && !busy && c.flags&linger == 0 {
		r.leave(c)
		return
	}
	partial := x != nil && (x.inBody || len(x.in) > 0)
	if r.draining && !busy && !partial && c.flags&linger == 0 {
		r.drop(c)
		return
	}
	if !busy && partial {
		r.invite(c)
	}
	switch {
	case c.flags&linger != 0:
	case c.flags&blocked != 0:
		r.waitOnce(c, sending)
	case partial && c.flags&held == 0:
		r.waitOnce(c, arriving)
	case busy:
		r.unwait(c)
	default:
		if x != nil {
			r.release(c)
		}
		r.waitOnce(c, idling)
	}
	r.watch(c)
}

// waitOnce is wait, unless c waits for that already.
func (r *reactor) waitOnce(c *conn, k timeout) {
	if c.list != k {
		r.wait(c, k)
	}
}

// watch tells the poller what c waits for, if that has changed.
func (r *reactor) watch(c *conn) {
	want := uint8(0)
	if c.flags&(ended|held) == 0 {
		want |= wantIn
	}
	if c.flags&blocked != 0 {
		want |= wantOut
	}
	if r.e.edge {
		c.want = want
		r.remember(c)
		return
	}
	if want == c.want {
		return
	}
	ev := netpoll.Events(0)
	if want&wantIn != 0 {
		ev |= netpoll.In
	}
	if want&wantOut != 0 {
		ev |= netpoll.Out
	}
	if err := r.poller.Modify(int(c.fd), tag(0, c.gen, c.slot), ev); err != nil {
		r.drop(c)
		return
	}
	c.want = want
}

// leave ends a connection from our side after the last response. A close while input is unread would make the kernel send a
// reset, which can destroy the response on its way: so the end of stream goes out first, and what comes until the peer's is
// thrown away.
func (r *reactor) leave(c *conn) {
	if c.flags&ended != 0 || netpoll.CloseWrite(int(c.fd)) != nil {
		r.drop(c)
		return
	}
	c.flags = c.flags&^held | linger
	if c.x != nil {
		r.release(c)
	}
	r.e.gone(r) // it holds nobody up
	r.wait(c, leaving)
	r.watch(c)
}

// reason returns the phrase of a status code.
func reason(status int) string {
	switch status {
	case 201:
		return "Created"
	case 202:
		return "Accepted"
	case 204:
		return "No Content"
	case 304:
		return "Not Modified"
	case 400:
		return "Bad Request"
	case 404:
		return "Not Found"
	case 405:
		return "Method Not Allowed"
	case 408:
		return "Request Timeout"
	case 413:
		return "Content Too Large"
	case 417:
		return "Expectation Failed"
	case 421:
		return "Misdirected Request"
	case 429:
		return "Too Many Requests"
	case 431:
		return "Request Header Fields Too Large"
	case 500:
		return "Internal Server Error"
	case 501:
		return "Not Implemented"
	case 502:
		return "Bad Gateway"
	case 503:
		return "Service Unavailable"
	case 504:
		return "Gateway Timeout"
	case 505:
		return "HTTP Version Not Supported"
	default:
		return "Status"
	}
}
