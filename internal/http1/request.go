package http1

import "bytes"

// A Request is a request's head and, once a server has collected it, its body. It points into the bytes that it was
// parsed from and is valid as long as they are.
type Request struct {
	Method []byte
	Target []byte // as sent: a path with its query, or an absolute form
	Body   []byte // set by the server, nil if there is none

	ContentLength int64 // -1 if not given
	Minor         int   // HTTP/1.Minor: 0 or 1
	Chunked       bool
	KeepAlive     bool // the client leaves the connection open after the response
	Expect        bool // the client waits for 100 Continue before it sends the body

	fields fields
}

// ParseRequest parses head, a whole request head as HeadEnd measured it, into r. An error is an *Error.
func ParseRequest(head []byte, r *Request) error {
	*r = Request{ContentLength: -1}
	end := bytes.IndexByte(head, '\n')
	if end < 1 || head[end-1] != '\r' {
		return errLineEnd
	}
	if err := r.requestLine(head[:end-1]); err != nil {
		return err
	}
	r.fields = fields(head[end+1:])
	var m framing
	if err := r.fields.scan(&m); err != nil {
		return err
	}
	if m.hosts > 1 || m.hosts == 0 && r.Minor > 0 {
		return errHost
	}
	if m.chunked && r.Minor == 0 {
		return errCoding10
	}
	r.ContentLength, r.Chunked = m.length, m.chunked
	r.Expect = m.expect && r.Minor > 0
	r.KeepAlive = !m.close && (r.Minor > 0 || m.keep)
	return nil
}

func (r *Request) requestLine(line []byte) error {
	sp := 0
	for sp < len(line) && token[line[sp]] {
		sp++
	}
	if sp == 0 || sp >= len(line) || line[sp] != ' ' {
		return errRequestLine
	}
	r.Method, line = line[:sp], line[sp+1:]
	sp = bytes.IndexByte(line, ' ')
	if sp < 1 {
		return errRequestLine
	}
	r.Target, line = line[:sp], line[sp+1:]
	for _, c := range r.Target {
		if c <= ' ' || c == 0x7f {
			return errTarget
		}
	}
	if len(line) != len("HTTP/1.1") || string(line[:5]) != "HTTP/" || line[6] != '.' {
		return errRequestLine
	}
	if line[5] != '1' || line[7] != '0' && line[7] != '1' {
		return errVersion
	}
	r.Minor = int(line[7] - '0')
	return nil
}

// Header returns the first value of a header field, trimmed, and whether there is one. name is in lower case. It searches the
// head and allocates nothing.
func (r *Request) Header(name string) ([]byte, bool) { return r.fields.get(name) }

// Is reports whether the method is m, in upper case.
func (r *Request) Is(m string) bool { return string(r.Method) == m }

// Path returns the target without its query.
func (r *Request) Path() []byte {
	if k := bytes.IndexByte(r.Target, '?'); k >= 0 {
		return r.Target[:k]
	}
	return r.Target
}

// Framing returns the Body that follows this head.
func (r *Request) Framing() Body {
	switch {
	case r.Chunked:
		return Body{mode: chunked}
	case r.ContentLength > 0:
		return Body{mode: counted, left: r.ContentLength}
	default:
		return Body{mode: finished}
	}
}
