// Package target is the module that has a real server in a run: it starts one, or attaches to one that runs, supervises it,
// and measures what it uses of the host.
//
// A server is started by a keeper, a process that stays above it: `eve keep`. Whatever becomes of the run, of this module
// and of the server, the keeper ends all that the server has started. [Keep] is its body.
package target

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/eve-emulation/eve/dmm"
	"github.com/eve-emulation/eve/dsv"
	"github.com/eve-emulation/eve/fase/scenario"
	"github.com/eve-emulation/eve/fase/usage"
	"github.com/eve-emulation/eve/modules"
)

// Spec is the module's kind.
var Spec = modules.Spec{
	Name:   "target",
	Help:   "starts a real server of a scenario, or attaches to one, and measures it",
	Config: func() any { return new(ModuleConfig) },
	New:    func() modules.Module { return modules.Func(run) },
}

// ModuleConfig is what the module is told.
type ModuleConfig struct {
	Target string `json:"target"` // its name in the scenario
	// Dir is the folder in which the server runs; it is made. Without one a temporary folder is, and is removed at the end.
	Dir string `json:"dir"`
}

// period is how often a target is measured.
const period = 100 * time.Millisecond

func run(ctx context.Context, env *modules.Env) error {
	var cfg ModuleConfig
	if err := env.Config(&cfg); err != nil {
		return err
	}
	plan, err := scenario.Fetch(ctx, env.Space(), env.Manipulators()...)
	if err != nil {
		return err
	}
	i := slices.IndexFunc(plan.Targets, func(t scenario.Target) bool { return t.Name == cfg.Target })
	if i < 0 {
		return fmt.Errorf("no target %s is in the scenario", cfg.Target)
	}
	t := plan.Targets[i]
	if err := env.Measure(plan.Owned(t.Name)...); err != nil {
		return err
	}
	if _, err := Installed(t); err != nil && t.Serve {
		env.Logf("%v; Eve's own server takes its place", err)
		t = Substitute(t)
	}
	if t.Started() {
		return own(ctx, env, t, cfg.Dir)
	}
	return attach(ctx, env, t)
}

// Substitute returns Eve's own server in the place of a target.
func Substitute(t scenario.Target) scenario.Target {
	t.Kind, t.Engine, t.Exec, t.Files, t.Folder, t.Site = "eve", scenario.Engines()[0], nil, nil, "", nil
	t.Workers = 1
	return t
}

// own starts the server, measures it while the run lasts, and ends it.
func own(ctx context.Context, env *modules.Env, t scenario.Target, dir string) error {
	if dir == "" {
		temporary, err := os.MkdirTemp("", "eve-target-")
		if err != nil {
			return err
		}
		defer os.RemoveAll(temporary)
		dir = temporary
	} else if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	address := t.Address
	if _, p, err := net.SplitHostPort(address); err == nil && env.Address() != "" {
		address = net.JoinHostPort(env.Address(), p) // others reach it there
	}
	address, err := port(address)
	if err != nil {
		return err
	}
	var r syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &r); err != nil {
		return err
	}
	argv, err := command(t, address, dir, descriptorLimit(r))
	if err != nil {
		return err
	}
	heard := func(string) {}
	if t.Kind == "" {
		heard = func(line string) { env.Logf("%s", line) }
	}
	k, err := start(argv, dir, environment(t, dir), heard)
	if err != nil {
		return err
	}
	defer k.stop()
	what := fmt.Sprintf("%s (pid %d) ", title(t), k.pid)
	switch err := await(ctx, t, address, k.ended); {
	case ctx.Err() != nil:
		return nil
	case errors.Is(err, errEnded):
		return errors.New(what + "ended before it was ready: " + k.fate(ctx))
	case err != nil:
		if last := k.out.last(); last != "" {
			err = fmt.Errorf("%w; its last words: %s", err, last)
		}
		return fmt.Errorf("%s%w", what, err)
	}
	return serve(ctx, env, t, address, usage.NewBelow(k.keeper), k.ended, func(ctx context.Context) error {
		return errors.New(what + k.fate(ctx))
	})
}

// attach measures a server that runs already, where it is on this host.
func attach(ctx context.Context, env *modules.Env, t scenario.Target) error {
	address, err := resolve(ctx, t.Address)
	if err == nil {
		err = probe(ctx, t, address, "")
	}
	if address != "" && t.Ready.HTTP != "" {
		err = await(ctx, t, address, nil)
	}
	if err != nil {
		if ctx.Err() != nil {
			return nil
		}
		return fmt.Errorf("%w; start it, or say what Eve is to start: kind: or exec: […]", err)
	}
	pids := []int{t.PID}
	if t.PID == 0 {
		if pids, err = listeners(address); err != nil {
			return err
		}
	}
	var source usage.Source
	gone := func(context.Context) error { return nil }
	if len(pids) > 0 {
		source = usage.NewTree(pids...)
		if _, err := source.Read(true); err != nil {
			return fmt.Errorf("measure process %d: %w", pids[0], err)
		}
		gone = func(context.Context) error {
			return fmt.Errorf("the server at %s, pid %s, has ended", t.Address, strings.Trim(fmt.Sprint(pids), "[]"))
		}
	} else {
		env.Logf("%s is not measured: this host shows no process that listens there", t.Address)
	}
	return serve(ctx, env, t, address, source, nil, gone)
}

// serve tells where the server is, and measures it from T0 until ctx ends, or the server does, which is the error gone.
func serve(ctx context.Context, env *modules.Env, t scenario.Target, address string, source usage.Source, ended <-chan struct{}, gone func(context.Context) error) error {
	if _, err := env.Space().Write(ctx, t.Listens(), dsv.TextValue(address)); err != nil {
		return err
	}
	measured := make(chan error, 1)
	env.Go(func(ctx context.Context) error {
		if err := env.Ready(ctx); err != nil || source == nil {
			return err
		}
		m := usage.NewMeter(source, t.Name, func(n dsv.Name) *dmm.Var { return env.Var(n) })
		if err := m.Run(ctx, period, env.Now); err != nil {
			measured <- err
		}
		return nil
	})
	select {
	case <-ctx.Done():
		return nil
	case <-ended:
		return gone(ctx)
	case err := <-measured:
		if ctx.Err() != nil {
			return nil
		}
		if !errors.Is(err, usage.ErrGone) {
			return err
		}
		return gone(ctx)
	}
}

// title names the server of a target.
func title(t scenario.Target) string {
	switch {
	case t.Kind == "eve":
		return "eve serve"
	case t.Kind != "":
		return t.Kind
	}
	return t.Exec[0]
}

// environment is what a server inherits: what this module has, without what is between it and the kernel. Its folder stands
// for those of its user.
func environment(t scenario.Target, dir string) []string {
	env := slices.DeleteFunc(os.Environ(), func(v string) bool {
		name, _, _ := strings.Cut(v, "=")
		return strings.HasPrefix(name, "EVE_") || name == "GOMAXPROCS" && t.Kind != "eve" || t.Kind != "" && (name == "HOME" || name == "TMPDIR")
	})
	if t.Kind != "" {
		env = append(env, "HOME="+dir, "TMPDIR="+dir)
	}
	return env
}
