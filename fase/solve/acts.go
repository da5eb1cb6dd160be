package solve

import (
	"fmt"
	"math"

	"github.com/eve-emulation/eve/fase/machine"
	"github.com/eve-emulation/eve/fase/scenario"
	"github.com/eve-emulation/eve/fase/service"
	"github.com/eve-emulation/eve/rdr"
)

// entry returns that of a block in a frame, made once for all who call it alike.
func (b *builder) entry(block *rdr.Block, steps []rdr.Step, f frame, from int) *entry {
	key := entryKey{block, f.service, f.class, -1, f.local, f.inv}
	if f.service >= 0 && b.plan.Services[f.service].Balance == service.Local {
		key.from = from
	}
	if e := b.entries[key]; e != nil {
		return e
	}
	e := &entry{service: f.service, class: f.class, local: f.local == 1}
	if f.service >= 0 {
		f.inv = b.holds(e, f)
	}
	e.root = b.sequence(steps, &f)
	e.id = len(b.net.entries)
	b.entries[key] = e
	b.net.entries = append(b.net.entries, e)
	return e
}

// holds finds what a request at a service holds from its start to its end, and returns how many can be there at once: one over it.
func (b *builder) holds(e *entry, f frame) float64 {
	inv := f.inv
	var gate, pool []visit
	bound := 0.0 // how many the gates let in
	for _, p := range f.dist {
		s := &b.plan.Servers[b.kinds[p.kind][0]]
		e.delay += p.share * s.Admit.Delay.Seconds()
		n := s.Admit.Limit
		if s.Workers > 0 && (n == 0 || s.Workers < n) {
			n = s.Workers
		}
		if n == 0 {
			bound = math.Inf(1)
			continue
		}
		bound += float64(n * len(b.kinds[p.kind]))
		k := b.station(p.kind, "admit", func(st *station) {
			st.kind, st.servers, st.room, st.order = Pool, n, s.Admit.Queue, orderOf(s.Admit.Policy)
		})
		gate = append(gate, visit{station: k, share: p.share})
	}
	if gate != nil {
		e.hold = append(e.hold, hold{gate})
		inv = max(inv, 1/bound)
	}
	if cfg := &b.plan.Services[f.service]; cfg.Pool.Threads > 0 {
		total := 0
		for _, p := range f.dist {
			total += cfg.Pool.Threads * len(b.kinds[p.kind])
			k := b.station(p.kind, cfg.Name+".pool", func(st *station) {
				st.kind, st.servers, st.room = Pool, cfg.Pool.Threads, cfg.Pool.Queue
				st.tier, st.where = cfg.Name+".pool", b.plan.Where("services."+cfg.Name+".pool")
				if len(b.plan.Services[f.service].On) == 1 {
					st.names = []string{cfg.Name + ".pool"}
				}
			})
			pool = append(pool, visit{station: k, share: p.share})
		}
		e.hold = append(e.hold, hold{pool})
		inv = max(inv, 1/float64(max(total, 1)))
	}
	return inv
}

func (b *builder) act(v verb) *act {
	b.net.acts++
	return &act{verb: v, id: b.net.acts - 1}
}

// sequence makes the acts of statements one after the other.
func (b *builder) sequence(steps []rdr.Step, f *frame) *act {
	a := b.act(doSeq)
	for i := range steps {
		if x := b.step(&steps[i], f); x != nil {
			a.body = append(a.body, x)
		}
	}
	return a
}

// step makes the act of one statement; nil for none.
func (b *builder) step(s *rdr.Step, f *frame) *act {
	switch s.Verb {
	case rdr.VerbCPU, rdr.VerbRead, rdr.VerbWrite, rdr.VerbFile:
		return b.demand(s, f)
	case rdr.VerbReply, rdr.VerbSendFile:
		return b.reply(s, f)
	case rdr.VerbWait:
		a := b.act(doWait)
		a.amount = of(s.Amount, 1, 0)
		return a
	case rdr.VerbCall:
		return b.call(s, f)
	case rdr.VerbHTTP:
		b.real(s)
		return nil
	case rdr.VerbMemory:
		b.memory(s, f)
		return b.sequence(s.Body, f)
	case rdr.VerbSeq:
		return b.sequence(s.Body, f)
	case rdr.VerbFail:
		a := b.act(doFail)
		a.p = []float64{s.P}
		return a
	case rdr.VerbPriority, rdr.VerbDeadline:
		return nil
	}
	return b.control(s, f)
}

