package http1

import (
	"bytes"
	"errors"
)

// A Response is a response's head. It points into the bytes that it was parsed from.
type Response struct {
	Status        int
	ContentLength int64 // -1 if not given
	Minor         int   // HTTP/1.Minor
	Chunked       bool
	KeepAlive     bool // the server leaves the connection open; false for a body that ends with the connection

	fields fields
}

// ParseResponse parses head, a whole response head as HeadEnd measured it, into r. An error is an *Error.
func ParseResponse(head []byte, r *Response) error {
	*r = Response{ContentLength: -1}
	end := bytes.IndexByte(head, '\n')
	if end < len("HTTP/1.1 200\r") || head[end-1] != '\r' {
		return errStatusLine
	}
	line := head[:end-1]
	if string(line[:7]) != "HTTP/1." || line[7] != '0' && line[7] != '1' || line[8] != ' ' ||
		len(line) > 12 && line[12] != ' ' {
		return errStatusLine
	}
	status, ok := decimal(line[9:12])
	if !ok || status < 100 || status > 599 {
		return errStatusLine
	}
	r.Status, r.Minor = int(status), int(line[7]-'0')
	r.fields = fields(head[end+1:])
	var m framing
	if err := r.fields.scan(&m); err != nil {
		return err
	}
	if m.chunked && r.Minor == 0 {
		return errCoding10
	}
	r.ContentLength, r.Chunked = m.length, m.chunked
	r.KeepAlive = !m.close && (r.Minor > 0 || m.keep)
	return nil
}

// Header returns the first value of a header field, trimmed, and whether there is one. name is in lower case.
func (r *Response) Header(name string) ([]byte, bool) { return r.fields.get(name) }

// Framing returns the Body that follows this head; head says that the request was a HEAD, whose response has none.
func (r *Response) Framing(head bool) Body {
	switch {
	case head, r.Status < 200, r.Status == 204, r.Status == 304, r.ContentLength == 0:
		return Body{mode: finished}
	case r.Chunked:
		return Body{mode: chunked}
	case r.ContentLength > 0:
		return Body{mode: counted, left: r.ContentLength}
	default:
		return Body{mode: untilClose}
	}
}

// A ResponseReader reads the response to one request from whatever pieces it arrives in: it counts the body and keeps the
// head. The zero value is ready for the response to a request that is no HEAD. It allocates only to grow its head buffer, which it
// keeps for the next response.
type ResponseReader struct {
	Response Response // valid once HeadDone reports true, until Reset
	Bytes    int64    // payload bytes of the body so far

	head     []byte
	body     Body
	scanned  int
	interim  int // bytes of interim responses
	headDone bool
	noBody   bool
	done     bool
}

// MaxResponseHead is the most bytes of a response's head, and of the interim responses before it.
const MaxResponseHead = 64 << 10

var errHead = &Error{502, "response head too long"}

// TooLong reports whether an error of Feed is a head, or the trailer or a size line of a chunked body, above its limit.
func TooLong(err error) bool { return errors.Is(err, errHead) || errors.Is(err, errTrailer) }

// Reset makes r ready for the next response; head says that the request was a HEAD.
func (r *ResponseReader) Reset(head bool) {
	*r = ResponseReader{head: r.head[:0], noBody: head}
}

// HeadDone reports whether the head has come whole.
func (r *ResponseReader) HeadDone() bool { return r.headDone }

// Started reports whether any byte of the response has come.
func (r *ResponseReader) Started() bool { return r.headDone || len(r.head) > 0 }

// Done reports whether the response has come whole.
func (r *ResponseReader) Done() bool { return r.done }

// Left returns how many bytes of the body are known to be still to come: all that were announced, or the rest of a chunk.
func (r *ResponseReader) Left() int64 {
	if r.done {
		return 0
	}
	return r.body.left
}

// Reusable reports whether the connection can carry another request: the response is whole and the server keeps it open.
func (r *ResponseReader) Reusable() bool {
	return r.done && r.Response.KeepAlive && !r.body.UntilClose()
}

// Feed takes the next bytes and returns how many of them belong to this response: all, unless it is Done. Interim
// responses (1xx) are skipped. An error is an *Error, and the connection is then of no more use.
func (r *ResponseReader) Feed(p []byte) (n int, err error) {
	for !r.done && n < len(p) {
		if !r.headDone {
			k, err := r.feedHead(p[n:])
			n += k
			if err != nil {
				return n, err
			}
			continue
		}
		payload, k, err := r.body.Next(p[n:])
		n += k
		r.Bytes += int64(len(payload))
		if err != nil {
			return n, err
		}
		r.done = r.body.Done()
	}
	return n, nil
}

// feedHead collects the head in r's own buffer, so that its fields stay readable when the caller reuses p.
func (r *ResponseReader) feedHead(p []byte) (int, error) {
	old := len(r.head)
	r.head = append(r.head, p[:min(len(p), MaxResponseHead-old)]...)
	// What does not begin like a response never becomes one: no need to wait for the end of a line.
	const begin = "HTTP/1."
	if k := min(len(r.head), len(begin)); old < k && string(r.head[:k]) != begin[:k] {
		return len(p), errStatusLine
	}
	end, err := HeadEnd(r.head, r.scanned)
	if err != nil {
		return len(p), err
	}
	if end == 0 {
		r.scanned = len(r.head)
		if len(r.head) == MaxResponseHead {
			return len(p), errHead
		}
		return len(p), nil
	}
	r.head = r.head[:end]
	if err := ParseResponse(r.head, &r.Response); err != nil {
		return end - old, err
	}
	r.scanned = 0
	if r.Response.Status < 200 && r.Response.Status != 101 {
		r.head = r.head[:0]
		if r.interim += end; r.interim > MaxResponseHead {
			return end - old, errHead
		}
		return end - old, nil
	}
	r.headDone = true
	r.body = r.Response.Framing(r.noBody)
	if r.body.UntilClose() {
		r.Response.KeepAlive = false
	}
	r.done = r.body.Done()
	return end - old, nil
}

// End tells r that the connection has ended. It returns nil if that completes the response, or if it was Done, and
// ErrClosed if the response is cut off.
func (r *ResponseReader) End() error {
	if r.done {
		return nil
	}
	if !r.headDone {
		return ErrClosed
	}
	if err := r.body.End(); err != nil {
		return err
	}
	r.done = true
	return nil
}
