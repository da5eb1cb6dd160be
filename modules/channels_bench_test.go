package modules_test

import (
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/eve-emulation/eve/dsv"
	"github.com/eve-emulation/eve/evekernel"
	"github.com/eve-emulation/eve/evekernel/egs"
	"github.com/eve-emulation/eve/evekernel/wire"
	"github.com/eve-emulation/eve/modules"
)

// benchKernel returns a kernel with the channel alarms, and a maker of participants.
func benchKernel(b *testing.B) func(name string) *modules.Proxy {
	b.Helper()
	k, err := evekernel.New(evekernel.Config{})
	if err != nil {
		b.Fatal(err)
	}
	if err := k.Listen(); err != nil {
		b.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	var work sync.WaitGroup
	work.Go(func() { _ = k.Run(ctx) })
	b.Cleanup(func() {
		cancel()
		work.Wait()
		_ = k.Close()
	})
	if err := k.Hub().Open(alarms()); err != nil {
		b.Fatal(err)
	}
	return func(name string) *modules.Proxy {
		l := linkTo(k, wire.CBOR)
		l.Name = name
		p := modules.NewProxy(l, nil)
		work.Go(func() { _ = p.Run(ctx) })
		return p
	}
}

// payload is an event with 100 bytes of data.
func payload() egs.Event {
	return egs.Event{Values: []dsv.Value{dsv.FloatValue(0.5), {}, dsv.IntValue(7)}, Data: make([]byte, 100)}
}

// A bare is a ping-pong over TCP.
type bare struct {
	conn net.Conn
	msg  []byte
}

func newBare(b *testing.B) *bare {
	b.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	var work sync.WaitGroup
	work.Go(func() {
		if c, err := l.Accept(); err == nil {
			_, _ = io.CopyBuffer(struct{ io.Writer }{c}, struct{ io.Reader }{c}, make([]byte, 256))
			_ = c.Close()
		}
	})
	c, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		_ = c.Close()
		work.Wait()
		_ = l.Close()
	})
	return &bare{conn: c, msg: make([]byte, 130)}
}

// halves appends the halves of n round trips.
func (p *bare) halves(b *testing.B, to []time.Duration, n int) []time.Duration {
	b.Helper()
	for range n {
		began := time.Now()
		if _, err := p.conn.Write(p.msg); err != nil {
			b.Fatal(err)
		}
		if _, err := io.ReadFull(p.conn, p.msg); err != nil {
			b.Fatal(err)
		}
		to = append(to, time.Since(began)/2)
	}
	return to
}

// median sorts.
func median(ds []time.Duration) float64 {
	slices.Sort(ds)
	return float64(ds[len(ds)/2])
}

// BenchmarkDirect bounces an event of 100 bytes between handlers of two participants, in turns with a bare ping-pong:
// x-bare is from Submit to Handler by half of its round trip, medians both.
func BenchmarkDirect(b *testing.B) {
	participant := benchKernel(b)
	ctx := b.Context()
	attach := func(p *modules.Proxy, to string) egs.Source {
		s, err := p.Attach(ctx, "alarms")
		if err != nil {
			b.Fatal(err)
		}
		s.SetOut(egs.FilterFunc(func(_ *egs.Event, sink *egs.Sink) bool { return sink.Member == to }))
		return s
	}
	near, far := participant("near"), participant("far")
	there, back := attach(near, "far"), attach(far, "near")
	const turn = 200 // round trips of one kind
	halves, bares := make([]time.Duration, 0, b.N+turn), make([]time.Duration, 0, b.N+turn)
	done := make(chan struct{})
	var began time.Time
	e := payload()
	submit := func(s egs.Source) {
		if n, err := s.Submit(ctx, e); n != 1 || err != nil {
			b.Errorf("went to %d (error %v), want 1", n, err)
		}
	}
	handlers := map[*modules.Proxy]func(egs.Event){
		far: func(egs.Event) { submit(back) },
		near: func(egs.Event) {
			now := time.Now()
			halves = append(halves, now.Sub(began)/2)
			if len(halves)%turn == 0 {
				done <- struct{}{}
				return
			}
			began = time.Now()
			submit(there)
		},
	}
	for p, h := range handlers {
		if _, err := p.Subscribe(ctx, egs.SubscribeRequest{Channel: "alarms", Handler: h}); err != nil {
			b.Fatal(err)
		}
	}
	p := newBare(b)
	b.ReportAllocs()
	b.ResetTimer()
	for len(halves) < b.N {
		bares = p.halves(b, bares, turn)
		began = time.Now()
		submit(there)
		<-done
	}
	b.StopTimer()
	bare := median(bares)
	b.ReportMetric(bare, "bare-p50-ns")
	b.ReportMetric(median(halves)/bare, "x-bare")
}

