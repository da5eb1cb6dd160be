// Package sim runs a scenario in virtual time: it steps the same cores as the live modules do, carries their effects
// from one to the other, and hands what they measure to the same space. A run of it is a function of its plan, to the
// byte.
package sim

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/eve-emulation/eve/dmm"
	"github.com/eve-emulation/eve/dsv"
	"github.com/eve-emulation/eve/fase/adapt"
	"github.com/eve-emulation/eve/fase/machine"
	"github.com/eve-emulation/eve/fase/scenario"
	"github.com/eve-emulation/eve/fase/service"
	"github.com/eve-emulation/eve/fase/step"
	"github.com/eve-emulation/eve/fase/user"
)

// ErrReal reports a scenario that needs something real: a target or a module.
var ErrReal = errors.New("cannot be simulated")

// A Sim is one simulation. It belongs to one goroutine.
type Sim struct {
	plan   *scenario.Plan
	space  dsv.Space
	set    *dmm.Set
	hosts  []*service.Host
	groups []*user.Group
	loop   *adapt.Loop
	driver *step.Calendar

	flights []flight // by tag - 1
	free    []uint64
	tags    map[flight]uint64            // of calls to hosts that withdraw abandoned work
	loads   map[dsv.Name]int             // servers whose load hosts that forward go by
	views   map[dsv.Name]scenario.ViewOf // that balancers read
	deltas  []dsv.Delta
	err     error
	ctx     context.Context
	written dsv.Instant     // when the latest value was written whole
	outside map[int]Outside // controllers that are no cores, by control
	writes  []Write         // that are scheduled, by instant
}

// flight is a call under way: which core made it, under which name.
type flight struct {
	core int
	ref  step.Ref
}

// Check returns ErrReal, with what it is, for a plan that cannot be simulated.
func Check(plan *scenario.Plan) error {
	if len(plan.Targets) > 0 {
		return fmt.Errorf("simulate %s: target %s is a real server: %w", plan.Name, plan.Targets[0].Name, ErrReal)
	}
	if len(plan.Modules) > 0 {
		return fmt.Errorf("simulate %s: module %s is a process of its own: %w", plan.Name, plan.Modules[0].Name, ErrReal)
	}
	return nil
}

// New prepares a simulation that hands every declaration, value and delta to space.
func New(ctx context.Context, plan *scenario.Plan, space dsv.Space) (*Sim, error) {
	if err := Check(plan); err != nil {
		return nil, err
	}
	s := &Sim{plan: plan, space: space, tags: map[flight]uint64{}}
	if c, ok := space.(interface{ SetClock(func() dsv.Instant) }); ok {
		c.SetClock(func() dsv.Instant { return s.written }) // as the kernel stamps what is written to it
	}
	if err := s.declare(ctx); err != nil {
		return nil, err
	}
	s.build()
	return s, nil
}

func (s *Sim) declare(ctx context.Context) error {
	specs := make([]dmm.Spec, 0, len(s.plan.Measures))
	for _, m := range s.plan.Measures {
		specs = append(specs, m.Spec)
	}
	for _, d := range s.plan.Declarations() {
		if err := s.space.Create(ctx, d); err != nil {
			return err
		}
	}
	set, err := dmm.NewLeanSet(1, 1, specs)
	s.set = set
	return err
}

func (s *Sim) build() {
	var cores []step.Core
	for _, c := range s.plan.Servers {
		h := service.NewHost(virtual(c), s.set.Var)
		s.hosts = append(s.hosts, h)
		cores = append(cores, h)
	}
	for _, c := range s.plan.Clients {
		c.Part, c.Parts = 0, 1 // the parts of a group make the same requests as the whole
		g := user.NewGroup(c, s.set.Var)
		s.groups = append(s.groups, g)
		cores = append(cores, g)
	}
	s.loads, s.views = s.plan.Loads(), s.plan.Views()
	s.loop = adapt.NewLoop(s.plan.Adapt)
	cores = append(cores, s.loop, &clockwork{s}, &marker{s, s.plan.FaultMarks()}, &syncer{s})
	s.driver = step.NewCalendar(s, cores...)
	s.driver.Watch(len(cores) - 1) // a count, a change or a threshold makes something due at once
}

