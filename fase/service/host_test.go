package service_test

import (
	"testing"
	"time"

	"github.com/eve-emulation/eve/dmm"
	"github.com/eve-emulation/eve/dsv"
	"github.com/eve-emulation/eve/fase/machine"
	"github.com/eve-emulation/eve/fase/service"
	"github.com/eve-emulation/eve/fase/step"
	"github.com/eve-emulation/eve/rdr"
)

const ms = dsv.Instant(time.Millisecond)

// reply is one answer that a cluster gave to the outside.
type reply struct {
	tag    uint64
	at     dsv.Instant
	status int
	n      int64
}

// cluster is hosts that call one another without time passing on the way, stepped by a test.
type cluster struct {
	t       *testing.T
	topo    *service.Topology
	hosts   []*service.Host
	driver  *step.Driver
	set     *dmm.Set
	replies []reply
	burns   []step.Effect
	calls   []service.Request    // of hosts to hosts
	flights map[uint64][2]uint64 // tag → host, ref
	tag     uint64
}

const fromHost = 1 << 40

func (c *cluster) Route(core int, e step.Effect) {
	switch e.Kind {
	case step.Reply:
		f, internal := c.flights[e.Key]
		if !internal {
			c.replies = append(c.replies, reply{e.Key, e.At, int(e.Code), e.N})
			return
		}
		a := service.Answer{Status: int(e.Code), Bytes: e.N}
		switch e.Code {
		case 421:
			a.Epoch = uint32(e.N)
		case 503:
			a.Bytes = 0
		}
		c.hosts[f[0]].Answer(e.At, step.Ref(f[1]), a)
	case step.Call:
		c.tag++
		c.flights[fromHost+c.tag] = [2]uint64{uint64(core), uint64(e.Ref)}
		c.calls = append(c.calls, *c.hosts[core].Request(e.Ref))
		c.hosts[e.Node].Arrive(e.At, c.hosts[core].Request(e.Ref), fromHost+c.tag)
	case step.Burn:
		c.burns = append(c.burns, e)
	}
}

func newCluster(t *testing.T, services []service.Config, machines ...machine.Config) *cluster {
	t.Helper()
	hosts := make([]service.HostConfig, len(machines))
	for i, m := range machines {
		hosts[i].Machine = m
	}
	return newClusterOf(t, services, hosts...)
}

func newClusterOf(t *testing.T, services []service.Config, hosts ...service.HostConfig) *cluster {
	t.Helper()
	c := &cluster{t: t, topo: &service.Topology{}, flights: map[uint64][2]uint64{}}
	for i := range hosts {
		c.topo.Servers = append(c.topo.Servers, "server_"+string(rune('1'+i)))
	}
	specs := []dmm.Spec{}
	for _, s := range services {
		c.topo.Services = append(c.topo.Services, s.Name)
		for _, x := range c.topo.Servers {
			for _, n := range []dsv.Name{service.CopiedName(x, s.Name), service.ReadyName(x, s.Name), service.DrainedName(x, s.Name)} {
				specs = append(specs, dmm.Spec{Name: n, Manipulator: "last", Sync: dmm.Trigger{Change: 1}})
			}
		}
	}
	for _, s := range services {
		specs = append(specs, dmm.Spec{Name: dsv.Name(s.Name + ".rejected"), Manipulator: "count"},
			dmm.Spec{Name: dsv.Name(s.Name + ".residence"), Manipulator: "sum"}, dmm.Spec{Name: dsv.Name(s.Name + ".requests"), Manipulator: "count"})
	}
	for _, x := range c.topo.Servers {
		for i, man := range []string{"mean", "sum", "count", "count", "last", "last", "last"} {
			specs = append(specs, dmm.Spec{Name: dsv.Name(x + ".admit." + service.AdmitNames()[i]), Manipulator: man})
		}
		for _, r := range service.Resources() {
			specs = append(specs,
				dmm.Spec{Name: dsv.Name(x + "." + r + ".utilisation"), Manipulator: "mean"},
				dmm.Spec{Name: dsv.Name(x + "." + r + ".requested"), Manipulator: "sum"},
				dmm.Spec{Name: dsv.Name(x + "." + r + ".delivered"), Manipulator: "sum"})
		}
	}
	var err error
	if c.set, err = dmm.NewSet(1, 1, specs); err != nil {
		t.Fatal(err)
	}
	cores := make([]step.Core, len(hosts))
	for i, cfg := range hosts {
		cfg.Node, cfg.Topology, cfg.Services = i, c.topo, services
		h := service.NewHost(cfg, c.set.Var)
		c.hosts = append(c.hosts, h)
		cores[i] = h
	}
	c.driver = step.NewDriver(c, cores...)
	for svc, s := range services {
		m := service.Mapping{Epoch: 1}
		for _, on := range s.On {
			m.Replicas = append(m.Replicas, service.Replica{Server: c.topo.Servers[on], State: service.Serving})
		}
		c.remap(0, svc, m)
	}
	return c
}

