package resource

import (
	"testing"

	"pgregory.net/rapid"

	"github.com/eve-emulation/eve/dsv"
)

// TestPool checks that a pool never gives away more than it has, nor anything twice, whatever is asked of it.
func TestPool(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		const capacity = 10.0
		p, now := newPool(capacity, 100), dsv.Instant(0)
		type kept struct {
			id      int64
			request string
			amount  float64
			until   dsv.Instant
			granted bool
		}
		var model []kept
		ended := map[int64]string{} // grants, by the request
		find := func(id int64) int {
			for i := range model {
				if model[i].id == id {
					return i
				}
			}
			return -1
		}
		remove := func(i int) { model = append(model[:i], model[i+1:]...) }
		anID := func() int64 { return 100 + rapid.Int64Range(1, 30).Draw(t, "id") }
		aRequest := func() string { return rapid.SampledFrom([]string{"a", "b"}).Draw(t, "request") }
		t.Repeat(map[string]func(*rapid.T){
			"reserve": func(t *rapid.T) {
				amount, free := float64(rapid.IntRange(-1, 6).Draw(t, "amount")), capacity
				for _, k := range model {
					free -= k.amount
				}
				until := now + dsv.Instant(rapid.IntRange(0, 5).Draw(t, "lease"))
				request := aRequest()
				e := p.reserve(request, amount, until)
				if got, want := e != nil, amount > 0 && amount <= free; got != want {
					t.Fatalf("reserve %v of %v: %v, want %v", amount, free, got, want)
				}
				if e != nil {
					if find(e.id) >= 0 || e.id <= 100 {
						t.Fatalf("entry %d was given before", e.id)
					}
					model = append(model, kept{e.id, request, amount, until, false})
				}
			},
			"grant": func(t *rapid.T) {
				id, request, until := anID(), aRequest(), now+dsv.Instant(rapid.IntRange(0, 5).Draw(t, "hold"))
				i := find(id)
				want := i >= 0 && model[i].request == request && !model[i].granted
				if got := p.grant(id, request, until) != nil; got != want {
					t.Fatalf("grant %d to %s: %v, want %v", id, request, got, want)
				}
				if want {
					model[i].granted, model[i].until = true, until
				}
			},
			"release": func(t *rapid.T) {
				id, request := anID(), aRequest()
				i := find(id)
				want := i >= 0 && model[i].request == request || ended[id] == request
				if got := p.release(id, request) != nil; got != want {
					t.Fatalf("release %d of %s: %v, want %v", id, request, got, want)
				}
				if want {
					delete(ended, id)
				}
				if want && i >= 0 {
					remove(i)
				}
			},
			"expire": func(t *rapid.T) {
				now += dsv.Instant(rapid.IntRange(0, 3).Draw(t, "later"))
				for e := p.expire(now); e != nil; e = p.expire(now) {
					i := find(e.id)
					if i < 0 || model[i].until > now {
						t.Fatalf("entry %d has ended at %d", e.id, now)
					}
					if model[i].granted {
						ended[e.id] = e.request
					}
					remove(i)
				}
			},
			"": func(t *rapid.T) {
				used, offered, next := 0.0, 0, dsv.Never
				for _, k := range model {
					used += k.amount
					next = min(next, k.until)
					if !k.granted {
						offered++
					}
				}
				if p.free() != capacity-used || p.offered() != offered || p.next() != next {
					t.Fatalf("free %v, offered %d, next %d, want %v, %d, %d", p.free(), p.offered(), p.next(), capacity-used, offered, next)
				}
			},
		})
	})
}

func TestBest(t *testing.T) {
	offers := []offer{
		{id: 1, cost: 3, free: 9, location: "north"},
		{id: 2, cost: 1, free: 2, location: "south"},
		{id: 3, cost: 1, free: 4, location: "east"},
		{id: 4, cost: 2, free: 9, location: "north"},
	}
	for _, c := range []struct {
		choose Criterion
		near   string
		want   int64
	}{
		{First, "", 1},
		{Cheapest, "", 3},
		{MostFree, "", 4},
		{Near, "north", 4},
		{Near, "south", 2},
		{Near, "west", 3},
	} {
		d := Demand{Choose: c.choose, Near: c.near}
		if got := offers[d.best(offers)].id; got != c.want {
			t.Errorf("%s %s: offer %d, want %d", c.choose, c.near, got, c.want)
		}
	}
}

func TestConfig(t *testing.T) {
	for _, c := range []struct {
		name string
		with func(*ManagerConfig)
		want string
	}{
		{"as it is", func(*ManagerConfig) {}, ""},
		{"resource", func(c *ManagerConfig) { c.Resource = "a.b" }, `resource "a.b": want [a-z][a-z0-9_]*`},
		{"capacity", func(c *ManagerConfig) { c.Capacity = 0 }, "capacity: a positive number"},
		{"leave", func(c *ManagerConfig) { c.Join, c.Leave = 2, 1 }, "leave: after join"},
		{"lease", func(c *ManagerConfig) { c.Lease = 1 }, "lease: at least 1ms"},
		{"most", func(c *ManagerConfig) { c.Own.Amount, c.Own.Most = 2, 1 }, "most: 0, or more than amount"},
		{"gather", func(c *ManagerConfig) { c.Own.Gather = c.Own.Deadline }, "gather: less than deadline"},
	} {
		cfg := defaultManager()
		c.with(&cfg)
		got := ""
		if err := cfg.check(); err != nil {
			got = err.Error()
		}
		if got != c.want {
			t.Errorf("%s: %q, want %q", c.name, got, c.want)
		}
	}
	if err := defaultAsker().check(); err != nil {
		t.Errorf("an asker without configuration: %v", err)
	}
	var criterion Criterion
	if err := criterion.UnmarshalText([]byte("best")); err == nil {
		t.Error("a criterion that there is not is taken")
	}
}
