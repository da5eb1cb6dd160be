package scenario

import (
	"fmt"
	"net"
	"slices"
	"strconv"

	"github.com/eve-emulation/eve/fase/machine"
	"github.com/eve-emulation/eve/fase/service"
)

func (c *compiler) servers() {
	topo := &service.Topology{}
	c.plan.Topology = topo
	for _, n := range c.raw.servers {
		topo.Servers = append(topo.Servers, n.name)
	}
	for i, n := range c.raw.servers {
		s := Server{
			HostConfig: service.HostConfig{
				Node: i, Machine: n.v.machine(), Topology: topo, Accrue: serverPeriod(len(c.raw.servers)),
				CancelOnClose: n.v.onClose.v == "on-close", Standby: n.v.state.v == "standby", Boot: n.v.boot.v,
			},
			Name: n.name, Process: n.name, Engine: n.v.engine.kind.v, Reactors: n.v.reactors.v, Listen: n.v.listen.v, Cost: n.v.cost.v,
		}
		if n.v.process.written() {
			s.Process = n.v.process.v
			if !validName(s.Process) {
				c.at(n.v.process.at, fmt.Sprintf("%q is not a name", clip(s.Process)), "write small letters, digits and _")
			}
		}
		e := n.v.engine
		s.Threads, s.Helpers, s.Queue, s.Backlog = e.threads.v, e.helpers.v, e.queue.v, e.backlog.v
		s.Stages = c.stages(&e.stages)
		if s.Engine == "pool" && s.Threads == 0 {
			s.Threads = poolThreads
		}
		if s.Engine == "pool" {
			s.Workers = s.Threads // that of the engine is the same bound, where there is an engine
		}
		c.engine(&n.v)
		c.hardware(&n.v)
		c.admission(&s, &n.v)
		s.Via = c.via(n.v.via)
		c.listen(n.v.listen)
		c.quota(&s, &n.v)
		c.plan.Servers = append(c.plan.Servers, s)
	}
}

func (s *rawServer) machine() machine.Config {
	cfg := machine.Config{
		CPU:    machine.CPUConfig{Cores: s.cpus.v, Speed: s.speed.v},
		Disk:   machine.DiskConfig{Seek: s.seek.v, Rate: machine.Bytes(s.diskRate.v), Sync: s.sync.v, Direct: s.direct.v, Depth: s.engine.depth(), Queue: s.diskQueue.v},
		Memory: machine.Bytes(s.memory.v),
		Link: machine.LinkConfig{
			Delay: s.delay.v, Rate: machine.BitRate(s.linkRate.v), Jitter: s.jitter.v, Loss: s.loss.v,
		},
	}
	if cfg.Link.Loss > 0 {
		cfg.Link.RTO = s.rto.v
	}
	cfg.CPU.Preempt, cfg.CPU.Quota = s.preempt.v, s.quota.v
	cfg.Full, _ = machine.ParseFull(s.full.v)
	if s.run.v == "burn" {
		cfg.Run = machine.Burn
	}
	cfg.CPU.Discipline, _ = machine.ParseDiscipline(s.discipline.v) // without one: the default
	return cfg
}

// listen checks an address that was written.
func (c *compiler) listen(s spot[string]) {
	if !s.written() {
		return
	}
	host, port, err := net.SplitHostPort(s.v)
	n, bad := strconv.ParseUint(port, 10, 16)
	if err != nil || bad != nil || host == "" && n == 0 {
		c.at(s.at, fmt.Sprintf("%q is not an address", clip(s.v)), "write HOST:PORT, such as 127.0.0.1:8080")
	}
}

func (c *compiler) services() {
	topo := c.plan.Topology
	for _, n := range c.raw.services {
		topo.Services = append(topo.Services, n.name)
		cfg := service.Config{
			Name: n.name, Size: machine.Bytes(n.v.size.v), FailEmpty: n.v.empty.v == "fail", StopToMove: n.v.move.v == "stopped",
			Pool:   service.PoolConfig{Threads: n.v.pool.threads.v, Queue: n.v.pool.queue.v},
			Health: n.v.health.config(), Overhead: service.Overhead{Delay: n.v.overhead.delay.v, CPU: n.v.overhead.cpu.v},
		}
		c.balanced(&cfg, &n.v.balance)
		if len(n.v.on) == 0 && n.node.get("on") != nil {
			c.at(n.at, fmt.Sprintf("service %s is on no server", n.name), "write on: [SERVER]")
		}
		at := c.places(&cfg, n.v.on)
		c.replicas(&cfg, &n.v.replicas)
		c.weights(&cfg, n.v.weights)
		for k, i := range cfg.On {
			if c.plan.Servers[i].Standby {
				c.at(at[k], fmt.Sprintf("server %s is on standby: it carries nothing at the start", topo.Servers[i]), "remove its `state: standby`, or let a rule replicate the service there")
			}
		}
		c.plan.Services = append(c.plan.Services, cfg)
	}
}

// places reads the servers of a service, and returns where each is written.
func (c *compiler) places(cfg *service.Config, on []spot[string]) (at []*node) {
	for _, s := range on {
		servers := c.plan.Called(s.v)
		if servers == nil {
			c.at(s.at, fmt.Sprintf("there is no server %q", clip(s.v)), didYouMean(s.v, c.serverNames()))
		}
		for _, i := range servers {
			if slices.Contains(cfg.On, i) {
				c.at(s.at, fmt.Sprintf("service %s is on %s twice", cfg.Name, c.plan.Topology.Servers[i]), "")
			}
			cfg.On = append(cfg.On, i)
			at = append(at, s.at)
		}
	}
	return at
}

func plainTexts(ts []spot[string]) []string {
	var out []string
	for _, t := range ts {
		out = append(out, t.v)
	}
	return out
}
