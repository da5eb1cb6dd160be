package server

import (
	"context"
	"fmt"
	"net"
	"runtime"
	"slices"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/eve-emulation/eve/dmm"
	"github.com/eve-emulation/eve/dsv"
	"github.com/eve-emulation/eve/fase/engine"
	"github.com/eve-emulation/eve/fase/scenario"
	"github.com/eve-emulation/eve/fase/service"
	"github.com/eve-emulation/eve/fase/usage"
	"github.com/eve-emulation/eve/modules"
)

// Spec is the module's kind.
var Spec = modules.Spec{
	Name:   "server",
	Help:   "emulates the servers of one process of a scenario",
	Config: func() any { return new(ModuleConfig) },
	New:    func() modules.Module { return modules.Func(run) },
}

// ModuleConfig is what the module is told.
type ModuleConfig struct {
	Servers []string `json:"servers"` // names of the servers to emulate
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
	if err := env.Measure(owned(plan, append([]string{env.Name}, cfg.Servers...))...); err != nil {
		return err
	}
	quota, err := limit(plan, cfg.Servers)
	if err != nil {
		return err
	}
	defer func() {
		if n, err := quota.Throttled(); err == nil && n > 0 {
			env.Logf("the kernel made the process stand still %d times for its quota", n)
		}
		_ = quota.Release() // the process ends, and what is left of the group goes with the next one
	}()
	servers, err := listen(ctx, env, plan, cfg.Servers)
	if err != nil {
		return err
	}
	g, gctx := errgroup.WithContext(ctx)
	for _, s := range servers {
		g.Go(func() error { return s.Run(gctx) })
	}
	g.Go(func() error { return follow(gctx, env.Space(), plan.Topology, servers) })
	if slices.ContainsFunc(plan.Servers, func(s scenario.Server) bool { return len(s.Settings()) > 0 }) {
		for _, setting := range []string{service.LimitSetting, service.ShedSetting} {
			g.Go(func() error { return followSettings(gctx, env.Space(), setting, plan.Topology, servers) })
		}
	}
	if slices.ContainsFunc(plan.Services, func(c service.Config) bool { return c.Pool.Threads > 0 }) {
		g.Go(func() error { return followThreads(gctx, env.Space(), plan.Topology, servers) })
	}
	if loads := plan.Loads(); loads != nil {
		g.Go(func() error { return followLoads(gctx, env.Space(), loads, servers) })
	}
	for _, pattern := range plan.ViewPatterns() {
		g.Go(func() error { return followViews(gctx, env.Space(), pattern, plan.Views(), servers) })
	}
	g.Go(func() error {
		if err := env.Ready(gctx); err != nil {
			return err
		}
		for _, s := range servers {
			s.Start(env.T0())
		}
		m := usage.NewMeter(usage.Self{}, env.Name+".process", func(n dsv.Name) *dmm.Var { return env.Var(n) })
		return m.Run(gctx, time.Second, env.Now)
	})
	return g.Wait()
}

// listen opens the servers' sockets and publishes their addresses.
func listen(ctx context.Context, env *modules.Env, plan *scenario.Plan, names []string) ([]*Server, error) {
	var servers []*Server
	spin, all := plan.Spin(runtime.NumCPU()), loops(plan, names)
	for _, name := range names {
		i := plan.Topology.Server(name)
		if i < 0 || i >= len(plan.Servers) {
			return nil, fmt.Errorf("emulate %s: no such server in the scenario", name)
		}
		c := plan.Servers[i]
		s, err := ListenContext(ctx, Config{
			Host: c.HostConfig, Seed: plan.Seed, Vars: func(n dsv.Name) *dmm.Var { return env.Var(n) },
			Engine: engine.Config{
				Name: c.Engine, Listen: at(c.Listen, env.Address()), Reactors: c.Reactors, Spin: spin,
				Beside: all - c.Reactors, Threads: c.Threads, Helpers: c.Helpers, Queue: c.Queue, Backlog: c.Backlog,
				Stages: stages(c.Stages),
			},
		})
		if err != nil {
			return nil, fmt.Errorf("emulate %s: %w", name, err)
		}
		if c.Machine.Disk.Direct && len(c.Files) > 0 && !s.Direct() {
			env.Logf("%s: the file system takes no direct reads: files come through the kernel's page cache", name)
		}
		servers = append(servers, s)
		if _, err := env.Space().Write(ctx, plan.Listens(name), dsv.TextValue(s.Addr().String())); err != nil {
			return nil, err
		}
	}
	Schedule(servers...)
	return servers, nil
}

