package service_test

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/eve-emulation/eve/dmm"
	"github.com/eve-emulation/eve/dsv"
	"github.com/eve-emulation/eve/fase/machine"
	"github.com/eve-emulation/eve/fase/service"
	"github.com/eve-emulation/eve/fase/step"
	"github.com/eve-emulation/eve/fase/user"
	"github.com/eve-emulation/eve/rdr"
)

// A world is hosts and groups that a careless network joins: it delays, loses connections, tells mappings late, twice and
// in the wrong order, and moves services all the time. Everything in it follows from its seed.
type world struct {
	t      *testing.T
	rng    *rand.Rand
	gentle bool // nothing fails, is given up or withdrawn
	topo   *service.Topology
	cfgs   []service.Config
	hosts  []*service.Host
	cancel []bool // by host: withdraws what was abandoned
	free   []dsv.Instant
	groups []*user.Group
	users  []user.Config
	set    *dmm.Set
	driver *step.Driver
	mail   post

	flights []wire
	out     map[origin]int // flight by call under way
	hash    uint64
	speed   float64 // of the fastest processor
}

// origin is a call as its core names it.
type origin struct {
	core int
	ref  step.Ref
}

// wire is one sending of a call: its tag is its index.
type wire struct {
	from             origin
	node             int32
	arrived, lost    bool
	replies, answers int
}

const chaosEnd = dsv.Instant(300 * time.Millisecond)

func newWorld(t *testing.T, seed uint64, gentle bool) *world {
	t.Helper()
	w := &world{
		t: t, rng: rand.New(rand.NewPCG(seed, 7)), gentle: gentle, topo: &service.Topology{}, out: map[origin]int{}, speed: 1,
	}
	for i := range 2 + w.rng.IntN(3) {
		w.topo.Servers = append(w.topo.Servers, fmt.Sprintf("server_%d", i+1))
	}
	for i := range 2 + w.rng.IntN(2) {
		n := fmt.Sprintf("s%d", i+1)
		w.topo.Services = append(w.topo.Services, n)
		w.cfgs = append(w.cfgs, service.Config{
			Name: n, Size: machine.Bytes(w.rng.IntN(3) * 50_000), Balance: service.Balance(w.rng.IntN(2)),
		})
	}
	groups := 1 + w.rng.IntN(3)
	var specs []dmm.Spec
	add := func(man string, names ...string) {
		for _, n := range names {
			specs = append(specs, dmm.Spec{Name: dsv.Name(n), Manipulator: man})
		}
	}
	for i := range groups {
		g := fmt.Sprintf("g%d", i+1)
		add("sum", g+".latency")
		add("count", g+".issued", g+".requests")
		add("mean", g+".in_flight")
		add("records", g+".records")
	}
	for _, x := range w.topo.Servers {
		for _, r := range service.Resources() {
			add("sum", x+"."+r+".requested", x+"."+r+".delivered")
			add("mean", x+"."+r+".utilisation", x+"."+r+".queue")
		}
	}
	var err error
	if w.set, err = dmm.NewSet(1, 1, specs); err != nil {
		t.Fatal(err)
	}
	w.build(seed, groups)
	return w
}

func (w *world) build(seed uint64, groups int) {
	var cores []step.Core
	for i := range w.topo.Servers {
		m := w.machine()
		w.speed = max(w.speed, m.CPU.Speed)
		w.cancel = append(w.cancel, !w.gentle && w.rng.IntN(2) == 0)
		h := service.NewHost(service.HostConfig{
			Node: i, Machine: m, Topology: w.topo, Services: w.cfgs, CancelOnClose: w.cancel[i],
			Accrue: time.Duration(1+w.rng.IntN(20)) * time.Millisecond,
		}, w.set.Var)
		w.hosts = append(w.hosts, h)
		cores = append(cores, h)
	}
	w.free = make([]dsv.Instant, len(w.hosts))
	for i := range groups {
		c := user.Config{
			Name: fmt.Sprintf("g%d", i+1), Index: i, Seed: seed, Topology: w.topo, Services: w.cfgs, End: chaosEnd,
			Request: w.request(),
		}
		if w.rng.IntN(2) == 0 {
			c.Rate = []user.Point{{At: 0, Rate: float64(w.rng.IntN(300))}, {At: chaosEnd, Rate: float64(w.rng.IntN(300))}}
		} else if c.Users = 1 + w.rng.IntN(5); w.rng.IntN(2) == 0 {
			c.Think = &user.Think{Mean: 5 * time.Millisecond, Exponential: true}
		}
		if !w.gentle && w.rng.IntN(2) == 0 {
			c.Patience = time.Duration(w.rng.IntN(40_000)) * time.Microsecond
		}
		g := user.NewGroup(c, w.set.Var)
		w.users, w.groups, cores = append(w.users, c), append(w.groups, g), append(cores, g)
	}
	w.driver = step.NewDriver(w, append(cores, &w.mail)...)
	w.moves()
}

