package load_test

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"net"
	"os/exec"
	"regexp"
	"runtime"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/eve-emulation/eve/dmm"
	"github.com/eve-emulation/eve/dsv"
	"github.com/eve-emulation/eve/fase/engine"
	"github.com/eve-emulation/eve/fase/load"
	"github.com/eve-emulation/eve/fase/service"
	"github.com/eve-emulation/eve/fase/step"
	"github.com/eve-emulation/eve/fase/user"
	"github.com/eve-emulation/eve/internal/mono"
	"github.com/eve-emulation/eve/rdr"
)

// A circle is a closed population without think time and without memory: each answer makes the next request.
type circle struct {
	request service.Request
	users   int
	left    int // requests to issue
	end     dsv.Instant
	at      map[int]func() // what to do when that many are left
	begun   bool
	flying  int
	effects []step.Effect
}

func (c *circle) Next() dsv.Instant {
	if c.begun {
		return dsv.Never
	}
	return 0
}

func (c *circle) Advance(dsv.Instant) {
	c.begun = true
	for u := range c.users {
		c.issue(step.NewRef(uint32(u), 1))
	}
}

func (c *circle) issue(ref step.Ref) {
	if do := c.at[c.left]; do != nil {
		do()
	}
	if c.left == 0 {
		return
	}
	c.left--
	c.flying++
	c.effects = append(c.effects, step.Effect{Kind: step.Send, Ref: ref})
}

func (c *circle) Effects() []step.Effect {
	es := c.effects
	c.effects = c.effects[:0]
	return es
}

func (c *circle) InFlight() int                             { return c.flying }
func (c *circle) Request(step.Ref) *service.Request         { return &c.request }
func (c *circle) Sent(dsv.Instant, step.Ref)                {}
func (c *circle) Changed(dsv.Instant, int, service.Mapping) {}

func (c *circle) Answer(at dsv.Instant, ref step.Ref, _ service.Answer) {
	c.flying--
	if c.end == 0 || at < c.end {
		c.issue(step.NewRef(ref.Slot(), ref.Gen()+1))
	}
}

// echo answers every read with pong; it allocates nothing for a request.
func echo(t testing.TB) string {
	return serve(t, func(c *net.TCPConn, _ *bufio.Reader, _ int) {
		b := make([]byte, 16<<10)
		answer := []byte(pong)
		for {
			if _, err := c.Read(b); err != nil {
				return
			}
			if _, err := c.Write(answer); err != nil {
				return
			}
		}
	})
}

