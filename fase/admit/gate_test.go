package admit_test

import (
	"cmp"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/eve-emulation/eve/dsv"
	"github.com/eve-emulation/eve/fase/admit"
	"github.com/eve-emulation/eve/fase/step"
)

// drain takes what is due, ends each service at once, and returns the slots in order; rejected ones are negative.
func drain(g *admit.Gate, at dsv.Instant) []int {
	var got []int
	for {
		d, ok := g.Take(at)
		if !ok {
			return got
		}
		slot := int(d.Ref.Slot())
		if !d.Serve {
			got = append(got, -slot)
			continue
		}
		got = append(got, slot)
		g.Done()
	}
}

func ref(slot int) step.Ref { return step.NewRef(uint32(slot), 1) }

func TestPolicies(t *testing.T) {
	requests := []admit.Request{ // slots from 1, in order of arrival
		{Demand: 50, Priority: 1, Deadline: 900, Object: 7, Client: 1},
		{Demand: 20, Priority: 5, Deadline: 0, Object: 8, Client: 1},
		{Demand: 30, Priority: -2, Deadline: 500, Object: 7, Client: 1},
		{Demand: 20, Priority: 5, Deadline: 700, Object: 0, Client: 2},
		{Demand: 10, Priority: 0, Deadline: 500, Object: 9, Client: 3},
		{Demand: 60, Priority: 0, Deadline: 0, Object: 8, Client: 2},
	}
	for _, tt := range []struct {
		policy admit.Policy
		want   []int
	}{
		{admit.FCFS, []int{1, 2, 3, 4, 5, 6}},
		{admit.SJF, []int{5, 2, 4, 3, 1, 6}},
		{admit.EDF, []int{3, 5, 4, 1, 2, 6}},
		{admit.Priority, []int{2, 4, 1, 5, 6, 3}},
		{admit.Hits, []int{2, 6, 1, 3, 4, 5}},   // 8 is cached
		{admit.Object, []int{1, 3, 2, 6, 4, 5}}, // 7, 7, then 8, 8; 0 is no object
		// Client 1 is tagged 0, 50, 70; client 2 0, 20; client 3 0.
		{admit.Fair, []int{1, 4, 5, 6, 2, 3}},
	} {
		t.Run(tt.policy.String(), func(t *testing.T) {
			g := admit.New(admit.Config{Policy: tt.policy, Limit: 1, Delay: time.Nanosecond}, 0, func(o uint64) bool { return o == 8 })
			for i, r := range requests {
				r.Ref = ref(i + 1)
				if !g.Register(0, r) {
					t.Fatalf("request %d was rejected", i+1)
				}
			}
			if got := drain(g, 1); !slices.Equal(got, tt.want) {
				t.Errorf("order: got %v, want %v", got, tt.want)
			}
			if g.Len() != 0 || g.Serving() != 0 {
				t.Errorf("afterwards: got %d in the pool and %d in service, want none", g.Len(), g.Serving())
			}
		})
	}
}

func TestPolicyNames(t *testing.T) {
	for i, name := range admit.Policies() {
		p, ok := admit.ParsePolicy(name)
		if !ok || p != admit.Policy(i) || p.String() != name {
			t.Errorf("policy %q: got %v, %v", name, p, ok)
		}
	}
	if _, ok := admit.ParsePolicy("lifo"); ok {
		t.Error("lifo: got a policy, want none")
	}
}

// Service takes from the pool once the oldest has waited for the delay, and then in the order of the policy.
func TestDelay(t *testing.T) {
	at := func(n int) dsv.Instant { return dsv.At(time.Duration(n) * time.Millisecond) }
	fill := func(p admit.Policy, limit int) *admit.Gate {
		g := admit.New(admit.Config{Policy: p, Delay: 20 * ms, Limit: limit}, 0, nil)
		g.Register(at(0), admit.Request{Ref: ref(1), Demand: 50})
		g.Register(at(5), admit.Request{Ref: ref(2), Demand: 10})
		g.Register(at(7), admit.Request{Ref: ref(3), Demand: 70})
		return g
	}
	for _, tt := range []struct {
		policy admit.Policy
		want   map[int][]int // by time in ms
	}{
		{admit.FCFS, map[int][]int{20: {1}, 25: {2}, 27: {3}}},
		{admit.SJF, map[int][]int{20: {2, 1}, 27: {3}}},
	} {
		g := fill(tt.policy, 0)
		got := map[int][]int{}
		for g.Next() != dsv.Never {
			next := g.Next()
			if early := drain(g, next-1); early != nil {
				t.Fatalf("%v: got %v before the delay", tt.policy, early)
			}
			n := int(time.Duration(next) / ms)
			got[n] = append(got[n], drain(g, next)...)
		}
		for n, want := range tt.want {
			if !slices.Equal(got[n], want) {
				t.Errorf("%v at %d ms: got %v, want %v", tt.policy, n, got[n], want)
			}
		}
		if len(got) != len(tt.want) {
			t.Errorf("%v: got %v, want %v", tt.policy, got, tt.want)
		}
	}
}

