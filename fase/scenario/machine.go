package scenario

import (
	"fmt"

	"github.com/eve-emulation/eve/fase/machine"
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
		{key: "threads", value: whole(&p.threads, 1, 1_000_000), need: true, help: "how many workers"},
		{key: "queue", value: whole(&p.queue, 1, 1_000_000), help: "how many requests wait for a worker; those beyond are answered 503; without it there is no bound"},
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
