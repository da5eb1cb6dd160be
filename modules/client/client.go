// Package client is the module that emulates clients: it joins the core of a user group (fase/user) to real sockets
// (fase/load).
package client

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"runtime"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/eve-emulation/eve/dmm"
	"github.com/eve-emulation/eve/dsv"
	"github.com/eve-emulation/eve/fase/adapt"
	"github.com/eve-emulation/eve/fase/load"
	"github.com/eve-emulation/eve/fase/runs"
	"github.com/eve-emulation/eve/fase/scenario"
	"github.com/eve-emulation/eve/fase/service"
	"github.com/eve-emulation/eve/fase/user"
	"github.com/eve-emulation/eve/modules"
)

// Spec is the module's kind.
var Spec = modules.Spec{
	Name:   "client",
	Help:   "emulates one group of clients of a scenario",
	Config: func() any { return new(ModuleConfig) },
	New:    func() modules.Module { return modules.Func(run) },
}

// ModuleConfig is what the module is told.
type ModuleConfig struct {
	Group string `json:"group"`          // name of the group
	Part  int    `json:"part,omitempty"` // which of the processes that share it, from 0
}

func run(ctx context.Context, env *modules.Env) error {
	var cfg ModuleConfig
	if err := env.Config(&cfg); err != nil {
		return err
	}
	plan, err := scenario.Fetch(ctx, env.Space(), env.Manipulators()...)
	if err != nil {
		return err
	}
	c, ok := plan.Client(cfg.Group)
	if !ok {
		return fmt.Errorf("emulate %s: no such group of clients in the scenario", cfg.Group)
	}
	if c.Part = cfg.Part; c.Part < 0 || c.Part >= max(c.Parts, 1) {
		return fmt.Errorf("emulate %s: part %d of %d", cfg.Group, cfg.Part, max(c.Parts, 1))
	}
	if err := env.Measure(plan.Owned(cfg.Group)...); err != nil {
		return err
	}
	d := &driver{env: env, plan: plan, topo: plan.Topology, nodes: make([]string, len(plan.Topology.Servers))}
	if d.sites, err = sites(plan); err != nil {
		return err
	}
	group := user.NewGroup(c, func(n dsv.Name) *dmm.Var { return env.Var(n) })
	if err := d.learn(ctx, group); err != nil {
		return err
	}
	if err := env.Ready(ctx); err != nil {
		return err
	}
	return d.drive(ctx, group, c, plan.Spin(runtime.NumCPU()))
}

// driver runs one group's loop and feeds it what changes.
type driver struct {
	env  *modules.Env
	plan *scenario.Plan
	topo *service.Topology
	// sites says how targets are spoken to.
	sites []load.Site

	mu    sync.Mutex // guards nodes, which the loop reads and the watch writes
	nodes []string
}

// learn hands the group the mappings that are in force before the run. Where modules are started by hand, it waits for the
// servers.
func (d *driver) learn(ctx context.Context, g *user.Group) error {
	for svc, name := range d.topo.Services {
		v, err := present(ctx, d.env.Space(), service.MapName(name))
		if err != nil {
			return err
		}
		m, err := service.ParseMapping(v.Text)
		if err != nil {
			return err
		}
		d.place(m)
		g.Changed(user.Before, svc, m)
	}
	return nil
}

// present returns the value of a variable, once it has one.
func present(ctx context.Context, space dsv.Space, n dsv.Name) (dsv.Value, error) {
	if _, err := space.Info(ctx, n); err != nil { // nobody is going to write it
		return dsv.Value{}, err
	}
	w, err := space.Watch(ctx, dsv.WatchRequest{Pattern: string(n)})
	if err != nil {
		return dsv.Value{}, err
	}
	defer w.Close()
	u, err := w.Next(ctx)
	return u.Reading.Value, err
}

// sites says how the targets of a plan are spoken to.
func sites(plan *scenario.Plan) ([]load.Site, error) {
	list := make([]load.Site, len(plan.Topology.Servers))
	for _, t := range plan.Targets {
		list[t.Node].Host = t.Host
		if t.TLS == nil {
			continue
		}
		cfg, err := load.TLS{Insecure: t.TLS.Insecure, CA: t.TLS.CA, Name: t.TLS.Name}.Config()
		if err != nil {
			return nil, fmt.Errorf("target %s: %w", t.Name, err)
		}
		list[t.Node].TLS = cfg
	}
	return list, nil
}

func (d *driver) place(m service.Mapping) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, r := range m.Replicas {
		if i := d.topo.Server(r.Server); i >= 0 && r.Address != "" {
			d.nodes[i] = r.Address
		}
	}
}

func (d *driver) address(node int) string {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.nodes[node]
}

