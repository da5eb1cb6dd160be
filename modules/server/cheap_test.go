package server_test

import (
	"context"
	"fmt"
	"net/http"
	"net/netip"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/eve-emulation/eve/dmm"
	"github.com/eve-emulation/eve/dsv"
	"github.com/eve-emulation/eve/fase/engine"
	"github.com/eve-emulation/eve/fase/load"
	"github.com/eve-emulation/eve/fase/machine"
	"github.com/eve-emulation/eve/fase/scenario"
	"github.com/eve-emulation/eve/fase/service"
	"github.com/eve-emulation/eve/internal/mono"
	"github.com/eve-emulation/eve/internal/netpoll"
	"github.com/eve-emulation/eve/modules/server"
	"github.com/eve-emulation/eve/rdr"
)

// measuredServer runs a server that measures all that a scenario's server does, on an engine.
func measuredServer(b testing.TB, kind string, reactors int) netip.AddrPort {
	b.Helper()
	plan, err := scenario.Load("cheap.yaml", []byte(`
eve: 1
name: cheap
duration: 10s
requests: "request page { call web { cpu 0 reply 100B } }"
servers: {here: {}}
services: {web: {on: [here]}}
clients: {crowd: {request: page, arrive: poisson, rate: 1/s}}
`), scenario.Options{})
	if err != nil {
		b.Fatal(err)
	}
	set, err := dmm.NewSet(1, 1, plan.Owned("here"))
	if err != nil {
		b.Fatal(err)
	}
	s, err := server.Listen(server.Config{
		Host: plan.Servers[0].HostConfig, Vars: func(n dsv.Name) *dmm.Var { return set.Var(n) },
		Engine: engine.Config{Name: kind, Listen: "127.0.0.1:0", Reactors: reactors}, Scratch: b.TempDir(),
	})
	if err != nil {
		b.Skip(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx) }()
	b.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			b.Error(err)
		}
	})
	s.Start(mono.Now())
	for i, m := range plan.Mappings() {
		s.Changed(i, m)
	}
	return s.Addr()
}

// An asker has connections that each have one request under way, on one thread, without allocating.
type asker struct {
	poller *netpoll.Poller
	fds    []int
	buf    []byte
}

func newAsker(b testing.TB, to netip.AddrPort, n int) *asker {
	b.Helper()
	p, err := netpoll.NewPoller(0)
	if err != nil {
		b.Fatal(err)
	}
	a := &asker{poller: p, buf: make([]byte, 4096)}
	b.Cleanup(func() {
		for _, fd := range a.fds {
			_ = netpoll.Close(fd)
		}
		_ = p.Close()
	})
	for range n {
		fd, err := netpoll.Connect(netip.Addr{}, to)
		if err != nil {
			b.Fatal(err)
		}
		a.fds = append(a.fds, fd)
		if err := p.Add(fd, uint64(fd), netpoll.Out); err != nil {
			b.Fatal(err)
		}
		for ready := false; !ready; {
			evs, err := p.Wait(mono.Never)
			if err != nil {
				b.Fatal(err)
			}
			ready = len(evs) > 0
		}
		if err := p.Modify(fd, uint64(fd), netpoll.In); err != nil {
			b.Fatal(err)
		}
	}
	return a
}

// ask makes n requests over all connections and returns the CPU that the process used beside this thread, in ns.
func (a *asker) ask(b testing.TB, n int, req []byte) int64 {
	b.Helper()
	before := mono.ProcessCPU() - mono.ThreadCPU()
	sent, done := 0, 0
	send := func(fd int) {
		if _, err := netpoll.Write(fd, req); err != nil {
			b.Fatal(err)
		}
		sent++
	}
	for _, fd := range a.fds[:min(n, len(a.fds))] {
		send(fd)
	}
	for done < n {
		evs, err := a.poller.Wait(mono.Never)
		if err != nil {
			b.Fatal(err)
		}
		for _, ev := range evs {
			k, err := netpoll.Read(int(ev.Tag), a.buf)
			if err != nil || k < 20 || string(a.buf[:15]) != "HTTP/1.1 200 OK" {
				b.Fatalf("response: got %q, %v", a.buf[:k], err)
			}
			if done++; sent < n {
				send(int(ev.Tag))
			}
		}
	}
	return mono.ProcessCPU() - mono.ThreadCPU() - before
}

