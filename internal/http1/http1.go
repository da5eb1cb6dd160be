// Package http1 parses HTTP/1.1 messages as they arrive, for servers and for clients, without allocating and without
// copying: what it returns points into the caller's bytes.
//
// A server looks for the end of a head with [HeadEnd], parses it with [ParseRequest], and follows the body with the [Body]
// that the request gives. A client feeds what it reads to a [ResponseReader].
//
// The parser follows RFC 9112 and is strict where leniency has let requests be smuggled: lines end in CRLF, a message with both
// Content-Length and Transfer-Encoding is refused, so are repeated lengths, folded lines, blanks before a colon and control
// characters. A refusal is an *[Error], which carries the status that answers it.
package http1

import (
	"bytes"
	"errors"
)

// An Error is a message that breaks the protocol, or passes a limit.
type Error struct {
	Status int    // the status code that tells the peer
	Reason string // the cause, in a few words
}

func (e *Error) Error() string { return e.Reason }

// ErrClosed reports a connection that ended in the middle of a message.
var ErrClosed = errors.New("connection closed in the middle of a message")

var (
	errLineEnd     = &Error{400, "a line of the head does not end in CRLF"}
	errNUL         = &Error{400, "control character in the head"}
	errRequestLine = &Error{400, "malformed request line"}
	errStatusLine  = &Error{502, "malformed status line"}
	errVersion     = &Error{505, "version is not HTTP/1.0 or HTTP/1.1"}
	errTarget      = &Error{400, "malformed request target"}
	errField       = &Error{400, "malformed header line"}
	errFold        = &Error{400, "folded header line"}
	errHost        = &Error{400, "request needs exactly one Host"}
	errLength      = &Error{400, "malformed Content-Length"}
	errLengths     = &Error{400, "more than one Content-Length"}
	errSmuggle     = &Error{400, "both Content-Length and Transfer-Encoding"}
	errCoding      = &Error{501, "Transfer-Encoding other than chunked"}
	errCoding10    = &Error{400, "Transfer-Encoding in an HTTP/1.0 message"}
	errExpect      = &Error{417, "Expect other than 100-continue"}
	errChunk       = &Error{400, "malformed chunk"}
	errTrailer     = &Error{400, "trailer too long"}
)

// HeadEnd looks for the empty line that ends a head. It returns the length of the head including that line, or 0 if more
// bytes are needed. from is where an earlier call on the same, shorter buffer left off (its length then), 0 at first.
// Bytes that cannot become a head (a bare LF, a NUL) are an error at once.
func HeadEnd(b []byte, from int) (int, error) {
	if bytes.IndexByte(b[from:], 0) >= 0 && endBefore(b, from) == 0 {
		return 0, errNUL
	}
	for i := from; ; {
		k := bytes.IndexByte(b[i:], '\n')
		if k < 0 {
			return 0, nil
		}
		i += k
		if i == 0 || b[i-1] != '\r' {
			return 0, errLineEnd
		}
		if i >= 3 && b[i-2] == '\n' && b[i-3] == '\r' {
			return i + 1, nil
		}
		i++
	}
}

// endBefore returns the end of the head if it lies before the first NUL after from, else 0.
func endBefore(b []byte, from int) int {
	nul := from + bytes.IndexByte(b[from:], 0)
	k := bytes.Index(b[max(from-3, 0):nul], crlf2)
	if k < 0 {
		return 0
	}
	return max(from-3, 0) + k + len(crlf2)
}

var crlf2 = []byte("\r\n\r\n")

// SkipBlank returns how many bytes of empty lines b begins with; a server ignores them before a request.
func SkipBlank(b []byte) int {
	n := 0
	for len(b) >= n+2 && b[n] == '\r' && b[n+1] == '\n' {
		n += 2
	}
	return n
}

// fields is the header part of a head: whole lines, the empty one included.
type fields []byte

// get returns the first value of name, which must be given in lower case.
func (f fields) get(name string) ([]byte, bool) {
	for len(f) > 2 {
		end := bytes.IndexByte(f, '\n')
		if end < 0 {
			return nil, false
		}
		if len(name) < end && f[len(name)] == ':' && equalFold(f[:len(name)], name) {
			return trim(f[len(name)+1 : end-1]), true
		}
		f = f[end+1:]
	}
	return nil, false
}

