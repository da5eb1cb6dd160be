package modules_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/eve-emulation/eve/dsv"
	"github.com/eve-emulation/eve/evekernel"
	"github.com/eve-emulation/eve/evekernel/egs"
	"github.com/eve-emulation/eve/evekernel/wire"
	"github.com/eve-emulation/eve/modules"
)

// alarms is a channel for tests.
func alarms() egs.Channel {
	return egs.Channel{
		Name: "alarms", Help: "Too hot.", Priority: 1,
		Attrs: []egs.Attr{{Name: "level", Kind: dsv.Float, Unit: "1"}, {Name: "where", Kind: dsv.Text}, {Name: "n", Kind: dsv.Int}},
	}
}

// opened returns a kernel with the channel alarms.
func opened(t *testing.T) (*evekernel.Kernel, *recorder) {
	t.Helper()
	k, r := open(t, evekernel.Config{})
	if err := k.Hub().Open(alarms()); err != nil {
		t.Fatal(err)
	}
	return k, r
}

// participants are members of every kind: beside each other, they reach each other by links, through the kernel, and inside
// it.
func participants(t *testing.T, k *evekernel.Kernel) map[string]egs.Service {
	t.Helper()
	ps := map[string]egs.Service{"inside": k.Hub().Member("inside"), "inside_too": k.Hub().Member("inside_too")}
	for _, name := range []string{"direct", "direct_too", "relayed", "text"} {
		l := linkTo(k, wire.CBOR)
		l.Name = name
		switch name {
		case "relayed":
			l.NoLinks = true
		case "text":
			l.Coding = wire.JSON
		}
		ps[name] = connect(t, l)
	}
	return ps
}

// within returns a context that ends the test's patience.
func within(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	t.Cleanup(cancel)
	return ctx
}

func names(ps map[string]egs.Service) []string {
	ns := make([]string, 0, len(ps))
	for n := range ps {
		ns = append(ns, n)
	}
	slices.Sort(ns)
	return ns
}

// alone waits until a source knows that all sinks but one have left, which nobody waits for otherwise.
func alone(ctx context.Context, t *testing.T, src egs.Source) {
	t.Helper()
	for len(src.Sinks()) != 1 {
		select {
		case <-ctx.Done():
			t.Fatalf("sinks are %+v, want one", src.Sinks())
		case <-time.After(time.Millisecond):
		}
	}
}

// TestEveryPath submits from every kind of participant to every kind, and lets them answer.
func TestEveryPath(t *testing.T) {
	k, _ := opened(t)
	ps := participants(t, k)
	ctx := within(t)
	for _, from := range names(ps) {
		for _, to := range names(ps) {
			t.Run(from+" to "+to, func(t *testing.T) {
				s, err := ps[to].Subscribe(ctx, egs.SubscribeRequest{Channel: "alarms"})
				if err != nil {
					t.Fatal(err)
				}
				defer func() { _ = s.Close() }()
				src, err := ps[from].Attach(ctx, "alarms")
				if err != nil {
					t.Fatal(err)
				}
				defer func() { _ = src.Close() }()
				alone(ctx, t, src)
				e := egs.Event{At: 1 << 60, Values: []dsv.Value{dsv.FloatValue(0.5), {}, dsv.IntValue(-7)}, Data: []byte{0, 255}}
				q, err := src.Ask(ctx, e)
				if err != nil {
					t.Fatal(err)
				}
				defer q.Close()
				got, err := s.Next(ctx)
				if err != nil {
					t.Fatal(err)
				}
				if got.From != from || got.At != e.At || got.Priority != 1 || string(got.Data) != "\x00\xff" || len(got.Values) != 3 ||
					got.Values[0].Float != 0.5 || got.Values[1].Kind != 0 || got.Values[2].Int != -7 || got.Lost != 0 {
					t.Errorf("event is %+v, want %+v from %s", got, e, from)
				}
				if err := s.Answer(ctx, got, egs.Event{Values: []dsv.Value{{}, dsv.TextValue("here")}}); err != nil {
					t.Fatal(err)
				}
				a, err := q.First(ctx)
				if err != nil || a.From != to || a.Re != q.ID() || len(a.Values) < 2 || a.Values[1].Text != "here" {
					t.Errorf("answer is %+v (error %v), want here from %s", a, err, to)
				}
				if q.Asked() != 1 {
					t.Errorf("asked %d, want 1", q.Asked())
				}
			})
		}
	}
}