// loops counts the event loops of the servers of a process.
func loops(plan *scenario.Plan, names []string) int {
	n := 0
	for _, name := range names {
		if i := plan.Topology.Server(name); i >= 0 && i < len(plan.Servers) {
			n += plan.Servers[i].Reactors
		}
	}
	return n
}

// at is where a server listens: the scenario's address, or its port at the host under which others reach this process.
func at(listen, host string) string {
	_, port, err := net.SplitHostPort(listen)
	if host == "" || err != nil {
		return listen
	}
	return net.JoinHostPort(host, port)
}

// follow hands every mapping to every server.
func follow(ctx context.Context, space dsv.Space, topo *service.Topology, servers []*Server) error {
	return modules.Follow(ctx, space, "map.*", func(u dsv.Update) {
		if svc, m, ok := topo.Mapping(u.Name, u.Reading.Value); ok {
			for _, s := range servers {
				s.Changed(svc, m)
			}
		}
	})
}

// followLoads hands what servers tell of their load to every server.
func followLoads(ctx context.Context, space dsv.Space, loads map[dsv.Name]int, servers []*Server) error {
	return modules.Follow(ctx, space, "*.in_flight", func(u dsv.Update) {
		if i, ok := loads[u.Name]; ok && u.Delta != nil && u.Delta.Weight > 0 {
			for _, s := range servers {
				s.Told(i, u.Delta.Value.Float/u.Delta.Weight)
			}
		}
	})
}

// followViews hands what balancers read of servers to every server.
func followViews(ctx context.Context, space dsv.Space, pattern string, views map[dsv.Name]scenario.ViewOf, servers []*Server) error {
	return modules.Follow(ctx, space, pattern, func(u dsv.Update) {
		if v, ok := views[u.Name]; ok {
			if x, ok := v.Figure(u); ok {
				for _, s := range servers {
					s.See(v.View, v.Server, x)
				}
			}
		}
	})
}

// followSettings hands what is set of servers to them.
func followSettings(ctx context.Context, space dsv.Space, setting string, topo *service.Topology, servers []*Server) error {
	return modules.Follow(ctx, space, "*."+setting, func(u dsv.Update) {
		name, ok := strings.CutSuffix(string(u.Name), "."+setting)
		x, number := u.Reading.Value.Number()
		if !ok || !number {
			return
		}
		for _, s := range servers {
			if s.cfg.Host.Node == topo.Server(name) {
				s.Set(setting, x)
			}
		}
	})
}

// followThreads hands how many workers services have to every server.
func followThreads(ctx context.Context, space dsv.Space, topo *service.Topology, servers []*Server) error {
	return modules.Follow(ctx, space, "*."+service.ThreadsSetting, func(u dsv.Update) {
		name, _ := strings.CutSuffix(string(u.Name), "."+service.ThreadsSetting)
		if x, ok := u.Reading.Value.Number(); ok {
			for _, s := range servers {
				s.Employ(topo.Service(name), x)
			}
		}
	})
}

// owned returns what the servers write, each variable once: several may write for one service.
func owned(plan *scenario.Plan, servers []string) []dmm.Spec {
	var specs []dmm.Spec
	seen := map[dsv.Name]bool{}
	for _, s := range servers {
		for _, spec := range plan.Owned(s) {
			if !seen[spec.Name] {
				seen[spec.Name] = true
				specs = append(specs, spec)
			}
		}
	}
	return specs
}
