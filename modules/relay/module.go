package relay

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/eve-emulation/eve/dmm"
	"github.com/eve-emulation/eve/dsv"
	"github.com/eve-emulation/eve/fase/adapt"
	"github.com/eve-emulation/eve/fase/scenario"
	"github.com/eve-emulation/eve/fase/service"
	"github.com/eve-emulation/eve/modules"
)

const kind = "relay"

// Spec is the module's kind.
var Spec = modules.Spec{
	Name:   kind,
	Help:   "forwards TCP streams to a server, by copy, splice or through a WebAssembly extension",
	Config: func() any { return new(ModuleConfig) },
	New:    func() modules.Module { return modules.Func(run) },
}

// ModuleConfig is what a scenario can say about a relay; what it leaves out is as in Config.
type ModuleConfig struct {
	To          string        `json:"to"`        // a service, server, target or other relay of the scenario, or HOST:PORT
	Listen      string        `json:"listen"`    // HOST:PORT
	Mode        Mode          `json:"mode"`      // copy, splice, wasm
	Extension   string        `json:"extension"` // wasm: one that comes with Eve
	Wasm        scenario.File `json:"wasm"`      // wasm: one of the scenario's folder
	OnFault     OnFault       `json:"onfault"`   // wasm: close or pass
	Loops       int           `json:"loops"`
	Chunk       int           `json:"chunk"` // bytes
	Connections int           `json:"connections"`
	Connect     time.Duration `json:"connect"`
	Drain       time.Duration `json:"drain"`
}

// Check tells what is wrong with the values that a scenario gives.
func (m *ModuleConfig) Check() error {
	c, err := m.config("")
	if err == nil {
		_, err = c.check()
	}
	if err == nil && m.Listen != "" {
		_, _, err = split(m.Listen)
	}
	if err == nil && strings.Contains(m.To, ":") {
		var port string
		if _, port, err = split(m.To); port == "0" {
			err = fmt.Errorf("to %q: port 0 is no port to call", m.To)
		}
	}
	return err
}

// Variables lists what a relay measures.
func (m *ModuleConfig) Variables() []dsv.Declaration {
	var list []dsv.Declaration
	for _, l := range leaves() {
		list = append(list, l.spec("").Declaration(l.unit, l.help, true))
	}
	return list
}

// config makes a Config of what the scenario says. host is where others reach this process; empty for this host.
func (m ModuleConfig) config(host string) (Config, error) {
	c := Config{
		Listen: m.Listen, Mode: m.Mode, OnFault: m.OnFault, Loops: m.Loops, Chunk: m.Chunk, Connections: m.Connections,
		Connect: m.Connect, Drain: m.Drain, Guest: m.Wasm.Data,
	}
	if host != "" {
		port := "0"
		if m.Listen != "" {
			var err error
			if _, port, err = net.SplitHostPort(m.Listen); err != nil {
				return c, fmt.Errorf("listen %q: %w", m.Listen, err)
			}
		}
		c.Listen = net.JoinHostPort(host, port)
	}
	switch {
	case m.To == "":
		return c, errors.New("`to` says where it forwards to: a service, a server, a target, or HOST:PORT")
	case m.Extension != "" && len(m.Wasm.Data) > 0:
		return c, errors.New("extension names one that comes with Eve, and wasm a file: give one of them")
	case m.Extension != "":
		guest, ok := Extension(m.Extension)
		if !ok {
			return c, fmt.Errorf("extension %q: want one of %s; a file of your own is `wasm: FILE`", m.Extension, strings.Join(Extensions(), ", "))
		}
		c.Guest = guest
	}
	return c, nil
}

func run(ctx context.Context, env *modules.Env) error {
	var mc ModuleConfig
	if err := env.Config(&mc); err != nil {
		return err
	}
	cfg, err := mc.config(env.Address())
	if err != nil {
		return err
	}
	if cfg.Listen, err = resolve(ctx, cfg.Listen); err != nil {
		return err
	}
	cfg.Log = func(s string) { env.Logf("%s", s) }
	plan, err := scenario.Fetch(ctx, env.Space(), env.Manipulators()...)
	if err != nil {
		return err
	}
	if err := measure(ctx, env); err != nil {
		return err
	}
	r, err := Listen(ctx, cfg)
	if err != nil {
		return err
	}
	g, gctx := errgroup.WithContext(ctx)
	g.Go(func() error { return r.Run(gctx) })
	g.Go(func() error { return aim(gctx, env, plan, mc.To, r) })
	g.Go(func() error {
		if err := tell(gctx, env, plan, r); err != nil {
			return err
		}
		if err := env.Ready(gctx); err != nil {
			return err
		}
		r.Measure(env.T0(), func(leaf string) *dmm.Var { return env.Var(dsv.Name(env.Name + "." + leaf)) })
		return nil
	})
	return g.Wait()
}

// period is how often a relay's variables are synchronised.
const period = 100 * time.Millisecond

// spec is how a leaf is measured, of who begins with a prefix.
func (l leaf) spec(prefix string) dmm.Spec {
	return dmm.Spec{Name: dsv.Name(prefix + l.name), Manipulator: l.manipulator, Sync: dmm.Trigger{Every: period}}
}

// measure declares and measures the relay's variables.
func measure(ctx context.Context, env *modules.Env) error {
	var specs []dmm.Spec
	for _, l := range leaves() {
		spec := l.spec(env.Name + ".")
		err := env.Space().Create(ctx, spec.Declaration(l.unit, l.help, true))
		if err != nil && !errors.Is(err, dsv.ErrExists) { // the scenario measures it in a way of its own
			return err
		}
		specs = append(specs, spec)
	}
	return env.Measure(specs...)
}

