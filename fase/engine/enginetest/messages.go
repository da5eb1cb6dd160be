package enginetest

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/eve-emulation/eve/fase/engine"
)

// messages tests what goes over a connection that behaves.
func (s suite) messages() map[string]func(*testing.T) {
	return map[string]func(*testing.T){
		"keep-alive":          s.keepAlive,
		"bodies":              s.bodies,
		"head":                s.head,
		"status and headers":  s.statuses,
		"pipelining":          s.pipelining,
		"deep pipeline":       s.deepPipeline,
		"out of order":        s.outOfOrder,
		"byte by byte":        s.byteByByte,
		"chunked":             s.chunked,
		"expect continue":     s.expectContinue,
		"stock client":        s.stockClient,
		"passed to one owner": s.passed,
	}
}

func (s suite) keepAlive(t *testing.T) {
	sv := s.start(t, engine.Config{})
	c := sv.dial(t)
	for i := range 100 {
		c.get(fmt.Sprintf("/fill/%d", i))
		c.expect("GET", 200, fmt.Sprintf("#%d", i))
	}
}

func (s suite) bodies(t *testing.T) {
	c := s.start(t, engine.Config{}).dial(t)
	for _, n := range []int{0, 1, 2048, 2049, 4096, 65535, 65536, 65537, 1 << 20} {
		c.get("/fill/" + itoa(n))
		c.expect("GET", 200, "#"+itoa(n))
		c.get("/body/" + itoa(n))
		c.expect("GET", 200, strings.Repeat("b", n))
		text := strings.Repeat("0123456789abcde\n", n/16+1)[:n]
		c.send(fmt.Sprintf("POST /echo HTTP/1.1\r\nHost: eve\r\nContent-Length: %d\r\n\r\n", n))
		c.send(text)
		c.expect("POST", 200, text)
	}
	c.get("/fill/50000000")
	c.expect("GET", 200, "#50000000")
}

func (s suite) head(t *testing.T) {
	c := s.start(t, engine.Config{}).dial(t)
	c.send("HEAD /fill/5000000 HTTP/1.1\r\nHost: eve\r\n\r\n")
	if got := c.expect("HEAD", 200, "").ContentLength; got != 5000000 {
		t.Errorf("Content-Length: got %d, want 5000000", got)
	}
	c.send("HEAD /body/7 HTTP/1.1\r\nHost: eve\r\n\r\n")
	if got := c.expect("HEAD", 200, "").ContentLength; got != 7 {
		t.Errorf("Content-Length: got %d, want 7", got)
	}
	c.get("/fill/3")
	c.expect("GET", 200, "#3")
}

func (s suite) statuses(t *testing.T) {
	c := s.start(t, engine.Config{}).dial(t)
	for _, status := range []int{200, 204, 304, 421, 503, 599} {
		c.get("/status/" + itoa(status))
		res := c.expect("GET", status, "")
		if got := res.Header.Get("X-Test"); got != "1" {
			t.Errorf("status %d: X-Test: got %q, want 1", status, got)
		}
		if _, err := http.ParseTime(res.Header.Get("Date")); err != nil {
			t.Errorf("status %d: Date: %v", status, err)
		}
	}
	c.send("GET /header/eve-key?x=/y HTTP/1.1\r\nHost: eve\r\nEVE-key: \t7f \r\n\r\n")
	c.expect("GET", 200, "7f true")
	c.get("/header/eve-key")
	c.expect("GET", 200, " false")
}

func (s suite) pipelining(t *testing.T) {
	c := s.start(t, engine.Config{}).dial(t)
	var all strings.Builder
	for i := range 1000 {
		fmt.Fprintf(&all, "POST /echo HTTP/1.1\r\nHost: eve\r\nContent-Length: 4\r\n\r\n%04d", i)
	}
	c.send(all.String())
	for i := range 1000 {
		c.expect("POST", 200, fmt.Sprintf("%04d", i))
	}
}

// deepPipeline sends more requests than may be unanswered, for more bytes than sockets hold, and reads only then.
func (s suite) deepPipeline(t *testing.T) {
	c := s.start(t, engine.Config{Pipeline: 4}).dial(t)
	const n = 200
	go func() {
		for i := range n {
			path := "/fill/100000"
			if i%7 == 0 {
				path = "/after/1ms"
			}
			_, _ = io.WriteString(c, "GET "+path+" HTTP/1.1\r\nHost: eve\r\n\r\n")
		}
	}()
	for i := range n {
		if i%7 == 0 {
			c.expect("GET", 200, "after 1ms")
		} else {
			c.expect("GET", 200, "#100000")
		}
	}
}

