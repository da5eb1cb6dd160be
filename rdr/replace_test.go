package rdr_test

import (
	"strings"
	"testing"

	"github.com/eve-emulation/eve/rdr"
)

func TestReplaceHTTP(t *testing.T) {
	const src = `# Pages.
request home {   # the first
  http web GET "/"   # stays
  par { http web GET "/a b"  { wait 1ms  http cdn GET "/c" } }
  choose { 0.5: { http web POST "/" header "A: b" body "http web GET" send 1KiB } 0.5: {} }
  call http { cpu 1ms }
}
request other { http web GET "/o" }
`
	src1 := strings.ReplaceAll(src, "/a b", "/a")
	const want = `# Pages.
request home {   # the first
  call web { cpu 1us }   # stays
  par { call web { cpu 1us }  { wait 1ms  http cdn GET "/c" } }
  choose { 0.5: { call web { cpu 1us } } 0.5: {} }
  call http { cpu 1ms }
}
request other { http web GET "/o" }
`
	var asked []string
	got, err := rdr.ReplaceHTTP("x.rdr", []byte(src1), func(request, target string) (string, bool) {
		asked = append(asked, request+" "+target)
		return "call " + target + " { cpu 1us }", target == "web" && request == "home"
	})
	if err != nil || string(got) != want {
		t.Errorf("got %s, %v, want %s", got, err, want)
	}
	if got, want := strings.Join(asked, ", "), "home web, home web, home cdn, home web, other web"; got != want {
		t.Errorf("asked for %s, want %s", got, want)
	}
	if _, err := rdr.ReplaceHTTP("x.rdr", []byte(src), nil); err == nil || !strings.Contains(err.Error(), "x.rdr:4:22") {
		t.Errorf("got %v, want a mistake at x.rdr:4:22", err)
	}
}
