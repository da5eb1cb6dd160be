package http1_test

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/eve-emulation/eve/internal/http1"
)

const simple = "POST /rdr/app?x=1 HTTP/1.1\r\nHost: eve\r\nEve-Key:  7f \r\nX:\r\nContent-Length: 5\r\n\r\n"

func TestParseRequest(t *testing.T) {
	var r http1.Request
	if err := http1.ParseRequest([]byte(simple), &r); err != nil {
		t.Fatal(err)
	}
	if string(r.Method) != "POST" || !r.Is("POST") || string(r.Target) != "/rdr/app?x=1" || string(r.Path()) != "/rdr/app" {
		t.Errorf("request line: got %s %s (path %s)", r.Method, r.Target, r.Path())
	}
	if r.ContentLength != 5 || r.Minor != 1 || r.Chunked || !r.KeepAlive || r.Expect {
		t.Errorf("framing: got %+v", r)
	}
	for name, want := range map[string]string{"eve-key": "7f", "host": "eve", "x": "", "content-length": "5"} {
		if got, ok := r.Header(name); string(got) != want || !ok {
			t.Errorf("header %s: got %q, %v, want %q", name, got, ok, want)
		}
	}
	for _, name := range []string{"eve", "eve-keys", "key", ""} {
		if got, ok := r.Header(name); ok {
			t.Errorf("header %q: got %q, want none", name, got)
		}
	}
}

func TestParseRequestFraming(t *testing.T) {
	for _, tt := range []struct {
		name, head         string
		length             int64
		chunked, keep, exp bool
	}{
		{"1.1", "GET / HTTP/1.1\r\nHost: a\r\n\r\n", -1, false, true, false},
		{"1.1 close", "GET / HTTP/1.1\r\nHost: a\r\nConnection: x, CLOSE ,y\r\n\r\n", -1, false, false, false},
		{"1.0", "GET / HTTP/1.0\r\n\r\n", -1, false, false, false},
		{"1.0 keep-alive", "GET / HTTP/1.0\r\nconnection: Keep-Alive\r\n\r\n", -1, false, true, false},
		{"1.0 expects nothing", "GET / HTTP/1.0\r\nExpect: 100-continue\r\n\r\n", -1, false, false, false},
		{"chunked", "PUT / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: Chunked\r\n\r\n", -1, true, true, false},
		{"expect", "PUT / HTTP/1.1\r\nHost:\r\nExpect: 100-Continue\r\nContent-Length: 00012\r\n\r\n", 12, false, true, true},
		{"odd method and target", "M-SEARCH * HTTP/1.1\r\nHost: a\r\n\r\n", -1, false, true, false},
	} {
		var r http1.Request
		if err := http1.ParseRequest([]byte(tt.head), &r); err != nil {
			t.Errorf("%s: %v", tt.name, err)
			continue
		}
		if r.ContentLength != tt.length || r.Chunked != tt.chunked || r.KeepAlive != tt.keep || r.Expect != tt.exp {
			t.Errorf("%s: got %+v, want %+v", tt.name, r, tt)
		}
	}
}

