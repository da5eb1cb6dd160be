package service_test

import (
	"testing"
	"time"

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

// TestEmploy widens and narrows a pool: who waits gets the new workers at once, and those that are let go end what they do.
func TestEmploy(t *testing.T) {
	for _, tt := range []struct {
		name    string
		threads float64
		want    []dsv.Instant // when the five are answered, of 10 ms each; the pool is changed at 5 ms
	}{
		{"as before", 2, []dsv.Instant{10 * ms, 10 * ms, 20 * ms, 20 * ms, 30 * ms}},
		{"wider", 4, []dsv.Instant{10 * ms, 10 * ms, 15 * ms, 15 * ms, 20 * ms}},
		{"wider than anybody needs", 1e300, []dsv.Instant{10 * ms, 10 * ms, 15 * ms, 15 * ms, 15 * ms}},
		{"narrower", 1, []dsv.Instant{10 * ms, 10 * ms, 20 * ms, 30 * ms, 40 * ms}},
		{"below one is one", -7, []dsv.Instant{10 * ms, 10 * ms, 20 * ms, 30 * ms, 40 * ms}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := newClusterOf(t, []service.Config{{Name: "app", On: []int{0}, Pool: service.PoolConfig{Threads: 2}}, {Name: "log", On: []int{0}}}, service.HostConfig{})
			for tag := range uint64(5) {
				c.arrive(0, 0, 0, 1, tag+1, "wait 10ms")
			}
			c.driver.Run(5 * ms)
			c.hosts[0].Employ(5*ms, 0, tt.threads)
			c.hosts[0].Employ(5*ms, 1, 1)  // it has no pool
			c.hosts[0].Employ(5*ms, -1, 1) // nor is this any service
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

// TestSettingsOutliveACrash: the kernel keeps them, and not the server.
func TestSettingsOutliveACrash(t *testing.T) {
	cfg := service.HostConfig{
		Admit:  admit.Config{Limit: 1},
		Faults: []service.Fault{{Kind: service.Crash, At: 10 * ms, Until: 20 * ms}},
	}
	c := newClusterOf(t, []service.Config{{Name: "app", On: []int{0}, Pool: service.PoolConfig{Threads: 1}}}, cfg)
	c.hosts[0].Set(ms, service.LimitSetting, 3)
	c.hosts[0].Employ(ms, 0, 2)
	for tag := range uint64(4) {
		c.arrive(30*ms, 0, 0, 1, tag+1, "wait 10ms")
	}
	c.expect(100*ms, reply{1, 40 * ms, 200, 0}, reply{2, 40 * ms, 200, 0}, reply{3, 50 * ms, 200, 0}, reply{4, 50 * ms, 200, 0})
}

// TestSettingsMeetAPartition: a server hears of a setting once the partition has healed, and the latest one that was told stays,
// whichever comes first.
func TestSettingsMeetAPartition(t *testing.T) {
	// What is told at 0.1 s is sent again at 0.3, 0.7, 1.5, 3.1 and 6.3 s; what is told at 3.9 s at 4.1 s.
	network := service.NewNetwork([]service.Fault{{
		Kind: service.Partition, At: 50 * ms, Until: dsv.At(4 * time.Second), Sides: [][]service.Party{{0}, {service.Control}},
	}})
	cfg := service.HostConfig{Admit: admit.Config{Limit: 1}, Network: network}
	c := newClusterOf(t, []service.Config{{Name: "app", On: []int{0}}}, cfg)
	c.hosts[0].Set(100*ms, service.LimitSetting, 9)
	c.driver.Run(3900 * ms)
	c.hosts[0].Set(3900*ms, service.LimitSetting, 2)
	tag := uint64(0)
	for _, tt := range []struct{ at, second dsv.Instant }{
		{3950 * ms, 3970 * ms}, // it has not heard of either: one at a time
		{4200 * ms, 4210 * ms}, // two at a time
		{6500 * ms, 6510 * ms},
	} {
		for i := range uint64(3) {
			c.arrive(tt.at, 0, 0, 1, tag+i+1, "wait 10ms")
		}
		c.driver.Run(tt.at + 100*ms)
		if got := c.replies[1].at; got != tt.second || len(c.replies) != 3 || c.replies[2].at == c.replies[0].at {
			t.Errorf("at %v: got %v, want the second of three at %v", tt.at, c.replies, tt.second)
		}
		c.replies, tag = nil, tag+3
	}
}
