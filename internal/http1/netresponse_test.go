package http1_test

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/eve-emulation/eve/internal/http1"
)

// read reads one answer with net/http, interim ones before it skipped. left is what follows it.
func read(b []byte, method string) (status int, body, left int64, err error) {
	r := bufio.NewReader(bytes.NewReader(b))
	for {
		res, err := http.ReadResponse(r, &http.Request{Method: method})
		if err != nil {
			return 0, 0, 0, err
		}
		if res.StatusCode < 200 && res.StatusCode != 101 {
			continue
		}
		n, err := io.Copy(io.Discard, res.Body)
		rest, _ := io.Copy(io.Discard, r)
		return res.StatusCode, n, rest, err
	}
}

// What the reader takes for a whole answer, net/http takes for the same one. The reader may be stricter, never laxer, but in
// trailers, which it skips.
func FuzzResponseAgainstNetHTTP(f *testing.F) {
	for _, tt := range responses {
		f.Add([]byte(tt.text), false)
		f.Add([]byte(tt.text), true)
	}
	for _, text := range []string{
		"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 204 No Content\r\nContent-Length: 3\r\n\r\nabc",
		"HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
		"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3;a=b\r\nabc\r\n0\r\nX: y\r\n\r\nmore",
		"HTTP/1.1 200\r\nconnection: close\r\n\r\nto the end",
		"HTTP/1.1 304 Not Modified\r\nContent-Length: 1000\r\n\r\n",
		"HTTP/1.1 101 Switching\r\nUpgrade: x\r\n\r\nbytes",
	} {
		f.Add([]byte(text), false)
	}
	f.Fuzz(func(t *testing.T, b []byte, head bool) {
		var r http1.ResponseReader
		r.Reset(head)
		n, err := r.Feed(b)
		if err == nil {
			err = r.End()
		}
		if err != nil {
			return
		}
		method := "GET"
		if head {
			method = "HEAD"
		}
		status, body, left, err := read(b, method)
		if err != nil && (r.Response.Chunked && body == r.Bytes || lax(err)) {
			return // a trailer
		}
		if err != nil || status != r.Response.Status {
			t.Fatalf("got an answer with status %d and %d bytes, want %d, %d, %v", r.Response.Status, r.Bytes, status, body, err)
		}
		if body != r.Bytes || status != 101 && int64(len(b)-n) != left {
			t.Fatalf("got %d bytes and %d left, want %d and %d", r.Bytes, len(b)-n, body, left)
		}
	})
}

// lax reports whether net/http refuses what is no matter of framing.
func lax(err error) bool {
	return strings.Contains(err.Error(), "malformed MIME header")
}

// What net/http writes the reader reads, in whatever pieces it comes.
func TestReadsWhatNetHTTPWrites(t *testing.T) {
	for _, status := range []int{200, 201, 204, 206, 301, 304, 404, 500, 503} {
		for _, size := range []int64{0, 1, 1000, 100_000} {
			for _, kind := range []string{"length", "chunked", "close", "http/1.0"} {
				for _, method := range []string{"GET", "HEAD"} {
					name := fmt.Sprintf("%s %d %d %s", method, status, size, kind)
					res := &http.Response{
						StatusCode: status, ProtoMajor: 1, ProtoMinor: 1, ContentLength: size, Request: &http.Request{Method: method},
						Header: http.Header{"X-Eve": {"a", "b"}, "Set-Cookie": {"c=d; Path=/"}}, Body: io.NopCloser(strings.NewReader(strings.Repeat("x", int(size)))),
					}
					switch kind {
					case "chunked":
						res.ContentLength, res.TransferEncoding, res.Trailer = -1, []string{"chunked"}, http.Header{"T": {"v"}}
					case "close":
						res.ContentLength, res.Close = -1, true
					case "http/1.0":
						res.ContentLength, res.ProtoMinor, res.Close = -1, 0, true
					}
					var b bytes.Buffer
					if err := res.Write(&b); err != nil {
						t.Fatalf("%s: %v", name, err)
					}
					wantStatus, wantBody, _, err := read(b.Bytes(), method)
					if err != nil {
						t.Fatalf("%s: %v", name, err)
					}
					for _, piece := range []int{1, 7, 4096, 1 << 20} {
						if piece == 1 && size > 1000 {
							continue
						}
						got, err := inPieces(b.Bytes(), piece, method == "HEAD")
						if err != nil || got.Response.Status != wantStatus || got.Bytes != wantBody {
							t.Errorf("%s in pieces of %d: got %d, %d bytes, %v; want %d, %d", name, piece, got.Response.Status, got.Bytes, err, wantStatus, wantBody)
						}
					}
				}
			}
		}
	}
}

func inPieces(b []byte, size int, head bool) (*http1.ResponseReader, error) {
	var r http1.ResponseReader
	r.Reset(head)
	for len(b) > 0 && !r.Done() {
		n := min(size, len(b))
		if _, err := r.Feed(b[:n]); err != nil {
			return &r, err
		}
		b = b[n:]
	}
	return &r, r.End()
}

func TestResponseLimits(t *testing.T) {
	long := strings.Repeat("X-A: and so on\r\n", 5000)
	for name, text := range map[string]string{
		"head":    "HTTP/1.1 200 OK\r\n" + long,
		"interim": strings.Repeat("HTTP/1.1 103 Early Hints\r\nLink: <a>\r\n\r\n", 2000),
		"trailer": "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n" + long,
		"size":    "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1;" + long[:10] + strings.Repeat("x", 10_000),
	} {
		_, err := inPieces([]byte(text), 1000, false)
		if !http1.TooLong(err) {
			t.Errorf("%s: got %v, want too long", name, err)
		}
	}
	if http1.TooLong(http1.ErrClosed) || http1.TooLong(errors.New("else")) {
		t.Error("another error is too long")
	}
	var r http1.ResponseReader
	for _, tt := range []struct {
		text string
		want int64
	}{
		{"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc", 7},
		{"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1000\r\nabc", 4093},
		{"HTTP/1.1 200 OK\r\n\r\nabc", 0},
		{"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc", 0},
		{"HTTP/1.1 200 OK\r\nContent-Le", 0},
	} {
		r.Reset(false)
		if _, err := r.Feed([]byte(tt.text)); err != nil || r.Left() != tt.want {
			t.Errorf("%q: got %d left, %v, want %d", tt.text, r.Left(), err, tt.want)
		}
	}
}
