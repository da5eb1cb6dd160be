package engine

import (
	"errors"

	"github.com/eve-emulation/eve/internal/http1"
)

// A wire is what it takes to read requests and to write responses, apart from who waits for connections: limits, buffers and
// the request that has just been read. It is used by one thread at a time; what it keeps of a connection lies in its exchange.
type wire struct {
	cfg    *Config
	filler []byte // shared, never written
	pool   *buffers
	now    int64

	req    http1.Request // being handled
	head   []byte        // its head
	pieces [][]byte
	date   dateLine
}

// A frame says how far the body of a request has come. Offsets count from the request's first byte.
type frame struct {
	body  http1.Body
	head  int // bytes of the head
	raw   int // bytes consumed
	write int // end of the payload, which is moved up against the head
}

var (
	errHeadSize = &http1.Error{Status: 431, Reason: "request head too large"}
	errBodySize = &http1.Error{Status: 413, Reason: "request body too large"}
	errSlow     = &http1.Error{Status: 408, Reason: "request took too long to arrive"}
)

// What take finds.
type found uint8

const (
	isPartial found = iota // the beginning of a request
	isBlank                // empty lines between requests
	isRequest              // a whole request, which is in w.req
)

// take follows the framing of what stands at the start of b. n is how long a request or the blank is or, of a partial request, how
// much of b to keep: less than b if framing was taken out. An error is an *http1.Error.
func (w *wire) take(x *exchange, b []byte) (f found, n int, err error) {
	fresh := !x.inBody
	if fresh {
		if x.scanned == 0 {
			if k := http1.SkipBlank(b); k > 0 {
				return isBlank, k, nil
			}
		}
		end, err := http1.HeadEnd(b, x.scanned)
		if err == nil && (end > w.cfg.MaxHead || end == 0 && len(b) > w.cfg.MaxHead) {
			err = errHeadSize
		}
		if err == nil && end == 0 {
			if len(b) > 1 { // a single CR may yet become an empty line to skip
				x.scanned = len(b)
			}
			return isPartial, len(b), nil
		}
		x.scanned = 0
		if err == nil {
			err = w.begin(x, b[:end])
		}
		if err != nil {
			return isPartial, 0, err
		}
	}
	if !x.frame.body.Done() {
		if err := w.body(x, b); err != nil {
			return isPartial, 0, err
		}
		if !x.frame.body.Done() {
			return isPartial, x.frame.write, nil
		}
	}
	w.whole(x, b, fresh)
	return isRequest, x.frame.raw, nil
}

// begin parses a head and prepares for its body.
func (w *wire) begin(x *exchange, head []byte) error {
	if err := http1.ParseRequest(head, &w.req); err != nil {
		return err
	}
	if w.req.ContentLength > int64(w.cfg.MaxBody) {
		return errBodySize
	}
	x.frame = frame{body: w.req.Framing(), head: len(head), raw: len(head), write: len(head)}
	x.inBody = true
	x.interim = w.req.Expect && !x.frame.body.Done()
	return nil
}

// body consumes what b holds of the body. A body of known length that is not whole stays where it is; chunks are joined in place.
func (w *wire) body(x *exchange, b []byte) error {
	f := &x.frame
	for f.raw < len(b) && !f.body.Done() {
		payload, n, err := f.body.Next(b[f.raw:])
		if err != nil {
			return err
		}
		f.raw += n
		if f.write+len(payload) != f.raw {
			copy(b[f.write:], payload)
		}
		f.write += len(payload)
		if f.write-f.head > w.cfg.MaxBody {
			return errBodySize
		}
	}
	if !f.body.Done() {
		f.raw = f.write
	}
	return nil
}

// whole sets w.req to the request that lies at the start of b. Unless it is fresh its body came later than its head, and w.req
// has served others since.
func (w *wire) whole(x *exchange, b []byte, fresh bool) {
	w.head = b[:x.frame.head:x.frame.head]
	if !fresh {
		if err := http1.ParseRequest(w.head, &w.req); err != nil {
			panic(err) // it was parsed before
		}
	}
	x.inBody, x.interim = false, false
	if x.frame.write > x.frame.head {
		w.req.Body = b[x.frame.head:x.frame.write:x.frame.write]
	}
}

// nature returns what the response to w.req depends on, as flags of its pending entry.
func (w *wire) nature() uint8 {
	flags := uint8(0)
	if w.req.Is("HEAD") {
		flags |= isHead
	}
	if w.req.Minor == 0 {
		flags |= isOld
	}
	if !w.req.KeepAlive {
		flags |= isClosing
	}
	return flags
}

// room returns how much more input x expects at least.
func (x *exchange) room() int {
	if x.inBody && x.frame.body.Left() > 0 {
		return int(min(x.frame.body.Left(), 1<<20))
	}
	return 2 << 10
}

// keep stores rest, which may lie in x.in, as the beginning of x.in.
func (w *wire) keep(x *exchange, rest []byte) {
	if len(rest) == 0 {
		w.pool.put(x.in)
		x.in = nil
		return
	}
	if x.in == nil {
		x.in = w.pool.get(len(rest) + x.room())
	}
	x.in = append(x.in[:0], rest...) // overlapping is fine: it moves down
}

// interim queues 100 Continue if the client waits for it, and reports whether it did. Nothing may be pending.
func (w *wire) interim(x *exchange) bool {
	if !x.interim {
		return false
	}
	x.interim = false
	if x.frame.write > x.frame.head {
		return false // it did not wait
	}
	const line = "HTTP/1.1 100 Continue\r\n\r\n"
	x.out = append(w.pool.grow(w.outgoing(x), len(line)), line...)
	x.queued += int64(len(line))
	return true
}

// refusal returns the answer to what is no acceptable request.
func refusal(err error) Response {
	status := 400
	if e, ok := errors.AsType[*http1.Error](err); ok {
		status = e.Status
	}
	return Response{Status: status, Header: plainText, Body: []byte(err.Error() + "\n")}
}

var plainText = []byte("Content-Type: text/plain; charset=utf-8\r\n")

// answer renders res, which answers the pending request p of x: in its turn, with all that waited for it, or ahead of it. n is how many
// requests are done with, from the first on; closing says that the connection ends after them.
func (w *wire) answer(x *exchange, p *pending, res *Response) (n int, closing bool) {
	p.flags |= isDone
	if res.Close {
		p.flags |= isClosing
	}
	if p != &x.pending[0] {
		p.out, p.filler = w.render(w.pool.get(256+len(res.Header)+len(res.Body)), p.flags, res)
		return 0, false
	}
	x.out = w.outgoing(x)
	before := len(x.out)
	var filler int64
	x.out, filler = w.render(x.out, p.flags, res)
	x.queued += int64(len(x.out) - before)
	w.fill(x, filler)
	for n = 1; ; n++ {
		if x.pending[n-1].flags&isClosing != 0 {
			return n, true
		}
		if n == len(x.pending) || x.pending[n].flags&isDone == 0 {
			return n, false
		}
		p := &x.pending[n]
		x.out = append(w.pool.grow(x.out, len(p.out)), p.out...)
		x.queued += int64(len(p.out))
		w.fill(x, p.filler)
	}
}
