package service_test

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/eve-emulation/eve/dmm"
	"github.com/eve-emulation/eve/dsv"
	"github.com/eve-emulation/eve/fase/admit"
	"github.com/eve-emulation/eve/fase/files"
	"github.com/eve-emulation/eve/fase/machine"
	"github.com/eve-emulation/eve/fase/service"
	"github.com/eve-emulation/eve/fase/step"
	"github.com/eve-emulation/eve/fase/user"
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
	faults  []service.Fault
	downs   int // crashes
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

// chaosRest is enough for whatever is under way to end: a mapping that does not come is waited for for 10 s.
const chaosRest = 40 * time.Second

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
	if pool := &w.cfgs[0].Pool; w.rng.IntN(2) == 0 {
		pool.Threads = 1 + w.rng.IntN(3)
		if !gentle {
			pool.Queue = w.rng.IntN(4)
		}
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
	set, err := files.NewSet(files.Config{Name: "web", Directories: 2, Zipf: 1})
	if err != nil {
		w.t.Fatal(err)
	}
	w.misfortunes(groups)
	network := service.NewNetwork(w.faults)
	for i := range w.topo.Servers {
		m := w.machine()
		w.speed = max(w.speed, m.CPU.Speed)
		w.cancel = append(w.cancel, !w.gentle && w.rng.IntN(2) == 0)
		h := service.NewHost(service.HostConfig{
			Node: i, Machine: m, Topology: w.topo, Services: w.cfgs, CancelOnClose: w.cancel[i],
			Accrue: time.Duration(1+w.rng.IntN(20)) * time.Millisecond, Admit: w.admission(),
			Files: []*files.Set{set}, Cache: machine.Bytes(w.rng.IntN(3) * 200_000),
			Faults: service.FaultsOf(w.faults, i), Boot: time.Duration(w.rng.IntN(2)*w.rng.IntN(20)) * time.Millisecond, Network: network,
		}, w.set.Var)
		w.hosts = append(w.hosts, h)
		cores = append(cores, h)
	}
	w.free = make([]dsv.Instant, len(w.hosts))
	for i := range groups {
		c := user.Config{
			Name: fmt.Sprintf("g%d", i+1), Index: i, Seed: seed, Topology: w.topo, Services: w.cfgs, End: chaosEnd,
			Request: w.request(), Network: network,
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
	w.settings(seed)
}

// misfortunes has servers crash and get slower, and cuts some off from others, where things may fail.
func (w *world) misfortunes(groups int) {
	if w.gentle {
		return
	}
	for range w.rng.IntN(6) {
		f := service.Fault{At: dsv.Instant(w.rng.IntN(int(chaosEnd))), Server: w.rng.IntN(len(w.topo.Servers))}
		f.Until = f.At + dsv.Instant(1+w.rng.IntN(100_000_000))
		switch w.rng.IntN(3) {
		case 0:
			f.Kind = service.Crash
		case 1:
			f.Kind, f.Factor = service.Slow, 0.5+10*w.rng.Float64()
			f.Resource = []string{"cpu", "disk", "link"}[w.rng.IntN(3)]
		default:
			f.Kind, f.Sides = service.Partition, make([][]service.Party, 2)
			for p := -1 - groups; p < len(w.topo.Servers); p++ {
				if side := w.rng.IntN(3); side < 2 {
					f.Sides[side] = append(f.Sides[side], service.Party(p))
				}
			}
		}
		w.faults = append(w.faults, f)
	}
}

func (w *world) machine() machine.Config {
	m := machine.Config{CPU: machine.CPUConfig{
		Cores: 1 + w.rng.IntN(2), Discipline: machine.Discipline(w.rng.IntN(len(machine.Disciplines()))), Speed: []float64{0, 0.5, 1, 3}[w.rng.IntN(4)],
	}}
	if w.rng.IntN(3) == 0 {
		m.Run, m.CPU.Speed = machine.Burn, 1
	}
	if w.rng.IntN(2) == 0 {
		m.Disk = machine.DiskConfig{Seek: 100 * time.Microsecond, Rate: 50e6, Sync: time.Millisecond}
	}
	m.CPU.Preempt = w.rng.IntN(2) == 0
	if w.rng.IntN(2) == 0 {
		m.Memory = 100_000
	}
	if !w.gentle {
		m.Full, m.Disk.Queue = machine.Full(w.rng.IntN(len(machine.Fulls()))), w.rng.IntN(6)
	}
	if w.rng.IntN(3) == 0 {
		m.Link.Loss, m.Link.RTO = 0.1, time.Millisecond
	}
	if w.rng.IntN(2) == 0 {
		m.Link.Delay = time.Duration(w.rng.IntN(3000)) * time.Microsecond
		m.Link.Jitter = time.Duration(w.rng.IntN(2)) * m.Link.Delay
	}
	if w.rng.IntN(2) == 0 {
		m.Link.Rate = machine.BitRate(50_000_000 + w.rng.IntN(100_000_000))
	}
	return m
}

// admission lets a host wait, reorder, forward and, where things may fail, reject. It has no limit: hosts that call one
// another with all places taken would wait for ever, as servers do.
func (w *world) admission() admit.Config {
	if w.rng.IntN(2) == 0 {
		return admit.Config{}
	}
	cfg := admit.Config{
		Policy: admit.Policy(w.rng.IntN(len(admit.Policies()))), Delay: time.Duration(1+w.rng.IntN(3000)) * time.Microsecond,
	}
	if w.rng.IntN(2) == 0 {
		cfg.Limit = 1_000_000
		cfg.Forward = admit.ForwardConfig{After: time.Duration(1 + w.rng.IntN(int(cfg.Delay))), To: admit.Target(w.rng.IntN(2))}
	}
	if w.gentle {
		return cfg
	}
	if w.rng.IntN(2) == 0 {
		cfg.Queue = 1 + w.rng.IntN(10)
	}
	if w.rng.IntN(2) == 0 && cfg.Limit > 0 {
		cfg.CoDel = admit.CoDelConfig{Target: time.Microsecond, Interval: time.Millisecond}
	}
	if w.rng.IntN(4) == 0 {
		cfg.Control = admit.ControlConfig{Kind: admit.RateControl, Target: 5 * time.Millisecond}
	}
	return cfg
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

// settings changes the workers of the pool and what admission rejects, at each host at instants of its own.
func (w *world) settings(seed uint64) {
	rng := rand.New(rand.NewPCG(seed, 8)) // so that all else stays as it is without them
	for _, h := range w.hosts {
		for range rng.IntN(6) {
			threads, share := float64(1+rng.IntN(4)), rng.Float64()/4
			if w.gentle {
				share = 0
			}
			w.mail.Push(dsv.Instant(rng.IntN(int(chaosEnd))), func(at dsv.Instant) {
				h.Employ(at, 0, threads)
				h.Set(at, service.ShedSetting, share)
			})
		}
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
