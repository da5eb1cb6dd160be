package modules_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http/httptest"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/eve-emulation/eve/dsv"
	"github.com/eve-emulation/eve/evekernel"
	"github.com/eve-emulation/eve/evekernel/wire/wiretest"
	"github.com/eve-emulation/eve/internal/mono"
	"github.com/eve-emulation/eve/modules"
)

// asServer runs a kernel until its standard input ends.
func asServer() int {
	k, err := evekernel.New(evekernel.Config{})
	if err == nil {
		err = k.Listen()
	}
	if err != nil {
		fmt.Println(err)
		return 1
	}
	echo := httptest.NewServer(wiretest.Echo())
	defer echo.Close()
	fmt.Println(k.URL(), k.Token(), echo.URL)
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	wg.Go(func() {
		_, _ = io.Copy(io.Discard, os.Stdin)
		cancel()
	})
	err = errors.Join(k.Run(ctx), k.Close())
	wg.Wait()
	if err != nil {
		fmt.Println(err)
		return 1
	}
	return 0
}

// server is a kernel in a process of its own.
type server struct {
	link modules.Link
	echo string
	pid  int
}

func newServer(b *testing.B) server {
	b.Helper()
	exe, err := os.Executable()
	if err != nil {
		b.Fatal(err)
	}
	cmd := exec.Command(exe)
	cmd.Env = append(os.Environ(), "EVE_TEST_ROLE=server")
	in, err := cmd.StdinPipe()
	if err != nil {
		b.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		b.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		_ = in.Close()
		if err := cmd.Wait(); err != nil {
			b.Errorf("kernel: %v", err)
		}
	})
	line, err := bufio.NewReader(out).ReadString('\n')
	words := strings.Fields(line)
	if err != nil || len(words) != 3 {
		b.Fatalf("kernel says %q (error %v)", line, err)
	}
	return server{
		link: modules.Link{URL: words[0], Token: words[1]},
		echo: "ws" + strings.TrimPrefix(words[2], "http"), pid: cmd.Process.Pid,
	}
}

func (s server) cpu(b *testing.B) time.Duration {
	b.Helper()
	ns, err := mono.ProcessCPUOf(s.pid)
	if err != nil {
		b.Fatal(err)
	}
	return time.Duration(ns)
}

// join runs a proxy until the benchmark ends.
func join(b *testing.B, link modules.Link) *modules.Proxy {
	b.Helper()
	p := modules.NewProxy(link, nil)
	ran := make(chan error, 1)
	go func() { ran <- p.Run(context.Background()) }()
	b.Cleanup(func() {
		_ = p.Close(nil)
		if err := <-ran; err != nil {
			b.Errorf("run proxy: %v", err)
		}
	})
	if _, err := p.Welcome(b.Context()); err != nil {
		b.Fatal(err)
	}
	return p
}

// BenchmarkRoundTrip tells how long one operation takes, and how long a bare WebSocket takes to send as many bytes there
// and back, turn by turn in the same run.
func BenchmarkRoundTrip(b *testing.B) {
	s := newServer(b)
	p := join(b, s.link)
	ctx := b.Context()
	decl := dsv.Declaration{Name: "bench.value", Kind: dsv.Float, Unit: "s", Help: "A value."}
	if err := p.Create(ctx, decl); err != nil {
		b.Fatal(err)
	}
	rev, err := p.Write(ctx, decl.Name, dsv.FloatValue(0.5))
	if err != nil {
		b.Fatal(err)
	}
	for _, op := range []struct {
		name string
		size int // bytes of its request, about
		do   func() error
	}{
		{"read", 32, func() error { _, err := p.ReadFresh(ctx, decl.Name); return err }},
		{"write", 56, func() error { _, err := p.Write(ctx, decl.Name, dsv.FloatValue(0.5)); return err }},
		{"create", 96, func() error { return p.Create(ctx, decl) }},
		{"test_and_set", 72, func() error {
			next, err := p.TestAndSet(ctx, decl.Name, rev, dsv.FloatValue(0.5))
			rev = next
			return err
		}},
		{"info", 32, func() error { _, err := p.Info(ctx, decl.Name); return err }},
	} {
		b.Run(op.name, func(b *testing.B) {
			i, err := p.Info(ctx, decl.Name)
			if err != nil {
				b.Fatal(err)
			}
			rev = i.Revision
			ping, err := wiretest.Dial(ctx, s.echo, op.size)
			if err != nil {
				b.Fatal(err)
			}
			defer ping.Close()
			var ours, theirs turns
			for b.Loop() {
				theirs.take(b, s, ping.Ping)
				ours.take(b, s, op.do)
			}
			b.ReportMetric(ours.median(), "ns/op")
			b.ReportMetric(theirs.median(), "ns/ping")
			b.ReportMetric(ours.median()/theirs.median(), "ratio")
			b.ReportMetric(float64(ours.cpu)/float64(theirs.cpu), "cpu-ratio")
		})
	}
}