func (c *cluster) remap(at dsv.Instant, svc int, m service.Mapping) {
	for _, h := range c.hosts {
		h.Changed(at, svc, m)
	}
	c.driver.Run(at)
}

func (c *cluster) arrive(at dsv.Instant, host int, svc int, epoch uint32, tag uint64, src string) {
	c.t.Helper()
	b, err := rdr.ParseBlock("test", []byte(src), rdr.Limits{})
	if err != nil {
		c.t.Fatal(err)
	}
	c.driver.Run(at)
	c.hosts[host].Arrive(at, &service.Request{Service: svc, Block: b, Key: rdr.Key(tag), Epoch: epoch}, tag)
	c.driver.Flush()
}

// expect runs to an instant and compares all replies since the last call.
func (c *cluster) expect(until dsv.Instant, want ...reply) {
	c.t.Helper()
	c.driver.Run(until)
	if len(c.replies) != len(want) {
		c.t.Fatalf("replies: got %v, want %v", c.replies, want)
	}
	for i := range want {
		if c.replies[i] != want[i] {
			c.t.Errorf("reply %d: got %+v, want %+v", i, c.replies[i], want[i])
		}
	}
	c.replies = nil
}

func (c *cluster) number(n dsv.Name) float64 {
	x, _ := c.set.Var(n).Read().Number()
	return x
}

var app = []service.Config{{Name: "app", On: []int{0}}}

func TestBlocks(t *testing.T) {
	gigabit := machine.LinkConfig{Delay: 2 * time.Millisecond, Rate: 8_000_000} // 1 KB a ms
	disk := machine.Config{Disk: machine.DiskConfig{Seek: time.Millisecond, Rate: 1_000_000, Sync: 3 * time.Millisecond}}
	for _, tt := range []struct {
		name, src string
		m         machine.Config
		at        dsv.Instant
		status    int
		n         int64
	}{
		{"cpu and reply", "cpu 5ms reply 10B", machine.Config{}, 5 * ms, 200, 10},
		{"speed", "cpu 5ms", machine.Config{CPU: machine.CPUConfig{Speed: 2}}, 2500 * ms / 1000, 200, 0},
		{"no reply is an empty one", "cpu 1ms", machine.Config{}, ms, 200, 0},
		{"tail work comes after the reply", "reply 1B cpu 9ms", machine.Config{}, 0, 200, 1},
		{"two in parallel on one core", "par { cpu 2ms cpu 3ms }", machine.Config{}, 5 * ms, 200, 0},
		{"two in parallel on two cores", "par { cpu 2ms cpu 3ms }", machine.Config{CPU: machine.CPUConfig{Cores: 2}}, 3 * ms, 200, 0},
		{"sharing", "par { cpu 2ms cpu 3ms }", machine.Config{CPU: machine.CPUConfig{Discipline: machine.PS}}, 5 * ms, 200, 0},
		{"link delay counts both ways, rate once", "reply 3KB", machine.Config{Link: gigabit}, 7 * ms, 200, 3000},
		{"disk seeks, reads and synchronises", "disk read 2KB disk write 1KB sync", disk, 8 * ms, 200, 0},
		{"wait uses nothing", "par { wait 4ms cpu 4ms }", machine.Config{}, 4 * ms, 200, 0},
		{"fail", "cpu 1ms fail 1", machine.Config{}, ms, 500, 0},
		{"timeout withdraws", "timeout 2ms { cpu 10ms }", machine.Config{}, 2 * ms, 500, 0},
		{"retry after a timeout", "retry 2 { timeout 2ms { cpu 10ms } }", machine.Config{}, 6 * ms, 500, 0},
		{"lock", "par { lock a { wait 2ms } lock a { wait 3ms } lock b { wait 1ms } }", machine.Config{}, 5 * ms, 200, 0},
		{"memory waits", "par { memory 6B { wait 2ms } memory 6B { wait 3ms } }", machine.Config{Memory: 10}, 5 * ms, 200, 0},
		{"more memory than there is", "memory 11B { wait 2ms }", machine.Config{Memory: 10}, 0, 500, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := newCluster(t, app, tt.m)
			c.arrive(0, 0, 0, 1, 7, tt.src)
			c.expect(50*ms, reply{7, tt.at, tt.status, tt.n})
			if n := c.hosts[0].InFlight(); n != 0 {
				t.Errorf("in flight in the end: got %d, want 0", n)
			}
		})
	}
}

func TestLateStepDoesNotReorder(t *testing.T) {
	c := newCluster(t, app, machine.Config{})
	c.arrive(0, 0, 0, 1, 1, "cpu 3ms")
	c.arrive(ms, 0, 0, 1, 2, "cpu 3ms")
	// The second input comes 40 ms late; the first two ended when they ended.
	c.arrive(40*ms, 0, 0, 1, 3, "cpu 3ms")
	c.expect(50*ms, reply{1, 3 * ms, 200, 0}, reply{2, 6 * ms, 200, 0}, reply{3, 43 * ms, 200, 0})
}

