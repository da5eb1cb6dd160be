package app

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"sync"
	"time"

	"github.com/eve-emulation/eve/dsv"
	"github.com/eve-emulation/eve/evekernel"
	"github.com/eve-emulation/eve/fase/adapt"
	"github.com/eve-emulation/eve/fase/scenario"
	"github.com/eve-emulation/eve/fase/service"
	"github.com/eve-emulation/eve/modules/client"
	"github.com/eve-emulation/eve/modules/server"
)

// process is the servers that share one process.
type process struct {
	name    string
	servers []string
}

func (x *execution) processes() []process {
	var ps []process
	for _, s := range x.plan.Servers {
		i := slices.IndexFunc(ps, func(p process) bool { return p.name == s.Process })
		if i < 0 {
			ps = append(ps, process{name: s.Process})
			i = len(ps) - 1
		}
		ps[i].servers = append(ps[i].servers, s.Name)
	}
	return ps
}

// adapterName is the name of the module that carries the rules out.
const adapterName = "adapt"

// parties lists the modules that begin together.
func (x *execution) parties(ps []process) []string {
	var names []string
	for _, p := range ps {
		names = append(names, p.name)
	}
	for _, t := range x.plan.Targets {
		names = append(names, t.Name)
	}
	for _, c := range x.plan.Clients {
		names = append(names, c.Processes()...)
	}
	if x.plan.Adapt.Active() {
		names = append(names, adapterName)
	}
	for _, m := range x.plan.Modules {
		if len(m.Exec) == 0 {
			names = append(names, m.Instances()...)
		}
	}
	return names
}

// start starts one module of a known kind as a child process of this binary, or by hand.
func (x *execution) start(ctx context.Context, kind, name string, config any) error {
	return x.startWithin(ctx, kind, name, config, 0)
}

// startWithin starts a module as start does, and gives it so long to be ready; 0 is the usual time.
func (x *execution) startWithin(ctx context.Context, kind, name string, config any, ready time.Duration) error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	raw, ok := config.([]byte)
	if !ok && config != nil {
		if raw, err = json.Marshal(config); err != nil {
			return err
		}
	}
	if x.hand != nil {
		x.hand.module(kind, name)
		return x.kernel.Start(ctx, evekernel.ModuleSpec{Name: name, Kind: kind, Config: raw, Outside: true})
	}
	return x.kernel.Start(ctx, evekernel.ModuleSpec{
		Name: name, Kind: kind, Config: raw, Env: environment(), ReadyTimeout: ready,
		Argv: append([]string{self}, append(slices.Clone(x.app.args), "module", kind, name)...),
	})
}

// environment is what children inherit: no more than they need.
func environment() []string {
	var env []string
	for _, name := range []string{"PATH", "HOME", "TMPDIR", "LANG", "TZ", "GOCOVERDIR", "GORACE", "GOTRACEBACK"} {
		if v, ok := os.LookupEnv(name); ok {
			env = append(env, name+"="+v)
		}
	}
	// The runtime keeps a processor for its own work beside the loop's locked thread.
	return append(env, "GOMAXPROCS=4")
}

func (x *execution) startServers(ctx context.Context) error {
	for _, p := range x.processes() {
		if err := x.start(ctx, "server", p.name, server.ModuleConfig{Servers: p.servers}); err != nil {
			return err
		}
	}
	return nil
}

// startTimeout bounds the time from a process's start until it tells its address; who starts it by hand takes his time.
const startTimeout = 10 * time.Second

// addresses waits until all servers and targets listen.
func (x *execution) addresses(ctx context.Context) error {
	for _, s := range x.plan.Servers {
		if err := x.address(ctx, s.Name, startTimeout); err != nil {
			return err
		}
	}
	for _, t := range x.plan.Targets {
		if err := x.address(ctx, t.Name, targetTimeout(t)); err != nil {
			return err
		}
	}
	return nil
}

