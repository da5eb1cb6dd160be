package load_test

import (
	"bufio"
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"io"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/eve-emulation/eve/dsv"
	"github.com/eve-emulation/eve/fase/load"
	"github.com/eve-emulation/eve/fase/service"
)

// certificate makes one for names, its own authority, that ends in a day or has ended a day ago. It returns it in PEM form too.
func certificate(t *testing.T, expired bool, names ...string) (tls.Certificate, []byte) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	end := time.Now().Add(24 * time.Hour)
	if expired {
		end = time.Now().Add(-24 * time.Hour)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), NotBefore: end.Add(-72 * time.Hour), NotAfter: end, IsCA: true, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
	}
	for _, n := range names {
		if ip := net.ParseIP(n); ip != nil {
			template.IPAddresses = append(template.IPAddresses, ip)
		} else {
			template.DNSNames = append(template.DNSNames, n)
		}
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
}

// site is how a server is spoken to whose certificates are trusted.
func site(t *testing.T, c load.TLS) []load.Site {
	t.Helper()
	cfg, err := c.Config()
	if err != nil {
		t.Fatal(err)
	}
	return []load.Site{{TLS: cfg}}
}

func TestTLSAgainstNetHTTP(t *testing.T) {
	cert, ca := certificate(t, false, "127.0.0.1")
	handler := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		n, err := io.Copy(io.Discard, r.Body)
		if err != nil {
			http.Error(w, err.Error(), 400)
			return
		}
		switch r.URL.Path {
		case "/chunks":
			for range 5 {
				_, _ = io.WriteString(w, strings.Repeat("x", 1000))
				w.(http.Flusher).Flush()
			}
		case "/big":
			_, _ = io.WriteString(w, strings.Repeat("x", 3<<20))
		case "/bye":
			w.Header().Set("Connection", "close")
		default:
			_, _ = io.WriteString(w, strconv.FormatInt(n, 10))
		}
	})
	tests := []struct {
		name   string
		r      service.Request
		bytes  int64
		opened uint64 // for three requests, one after the other
	}{
		{"get", service.Request{Path: "/"}, 1, 1},
		{"head", service.Request{Method: "HEAD", Path: "/"}, 0, 1},
		{"chunked", service.Request{Path: "/chunks"}, 5000, 1},
		{"large answer", service.Request{Path: "/big"}, 3 << 20, 1},
		{"large body", service.Request{Method: "POST", Path: "/", Send: 5 << 20}, 7, 1},
		{"closed by the server", service.Request{Path: "/bye"}, 0, 3},
	}
	for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		srv := httptest.NewUnstartedServer(handler)
		srv.TLS = &tls.Config{Certificates: []tls.Certificate{cert}, MinVersion: version, MaxVersion: version}
		srv.StartTLS()
		t.Cleanup(srv.Close)
		for _, test := range tests {
			t.Run(tls.VersionName(version)+" "+test.name, func(t *testing.T) {
				test.r.Service = -1
				c := &crowd{t: t, request: test.r, due: burst(1), again: true, limit: 3}
				s := carry(t, start(load.Config{Groups: []load.Group{c}, Address: to(srv.URL), Sites: site(t, load.TLS{CA: ca})}))
				for i, x := range c.samples {
					if want := (service.Answer{Status: 200, Bytes: test.bytes}); x.answer != want {
						t.Errorf("answer %d: got %+v, want %+v", i, x.answer, want)
					}
					if x.sent < x.due || x.first < x.sent || x.done < x.first {
						t.Errorf("instants: got due %d, sent %d, first byte %d, done %d", x.due, x.sent, x.first, x.done)
					}
				}
				if s.Opened != test.opened || s.Connect.Count() != test.opened {
					t.Errorf("opened: got %d, connect times %d, want %d", s.Opened, s.Connect.Count(), test.opened)
				}
			})
		}
	}
}

func TestTLSManyAtOnce(t *testing.T) {
	before := goleak.IgnoreCurrent()
	cert, _ := certificate(t, false, "127.0.0.1")
	address := serve(t, overTLS(&tls.Config{Certificates: []tls.Certificate{cert}}, func(c *tls.Conn, r *bufio.Reader) {
		for request(r) {
			if _, err := io.WriteString(c, pong); err != nil {
				return
			}
		}
	}))
	before2 := goleak.IgnoreCurrent()
	c := &crowd{t: t, request: service.Request{Service: -1}, due: burst(40), again: true, limit: 2000}
	s := carry(t, start(load.Config{Groups: []load.Group{c}, Address: to(address), Sites: site(t, load.TLS{Insecure: true})}))
	if s.Answered != 2000 || s.Opened != 40 {
		t.Errorf("got %d answers over %d connections, want 2000 over 40", s.Answered, s.Opened)
	}
	if err := goleak.Find(before, before2, goleak.IgnoreAnyFunction("github.com/eve-emulation/eve/fase/load_test.serve.func1.1")); err != nil {
		t.Errorf("the loop leaves something running: %v", err)
	}
}

