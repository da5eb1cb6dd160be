package app

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/eve-emulation/eve/dsv/dsvbolt"
	"github.com/eve-emulation/eve/evekernel"
	"github.com/eve-emulation/eve/evekernel/egs"
	"github.com/eve-emulation/eve/fase/runs"
)

func (a *App) kernelCommand() *cobra.Command {
	var h hand
	var s settings
	var db string
	c := &cobra.Command{
		Use:   "kernel [SCENARIO]",
		Short: "Be the kernel of a run whose modules are started by hand, on this host or others",
		Long: "Be the kernel of a run whose modules are started by hand, on this host or others. It tells the commands that start\n" +
			"them, waits until all are here, and goes on as eve run does: the same run folder, the same summary.\n\n" +
			"Without a scenario it keeps variables and events for whoever shows the token; with --db they outlive it.",
		Example: "  eve kernel hello\n" +
			"  eve kernel hello --listen 10.0.0.1:7300 --allow-remote\n" +
			"  eve kernel --db variables.db",
		Args: args(cobra.MaximumNArgs(1)),
		RunE: func(c *cobra.Command, args []string) error {
			if len(args) == 1 && db != "" {
				return wrong(errors.New("--db: a run keeps its variables in its folder, see --out"))
			}
			if len(args) == 0 {
				for _, name := range []string{"out", "duration", "seed", "set"} {
					if c.Flags().Changed(name) {
						return wrong(fmt.Errorf("--%s: goes with a scenario", name))
					}
				}
			}
			if err := h.check(); err != nil {
				return wrong(err)
			}
			if len(args) == 1 {
				return a.execute(c.Context(), args[0], s, runs.Real, &h)
			}
			return a.keepVariables(c.Context(), &h, db)
		},
	}
	h.flags(c)
	s.overrides.flags(c)
	c.Flags().StringVar(&s.out, "out", "", "the run folder; default runs/SCENARIO-TIME")
	c.Flags().StringVar(&db, "db", "", "without a scenario: keep the variables in `FILE`, and go on with those that it has")
	return c
}

// keepVariables is a kernel without a scenario, until ctx ends.
func (a *App) keepVariables(ctx context.Context, h *hand, db string) (err error) {
	screen := newScreen(a.out)
	cfg := evekernel.Config{Run: "variables", Manipulators: a.registry.Manipulators(), Log: func(l evekernel.Line) {
		who := l.Module
		if who == "" {
			who = "kernel"
		}
		screen.say(who + ": " + l.Text)
	}}
	h.configure(&cfg)
	if db != "" {
		rec, oerr := openVariables(db)
		if oerr != nil {
			return oerr
		}
		defer func() { err = errors.Join(err, rec.Close()) }()
		cfg.Run = strings.TrimSuffix(filepath.Base(db), filepath.Ext(db))
		cfg.Recorder, cfg.Restore = rec, rec
	}
	k, err := evekernel.New(cfg)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, k.Close()) }()
	if err := k.Listen(); err != nil {
		return err
	}
	at := reachable(k)
	text := fmt.Sprintf("the kernel listens on %s; end it with Ctrl-C", at)
	if h.remote {
		text += "\nnothing is encrypted: whoever sees the traffic sees the token"
	}
	if db != "" {
		text += fmt.Sprintf("\n%d variables are in %s", len(k.Store().Declarations()), db)
	}
	text += fmt.Sprintf("\n\n  eve watch '*' --kernel %s --token-file %s\n", at, quoted(h.tokenFile))
	screen.say(text)
	return serveAll(ctx, k)
}

// serveAll runs a kernel that waits for nobody: modules that become ready start at once.
func serveAll(ctx context.Context, k *evekernel.Kernel) error {
	if _, ok := k.Hub().Started(egs.StartBarrier); !ok {
		if err := k.Hub().Expect(egs.StartBarrier, "kernel"); err != nil {
			return err
		}
		if _, err := k.Hub().Member("kernel").Join(ctx, egs.StartBarrier); err != nil {
			return err
		}
	}
	return k.Run(ctx)
}

// openVariables opens a file of variables, which is made when it does not exist.
func openVariables(path string) (*dsvbolt.DB, error) {
	_, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return dsvbolt.Create(path)
	}
	if err != nil {
		return nil, wrong(fmt.Errorf("open %q: %w", path, cause(err)))
	}
	return dsvbolt.Open(path, false)
}
