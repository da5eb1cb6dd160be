package service

import (
	"slices"

	"github.com/eve-emulation/eve/dmm"
	"github.com/eve-emulation/eve/dsv"
	"github.com/eve-emulation/eve/fase/admit"
	"github.com/eve-emulation/eve/fase/files"
	"github.com/eve-emulation/eve/fase/machine"
	"github.com/eve-emulation/eve/fase/step"
)

// power is whether a server runs.
type power uint8

const (
	powerUp power = iota
	powerOff
	powerBooting // after a repair, or because a service comes to a standby server
	powerDown    // crashed
)

// trouble is the faults of a host as they stand.
type trouble struct {
	power   power
	crashes int     // in force
	broken  bool    // it has crashed and is not up again: it refuses connections
	boots   int64   // begun so far: a later one makes an earlier one void
	upFor   float64 // ns since it was measured last
	since   dsv.Instant
	up      *dmm.Var
}

func (h *Host) newTrouble(vars Vars) {
	h.trouble.up = vars(UpName(h.name))
	if h.cfg.Standby {
		h.trouble.power = powerOff
	}
	for i, f := range h.cfg.Faults {
		h.run.Agenda.Push(f.At, Event{Kind: eventFault, N: int64(i)})
	}
}

// Up reports whether the server runs and takes requests.
func (h *Host) Up() bool { return h.trouble.power == powerUp }

// turn changes whether the server runs.
func (h *Host) turn(at dsv.Instant, p power) {
	h.upTo(at)
	h.trouble.power = p
}

func (h *Host) upTo(at dsv.Instant) {
	t := &h.trouble
	if d := at - t.since; d > 0 {
		if t.power == powerUp {
			t.upFor += float64(d)
		}
		t.since = at
	}
}

func (h *Host) accrueUp(at dsv.Instant, d float64) {
	h.upTo(at)
	h.trouble.up.WriteWeighted(at, h.trouble.upFor/1e9, d)
	h.trouble.upFor = 0
}

// befall puts a fault in force.
func (h *Host) befall(at dsv.Instant, i int64) {
	f := &h.cfg.Faults[i]
	if f.Until < dsv.Never {
		h.run.Agenda.Push(f.Until, Event{Kind: eventRepair, N: i})
	}
	if f.Kind == Slow {
		h.slow(at, f.Resource, f.Factor)
		return
	}
	if h.trouble.crashes++; h.trouble.crashes == 1 {
		h.crash(at)
	}
}

// repair ends a fault. A server that had crashed boots.
func (h *Host) repair(at dsv.Instant, i int64) {
	f := &h.cfg.Faults[i]
	if f.Kind == Slow {
		h.slow(at, f.Resource, 1/f.Factor)
		return
	}
	if h.trouble.crashes--; h.trouble.crashes == 0 {
		h.boot(at)
	}
}

// boot starts a server that will be up when its boot time has passed.
func (h *Host) boot(at dsv.Instant) {
	if h.cfg.Boot <= 0 {
		h.rise(at)
		return
	}
	h.turn(at, powerBooting)
	h.trouble.boots++
	h.run.Agenda.Push(at.Add(h.cfg.Boot), Event{Kind: eventBooted, N: h.trouble.boots})
}

// booted is when a boot has come to its end, unless the server has crashed since.
func (h *Host) booted(at dsv.Instant, boot int64) {
	if h.trouble.power == powerBooting && boot == h.trouble.boots {
		h.rise(at)
	}
}

// rise makes the server do what the mappings say that it does. One on standby that holds nothing is off again.
func (h *Host) rise(at dsv.Instant) {
	h.turn(at, powerUp)
	h.trouble.broken = false
	h.effect(step.Effect{At: at, Kind: step.Up, Node: -1})
	for svc := range h.here {
		if m := h.run.Calls.Mapping(svc); m.Epoch > 0 {
			h.assume(at, svc, *m)
		}
	}
	h.idle(at)
}

// wanted reports whether a mapping names this server.
func (h *Host) wanted() bool {
	for svc := range h.here {
		if p := h.run.Calls.Mapping(svc).placed; p != nil && p.replica[h.cfg.Node] > 0 {
			return true
		}
	}
	return false
}

// idle turns a server on standby off that holds nothing any more.
func (h *Host) idle(at dsv.Instant) {
	if h.cfg.Standby && h.trouble.power == powerUp && !h.wanted() {
		h.run.Agenda.Push(at, Event{Kind: eventIdle}) // another mapping of this instant may name it
	}
}

// rest turns a server on standby off that nothing has named meanwhile.
func (h *Host) rest(at dsv.Instant) {
	if h.trouble.power == powerUp && !h.wanted() {
		h.turn(at, powerOff)
	}
}

