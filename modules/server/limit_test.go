package server_test

import (
	"testing"

	"github.com/eve-emulation/eve/fase/service"
	"github.com/eve-emulation/eve/internal/mono"
)

// TestLimitOnTheWire limits a service, pauses it and lets it go on: who finds no token is told by whom and when to come again, and who
// comes while it is paused resolves again. So are requests that need no machine, and would be answered by no owner.
func TestLimitOnTheWire(t *testing.T) {
	for name, body := range map[string]string{"with a demand": "cpu 1us reply 5B", "of nothing": "reply 5B"} {
		t.Run(name, func(t *testing.T) {
			s := listen(t, nil)
			url := serve(t, s)
			s.Start(mono.Now())
			mapped(s)
			tell := func(m service.Mapping) {
				m.Replicas = []service.Replica{{Server: "here", State: service.Serving}}
				s.Changed(0, m)
			}
			tell(service.Mapping{Epoch: 2, Limit: 0.001})
			for i := range 12 {
				res, _ := ask(t, "POST", url+"/rdr/web", body, "Eve-Epoch", "2")
				cause, again := res.Header.Get("Eve-Cause"), res.Header.Get("Retry-After")
				switch {
				case i < 10 && (res.StatusCode != 200 || cause != ""): // the bucket holds ten
					t.Errorf("request %d: got %d %q, want 200", i, res.StatusCode, cause)
				case i >= 10 && (res.StatusCode != 503 || cause != "limited" || again == "" || again == "0"):
					t.Errorf("request %d: got %d, cause %q, again in %q s; want 503, limited, some", i, res.StatusCode, cause, again)
				}
			}
			tell(service.Mapping{Epoch: 3, Paused: true})
			if res, _ := ask(t, "POST", url+"/rdr/web", body, "Eve-Epoch", "3"); res.StatusCode != 421 || res.Header.Get("Eve-Epoch") != "3" || res.Header.Get("Eve-Cause") != "" {
				t.Errorf("paused: got %d of epoch %q, want 421 of 3", res.StatusCode, res.Header.Get("Eve-Epoch"))
			}
			tell(service.Mapping{Epoch: 4})
			for range 12 {
				if res, _ := ask(t, "POST", url+"/rdr/web", body, "Eve-Epoch", "4"); res.StatusCode != 200 {
					t.Fatalf("without a limit: got %d, want 200", res.StatusCode)
				}
			}
		})
	}
}