func (w *world) machine() machine.Config {
	m := machine.Config{CPU: machine.CPUConfig{
		Cores: 1 + w.rng.IntN(2), Discipline: machine.Discipline(w.rng.IntN(2)), Speed: []float64{0, 0.5, 1, 3}[w.rng.IntN(4)],
	}}
	if w.rng.IntN(3) == 0 {
		m.Run, m.CPU.Speed = machine.Burn, 1
	}
	if w.rng.IntN(2) == 0 {
		m.Disk = machine.DiskConfig{Seek: 100 * time.Microsecond, Rate: 50e6, Sync: time.Millisecond}
	}
	if w.rng.IntN(2) == 0 {
		m.Memory = 100_000
	}
	if w.rng.IntN(2) == 0 {
		m.Link.Delay = time.Duration(w.rng.IntN(3000)) * time.Microsecond
	}
	if w.rng.IntN(2) == 0 {
		m.Link.Rate = machine.BitRate(50_000_000 + w.rng.IntN(100_000_000))
	}
	return m
}

// moves tells everybody random mappings, one every few milliseconds, and in the end one in which all serve.
func (w *world) moves() {
	for svc := range w.topo.Services {
		epoch := uint32(1)
		w.tell(0, svc, w.mapping(epoch, true))
		for at := dsv.Instant(0); at < chaosEnd; epoch++ {
			if at += dsv.Instant(1+w.rng.IntN(60)) * ms; w.gentle && w.rng.IntN(2) == 0 {
				continue
			}
			w.tell(at, svc, w.mapping(epoch+1, w.gentle))
		}
		w.tell(chaosEnd+20*ms, svc, w.mapping(epoch+2, true))
	}
}

func (w *world) mapping(epoch uint32, serving bool) service.Mapping {
	m := service.Mapping{Epoch: epoch}
	for _, x := range w.topo.Servers {
		s := []service.State{"", service.Serving, service.Serving, service.Copying, service.Draining, service.Stopped}[w.rng.IntN(6)]
		if s != "" {
			m.Replicas = append(m.Replicas, service.Replica{Server: x, Weight: w.rng.IntN(3), State: s})
		}
	}
	if i := w.rng.IntN(len(m.Replicas) + 1); serving {
		if i == len(m.Replicas) {
			m.Replicas = append(m.Replicas[:0], service.Replica{Server: w.topo.Servers[w.rng.IntN(len(w.topo.Servers))]})
			i = 0
		}
		m.Replicas[i].State = service.Serving
	}
	return m
}

// tell tells a mapping to each core at an instant of its own, perhaps twice; it applies at one for all or late.
func (w *world) tell(at dsv.Instant, svc int, m service.Mapping) {
	m.At = at + dsv.Instant(w.rng.IntN(4))*ms
	for i := range len(w.hosts) + len(w.groups) {
		for range 1 + w.rng.IntN(5)/4 {
			w.mail.Push(at+dsv.Instant(w.rng.IntN(8_000_000)), func(at dsv.Instant) {
				if i < len(w.hosts) {
					w.hosts[i].Changed(at, svc, m)
				} else {
					w.groups[i-len(w.hosts)].Changed(at, svc, m)
				}
			})
		}
	}
}

// lag is how long something is under way.
func (w *world) lag() dsv.Instant {
	if w.rng.IntN(2) == 0 {
		return 0
	}
	return dsv.Instant(w.rng.IntN(2_000_000))
}

// Route implements step.Router.
func (w *world) Route(core int, e step.Effect) {
	for _, x := range []uint64{uint64(core), uint64(e.At), uint64(e.Kind), uint64(e.Code), uint64(e.Node), uint64(e.Ref), e.Key, uint64(e.N)} {
		w.hash = (w.hash ^ x) * 0x100000001b3
	}
	switch e.Kind {
	case step.Send, step.Call:
		w.carry(core, e)
	case step.Abandon, step.Withdraw:
		w.giveUp(core, e)
	case step.Reply:
		w.reply(core, e)
	case step.Burn:
		w.burn(core, e)
	}
}