// TestFirstAnswerWins checks that one of several answers wins and that the others are counted.
func TestFirstAnswerWins(t *testing.T) {
	k, _ := opened(t)
	ps := participants(t, k)
	ctx := within(t)
	var answered sync.WaitGroup
	for _, n := range names(ps) {
		var s egs.Subscription
		ready := make(chan struct{})
		answered.Add(1)
		s, err := ps[n].Subscribe(ctx, egs.SubscribeRequest{Channel: "alarms", Handler: func(e egs.Event) {
			<-ready
			defer answered.Done()
			if err := s.Answer(ctx, e, egs.Event{Values: []dsv.Value{{}, dsv.TextValue(n)}}); err != nil {
				t.Errorf("%s answers: %v", n, err)
			}
		}})
		close(ready)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = s.Close() }()
	}
	src, err := ps["direct"].Attach(ctx, "alarms")
	if err != nil {
		t.Fatal(err)
	}
	q, err := src.Ask(ctx, egs.Event{})
	if err != nil {
		t.Fatal(err)
	}
	if q.Asked() != len(ps) {
		t.Errorf("asked %d, want %d", q.Asked(), len(ps))
	}
	if _, err := q.First(ctx); err != nil {
		t.Fatal(err)
	}
	if _, err := q.Next(ctx); !errors.Is(err, dsv.ErrClosed) {
		t.Errorf("next after the first: %v, want %v", err, dsv.ErrClosed)
	}
	answered.Wait()
	for late := time.Now().Add(patience); src.Stats().Late != uint64(len(ps)-1); time.Sleep(time.Millisecond) {
		if time.Now().After(late) {
			t.Fatalf("%d answers were late, want %d", src.Stats().Late, len(ps)-1)
		}
	}
	src.SetOut(egs.FilterFunc(func(*egs.Event, *egs.Sink) bool { return false }))
	q, err = src.Ask(ctx, egs.Event{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := q.First(ctx); !errors.Is(err, egs.ErrNobody) {
		t.Errorf("an answer of nobody: %v, want %v", err, egs.ErrNobody)
	}
}

// TestFilters installs and replaces filters on both sides, on every path.
func TestFilters(t *testing.T) {
	k, r := opened(t)
	ps := participants(t, k)
	ctx := within(t)
	for _, from := range names(ps) {
		for _, to := range names(ps) {
			t.Run(from+" to "+to, func(t *testing.T) { filters(ctx, t, ps[from], ps[to], to, r) })
		}
	}
}

func filters(ctx context.Context, t *testing.T, from, to egs.Service, name string, r *recorder) {
	got := make(chan int64, 16)
	s, err := to.Subscribe(ctx, egs.SubscribeRequest{
		Channel: "alarms", Out: egs.FilterSpec{Expr: "level > 0.8 and sink.load < 50% and size < 10B and priority >= 1"},
		Facts:   map[string]dsv.Value{"load": dsv.FloatValue(0.9)},
		Handler: func(e egs.Event) { got <- e.Values[2].Int },
	})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = s.Close() }()
	src, err := from.Attach(ctx, "alarms")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = src.Close() }()
	alone(ctx, t, src)
	submit := func(level float64, n int64, want int) {
		t.Helper()
		d, err := src.Submit(ctx, egs.Event{Values: []dsv.Value{dsv.FloatValue(level), {}, dsv.IntValue(n)}})
		if err != nil || d != want {
			t.Errorf("event %d went to %d (error %v), want %d", n, d, err, want)
		}
	}
	check := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	submit(0.9, 1, 0) // the sink's load is too high
	check(s.Describe(ctx, map[string]dsv.Value{"load": dsv.FloatValue(0.4)}))
	if f := src.Sinks()[0].Facts["load"].Float; f != 0.4 {
		t.Errorf("the source knows a load of %v, want 0.4", f)
	}
	submit(0.9, 2, 1)
	submit(0.7, 3, 0)
	check(s.SetOut(ctx, egs.FilterSpec{Expr: `n != 5 and sink.load > 10%`}))
	submit(0.7, 4, 1)
	submit(0.7, 5, 0)
	check(s.SetOut(ctx, egs.FilterSpec{}))
	submit(0.7, 6, 1)
	if err := s.SetOut(ctx, egs.FilterSpec{Expr: "depth > 3"}); !errors.Is(err, egs.ErrFilter) {
		t.Errorf("a filter of what there is not: %v, want %v", err, egs.ErrFilter)
	}
	src.SetOut(egs.FilterFunc(func(e *egs.Event, sink *egs.Sink) bool { return sink.Member == name && e.Values[2].Int != 7 }))
	submit(0, 7, 0)
	submit(0, 8, 1)
	src.SetOut(nil)
	for _, want := range []int64{2, 4, 6, 8} {
		select {
		case n := <-got:
			if n != want {
				t.Errorf("got event %d, want %d", n, want)
			}
		case <-ctx.Done():
			t.Fatalf("event %d did not come", want)
		}
	}
	s.SetIn(egs.FilterFunc(func(e *egs.Event, _ *egs.Sink) bool { return e.Values[2].Int != 9 }))
	submit(0, 9, 1)
	submit(0, 10, 1)
	if n := <-got; n != 10 {
		t.Errorf("got event %d, want 10", n)
	}
	if st := s.Stats(); st.Filtered != 1 || st.Delivered != 5 {
		t.Errorf("sink counts %+v, want 5 delivered, 1 filtered", st)
	}
	s.SetIn(egs.FilterFunc(func(*egs.Event, *egs.Sink) bool { panic("out of order") }))
	submit(0, 11, 1)
	submit(0, 12, 1)
	if a, b := <-got, <-got; a != 11 || b != 12 {
		t.Errorf("after a fault got %d and %d, want 11 and 12", a, b)
	}
	for late := time.Now().Add(patience); !strings.Contains(r.log(), "alarms: IN filter of "+name); time.Sleep(time.Millisecond) {
		if time.Now().After(late) {
			t.Fatalf("the log does not name the filter:\n%s", r.log())
		}
	}
}

