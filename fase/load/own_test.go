package load_test

import (
	"bufio"
	"io"
	"net"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/eve-emulation/eve/dsv"
	"github.com/eve-emulation/eve/fase/load"
	"github.com/eve-emulation/eve/fase/service"
	"github.com/eve-emulation/eve/fase/step"
	"github.com/eve-emulation/eve/internal/mono"
)

// households are users who own their connections. Each asks so many times, with so many calls under way at once, and
// thinks between; its path tells who it is.
type households struct {
	users, rounds, at int
	think             time.Duration // between the turns of one user and the next
	leave             bool          // a user that has had all its answers leaves; the next comes then
	hook              func(left int)

	requests []service.Request
	agenda   []int // slots in the order of their next call
	due      dsv.Instant
	asked    []int // by slot
	left     []int // by user: answers to come
	all      int
	flying   int
	effects  []step.Effect
}

func newHouseholds(users, rounds, at int) *households {
	h := &households{users: users, rounds: rounds, at: at, asked: make([]int, users*at), all: users * at * rounds}
	for u := range users {
		h.requests = append(h.requests, service.Request{Service: -1, Path: "/" + strconv.Itoa(u)})
		h.left = append(h.left, at*rounds)
		for j := range at {
			h.agenda = append(h.agenda, u*at+j)
		}
	}
	return h
}

func (h *households) Next() dsv.Instant {
	if len(h.agenda) == 0 {
		return dsv.Never
	}
	return h.due
}

func (h *households) Advance(to dsv.Instant) {
	for n := len(h.agenda); n > 0 && h.due <= to; n-- {
		slot := h.agenda[0]
		copy(h.agenda, h.agenda[1:])
		h.agenda = h.agenda[:len(h.agenda)-1]
		h.asked[slot]++
		h.flying++
		h.effects = append(h.effects, step.Effect{At: to, Kind: step.Send, Ref: step.NewRef(uint32(slot), uint32(h.asked[slot]))})
		h.due = h.due.Add(h.think)
	}
}

func (h *households) Effects() []step.Effect {
	es := h.effects
	h.effects = h.effects[:0]
	return es
}

func (h *households) Owner(ref step.Ref) uint32 { return ref.Slot() / uint32(h.at) }
func (h *households) InFlight() int             { return h.flying }
func (h *households) Request(ref step.Ref) *service.Request {
	return &h.requests[h.Owner(ref)]
}
func (h *households) Sent(dsv.Instant, step.Ref)                {}
func (h *households) Changed(dsv.Instant, int, service.Mapping) {}

func (h *households) Answer(at dsv.Instant, ref step.Ref, a service.Answer) {
	h.flying--
	h.all--
	u := h.Owner(ref)
	h.left[u]--
	if h.hook != nil {
		h.hook(h.all)
	}
	switch {
	case a.Cause != service.OK:
	case h.asked[ref.Slot()] < h.rounds:
		h.agenda = append(h.agenda, int(ref.Slot()))
		h.due = max(h.due, at)
	case h.leave && h.left[u] == 0:
		h.effects = append(h.effects, step.Effect{At: at, Kind: step.Leave, N: int64(u)})
		if next := int(u) + 1; next < h.users {
			h.agenda, h.due = append(h.agenda, next), max(h.due, at)
		}
	}
}

// A book keeps what each connection was asked, by number of the connection, and when it ended.
type book struct {
	mu    sync.Mutex
	paths map[int][]string
	ended int // connections that the client closed
	most  int // open at once
	open  int
}

// keep serves pong and notes what it is asked.
func keep(t testing.TB) (*book, string) {
	b := &book{paths: map[int][]string{}}
	return b, serve(t, func(c *net.TCPConn, r *bufio.Reader, n int) {
		b.mu.Lock()
		b.paths[n] = nil
		b.open++
		b.most = max(b.most, b.open)
		b.mu.Unlock()
		defer func() {
			b.mu.Lock()
			defer b.mu.Unlock()
			b.open--
			b.ended++
		}()
		for {
			line, err := r.ReadString('\n')
			if err != nil || !request(r) {
				return
			}
			b.mu.Lock()
			b.paths[n] = append(b.paths[n], strings.Fields(line)[1])
			b.mu.Unlock()
			if _, err := io.WriteString(c, pong); err != nil {
				return
			}
		}
	})
}

