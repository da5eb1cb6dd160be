package service_test

import (
	"slices"
	"testing"
	"time"

	"github.com/eve-emulation/eve/dsv"
	"github.com/eve-emulation/eve/fase/admit"
	"github.com/eve-emulation/eve/fase/machine"
	"github.com/eve-emulation/eve/fase/service"
	"github.com/eve-emulation/eve/fase/step"
	"github.com/eve-emulation/eve/rdr"
)

// gated is one host with admission.
func gated(t *testing.T, cfg admit.Config) *cluster {
	t.Helper()
	return newClusterOf(t, app, service.HostConfig{Admit: cfg})
}

// tags runs until everything is answered and lists who was, in order, with each status.
func tags(t *testing.T, c *cluster) (got []uint64, status map[uint64]int) {
	t.Helper()
	c.driver.Run(c.driver.Now() + dsv.At(100*time.Second))
	status = map[uint64]int{}
	for _, r := range c.replies {
		if _, twice := status[r.tag]; twice {
			t.Errorf("request %d was answered twice", r.tag)
		}
		got, status[r.tag] = append(got, r.tag), r.status
	}
	for i, h := range c.hosts {
		if err := h.Idle(); err != nil {
			t.Errorf("host %d: %v", i, err)
		}
	}
	return got, status
}

// The pool of each policy is served in the same order as the line of the discipline that goes by the same.
func TestPoolPolicies(t *testing.T) {
	for policy, want := range map[admit.Policy][]uint64{
		admit.FCFS:     {1, 2, 3, 4, 5},
		admit.SJF:      {1, 4, 3, 2, 5},
		admit.Priority: {1, 3, 5, 2, 4},
		admit.EDF:      {1, 2, 4, 3, 5},
	} {
		cfg := admit.Config{Policy: policy, Limit: 1}
		t.Run(policy.String(), func(t *testing.T) {
			c := gated(t, cfg)
			crowded(c)
			c.driver.Run(100 * ms)
			served(t, c, want)
			if got, want := c.number("server_1.admit.waited"), 0.009+0.009+0.009+0.008; policy == admit.FCFS && got < want {
				t.Errorf("time in the pool: got %v s, want at least %v", got, want)
			}
		})
		t.Run(policy.String()+", burning", func(t *testing.T) {
			c := newClusterOf(t, app, service.HostConfig{Admit: cfg, Machine: machine.Config{Run: machine.Burn}})
			b := burning{c: c}
			c.arrive(0, 0, 0, 1, 1, "cpu 10ms")
			b.run(0)
			// All the others come while the first burns: the sockets are looked at afterwards.
			c.hosts[0].Met(10*ms, b.burnt[0].Ref, b.burnt[0].N)
			c.driver.Flush()
			for _, r := range []struct {
				tag uint64
				src string
			}{{2, "priority 1 deadline 9s cpu 3ms"}, {3, "priority 2 cpu 2ms"}, {4, "deadline 10s cpu 1ms"}, {5, "priority 2 cpu 3ms"}} {
				c.arrive(10*ms, 0, 0, 1, r.tag, r.src)
			}
			for i := 1; i < 5; i++ {
				b.run(dsv.Instant(10*i) * ms)
				if len(b.burnt) <= i {
					t.Fatalf("after %d: nothing burns", i)
				}
				c.hosts[0].Met(dsv.Instant(10*i+5)*ms, b.burnt[i].Ref, b.burnt[i].N)
				c.driver.Flush()
			}
			served(t, c, want)
		})
	}
}

// burning carries Burn effects out as a server's loop does: it chooses once its sockets were looked at.
type burning struct {
	c     *cluster
	burnt []step.Effect
}

func (b *burning) run(at dsv.Instant) {
	for len(b.c.burns) > 0 {
		e := b.c.burns[0]
		b.c.burns = b.c.burns[1:]
		if e.Code == service.BurnChoose {
			b.c.hosts[0].Choose(at)
			b.c.driver.Flush()
			continue
		}
		if e, ok := b.c.hosts[0].Begin(at, e); ok {
			b.burnt = append(b.burnt, e)
		}
	}
}

