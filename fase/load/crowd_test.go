package load_test

import (
	"context"
	"fmt"
	"os"
	"testing"
	"time"

	"github.com/eve-emulation/eve/dsv"
	"github.com/eve-emulation/eve/fase/load"
	"github.com/eve-emulation/eve/fase/service"
	"github.com/eve-emulation/eve/fase/step"
	"github.com/eve-emulation/eve/internal/mono"
)

// A sample is what a crowd saw of one request.
type sample struct {
	due, sent, first, done dsv.Instant
	connects               []time.Duration
	answer                 service.Answer // without First
	ended                  bool
}

// A crowd is a group made by hand: requests are due at fixed instants, and each answer may make another one due at
// once, until limit requests were issued.
type crowd struct {
	t        testing.TB
	request  service.Request
	node     int32
	due      []dsv.Instant // ascending
	again    bool          // every end makes another request due
	limit    int           // of requests issued
	patience time.Duration
	onEnd    func(c *crowd, n int) // sample n has ended

	samples []sample
	active  []int // by slot: number of its sample, -1 when free
	gens    []uint32
	free    []uint32
	effects []step.Effect
	last    dsv.Instant
	changed []uint32
}

// burst makes n requests due at T0.
func burst(n int) []dsv.Instant { return make([]dsv.Instant, n) }

func every(d time.Duration, n int) []dsv.Instant {
	due := make([]dsv.Instant, n)
	for i := range due {
		due[i] = dsv.At(time.Duration(i) * d)
	}
	return due
}

func (c *crowd) Next() dsv.Instant {
	next := dsv.Never
	if len(c.due) > 0 {
		next = c.due[0]
	}
	if c.patience > 0 {
		for _, n := range c.active {
			if n >= 0 {
				next = min(next, c.samples[n].due.Add(c.patience))
			}
		}
	}
	return next
}

func (c *crowd) Advance(to dsv.Instant) {
	c.at(to)
	for len(c.due) > 0 && c.due[0] <= to {
		c.issue(c.due[0])
		c.due = c.due[1:]
	}
	for slot, n := range c.active {
		if c.patience > 0 && n >= 0 && c.samples[n].due.Add(c.patience) <= to {
			c.effects = append(c.effects, step.Effect{At: to, Kind: step.Abandon, Ref: step.NewRef(uint32(slot), c.gens[slot])})
			c.end(to, slot, service.Answer{Cause: service.Abandoned})
		}
	}
}

func (c *crowd) issue(due dsv.Instant) {
	if len(c.free) == 0 {
		c.free = append(c.free, uint32(len(c.active)))
		c.active = append(c.active, -1)
		c.gens = append(c.gens, 0)
	}
	slot := c.free[len(c.free)-1]
	c.free = c.free[:len(c.free)-1]
	c.gens[slot]++
	c.active[slot] = len(c.samples)
	c.samples = append(c.samples, sample{due: due})
	c.effects = append(c.effects, step.Effect{At: due, Kind: step.Send, Node: c.node, Ref: step.NewRef(slot, c.gens[slot])})
}

func (c *crowd) Effects() []step.Effect {
	es := c.effects
	c.effects = c.effects[:0]
	return es
}

func (c *crowd) InFlight() int { return len(c.active) - len(c.free) }

func (c *crowd) Request(step.Ref) *service.Request { return &c.request }

func (c *crowd) find(ref step.Ref) int {
	if c.gens[ref.Slot()] != ref.Gen() {
		return -1
	}
	return c.active[ref.Slot()]
}

func (c *crowd) Sent(at dsv.Instant, ref step.Ref) {
	c.at(at)
	if n := c.find(ref); n >= 0 {
		if s := &c.samples[n]; s.sent != 0 || at < s.due {
			c.t.Errorf("sent request %d at %d: got sent %d before, due %d", n, at, s.sent, s.due)
		}
		c.samples[n].sent = at
	}
}

