package server_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/eve-emulation/eve/fase/engine"
	"github.com/eve-emulation/eve/fase/machine"
	"github.com/eve-emulation/eve/fase/service"
	"github.com/eve-emulation/eve/internal/mono"
	"github.com/eve-emulation/eve/modules/server"
	"github.com/eve-emulation/eve/rdr"
)

// listen opens a server whose scenario has the services web, which it holds, and app, which it does not.
func listen(t *testing.T, change func(*server.Config)) *server.Server {
	t.Helper()
	topo := &service.Topology{Servers: []string{"here", "there"}, Services: []string{"web", "app"}}
	cfg := server.Config{
		Host: service.HostConfig{Topology: topo, Services: []service.Config{
			{Name: "web", On: []int{0}}, {Name: "app", On: []int{1}},
		}},
		Engine: engine.Config{Listen: "127.0.0.1:0"}, Scratch: t.TempDir(),
	}
	if change != nil {
		change(&cfg)
	}
	s, err := server.Listen(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// serve runs a server until the test has ended; it then must have left nothing behind.
func serve(t *testing.T, s *server.Server) string {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("run: %v", err)
		}
		http.DefaultClient.CloseIdleConnections()
		goleak.VerifyNone(t)
	})
	return "http://" + s.Addr().String()
}

func mapped(s *server.Server) {
	s.Changed(0, service.Mapping{Epoch: 1, Replicas: []service.Replica{{Server: "here", State: service.Serving}}})
	s.Changed(1, service.Mapping{Epoch: 1, Replicas: []service.Replica{{Server: "there", State: service.Serving, Address: "127.0.0.1:1"}}})
}

// ask sends one request and returns the answer and its body.
func ask(t *testing.T, method, url, body string, header ...string) (*http.Response, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i+1 < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return res, string(text)
}