// A churner is one sink of TestMembership's model.
type churner struct {
	s        egs.Subscription
	from, to int64         // events that it has to get: those submitted within
	got      map[int64]int // how often, by number and source
	lost     uint64
	closed   atomic.Bool
	mu       sync.Mutex
}

// await waits until the sink has got, or lost, what was submitted before event n.
func (c *churner) await(ctx context.Context, t *testing.T, n int64) {
	t.Helper()
	for {
		c.mu.Lock()
		have := c.s.Stats().Lost
		for m := range c.got {
			if m < n {
				have++
			}
		}
		c.mu.Unlock()
		if have >= uint64(n-c.from) {
			return
		}
		select {
		case <-ctx.Done():
			t.Fatalf("a sink has %d of %d events, counts %+v", have, n-c.from, c.s.Stats())
		case <-time.After(time.Millisecond):
		}
	}
}

// TestMembership lets sinks of every kind come and go while sources of every kind submit, and holds what they got to a
// model: a sink that was there from before an event's submission until it had everything got it once, or counted it lost.
func TestMembership(t *testing.T) {
	const rounds, each = 40, 25
	k, _ := opened(t)
	ps := participants(t, k)
	ns := names(ps)
	ctx := within(t)
	rnd := rand.New(rand.NewPCG(1, 2))
	var sources []egs.Source
	for _, n := range ns {
		s, err := ps[n].Attach(ctx, "alarms")
		if err != nil {
			t.Fatal(err)
		}
		sources = append(sources, s)
	}
	var sinks []*churner
	next := int64(0)
	join := func() {
		c := &churner{got: map[int64]int{}, from: next}
		s, err := ps[ns[rnd.IntN(len(ns))]].Subscribe(ctx, egs.SubscribeRequest{Channel: "alarms", Handler: func(e egs.Event) {
			c.mu.Lock()
			defer c.mu.Unlock()
			if c.closed.Load() {
				t.Errorf("event %d after close", e.Values[2].Int)
			}
			c.got[e.Values[2].Int]++
			c.lost += e.Lost
		}})
		if err != nil {
			t.Fatal(err)
		}
		c.s = s
		sinks = append(sinks, c)
	}
	var gone []*churner
	for round := range rounds {
		for range 1 + rnd.IntN(3) {
			join()
		}
		var work sync.WaitGroup
		for i, s := range sources {
			work.Go(func() {
				for j := range each {
					n := next + int64(i*each+j)
					e := egs.Event{Priority: 1 + j%3, Values: []dsv.Value{{}, {}, dsv.IntValue(n)}}
					if _, err := s.Submit(ctx, e); err != nil {
						t.Errorf("round %d: %v", round, err)
					}
				}
			})
		}
		for len(sinks) > 8 { // some leave in the middle of it
			i := rnd.IntN(len(sinks))
			c := sinks[i]
			sinks = slices.Delete(sinks, i, i+1)
			c.await(ctx, t, next)
			if err := c.s.Close(); err != nil {
				t.Error(err)
			}
			c.closed.Store(true)
			c.to = next
			gone = append(gone, c)
		}
		work.Wait()
		next += int64(len(sources) * each)
	}
	for _, c := range sinks {
		c.to = next
		want := uint64(c.to - c.from)
		for {
			if st := c.s.Stats(); st.Delivered+st.Lost >= want {
				break
			}
			select {
			case <-ctx.Done():
				t.Fatalf("a sink counts %+v, want %d together", c.s.Stats(), want)
			case <-time.After(time.Millisecond):
			}
		}
		st := c.s.Stats()
		c.mu.Lock()
		if uint64(len(c.got)) != st.Delivered || st.Delivered+st.Lost != want {
			t.Errorf("got %d different events, counts %+v, want %d together", len(c.got), st, want)
		}
		if c.lost > st.Lost {
			t.Errorf("events tell of %d lost, counted %d", c.lost, st.Lost)
		}
		c.mu.Unlock()
		if err := c.s.Close(); err != nil {
			t.Error(err)
		}
	}
	for i, c := range slices.Concat(sinks, gone) {
		c.mu.Lock()
		for n, times := range c.got {
			if times != 1 || n < c.from {
				t.Errorf("sink %d: event %d came %d times; it joined at %d", i, n, times, c.from)
			}
		}
		if lost := c.s.Stats().Lost; lost == 0 {
			for n := c.from; n < c.to; n++ {
				if c.got[n] == 0 {
					t.Fatalf("sink %d: event %d did not come, none is lost", i, n)
				}
			}
		}
		c.mu.Unlock()
	}
}