// cpu is the time that this process and another one have used.
func cpu(b *testing.B, other int) time.Duration {
	b.Helper()
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	used := time.Duration(u.Utime.Nano() + u.Stime.Nano())
	if other == 0 {
		return used
	}
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", other))
	if err != nil {
		b.Fatal(err)
	}
	fields := strings.Fields(string(text[strings.LastIndexByte(string(text), ')')+1:]))
	for _, f := range fields[11:13] {
		ticks, err := strconv.ParseInt(f, 10, 64)
		if err != nil {
			b.Fatal(err)
		}
		used += time.Duration(ticks) * 10 * time.Millisecond
	}
	return used
}

// BenchmarkFanOut sends events of 100 bytes to eight sinks: in as many participants, in one, and over NATS when its server
// is installed. deliveries/cpu-s counts the CPU time of all processes together.
func BenchmarkFanOut(b *testing.B) {
	report := func(b *testing.B, n int64, used time.Duration) {
		b.Helper()
		b.ReportMetric(float64(n)/used.Seconds(), "deliveries/cpu-s")
		b.ReportMetric(float64(n)/b.Elapsed().Seconds(), "deliveries/s")
		b.ReportMetric(float64(n)/float64(b.N), "deliveries/op")
	}
	for _, c := range []struct{ participants, sinks int }{{8, 1}, {1, 8}} {
		b.Run(fmt.Sprintf("%dx%d", c.participants, c.sinks), func(b *testing.B) {
			participant := benchKernel(b)
			ctx := b.Context()
			var got atomic.Int64
			for i := range c.participants {
				p := participant(fmt.Sprintf("sink%d", i))
				for range c.sinks {
					_, err := p.Subscribe(ctx, egs.SubscribeRequest{Channel: "alarms", Handler: func(egs.Event) { got.Add(1) }})
					if err != nil {
						b.Fatal(err)
					}
				}
			}
			src, err := participant("source").Attach(ctx, "alarms")
			if err != nil {
				b.Fatal(err)
			}
			e := payload()
			before := cpu(b, 0)
			b.ReportAllocs()
			for b.Loop() {
				if _, err := src.Submit(ctx, e); err != nil {
					b.Fatal(err)
				}
			}
			for want := int64(src.Stats().Delivered); got.Load() < want; {
				time.Sleep(time.Millisecond)
			}
			report(b, got.Load(), cpu(b, 0)-before)
		})
	}
	b.Run("nats", func(b *testing.B) {
		server, err := exec.LookPath("nats-server")
		if err != nil {
			b.Skip("nats-server is not installed")
		}
		cmd := exec.Command(server, "-a", "127.0.0.1", "-p", "42871")
		if err := cmd.Start(); err != nil {
			b.Fatal(err)
		}
		defer func() {
			_ = cmd.Process.Kill()
			_ = cmd.Wait()
		}()
		dial := func() *nats.Conn {
			for range 500 {
				if c, err := nats.Connect("nats://127.0.0.1:42871"); err == nil {
					return c
				}
				time.Sleep(10 * time.Millisecond)
			}
			b.Fatal("no connection to nats-server")
			return nil
		}
		var got atomic.Int64
		for range 8 {
			c := dial()
			defer c.Close()
			if _, err := c.Subscribe("alarms", func(*nats.Msg) { got.Add(1) }); err != nil {
				b.Fatal(err)
			}
			if err := c.Flush(); err != nil {
				b.Fatal(err)
			}
		}
		src := dial()
		defer src.Close()
		data := make([]byte, 100)
		before := cpu(b, cmd.Process.Pid)
		b.ReportAllocs()
		for b.Loop() {
			if err := src.Publish("alarms", data); err != nil {
				b.Fatal(err)
			}
		}
		if err := src.Flush(); err != nil {
			b.Fatal(err)
		}
		for quiet, last := 0, int64(-1); quiet < 20 && got.Load() < 8*int64(b.N); time.Sleep(10 * time.Millisecond) {
			if n := got.Load(); n == last {
				quiet++
			} else {
				quiet, last = 0, n
			}
		}
		report(b, got.Load(), cpu(b, cmd.Process.Pid)-before)
	})
}
