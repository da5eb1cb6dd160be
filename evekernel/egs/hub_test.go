package egs_test

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"github.com/eve-emulation/eve/dsv"
	"github.com/eve-emulation/eve/evekernel/egs"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// hub returns a hub whose clock stands at 1000 ns.
func hub(t *testing.T) *egs.Hub {
	h := egs.NewHub(egs.Config{Now: func() int64 { return 1000 }, Boot: "boot", Lead: 300})
	t.Cleanup(func() {
		if err := h.Close(); err != nil {
			t.Error(err)
		}
	})
	return h
}

// joined is how a join ended.
type joined struct {
	who   string
	start egs.Start
	err   error
}

// join joins in the background.
func join(h *egs.Hub, out chan<- joined, who string) {
	go func() {
		s, err := h.Member(who).Join(context.Background(), "start")
		out <- joined{who, s, err}
	}()
}

func TestBarrier(t *testing.T) {
	want := egs.Start{T0: 1300, Boot: "boot"}
	for _, c := range []struct {
		name  string
		steps string // + expects all, a b c join, ! waits until nothing moves any more and nobody was let through
	}{
		{"expected first", "+ab!c"},
		{"expected last", "abc!+"},
		{"expected between", "a+!bc"},
		{"one joins twice", "+aab!c"},
		{"a guest waits too", "+gab!c"},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				h := hub(t)
				out := make(chan joined, 10)
				n := 0
				for _, s := range c.steps {
					switch s {
					case '+':
						if err := h.Expect("start", "a", "b", "c"); err != nil {
							t.Fatal(err)
						}
					case '!':
						synctest.Wait()
						if len(out) > 0 {
							t.Fatalf("let through too early: %+v", <-out)
						}
						if _, ok := h.Started("start"); ok {
							t.Error("started too early")
						}
					default:
						n++
						join(h, out, string(s))
					}
				}
				for range n {
					if j := <-out; j.err != nil || j.start != want {
						t.Errorf("%s got %+v (error %v), want %+v", j.who, j.start, j.err, want)
					}
				}
				// Late, and again.
				for _, who := range []string{"late", "a"} {
					if s, err := h.Member(who).Join(t.Context(), "start"); err != nil || s != want {
						t.Errorf("%s got %+v (error %v), want %+v", who, s, err, want)
					}
				}
				if s, ok := h.Started("start"); !ok || s != want {
					t.Errorf("started %+v %v, want %+v", s, ok, want)
				}
				h.Gone("a", errors.New("too late to matter"))
				if s, err := h.Await(t.Context(), "start"); err != nil || s != want {
					t.Errorf("await got %+v (error %v), want %+v", s, err, want)
				}
			})
		})
	}
}

func TestBarrierFails(t *testing.T) {
	for _, c := range []struct {
		name string
		dead string
		do   func(h *egs.Hub)
	}{
		{"dies while others wait", "b", func(h *egs.Hub) { h.Gone("b", errors.New("exited with status 1")) }},
		{"dies after it joined", "a", func(h *egs.Hub) { h.Gone("a", errors.New("exited with status 1")) }},
		{"the kernel ends", "kernel", func(h *egs.Hub) { _ = h.Close() }},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				h := hub(t)
				if err := h.Expect("start", "a", "b"); err != nil {
					t.Fatal(err)
				}
				out := make(chan joined, 2)
				join(h, out, "a")
				synctest.Wait()
				c.do(h)
				j := <-out
				if !errors.Is(j.err, egs.ErrBarrier) || !strings.Contains(j.err.Error(), "join start: "+c.dead+": ") {
					t.Errorf("join: %v, want %v that names %s", j.err, egs.ErrBarrier, c.dead)
				}
			})
		})
	}
	t.Run("died before it was expected", func(t *testing.T) {
		h := hub(t)
		h.Gone("b", errors.New("gone"))
		if err := h.Expect("start", "a", "b"); err != nil {
			t.Fatal(err)
		}
		if _, err := h.Member("a").Join(t.Context(), "start"); !errors.Is(err, egs.ErrBarrier) {
			t.Errorf("join: %v, want %v", err, egs.ErrBarrier)
		}
		// It begins again, and the barrier anew.
		h.Back("b")
		if err := h.Expect("start", "b"); err != nil {
			t.Fatal(err)
		}
		if _, err := h.Member("b").Join(t.Context(), "start"); err != nil {
			t.Error(err)
		}
	})
	t.Run("others do not matter", func(t *testing.T) {
		h := hub(t)
		if err := h.Expect("start", "a"); err != nil {
			t.Fatal(err)
		}
		h.Gone("z", errors.New("gone"))
		if _, err := h.Member("a").Join(t.Context(), "start"); err != nil {
			t.Error(err)
		}
	})
	t.Run("given up", func(t *testing.T) {
		h := hub(t)
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if _, err := h.Member("a").Join(ctx, "start"); !errors.Is(err, context.Canceled) {
			t.Errorf("join: %v, want %v", err, context.Canceled)
		}
		if _, err := h.Member("a").Join(ctx, "Start"); !errors.Is(err, dsv.ErrName) {
			t.Errorf("join: %v, want %v", err, dsv.ErrName)
		}
	})
	t.Run("expected wrongly", func(t *testing.T) {
		h := hub(t)
		if err := h.Expect("start"); err == nil {
			t.Error("a barrier of nobody")
		}
		if err := h.Expect("start", "a"); err != nil {
			t.Fatal(err)
		}
		if err := h.Expect("start", "a", "b"); !errors.Is(err, dsv.ErrExists) {
			t.Errorf("expect again: %v, want %v", err, dsv.ErrExists)
		}
		if got := fmt.Sprint(h.Missing("start")); got != "[a]" {
			t.Errorf("missing are %s, want [a]", got)
		}
	})
}