func TestLimit(t *testing.T) {
	for _, tt := range []struct{ limit, workers, want int }{{2, 0, 2}, {0, 3, 3}, {2, 3, 2}, {5, 3, 3}} {
		g := admit.New(admit.Config{Limit: tt.limit}, tt.workers, nil)
		for i := range 10 {
			g.Register(0, admit.Request{Ref: ref(i)})
		}
		n := 0
		for {
			if _, ok := g.Take(0); !ok {
				break
			}
			n++
		}
		if n != tt.want || g.Serving() != tt.want || g.Len() != 10-tt.want {
			t.Errorf("limit %d, %d workers: got %d in service, want %d", tt.limit, tt.workers, n, tt.want)
		}
		if got := g.Next(); got != dsv.Never {
			t.Errorf("next of a full service: got %v, want never", got)
		}
		g.Done()
		if _, ok := g.Take(1); !ok {
			t.Error("after one has left: got nobody, want one")
		}
	}
}

func TestBoundedQueue(t *testing.T) {
	g := admit.New(admit.Config{Limit: 1, Queue: 2}, 0, nil)
	var got []bool
	for i := range 5 {
		got = append(got, g.Register(0, admit.Request{Ref: ref(i)}))
		g.Take(0) // the first goes into service
	}
	if want := []bool{true, true, true, false, false}; !slices.Equal(got, want) {
		t.Errorf("registered: got %v, want %v", got, want)
	}
	if !g.Withdraw(ref(2)) || g.Withdraw(ref(2)) || g.Withdraw(ref(0)) || g.Withdraw(step.NewRef(1, 9)) {
		t.Error("withdraw: want true once for what is in the pool, else false")
	}
	if !g.Register(0, admit.Request{Ref: ref(7)}) {
		t.Error("after a withdrawal there is room: got a rejection")
	}
	if got, want := g.RetryAfter(0), int64(1); got != want {
		t.Errorf("retry after: got %d s, want %d", got, want)
	}
}

// A controller of the rate moves the rate of the gate's bucket, and one of the threshold the bound of its pool.
func TestControllersMoveTheGate(t *testing.T) {
	g := admit.New(admit.Config{Control: admit.ControlConfig{Kind: admit.RateControl, Target: time.Second, Initial: 12}}, 0, nil)
	for i := range 100 {
		g.Answered(dsv.At(time.Duration(i)*ms), 10*time.Second)
	}
	if got, want := g.Rate(), 10.0; !near(got, want) {
		t.Errorf("rate after 100 slow answers: got %v, want %v", got, want)
	}
	if !g.Register(dsv.At(sec), admit.Request{Ref: ref(1)}) || g.Register(dsv.At(sec), admit.Request{Ref: ref(2)}) {
		t.Error("a bucket of depth 1 lets one pass")
	}
	drain(g, dsv.At(sec))
	g.Answered(dsv.At(sec), 10*time.Second) // one alone: a second after the last time
	if got, want := g.Next(), dsv.At(99*ms+sec); got != want {
		t.Errorf("next: got %v, want %v", got, want)
	}
	g.Advance(g.Next())
	if got, want := g.Rate(), 10/1.2; !near(got, want) {
		t.Errorf("rate a second later: got %v, want %v", got, want)
	}

	g = admit.New(admit.Config{Limit: 1, Control: admit.ControlConfig{Kind: admit.ThresholdControl, Target: time.Second, Initial: 8}}, 0, nil)
	for range 200 {
		g.Answered(0, 2*time.Second)
	}
	n := 0
	for i := range 10 {
		if g.Register(0, admit.Request{Ref: ref(i)}) {
			n++
		}
		g.Take(0)
	}
	if want := 5; n != want || g.Threshold() != 4 { // one in service
		t.Errorf("with a threshold of 8 halved: got %d of 10 and a threshold of %d, want %d and 4", n, g.Threshold(), want)
	}
}