// control makes the acts of statements with bodies.
func (b *builder) control(s *rdr.Step, f *frame) *act {
	switch s.Verb {
	case rdr.VerbPar, rdr.VerbFork:
		a := b.act(doPar)
		if s.Verb == rdr.VerbFork {
			a.verb = doFork
		}
		for i := range s.Body {
			if x := b.step(&s.Body[i], f); x != nil {
				a.body = append(a.body, x)
			}
		}
		if a.verb == doFork {
			inner := b.act(doSeq)
			inner.body, a.body = a.body, []*act{inner}
		} else {
			b.noteAt(s, "the branches of par are taken for independent, each of a gamma law of its mean and deviation", "10 % of the response, most where a branch queues behind its siblings")
		}
		return a
	case rdr.VerbChoose:
		a := b.act(doChoose)
		for _, arm := range s.Arms {
			a.p = append(a.p, arm.P)
			a.body = append(a.body, b.sequence(arm.Body, f))
		}
		return a
	case rdr.VerbLevel:
		return b.sequence(b.level(s, f), f)
	case rdr.VerbRepeat, rdr.VerbRetry:
		a := b.act(doRepeat)
		if s.Verb == rdr.VerbRetry {
			a.verb = doRetry
		}
		a.amount, a.count, a.body = of(s.Amount, 1, 0), s.Count, []*act{b.sequence(s.Body, f)}
		return a
	case rdr.VerbTimeout:
		a := b.act(doTimeout)
		a.amount, a.body = of(s.Amount, 1, 0), []*act{b.sequence(s.Body, f)}
		b.noteAt(s, "what outlasts its timeout is taken to have done all of its work", "a few percent while few do; unknown where most do")
		return a
	case rdr.VerbLock:
		return b.lock(s, f)
	}
	return nil
}

// level is the branch of the level that is in force.
func (b *builder) level(s *rdr.Step, f *frame) []rdr.Step {
	if b.o.Level != nil && f.service >= 0 {
		want := b.o.Level(b.net.services[f.service])
		for _, arm := range s.Arms {
			if arm.Name == want {
				return arm.Body
			}
		}
	}
	return s.Arms[0].Body
}

// lock makes a critical section: a station of one that is held, at each server.
func (b *builder) lock(s *rdr.Step, f *frame) *act {
	a := b.act(doLock)
	inner := *f
	copies := 0
	for _, p := range f.dist {
		k := b.station(p.kind, "lock."+s.Name, func(st *station) { st.kind = Lock })
		a.visits = append(a.visits, visit{station: k, share: p.share})
		copies += len(b.kinds[p.kind])
	}
	inner.inv = max(f.inv, 1/float64(max(copies, 1)))
	a.body = []*act{b.sequence(s.Body, &inner)}
	return a
}

// memory notes what is not treated of memory.
func (b *builder) memory(s *rdr.Step, f *frame) {
	for _, p := range f.dist {
		if b.machine(p.kind).Memory > 0 {
			b.notes.add(where(b.plan.Place(*s, "", "")), "that memory may be full", LeftOut, "nothing while it is not: compare what is held at once with what there is")
			return
		}
	}
}

// demand makes a visit to processors or disks.
func (b *builder) demand(s *rdr.Step, f *frame) *act {
	a := b.act(doDemand)
	a.inv = f.inv
	if s.Verb != rdr.VerbFile && s.Amount.Mean == 0 {
		return nil
	}
	if math.IsInf(s.Amount.Second, 1) {
		b.noteAt(s, "the demand has no variance: by theory what waits behind it waits without bound in the mean; it is cut off at 30 times the mean", "unknown: the mean of a run depends on its longest request")
		m := s.Amount.Mean
		s.Amount.Second = min(s.Amount.Second, 30*m*m)
		s.Amount.Third = min(s.Amount.Third, 900*m*m*m)
	}
	for _, p := range f.dist {
		m := b.machine(p.kind)
		v := visit{share: p.share}
		switch s.Verb {
		case rdr.VerbCPU:
			v.station, v.unit = b.cpu(p.kind), 1/service.Speed(m.CPU)
			v.moments, v.size = of(s.Amount, v.unit, 0), &s.Amount
		case rdr.VerbFile:
			if v.station = b.disk(p.kind); !b.file(&v, s, p.kind) {
				continue
			}
		default:
			more := m.Disk.Seek.Seconds()
			if s.Sync {
				more += m.Disk.Sync.Seconds()
			}
			v.station, v.moments = b.disk(p.kind), of(s.Amount, 1/diskRate(m), more)
		}
		a.visits = append(a.visits, v)
	}
	return a
}

// disk is the disk of a kind of servers: of those whose loops wait for it themselves, the line of their processors.
func (b *builder) disk(kind int) int {
	if b.looped(kind) {
		s := b.plan.Servers[b.kinds[kind][0]].Name
		b.notes.add(b.plan.Where("servers."+s), "event loops of "+s+" wait for the disk themselves: processors and disk are one line, told as "+s+".cpu", Approximated, "10 % of the wait, where demands of the two differ")
		return b.cpu(kind)
	}
	return b.station(kind, "disk", func(s *station) { s.room = b.machine(kind).Disk.Queue })
}

// looped reports whether servers consume what is asked of them in event loops that do nothing else while they read.
func (b *builder) looped(kind int) bool {
	m := b.machine(kind)
	return m.Run == machine.Burn && m.CPU.Discipline == machine.FCFS && scenario.Looped(b.plan.Servers[b.kinds[kind][0]].Engine)
}