// overTLS plays a script over TLS, once the handshake has succeeded.
func overTLS(cfg *tls.Config, play func(c *tls.Conn, r *bufio.Reader)) script {
	return func(c *net.TCPConn, _ *bufio.Reader, _ int) {
		s := tls.Server(c, cfg)
		if s.Handshake() == nil {
			play(s, bufio.NewReader(s))
		}
	}
}

func TestCertificates(t *testing.T) {
	good, ca := certificate(t, false, "shop.example", "127.0.0.1")
	old, oldCA := certificate(t, true, "shop.example", "127.0.0.1")
	tests := []struct {
		name    string
		cert    tls.Certificate
		tls     load.TLS
		host    string
		sni     string
		message string // of the failure; empty: it succeeds
	}{
		{"unknown authority", good, load.TLS{}, "", "", "tls: failed to verify certificate: x509: certificate signed by unknown authority"},
		{"any certificate", good, load.TLS{Insecure: true}, "", "", ""},
		{"given authority, by address", good, load.TLS{CA: ca}, "", "", ""},
		{"by the name in Host", good, load.TLS{CA: ca}, "shop.example:443", "shop.example", ""},
		{"by a name", good, load.TLS{CA: ca, Name: "shop.example"}, "", "shop.example", ""},
		{"another name", good, load.TLS{CA: ca}, "bank.example", "bank.example", "not bank.example"},
		{"expired", old, load.TLS{CA: oldCA}, "", "", "tls: x509: certificate has expired or is not yet valid"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			asked := make(chan string, 6)
			address := serve(t, overTLS(&tls.Config{GetCertificate: func(h *tls.ClientHelloInfo) (*tls.Certificate, error) {
				asked <- h.ServerName
				return &test.cert, nil
			}}, func(c *tls.Conn, r *bufio.Reader) {
				for request(r) {
					_, _ = io.WriteString(c, pong)
				}
			}))
			c := &crowd{t: t, request: service.Request{Service: -1}, due: burst(3), again: true, limit: 6}
			s := carry(t, start(load.Config{Groups: []load.Group{c}, Address: to("https://" + address), Host: test.host, Sites: site(t, test.tls)}))
			want, opened := service.OK, uint64(3)
			if test.message != "" {
				want, opened = service.TLS, 0
			}
			if got, want := describe(c.causes()), describe(map[service.Cause]int{want: 6}); got != want {
				t.Errorf("causes: got %s, want %s; messages %v", got, want, s.Messages)
			}
			if s.Opened != opened {
				t.Errorf("opened: got %d, want %d", s.Opened, opened)
			}
			if got := <-asked; got != test.sni {
				t.Errorf("server name: got %q, want %q", got, test.sni)
			}
			if test.message != "" && (len(s.Messages) != 1 || s.Messages[0].Count != 6 || !strings.Contains(s.Messages[0].Text, test.message)) {
				t.Errorf("messages: got %+v, want 6 of %q", s.Messages, test.message)
			}
		})
	}
	if _, err := (load.TLS{CA: []byte("none")}).Config(); err == nil {
		t.Error("certificates that are none: got no error")
	}
}

// An https address without more is verified by the host's certificates.
func TestHTTPSIsVerifiedByDefault(t *testing.T) {
	cert, _ := certificate(t, false, "127.0.0.1")
	address := serve(t, overTLS(&tls.Config{Certificates: []tls.Certificate{cert}}, func(*tls.Conn, *bufio.Reader) {}))
	c := &crowd{t: t, request: service.Request{Service: -1}, due: burst(2)}
	s := carry(t, start(load.Config{Groups: []load.Group{c}, Address: to("https://" + address)}))
	if s.Errors[service.TLS] != 2 {
		t.Errorf("got %v, want 2 of %s", s.Errors, service.TLS)
	}
}