func (w *world) carry(core int, e step.Effect) {
	o := origin{core, e.Ref}
	if _, ok := w.out[o]; ok {
		w.t.Errorf("core %d sent call %#x while it is under way", core, e.Ref)
	}
	var req *service.Request
	if core < len(w.hosts) {
		req = w.hosts[core].Request(e.Ref)
	} else {
		g := w.groups[core-len(w.hosts)]
		g.Sent(e.At, e.Ref)
		req = g.Request(e.Ref)
	}
	if req == nil {
		return // given up in the same instant
	}
	r := *req
	tag := len(w.flights)
	w.flights, w.out[o] = append(w.flights, wire{from: o, node: e.Node}), tag
	if !w.gentle && w.rng.IntN(20) == 0 {
		w.flights[tag].lost = true
		w.mail.Push(e.At+w.lag(), func(at dsv.Instant) {
			w.answer(at, tag, service.Answer{Cause: []service.Cause{service.Refused, service.Reset, service.NoRoute}[w.rng.IntN(3)]})
		})
		return
	}
	w.mail.Push(e.At+w.lag(), func(at dsv.Instant) {
		w.flights[tag].arrived = true
		w.hosts[e.Node].Arrive(at, &r, uint64(tag))
	})
}

// giveUp closes a connection: the server hears of it after the request.
func (w *world) giveUp(core int, e step.Effect) {
	tag, ok := w.out[origin{core, e.Ref}]
	if !ok {
		return // it has not left its host's link
	}
	delete(w.out, origin{core, e.Ref})
	if f := &w.flights[tag]; f.lost {
		f.answers = -1
		return
	}
	var tell func(dsv.Instant)
	tell = func(at dsv.Instant) {
		if !w.flights[tag].arrived {
			w.mail.Push(at+ms, tell)
			return
		}
		w.hosts[e.Node].Close(at, uint64(tag))
	}
	w.mail.Push(e.At+w.lag(), tell)
}

func (w *world) reply(core int, e step.Effect) {
	f := &w.flights[e.Key]
	if f.replies++; f.replies != 1 || int(f.node) != core {
		w.t.Errorf("call %d: reply %d, from server %d", e.Key, f.replies, core)
	}
	a := service.Answer{Status: int(e.Code), Bytes: e.N}
	if e.Code == 421 {
		a.Epoch, a.Bytes = uint32(e.N), 0
	}
	if !w.gentle && w.rng.IntN(30) == 0 {
		a = service.Answer{Cause: service.Closed}
	}
	w.mail.Push(e.At+w.lag(), func(at dsv.Instant) { w.answer(at, int(e.Key), a) })
}

func (w *world) answer(at dsv.Instant, tag int, a service.Answer) {
	f := &w.flights[tag]
	if t, ok := w.out[f.from]; !ok || t != tag {
		return // given up
	}
	delete(w.out, f.from)
	f.answers++
	if core := f.from.core; core < len(w.hosts) {
		w.hosts[core].Answer(at, f.from.ref, a)
	} else {
		w.groups[core-len(w.hosts)].Answer(at, f.from.ref, a)
	}
}

// burn consumes one grant after another, as one loop does.
func (w *world) burn(core int, e step.Effect) {
	if e.Code == service.BurnFree {
		return
	}
	ns := e.N
	if e.Code != service.BurnCPU {
		ns /= 50
	}
	w.free[core] = max(w.free[core], e.At) + dsv.Instant(ns)
	w.mail.Push(w.free[core], func(at dsv.Instant) { w.hosts[core].Met(at, e.Ref, ns) })
}

// post is the network as a core: what is under way, by the instant at which it comes.
type post struct {
	step.Agenda[dsv.Instant, func(dsv.Instant)]
}

func (p *post) Next() dsv.Instant {
	if at, _, ok := p.Peek(); ok {
		return at
	}
	return dsv.Never
}

func (p *post) Advance(to dsv.Instant) {
	if p.Next() <= to {
		at, f, _ := p.Pop()
		f(at)
	}
}

func (p *post) Effects() []step.Effect { return nil }