func (s suite) outOfOrder(t *testing.T) {
	c := s.start(t, engine.Config{}).dial(t)
	var all strings.Builder
	paths := []string{"after/30ms", "fill/10000", "after/1ms", "body/3", "after/15ms", "fill/7"}
	for _, p := range paths {
		all.WriteString("GET /" + p + " HTTP/1.1\r\nHost: eve\r\n\r\n")
	}
	c.send(all.String())
	for _, want := range []string{"after 30ms", "#10000", "after 1ms", "bbb", "after 15ms", "#7"} {
		c.expect("GET", 200, want)
	}
}

func (s suite) byteByByte(t *testing.T) {
	c := s.start(t, engine.Config{}).dial(t)
	_ = c.SetNoDelay(true)
	text := "\r\n\r\nPOST /echo HTTP/1.1\r\nHost: eve\r\nContent-Length: 5\r\n\r\nhello" +
		"POST /echo HTTP/1.1\r\nHost: eve\r\nTransfer-Encoding: chunked\r\n\r\n2;a=b\r\nhe\r\n3\r\nllo\r\n0\r\nX: y\r\n\r\nGET /fill/1 HTTP/1.1\r\nHost: eve\r\n\r\n"
	for i := range text {
		c.send(text[i : i+1])
	}
	c.expect("POST", 200, "hello")
	c.expect("POST", 200, "hello")
	c.expect("GET", 200, "#1")
}

func (s suite) chunked(t *testing.T) {
	c := s.start(t, engine.Config{}).dial(t)
	head := "POST /echo HTTP/1.1\r\nHost: eve\r\nTransfer-Encoding: chunked\r\n\r\n"
	c.send(head + "0\r\n\r\n" + head + "5\r\nhello\r\n0\r\n\r\n")
	c.expect("POST", 200, "")
	c.expect("POST", 200, "hello")
	// One-byte chunks: the framing is six times the payload, and must not count against the limit of the body.
	c.send(head + strings.Repeat("1\r\nx\r\n", 300_000) + "0\r\n\r\n")
	c.expect("POST", 200, strings.Repeat("x", 300_000))
	c.send(head + "100000\r\n" + strings.Repeat("y", 1<<20) + "\r\n0\r\n\r\n")
	c.expect("POST", 200, strings.Repeat("y", 1<<20))
	c.send(head + "100000\r\n" + strings.Repeat("y", 1<<20) + "\r\n1\r\nz\r\n0\r\n\r\n")
	if res := c.next("POST"); res.StatusCode != 413 {
		t.Errorf("status of a body beyond the limit: got %d, want 413", res.StatusCode)
	}
	c.expectEnd()
}

func (s suite) expectContinue(t *testing.T) {
	c := s.start(t, engine.Config{}).dial(t)
	const head = "POST /echo HTTP/1.1\r\nHost: eve\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n"
	c.get("/after/10ms") // the invitation must wait for this response
	c.send(head)
	c.expect("GET", 200, "after 10ms")
	res, err := http.ReadResponse(c.r, nil)
	if err != nil || res.StatusCode != 100 {
		t.Fatalf("interim response: got %v, %v; want 100", res, err)
	}
	c.send("hello")
	c.expect("POST", 200, "hello")
	c.send(head + "world") // did not wait: no invitation
	c.expect("POST", 200, "world")
}

func (s suite) stockClient(t *testing.T) {
	sv := s.start(t, engine.Config{})
	tr := &http.Transport{}
	defer tr.CloseIdleConnections()
	hc := &http.Client{Transport: tr, Timeout: patience}
	for range 3 {
		res, err := hc.Post("http://"+sv.Addr().String()+"/echo", "text/plain", struct{ io.Reader }{strings.NewReader("streamed")})
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(res.Body)
		_ = res.Body.Close()
		if string(body) != "streamed" || err != nil {
			t.Errorf("body: got %q, %v, want streamed", body, err)
		}
	}
}

// passed has three loops give their requests to the first.
func (s suite) passed(t *testing.T) {
	sv := s.start(t, engine.Config{Reactors: 3})
	var clients []*client
	for range 24 {
		clients = append(clients, sv.dial(t))
	}
	for i, c := range clients {
		c.send(fmt.Sprintf("GET /owner/after/3ms HTTP/1.1\r\nHost: eve\r\n\r\n"+
			"POST /owner/echo HTTP/1.1\r\nHost: eve\r\nContent-Length: 4\r\n\r\n%04d"+
			"GET /fill/10 HTTP/1.1\r\nHost: eve\r\n\r\nGET /owner/fill/100000 HTTP/1.1\r\nHost: eve\r\n\r\n", i))
	}
	for i, c := range clients {
		c.expect("GET", 200, "after 3ms")
		if got := c.expect("POST", 200, fmt.Sprintf("%04d", i)).Header.Get("X-Loop"); got != "0" {
			t.Errorf("X-Loop: got %q, want 0", got)
		}
		c.expect("GET", 200, "#10")
		c.expect("GET", 200, "#100000")
	}
}
