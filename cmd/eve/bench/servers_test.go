package bench_test

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/eve-emulation/eve/cmd/eve/bench"
)

// orders sends lines to a part and returns its answers.
func orders(t *testing.T, role string, lines ...string) []string {
	t.Helper()
	var out bytes.Buffer
	if err := bench.Part(t.Context(), role, strings.NewReader(strings.Join(lines, "\n")), &out); err != nil {
		t.Fatalf("%s: %v", role, err)
	}
	return strings.Split(strings.TrimSpace(out.String()), "\n")
}

// few serves HTTP and closes each connection after so many answers; broken makes its answers bad from the third on.
func few(t *testing.T, answers int, broken string) string {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	total := 0
	var mu sync.Mutex
	wg.Go(func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			wg.Go(func() {
				defer c.Close()
				r := bufio.NewReader(c)
				for range answers {
					if _, err := http.ReadRequest(r); err != nil {
						return
					}
					mu.Lock()
					total++
					body := "abc"
					if total > 3 {
						body += broken
					}
					mu.Unlock()
					if _, err := fmt.Fprintf(c, "HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s", len(body), body); err != nil {
						return
					}
				}
			})
		}
	})
	t.Cleanup(func() { _ = ln.Close(); wg.Wait() })
	return ln.Addr().String()
}

func TestVolley(t *testing.T) {
	fire := func(address string) string {
		return fmt.Sprintf(`{"do":"fire","args":{"Address":%q,"Request":"GET / HTTP/1.1\r\nHost: x\r\n\r\n","Connections":4,"PID":1,"Warm":5000000,"Run":50000000}}`, address)
	}
	var a struct {
		Error string
		Reply struct {
			Answers, Reopened int
			Seconds, P50, P99 float64
		}
	}
	got := orders(t, "volley", fire(few(t, 5, "")))[0]
	if err := json.Unmarshal([]byte(got), &a); err != nil || a.Error != "" || a.Reply.Answers < 10 || a.Reply.Reopened < a.Reply.Answers/10 ||
		a.Reply.Seconds < 0.05 || a.Reply.P50 <= 0 || a.Reply.P99 < a.Reply.P50 {
		t.Errorf("got %s: %v; want answers, and a connection for about five of them", got, err)
	}
	for address, want := range map[string]string{
		few(t, 1000, "d"): "bytes is due",
		"127.0.0.1:1":     "connection refused",
		"nowhere":         "not an ip:port",
	} {
		if got := orders(t, "volley", fire(address))[0]; !strings.Contains(got, `{"error":"`) || !strings.Contains(got, want) {
			t.Errorf("%s: got %s, want an error with %q", address, got, want)
		}
	}
}

// TestHold opens connections from source addresses in turn, asks over some, and lets them go.
func TestHold(t *testing.T) {
	address := few(t, 10, "")
	got := orders(t, "volley",
		fmt.Sprintf(`{"do":"hold","args":{"Address":%q,"Sources":["127.1.2.3","127.1.2.4"],"Number":150}}`, address),
		`{"do":"ask","args":{"Number":20,"Request":"GET / HTTP/1.1\r\nHost: x\r\n\r\n"}}`,
		fmt.Sprintf(`{"do":"hold","args":{"Address":%q,"Number":120}}`, address), // it has as many
		`{"do":"alive"}`, // few closes none before it has answered ten times
		`{"do":"release"}`,
		`{"do":"ask","args":{"Number":20,"Request":"x"}}`,
		`{"do":"hold","args":{"Address":"127.0.0.1:1","Number":5}}`)
	for i, want := range []string{`"Number":150`, `"Number":20`, `"Number":150`, `"Number":150`, `{"reply":null}`, `"Number":0`, `"Number":0,"Limit":"connection refused"`} {
		if i >= len(got) || !strings.Contains(got[i], want) {
			t.Errorf("order %d: got %s, want %s", i, got, want)
		}
	}
}

// TestAlive holds connections of which the server closes some.
func TestAlive(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	const all, shut = 8, 3
	accepted := make(chan net.Conn, all)
	var wg sync.WaitGroup
	wg.Go(func() {
		defer close(accepted)
		for range all {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			accepted <- c
		}
	})
	in, lines := io.Pipe()
	answers, out := io.Pipe()
	wg.Go(func() { _ = out.CloseWithError(bench.Part(t.Context(), "volley", in, out)) })
	got := bufio.NewReader(answers)
	ask := func(order, want string) {
		t.Helper()
		if _, err := fmt.Fprintln(lines, order); err != nil {
			t.Fatal(err)
		}
		if line, err := got.ReadString('\n'); err != nil || !strings.Contains(line, want) {
			t.Errorf("%s: got %q, %v, want %s", order, line, err, want)
		}
	}
	ask(fmt.Sprintf(`{"do":"hold","args":{"Address":%q,"Number":%d}}`, ln.Addr(), all), `"Number":8`)
	var open []net.Conn
	for c := range accepted {
		open = append(open, c)
	}
	for _, c := range open[:shut] {
		_ = c.Close() // on this host it has come when Close returns
	}
	ask(`{"do":"alive"}`, `"Number":5`)
	for _, c := range open[shut:] {
		_ = c.Close()
	}
	_ = lines.Close()
	_ = ln.Close()
	wg.Wait()
}

// TestServers opens each server that is in this process and asks it.
func TestServers(t *testing.T) {
	for _, tt := range []struct{ spec, want string }{
		{`{"Engine":"reactors"}`, `"tcp":"127.0.0.1:`},
		{`{"Engine":"sped-poll"}`, `"tcp":"127.0.0.1:`},
		{`{"Peer":"nethttp"}`, `"tcp":"127.0.0.1:`},
		{`{"Peer":"iis"}`, `no such server`},
		{`{"Engine":"warp"}`, `no engine`},
	} {
		if got := orders(t, "server", `{"do":"open","args":`+tt.spec+`}`, `{"do":"settle"}`)[0]; !strings.Contains(strings.ToLower(got), tt.want) {
			t.Errorf("%s: got %s, want %s", tt.spec, got, tt.want)
		}
	}
}

func TestServerNames(t *testing.T) {
	for _, tt := range []struct {
		err  error
		want string
	}{
		{bench.CheckEngines([]string{"epoll-et", "sped-epoll-et", "reactors", "threads"}), ""},
		{bench.CheckEngines([]string{"epoll"}), `engine "epoll": unknown; known are reactors`},
		{bench.CheckWebPeers([]string{"nethttp", "gnet"}), ""},
		{bench.CheckWebPeers([]string{"iis"}), "known are nginx, gnet, loop"},
	} {
		if got := fmt.Sprint(tt.err); tt.want == "" && tt.err != nil || !strings.Contains(got, tt.want) {
			t.Errorf("got %v, want %q", tt.err, tt.want)
		}
	}
	t.Setenv("PATH", t.TempDir())
	if err := bench.CheckWebPeers([]string{"loop"}); err == nil || !strings.Contains(err.Error(), "apt install gcc") {
		t.Errorf("got %v, want what to install", err)
	}
}