// turns are what operations took that were done a few at a time.
type turns struct {
	each []float64     // ns of each operation
	cpu  time.Duration // of both ends
}

func (t *turns) take(b *testing.B, s server, do func() error) {
	cpu := time.Duration(mono.ProcessCPU()) + s.cpu(b)
	for range 20 {
		start := time.Now()
		if err := do(); err != nil {
			b.Fatal(err)
		}
		t.each = append(t.each, float64(time.Since(start)))
	}
	t.cpu += time.Duration(mono.ProcessCPU()) + s.cpu(b) - cpu
}

func (t *turns) median() float64 {
	slices.Sort(t.each)
	return t.each[len(t.each)/2]
}

// BenchmarkCopy reads a local copy.
func BenchmarkCopy(b *testing.B) {
	s := newServer(b)
	p := join(b, s.link)
	ctx := b.Context()
	if err := p.Create(ctx, dsv.Declaration{Name: "x", Kind: dsv.Float}); err != nil {
		b.Fatal(err)
	}
	if _, err := p.Write(ctx, "x", dsv.FloatValue(1)); err != nil {
		b.Fatal(err)
	}
	for i, err := p.Info(ctx, "x"); i.Age == 0; i, err = p.Info(ctx, "x") {
		if err != nil {
			b.Fatal(err)
		}
		if _, err := p.Read(ctx, "x"); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := p.Read(ctx, "x"); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkBatched tells how many updates a second reach a kernel, all together and for each second of its CPU.
func BenchmarkBatched(b *testing.B) {
	for _, c := range []struct {
		conns, callers, batch int
	}{{1, 4, 128}, {1, 4, 32}, {1, 64, 1}, {50, 1, 32}} {
		b.Run(fmt.Sprintf("conns=%d/callers=%d/batch=%d", c.conns, c.callers, c.batch), func(b *testing.B) {
			s := newServer(b)
			var proxies []*modules.Proxy
			for range c.conns {
				proxies = append(proxies, join(b, s.link))
			}
			before := s.cpu(b)
			start := time.Now()
			stop := start.Add(2 * time.Second)
			var mu sync.Mutex
			total := 0
			for b.Loop() {
				if time.Now().After(stop) {
					continue
				}
				var wg sync.WaitGroup
				for i, p := range proxies {
					for j := range c.callers {
						wg.Go(func() {
							n := syncUntil(b, p, dsv.Name(fmt.Sprintf("bench.v%d_%d", i, j)), c.batch, stop)
							mu.Lock()
							total += n
							mu.Unlock()
						})
					}
				}
				wg.Wait()
			}
			took := min(time.Since(start), 2*time.Second)
			cpu := s.cpu(b) - before
			b.ReportMetric(0, "ns/op")
			b.ReportMetric(float64(total)/took.Seconds(), "updates/s")
			b.ReportMetric(float64(total)/cpu.Seconds(), "updates/cpu-s")
		})
	}
}

// syncUntil sends batches of deltas of one variable, each once the one before is acknowledged.
func syncUntil(b *testing.B, p *modules.Proxy, n dsv.Name, batch int, stop time.Time) (sent int) {
	ctx := b.Context()
	if err := p.Create(ctx, dsv.Declaration{Name: n, Kind: dsv.Float, Merge: dsv.Sum}); err != nil {
		b.Error(err)
		return 0
	}
	w, err := p.Welcome(ctx)
	if err != nil {
		b.Error(err)
		return 0
	}
	deltas := make([]dsv.Delta, batch)
	seq := uint64(0)
	for time.Now().Before(stop) {
		for i := range deltas {
			seq++
			deltas[i] = dsv.Delta{
				Name: n, Writer: dsv.WriterID(w.Writer), Epoch: uint32(w.Epoch), Seq: seq,
				T0: dsv.Instant(seq-1) * 1000, T1: dsv.Instant(seq) * 1000, Value: dsv.FloatValue(0.3), Weight: 1,
			}
		}
		if err := p.Sync(ctx, deltas); err != nil {
			b.Error(err)
			return sent
		}
		sent += batch
	}
	return sent
}

// BenchmarkWrites tells how many writes a second many goroutines of one process do at once.
func BenchmarkWrites(b *testing.B) {
	s := newServer(b)
	p := join(b, s.link)
	ctx := b.Context()
	if err := p.Create(ctx, dsv.Declaration{Name: "x", Kind: dsv.Float}); err != nil {
		b.Fatal(err)
	}
	b.SetParallelism(64)
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			if _, err := p.Write(ctx, "x", dsv.FloatValue(1)); err != nil {
				b.Error(err)
				return
			}
		}
	})
}