// file is the disk's part of getting a file: the misses of the cache in the long run.
func (b *builder) file(v *visit, s *rdr.Step, kind int) bool {
	m := b.machine(kind)
	for i, set := range b.plan.Files {
		if set.Name() != s.Name {
			continue
		}
		hit := set.HitRatio(int64(b.plan.Servers[b.kinds[kind][0]].Cache))
		miss := 1 - hit.Requests
		if !(miss > 1e-9) {
			return false
		}
		x := b.files[i]
		grow := (1 - hit.Bytes) / miss // those that miss are of another size in the mean
		rate := diskRate(m) / grow
		seek := m.Disk.Seek.Seconds()
		m1, m2, m3 := x.m1/rate, x.m2/rate/rate, x.m3/rate/rate/rate
		v.share *= miss
		v.moments = moments{m1 + seek, m2 + 2*seek*m1 + seek*seek, m3 + 3*seek*m2 + 3*seek*seek*m1 + seek*seek*seek, seek}
		b.noteAt(s, "the cache's hits are those of independent requests once it is full (Che, Tung, Wang 2002), and each miss reads by itself", "2 % of the hits; more while the cache fills, or where many wait for one file")
		return true
	}
	return false
}

// reply makes the way of an answer over the server's link.
func (b *builder) reply(s *rdr.Step, f *frame) *act {
	a := b.act(doReply)
	a.inv = f.inv
	for _, p := range f.dist {
		m := b.machine(p.kind)
		if m.Link.Rate <= 0 || f.local == 1 {
			continue
		}
		size := of(s.Amount, 1, 0)
		if s.Verb == rdr.VerbSendFile {
			for i, set := range b.plan.Files {
				if set.Name() == s.Name {
					size = b.files[i]
				}
			}
		}
		if size.m1 == 0 {
			continue
		}
		per := 8 / float64(m.Link.Rate)
		a.visits = append(a.visits, visit{
			station: b.link(p.kind), share: p.share * (1 - f.local),
			moments: moments{size.m1 * per, size.m2 * per * per, size.m3 * per * per * per, size.least * per},
		})
	}
	return a
}

func (b *builder) link(kind int) int { return b.station(kind, "link", func(*station) {}) }

// call makes a call: over the caller's link, with the delays of both ends, into the entry of the block there.
func (b *builder) call(s *rdr.Step, f *frame) *act {
	to := b.plan.Topology.Service(s.Name)
	if s.Block == nil || to < 0 {
		return nil
	}
	if to >= len(b.plan.Services)-len(b.plan.Targets) {
		b.real(s)
		return nil
	}
	a := b.act(doCall)
	a.inv = f.inv
	local := b.together(f.service, to)
	inner := frame{service: to, inv: f.inv, local: local, dist: b.places(to)}
	cfg := &b.plan.Services[to]
	if cfg.Balance == service.Local && local == 1 {
		inner.dist = f.dist
	}
	steps := s.Block.Outline()
	c := b.net.classes[f.class]
	inner.class = b.class(c.group, priorityOf(steps, c.priority))
	delay := 0.0
	for _, p := range f.dist {
		m := b.machine(p.kind)
		delay += p.share * b.crossing(p.kind)
		if m.Link.Rate > 0 && s.Amount.Mean > 0 && local < 1 {
			v := visit{station: b.link(p.kind), share: p.share * (1 - local), moments: of(s.Amount, 8/float64(m.Link.Rate), 0)}
			a.visits = append(a.visits, v)
		}
	}
	for _, p := range inner.dist {
		delay += p.share * b.crossing(p.kind)
	}
	a.amount = constant(2 * delay * (1 - local))
	if local > 0 && local < 1 {
		a.amount.least = 0
	}
	a.entry = b.entry(s.Block, steps, inner, f.service)
	return a
}

// crossing is what a message's way over a link takes beside its rate: the delay, and time-outs of what is lost.
func (b *builder) crossing(kind int) float64 {
	l := &b.machine(kind).Link
	d := l.Delay.Seconds()
	if l.Loss > 0 {
		rto := l.RTO.Seconds()
		if rto <= 0 {
			rto = 0.2
		}
		p, sum := l.Loss, 0.0
		for range 15 {
			sum += p * rto
			p, rto = p*l.Loss, min(2*rto, 120)
		}
		d += sum
	}
	return d
}

// diskRate is bytes per second.
func diskRate(m *machine.Config) float64 {
	if m.Disk.Rate <= 0 {
		return 500e6 // as the emulated disk has it
	}
	return float64(m.Disk.Rate)
}

// real refuses a statement that asks a real target, the first of a scenario.
func (b *builder) real(s *rdr.Step) {
	if len(b.errs) == 0 {
		b.errs = append(b.errs, b.plan.Place(*s, fmt.Sprintf("%s asks a real target, whose demands are not in the scenario: it cannot be solved", s.Name), "measure them by eve fit, and solve what that writes"))
	}
}
