package link_test

import (
	"context"
	"fmt"
	"io"
	"net"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/eve-emulation/eve/dsv"
	"github.com/eve-emulation/eve/evekernel/egs"
	"github.com/eve-emulation/eve/evekernel/link"
)

// A process is an endpoint with sinks.
type process struct {
	*link.Endpoint
	addr  string
	boxes []*egs.Inbox
}

func beats() *egs.Channel {
	return &egs.Channel{Name: "beats", Attrs: []egs.Attr{{Name: "level", Kind: dsv.Float}, {Name: "where", Kind: dsv.Text}, {Name: "n", Kind: dsv.Int}}}
}

// start returns a process called node with sinks that have handlers.
func start(tb testing.TB, node uint64, handlers ...func(egs.Event)) *process {
	tb.Helper()
	p := &process{}
	for i, h := range handlers {
		p.boxes = append(p.boxes, egs.NewInbox(egs.InboxConfig{Channel: beats(), Sink: &egs.Sink{ID: egs.SinkID{Node: node, Sub: uint64(i)}}, Handler: h}))
	}
	p.Endpoint = link.New(link.Config{
		Node: node, Name: fmt.Sprintf("p%d", node), Secret: "secret",
		Inbox: func(sub uint64) *egs.Inbox {
			if sub >= uint64(len(p.boxes)) {
				return nil
			}
			return p.boxes[sub]
		},
		Desk: func(uint64) *egs.Desk { return nil },
	})
	addr, err := p.Listen("127.0.0.1")
	if err != nil {
		tb.Fatal(err)
	}
	p.addr = addr
	tb.Cleanup(p.Close)
	return p
}

// rawHalves measures a bare ping-pong over TCP: the halves of n round trips of size bytes.
func rawHalves(tb testing.TB, n, size int) []time.Duration {
	tb.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		tb.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	var wg sync.WaitGroup
	defer wg.Wait()
	wg.Go(func() {
		c, err := l.Accept()
		if err != nil {
			return
		}
		defer func() { _ = c.Close() }()
		b := make([]byte, size)
		for {
			if _, err := io.ReadFull(c, b); err != nil {
				return
			}
			if _, err := c.Write(b); err != nil {
				return
			}
		}
	})
	c, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		tb.Fatal(err)
	}
	defer func() { _ = c.Close() }()
	b := make([]byte, size)
	halves := make([]time.Duration, n)
	for i := range halves {
		began := time.Now()
		if _, err := c.Write(b); err != nil {
			tb.Fatal(err)
		}
		if _, err := io.ReadFull(c, b); err != nil {
			tb.Fatal(err)
		}
		halves[i] = time.Since(began) / 2
	}
	return halves
}

func p50(ds []time.Duration) float64 {
	slices.Sort(ds)
	return float64(ds[len(ds)/2])
}

// BenchmarkDirect sends events of 100 bytes of data over a link, to and fro, beside a bare ping-pong.
func BenchmarkDirect(b *testing.B) {
	var there, here *link.Link
	decl := beats()
	body := link.AppendBody(nil, decl, &egs.Event{Values: []dsv.Value{dsv.FloatValue(1), {}, dsv.IntValue(3)}, Data: make([]byte, 100)})
	var seqA, seqB uint64
	send := func(l *link.Link, seq *uint64) {
		*seq++
		ok, flush := l.Queue(0, []link.Dest{{Sub: 0, Seq: *seq}}, body, false)
		if !ok {
			b.Error("no room")
		}
		if flush {
			l.Flush()
		}
	}
	done := make(chan struct{})
	halves := make([]time.Duration, 0, b.N)
	var began time.Time
	far := start(b, 2, func(egs.Event) { send(here, &seqB) })
	near := start(b, 1, func(egs.Event) {
		now := time.Now()
		halves = append(halves, now.Sub(began)/2)
		if len(halves) == b.N {
			close(done)
			return
		}
		began = now
		send(there, &seqA)
	})
	var err error
	if there, err = near.Dial(context.Background(), 2, far.addr); err != nil {
		b.Fatal(err)
	}
	for here == nil { // the other end of the same
		here = far.To(1)
	}
	before := p50(rawHalves(b, 5000, 130))
	b.ResetTimer()
	began = time.Now()
	send(there, &seqA)
	<-done
	b.StopTimer()
	raw := (before + p50(rawHalves(b, 5000, 130))) / 2
	b.ReportMetric(raw, "raw-p50-ns")
	b.ReportMetric(p50(halves)/raw, "x-raw")
}

// BenchmarkFanOut sends events of 100 bytes to eight sinks in as many processes, and in one.
func BenchmarkFanOut(b *testing.B) {
	for _, c := range []struct{ processes, sinks int }{{8, 1}, {1, 8}} {
		b.Run(fmt.Sprintf("%dx%d", c.processes, c.sinks), func(b *testing.B) {
			var got atomic.Int64
			var hs []func(egs.Event)
			for range c.sinks {
				hs = append(hs, func(egs.Event) { got.Add(1) })
			}
			src := start(b, 100)
			var links []*link.Link
			var dests []link.Dest
			for i := range c.sinks {
				dests = append(dests, link.Dest{Sub: uint64(i)})
			}
			for i := range c.processes {
				p := start(b, uint64(i+1), hs...)
				l, err := src.Dial(context.Background(), uint64(i+1), p.addr)
				if err != nil {
					b.Fatal(err)
				}
				links = append(links, l)
			}
			decl := beats()
			e := egs.Event{Values: []dsv.Value{dsv.FloatValue(1), {}, dsv.IntValue(3)}, Data: make([]byte, 100)}
			var body []byte
			sent := int64(0)
			b.ReportAllocs()
			for b.Loop() {
				body = link.AppendBody(body[:0], decl, &e)
				for i := range dests {
					dests[i].Seq++
				}
				for _, l := range links {
					l.Room()
					ok, flush := l.Queue(0, dests, body, true)
					if ok {
						sent += int64(len(dests))
					}
					if flush {
						l.Flush()
					}
				}
			}
			for got.Load() < sent {
				time.Sleep(time.Millisecond)
			}
			b.ReportMetric(float64(got.Load())/b.Elapsed().Seconds(), "deliveries/s")
			b.ReportMetric(float64(got.Load())/float64(b.N), "deliveries/op")
		})
	}
}