// finish runs until nothing is under way and checks what must hold then.
func (w *world) finish() {
	end := chaosEnd + dsv.At(100*time.Second)
	w.driver.Run(end)
	for _, h := range w.hosts {
		h.Settle(end)
		if err := h.Idle(); err != nil {
			w.t.Error(err)
		}
	}
	for i, f := range w.flights {
		if !f.lost && f.replies != 1 {
			w.t.Errorf("call %d to server %d: got %d replies, want 1", i, f.node, f.replies)
		}
	}
	if n := len(w.out); n != 0 {
		w.t.Errorf("calls without an answer: got %d", n)
	}
	w.set.Advance(end)
	for i, g := range w.groups {
		g.Settle(end)
		if err := g.Idle(); err != nil {
			w.t.Error(err)
		}
		n := w.users[i].Name
		if x, y := w.number(n+".issued"), w.number(n+".requests"); x != y {
			w.t.Errorf("%s: %v issued, %v finished", n, x, y)
		}
		w.little(n, end)
	}
	if w.gentle {
		w.conserved()
	}
}

// little checks that requests in flight, integrated, are the sum of response times. Forks stay in flight for longer.
func (w *world) little(group string, end dsv.Instant) {
	if sum, area := w.number(group+".latency"), w.number(group+".in_flight")*end.Seconds(); area < sum*(1-1e-9)-1e-9 || w.gentle && area > sum*(1+1e-9)+1e-9 {
		w.t.Errorf("%s: response times sum to %v s, requests in flight to %v s", group, sum, area)
	}
}

// conserved checks that what was asked of resources was delivered, and that no request was faster than its demand.
func (w *world) conserved() {
	for _, x := range w.topo.Servers {
		for _, r := range []string{"cpu", "link"} {
			if q, d := w.number(x+"."+r+".requested"), w.number(x+"."+r+".delivered"); d < q*(1-1e-6)-1e-6 || d > q*(1+1e-6)+1e-6 {
				// Copies that were given up leave their last chunk.
				w.t.Errorf("%s.%s: requested %v s, delivered %v s", x, r, q, d)
			}
		}
	}
	w.set.Close(chaosEnd + dsv.At(100*time.Second))
	records := map[string][]user.Record{}
	for _, d := range w.set.Take(nil) {
		for b := range dmm.Records(d.Value.Bytes) {
			if strings.HasSuffix(string(d.Name), ".records") {
				records[string(d.Name)] = append(records[string(d.Name)], user.DecodeRecord(b))
			}
		}
	}
	for i := range w.users {
		for _, r := range records[w.users[i].Name+".records"] {
			if least := w.demand(w.users[i].Request, r.Key); r.Done.Sub(r.Due) < least {
				w.t.Errorf("request %x took %v, its demand %v", r.Key, r.Done.Sub(r.Due), least)
			}
			if r.Cause != service.OK {
				w.t.Errorf("request %x: %v where nothing fails", r.Key, r.Cause)
			}
		}
	}
}

// demand is the least time that a request without parallel parts takes. What comes after a reply is waited for by nobody.
func (w *world) demand(b *rdr.Block, key rdr.Key) time.Duration {
	var sum time.Duration
	replied := false
	b.Draw(key, "", func(d *rdr.Demand) {
		if replied = replied || d.Op == rdr.OpReply; replied {
			return
		}
		switch d.Op {
		case rdr.OpCPU:
			sum += time.Duration(float64(d.N)/w.speed) - 1
		case rdr.OpWait:
			sum += time.Duration(d.N)
		case rdr.OpCall:
			sum += w.demand(d.Block, d.Key)
		}
	})
	return sum
}

func (w *world) number(n string) float64 {
	x, _ := w.set.Var(dsv.Name(n)).Read().Number()
	return x
}

// TestChaos holds whatever happens to the laws: each request is answered once, and in the end nothing is left.
func TestChaos(t *testing.T) {
	n := uint64(100)
	if testing.Short() {
		n = 20
	}
	for _, gentle := range []bool{false, true} {
		for seed := range n {
			t.Run(fmt.Sprintf("gentle=%v/%d", gentle, seed), func(t *testing.T) {
				w := newWorld(t, seed, gentle)
				w.finish()
				if seed%10 != 0 {
					return
				}
				again := newWorld(t, seed, gentle)
				again.finish()
				if w.hash != again.hash {
					t.Error("the same seed gave other effects")
				}
			})
			if t.Failed() {
				return
			}
		}
	}
}