func (d *driver) drive(ctx context.Context, g *user.Group, c user.Config, spin time.Duration) error {
	if c.Connections.Precise {
		spin = max(spin, load.Precise)
	}
	l, err := load.New(load.Config{
		T0: d.env.T0(), Groups: []load.Group{g}, Address: d.address, Services: d.topo.Services, End: c.End, Grace: time.Millisecond,
		Spin: spin, Own: c.Connections.Own, Requests: c.Connections.PerRequests, Hold: c.Idle(), Sources: sources(c),
		Sites: d.sites, ConnectTimeout: c.Connections.ConnectTimeout, MaxBody: c.Connections.MaxBody,
		Light: runtime.GOMAXPROCS(0) > 1,
	})
	if err != nil {
		return err
	}
	work, stop := errgroup.WithContext(ctx)
	watching, cancel := context.WithCancel(stop)
	work.Go(func() error {
		return modules.Follow(watching, d.env.Space(), "map.*", func(u dsv.Update) { d.remap(l, u) })
	})
	views := d.plan.Views()
	for _, pattern := range d.plan.ViewPatterns() {
		work.Go(func() error {
			return modules.Follow(watching, d.env.Space(), pattern, func(u dsv.Update) {
				if v, ok := views[u.Name]; ok {
					if x, ok := v.Figure(u); ok {
						l.Post(func(at dsv.Instant) { g.See(at, v.View, v.Server, x) })
					}
				}
			})
		})
	}
	var late overdue
	for _, s := range c.Settings() {
		name := dsv.Name(c.Name + "." + s.Name)
		var last dsv.Revision // a watch that was cut off begins with what is known
		work.Go(func() error {
			return modules.Follow(watching, d.env.Space(), string(name), func(u dsv.Update) {
				if u.Reading.Revision == last {
					return
				}
				last = u.Reading.Revision
				// Counted from when it was written, so that all parts of the group change at one instant.
				from := u.Reading.T1.Add(adapt.Notice)
				l.Post(func(at dsv.Instant) {
					if u.Reading.T1 > 0 {
						late.see(name, at.Sub(from))
					}
					g.Set(at, from, s.Name, u.Reading.Value.Float)
				})
			})
		})
	}
	work.Go(func() error {
		defer cancel()
		stats, err := l.Run(stop)
		if errors.Is(err, context.Canceled) {
			err = nil
		}
		g.Settle(min(d.env.Now(), c.End))
		return errors.Join(err, d.tell(context.WithoutCancel(ctx), c, stats, spin, late.told()))
	})
	return work.Wait()
}

// overdue keeps account of changes of settings that this process heard of after the instant at which they apply: it is behind
// the others of its group until then. It belongs to the loop's thread.
type overdue struct {
	count int
	most  time.Duration
	name  dsv.Name // of the latest
}

func (o *overdue) see(name dsv.Name, late time.Duration) {
	if late <= 0 {
		return
	}
	if o.count++; late > o.most {
		o.most, o.name = late, name
	}
}

// told says it in words; nothing where there was none.
func (o *overdue) told() []string {
	if o.count == 0 {
		return nil
	}
	return []string{fmt.Sprintf("%d changes of settings applied late, because this process heard of them late: %s by %v", o.count, o.name, o.most.Round(time.Microsecond))}
}

// manyPorts is how many connections one address has to one server before it gets slow: a connect looks for a free port among
// the even ones first, one after the other, of which there are as many.
const manyPorts = 14_000

// sources gives a process its share of the addresses that the scenario names. Where it names none, a process with many
// connections, and each of several, has two addresses of its own on this host.
func sources(c user.Config) []netip.Addr {
	keeps := c.Connections.Idle
	if c.Connections.Own {
		keeps += c.Users
	}
	if given := c.Connections.Sources; len(given) > 0 {
		var own []netip.Addr
		for i := c.Part; i < len(given); i += max(c.Parts, 1) {
			own = append(own, given[i])
		}
		if own == nil { // there are fewer addresses than processes
			own = append(own, given[c.Part%len(given)])
		}
		return own
	}
	if c.Parts <= 1 && keeps <= manyPorts {
		return nil
	}
	return []netip.Addr{netip.AddrFrom4([4]byte{127, 1, 0, byte(1 + c.Part)}), netip.AddrFrom4([4]byte{127, 2, 0, byte(1 + c.Part)})}
}

// tell writes what it cost to emulate the group.
func (d *driver) tell(ctx context.Context, c user.Config, s load.Stats, spin time.Duration, notes []string) error {
	g := runs.Generator{
		CPU: runs.Number(s.ThreadCPU.Seconds()), Utilisation: runs.Number(s.Utilisation()), ProcessCPU: runs.Number(s.ProcessCPU.Seconds()),
		JitterP50: runs.Number(s.Jitter.Quantile(0.5).Seconds()), JitterP99: runs.Number(s.Jitter.Quantile(0.99).Seconds()),
		JitterMax: runs.Number(s.Jitter.Max().Seconds()), Spin: runs.Number(spin.Seconds()),
		Messages: notes, Connections: s.Opened, Idle: s.Held, IdleLost: s.HeldLost, Retried: s.Retried, BytesIn: s.BytesIn, BytesOut: s.BytesOut,
	}
	for _, m := range s.Messages {
		g.Messages = append(g.Messages, fmt.Sprintf("%s (%d times)", m.Text, m.Count))
	}
	text, err := json.Marshal(g)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	name := runs.GeneratorName(c.Name, c.Part)
	if err := d.env.Space().Create(ctx, dsv.Declaration{Name: name, Kind: dsv.Text, Help: "what it cost to emulate the group", History: true}); err != nil {
		return err
	}
	_, err = d.env.Space().Write(ctx, name, dsv.TextValue(string(text)))
	return err
}

func (d *driver) remap(l *load.Loop, u dsv.Update) {
	if svc, m, ok := d.topo.Mapping(u.Name, u.Reading.Value); ok {
		d.place(m)
		l.Changed(svc, m)
	}
}
