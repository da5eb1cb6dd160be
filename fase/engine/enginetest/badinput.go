package enginetest

import (
	"io"
	"strings"
	"testing"

	"github.com/eve-emulation/eve/fase/engine"
)

// bad is input that must be refused with a status, or answered by the connection's end (0).
var bad = []struct {
	name, send string
	status     int
}{
	{"garbage", "hello\r\n\r\n", 400},
	{"bare LF", "GET / HTTP/1.1\nHost: eve\n\n", 400},
	{"TLS", "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\x00\r\n\r\n", 400},
	{"NUL in target", "GET /\x00 HTTP/1.1\r\nHost: eve\r\n\r\n", 400},
	{"NUL in field", "GET / HTTP/1.1\r\nHost: eve\r\nX: a\x00b\r\n\r\n", 400},
	{"NULs without end", "GET / HTTP/1.1\r\nX: " + strings.Repeat("\x00", 100), 400},
	{"control character", "GET / HTTP/1.1\r\nHost: eve\r\nX: a\x07\r\n\r\n", 400},
	{"no version", "GET /\r\n\r\n", 400},
	{"wrong version", "GET / HTTP/2.0\r\nHost: eve\r\n\r\n", 505},
	{"no target", "GET  HTTP/1.1\r\nHost: eve\r\n\r\n", 400},
	{"blank in target", "GET /a b HTTP/1.1\r\nHost: eve\r\n\r\n", 400},
	{"no host", "GET / HTTP/1.1\r\n\r\n", 400},
	{"two hosts", "GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", 400},
	{"no colon", "GET / HTTP/1.1\r\nHost: eve\r\nfoo\r\n\r\n", 400},
	{"blank before colon", "GET / HTTP/1.1\r\nHost: eve\r\nContent-Length : 5\r\n\r\nhello", 400},
	{"empty name", "GET / HTTP/1.1\r\nHost: eve\r\n: x\r\n\r\n", 400},
	{"folded line", "GET / HTTP/1.1\r\nHost: eve\r\nX: a\r\n b\r\n\r\n", 400},
	{"length and coding", "POST /echo HTTP/1.1\r\nHost: eve\r\nContent-Length: 6\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nG", 400},
	{"coding and length", "POST /echo HTTP/1.1\r\nHost: eve\r\nTransfer-Encoding: chunked\r\nContent-Length: 6\r\n\r\n0\r\n\r\nG", 400},
	{"two lengths", "POST /echo HTTP/1.1\r\nHost: eve\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello", 400},
	{"list of lengths", "POST /echo HTTP/1.1\r\nHost: eve\r\nContent-Length: 5, 5\r\n\r\nhello", 400},
	{"negative length", "POST /echo HTTP/1.1\r\nHost: eve\r\nContent-Length: -5\r\n\r\nhello", 400},
	{"signed length", "POST /echo HTTP/1.1\r\nHost: eve\r\nContent-Length: +5\r\n\r\nhello", 400},
	{"hex length", "POST /echo HTTP/1.1\r\nHost: eve\r\nContent-Length: 0x5\r\n\r\nhello", 400},
	{"empty length", "POST /echo HTTP/1.1\r\nHost: eve\r\nContent-Length: \r\n\r\n", 400},
	{"huge length", "POST /echo HTTP/1.1\r\nHost: eve\r\nContent-Length: 99999999999999999999\r\n\r\n", 400},
	{"length over the limit", "POST /echo HTTP/1.1\r\nHost: eve\r\nContent-Length: 1048577\r\n\r\n", 413},
	{"unknown coding", "POST /echo HTTP/1.1\r\nHost: eve\r\nTransfer-Encoding: gzip\r\n\r\n", 501},
	{"coding list", "POST /echo HTTP/1.1\r\nHost: eve\r\nTransfer-Encoding: gzip, chunked\r\n\r\n", 501},
	{"coding twice", "POST /echo HTTP/1.1\r\nHost: eve\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n", 501},
	{"disguised coding", "POST /echo HTTP/1.1\r\nHost: eve\r\nTransfer-Encoding: \x0bchunked\r\n\r\n", 400},
	{"coding in 1.0", "POST /echo HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400},
	{"chunk size", "POST /echo HTTP/1.1\r\nHost: eve\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", 400},
	{"negative chunk", "POST /echo HTTP/1.1\r\nHost: eve\r\nTransfer-Encoding: chunked\r\n\r\n-1\r\n", 400},
	{"huge chunk", "POST /echo HTTP/1.1\r\nHost: eve\r\nTransfer-Encoding: chunked\r\n\r\nffffffffffffffffff\r\n", 400},
	{"chunk too long", "POST /echo HTTP/1.1\r\nHost: eve\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhello\r\n0\r\n\r\n", 400},
	{"chunk extension without end", "POST /echo HTTP/1.1\r\nHost: eve\r\nTransfer-Encoding: chunked\r\n\r\n1;" + strings.Repeat("x", 20000), 400},
	{"trailer without end", "POST /echo HTTP/1.1\r\nHost: eve\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n" + strings.Repeat("X: y\r\n", 5000), 400},
	{"unknown expectation", "POST /echo HTTP/1.1\r\nHost: eve\r\nExpect: 200-ok\r\nContent-Length: 1\r\n\r\nx", 417},
	{"long header line", "GET / HTTP/1.1\r\nHost: eve\r\nX: " + strings.Repeat("x", 1<<20) + "\r\n\r\n", 431},
	{"headers without end", "GET / HTTP/1.1\r\nHost: eve\r\n" + strings.Repeat("X: y\r\n", 100_000), 431},
	{"long target", "GET /" + strings.Repeat("x", 1<<20), 431},
}

// badInput tests that what breaks the protocol is refused, and harms nobody else.
func (s suite) badInput() map[string]func(*testing.T) {
	return map[string]func(*testing.T){"bad input": s.refusals, "cut off": s.cutOff, "after good ones": s.afterGood}
}

func (s suite) refusals(t *testing.T) {
	sv := s.start(t, engine.Config{})
	witness := sv.dial(t)
	for _, tt := range bad {
		t.Run(tt.name, func(t *testing.T) {
			c := sv.dial(t)
			go func() { _, _ = io.WriteString(c, tt.send) }() // the server may stop reading
			res := c.next("GET")
			if res.StatusCode != tt.status {
				t.Errorf("status: got %d (%s), want %d", res.StatusCode, res.body, tt.status)
			}
			if !res.Close {
				t.Error("the response does not say close")
			}
			c.expectEnd()
			witness.get("/fill/1")
			witness.expect("GET", 200, "#1")
		})
	}
}

// cutOff ends connections in the middle of requests.
func (s suite) cutOff(t *testing.T) {
	sv := s.start(t, engine.Config{})
	text := "POST /echo HTTP/1.1\r\nHost: eve\r\nContent-Length: 5\r\n\r\nhell"
	for i := 1; i <= len(text); i += 3 {
		c := sv.dial(t)
		c.send(text[:i])
		if i%2 == 0 {
			_ = c.SetLinger(0)
			_ = c.Close()
			continue
		}
		_ = c.CloseWrite()
		c.expectEnd()
	}
	c := sv.dial(t)
	c.get("/fill/1")
	c.expect("GET", 200, "#1")
}

// afterGood checks that requests before a bad one are answered, also late ones, and those after it are not.
func (s suite) afterGood(t *testing.T) {
	c := s.start(t, engine.Config{}).dial(t)
	c.send("GET /after/10ms HTTP/1.1\r\nHost: eve\r\n\r\nGET /fill/4 HTTP/1.1\r\nHost: eve\r\n\r\n\x01\r\n\r\nGET /fill/4 HTTP/1.1\r\nHost: eve\r\n\r\n")
	c.expect("GET", 200, "after 10ms")
	c.expect("GET", 200, "#4")
	c.expect("GET", 400, "malformed request line\n")
	c.expectEnd()
}
