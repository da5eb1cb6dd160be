package modules_test

import (
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/eve-emulation/eve/dsv"
	"github.com/eve-emulation/eve/evekernel/egs"
	"github.com/eve-emulation/eve/evekernel/wire"
	"github.com/eve-emulation/eve/modules"
)

// TestManyMembers has a source know all sinks at once where the list of them is too long for one message, at first and
// after a lost connection, which changes no numbers.
func TestManyMembers(t *testing.T) {
	const sinks, each = 10, 3
	k, _ := opened(t)
	r := newRelay(t, k.Addr().String())
	ctx := within(t)
	member := func(name string, by *relay) *modules.Proxy {
		l := linkTo(k, wire.CBOR)
		l.Name = name
		if by != nil {
			l.Dial = by.dial
		}
		return connect(t, l)
	}
	facts := map[string]dsv.Value{}
	for i := range egs.MaxAttrs {
		facts[fmt.Sprintf("f%d", i)] = dsv.TextValue(strings.Repeat("x", 1000))
	}
	there := member("there", nil)
	var subs []egs.Subscription
	for range sinks {
		s, err := there.Subscribe(ctx, egs.SubscribeRequest{Channel: "alarms", Facts: facts})
		if err != nil {
			t.Fatal(err)
		}
		subs = append(subs, s)
	}
	from := member("from", r)
	src, err := from.Attach(ctx, "alarms")
	if err != nil {
		t.Fatal(err)
	}
	if n := len(src.Sinks()); n != sinks {
		t.Errorf("the source begins with %d sinks, want %d", n, sinks)
	}
	for i := range 2 * each {
		if i == each {
			r.cut()
			if err := from.Enter(ctx, "team"); err != nil { // it is back
				t.Fatal(err)
			}
		}
		if n, err := src.Submit(ctx, egs.Event{Values: []dsv.Value{{}, {}, dsv.IntValue(int64(i))}}); n != sinks || err != nil {
			t.Errorf("event %d went to %d (error %v), want %d", i, n, err, sinks)
		}
	}
	for i, s := range subs {
		for n := range 2 * each {
			if e, err := s.Next(ctx); err != nil || e.Values[2].Int != int64(n) {
				t.Fatalf("sink %d got %+v (error %v), want event %d; counts %+v", i, e, err, n, s.Stats())
			}
		}
	}
}

// TestManyComeBack cuts all connections to the kernel again and again while every one of many participants submits to every
// other, half of them through the kernel: all accounts are even afterwards, and nothing comes twice.
func TestManyComeBack(t *testing.T) {
	const members, rounds, each = 16, 3, 20
	k, _ := opened(t)
	r := newRelay(t, k.Addr().String())
	ctx := within(t)
	type member struct {
		p   *modules.Proxy
		src egs.Source
		s   egs.Subscription
		mu  sync.Mutex
		got map[int64]int
	}
	ms := make([]*member, members)
	for i := range ms {
		l := linkTo(k, wire.CBOR)
		l.Name, l.NoLinks, l.Dial = fmt.Sprintf("m%d", i), i%2 == 1, r.dial
		m := &member{p: connect(t, l), got: map[int64]int{}}
		var err error
		if m.s, err = m.p.Subscribe(ctx, egs.SubscribeRequest{Channel: "alarms", Handler: func(e egs.Event) {
			m.mu.Lock()
			defer m.mu.Unlock()
			m.got[e.Values[2].Int]++
		}}); err != nil {
			t.Fatal(err)
		}
		if m.src, err = m.p.Attach(ctx, "alarms"); err != nil {
			t.Fatal(err)
		}
		ms[i] = m
	}
	var submitted atomic.Int64
	submit := func(m *member) {
		if _, err := m.src.Submit(ctx, egs.Event{Values: []dsv.Value{{}, {}, dsv.IntValue(submitted.Add(1))}}); err != nil {
			t.Error(err)
		}
	}
	for range rounds {
		var work sync.WaitGroup
		for _, m := range ms {
			work.Go(func() {
				for range each {
					submit(m)
					time.Sleep(time.Millisecond)
				}
			})
		}
		time.Sleep(each * time.Millisecond / 2)
		r.cut()
		work.Wait()
		for _, m := range ms {
			if err := m.p.Enter(ctx, "team"); err != nil { // it is back
				t.Fatal(err)
			}
		}
	}
	for _, m := range ms {
		for {
			if st := m.s.Stats(); st.Delivered+st.Lost == uint64(submitted.Load()) {
				break
			}
			if ctx.Err() != nil {
				t.Fatalf("of %d events %+v", submitted.Load(), m.s.Stats())
			}
			for _, m := range ms { // what is lost is known by what comes after it
				submit(m)
			}
			time.Sleep(50 * time.Millisecond)
		}
	}
	for i, m := range ms {
		m.mu.Lock()
		for n, times := range m.got {
			if times != 1 {
				t.Errorf("member %d got event %d %d times", i, n, times)
			}
		}
		m.mu.Unlock()
	}
}