func TestTLSFaults(t *testing.T) {
	cert, _ := certificate(t, false, "127.0.0.1")
	cfg := &tls.Config{Certificates: []tls.Certificate{cert}}
	answers := func(text string) script {
		return overTLS(cfg, func(c *tls.Conn, r *bufio.Reader) {
			for request(r) {
				if _, err := io.WriteString(c, text); err != nil {
					return
				}
			}
		})
	}
	// raw says something below TLS after a request.
	raw := func(say func(c *net.TCPConn)) script {
		return func(c *net.TCPConn, _ *bufio.Reader, _ int) {
			s := tls.Server(c, cfg)
			if s.Handshake() == nil && request(bufio.NewReader(s)) {
				say(c)
			}
		}
	}
	once := func(text string) script {
		return overTLS(cfg, func(c *tls.Conn, r *bufio.Reader) {
			if request(r) {
				_, _ = io.WriteString(c, text)
				_ = c.CloseWrite()
			}
		})
	}
	tests := []struct {
		name    string
		play    script
		cause   service.Cause
		stands  bool
		message string
	}{
		{"nobody listens", nil, service.Refused, false, ""},
		{"plain text", func(c *net.TCPConn, r *bufio.Reader, n int) {
			_, _ = io.WriteString(c, "HTTP/1.1 400 Bad Request\r\n\r\n")
			hush(c, r, n)
		}, service.TLS, false, "does not look like a TLS handshake"},
		{"a stalled handshake", hush, service.TLS, false, "no end of the handshake within"},
		{"an endless handshake", func(c *net.TCPConn, _ *bufio.Reader, _ int) {
			hello := []byte{22, 3, 3, 64, 0, 2, 255, 255, 255} // longer than any
			for _, err := c.Write(hello); err == nil; {
				_, err = c.Write(make([]byte, 16<<10))
			}
		}, service.TLS, false, "tls: "},
		{"closed in the handshake", func(c *net.TCPConn, _ *bufio.Reader, _ int) { _, _ = c.Read(make([]byte, 1000)) }, service.TLS, false, "tls: "},
		{"reset in the handshake", func(c *net.TCPConn, r *bufio.Reader, _ int) { _, _ = r.ReadByte(); _ = c.SetLinger(0) }, service.TLS, false, "connection reset by peer"},
		{"no version in common", func(c *net.TCPConn, _ *bufio.Reader, _ int) {
			_ = tls.Server(c, &tls.Config{Certificates: cfg.Certificates, MaxVersion: tls.VersionTLS11, MinVersion: tls.VersionTLS10}).Handshake()
		}, service.TLS, false, "protocol version not supported"},
		{"a certificate is wanted", overTLS(&tls.Config{Certificates: cfg.Certificates, ClientAuth: tls.RequireAnyClientCert}, nil), service.TLS, true, "certificate required"},
		{"garbage after the handshake", raw(func(c *net.TCPConn) { _, _ = c.Write([]byte("HTTP/1.1 200 OK\r\n\r\n")) }), service.TLS, true, "tls: "},
		{"a forged record", raw(func(c *net.TCPConn) { _, _ = c.Write(append([]byte{23, 3, 3, 0, 40}, make([]byte, 40)...)) }), service.TLS, true, "bad record MAC"},
		{"closed within a record", raw(func(c *net.TCPConn) { _, _ = c.Write([]byte{23, 3, 3, 0, 40, 1}) }), service.Closed, true, ""},
		{"closed without a word", raw(func(*net.TCPConn) {}), service.Closed, true, ""},
		{"reset after the request", raw(func(c *net.TCPConn) { _ = c.SetLinger(0) }), service.Reset, true, ""},
		{"not HTTP", answers("220 ready\r\n"), service.Malformed, true, "malformed answer"},
		{"truncated", once("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabcd"), service.Truncated, true, ""},
		{"a body until the end", once("HTTP/1.0 200 OK\r\n\r\nabcd"), service.OK, true, ""},
		{"more than announced", answers(pong + "pong"), service.OK, true, ""},
		{"an answer too many", func(c *net.TCPConn, _ *bufio.Reader, _ int) {
			w := &corked{Conn: c}
			s := tls.Server(w, cfg)
			if r := bufio.NewReader(s); s.Handshake() == nil && request(r) { // two records that come at once
				w.held = new(bytes.Buffer)
				_, _ = io.WriteString(s, pong)
				_, _ = io.WriteString(s, pong)
				_, _ = c.Write(w.held.Bytes())
				_, _ = io.Copy(io.Discard, r)
			}
		}, service.OK, true, ""},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			address := ""
			if test.play == nil {
				address = refused(t)
			} else {
				address = serve(t, test.play)
			}
			c := &crowd{t: t, request: service.Request{Method: "POST", Service: -1}, due: burst(4), again: true, limit: 12}
			s := carry(t, start(load.Config{
				Groups: []load.Group{c}, Address: to(address), Sites: site(t, load.TLS{Insecure: true}), ConnectTimeout: timeoutFor(test.message),
			}))
			if got, want := describe(c.causes()), describe(map[service.Cause]int{test.cause: 12}); got != want {
				t.Errorf("causes: got %s, want %s; messages %v", got, want, s.Messages)
			}
			if test.message != "" && (len(s.Messages) == 0 || !strings.Contains(s.Messages[0].Text, test.message)) {
				t.Errorf("messages: got %+v, want %q", s.Messages, test.message)
			}
			if (s.Opened > 0) != test.stands {
				t.Errorf("opened: got %d, want some: %v", s.Opened, test.stands)
			}
		})
	}
}

