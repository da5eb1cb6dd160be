package engine

import (
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

// outgoing returns x.out, with a buffer.
func (w *wire) outgoing(x *exchange) []byte {
	if x.out == nil {
		x.out = w.pool.get(1)
	}
	return x.out
}

// fill queues n bytes of filler.
func (w *wire) fill(x *exchange, n int64) {
	if n <= 0 {
		return
	}
	x.queued += n
	if n <= copyFiller {
		x.out = append(w.pool.grow(x.out, int(n)), w.filler[:n]...)
		return
	}
	x.fills = append(x.fills, fill{at: len(x.out), n: n})
}

// render appends head and body to out; filler is left to the caller, and returned.
func (w *wire) render(out []byte, flags uint8, res *Response) ([]byte, int64) {
	out = w.pool.grow(out, 256+len(res.Header)+len(res.Body))
	w.date.refresh(w.now)
	length := res.Filler
	if length <= 0 {
		length = int64(len(res.Body))
	}
	bodiless := res.Status == 204 || res.Status == 304
	switch {
	case res.Status == 0 || res.Status == 200:
		out = append(out, w.date.ok...)
	default:
		out = append(out, "HTTP/1.1 "...)
		out = strconv.AppendInt(out, int64(res.Status), 10)
		out = append(out, ' ')
		out = append(out, reason(res.Status)...)
		out = append(out, '\r', '\n')
		out = append(out, w.date.line...)
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

// send writes the next pieces.
func (w *wire) send(fd int, x *exchange) (int, error) {
	if len(x.fills) == 0 {
		return netpoll.Write(fd, x.out[x.sent:])
	}
	return netpoll.Writev(fd, w.gather(x))
}

// gather returns the next pieces to send, at most netpoll.MaxVec of them and some. It is valid until the next gather.
func (w *wire) gather(x *exchange) [][]byte {
	w.pieces = w.pieces[:0]
	at := x.sent
	for _, f := range x.fills {
		if f.at > at {
			w.pieces = append(w.pieces, x.out[at:f.at])
			at = f.at
		}
		for n := f.n; n > 0 && len(w.pieces) < netpoll.MaxVec; n -= fillerBytes {
			w.pieces = append(w.pieces, w.filler[:min(n, fillerBytes)])
		}
		if len(w.pieces) >= netpoll.MaxVec {
			return w.pieces
		}
	}
	w.pieces = append(w.pieces, x.out[at:])
	return w.pieces
}

// emptied gives back the buffer of output that has been sent.
func (w *wire) emptied(x *exchange) {
	w.pool.put(x.out)
	x.out, x.sent, x.fills = nil, 0, x.fills[:0]
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