func (c *crowd) Answer(at dsv.Instant, ref step.Ref, a service.Answer) {
	c.at(at)
	n := c.find(ref)
	if n < 0 {
		c.t.Errorf("answer to a call that is over: %+v", a)
		return
	}
	if f := a.First; f != 0 && (f < c.samples[n].sent || f > at) {
		c.t.Errorf("first byte of request %d at %d: sent at %d, done at %d", n, f, c.samples[n].sent, at)
	}
	c.samples[n].first, a.First = a.First, 0
	c.end(at, int(ref.Slot()), a)
}

func (c *crowd) Connected(at dsv.Instant, ref step.Ref, took time.Duration) {
	c.at(at)
	if n := c.find(ref); n >= 0 {
		c.samples[n].connects = append(c.samples[n].connects, took)
	}
}

func (c *crowd) end(at dsv.Instant, slot int, a service.Answer) {
	n := c.active[slot]
	c.active[slot] = -1
	c.free = append(c.free, uint32(slot))
	s := &c.samples[n]
	s.done, s.answer, s.ended = at, a, true
	if c.again && len(c.samples) < c.limit {
		c.issue(at)
	}
	if c.onEnd != nil {
		c.onEnd(c, n)
	}
}

func (c *crowd) Changed(at dsv.Instant, _ int, m service.Mapping) {
	c.at(at)
	c.changed = append(c.changed, m.Epoch)
}

// at checks that instants never fall.
func (c *crowd) at(t dsv.Instant) {
	if t < c.last && t < 0 {
		return
	}
	if t < c.last {
		c.t.Errorf("instants fell from %d to %d", c.last, t)
	}
	c.last = t
}

// causes counts the samples by what became of them.
func (c *crowd) causes() map[service.Cause]int {
	m := map[service.Cause]int{}
	for _, s := range c.samples {
		if s.ended {
			m[s.answer.Cause]++
		}
	}
	return m
}

// to is a resolver for one server.
func to(address string) func(int) string { return func(int) string { return address } }

// carry runs groups against one address and checks the accounts.
func carry(t testing.TB, cfg load.Config) load.Stats {
	t.Helper()
	l := open(t, cfg)
	s, err := l.Run(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	audit(t, cfg, s)
	return s
}

func open(t testing.TB, cfg load.Config) *load.Loop {
	t.Helper()
	cfg.Readiness = cfg.Readiness || os.Getenv(onReadiness) != ""
	l, err := load.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// audit compares a loop's accounts with those of its crowds.
func audit(t testing.TB, cfg load.Config, s load.Stats) {
	t.Helper()
	if !s.Balanced() || s.InFlight != 0 || s.Open != 0 {
		t.Errorf("accounts do not balance: %+v", s)
	}
	want := map[service.Cause]int{}
	issued := 0
	for _, g := range cfg.Groups {
		c := g.(*crowd)
		issued += len(c.samples)
		for cause, n := range c.causes() {
			want[cause] += n
		}
	}
	got := map[service.Cause]int{service.OK: int(s.Answered), service.Abandoned: int(s.Abandoned)}
	for cause, n := range s.Errors {
		if n > 0 {
			got[service.Cause(cause)] += int(n)
		}
	}
	for _, cause := range append(service.Causes(), service.OK) {
		if got[cause] != want[cause] {
			t.Errorf("%s: got %d in the loop's accounts, want %d as its groups saw", cause, got[cause], want[cause])
		}
	}
	if int(s.Issued) != issued {
		t.Errorf("issued: got %d, want %d", s.Issued, issued)
	}
}

// onReadiness is set in the environment of a test process whose loops wait by epoll.
const onReadiness = "EVE_TEST_READINESS"

func describe(m map[service.Cause]int) string { return fmt.Sprint(m) }

// start sets T0 to the present.
func start(cfg load.Config) load.Config {
	cfg.T0 = mono.Now()
	return cfg
}

// await ends when the condition that done tells has come, or the test has no time left.
func await(t *testing.T, what string, done <-chan struct{}) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	select {
	case <-done:
	case <-ctx.Done():
		t.Fatalf("%s: did not happen", what)
	}
}
