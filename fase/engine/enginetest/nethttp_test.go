package enginetest

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"sync"
	"testing"
	"time"
)

// lenient is the bad input that net/http answers with 200. docs/engines.md lists it.
var lenient = map[string]bool{
	"bare LF":           true,
	"folded line":       true,
	"length and coding": true,
	"coding and length": true,
	"coding in 1.0":     true,
}

// TestNetHTTP sends the bad input to the standard library's server under the limits of the suite: what Eve's engines refuse
// with one status it refuses with the same, but for what is lenient.
func TestNetHTTP(t *testing.T) {
	srv := &http.Server{MaxHeaderBytes: 64 << 10, ReadTimeout: 2 * time.Second, Handler: http.HandlerFunc(
		func(w http.ResponseWriter, r *http.Request) {
			if r.ContentLength > 1<<20 {
				w.WriteHeader(http.StatusRequestEntityTooLarge) // its limit of bodies is its handlers' business
				return
			}
			if _, err := io.Copy(io.Discard, http.MaxBytesReader(w, r.Body, 1<<20)); err != nil {
				w.WriteHeader(http.StatusBadRequest)
			}
		})}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	wg.Go(func() { _ = srv.Serve(ln) })
	defer wg.Wait()
	defer func() { _ = srv.Close() }()
	for _, tt := range bad {
		t.Run(tt.name, func(t *testing.T) {
			c, err := net.Dial("tcp", ln.Addr().String())
			if err != nil {
				t.Fatal(err)
			}
			_ = c.SetDeadline(time.Now().Add(patience))
			wg.Go(func() { _, _ = io.WriteString(c, tt.send) }) // the server may stop reading
			want := tt.status
			if lenient[tt.name] {
				want = 200
			}
			res, err := http.ReadResponse(bufio.NewReader(c), nil)
			if err != nil || res.StatusCode != want {
				t.Errorf("response: got %v, %v, want status %d", res, err, want)
			}
			_ = c.Close()
		})
	}
}