// users counts the connections of each user, and fails when two users share one.
func (b *book) users(t *testing.T) map[string]int {
	t.Helper()
	b.mu.Lock()
	defer b.mu.Unlock()
	of := map[string]int{}
	for n, paths := range b.paths {
		for _, p := range paths {
			if p != paths[0] {
				t.Fatalf("connection %d is shared: %v", n, paths)
			}
		}
		if len(paths) > 0 {
			of[paths[0]]++
		}
	}
	return of
}

func TestOwnConnections(t *testing.T) {
	for _, tt := range []struct {
		name              string
		users, rounds, at int
		perConnection     int
		opened, each      int // connections in all and of each user
	}{
		{"one at a time", 20, 6, 1, 0, 20, 1},
		{"three at a time", 10, 6, 3, 0, 30, 3},
		{"five requests each", 10, 12, 1, 5, 30, 3},
		{"one request each", 4, 7, 1, 1, 28, 7},
	} {
		t.Run(tt.name, func(t *testing.T) {
			b, address := keep(t)
			h := newHouseholds(tt.users, tt.rounds, tt.at)
			s, err := open(t, start(load.Config{Groups: []load.Group{h}, Address: to(address), Own: true, Requests: tt.perConnection})).Run(t.Context())
			if err != nil || s.Answered != uint64(tt.users*tt.rounds*tt.at) || s.Opened != uint64(tt.opened) || s.Open != 0 {
				t.Fatalf("got %v, %d answers on %d connections, %d open; want %d on %d, none",
					err, s.Answered, s.Opened, s.Open, tt.users*tt.rounds*tt.at, tt.opened)
			}
			of := b.users(t)
			for u, n := range of {
				if n != tt.each {
					t.Errorf("user %s: got %d connections, want %d", u, n, tt.each)
				}
			}
			if len(of) != tt.users {
				t.Errorf("got %d users with connections, want %d", len(of), tt.users)
			}
		})
	}
}