func TestCallsToOthersAndToItself(t *testing.T) {
	services := []service.Config{{Name: "web", On: []int{0}}, {Name: "app", On: []int{1}}, {Name: "log", On: []int{0}}}
	link := machine.LinkConfig{Delay: ms5}
	c := newCluster(t, services, machine.Config{Link: link}, machine.Config{Link: link})
	// In 5, out 5, in 5, 4 of work, out 5, in 5, out 5; the log is on this very server and crosses no link.
	c.arrive(0, 0, 0, 1, 1, "call log { cpu 1ms } call app { cpu 4ms reply 9B } reply 2B")
	c.expect(100*ms, reply{1, 35 * ms, 200, 2})
	c.arrive(200*ms, 0, 0, 1, 2, "call app { fail 1 }")
	c.expect(300*ms, reply{2, 230 * ms, 500, 0})
}

const ms5 = 5 * time.Millisecond

func TestWhoIsBehindWaits(t *testing.T) {
	c := newCluster(t, app, machine.Config{}, machine.Config{})
	c.arrive(0, 1, 0, 1, 1, "cpu 1ms") // not here
	c.expect(ms, reply{1, 0, 421, 1})
	c.arrive(2*ms, 1, 0, 2, 2, "cpu 1ms") // the caller knows more than the server
	c.expect(9 * ms)
	c.remap(10*ms, 0, service.Mapping{Epoch: 2, At: 12 * ms, Replicas: []service.Replica{{Server: "server_2", State: service.Serving}}})
	c.expect(50*ms, reply{2, 13 * ms, 200, 0})
}

func TestActionIsAcknowledged(t *testing.T) {
	size := machine.Bytes(1_000_000)
	services := []service.Config{{Name: "app", On: []int{0}, Size: size}}
	link := machine.Config{Link: machine.LinkConfig{Rate: 80_000_000}} // 10 KB a ms: 100 ms for the copy
	c := newCluster(t, services, link, link)
	copying := service.Mapping{Epoch: 2, Replicas: []service.Replica{
		{Server: "server_1", State: service.Serving}, {Server: "server_2", State: service.Copying},
	}}
	c.remap(0, 0, copying)
	if got := c.number("server_2.app.ready"); got != 2 {
		t.Errorf("ready: got epoch %v, want 2", got)
	}
	// A reply waits for one chunk of the copy at most.
	c.arrive(10*ms, 0, 0, 2, 1, "reply 10KB")
	c.driver.Run(30 * ms)
	if len(c.replies) != 1 || c.replies[0].at > 18*ms {
		t.Errorf("reply during the copy: got %+v, want one by 18 ms", c.replies)
	}
	c.replies = nil
	c.driver.Run(100 * ms)
	if got := c.number("server_1.app.copied"); got != 0 {
		t.Errorf("copied before its time: got epoch %v, want 0", got)
	}
	c.driver.Run(102 * ms)
	if got := c.number("server_1.app.copied"); got != 2 {
		t.Errorf("copied: got epoch %v, want 2", got)
	}
	c.arrive(200*ms, 0, 0, 2, 2, "cpu 50ms")
	moved := service.Mapping{Epoch: 3, Replicas: []service.Replica{
		{Server: "server_2", State: service.Serving}, {Server: "server_1", State: service.Draining},
	}}
	c.remap(210*ms, 0, moved)
	c.driver.Run(249 * ms)
	if got := c.number("server_1.app.drained"); got != 0 {
		t.Errorf("drained with work in flight: got epoch %v, want 0", got)
	}
	c.expect(260*ms, reply{2, 250 * ms, 200, 0})
	if got := c.number("server_1.app.drained"); got != 3 {
		t.Errorf("drained: got epoch %v, want 3", got)
	}
}

func TestCancelOnClose(t *testing.T) {
	for _, cancel := range []bool{false, true} {
		set, err := dmm.NewSet(1, 1, nil)
		if err != nil {
			t.Fatal(err)
		}
		topo := &service.Topology{Servers: []string{"server_1"}, Services: []string{"app"}}
		h := service.NewHost(service.HostConfig{Topology: topo, Services: app, CancelOnClose: cancel}, set.Var)
		b, _ := rdr.ParseBlock("test", []byte("cpu 10ms"), rdr.Limits{})
		h.Arrive(0, &service.Request{Service: -1, Block: b}, 1)
		h.Arrive(0, &service.Request{Service: -1, Block: b}, 2)
		h.Close(ms, 1)
		h.Advance(30 * ms)
		last := dsv.Instant(0)
		for _, e := range h.Effects() {
			if e.Key == 2 {
				last = e.At
			}
		}
		want := 20 * ms
		if cancel {
			want = 11 * ms // the first was withdrawn after 1 ms
		}
		if last != want {
			t.Errorf("cancel %v: second reply at %v, want %v", cancel, last, want)
		}
	}
}