func TestOverdue(t *testing.T) {
	g := admit.New(admit.Config{Limit: 1, Forward: admit.ForwardConfig{After: 2 * sec}}, 0, nil)
	for i := range 5 {
		g.Register(dsv.At(time.Duration(i)*sec), admit.Request{Ref: ref(i), Stays: i == 2})
		g.Take(dsv.At(time.Duration(i) * sec)) // the first goes into service
	}
	overdue := func(at time.Duration) (got []int) {
		for {
			r, ok := g.Overdue(dsv.At(at))
			if !ok {
				return got
			}
			got = append(got, int(r.Slot()))
		}
	}
	if got, want := g.Next(), dsv.At(3*sec); got != want {
		t.Errorf("next: got %v, want %v", got, want)
	}
	if got := overdue(3*sec - 1); got != nil {
		t.Errorf("before: got %v, want none", got)
	}
	if got, want := overdue(5*sec), []int{1, 3}; !slices.Equal(got, want) {
		t.Errorf("at 5 s: got %v, want %v", got, want)
	}
	if got := overdue(5 * sec); got != nil {
		t.Errorf("told again: got %v", got)
	}
	g.Withdraw(ref(1))
	g.Again()
	if got, want := overdue(5*sec), []int{3}; !slices.Equal(got, want) {
		t.Errorf("anew: got %v, want %v", got, want)
	}
	if got, want := g.Next(), dsv.At(6*sec); got != want {
		t.Errorf("next: got %v, want %v", got, want)
	}
}

func TestCheck(t *testing.T) {
	forward, codel := admit.ForwardConfig{After: sec}, admit.CoDelConfig{Target: ms}
	for _, tt := range []struct {
		cfg     admit.Config
		workers int
		part    string
	}{
		{admit.Config{}, 0, ""},
		{admit.Config{Policy: admit.SJF}, 0, "policy"},
		{admit.Config{Policy: admit.SJF}, 4, ""},
		{admit.Config{Policy: admit.SJF, Limit: 1}, 0, ""},
		{admit.Config{Policy: admit.SJF, Delay: 1}, 0, ""},
		{admit.Config{Policy: 99, Limit: 1}, 0, "policy"},
		{admit.Config{Queue: 3}, 0, "queue"},
		{admit.Config{Queue: 3, Delay: 1}, 0, ""},
		{admit.Config{CoDel: codel, Delay: 1}, 0, "codel"},
		{admit.Config{Forward: forward}, 0, "forward"},
		{admit.Config{Forward: forward, Limit: 1}, 0, ""},
		{admit.Config{Control: admit.ControlConfig{Kind: admit.ThresholdControl, Target: 1}}, 0, "control"},
		{admit.Config{Control: admit.ControlConfig{Kind: admit.RateControl, Target: 1}}, 0, ""},
		{admit.Config{Delay: -1}, 0, "delay"},
		{admit.Config{Limit: -1}, 0, "limit"},
		{admit.Config{Queue: -1}, 0, "queue"},
	} {
		part, err := tt.cfg.Check(tt.workers)
		if part != tt.part || (err != nil) != (tt.part != "") {
			t.Errorf("%v with %d workers: got %q, %v; want %q", tt.cfg, tt.workers, part, err, tt.part)
		}
	}
}

// model is the pool as a list that is looked through.
type model struct {
	policy  admit.Policy
	waiting []admit.Request // in order of arrival
	arrived []dsv.Instant
	object  uint64
	now     int64
	latest  int64 // of ends
	ends    map[uint64]int64
	tags    map[step.Ref]int64
}

// rest is when nobody waits and nobody is served.
func (m *model) rest(serving int) {
	if serving == 0 && len(m.waiting) == 0 {
		m.now = m.latest
	}
}

func (m *model) push(at dsv.Instant, r admit.Request) {
	m.tags[r.Ref] = max(m.now, m.ends[r.Client])
	m.ends[r.Client] = m.tags[r.Ref] + max(r.Demand, 1)
	m.latest = max(m.latest, m.ends[r.Client])
	m.waiting, m.arrived = append(m.waiting, r), append(m.arrived, at)
}