// wake reports whether the server does its part in mappings at once. A server on standby that a mapping names boots.
func (h *Host) wake(at dsv.Instant) bool {
	if h.trouble.power != powerOff {
		return h.trouble.power == powerUp
	}
	if h.wanted() {
		h.boot(at)
	}
	return false // rise has done it
}

// crash loses whatever the server was doing and what it had in memory. Who waited for an answer sees the connection break.
func (h *Host) crash(at dsv.Instant) {
	h.accrue(at)
	h.turn(at, powerDown)
	h.trouble.broken = true
	h.effect(step.Effect{At: at, Kind: step.Down, Node: -1}) // connections break before anybody could be answered
	for x := range h.visits {
		if h.run.Live(uint32(x)) {
			h.lose(at, uint32(x))
		}
	}
	clear(h.byTag)
	clear(h.byCall)
	for svc := range h.here {
		p := &h.here[svc]
		p.workers = p.workers.replaced()
		p.state, p.since, p.inFlight, p.drain = "", 0, 0, 0
		p.copies, p.left, p.sending = nil, 0, false
		h.early[svc] = nil
		h.quick.mapped(svc, h.run.Calls.Mapping(svc).Epoch, "")
	}
	slowed := h.hw.slowed
	h.hw = newHardware(h.cfg.Machine, h.name, h.cfg.Locks, h.vars)
	for r, factor := range slowed {
		if factor > 0 {
			h.hw.slow(at, r, factor)
		}
	}
	h.empty(at)
	h.run.Calls.forgetHealth()
	if a := &h.adm; a.gate != nil {
		a.gate = admit.New(h.cfg.Admit, h.cfg.Workers, h.cached)
		if n := h.settings.limit; n > 0 {
			a.gate.SetLimit(n)
		}
		a.choosing = false
		clear(a.asked)
	}
}

// lose ends a visit that nobody will answer.
func (h *Host) lose(at dsv.Instant, x uint32) {
	v := h.visits[x]
	unanswered := v.status == 0 || v.replying
	if unanswered {
		h.book(v.req.Service).lost++
	}
	h.visits[x] = visit{}
	if v.onward != 0 {
		h.run.Calls.GiveUp(at, v.onward, Reset)
	}
	h.run.Kill(at, x)
	if unanswered && v.call == 0 {
		h.effect(step.Effect{At: at, Kind: step.Reset, Code: uint16(Reset), Node: -1, Key: v.tag})
	}
}

// unreached turns a request away that comes to a server which is down.
func (h *Host) unreached(at dsv.Instant, tag uint64) {
	h.effect(step.Effect{At: at, Kind: step.Reset, Code: uint16(Refused), Node: -1, Key: tag})
}

// empty empties the cache, and ends the reads under way.
func (h *Host) empty(at dsv.Instant) {
	l := &h.lib
	clear(l.reading)
	for i := range l.reads {
		if r := &l.reads[i]; r.live {
			r.live, r.waiting = false, r.waiting[:0]
			l.free = append(l.free, uint32(i))
		}
	}
	held := l.cache.Objects()
	for o := range l.pins {
		held = append(held, o)
	}
	slices.Sort(held) // a map has no order
	l.cache = files.NewCache(int64(h.cfg.Cache))
	if l.pins == nil {
		return
	}
	clear(l.pins)
	for _, o := range held {
		h.drop(at, o)
	}
}

// slow makes a resource so many times slower than it is.
func (h *Host) slow(at dsv.Instant, resource string, factor float64) {
	h.Advance(at) // what departs at this instant does so at the old speed
	h.accrue(at)
	for r, name := range resourceNames {
		if name == resource {
			h.hw.slow(at, r, factor)
		}
	}
	h.grants(at)
}

// slow changes the speed of a resource's station by a factor. What was served so far counts.
func (hw *hardware) slow(at dsv.Instant, r int, factor float64) {
	hw.slowed[r] = factor / hw.pace(r)
	switch station := []machine.Station{hw.cpu, hw.disk, nil, hw.line()}[r].(type) {
	case *machine.Burner:
		station.Scale(factor)
	case interface{ SetSpeed(dsv.Instant, float64) }:
		speed := hw.pace(r)
		if r == resCPU {
			speed = hw.speed()
		}
		station.SetSpeed(at, speed)
	}
}

// line is the link as a station, nil where it is infinitely fast.
func (hw *hardware) line() machine.Station {
	if hw.link == nil {
		return nil
	}
	return hw.link
}

// pace is the share of its speed that a resource has left.
func (hw *hardware) pace(r int) float64 {
	if hw.slowed[r] == 0 {
		return 1
	}
	return 1 / hw.slowed[r]
}
