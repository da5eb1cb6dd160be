package load_test

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"sync"
	"testing"
)

// A script plays the server on one connection, the n-th from 0; it closes it by returning.
type script func(c *net.TCPConn, r *bufio.Reader, n int)

// serve plays a script on every connection to a fresh address.
func serve(t testing.TB, play script) string {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	var mu sync.Mutex
	open := map[net.Conn]bool{}
	wg.Go(func() {
		for n := 0; ; n++ {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			mu.Lock()
			open[c] = true
			mu.Unlock()
			wg.Go(func() {
				play(c.(*net.TCPConn), bufio.NewReader(c), n)
				_ = c.Close()
				mu.Lock()
				delete(open, c)
				mu.Unlock()
			})
		}
	})
	t.Cleanup(func() {
		_ = ln.Close()
		mu.Lock()
		for c := range open {
			_ = c.Close()
		}
		mu.Unlock()
		wg.Wait()
	})
	return ln.Addr().String()
}

// request reads one request without a body; false at the end of the stream.
func request(r *bufio.Reader) bool {
	for {
		line, err := r.ReadString('\n')
		if err != nil {
			return false
		}
		if line == "\r\n" {
			return true
		}
	}
}

// say is a script that answers every request with the same bytes, up to times requests on a connection.
func say(text string, times int) script {
	return func(c *net.TCPConn, r *bufio.Reader, _ int) {
		for i := 0; (times == 0 || i < times) && request(r); i++ {
			if _, err := io.WriteString(c, text); err != nil {
				return
			}
		}
	}
}

const pong = "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\npong"

// hush reads until the peer closes.
func hush(_ *net.TCPConn, r *bufio.Reader, _ int) { _, _ = io.Copy(io.Discard, r) }

// reset closes the connection so that the peer sees a reset.
func reset(c *net.TCPConn, r *bufio.Reader, _ int) {
	if request(r) {
		_ = c.SetLinger(0)
	}
}

// endless begins an answer and goes on with numbered pieces until the peer closes.
func endless(begin, piece string) script {
	return func(c *net.TCPConn, r *bufio.Reader, _ int) {
		if !request(r) {
			return
		}
		w := bufio.NewWriter(c)
		_, err := io.WriteString(w, begin)
		for i := 0; err == nil; i++ {
			_, err = fmt.Fprintf(w, piece, i)
		}
	}
}

// refused returns an address where nobody listens.
func refused(t testing.TB) string {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = ln.Close() }()
	return ln.Addr().String()
}