// cheapRequests are a plain GET, and a request of `cpu 0 reply 100B` as a person types it and as Eve's clients send it.
func cheapRequests(b testing.TB, to netip.AddrPort) (get, text, compact []byte) {
	b.Helper()
	const demand = "cpu 0 reply 100B"
	block, err := rdr.ParseBlock("cheap", []byte(demand), rdr.Limits{})
	if err != nil {
		b.Fatal(err)
	}
	host := to.String()
	compact, err = load.AppendCall(nil, &service.Request{Block: block, Key: 0x1234567890abcdef, Epoch: 1}, []string{"web"}, host)
	if err != nil {
		b.Fatal(err)
	}
	get = []byte("GET / HTTP/1.1\r\nHost: " + host + "\r\n\r\n")
	text = fmt.Appendf(nil, "POST /rdr HTTP/1.1\r\nHost: %s\r\nContent-Length: %d\r\n\r\n%s", host, len(demand), demand)
	return get, text, compact
}

// BenchmarkCheap compares the cheapest resource demand request with a plain GET of the same server, turn by turn: CPU of the server
// for each, and the ratio.
func BenchmarkCheap(b *testing.B) {
	for _, tt := range []struct {
		name, kind string
		reactors   int
	}{{"reactors", "reactors", 1}, {"reactors-2", "reactors", 2}, {"uring", "uring", 1}} {
		b.Run(tt.name, func(b *testing.B) {
			runtime.LockOSThread()
			defer runtime.UnlockOSThread()
			to := measuredServer(b, tt.kind, tt.reactors)
			a := newAsker(b, to, 64)
			get, text, compact := cheapRequests(b, to)
			var cpu [3]int64
			b.ReportAllocs()
			for b.Loop() {
				for i, req := range [][]byte{get, text, compact} {
					cpu[i] += a.ask(b, 1000, req)
				}
			}
			n := float64(b.N) * 1000
			b.ReportMetric(float64(cpu[0])/n, "get-ns")
			b.ReportMetric(float64(cpu[1])/float64(cpu[0]), "text/get")
			b.ReportMetric(float64(cpu[2])/float64(cpu[0]), "compact/get")
		})
	}
}

// TestCheapBesideOwner asks for nothing while the loop that owns the host burns: the other loop answers.
func TestCheapBesideOwner(t *testing.T) {
	s := listen(t, func(c *server.Config) {
		c.Engine.Reactors = 2
		c.Host.Machine = machine.Config{Run: machine.Burn, CPU: machine.CPUConfig{Cores: 1, Speed: 1}}
	})
	url := serve(t, s)
	s.Start(mono.Now())
	mapped(s)
	burned := make(chan struct{})
	go func() {
		defer close(burned)
		if res, err := http.Post(url+"/rdr", "", strings.NewReader("cpu 1s")); err == nil {
			_ = res.Body.Close()
		}
	}()
	for blocked, answered := false, false; !answered; {
		select {
		case <-burned:
			t.Fatal("nothing was answered meanwhile")
		default:
		}
		c := http.Client{Timeout: 50 * time.Millisecond, Transport: &http.Transport{DisableKeepAlives: true}}
		res, err := c.Post(url+"/rdr/web", "", strings.NewReader("cpu 0 reply 100B"))
		if err != nil {
			blocked = true // it met the loop that burns
			continue
		}
		_ = res.Body.Close()
		if res.StatusCode != 200 || res.ContentLength != 100 {
			t.Errorf("answer: got %d with %d bytes, want 200 with 100", res.StatusCode, res.ContentLength)
		}
		answered = blocked
	}
	<-burned
}

// TestCheapAllocations asks for next to nothing, which is to cost no memory either.
func TestCheapAllocations(t *testing.T) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	to := measuredServer(t, "reactors", 1)
	a := newAsker(t, to, 6)
	_, text, compact := cheapRequests(t, to)
	for name, req := range map[string][]byte{"text": text, "compact": compact} {
		a.ask(t, 500, req)
		// Something else in the process may allocate now and then; a request that allocates does so every time.
		if got := allocations(20, func() { a.ask(t, 100, req) }); got > 20 {
			t.Errorf("%s: allocations for 100 requests: got %v, want next to none", name, got)
		}
	}
}

// allocations is testing.AllocsPerRun without its GOMAXPROCS of 1, under which loops that sleep hold up everybody, and what is
// synchronised in the meantime allocates.
func allocations(runs int, fn func()) float64 {
	var before, after runtime.MemStats
	fn()
	runtime.ReadMemStats(&before)
	for range runs {
		fn()
	}
	runtime.ReadMemStats(&after)
	return float64(after.Mallocs-before.Mallocs) / float64(runs)
}