func (m *model) better(x, y admit.Request) bool {
	first := func(b bool) int {
		if b {
			return 0
		}
		return 1
	}
	deadline := func(d dsv.Instant) dsv.Instant {
		if d == 0 {
			return dsv.Never
		}
		return d
	}
	switch m.policy {
	case admit.SJF:
		return x.Demand < y.Demand
	case admit.EDF:
		return deadline(x.Deadline) < deadline(y.Deadline)
	case admit.Hits:
		return first(cachedHere(x.Object)) < first(cachedHere(y.Object))
	case admit.Object:
		return first(x.Object != 0 && x.Object == m.object) < first(y.Object != 0 && y.Object == m.object)
	case admit.Fair:
		return m.tags[x.Ref] < m.tags[y.Ref]
	case admit.Priority:
		return x.Priority > y.Priority
	}
	return false
}

func cachedHere(o uint64) bool { return o == 3 }

func (m *model) drop(i int) {
	m.waiting, m.arrived = slices.Delete(m.waiting, i, i+1), slices.Delete(m.arrived, i, i+1)
}

func (m *model) take() step.Ref {
	best := 0
	for i := range m.waiting {
		if m.better(m.waiting[i], m.waiting[best]) {
			best = i
		}
	}
	r := m.waiting[best]
	m.object, m.now = r.Object, max(m.now, m.tags[r.Ref])
	m.drop(best)
	return r.Ref
}

// The gate does what a list does that is looked through, whatever comes, goes and is withdrawn.
func TestGateAgainstModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		policy := admit.Policy(rapid.IntRange(0, len(admit.Policies())-1).Draw(t, "policy"))
		delay := time.Duration(rapid.IntRange(0, 5).Draw(t, "delay"))
		limit := rapid.IntRange(1, 3).Draw(t, "limit")
		g := admit.New(admit.Config{Policy: policy, Limit: limit, Delay: delay}, 0, cachedHere)
		m := &model{policy: policy, ends: map[uint64]int64{}, tags: map[step.Ref]int64{}}
		at, serving, slots := dsv.Instant(0), 0, 0
		for range rapid.IntRange(1, 80).Draw(t, "steps") {
			at += dsv.Instant(rapid.IntRange(0, 3).Draw(t, "gap"))
			switch rapid.IntRange(0, 3).Draw(t, "what") {
			case 0, 1:
				r := admit.Request{
					Ref: ref(slots), Demand: rapid.Int64Range(0, 5).Draw(t, "demand"), Priority: rapid.IntRange(-1, 1).Draw(t, "priority"),
					Deadline: dsv.Instant(rapid.IntRange(0, 3).Draw(t, "deadline")), Object: rapid.Uint64Range(0, 3).Draw(t, "object"),
					Client: rapid.Uint64Range(0, 2).Draw(t, "client"),
				}
				slots++
				g.Register(at, r)
				m.push(at, r)
			case 2:
				if serving > 0 {
					g.Done()
					serving--
					m.rest(serving)
				}
			case 3:
				if len(m.waiting) > 0 {
					i := rapid.IntRange(0, len(m.waiting)-1).Draw(t, "withdrawn")
					if !g.Withdraw(m.waiting[i].Ref) {
						t.Fatalf("withdraw %v: not there", m.waiting[i].Ref)
					}
					m.drop(i)
					m.rest(serving)
				}
			}
			for {
				due := serving < limit && len(m.waiting) > 0 && at >= m.arrived[0].Add(delay)
				d, ok := g.Take(at)
				if ok != due {
					t.Fatalf("at %d: got a request: %v, want %v", at, ok, due)
				}
				if !ok {
					break
				}
				serving++
				if want := m.take(); d.Ref != want {
					t.Fatalf("%v at %d: got %d, want %d", policy, at, d.Ref.Slot(), want.Slot())
				}
			}
			if g.Len() != len(m.waiting) || g.Serving() != serving {
				t.Fatalf("got %d waiting, %d served; want %d and %d", g.Len(), g.Serving(), len(m.waiting), serving)
			}
			var seen []step.Ref
			g.Each(func(r step.Ref) bool { seen = append(seen, r); return true })
			if want := refs(m.waiting); !slices.Equal(seen, want) {
				t.Fatalf("pool: got %v, want %v", seen, want)
			}
		}
	})
}