func TestHeadEnd(t *testing.T) {
	head := []byte("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
	whole := append(append([]byte{}, head...), "body\n\x00\r\n\r\n"...)
	if got, err := http1.HeadEnd(whole, 0); got != len(head) || err != nil {
		t.Errorf("head end: got %d, %v, want %d", got, err, len(head))
	}
	for i := range head { // grown from any cut
		if got, err := http1.HeadEnd(head[:i], 0); got != 0 || err != nil {
			t.Errorf("head end of %q: got %d, %v, want 0", head[:i], got, err)
		}
		if got, err := http1.HeadEnd(whole, i); got != len(head) || err != nil {
			t.Errorf("head end from %d: got %d, %v, want %d", i, got, err, len(head))
		}
	}
	for _, bad := range []string{"GET / HTTP/1.1\n", "\n", "GET\x00", "GET / HTTP/1.1\r\n\x00"} {
		if _, err := http1.HeadEnd([]byte(bad), 0); err == nil {
			t.Errorf("head end of %q: got no error", bad)
		}
	}
	if got := http1.SkipBlank([]byte("\r\n\r\n\rGET")); got != 4 {
		t.Errorf("blank: got %d, want 4", got)
	}
}

// responses are read in every partition into two pieces, and byte by byte.
var responses = []struct {
	name, text string
	head       bool  // the request was a HEAD
	rest       int   // bytes that do not belong to it
	status     int   // expected
	bytes      int64 // of the body
	reusable   bool
	err        bool
	atEnd      bool // whole only with the end of the connection
}{
	{name: "length", text: "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello", status: 200, bytes: 5, reusable: true},
	{name: "none", text: "HTTP/1.1 204 No Content\r\n\r\n", status: 204, reusable: true},
	{name: "not modified", text: "HTTP/1.1 304 X\r\nContent-Length: 9\r\n\r\n", status: 304, reusable: true},
	{name: "empty", text: "HTTP/1.1 421 \r\nContent-Length: 0\r\n\r\n", status: 421, reusable: true},
	{name: "no phrase", text: "HTTP/1.1 200\r\nContent-Length: 1\r\n\r\nx", status: 200, bytes: 1, reusable: true},
	{name: "head", text: "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n", head: true, status: 200, reusable: true},
	{name: "close", text: "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nhi", status: 200, bytes: 2},
	{name: "1.0", text: "HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nhi", status: 200, bytes: 2},
	{name: "chunked", text: "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5;x=\"y\"\r\nhello\r\nA\r\n0123456789\r\n0\r\nT: v\r\n\r\n", status: 200, bytes: 15, reusable: true},
	{name: "interim", text: "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Hints\r\nLink: x\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nx", status: 200, bytes: 1, reusable: true},
	{name: "more", text: "HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nxyz", rest: 2, status: 200, bytes: 1, reusable: true},
	{name: "until close", text: "HTTP/1.1 200 OK\r\n\r\nhello", status: 200, bytes: 5, atEnd: true},
	{name: "not HTTP", text: "SMTP ready\r\n\r\n", err: true},
	{name: "bad status", text: "HTTP/1.1 20 OK\r\n\r\n", err: true},
	{name: "status 600", text: "HTTP/1.1 600 OK\r\n\r\n", err: true},
	{name: "long status", text: "HTTP/1.1 2000 OK\r\n\r\n", err: true},
	{name: "bad length", text: "HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n", err: true},
	{name: "bad chunk", text: "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nx\r\n", err: true},
}

func TestResponseReader(t *testing.T) {
	var r http1.ResponseReader
	for _, tt := range responses {
		for cut := range len(tt.text) {
			pieces := []string{tt.text[:cut], tt.text[cut:]}
			if cut == 0 {
				pieces = strings.Split(tt.text, "")
			}
			r.Reset(tt.head)
			used, err := 0, error(nil)
			for _, p := range pieces {
				n, e := r.Feed([]byte(p))
				used += n
				if err = e; err != nil {
					break
				}
			}
			if tt.err {
				if err == nil {
					t.Errorf("%s cut at %d: got no error", tt.name, cut)
				}
				continue
			}
			if r.Done() == tt.atEnd {
				t.Errorf("%s cut at %d: done before the end: got %v", tt.name, cut, r.Done())
			}
			if e := r.End(); e != nil || err != nil || !r.Done() {
				t.Errorf("%s cut at %d: got %v, %v, done %v", tt.name, cut, err, e, r.Done())
			}
			if r.Response.Status != tt.status || r.Bytes != tt.bytes || r.Reusable() != tt.reusable || used != len(tt.text)-tt.rest {
				t.Errorf("%s cut at %d: got status %d, %d bytes, reusable %v, used %d; want %+v",
					tt.name, cut, r.Response.Status, r.Bytes, r.Reusable(), used, tt)
			}
		}
	}
}

func TestResponseReaderCutOff(t *testing.T) {
	var r http1.ResponseReader
	text := "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"
	for cut := range len(text) {
		r.Reset(false)
		if _, err := r.Feed([]byte(text[:cut])); err != nil {
			t.Fatal(err)
		}
		if r.Started() != (cut > 0) {
			t.Errorf("cut at %d: started: got %v", cut, r.Started())
		}
		if err := r.End(); !errors.Is(err, http1.ErrClosed) {
			t.Errorf("cut at %d: got %v, want %v", cut, err, http1.ErrClosed)
		}
	}
	r.Reset(false)
	if _, err := r.Feed(bytes.Repeat([]byte("x"), http1.MaxResponseHead+1)); err == nil {
		t.Error("response head without end: got no error")
	}
}

func TestAllocations(t *testing.T) {
	var r http1.Request
	var rr http1.ResponseReader
	res := []byte("HTTP/1.1 200 OK\r\nDate: now\r\nEve-Epoch: 3\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n")
	req := []byte(simple)
	got := testing.AllocsPerRun(100, func() {
		if end, err := http1.HeadEnd(req, 0); end != len(req) || err != nil {
			t.Fatal(end, err)
		}
		if err := http1.ParseRequest(req, &r); err != nil {
			t.Fatal(err)
		}
		r.Header("eve-key")
		rr.Reset(false)
		if _, err := rr.Feed(res); err != nil || !rr.Reusable() {
			t.Fatal(err)
		}
		rr.Response.Header("eve-epoch")
	})
	if got != 0 {
		t.Errorf("allocations: got %v, want 0", got)
	}
}

// FuzzRequest checks what is accepted against net/http, which must then agree on every part; net/http may accept more.
func FuzzRequest(f *testing.F) {
	f.Add([]byte(simple + "hello"))
	f.Add([]byte("GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n"))
	f.Add([]byte("PUT /a HTTP/1.1\r\nHost: b\r\nTransfer-Encoding: chunked\r\n\r\n3;x\r\nabc\r\n0\r\nT: v\r\n\r\nGET"))
	f.Fuzz(func(t *testing.T, b []byte) {
		end, err := http1.HeadEnd(b, 0)
		if end < 0 || end > len(b) || err != nil && end != 0 {
			t.Fatalf("head end: got %d, %v of %d", end, err, len(b))
		}
		for cut := range min(end, 64) { // how it arrives makes no difference
			if got, err := http1.HeadEnd(b, cut); got != end || err != nil {
				t.Fatalf("head end from %d: got %d, %v, want %d", cut, got, err, end)
			}
		}
		var r http1.Request
		if end == 0 || http1.ParseRequest(b[:end], &r) != nil {
			return
		}
		body, ok := collect(r.Framing(), b[end:])
		want, err := http.ReadRequest(bufio.NewReader(bytes.NewReader(b)))
		if err != nil {
			return // it parses the target and the host, which we leave to the handler
		}
		if want.Method != string(r.Method) || want.RequestURI != string(r.Target) || want.ProtoMinor != r.Minor {
			t.Fatalf("request line: got %s %s %d, want %s %s %d", r.Method, r.Target, r.Minor, want.Method, want.RequestURI, want.ProtoMinor)
		}
		wantBody, err := io.ReadAll(want.Body)
		if ok != (err == nil) {
			return // they differ in the syntax of extensions and trailers
		}
		if ok && !bytes.Equal(body, wantBody) {
			t.Fatalf("body: got %q, want %q", body, wantBody)
		}
	})
}

// collect reads a body in pieces of one, and of all bytes, and returns it if it is whole.
func collect(body http1.Body, b []byte) ([]byte, bool) {
	var out []byte
	for len(b) > 0 && !body.Done() {
		p, n, err := body.Next(b[:1])
		out = append(out, p...)
		if err != nil {
			return nil, false
		}
		b = b[n:]
	}
	return out, body.End() == nil
}

// FuzzResponse checks that a response read whole, and in two pieces, is the same.
func FuzzResponse(f *testing.F) {
	for _, tt := range responses {
		f.Add([]byte(tt.text), len(tt.text)/2)
	}
	f.Fuzz(func(t *testing.T, b []byte, cut int) {
		if cut < 0 || cut > len(b) {
			return
		}
		var one, two http1.ResponseReader
		n, err := one.Feed(b)
		n1, err2 := two.Feed(b[:cut])
		if err2 == nil {
			var n2 int
			n2, err2 = two.Feed(b[cut:])
			n1 += n2
		}
		if (err == nil) != (err2 == nil) || err == nil && (n != n1 || one.Bytes != two.Bytes || one.Done() != two.Done()) {
			t.Fatalf("whole: %d, %v, %d bytes, done %v; cut at %d: %d, %v, %d bytes, done %v",
				n, err, one.Bytes, one.Done(), cut, n1, err2, two.Bytes, two.Done())
		}
		if err == nil && n > len(b) {
			t.Fatalf("used %d of %d bytes", n, len(b))
		}
	})
}

func BenchmarkRequest(b *testing.B) {
	for _, bb := range []struct{ name, text string }{
		{"get", "GET / HTTP/1.1\r\nHost: 127.0.0.1:8080\r\n\r\n"}, {"rdr", simple},
	} {
		b.Run(bb.name, func(b *testing.B) {
			text := []byte(bb.text)
			var r http1.Request
			b.ReportAllocs()
			for b.Loop() {
				end, _ := http1.HeadEnd(text, 0)
				_ = http1.ParseRequest(text[:end], &r)
			}
		})
	}
}