// TestSharedReconnects has one user after the other ask on connections that carry five requests each.
func TestSharedReconnects(t *testing.T) {
	b, address := keep(t)
	c := &crowd{t: t, request: service.Request{Service: -1}, due: every(time.Millisecond, 23)}
	s := carry(t, start(load.Config{Groups: []load.Group{c}, Address: to(address), Requests: 5, Connections: 1}))
	if s.Opened != 5 {
		t.Errorf("got %d connections for 23 requests, want 5", s.Opened)
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	for n := range 5 {
		if got, want := len(b.paths[n]), min(5, 23-5*n); got != want {
			t.Errorf("connection %d: got %d requests, want %d", n, got, want)
		}
	}
}

// TestWhoLeavesHangsUp has users come one after the other, each when the one before has left. The server answers one only when
// the connection of the one before has ended.
func TestWhoLeavesHangsUp(t *testing.T) {
	const users = 30
	ended := make([]chan struct{}, users+1) // by connection, from 1 on
	for i := range ended {
		ended[i] = make(chan struct{})
	}
	close(ended[0])
	address := serve(t, func(c *net.TCPConn, r *bufio.Reader, n int) {
		if n++; n > users {
			return // the loop has opened too many, as it counts
		}
		defer close(ended[n])
		for request(r) {
			select {
			case <-ended[n-1]:
			case <-time.After(10 * time.Second):
				t.Errorf("connection %d is open when user %d comes", n-1, n)
			}
			if _, err := io.WriteString(c, pong); err != nil {
				return
			}
		}
	})
	h := newHouseholds(users, 1, 1)
	h.leave, h.agenda = true, []int{0}
	s, err := open(t, start(load.Config{Groups: []load.Group{h}, Address: to(address), Own: true})).Run(t.Context())
	if err != nil || s.Answered != users || s.Opened != users || s.Open != 0 {
		t.Fatalf("got %v, %d answers on %d connections, %d open; want %d on %[5]d, none", err, s.Answered, s.Opened, s.Open, users)
	}
}

// TestHeldConnections leaves connections idle beside those that are used; the server closes some.
func TestHeldConnections(t *testing.T) {
	if testing.Short() {
		t.Skip("waits for two seconds")
	}
	const held, closed, active = 200, 7, 3
	var mu sync.Mutex
	opened := 0
	address := serve(t, func(c *net.TCPConn, r *bufio.Reader, _ int) {
		mu.Lock()
		opened++
		mine := opened
		mu.Unlock()
		if mine <= closed {
			return
		}
		say(pong, 0)(c, r, mine)
	})
	// The active ones come when those that were closed have been opened again.
	c := &crowd{t: t, request: service.Request{Service: -1}}
	for i := range 2 * active {
		c.due = append(c.due, dsv.At(2*time.Second).Add(time.Duration(i/active)*100*time.Millisecond))
	}
	l := open(t, start(load.Config{Groups: []load.Group{c}, Address: to(address), Hold: []int{held}, Connections: active}))
	s, err := l.Run(t.Context())
	if err != nil || s.Answered != 2*active || s.Opened < held+closed+1 || s.Open != 0 {
		t.Fatalf("got %v, %d answers, %d opened, %d open; want %d, %d or more, none", err, s.Answered, s.Opened, s.Open, 2*active, held+closed+1)
	}
	if s.HeldLost != closed {
		t.Errorf("got %d lost, want %d", s.HeldLost, closed)
	}
}

func TestOwnersDoNotAllocate(t *testing.T) {
	const users, warm, counted = 50, 40, 200
	var before, after runtime.MemStats
	h := newHouseholds(users, warm+counted, 1)
	h.hook = func(left int) {
		switch left {
		case users * counted:
			runtime.ReadMemStats(&before)
		case 0:
			runtime.ReadMemStats(&after)
		}
	}
	l := open(t, start(load.Config{Groups: []load.Group{h}, Address: to(echo(t)), Own: true}))
	if s, err := l.Run(t.Context()); err != nil || s.Opened != users {
		t.Fatalf("got %v, %d connections, want %d", err, s.Opened, users)
	}
	if got := after.Mallocs - before.Mallocs; got > users*counted/100 {
		t.Errorf("allocations: got %d in %d requests, want none", got, users*counted)
	}
}

// TestOwnSettings refuses what does not fit together.
func TestOwnSettings(t *testing.T) {
	c := &crowd{t: t}
	for _, cfg := range []load.Config{
		{Groups: []load.Group{c}, Address: to(""), Own: true},
		{Groups: []load.Group{newHouseholds(1, 1, 1)}, Address: to(""), Own: true, Connections: 3},
		{Groups: []load.Group{newHouseholds(1, 1, 1), newHouseholds(1, 1, 1)}, Address: to(""), Own: true}, // whose numbers are the same
		{Groups: []load.Group{c}, Address: to(""), Requests: -1},
	} {
		if _, err := load.New(cfg); err == nil {
			t.Errorf("%+v: accepted", cfg)
		}
	}
}

// BenchmarkIdleOwners reports the memory of this process for a user who keeps an idle connection, the kernel's apart.
func BenchmarkIdleOwners(b *testing.B) {
	const users = 4000
	for b.Loop() {
		h := newHouseholds(users, 1, 1)
		h.think = 50 * time.Microsecond
		var before, after runtime.MemStats
		l := open(b, load.Config{T0: mono.Now(), Groups: []load.Group{h}, Address: to(reactor(b)), Own: true})
		runtime.GC()
		runtime.ReadMemStats(&before)
		h.hook = func(left int) {
			if left == 0 {
				runtime.GC()
				runtime.ReadMemStats(&after)
			}
		}
		if s, err := l.Run(b.Context()); err != nil || s.Opened != users {
			b.Fatalf("got %v, %d connections, want %d", err, s.Opened, users)
		}
		b.ReportMetric(float64(int64(after.HeapAlloc)-int64(before.HeapAlloc))/users, "B/user+server")
	}
}