// virtual is the configuration of a server in virtual time. Demands are met, never consumed; what its engine would do with
// those that it consumes is a matter of the configuration.
func virtual(c scenario.Server) service.HostConfig {
	m := &c.Machine
	m.Loop = m.Run == machine.Burn && m.CPU.Discipline == machine.FCFS && scenario.Looped(c.Engine)
	m.Run = machine.Hold
	c.Overhead = true
	if c.Workers > 0 && c.Admit.Queue == 0 {
		c.Admit.Queue = c.Queue // of the engine's pool: what comes beyond is refused there
	}
	return c.HostConfig
}

// Run steps the simulation from T0 to the end of its plan. Progress, where not nil, is called about once a virtual
// second. On an error, or when ctx ends, everything up to then has been handed to the space.
func (s *Sim) Run(ctx context.Context, progress func(dsv.Instant)) error {
	s.ctx = ctx
	if err := s.connected(); err != nil {
		return err
	}
	for svc, m := range s.plan.Mappings() {
		s.write(0, service.MapName(s.plan.Topology.Services[svc]), dsv.TextValue(m.Encode()))
	}
	for _, i := range s.plan.Initials() {
		s.write(0, i.Name, dsv.FloatValue(i.Value))
	}
	end := dsv.At(s.plan.Duration)
	var at dsv.Instant
	for at < end && s.err == nil && ctx.Err() == nil {
		at = min(at+1e9, end)
		s.driver.Run(at)
		if progress != nil {
			progress(at)
		}
	}
	s.finish(at)
	if s.err != nil {
		return s.err
	}
	return ctx.Err()
}

// finish brings every measurement up to the end, whether it is the planned one or not.
func (s *Sim) finish(at dsv.Instant) {
	s.ctx = context.WithoutCancel(s.ctx)
	for _, h := range s.hosts {
		h.Settle(at)
	}
	for _, g := range s.groups {
		g.Settle(at)
	}
	s.set.Close(at)
	s.sync()
}

// everybody tells the driver that each host and each group has had an input.
func (s *Sim) everybody() {
	for i := range len(s.hosts) + len(s.groups) {
		s.driver.Touch(i)
	}
}

// Events is how many entries of the calendars of servers and client groups have come due so far: arrivals, departures from
// resources, messages that cross a link, timers. It is called between runs, or from the progress of one.
func (s *Sim) Events() uint64 {
	var n uint64
	for _, h := range s.hosts {
		n += h.Events()
	}
	for _, g := range s.groups {
		n += g.Events()
	}
	return n
}

// Route implements step.Router.
func (s *Sim) Route(core int, e step.Effect) {
	switch e.Kind {
	case step.Send, step.Call:
		s.carry(core, e)
	case step.Reply, step.Reset:
		s.answer(e)
	case step.Abandon, step.Withdraw:
		if tag, ok := s.tags[flight{core, e.Ref}]; ok {
			s.driver.Touch(int(e.Node))
			s.hosts[e.Node].Close(e.At, tag)
		}
	case step.Tick:
		s.ask(e)
		s.driver.Touch(core)
	case step.Set:
		name, v := s.loop.Write(e.Ref)
		s.write(e.At, name, v)
	}
}

func (s *Sim) carry(core int, e step.Effect) {
	var r *service.Request
	if core < len(s.hosts) {
		r = s.hosts[core].Request(e.Ref)
	} else {
		g := s.groups[core-len(s.hosts)]
		g.Sent(e.At, e.Ref)
		r = g.Request(e.Ref)
	}
	if r == nil {
		return // given up in the same instant
	}
	f := flight{core, e.Ref}
	tag := uint64(len(s.flights) + 1)
	if n := len(s.free); n > 0 {
		tag = s.free[n-1]
		s.free = s.free[:n-1]
		s.flights[tag-1] = f
	} else {
		s.flights = append(s.flights, f)
	}
	if s.plan.Servers[e.Node].CancelOnClose {
		s.tags[f] = tag
	}
	s.driver.Touch(int(e.Node))
	s.hosts[e.Node].Arrive(e.At, r, tag)
}

func (s *Sim) answer(e step.Effect) {
	f := s.flights[e.Key-1]
	delete(s.tags, f)
	s.free = append(s.free, e.Key)
	a := service.ReplyAnswer(e)
	if e.Kind == step.Reset {
		a = service.Answer{Cause: service.Cause(e.Code)}
	}
	s.driver.Touch(f.core)
	if f.core < len(s.hosts) {
		s.hosts[f.core].Answer(e.At, f.ref, a)
	} else {
		i := f.core - len(s.hosts)
		if most := s.plan.Clients[i].Connections.MaxBody; most > 0 && a.Bytes > most {
			a = service.Answer{Cause: service.Oversized, Bytes: most} // it is cut off
		}
		s.groups[i].Answer(e.At, f.ref, a)
	}
}