// corked holds back what is written once held is set.
type corked struct {
	net.Conn
	held *bytes.Buffer
}

func (c *corked) Write(p []byte) (int, error) {
	if c.held != nil {
		return c.held.Write(p)
	}
	return c.Conn.Write(p)
}

// timeoutFor is short where the time-out is what is tested.
func timeoutFor(message string) time.Duration {
	if strings.Contains(message, "within") {
		return 30 * time.Millisecond
	}
	return 0
}

// What is given up in the middle of a handshake, by its user or by the end of the run, is abandoned, and nothing is left behind.
func TestGivenUpInTheHandshake(t *testing.T) {
	before := goleak.IgnoreCurrent()
	address := serve(t, hush)
	for _, test := range []struct {
		name     string
		patience time.Duration
	}{{"by the users", 30 * time.Millisecond}, {"by the end", 0}} {
		t.Run(test.name, func(t *testing.T) {
			c := &crowd{t: t, request: service.Request{Service: -1}, due: burst(10), patience: test.patience}
			s := carry(t, start(load.Config{
				Groups: []load.Group{c}, Address: to(address), Sites: site(t, load.TLS{Insecure: true}), End: dsv.At(50 * time.Millisecond), Grace: time.Millisecond,
			}))
			if s.Abandoned != 10 || s.Opened != 0 {
				t.Errorf("got %d abandoned, %d opened, want 10 and 0", s.Abandoned, s.Opened)
			}
		})
	}
	if err := goleak.Find(before, goleak.IgnoreAnyFunction("github.com/eve-emulation/eve/fase/load_test.serve.func1")); err != nil {
		t.Errorf("a handshake is left: %v", err)
	}
}

// Idle connections of TLS are held like others, through the news that servers send after a handshake.
func TestHeldOverTLS(t *testing.T) {
	cert, _ := certificate(t, false, "127.0.0.1")
	address := serve(t, overTLS(&tls.Config{Certificates: []tls.Certificate{cert}}, func(c *tls.Conn, r *bufio.Reader) {
		for request(r) {
			_, _ = io.WriteString(c, pong)
		}
	}))
	c := &crowd{t: t, request: service.Request{Service: -1}, due: every(10*time.Millisecond, 20)}
	s := carry(t, start(load.Config{
		Groups: []load.Group{c}, Address: to(address), Sites: site(t, load.TLS{Insecure: true}), Hold: []int{8}, End: dsv.At(250 * time.Millisecond), Grace: time.Minute,
	}))
	if s.Held != 8 || s.HeldLost != 0 || s.Answered != 20 {
		t.Errorf("got %d held, %d lost, %d answered; want 8, 0 and 20", s.Held, s.HeldLost, s.Answered)
	}
}

// A large body goes out while the answer waits for it, and what is read is what was sent.
func TestTLSCarriesTheBody(t *testing.T) {
	cert, _ := certificate(t, false, "127.0.0.1")
	body := strings.Repeat("0123456789", 30_000)
	var got bytes.Buffer
	done := make(chan error, 1)
	address := serve(t, overTLS(&tls.Config{Certificates: []tls.Certificate{cert}}, func(c *tls.Conn, r *bufio.Reader) {
		req, err := http.ReadRequest(r)
		if err == nil {
			_, err = io.Copy(&got, req.Body)
		}
		done <- errors.Join(err, context.Cause(context.Background()))
		_, _ = io.WriteString(c, pong)
	}))
	c := &crowd{t: t, request: service.Request{Service: -1, Method: "PUT", HTTP: more("X-A: b\r\n", body), Send: 1000}, due: burst(1)}
	carry(t, start(load.Config{Groups: []load.Group{c}, Address: to(address), Sites: site(t, load.TLS{Insecure: true})}))
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	if want := body + strings.Repeat("\x00", 1000); got.String() != want {
		t.Errorf("body: got %d bytes, want the %d that were sent", got.Len(), len(want))
	}
}
