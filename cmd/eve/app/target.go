package app

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/eve-emulation/eve/fase/scenario"
	"github.com/eve-emulation/eve/modules/target"
)

// keepCommand is what a target's module starts above a server; people do not.
func (a *App) keepCommand() *cobra.Command {
	return &cobra.Command{
		Use: "keep PROGRAM [ARGUMENTS]", Hidden: true, DisableFlagParsing: true,
		RunE: func(_ *cobra.Command, args []string) error { return target.Keep(args) },
	}
}

// startTargets starts the modules of the targets. Where these are children, what can be known before is checked before.
func (x *execution) startTargets(ctx context.Context) error {
	if err := x.targetsAhead(); err != nil {
		return err
	}
	for _, t := range x.plan.Targets {
		cfg := target.ModuleConfig{Target: t.Name}
		if x.hand == nil {
			dir, err := filepath.Abs(filepath.Join(x.dir, t.Name))
			if err != nil {
				return err
			}
			cfg.Dir = dir
		}
		if err := x.startWithin(ctx, target.Spec.Name, t.Name, cfg, targetTimeout(t)); err != nil {
			return err
		}
	}
	return nil
}

// targetsAhead checks that what the targets want is on this host: programs, folders, ports. The error is the user's.
func (x *execution) targetsAhead() error {
	if x.hand != nil {
		return nil // they may be elsewhere
	}
	var all scenario.Errors
	for _, t := range x.plan.Targets {
		all = append(all, targetAhead(t)...)
	}
	if len(all) == 0 {
		return nil
	}
	return wrong(all)
}

func targetAhead(t scenario.Target) scenario.Errors {
	if _, err := target.Installed(t); err != nil && t.Started() {
		missing, ok := errors.AsType[*target.NotInstalledError](err)
		switch {
		case ok && t.Serve:
			t = target.Substitute(t)
		case ok && missing.Package != "":
			return t.Mistake(fmt.Sprintf("target %s: %s is not installed", t.Name, missing.Program),
				fmt.Sprintf("apt-get install %s, or `fallback: serve` for Eve's own server in its place", missing.Package), "kind")
		case ok:
			return t.Mistake(fmt.Sprintf("target %s: %v", t.Name, err), "`fallback: serve` puts Eve's own server in its place", "exec")
		default:
			return t.Mistake(fmt.Sprintf("target %s: %v", t.Name, err), "", "kind", "exec")
		}
	}
	if t.Folder != "" {
		info, err := os.Stat(t.Folder)
		if err == nil && !info.IsDir() {
			err = errors.New("not a folder")
		}
		if err != nil {
			return t.Mistake(fmt.Sprintf("target %s: folder %q: %v", t.Name, t.Folder, cause(err)), "", "folder")
		}
	}
	if t.Started() {
		if err := target.Free(t); err != nil {
			return t.Mistake(fmt.Sprintf("target %s: %v", t.Name, err), "port 0 is any free one", "url")
		}
	}
	return nil
}

// A deathError reports that a module has ended before the run began.
type deathError struct{ module, text string }

func (e *deathError) Error() string { return e.text }

// blame gives the error of a run that did not begin its place in the scenario, where a target is the cause.
func (x *execution) blame(err error) error {
	d, ok := errors.AsType[*deathError](err)
	if !ok || x.begun() {
		return err
	}
	for _, t := range x.plan.Targets {
		if t.Name == d.module {
			_, what, found := strings.Cut(d.text, "): ")
			if !found {
				what = d.text
			}
			at := t.Mistake(fmt.Sprintf("target %s: %s", t.Name, what), "", "kind", "exec", "url")
			return errors.New(strings.TrimSpace(at.Render()))
		}
	}
	return err
}

// targetTimeout bounds the time until a target is ready and its module has told its address.
func targetTimeout(t scenario.Target) time.Duration { return t.Ready.Within + startTimeout }
