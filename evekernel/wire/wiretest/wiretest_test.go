package wiretest_test

import (
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/eve-emulation/eve/evekernel/wire/wiretest"
)

func TestPing(t *testing.T) {
	srv := httptest.NewServer(wiretest.Echo())
	defer srv.Close()
	for _, size := range []int{0, 1, 100, 70_000} {
		p, err := wiretest.Dial(t.Context(), "ws"+strings.TrimPrefix(srv.URL, "http"), size)
		if err != nil {
			t.Fatal(err)
		}
		for range 3 {
			if err := p.Ping(); err != nil {
				t.Errorf("%d bytes: %v", size, err)
			}
		}
		if err := p.Close(); err != nil {
			t.Error(err)
		}
		if err := p.Ping(); err == nil {
			t.Error("a closed connection was pinged")
		}
	}
	if _, err := wiretest.Dial(t.Context(), "ws://127.0.0.1:1/", 1); err == nil {
		t.Error("nothing listens there, and it answered")
	}
}