func refs(rs []admit.Request) (out []step.Ref) {
	for _, r := range rs {
		out = append(out, r.Ref)
	}
	return out
}

// Of clients that always want more, each is served the same demand, whatever it asks for at a time.
func TestFairShares(t *testing.T) {
	g := admit.New(admit.Config{Policy: admit.Fair, Limit: 1}, 0, nil)
	demand := map[uint64]int64{1: 100, 2: 10, 3: 37}
	served, slots := map[uint64]int64{}, map[uint64]int{1: 0, 2: 1, 3: 2}
	ask := func(c uint64) { g.Register(0, admit.Request{Ref: ref(slots[c]), Client: c, Demand: demand[c]}) }
	clients := []uint64{1, 2, 3}
	for _, c := range clients {
		ask(c)
	}
	for range 10_000 {
		d, _ := g.Take(0)
		c := clients[d.Ref.Slot()]
		served[c] += demand[c]
		ask(c)
		g.Done()
	}
	most := slices.MaxFunc(clients, func(a, b uint64) int { return cmp.Compare(served[a], served[b]) })
	for _, c := range clients {
		if behind := served[most] - served[c]; behind > 2*100 {
			t.Errorf("client %d: got %d served, %d behind client %d", c, served[c], behind, most)
		}
	}
}

// Where nobody is left, what clients have had is forgotten: who had much goes behind no one who comes later.
func TestFairForgetsAtRest(t *testing.T) {
	for _, tt := range []struct {
		name string
		end  func(g *admit.Gate)
	}{
		{"served", func(g *admit.Gate) { drain(g, 1) }},
		{"withdrawn", func(g *admit.Gate) { g.Withdraw(ref(1)) }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			g := admit.New(admit.Config{Policy: admit.Fair, Limit: 1, Delay: 1}, 0, nil)
			g.Register(0, admit.Request{Ref: ref(1), Client: 1, Demand: 1000})
			tt.end(g)
			g.Register(2, admit.Request{Ref: ref(2), Client: 1, Demand: 10})
			g.Register(2, admit.Request{Ref: ref(3), Client: 2, Demand: 10})
			if got, want := drain(g, 3), []int{2, 3}; !slices.Equal(got, want) {
				t.Errorf("order: got %v, want %v", got, want)
			}
		})
	}
}

func TestGateAllocatesNothing(t *testing.T) {
	for _, name := range admit.Policies() {
		policy, _ := admit.ParsePolicy(name)
		g := admit.New(admit.Config{
			Policy: policy, Limit: 1, Delay: 1, Queue: 100, CoDel: admit.CoDelConfig{Target: sec},
			Forward: admit.ForwardConfig{After: sec}, Bucket: admit.BucketConfig{Rate: 1e6, Depth: 1000},
		}, 0, cachedHere)
		at, n := dsv.Instant(0), 0
		step := func() {
			at, n = at.Add(ms), n+1
			slot := n % 64
			g.Withdraw(ref(slot)) // a policy may have left it behind
			g.Register(at, admit.Request{Ref: ref(slot), Demand: int64(n * 7919 % 1000), Client: uint64(n % 40), Object: uint64(n % 5), Deadline: at})
			g.Overdue(at)
			if n > 32 {
				if _, ok := g.Take(at); ok {
					g.Done()
				}
			}
			g.Next()
		}
		for range 1000 {
			step()
		}
		if got := testing.AllocsPerRun(1000, step); got != 0 {
			t.Errorf("%v: got %v allocations per request, want 0", policy, got)
		}
	}
}

func BenchmarkGate(b *testing.B) {
	for _, name := range admit.Policies() {
		b.Run(name, func(b *testing.B) {
			policy, _ := admit.ParsePolicy(name)
			g := admit.New(admit.Config{Policy: policy, Limit: 1}, 0, cachedHere)
			at := dsv.Instant(0)
			for i := range 100 {
				g.Register(at, admit.Request{Ref: ref(i), Demand: int64(i), Client: uint64(i % 10), Object: uint64(i % 50)})
			}
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				at++
				d, _ := g.Take(at)
				g.Register(at, admit.Request{Ref: d.Ref, Demand: int64(i * 7919 % 1000), Client: uint64(i % 10), Object: uint64(i % 50)})
				g.Done()
			}
		})
	}
}