// write sets a variable, and tells the cores that watch it.
func (s *Sim) write(at dsv.Instant, name dsv.Name, v dsv.Value) {
	s.written = at
	rev, err := s.space.Write(s.ctx, name, v)
	if err != nil {
		s.fail(err)
		return
	}
	u := dsv.Update{Name: name, Revision: rev, Reading: dsv.Reading{Value: v, Revision: rev, T1: at}}
	s.see(at, u)
	s.tell(at, u)
	if svc, m, ok := s.plan.Topology.Mapping(name, v); ok {
		s.remap(at, svc, m)
		return
	}
	group, setting, _ := strings.Cut(string(name), ".")
	for i := range s.plan.Clients {
		if s.plan.Clients[i].Name == group {
			s.driver.Touch(len(s.hosts) + i)
			s.groups[i].Set(at, at.Add(adapt.Notice), setting, v.Float)
		}
	}
	if i := s.plan.Topology.Server(group); i >= 0 && i < len(s.hosts) {
		s.driver.Touch(i)
		s.hosts[i].Set(at, setting, v.Float)
	}
	if i := s.plan.Topology.Service(group); i >= 0 && setting == service.ThreadsSetting {
		s.everybody()
		for _, h := range s.hosts {
			h.Employ(at, i, v.Float)
		}
	}
}

func (s *Sim) remap(at dsv.Instant, svc int, m service.Mapping) {
	m = s.plan.Topology.Place(m)
	s.everybody()
	for _, h := range s.hosts {
		h.Changed(at, svc, m)
	}
	for _, g := range s.groups {
		g.Changed(at, svc, m)
	}
}

// tell hands a change to the rules.
func (s *Sim) tell(at dsv.Instant, u dsv.Update) {
	s.loop.Changed(at, u)
	s.driver.Touch(len(s.hosts) + len(s.groups))
}

func (s *Sim) fail(err error) {
	if s.err == nil {
		s.err = err
	}
}

// sync hands the deltas that are due to the space, and to the rules.
func (s *Sim) sync() {
	s.deltas = s.set.Take(s.deltas[:0])
	if len(s.deltas) == 0 {
		return
	}
	if err := s.space.Sync(s.ctx, s.deltas); err != nil {
		s.fail(err)
	}
	for i := range s.deltas {
		d := &s.deltas[i]
		if server, ok := s.loads[d.Name]; ok && d.Weight > 0 {
			s.told(d.T1, server, d.Value.Float/d.Weight)
		}
		u := dsv.Update{Name: d.Name, Reading: dsv.Reading{Value: d.Value, Weight: d.Weight, T1: d.T1}, Delta: d}
		s.see(d.T1, u)
		s.tell(d.T1, u)
	}
	clear(s.deltas)
}

// see hands what balancers read to everybody who calls.
func (s *Sim) see(at dsv.Instant, u dsv.Update) {
	v, ok := s.views[u.Name]
	if !ok {
		return
	}
	x, ok := v.Figure(u)
	if !ok {
		return
	}
	s.everybody()
	for _, h := range s.hosts {
		h.See(at, v.View, v.Server, x)
	}
	for _, g := range s.groups {
		g.See(at, v.View, v.Server, x)
	}
}

// told hands a server's load to the hosts that forward requests.
func (s *Sim) told(at dsv.Instant, server int, load float64) {
	for i, h := range s.hosts {
		if i != server {
			s.driver.Touch(i)
			h.Told(at, server, load)
		}
	}
}

// syncer is the core that synchronises what was measured. It comes last, so that at one instant everybody has measured.
type syncer struct{ s *Sim }

func (y *syncer) Next() dsv.Instant {
	if len(y.s.set.Due()) > 0 {
		return y.s.driver.Now()
	}
	return y.s.set.Next()
}

func (y *syncer) Advance(to dsv.Instant) {
	select {
	case <-y.s.set.Due():
	default:
	}
	y.s.set.Advance(to)
	y.s.sync()
}

func (y *syncer) Effects() []step.Effect { return nil }