// A request holds its place from its start to the end of its last statement: over calls and tail work, not over forks.
func TestWorkersAreHeldOverCalls(t *testing.T) {
	services := []service.Config{{Name: "app", On: []int{0}}, {Name: "db", On: []int{1}}}
	for _, tt := range []struct {
		name, src string
		second    dsv.Instant // when the other is answered
	}{
		{"cpu", "cpu 5ms reply 1KiB", 6 * ms},
		{"a call", "call db { cpu 7ms } reply 1KiB", 8 * ms},
		{"waiting", "wait 4ms reply 1KiB", 5 * ms},
		{"tail work", "reply 1KiB wait 3ms", 4 * ms},
		{"a fork", "fork { wait 50ms } cpu 2ms", 3 * ms},
		{"what fails", "cpu 2ms fail 1", 3 * ms},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := newClusterOf(t, services, service.HostConfig{Workers: 1}, service.HostConfig{})
			c.arrive(0, 0, 0, 1, 1, tt.src)
			c.arrive(0, 0, 0, 1, 2, "cpu 1ms")
			tags(t, c)
			for _, r := range c.replies {
				if r.tag == 2 && r.at != tt.second {
					t.Errorf("the other: got answered at %v, want %v", r.at, tt.second)
				}
			}
		})
	}
}

func TestBoundedPool(t *testing.T) {
	c := gated(t, admit.Config{Limit: 1, Queue: 2})
	for tag := range uint64(6) {
		c.arrive(0, 0, 0, 1, tag+1, "cpu 1ms reply 1KiB")
	}
	got, status := tags(t, c)
	if want := []uint64{4, 5, 6, 1, 2, 3}; !slices.Equal(got, want) {
		t.Errorf("answered: got %v, want %v", got, want)
	}
	for tag, s := range status {
		if want := map[bool]int{true: 200, false: 503}[tag <= 3]; s != want {
			t.Errorf("request %d: got %d, want %d", tag, s, want)
		}
	}
	for _, r := range c.replies[:3] {
		if r.n != 1 {
			t.Errorf("request %d: got Retry-After %d, want 1", r.tag, r.n)
		}
	}
	if s, h := c.number("app.rejected"), c.number("server_1.admit.rejected"); s != 3 || h != 3 {
		t.Errorf("rejected: got %v of the service and %v at the server, want 3 and 3", s, h)
	}
	if got, want := c.number("app.residence"), 0.001+0.002+0.003; got < want-1e-9 || got > want+1e-9 {
		t.Errorf("residences: got %v s, want %v of those served", got, want)
	}
}

func TestBucketTellsWhen(t *testing.T) {
	c := gated(t, admit.Config{Bucket: admit.BucketConfig{Rate: 0.25, Depth: 1}})
	c.arrive(0, 0, 0, 1, 1, "cpu 1ms")
	c.arrive(500*ms, 0, 0, 1, 2, "cpu 1ms")
	c.arrive(4000*ms, 0, 0, 1, 3, "cpu 1ms")
	c.expect(5000*ms, reply{1, 1 * ms, 200, 0}, reply{2, 500 * ms, 503, 4}, reply{3, 4001 * ms, 200, 0})
}

// CoDel rejects from the pool: what has waited beyond the delay counts.
func TestPoolWithCoDel(t *testing.T) {
	c := gated(t, admit.Config{Limit: 1, CoDel: admit.CoDelConfig{Target: 5 * time.Millisecond, Interval: 20 * time.Millisecond}})
	for tag := range uint64(20) {
		c.arrive(0, 0, 0, 1, tag+1, "cpu 10ms")
	}
	_, status := tags(t, c)
	var rejected []uint64
	for tag, s := range status {
		if s == 503 {
			rejected = append(rejected, tag)
		}
	}
	slices.Sort(rejected)
	// One leaves every 10 ms. The wait is above 5 ms from 10 ms on, so the first drop is at 30 ms; the next 20 ms later, at
	// 50, then 14.1 after that was due, 11.5, 10, 8.9, 8.2: at 64.1 (70), 75.7 (80), 85.7 (90), 94.6 (100), 102.8 (110). The
	// next would be due at 110.3, when only the last is left.
	if want := []uint64{4, 7, 10, 12, 14, 16, 18}; !slices.Equal(rejected, want) {
		t.Errorf("rejected: got %v, want %v", rejected, want)
	}
}

func TestWithdrawFromThePool(t *testing.T) {
	c := newClusterOf(t, app, service.HostConfig{Admit: admit.Config{Limit: 1}, CancelOnClose: true})
	for tag := range uint64(4) {
		c.arrive(0, 0, 0, 1, tag+1, "cpu 10ms")
	}
	c.driver.Run(2 * ms)
	c.hosts[0].Close(2*ms, 2) // in the pool
	c.hosts[0].Close(3*ms, 1) // in service
	c.driver.Flush()
	_, status := tags(t, c)
	for _, r := range c.replies {
		if want := map[uint64]dsv.Instant{3: 13 * ms, 4: 23 * ms}[r.tag]; want != 0 && r.at != want {
			t.Errorf("request %d: got answered at %v, want %v", r.tag, r.at, want)
		}
	}
	if len(status) != 4 || c.number("app.rejected") != 0 {
		t.Errorf("got %d answers and %v rejected, want 4 and none", len(status), c.number("app.rejected"))
	}
}