func compact(t *testing.T, text string) string {
	t.Helper()
	b, err := rdr.ParseBlock("test", []byte(text), rdr.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	return string(b.Compact())
}

func TestAnswers(t *testing.T) {
	s := listen(t, func(c *server.Config) { c.Limits = rdr.Limits{} })
	url := serve(t, s)
	s.Start(mono.Now())
	mapped(s)
	for _, c := range []struct {
		name, method, path, body string
		header                   []string
		status                   int
		size                     int    // of the answer's body; -1: any
		says                     string // part of it
	}{
		{"a page", "GET", "/any", "", nil, 200, -1, "POST a resource demand request"},
		{"its head", "HEAD", "/", "", nil, 200, 0, ""},
		{"a demand as text", "POST", "/rdr", "cpu 1ms reply 10KiB", nil, 200, 10240, ""},
		{"a demand of nothing", "POST", "/rdr", "", nil, 200, 0, ""},
		{"one to a service", "POST", "/rdr/web", "cpu 1ms reply 7B", nil, 200, 7, ""},
		{"a compact one", "POST", "/rdr/web", compact(t, "cpu 1ms reply 2KiB"), []string{"Eve-Key", "1f", "Eve-Epoch", "1"}, 200, 2048, ""},
		{"with what is sent behind it", "POST", "/rdr/web", compact(t, "reply 1KiB") + strings.Repeat("x", 3000), nil, 200, 1024, ""},
		{"a failure", "POST", "/rdr", "fail 1", nil, 500, -1, ""},
		{"a service elsewhere", "POST", "/rdr/app", "cpu 1ms", []string{"Eve-Epoch", "1"}, 421, -1, ""},
		{"no such service", "POST", "/rdr/db", "cpu 1ms", nil, 404, -1, "no service db"},
		{"a call to no such service", "POST", "/rdr", "call db { cpu 1ms }", nil, 400, -1, "call db: this server knows no service"},
		{"a call to one that refuses", "POST", "/rdr", "call app { cpu 1ms } reply 1KiB", nil, 500, -1, ""},
		{"too much", "POST", "/rdr", "cpu 9h", nil, 413, -1, "at most"},
		{"nonsense", "POST", "/rdr", "cpi 1ms", nil, 400, -1, "did you mean `cpu`"},
		{"a request's statement", "POST", "/rdr", `http web GET "/"`, nil, 400, -1, "runs at the client"},
		{"a file", "POST", "/rdr", `cpu empirical("/etc/passwd")`, nil, 400, -1, "rdr:1:"},
		{"a bad key", "POST", "/rdr", "cpu 1ms", []string{"Eve-Key", "zz"}, 400, -1, "Eve-Key"},
		{"elsewhere", "POST", "/rdrx", "cpu 1ms", nil, 404, -1, "/rdr/SERVICE"},
		{"another method", "DELETE", "/rdr", "", nil, 405, -1, "GET, HEAD or POST"},
	} {
		t.Run(c.name, func(t *testing.T) {
			res, body := ask(t, c.method, url+c.path, c.body, c.header...)
			if res.StatusCode != c.status || c.size >= 0 && len(body) != c.size || !strings.Contains(body, c.says) {
				t.Errorf("got %d with %d bytes, %.200q; want %d, %d bytes, %q", res.StatusCode, len(body), body, c.status, c.size, c.says)
			}
			if c.status == 421 && res.Header.Get("Eve-Epoch") != "1" {
				t.Errorf("Eve-Epoch is %q, want 1", res.Header.Get("Eve-Epoch"))
			}
		})
	}
	if got := s.Stats().Requests; got == 0 {
		t.Error("no request was counted")
	}
}

// TestAnyMethod asks a server that stands in for a real one what visitors ask those.
func TestAnyMethod(t *testing.T) {
	get, err := rdr.ParseBlock("get", []byte("cpu 1us reply 77B"), rdr.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	for _, b := range []*rdr.Block{nil, get} {
		t.Run(fmt.Sprintf("get %v", b != nil), func(t *testing.T) {
			s := listen(t, func(c *server.Config) { c.Any, c.Get = true, b })
			url := serve(t, s)
			s.Start(mono.Now())
			_, page := ask(t, "GET", url+"/", "")
			for _, c := range []struct {
				method, path, body string
				status             int
				says               string
			}{
				{"POST", "/cart", "item=7", 200, page},
				{"PUT", "/rdrx", strings.Repeat("x", 100_000), 200, page},
				{"DELETE", "/files/none", "", 200, page},
				{"OPTIONS", "/", "", 200, page},
				{"POST", "/rdr", "cpu 1us reply 5B", 200, ""},
				{"POST", "/rdr/db", "cpu 1us", 404, "no service db"},
				{"DELETE", "/rdr", "", 405, "GET, HEAD or POST"},
			} {
				if res, body := ask(t, c.method, url+c.path, c.body); res.StatusCode != c.status || !strings.Contains(body, c.says) {
					t.Errorf("%s %s: got %d %.100q, want %d %.100q", c.method, c.path, res.StatusCode, body, c.status, c.says)
				}
			}
		})
	}
}

func TestTakesItsTime(t *testing.T) {
	for _, m := range []machine.Config{
		{Run: machine.Hold},
		{Run: machine.Burn}, // on the loop
		{Run: machine.Burn, CPU: machine.CPUConfig{Cores: 2}}, // on threads of their own
	} {
		t.Run(fmt.Sprint(m.Run, m.CPU.Cores), func(t *testing.T) {
			s := listen(t, func(c *server.Config) { c.Host.Machine = m })
			url := serve(t, s)
			s.Start(mono.Now())
			start := time.Now()
			res, body := ask(t, "POST", url+"/rdr", "par { cpu 20ms cpu 1ms }  disk write 64KiB sync  disk read 64KiB  memory 1MiB { cpu 5ms }  reply 1KiB")
			if took := time.Since(start); res.StatusCode != 200 || len(body) != 1024 || took < 25*time.Millisecond {
				t.Errorf("got %d with %d bytes in %v, want 200 with 1024 in at least 25 ms", res.StatusCode, len(body), took)
			}
		})
	}
}

func TestNothingBeforeT0(t *testing.T) {
	s := listen(t, nil)
	url := serve(t, s)
	if res, body := ask(t, "POST", url+"/rdr", "cpu 1ms"); res.StatusCode != 503 || !strings.Contains(body, "not started") {
		t.Errorf("got %d %q before Start, want 503", res.StatusCode, body)
	}
	s.Start(mono.Now() + int64(time.Hour))
	if res, _ := ask(t, "POST", url+"/rdr", "cpu 1ms"); res.StatusCode != 503 {
		t.Errorf("got %d before T0, want 503", res.StatusCode)
	}
	s.Start(mono.Now())
	if res, _ := ask(t, "POST", url+"/rdr", "cpu 1ms"); res.StatusCode != 200 {
		t.Errorf("got %d after T0, want 200", res.StatusCode)
	}
}

func TestSeveralReactorsOneHost(t *testing.T) {
	s := listen(t, func(c *server.Config) { c.Engine.Reactors = 3 })
	url := serve(t, s)
	s.Start(mono.Now())
	start := time.Now()
	const n = 12
	got := make(chan int, n)
	for range n {
		go func() { // each sends to got
			res, err := (&http.Client{Transport: &http.Transport{DisableKeepAlives: true}}).Post(url+"/rdr", "", strings.NewReader("cpu 5ms reply 1KiB"))
			if err != nil {
				got <- 0
				return
			}
			_ = res.Body.Close()
			got <- res.StatusCode
		}()
	}
	for range n {
		if code := <-got; code != 200 {
			t.Errorf("got %d, want 200", code)
		}
	}
	if took := time.Since(start); took < n*5*time.Millisecond {
		t.Errorf("%d requests of 5 ms took %v on one processor, want at least %v", n, took, n*5*time.Millisecond)
	}
}

// A client that goes away, and one that sends garbage, disturb nobody.
func TestBrokenClients(t *testing.T) {
	s := listen(t, nil)
	url := serve(t, s)
	s.Start(mono.Now())
	for _, text := range []string{
		"POST /rdr HTTP/1.1\r\nHost: x\r\nContent-Length: 19\r\n\r\ncpu 50ms reply 1KiB", // and does not wait
		"POST /rdr HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\nhalf",
		"\x00\x01\x02\x03\r\n\r\n",
	} {
		c, err := net.Dial("tcp", s.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(c, text); err != nil {
			t.Fatal(err)
		}
		_ = c.Close()
	}
	c, err := net.Dial("tcp", s.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if _, err := io.WriteString(c, "GET / HTTP/1.1\r\n: broken\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	if line, _ := bufio.NewReader(c).ReadString('\n'); !strings.HasPrefix(line, "HTTP/1.1 400 ") {
		t.Errorf("got %q for a broken request, want 400", line)
	}
	if res, _ := ask(t, "POST", url+"/rdr", "cpu 1ms reply 1KiB"); res.StatusCode != 200 {
		t.Errorf("got %d afterwards, want 200", res.StatusCode)
	}
}

func TestListenErrors(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	_, err = server.Listen(server.Config{
		Host:   service.HostConfig{Topology: &service.Topology{Servers: []string{"here"}}},
		Engine: engine.Config{Listen: l.Addr().String()},
	})
	if err == nil || !strings.Contains(err.Error(), l.Addr().String()) || !strings.Contains(err.Error(), "address already in use") {
		t.Errorf("got %v, want the address and that it is in use", err)
	}
}
