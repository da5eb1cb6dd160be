package load_test

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"sort"
	"strings"
	"testing"

	"github.com/eve-emulation/eve/fase/load"
	"github.com/eve-emulation/eve/fase/service"
	"github.com/eve-emulation/eve/rdr"
)

// more is header lines and a body.
func more(fields, body string) *rdr.HTTP { return &rdr.HTTP{Fields: fields, Body: body} }

// What net/http reads is what was asked for; two kinds of requests take turns, so that the second of each is made of what the
// places of the first were left with.
func TestPlainRequests(t *testing.T) {
	long := strings.Repeat("0123456789", 50_000)
	tests := []struct {
		name   string
		r      service.Request
		want   string // method, target, Host, header fields, length and beginning of the body
		opened uint64 // for 4 requests, one after the other
	}{
		{"get", service.Request{Path: "/a?b=c"}, "GET /a?b=c eve: 0 ", 1},
		{"fields", service.Request{HTTP: more("Accept: */*\r\nX-A: b\r\n", "")}, "GET / eve: Accept=*/* X-A=b 0 ", 1},
		{"another host", service.Request{HTTP: more("HOST: other\r\nX-A: b\r\n", "")}, "GET / other: X-A=b 0 ", 1},
		{"body", service.Request{Method: "POST", HTTP: more("", "abc")}, "POST / eve: Content-Length=3 3 abc", 1},
		{"body and more", service.Request{Method: "POST", HTTP: more("", "abc"), Send: 5}, "POST / eve: Content-Length=8 8 abc\x00\x00\x00\x00\x00", 1},
		{"long body", service.Request{Method: "PUT", HTTP: more("Content-Type: text/plain\r\n", long)}, "PUT / eve: Content-Length=500000 Content-Type=text/plain 500000 0123456789", 1},
		{"long body and more", service.Request{Method: "PATCH", HTTP: more("", long), Send: 200_000}, "PATCH / eve: Content-Length=700000 700000 0123456789", 1},
		{"post of nothing", service.Request{Method: "POST"}, "POST / eve: Content-Length=0 0 ", 1},
		{"delete", service.Request{Method: "DELETE", Path: "/a"}, "DELETE /a eve: 0 ", 1},
		{"options", service.Request{Method: "OPTIONS", Path: "*"}, "OPTIONS * eve: 0 ", 1},
		{"own method", service.Request{Method: "M-SEARCH", Path: "/"}, "M-SEARCH / eve: 0 ", 1},
		{"asks to close", service.Request{HTTP: more("Connection: x, Close\r\n", "")}, "GET / eve: Connection=x, Close 0 ", 4},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			seen := make(chan string, 8)
			srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				body, err := io.ReadAll(r.Body)
				if err != nil {
					t.Error(err)
				}
				if r.Header.Get("Other") != "" {
					return
				}
				var fields strings.Builder
				names := make([]string, 0, len(r.Header))
				for name := range r.Header {
					names = append(names, name)
				}
				sort.Strings(names)
				for _, name := range names {
					fmt.Fprintf(&fields, " %s=%s", name, strings.Join(r.Header[name], "|"))
				}
				seen <- fmt.Sprintf("%s %s %s:%s %d %s", r.Method, r.RequestURI, r.Host, fields.String(), len(body), body[:min(len(body), 10)])
			}))
			t.Cleanup(srv.Close)
			test.r.Service = -1
			first := &crowd{t: t, request: test.r, due: burst(1), again: true, limit: 4}
			s := carry(t, start(load.Config{Groups: []load.Group{first}, Address: to(srv.URL), Host: "eve"}))
			if s.Answered != 4 || s.Opened != test.opened {
				t.Errorf("got %d answers over %d connections, want 4 over %d: %+v", s.Answered, s.Opened, test.opened, s.Messages)
			}
			other := service.Request{Service: -1, Method: "POST", HTTP: more("Other: yes\r\n", "xyz"), Send: 7}
			n := 0
			turns := &crowd{t: t, request: other, due: burst(1), again: true, limit: 8, onEnd: func(c *crowd, _ int) {
				if n++; n%2 == 0 {
					c.request = other
				} else {
					c.request = test.r
				}
			}}
			carry(t, start(load.Config{Groups: []load.Group{turns}, Address: to(srv.URL), Host: "eve"}))
			for i := 0; len(seen) > 0; i++ {
				if got := <-seen; got != test.want {
					t.Errorf("request %d: got %q, want %q", i, got, test.want)
				}
			}
		})
	}
}