// A move drains the pool too; where a service stops, who is in the pool is told to ask elsewhere.
func TestMovesAndThePool(t *testing.T) {
	for _, tt := range []struct {
		state   service.State
		want    int // status of those in the pool
		drained dsv.Instant
	}{{service.Draining, 200, 30 * ms}, {service.Stopped, 421, 0}, {"", 421, 0}} {
		c := gated(t, admit.Config{Limit: 1, Queue: 10})
		for tag := range uint64(3) {
			c.arrive(0, 0, 0, 1, tag+1, "cpu 10ms")
		}
		m := service.Mapping{Epoch: 2, At: 5 * ms}
		if tt.state != "" {
			m.Replicas = []service.Replica{{Server: "server_1", State: tt.state}}
		}
		c.remap(5*ms, 0, m)
		if tt.drained > 0 {
			c.driver.Run(tt.drained - 1)
			if got := c.number(service.DrainedName("server_1", "app")); got != 0 {
				t.Errorf("%s: drained with requests in the pool", tt.state)
			}
			c.driver.Run(tt.drained)
			if got := c.number(service.DrainedName("server_1", "app")); got != 2 {
				t.Errorf("%s: not drained when the pool is empty", tt.state)
			}
		}
		_, status := tags(t, c)
		if status[1] != 200 || status[2] != tt.want || status[3] != tt.want {
			t.Errorf("%q: got %v, want 200 for the one in service and %d for those in the pool", tt.state, status, tt.want)
		}
	}
}

// Waiting for a mapping comes before the pool, and its patience does not reach into it.
func TestPoolAfterWaitingForAMapping(t *testing.T) {
	c := gated(t, admit.Config{Delay: 20 * time.Second})
	c.arrive(0, 0, 0, 2, 1, "cpu 1ms") // of an epoch to come
	c.remap(9000*ms, 0, service.Mapping{Epoch: 2, At: 9000 * ms, Replicas: []service.Replica{{Server: "server_1", State: service.Serving}}})
	c.expect(60_000*ms, reply{1, 29_001 * ms, 200, 0})
}

// A plain GET passes by the pool.
func TestGetPassesByThePool(t *testing.T) {
	c := gated(t, admit.Config{Limit: 1, Bucket: admit.BucketConfig{Rate: 0.001}})
	c.arrive(0, 0, 0, 1, 1, "cpu 10ms")
	c.hosts[0].Arrive(1*ms, &service.Request{Service: 0, Epoch: 1}, 2)
	c.driver.Flush()
	c.expect(20*ms, reply{2, 1 * ms, 200, 0}, reply{1, 10 * ms, 200, 0})
}

// forwarding is two servers of one service of which the first forwards what has waited for 20 ms.
func forwarding(t *testing.T, m machine.Config) *cluster {
	t.Helper()
	cfg := admit.Config{Limit: 1, Forward: admit.ForwardConfig{After: 20 * time.Millisecond}}
	return newClusterOf(t, []service.Config{{Name: "app", On: []int{0, 1}}},
		service.HostConfig{Admit: cfg, Machine: m, CancelOnClose: true}, service.HostConfig{Admit: cfg, CancelOnClose: true})
}

func TestForward(t *testing.T) {
	for _, delay := range []time.Duration{0, 3 * time.Millisecond} {
		c := forwarding(t, machine.Config{Link: machine.LinkConfig{Delay: delay}})
		for tag := range uint64(3) {
			c.arrive(0, 0, 0, 1, tag+1, "cpu exp(80ms) reply 2KiB")
		}
		_, status := tags(t, c)
		for tag := range uint64(3) {
			if status[tag+1] != 200 {
				t.Errorf("request %d: got %d, want 200", tag+1, status[tag+1])
			}
		}
		for _, r := range c.replies {
			if r.n != 2048 {
				t.Errorf("request %d: got %d bytes, want those of the other server: 2048", r.tag, r.n)
			}
		}
		// The second and the third are forwarded at 20 ms. They keep their keys, and nobody forwards them again.
		if got := c.number("server_1.admit.forwarded"); got != 2 {
			t.Errorf("forwarded: got %v, want 2", got)
		}
		if got := c.number("server_2.admit.forwarded"); got != 0 {
			t.Errorf("forwarded again: got %v, want 0", got)
		}
		for i, r := range c.calls {
			if r.Key != rdr.Key(i+2) || !r.Forwarded {
				t.Errorf("call %d: got %+v, want key %d, forwarded", i, r, i+2)
			}
		}
		if got := c.number("app.requests"); got != 0 {
			t.Errorf("forwarding is no call of the server's: got %v counted", got)
		}
		if n := c.number("server_1.cpu.requested") + c.number("server_2.cpu.requested"); c.number("server_2.cpu.requested") == 0 || n == 0 {
			t.Error("the other server has done nothing")
		}
	}
}