// tell writes where the relay listens, for itself and in the place of those who are reached through it.
func tell(ctx context.Context, env *modules.Env, plan *scenario.Plan, r *Relay) error {
	own := adapt.AddressName(env.Name)
	if err := env.Space().Create(ctx, dsv.Declaration{Name: own, Kind: dsv.Text, Help: "where " + env.Name + " listens"}); err != nil {
		return err
	}
	names := []dsv.Name{own}
	for _, x := range plan.Behind(env.Name) {
		names = append(names, adapt.AddressName(x))
	}
	for _, n := range names {
		if _, err := env.Space().Write(ctx, n, dsv.TextValue(r.Addr().String())); err != nil {
			return err
		}
	}
	return nil
}

// aim tells the relay where to forward to, and follows what changes about that.
func aim(ctx context.Context, env *modules.Env, plan *scenario.Plan, to string, r *Relay) error {
	if strings.Contains(to, ":") {
		at, err := resolve(ctx, to)
		if err != nil {
			return err
		}
		server, err := netip.ParseAddrPort(at)
		switch {
		case err != nil:
			return fmt.Errorf("to %q: %w", to, err)
		case server == r.Addr():
			return fmt.Errorf("to %q: the relay itself listens there", to)
		}
		r.Forward(server)
		return nil
	}
	a := &aimer{relay: r, plan: plan, module: env.Name, to: to, addresses: map[string]netip.AddrPort{}}
	if err := a.check(); err != nil {
		return err
	}
	g, gctx := errgroup.WithContext(ctx)
	for _, pattern := range []string{string(adapt.AddressName("*")), string(adapt.DirectName("*")), string(service.MapName(to))} {
		g.Go(func() error { return modules.Follow(gctx, env.Space(), pattern, a.changed) })
	}
	return g.Wait()
}

// resolve looks a host's name up; an address stays as it is.
func resolve(ctx context.Context, at string) (string, error) {
	if at == "" {
		return "", nil
	}
	host, port, err := split(at)
	if err != nil {
		return "", err
	}
	ips, err := net.DefaultResolver.LookupNetIP(ctx, "ip", host)
	if err != nil {
		return "", fmt.Errorf("address %q: %w", at, err)
	}
	for _, ip := range ips {
		if ip = ip.Unmap(); ip.Is4() {
			return net.JoinHostPort(ip.String(), port), nil
		}
	}
	return net.JoinHostPort(ips[0].String(), port), nil
}

// split parts HOST:PORT; the port is a number.
func split(at string) (host, port string, err error) {
	host, port, err = net.SplitHostPort(at)
	if err == nil {
		_, err = strconv.ParseUint(port, 10, 16)
	}
	if err != nil || host == "" {
		return "", "", fmt.Errorf("address %q: want HOST:PORT", at)
	}
	return host, port, nil
}

// aimer keeps a relay's servers up to date.
type aimer struct {
	relay  *Relay
	plan   *scenario.Plan
	module string
	to     string

	mu        sync.Mutex // guards what follows
	addresses map[string]netip.AddrPort
	replicas  []string // of the service that it forwards to; nil for none
}

// check refuses a name that nobody has.
func (a *aimer) check() error {
	topo := a.plan.Topology
	known := topo.Server(a.to) >= 0 || topo.Service(a.to) >= 0
	for _, m := range a.plan.Modules {
		for _, name := range m.Instances() {
			known = known || name == a.to && name != a.module
		}
	}
	if !known {
		return fmt.Errorf("to %q: no service, server, target or other module of the scenario is called so; an address is HOST:PORT", a.to)
	}
	return a.circle()
}

// circle refuses relays that forward to each other: a connection would go round until there are no descriptors left.
func (a *aimer) circle() error {
	to := map[string]string{}
	for _, m := range a.plan.Modules {
		var c ModuleConfig
		if m.Kind == kind && json.Unmarshal(m.Config, &c) == nil {
			for _, name := range m.Instances() {
				to[name] = c.To
			}
		}
	}
	var path strings.Builder
	path.WriteString(a.module)
	for at, steps := a.to, 0; at != "" && steps < len(to); at, steps = to[at], steps+1 {
		if path.WriteString(" → " + at); at == a.module {
			return fmt.Errorf("to %q: it leads back: %s", a.to, path.String())
		}
	}
	return nil
}

// changed takes an address or a mapping, and hands the relay those that count.
func (a *aimer) changed(u dsv.Update) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if _, m, ok := a.plan.Topology.Mapping(u.Name, u.Reading.Value); ok {
		a.replicas = nil
		for _, r := range m.Replicas {
			if r.State == service.Serving {
				a.replicas = append(a.replicas, r.Server)
			}
		}
	} else if at, err := netip.ParseAddrPort(u.Reading.Value.Text); err == nil {
		a.addresses[string(u.Name)] = at
	}
	names := a.replicas
	if a.plan.Topology.Service(a.to) < 0 || a.plan.Topology.Server(a.to) >= 0 {
		names = []string{a.to}
	}
	var servers []netip.AddrPort
	for _, name := range names {
		listens := adapt.AddressName(name)
		if a.plan.Via(name) == a.module {
			listens = adapt.DirectName(name)
		}
		if at, ok := a.addresses[string(listens)]; ok && at != a.relay.Addr() {
			servers = append(servers, at)
		}
	}
	a.relay.Forward(servers...)
}