// framing is what the header lines say about where the message ends and whether the connection goes on.
type framing struct {
	length      int64 // -1 if not given
	chunked     bool
	close, keep bool
	expect      bool
	hosts       int
}

// scan checks every header line of f and collects the framing.
func (f fields) scan(m *framing) error {
	m.length = -1
	for len(f) > 2 {
		end := bytes.IndexByte(f, '\n')
		if end < 1 || f[end-1] != '\r' {
			return errField
		}
		if err := m.line(f[:end-1]); err != nil {
			return err
		}
		f = f[end+1:]
	}
	if m.chunked && m.length >= 0 {
		return errSmuggle
	}
	return nil
}

func (m *framing) line(line []byte) error {
	colon := 0
	for colon < len(line) && token[line[colon]] {
		colon++
	}
	if colon == 0 || colon == len(line) || line[colon] != ':' {
		if len(line) > 0 && (line[0] == ' ' || line[0] == '\t') {
			return errFold
		}
		return errField
	}
	name, value := line[:colon], line[colon+1:]
	for _, c := range value {
		if c < ' ' && c != '\t' || c == 0x7f {
			return errNUL
		}
	}
	return m.field(name, trim(value))
}

// field notes the few fields that matter to framing; the length of the name tells most others apart.
func (m *framing) field(name, value []byte) error {
	switch {
	case len(name) == 4 && equalFold(name, "host"):
		m.hosts++
	case len(name) == 6 && equalFold(name, "expect"):
		if !equalFold(value, "100-continue") {
			return errExpect
		}
		m.expect = true
	case len(name) == 10 && equalFold(name, "connection"):
		m.options(value)
	case len(name) == 14 && equalFold(name, "content-length"):
		if m.length >= 0 {
			return errLengths
		}
		n, ok := decimal(value)
		if !ok {
			return errLength
		}
		m.length = n
	case len(name) == 17 && equalFold(name, "transfer-encoding"):
		if m.chunked || !equalFold(value, "chunked") {
			return errCoding
		}
		m.chunked = true
	}
	return nil
}

// options reads a Connection field: a list of tokens.
func (m *framing) options(value []byte) {
	for len(value) > 0 {
		item := value
		if k := bytes.IndexByte(value, ','); k >= 0 {
			item, value = value[:k], value[k+1:]
		} else {
			value = nil
		}
		switch item = trim(item); {
		case equalFold(item, "close"):
			m.close = true
		case equalFold(item, "keep-alive"):
			m.keep = true
		}
	}
}

// decimal parses digits alone, up to 18 of them.
func decimal(b []byte) (int64, bool) {
	if len(b) == 0 || len(b) > 18 {
		return 0, false
	}
	n := int64(0)
	for _, c := range b {
		if c < '0' || c > '9' {
			return 0, false
		}
		n = n*10 + int64(c-'0')
	}
	return n, true
}

func trim(b []byte) []byte {
	for len(b) > 0 && (b[0] == ' ' || b[0] == '\t') {
		b = b[1:]
	}
	for len(b) > 0 && (b[len(b)-1] == ' ' || b[len(b)-1] == '\t') {
		b = b[:len(b)-1]
	}
	return b
}

// equalFold compares b with lower, which is lower case, without regard to ASCII case.
func equalFold(b []byte, lower string) bool {
	if len(b) != len(lower) {
		return false
	}
	for i, c := range b {
		if 'A' <= c && c <= 'Z' {
			c += 'a' - 'A'
		}
		if c != lower[i] {
			return false
		}
	}
	return true
}

// token tells the characters of a field name and of a method (RFC 9110, 5.6.2).
var token = func() (t [256]bool) {
	for c := '0'; c <= '9'; c++ {
		t[c] = true
	}
	for c := 'a'; c <= 'z'; c++ {
		t[c], t[c-'a'+'A'] = true, true
	}
	for _, c := range "!#$%&'*+-.^_`|~" {
		t[c] = true
	}
	return t
}()
