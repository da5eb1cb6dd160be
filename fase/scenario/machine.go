package scenario

import (
	"fmt"
	"slices"
	"time"

	"github.com/eve-emulation/eve/dmm"
	"github.com/eve-emulation/eve/dsv"
	"github.com/eve-emulation/eve/fase/machine"
	"github.com/eve-emulation/eve/fase/service"
)

// memory is a size, or a mapping that says more.
func memory(s *rawServer) value {
	fields := []field{
		{key: "size", value: amount(&s.memory, sizeUnit(), bounds{1, 1 << 50, "at least 1B; leave it out for no limit"}), need: true, help: "how much there is"},
		{key: "full", value: choice(&s.full, machine.Fulls()...), def: machine.Fulls()[0], help: "what happens to a request for which there is not enough: it waits, it fails, or the request that holds the most (itself, if that would) is killed, as by the kernel's out-of-memory killer: its caller sees its connection reset"},
	}
	inner := object("memory", fields)
	inner.shape.name = "size, or mapping"
	inner.shape.or = fields[0].value.schema()
	return value{inner.shape, func(r *reader, n *node) {
		switch {
		case n.src == nil && n.kind == nullNode: // not written: no limit
		case n.kind == scalarNode:
			fields[0].value.read(r, n)
		default:
			inner.read(r, n)
		}
	}}
}

// rawPool is `pool:` of a service.
type rawPool struct {
	at             *node
	threads, queue spot[int]
}

func poolFields(p *rawPool) []field {
	return []field{
		{key: "threads", value: whole(&p.threads, 1, service.MostThreads), need: true, help: "how many workers"},
		{key: "queue", value: whole(&p.queue, 1, 1_000_000), help: "how many requests wait for a worker; those beyond are answered 503; without it there is no bound"},
	}
}

// rawOverhead is `overhead:` of a service.
type rawOverhead struct {
	at         *node
	delay, cpu spot[time.Duration]
}

func overheadFields(o *rawOverhead) []field {
	return []field{
		{key: "delay", value: duration(&o.delay, 0, false), def: "0s", help: "from sending a request to its arrival; nobody works meanwhile"},
		{key: "cpu", value: duration(&o.cpu, 0, false), def: "0s", help: "processor time, with the first `cpu` of each execution"},
	}
}

// hardware checks that what is written of a machine fits together.
func (c *compiler) hardware(s *rawServer) {
	if s.preempt.v {
		if d, _ := machine.ParseDiscipline(s.discipline.v); !d.Ranked() {
			c.at(s.preempt.at, fmt.Sprintf("under %s no request goes before another one that could be interrupted", d), "choose discipline: priority, sjf or edf, or leave `preempt` out")
		}
	}
	if s.jitter.v > s.delay.v && s.jitter.written() {
		c.at(s.jitter.at, fmt.Sprintf("a jitter of %v is more than the delay of %v: messages would come before they were sent", s.jitter.v, s.delay.v), "make it at most the delay")
	}
}

// quota checks that the servers of one process have one quota where the kernel is to see to it, because that is the process's.
func (c *compiler) quota(s *Server, raw *rawServer) {
	burns := s.Machine.Run == machine.Burn
	for i := range c.plan.Servers {
		o := &c.plan.Servers[i]
		if o.Process != s.Process || o.Machine.CPU.Quota == s.Machine.CPU.Quota || !burns && o.Machine.Run != machine.Burn {
			continue
		}
		at := raw.quota.at
		if at == nil {
			at = raw.process.at
		}
		c.at(at, fmt.Sprintf("%s and %s share the process %s, but not the quota", o.Name, s.Name, s.Process),
			"the kernel limits whole processes: give both the same `quota`, or each a process of its own")
		return
	}
}

// locks lists the locks that requests name, to be measured at each server: any service may come to it.
func (c *compiler) locks() {
	var locks []string
	for i := range c.plan.Clients {
		for _, b := range c.plan.Clients[i].Requests() {
			locks = append(locks, b.Locks()...)
		}
	}
	slices.Sort(locks)
	locks = slices.Compact(locks)
	for i := range c.plan.Servers {
		c.plan.Servers[i].Locks = locks
	}
}

// split is how long jobs were at a station, in two parts.
func (s *standard) split(owners []string, name, where string) {
	for _, v := range []string{"wait", "service"} {
		spec := dmm.Spec{Name: dsv.Name(name + "." + v), Manipulator: "histogram", Sync: dmm.Trigger{Every: time.Second}}
		s.put(owners, spec, "s", "time of "+v+" "+where)
	}
}

// locks measures the locks of a server.
func (s *standard) locks(x string) {
	own := []string{x}
	for _, l := range s.plan.Servers[s.plan.Topology.Server(x)].Locks {
		n := string(service.LockName(x, l, ""))
		s.add(own, "mean", n+".utilisation", "1", "share of the time that the lock "+l+" is held")
		s.add(own, "mean", n+".queue", "1", "those that hold the lock "+l+" or wait for it, weighted by time")
		s.split(own, n, "at the lock "+l)
	}
}

// pool measures the workers of a service.
func (s *standard) pool(name string, hosts []string) {
	if s.plan.Services[s.plan.Topology.Service(name)].Pool.Threads == 0 {
		return
	}
	n := name + ".pool"
	s.add(hosts, "mean", n+".utilisation", "1", "share of the workers in use, weighted by time, of all servers that hold it")
	s.add(hosts, "mean", n+".queue", "1", "requests that hold a worker or wait for one, at a server in the mean, weighted by time")
	s.split(hosts, n, "at the workers of "+name)
	v := threads()
	s.put(nil, dmm.Spec{Name: dsv.Name(name + "." + v.Name), Manipulator: "last", Sync: dmm.Trigger{Change: 1e-9}}, v.Unit, v.Help)
}

// losses counts what a server could not do, where it is bounded.
func (s *standard) losses(x string) {
	m, own := s.plan.Servers[s.plan.Topology.Server(x)].Machine, []string{x}
	if m.Disk.Queue > 0 {
		s.add(own, "count", string(service.RefusedName(x)), "1", "accesses that found the queue of the disk full")
	}
	if m.Memory > 0 {
		s.add(own, "count", string(service.ShortName(x)), "1", "requests that failed because there was not enough memory")
		s.add(own, "count", string(service.KilledName(x)), "1", "requests that were killed because there was not enough memory")
	}
	if m.Link.Loss > 0 {
		s.add(own, "count", string(service.LostName(x)), "1", "messages that the link lost")
	}
}