// TestJoinGivenUp checks that the barrier waits for a member that gave its join up, unless another one of it waits.
func TestJoinGivenUp(t *testing.T) {
	for _, c := range []struct {
		name string
		also int // further joins of the member, which wait on
		want string
	}{{"alone", 0, "[a b]"}, {"another waits", 1, "[b]"}} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				h := hub(t)
				if err := h.Expect("start", "a", "b"); err != nil {
					t.Fatal(err)
				}
				out := make(chan joined, 3)
				for range c.also {
					join(h, out, "a")
				}
				ctx, cancel := context.WithCancel(t.Context())
				go func() {
					_, err := h.Member("a").Join(ctx, "start")
					out <- joined{"a", egs.Start{}, err}
				}()
				synctest.Wait()
				cancel()
				if e := <-out; !errors.Is(e.err, context.Canceled) {
					t.Errorf("the join given up: %v", e.err)
				}
				if got := fmt.Sprint(h.Missing("start")); got != c.want {
					t.Errorf("missing are %s, want %s", got, c.want)
				}
				join(h, out, "a")
				join(h, out, "b")
				for range 2 + c.also {
					if e := <-out; e.err != nil || e.start.T0 != 1300 {
						t.Errorf("joined by %+v", e)
					}
				}
			})
		})
	}
}

func TestGroups(t *testing.T) {
	h := hub(t)
	a, b := h.Member("a"), h.Member("b")
	members := func(want string) {
		t.Helper()
		ms, err := a.Members(t.Context(), "team")
		if got := fmt.Sprint(ms); err != nil || got != want {
			t.Errorf("members are %s (error %v), want %s", got, err, want)
		}
	}
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Error(err)
		}
	}
	members("[]")
	must(b.Enter(t.Context(), "team"))
	must(a.Enter(t.Context(), "team"))
	must(a.Enter(t.Context(), "team"))
	members("[a b]")
	must(a.Leave(t.Context(), "team"))
	must(a.Leave(t.Context(), "team"))
	members("[b]")
	h.Gone("b", errors.New("ended"))
	members("[]")
	if err := a.Enter(t.Context(), "no team"); !errors.Is(err, dsv.ErrName) {
		t.Errorf("enter: %v, want %v", err, dsv.ErrName)
	}
}