// TestLinksOutliveTheKernel checks that events travel on links while the connection to the kernel is lost, and that
// nothing comes twice or goes uncounted when it is back.
func TestLinksOutliveTheKernel(t *testing.T) {
	k, _ := opened(t)
	r := newRelay(t, k.Addr().String())
	ctx := within(t)
	member := func(name string) *modules.Proxy {
		l := linkTo(k, wire.CBOR)
		l.Name, l.Dial = name, r.dial
		return connect(t, l)
	}
	a, b := member("a"), member("b")
	s, err := b.Subscribe(ctx, egs.SubscribeRequest{Channel: "alarms"})
	if err != nil {
		t.Fatal(err)
	}
	src, err := a.Attach(ctx, "alarms")
	if err != nil {
		t.Fatal(err)
	}
	for i := range 6 {
		if i%2 == 1 {
			r.cut()
		}
		if n, err := src.Submit(ctx, egs.Event{Values: []dsv.Value{{}, {}, dsv.IntValue(int64(i))}}); err != nil || n != 1 {
			t.Fatalf("event %d went to %d (error %v), want 1", i, n, err)
		}
		e, err := s.Next(ctx)
		if err != nil || e.Values[2].Int != int64(i) || e.Lost != 0 {
			t.Fatalf("got %+v (error %v), want event %d", e, err, i)
		}
		if i%2 == 1 {
			if _, err := a.Members(ctx, "team"); err != nil { // it is back
				t.Fatal(err)
			}
		}
	}
	if err := s.SetOut(ctx, egs.FilterSpec{Expr: "n == 8"}); err != nil {
		t.Fatal(err)
	}
	for i := 7; i < 9; i++ {
		if _, err := src.Submit(ctx, egs.Event{Values: []dsv.Value{{}, {}, dsv.IntValue(int64(i))}}); err != nil {
			t.Fatal(err)
		}
	}
	if e, err := s.Next(ctx); err != nil || e.Values[2].Int != 8 {
		t.Errorf("got %+v (error %v), want event 8", e, err)
	}
	if st := s.Stats(); st.Lost != 0 || st.Late != 0 || st.Delivered != 7 {
		t.Errorf("counts %+v, want 7 delivered", st)
	}
}