// Who has nobody to forward to keeps the request until there is one.
func TestForwardWaitsForAServer(t *testing.T) {
	c := forwarding(t, machine.Config{})
	alone := service.Mapping{Epoch: 2, Replicas: []service.Replica{{Server: "server_1", State: service.Serving}}}
	c.remap(0, 0, alone)
	c.arrive(0, 0, 0, 2, 1, "cpu 100ms")
	c.arrive(0, 0, 0, 2, 2, "cpu 1ms")
	c.driver.Run(50 * ms)
	if got := c.number("server_1.admit.forwarded"); got != 0 {
		t.Fatalf("forwarded to nobody: got %v", got)
	}
	both := service.Mapping{Epoch: 3, At: 60 * ms, Replicas: append(alone.Replicas, service.Replica{Server: "server_2", State: service.Serving})}
	c.remap(60*ms, 0, both)
	c.expect(200*ms, reply{2, 61 * ms, 200, 0}, reply{1, 100 * ms, 200, 0})
}

// Where the other server does not answer the caller is told 502; who closes withdraws the forwarded request there too.
func TestForwardThatFails(t *testing.T) {
	c := forwarding(t, machine.Config{})
	c.arrive(0, 0, 0, 1, 1, "cpu 100ms")
	c.arrive(0, 0, 0, 1, 2, "cpu 50ms")
	c.arrive(0, 0, 0, 1, 3, "cpu 50ms")
	c.driver.Run(30 * ms)
	var refs []step.Ref
	for _, f := range c.flights {
		refs = append(refs, step.Ref(f[1]))
	}
	slices.Sort(refs)
	if len(refs) != 2 {
		t.Fatalf("forwarded: got %d, want 2", len(refs))
	}
	c.hosts[0].Answer(30*ms, refs[0], service.Answer{Cause: service.Reset})
	c.hosts[0].Close(30*ms, 3)
	c.driver.Flush()
	for tag := range c.flights {
		c.hosts[1].Close(30*ms, tag) // as the network does
	}
	_, status := tags(t, c)
	if status[1] != 200 || status[2] != 502 {
		t.Errorf("got %v, want 200 for the first and 502 for the second", status)
	}
}

// The least loaded goes by what was told, and counts what was forwarded since.
func TestForwardToTheLeastLoaded(t *testing.T) {
	cfg := admit.Config{Limit: 1, Forward: admit.ForwardConfig{After: 10 * time.Millisecond}}
	c := newClusterOf(t, []service.Config{{Name: "app", On: []int{0, 1, 2}}},
		service.HostConfig{Admit: cfg}, service.HostConfig{}, service.HostConfig{})
	c.hosts[0].Told(0, 1, 2.5)
	c.hosts[0].Told(0, 2, 1)
	for tag := range uint64(6) {
		c.arrive(0, 0, 0, 1, tag+1, "cpu 100ms")
	}
	c.driver.Run(15 * ms)
	// Loads of 2.5 and 1: the third; 2; 3 against 2.5: the second; 3.5 against 3: the third; 4: the second.
	if got, want := []int{c.hosts[1].InFlight(), c.hosts[2].InFlight()}, []int{2, 3}; !slices.Equal(got, want) {
		t.Errorf("forwarded to the others: got %v, want %v", got, want)
	}
	tags(t, c)
}

func TestGateOfTheHostAllocatesNothing(t *testing.T) {
	b, err := rdr.ParseBlock("test", []byte("cpu exp(1ms) reply 1KiB"), rdr.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range admit.Policies() {
		policy, _ := admit.ParsePolicy(name)
		l := newLone(t, service.HostConfig{Admit: admit.Config{
			Policy: policy, Limit: 1, Queue: 64, Delay: time.Millisecond, CoDel: admit.CoDelConfig{Target: time.Millisecond},
			Bucket: admit.BucketConfig{Rate: 5000, Depth: 10},
		}})
		at, n := dsv.Instant(0), uint64(0)
		one := func() {
			at, n = at+700_000, n+1
			l.host.Arrive(at, &service.Request{Block: b, Key: rdr.Key(n * 0x9e3779b97f4a7c15), Epoch: 1, Client: n % 7}, n)
			l.host.Effects()
		}
		for range 2000 {
			one()
		}
		if got := testing.AllocsPerRun(2000, one); got != 0 {
			t.Errorf("%v: got %v allocations per request, want 0", policy, got)
		}
	}
}