func TestChannels(t *testing.T) {
	h := hub(t)
	a, b := h.Member("a"), h.Member("b")
	ch := egs.Channel{Name: "alarms", Attrs: []egs.Attr{{Name: "level", Kind: dsv.Float}, {Name: "where", Kind: dsv.Text}}}
	if err := a.Open(t.Context(), ch); err != nil {
		t.Fatal(err)
	}
	if err := b.Open(t.Context(), ch); err != nil {
		t.Errorf("open again: %v", err)
	}
	for _, c := range []struct {
		attrs []dsv.Value
		want  error
	}{
		{nil, nil},
		{[]dsv.Value{dsv.FloatValue(1)}, nil},
		{[]dsv.Value{{}, dsv.TextValue("here")}, nil},
		{[]dsv.Value{dsv.FloatValue(1), dsv.TextValue("here")}, nil},
		{[]dsv.Value{dsv.IntValue(1)}, egs.ErrAttributes},
		{[]dsv.Value{dsv.FloatValue(math.NaN())}, egs.ErrAttributes},
		{[]dsv.Value{{}, dsv.TextValue("\xff")}, egs.ErrAttributes},
		{[]dsv.Value{{}, {}, dsv.FloatValue(1)}, egs.ErrAttributes},
	} {
		s, err := b.Subscribe(t.Context(), egs.SubscribeRequest{Channel: "alarms"})
		if err != nil {
			t.Fatal(err)
		}
		err = a.Publish(t.Context(), egs.Event{Channel: "alarms", From: "z", Values: c.attrs})
		if !errors.Is(err, c.want) {
			t.Errorf("publish %v: %v, want %v", c.attrs, err, c.want)
		}
		if c.want == nil {
			if e, err := s.Next(t.Context()); err != nil || e.From != "a" || !slices.EqualFunc(e.Values, c.attrs, dsv.Value.Equal) {
				t.Errorf("event is %+v (error %v), want %v from a", e, err, c.attrs)
			}
		}
		if err := errors.Join(s.Close(), s.Close()); err != nil {
			t.Error(err)
		}
		if _, err := s.Next(t.Context()); !errors.Is(err, dsv.ErrClosed) {
			t.Errorf("next after close: %v, want %v", err, dsv.ErrClosed)
		}
	}
	if err := a.Publish(t.Context(), egs.Event{Channel: "other"}); !errors.Is(err, dsv.ErrNotFound) {
		t.Errorf("publish: %v, want %v", err, dsv.ErrNotFound)
	}
	if _, err := a.Subscribe(t.Context(), egs.SubscribeRequest{Channel: "other"}); !errors.Is(err, dsv.ErrNotFound) {
		t.Errorf("subscribe: %v, want %v", err, dsv.ErrNotFound)
	}
	for _, bad := range []egs.Channel{
		{Name: "Bad"},
		{Name: "bad", Attrs: []egs.Attr{{Name: "x", Kind: dsv.Bytes}}},
		{Name: "bad", Attrs: []egs.Attr{{Name: "", Kind: dsv.Int}}},
		{Name: "bad", Attrs: []egs.Attr{{Name: "x", Kind: dsv.Int}, {Name: "x", Kind: dsv.Int}}},
		{Name: "alarms"},
	} {
		if err := a.Open(t.Context(), bad); err == nil {
			t.Errorf("opened %+v", bad)
		}
	}
}

// TestSlowSubscriber checks that a subscriber which does not read costs the publisher nothing and loses what does not
// fit, to the unit.
func TestSlowSubscriber(t *testing.T) {
	const published = 5000
	h := hub(t)
	a := h.Member("a")
	if err := a.Open(t.Context(), egs.Channel{Name: "c"}); err != nil {
		t.Fatal(err)
	}
	s, err := a.Subscribe(t.Context(), egs.SubscribeRequest{Channel: "c"})
	if err != nil {
		t.Fatal(err)
	}
	got, lost := 0, uint64(0)
	publish := func(n int) {
		for i := range n {
			if err := a.Publish(t.Context(), egs.Event{Channel: "c", At: dsv.Instant(i)}); err != nil {
				t.Fatal(err)
			}
		}
	}
	read := func(n int) {
		for range n {
			e, err := s.Next(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			got++
			lost += e.Lost
		}
	}
	publish(published)
	read(500)
	publish(1)
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	for {
		e, err := s.Next(ctx)
		if errors.Is(err, context.DeadlineExceeded) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		got++
		lost += e.Lost
	}
	if got+int(lost) != published+1 || lost == 0 || got < 500 {
		t.Errorf("got %d and lost %d, want %d together", got, lost, published+1)
	}
	waits := make(chan error, 1)
	go func() {
		_, err := s.Next(context.Background())
		waits <- err
	}()
	if err := h.Close(); err != nil {
		t.Fatal(err)
	}
	if err := <-waits; !errors.Is(err, dsv.ErrClosed) {
		t.Errorf("next when the hub closes: %v, want %v", err, dsv.ErrClosed)
	}
}

// TestWaitAfterClose checks that nobody waits for a barrier of a hub that is closed.
func TestWaitAfterClose(t *testing.T) {
	h := egs.NewHub(egs.Config{Now: func() int64 { return 1 }})
	if err := h.Close(); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	if _, err := h.Await(ctx, "late"); !errors.Is(err, dsv.ErrClosed) {
		t.Errorf("await: %v, want %v", err, dsv.ErrClosed)
	}
	if _, err := h.Member("one").Join(ctx, "later"); !errors.Is(err, dsv.ErrClosed) {
		t.Errorf("join: %v, want %v", err, dsv.ErrClosed)
	}
}