// TestLossAcrossTheKernel checks that what a sink behind the kernel misses while its connection is lost comes later, or is
// counted.
func TestLossAcrossTheKernel(t *testing.T) {
	const events = 3000 // more than wait for it
	k, _ := opened(t)
	r := newRelay(t, k.Addr().String())
	ctx := within(t)
	l := linkTo(k, wire.CBOR)
	l.Name, l.NoLinks, l.Dial = "b", true, r.dial
	b := connect(t, l)
	s, err := b.Subscribe(ctx, egs.SubscribeRequest{Channel: "alarms"})
	if err != nil {
		t.Fatal(err)
	}
	src, err := k.Hub().Member("a").Attach(ctx, "alarms")
	if err != nil {
		t.Fatal(err)
	}
	got, lost := 0, uint64(0)
	take := func() int64 {
		t.Helper()
		e, err := s.Next(ctx)
		if err != nil {
			t.Fatal(err)
		}
		got++
		lost += e.Lost
		return e.Values[2].Int
	}
	for i := range events {
		if i == 10 {
			r.cut()
		}
		if _, err := src.Submit(ctx, egs.Event{Values: []dsv.Value{{}, {}, dsv.IntValue(int64(i))}}); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := b.Members(ctx, "team"); err != nil {
		t.Fatal(err)
	}
	for lastOne := false; !lastOne; {
		if _, err := src.Submit(ctx, egs.Event{Values: []dsv.Value{{}, {}, dsv.IntValue(events)}}); err != nil {
			t.Fatal(err)
		}
		lastOne = take() == events
	}
	for st := src.Stats(); got+int(lost) < int(st.Submitted); {
		take()
	}
	if st := src.Stats(); got+int(lost) != int(st.Submitted) || s.Stats().Lost != lost {
		t.Errorf("got %d and lost %d (counted %d), want %d together", got, lost, s.Stats().Lost, st.Submitted)
	}
}

// TestDeadPeer checks that a process which ends without a word does not keep the others from their events.
func TestDeadPeer(t *testing.T) {
	k, _ := opened(t)
	ctx := within(t)
	proxy := func(name string) (*modules.Proxy, context.CancelFunc) {
		l := linkTo(k, wire.CBOR)
		l.Name = name
		p := modules.NewProxy(l, nil)
		run, cancel := context.WithCancel(context.Background())
		done := make(chan struct{})
		go func() { defer close(done); _ = p.Run(run) }()
		t.Cleanup(func() { cancel(); <-done })
		return p, func() { cancel(); <-done }
	}
	a, _ := proxy("a")
	var sinks []egs.Subscription
	var kill context.CancelFunc
	for i := range 3 {
		p, end := proxy(fmt.Sprintf("b%d", i))
		s, err := p.Subscribe(ctx, egs.SubscribeRequest{Channel: "alarms"})
		if err != nil {
			t.Fatal(err)
		}
		sinks = append(sinks, s)
		kill = end
	}
	src, err := a.Attach(ctx, "alarms")
	if err != nil {
		t.Fatal(err)
	}
	const events = 200
	for i := range events {
		if i == events/2 {
			kill()
		}
		if _, err := src.Submit(ctx, egs.Event{Values: []dsv.Value{{}, {}, dsv.IntValue(int64(i))}}); err != nil {
			t.Fatal(err)
		}
	}
	for _, s := range sinks[:2] {
		for i := range events {
			if e, err := s.Next(ctx); err != nil || e.Values[2].Int != int64(i) {
				t.Fatalf("got %+v (error %v), want event %d", e, err, i)
			}
		}
	}
}

// TestHandlersUseTheirService checks that a handler may ask the kernel for something, on every path but those where it is
// the kernel itself that waits.
func TestHandlersUseTheirService(t *testing.T) {
	k, _ := opened(t)
	ps := participants(t, k)
	ctx := within(t)
	for _, to := range []string{"direct", "relayed", "text"} {
		for _, from := range []string{"direct_too", "inside"} {
			done := make(chan error, 1)
			s, err := ps[to].Subscribe(ctx, egs.SubscribeRequest{Channel: "alarms", Handler: func(egs.Event) {
				_, err := ps[to].Members(ctx, "team")
				done <- err
			}})
			if err != nil {
				t.Fatal(err)
			}
			if err := ps[from].Publish(ctx, egs.Event{Channel: "alarms"}); err != nil {
				t.Fatal(err)
			}
			select {
			case err := <-done:
				if err != nil {
					t.Errorf("%s to %s: %v", from, to, err)
				}
			case <-ctx.Done():
				t.Fatalf("%s to %s: the handler waits for ever", from, to)
			}
			if err := s.Close(); err != nil {
				t.Error(err)
			}
		}
	}
}

// TestChannelsOutliveTheKernel checks that members of a channel go on with a kernel that begins again and knows nothing of
// them, on links and through it, and that nothing is lost or comes twice.
func TestChannelsOutliveTheKernel(t *testing.T) {
	ctx := within(t)
	one, err := evekernel.New(evekernel.Config{})
	if err != nil {
		t.Fatal(err)
	}
	if err := one.Listen(); err != nil {
		t.Fatal(err)
	}
	running, crash := context.WithCancel(ctx)
	ran := make(chan error, 1)
	go func() { ran <- one.Run(running) }()
	if err := one.Hub().Open(alarms()); err != nil {
		t.Fatal(err)
	}
	r := newRelay(t, one.Addr().String())
	member := func(name string) *modules.Proxy {
		l := linkTo(one, wire.CBOR)
		l.Name, l.Dial, l.NoLinks = name, r.dial, name == "relayed"
		return connect(t, l)
	}
	ps := []*modules.Proxy{member("source"), member("direct"), member("relayed")}
	var sinks []egs.Subscription
	for _, p := range ps[1:] {
		s, err := p.Subscribe(ctx, egs.SubscribeRequest{Channel: "alarms"})
		if err != nil {
			t.Fatal(err)
		}
		sinks = append(sinks, s)
	}
	src, err := ps[0].Attach(ctx, "alarms")
	if err != nil {
		t.Fatal(err)
	}
	submit := func(n int64, to ...egs.Subscription) {
		t.Helper()
		if _, err := src.Submit(ctx, egs.Event{Values: []dsv.Value{{}, {}, dsv.IntValue(n)}}); err != nil {
			t.Fatal(err)
		}
		for _, s := range to {
			if e, err := s.Next(ctx); err != nil || e.Values[2].Int != n {
				t.Fatalf("got %+v (error %v), want event %d", e, err, n)
			}
		}
	}
	submit(1, sinks...)
	r.stop()
	crash()
	if err := <-ran; err != nil {
		t.Fatal(err)
	}
	if err := one.Close(); err != nil {
		t.Fatal(err)
	}
	submit(2, sinks[0]) // the link goes on; what goes through the kernel is lost
	two, _ := open(t, evekernel.Config{Token: one.Token()})
	r.resume(two.Addr().String())
	for _, p := range ps {
		if _, err := p.Members(ctx, "team"); err != nil { // it is back
			t.Fatal(err)
		}
	}
	late, err := two.Hub().Member("late").Subscribe(ctx, egs.SubscribeRequest{Channel: "alarms"})
	if err != nil {
		t.Fatal(err)
	}
	for len(src.Sinks()) != 3 {
		select {
		case <-ctx.Done():
			t.Fatalf("sinks are %+v, want three", src.Sinks())
		case <-time.After(time.Millisecond):
		}
	}
	submit(3, append(sinks, late)...)
	for i, want := range []uint64{0, 1} {
		if st := sinks[i].Stats(); st.Lost != want || st.Late != 0 {
			t.Errorf("sink %d counts %+v, want %d lost", i, st, want)
		}
	}
}