func TestRequestsDoNotAllocate(t *testing.T) {
	block, err := rdr.ParseBlock("body", []byte("cpu 1ms reply 4B"), rdr.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	for name, r := range map[string]service.Request{
		"plain": {Service: -1, Path: "/"},
		"rdr":   {Block: block, Key: 7, Epoch: 3, Priority: 1, Send: 100},
	} {
		t.Run(name, func(t *testing.T) {
			const warm, counted = 1000, 10_000
			var before, after runtime.MemStats
			c := &circle{request: r, users: 16, left: warm + counted, at: map[int]func(){
				counted: func() { runtime.ReadMemStats(&before) },
				0:       sync.OnceFunc(func() { runtime.ReadMemStats(&after) }),
			}}
			l := open(t, start(load.Config{Groups: []load.Group{c}, Address: to(echo(t)), Services: []string{"app"}}))
			if s, err := l.Run(t.Context()); err != nil || s.Answered != warm+counted {
				t.Fatalf("got %v, %+v; want %d answers", err, s, warm+counted)
			}
			if got := after.Mallocs - before.Mallocs; got > counted/100 {
				t.Errorf("allocations: got %d in %d requests, want none", got, counted)
			}
		})
	}
}

// A ponger answers every request at once.
type ponger struct{ response engine.Response }

func (p *ponger) Request(l engine.Loop, ref engine.Ref, _ *engine.Request) {
	l.Respond(ref, p.response)
}
func (*ponger) Closed(engine.Loop, engine.Ref)                     {}
func (*ponger) Answer(engine.Loop, engine.CallRef, *engine.Answer) {}
func (*ponger) Next() int64                                        { return mono.Never }
func (*ponger) Advance(engine.Loop, int64)                         {}

// reactor runs an engine with one loop that answers 100 bytes.
func reactor(t testing.TB) string {
	t.Helper()
	e, err := engine.Shipped().Listen(engine.Config{Listen: "127.0.0.1:0", Drain: time.Millisecond}, func(int) engine.Handler {
		return &ponger{engine.Response{Body: bytes.Repeat([]byte("x"), 100)}}
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	wg.Go(func() {
		if err := e.Run(ctx); err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(func() { cancel(); wg.Wait() })
	return e.Addr().String()
}

// BenchmarkClosedLoop measures the CPU time of the client's thread for a request: 64 connections that are never idle.
func BenchmarkClosedLoop(b *testing.B) {
	c := &circle{request: service.Request{Service: -1}, users: 64, left: b.N}
	l := open(b, load.Config{T0: mono.Now(), Groups: []load.Group{c}, Address: to(reactor(b))})
	b.ReportAllocs()
	b.ResetTimer()
	s, err := l.Run(b.Context())
	if err != nil || s.Answered != uint64(b.N) {
		b.Fatalf("got %v, %+v; want %d answers", err, s, b.N)
	}
	b.ReportMetric(float64(s.ThreadCPU)/float64(b.N), "cpu-ns/op")
}

// BenchmarkBesideWrk runs wrk and a loop in turns against one server, 64 connections for a second each, and reports CPU time
// for a request as a ratio: below 1 the loop needs less than wrk. The loop's users are a group as scenarios have it, with all
// that it measures: due, sent and done of each request, in histograms.
func BenchmarkBesideWrk(b *testing.B) {
	wrk, err := exec.LookPath("wrk")
	if err != nil {
		b.Skip("wrk is not installed")
	}
	crowd := func(b *testing.B, end dsv.Instant) load.Group {
		return population(b, user.Config{Users: 64, End: end})
	}
	for _, tt := range []struct {
		name      string
		readiness bool
		group     func(b *testing.B, end dsv.Instant) load.Group
	}{
		{"ring", false, crowd},
		{"epoll", true, crowd},
		{"ring-circle", false, func(_ *testing.B, end dsv.Instant) load.Group {
			return &circle{request: service.Request{Service: -1}, users: 64, left: 1 << 40, end: end}
		}},
	} {
		b.Run(tt.name, func(b *testing.B) {
			address := reactor(b)
			var ours, theirs, ourCPU, theirCPU float64
			for b.Loop() {
				n, cpu := runWrk(b, wrk, address)
				theirs, theirCPU = theirs+n, theirCPU+cpu
				end := dsv.At(time.Second)
				l := open(b, load.Config{
					T0: mono.Now(), Groups: []load.Group{tt.group(b, end)}, Address: to(address), Services: []string{"app"},
					End: end, Grace: time.Second, Readiness: tt.readiness, Light: true,
				})
				s, err := l.Run(b.Context())
				if err != nil || s.Answered != s.Issued {
					b.Fatalf("got %v, %+v; want an answer to each request", err, s)
				}
				ours, ourCPU = ours+float64(s.Answered), ourCPU+float64(s.ThreadCPU)
			}
			b.ReportMetric(ourCPU/ours, "cpu-ns/request")
			b.ReportMetric(theirCPU/theirs, "wrk-cpu-ns/request")
			b.ReportMetric(ourCPU/ours/(theirCPU/theirs), "cpu-ratio")
			b.ReportMetric(ours/theirs, "requests-ratio")
		})
	}
}

// population is a group of users that ask an HTTP server for one page, with what a run measures of them.
func population(t testing.TB, cfg user.Config) *user.Group {
	t.Helper()
	g, _ := measured(t, cfg)
	return g
}

// measured is a population, and what was measured of it.
func measured(t testing.TB, cfg user.Config) (*user.Group, *dmm.Set) {
	t.Helper()
	file, err := rdr.ParseFile("test.rdr", []byte(`request page { http app GET "/" }`), rdr.StartRequest)
	if err != nil {
		t.Fatal(err)
	}
	cfg.Name, cfg.Seed = "crowd", 1
	cfg.Request, _ = file.Request("page")
	cfg.Topology = &service.Topology{Servers: []string{"server_1"}, Services: []string{"app"}}
	cfg.Services = []service.Config{{Name: "app", On: []int{0}}}
	var specs []dmm.Spec
	for _, n := range []dsv.Name{"crowd.latency", "crowd.send_lag", "crowd.connect", "crowd.first_byte", "app.latency"} {
		specs = append(specs, dmm.Spec{Name: n, Manipulator: "histogram"})
	}
	for _, n := range []dsv.Name{"crowd.issued", "crowd.requests", "crowd.errors", "crowd.late", "app.requests", "app.errors"} {
		specs = append(specs, dmm.Spec{Name: n, Manipulator: "count"})
	}
	set, err := dmm.NewSet(1, 1, specs)
	if err != nil {
		t.Fatal(err)
	}
	g := user.NewGroup(cfg, set.Var)
	g.Changed(0, 0, service.Mapping{Epoch: 1, Replicas: []service.Replica{{Server: "server_1", State: service.Serving}}})
	return g, set
}

var wrkRequests = regexp.MustCompile(`(\d+) requests in`)

func runWrk(b *testing.B, wrk, address string) (requests, cpu float64) {
	b.Helper()
	cmd := exec.CommandContext(b.Context(), wrk, "-t1", "-c64", "-d1s", "http://"+address+"/")
	out, err := cmd.Output()
	if err != nil {
		b.Fatal(err)
	}
	m := wrkRequests.FindSubmatch(out)
	if m == nil {
		b.Fatalf("wrk says %s", out)
	}
	requests, err = strconv.ParseFloat(string(m[1]), 64)
	if err != nil {
		b.Fatal(err)
	}
	return requests, float64(cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime())
}

// BenchmarkLag paces requests 1 ms apart and reports how late the loop comes to them, asleep and spinning before each.
func BenchmarkLag(b *testing.B) {
	address := reactor(b)
	for _, spin := range []time.Duration{0, 100 * time.Microsecond} {
		b.Run("spin="+spin.String(), func(b *testing.B) {
			c := &crowd{t: b, request: service.Request{Service: -1}, due: every(time.Millisecond, b.N)}
			l := open(b, load.Config{T0: mono.Now(), Groups: []load.Group{c}, Address: to(address), Spin: spin})
			s, err := l.Run(b.Context())
			if err != nil || s.Answered != uint64(b.N) {
				b.Fatalf("got %v, %+v; want %d answers", err, s, b.N)
			}
			b.ReportMetric(float64(s.Lag.Quantile(0.5)), "lag-p50-ns")
			b.ReportMetric(float64(s.Lag.Quantile(0.99)), "lag-p99-ns")
			b.ReportMetric(s.Utilisation(), "utilisation")
		})
	}
}

// BenchmarkPace has a Poisson process of arrivals carried, b.N of them, and reports how late they were sent: asleep until each, and
// polling for the last 60 µs.
func BenchmarkPace(b *testing.B) {
	address := reactor(b)
	for _, rate := range []float64{10_000, 50_000} {
		for _, spin := range []time.Duration{0, 60 * time.Microsecond} {
			for _, readiness := range []bool{false, true} {
				b.Run(fmt.Sprintf("rate=%g/spin=%v/readiness=%v", rate, spin, readiness), func(b *testing.B) {
					end := dsv.At(time.Duration(float64(b.N) / rate * 1e9))
					g, set := measured(b, user.Config{Rate: []user.Point{{Rate: rate}}, End: end})
					l := open(b, load.Config{
						T0: mono.Now(), Groups: []load.Group{g}, Address: to(address), Services: []string{"app"},
						End: end, Grace: time.Second, Readiness: readiness, Light: true, Spin: spin,
					})
					s, err := l.Run(b.Context())
					if err != nil || s.Answered != s.Issued {
						b.Fatalf("got %v, %d of %d answered (%v); want an answer to each request", err, s.Answered, s.Issued, s.Messages)
					}
					lag := set.Var("crowd.send_lag").Read().Hist
					b.ReportMetric(lag.Quantile(0.5)*1e6, "lag-p50-us")
					b.ReportMetric(lag.Quantile(0.99)*1e6, "lag-p99-us")
					b.ReportMetric(float64(s.Jitter.Quantile(0.5))/1e3, "jitter-p50-us")
					b.ReportMetric(float64(s.Jitter.Quantile(0.99))/1e3, "jitter-p99-us")
					b.ReportMetric(s.Utilisation(), "utilisation")
					b.ReportMetric(float64(s.Opened), "connections")
					b.ReportMetric(float64(s.Issued)/float64(b.N), "issued/planned")
				})
			}
		}
	}
}
