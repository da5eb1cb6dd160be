package app

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"sync"
	"time"

	"github.com/eve-emulation/eve/evekernel"
	"github.com/eve-emulation/eve/fase/engine"
	"github.com/eve-emulation/eve/fase/scenario"
	"github.com/eve-emulation/eve/fase/service"
	"github.com/eve-emulation/eve/internal/mono"
	"github.com/eve-emulation/eve/modules/server"
)

// A target is a real server of a run: one that was running, one that Eve started, or Eve's own in its place.
type target struct {
	plan    scenario.Target
	address string
	own     *server.Server
	cancel  context.CancelFunc
	serving sync.WaitGroup
}

func (x *execution) startTargets(ctx context.Context) error {
	for _, p := range x.plan.Targets {
		t := &target{plan: p, address: p.Address}
		if err := x.startTarget(ctx, t); err != nil {
			return fmt.Errorf("target %s: %w", p.Name, err)
		}
		x.targets = append(x.targets, t)
	}
	return nil
}

func (x *execution) startTarget(ctx context.Context, t *target) error {
	if err := t.port(); err != nil {
		return err
	}
	if len(t.plan.Exec) == 0 {
		return x.reach(ctx, t, false)
	}
	program, err := exec.LookPath(t.plan.Exec[0])
	switch {
	case err != nil && t.plan.Serve:
		x.tell(fmt.Sprintf("target %s: %s is not installed; Eve's own server takes its place", t.plan.Name, t.plan.Exec[0]))
		return t.serve()
	case err != nil:
		return err
	}
	dir := filepath.Join(x.dir, t.plan.Name)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	if dir, err = filepath.Abs(dir); err != nil {
		return err
	}
	for name, text := range t.plan.Files {
		if err := os.WriteFile(filepath.Join(dir, filepath.Base(name)), []byte(t.plan.Expand(text, t.address, dir)), 0o600); err != nil {
			return err
		}
	}
	argv := []string{program}
	for _, a := range t.plan.Exec[1:] {
		argv = append(argv, t.plan.Expand(a, t.address, dir))
	}
	err = x.kernel.Start(ctx, evekernel.ModuleSpec{Name: t.plan.Name, Argv: argv, Env: environment(), Dir: dir, ReadyTimeout: -1})
	if err != nil {
		return err
	}
	return x.reach(ctx, t, true)
}

// port finds a free port where the scenario asks for any.
func (t *target) port() error {
	host, port, err := net.SplitHostPort(t.address)
	if err != nil || port != "0" {
		return err
	}
	l, err := net.Listen("tcp", t.address)
	if err != nil {
		return err
	}
	t.address = net.JoinHostPort(host, strconv.Itoa(l.Addr().(*net.TCPAddr).Port))
	return l.Close()
}

// reach waits until something listens at the target's address. Where Eve did not start it, that is at once or never.
func (x *execution) reach(ctx context.Context, t *target, started bool) error {
	ctx, cancel := context.WithTimeoutCause(ctx, reachTimeout, fmt.Errorf("nothing listens on %s after %v", t.address, reachTimeout))
	defer cancel()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		c, err := (&net.Dialer{}).DialContext(ctx, "tcp", t.address)
		if err == nil {
			return c.Close()
		}
		select {
		case <-ctx.Done():
			return errors.Join(context.Cause(ctx), err)
		case e := <-x.events:
			if err := x.gone(t, e); err != nil {
				return err
			}
		case <-tick.C:
			if !started {
				return fmt.Errorf("%w; start it, or give the scenario its command line: exec: […]", err)
			}
		}
	}
}

// gone returns an error when a program that was started as a target has ended, or a module that is needed.
func (x *execution) gone(t *target, e evekernel.ModuleEvent) error {
	if e.Name == t.plan.Name && e.State == evekernel.Exited {
		return errors.New("it ended before it listened on " + t.address)
	}
	return x.death(e)
}

// serve runs Eve's own server in the target's place, inside this process.
func (t *target) serve() error {
	s, err := server.Listen(server.Config{
		Engine: engine.Config{Listen: t.address},
		Host:   service.HostConfig{Topology: &service.Topology{Servers: []string{t.plan.Name}}},
	})
	if err != nil {
		return err
	}
	t.address = s.Addr().String()
	ctx, cancel := context.WithCancel(context.Background())
	t.own, t.cancel = s, cancel
	s.Start(mono.Now())
	t.serving.Go(func() { _ = s.Run(ctx) }) // close ends it and waits
	return nil
}

func (t *target) close() {
	if t.cancel != nil {
		t.cancel()
		t.serving.Wait()
	}
}
