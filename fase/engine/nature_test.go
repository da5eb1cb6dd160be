package engine_test

import (
	"fmt"
	"net/netip"
	"runtime"
	"testing"

	"github.com/eve-emulation/eve/fase/engine"
	"github.com/eve-emulation/eve/internal/mono"
)

// BenchmarkIdlePeers shows what idle connections cost each way of waiting: 100 connections ask, each again as soon as it was
// answered, while others say nothing. requests/cpu-s is per second of CPU of the server's threads: of all but the clients'.
func BenchmarkIdlePeers(b *testing.B) {
	for _, kind := range engine.Shipped() {
		for _, idle := range []int{0, 1000, 9000} {
			b.Run(fmt.Sprintf("%s/%d", kind.Name, idle), func(b *testing.B) {
				if kind.Name == "threads-1to1" && idle > 7000 {
					b.Skip("more connections than it has threads for")
				}
				runtime.LockOSThread()
				defer runtime.UnlockOSThread()
				e := serve(b, kind.Name, 1)
				crowdOfIdle(b, e.Addr(), idle)
				c := newCrowd(b, e.Addr(), 100)
				req := request("/")
				c.exchange(1000, req)
				used := func() int64 { return mono.ProcessCPU() - mono.ThreadCPU() }
				before := used()
				b.ResetTimer()
				c.exchange(b.N, req)
				b.StopTimer()
				b.ReportMetric(float64(b.N)/float64(used()-before)*1e9, "requests/cpu-s")
				b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "requests/s")
			})
		}
	}
}

// crowdOfIdle opens n connections that the server has accepted, and leaves them alone.
func crowdOfIdle(b *testing.B, addr netip.AddrPort, n int) {
	b.Helper()
	for range (n + 999) / 1000 { // by thousands, so that the backlog suffices
		c := newCrowd(b, addr, min(n, 1000))
		c.exchange(1, request("/")) // answered after all that stood before it were accepted
		for _, fd := range c.fds {
			if err := c.poller.Delete(fd); err != nil {
				b.Fatal(err)
			}
		}
	}
	runtime.GC()
}
