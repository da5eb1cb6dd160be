package service_test

import (
	"testing"

	"github.com/eve-emulation/eve/dsv"
	"github.com/eve-emulation/eve/fase/admit"
	"github.com/eve-emulation/eve/fase/machine"
	"github.com/eve-emulation/eve/fase/service"
)

// TestSetLimit lets in as many as the limit says from then on: who is in service stays.
func TestSetLimit(t *testing.T) {
	for _, tt := range []struct {
		name  string
		limit float64
		want  []dsv.Instant // when the five are answered, of 10 ms each on one processor that they share
	}{
		// The first has 5 ms left when the five begin to share: they last until 30 ms; the others then have 5 ms each left.
		{"as before", 1, []dsv.Instant{10 * ms, 20 * ms, 30 * ms, 40 * ms, 50 * ms}},
		{"below one is one", -3, []dsv.Instant{10 * ms, 20 * ms, 30 * ms, 40 * ms, 50 * ms}},
		{"everybody", 9, []dsv.Instant{30 * ms, 50 * ms, 50 * ms, 50 * ms, 50 * ms}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			cfg := service.HostConfig{Admit: admit.Config{Limit: 1}}
			cfg.Machine.CPU.Discipline = machine.PS
			c := newClusterOf(t, app, cfg)
			for tag := range uint64(5) {
				c.arrive(0, 0, 0, 1, tag+1, "cpu 10ms")
			}
			c.driver.Run(5 * ms)
			c.hosts[0].Set(5*ms, service.LimitSetting, tt.limit)
			c.driver.Flush()
			got, status := tags(t, c)
			if len(got) != 5 {
				t.Fatalf("got %d answers, want 5", len(got))
			}
			for i, r := range c.replies {
				if r.at != tt.want[i] || status[r.tag] != 200 {
					t.Errorf("answer %d: got %d at %v, want 200 at %v", i, status[r.tag], r.at, tt.want[i])
				}
			}
		})
	}
}

// TestShed rejects a share of the requests by their keys.
func TestShed(t *testing.T) {
	run := func(share float64) map[uint64]int {
		c := gated(t, admit.Config{Limit: 4})
		c.hosts[0].Set(0, service.ShedSetting, share)
		for tag := range uint64(400) {
			c.arrive(0, 0, 0, 1, tag+1, "cpu 1us")
		}
		_, status := tags(t, c)
		return status
	}
	count := func(status map[uint64]int) (n int) {
		for _, s := range status {
			if s == 503 {
				n++
			}
		}
		return n
	}
	some := run(0.25)
	// Binomial: 100 with a standard deviation of 8.7; with these keys it is always the same.
	if n := count(some); n < 65 || n > 135 {
		t.Errorf("got %d of 400 rejected, want about 100", n)
	}
	more := run(0.6)
	for tag, s := range some {
		if s == 503 && more[tag] != 503 {
			t.Errorf("request %d: got %d at a greater share, want 503 again", tag, more[tag])
		}
	}
	for share, want := range map[float64]int{0: 0, -1: 0, 1: 400, 7: 400} {
		if n := count(run(share)); n != want {
			t.Errorf("share %v: got %d rejected, want %d", share, n, want)
		}
	}
}