// address waits until a server or target listens; who starts it by hand may take longer than the limit.
func (x *execution) address(ctx context.Context, name string, limit time.Duration) error {
	if x.hand == nil {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeoutCause(ctx, limit,
			fmt.Errorf("%s did not listen within %v; look at what its process printed above", name, limit))
		defer cancel()
	}
	w, err := x.kernel.Space().Watch(ctx, dsv.WatchRequest{Pattern: string(adapt.AddressName(name))})
	if err != nil {
		return err
	}
	defer w.Close()
	got := make(chan error, 1)
	var wg sync.WaitGroup
	defer wg.Wait()
	wctx, stop := context.WithCancel(ctx)
	defer stop()
	wg.Go(func() {
		_, err := w.Next(wctx)
		got <- err
	})
	for {
		select {
		case err := <-got:
			if ctx.Err() != nil {
				return context.Cause(ctx)
			}
			return err
		case e := <-x.events:
			if err := x.death(e); err != nil {
				return err
			}
		}
	}
}

// death returns an error when a module has ended before it should. A program that does not join may end when it likes.
func (x *execution) death(e evekernel.ModuleEvent) error {
	if e.State == evekernel.Failed || e.State == evekernel.Exited && slices.Contains(x.names, e.Name) {
		return &deathError{e.Name, x.sentence(e)}
	}
	return nil
}

// place writes the initial mappings, with the addresses that the servers have told. It may be called again.
func (x *execution) place(ctx context.Context) error {
	addresses := map[string]string{}
	for _, name := range x.plan.Topology.Servers {
		r, err := x.kernel.Space().Read(ctx, adapt.AddressName(name))
		if err != nil {
			return err
		}
		addresses[name] = r.Value.Text
	}
	for svc, m := range x.plan.Mappings() {
		for i := range m.Replicas {
			if a := addresses[m.Replicas[i].Server]; a != "" {
				m.Replicas[i].Address = a
			}
		}
		name := service.MapName(x.plan.Topology.Services[svc])
		if r, err := x.kernel.Space().Read(ctx, name); err == nil && r.Value.Text == m.Encode() {
			continue // placed before
		}
		if _, err := x.kernel.Space().Write(ctx, name, dsv.TextValue(m.Encode())); err != nil {
			return err
		}
	}
	return nil
}

// startRest starts the modules that need the mapping.
func (x *execution) startRest(ctx context.Context) error {
	if x.plan.Adapt.Active() {
		if err := x.start(ctx, "adapter", adapterName, nil); err != nil {
			return err
		}
	}
	for _, m := range x.plan.Modules {
		if x.hand == nil && x.front(m) {
			continue // it stands already
		}
		if err := x.startModule(ctx, m); err != nil {
			return err
		}
	}
	for _, c := range x.plan.Clients {
		for part, name := range c.Processes() {
			if err := x.start(ctx, "client", name, client.ModuleConfig{Group: c.Name, Part: part}); err != nil {
				return err
			}
		}
	}
	return nil
}

// front reports whether servers are reached through a module, so that it tells their addresses.
func (x *execution) front(m scenario.Module) bool { return len(x.plan.Behind(m.Name)) > 0 }

// startFronts starts the modules through which servers are reached.
func (x *execution) startFronts(ctx context.Context) error {
	for _, m := range x.plan.Modules {
		if !x.front(m) {
			continue
		}
		if err := x.startModule(ctx, m); err != nil {
			return err
		}
	}
	return nil
}

func (x *execution) startModule(ctx context.Context, m scenario.Module) error {
	for _, name := range m.Instances() {
		if len(m.Exec) == 0 {
			if err := x.start(ctx, m.Kind, name, m.Config); err != nil {
				return err
			}
			continue
		}
		spec := evekernel.ModuleSpec{Name: name, Config: m.Config, ReadyTimeout: -1}
		if x.hand != nil {
			spec.Outside = true
			x.hand.program(name, m.Exec)
		} else {
			spec.Argv, spec.Env = m.Exec, environment()
		}
		if err := x.kernel.Start(ctx, spec); err != nil {
			return err
		}
	}
	return nil
}
