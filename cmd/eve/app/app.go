// Package app is the eve command: its sub-commands, and the orchestration of a run. It is importable, so that anyone can
// build an eve with modules of their own:
//
//	func main() { app.Main(append(app.Shipped(), mine.Spec)...) }
package app

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"os/signal"
	"runtime/debug"
	"slices"
	"strings"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/eve-emulation/eve/fase/adapt"
	"github.com/eve-emulation/eve/fase/runs"
	"github.com/eve-emulation/eve/fase/scenario"
	"github.com/eve-emulation/eve/modules"
	"github.com/eve-emulation/eve/modules/adapter"
	"github.com/eve-emulation/eve/modules/client"
	"github.com/eve-emulation/eve/modules/relay"
	"github.com/eve-emulation/eve/modules/resource"
	"github.com/eve-emulation/eve/modules/server"
	"github.com/eve-emulation/eve/modules/target"
)

// Shipped lists the kinds of modules that come with Eve.
func Shipped() []modules.Spec {
	return []modules.Spec{server.Spec, client.Spec, adapter.Spec, relay.Spec, resource.ManagerSpec, resource.AskerSpec, target.Spec}
}

// App is one eve: what it knows and where it writes. Tests make their own.
type App struct {
	registry *modules.Registry
	out, err io.Writer
	args     []string // of the program itself, to start modules: the path of this binary
}

// Main is the eve command with the given kinds of modules. It does not return.
func Main(specs ...modules.Spec) {
	os.Exit(Run(context.Background(), os.Args[1:], os.Stdout, os.Stderr, specs...))
}

// Run executes one command line and returns its exit code: docs/commands.md lists them.
func Run(ctx context.Context, args []string, stdout, stderr io.Writer, specs ...modules.Spec) int {
	registry, err := modules.NewRegistry(specs...)
	if err == nil {
		err = controllers(registry)
	}
	if err != nil {
		fmt.Fprintln(stderr, "eve:", err)
		return int(runs.ExitFailed)
	}
	a := &App{registry: registry, out: stdout, err: stderr}
	// The first signal ends a run in order; a second one, of which the default handler is told, ends the process.
	ends := []os.Signal{os.Interrupt, syscall.SIGTERM}
	if !signal.Ignored(syscall.SIGHUP) { // nohup means it
		ends = append(ends, syscall.SIGHUP)
	}
	ctx, stop := signal.NotifyContext(ctx, ends...)
	defer stop()
	context.AfterFunc(ctx, stop)
	root := a.root()
	if args == nil {
		args = []string{} // cobra takes nil for the program's own
	}
	root.SetArgs(args)
	root.SetOut(stdout)
	root.SetErr(stderr)
	return a.exit(root.ExecuteContext(ctx))
}

// controllers checks that the kinds of controllers make controllers.
func controllers(r *modules.Registry) error {
	kinds := r.Controllers()
	for _, name := range slices.Sorted(maps.Keys(kinds)) {
		if _, ok := kinds[name].(adapt.Maker); !ok {
			return fmt.Errorf("register %s: it has no New, and its configuration makes no controllers: it is no adapt.Maker", name)
		}
	}
	return nil
}

// exitError is an error, or none, that ends the program with a code.
type exitError struct {
	code runs.Exit
	err  error // nil: everything was said
}

func (e *exitError) Error() string {
	if e.err == nil {
		return fmt.Sprintf("exit code %d", e.code)
	}
	return e.err.Error()
}

func (e *exitError) Unwrap() error { return e.err }

// wrong marks an error as the user's: exit code 2.
func wrong(err error) error {
	if err == nil {
		return nil
	}
	return &exitError{runs.ExitWrongInput, err}
}

// exit tells an error and returns the exit code.
func (a *App) exit(err error) int {
	if err == nil {
		return 0
	}
	code := runs.ExitFailed
	if e, ok := errors.AsType[*exitError](err); ok {
		code = e.code
		if e.err == nil {
			return int(code)
		}
	}
	if es, ok := errors.AsType[scenario.Errors](err); ok {
		fmt.Fprint(a.err, es.Render())
		return int(runs.ExitWrongInput)
	}
	fmt.Fprintln(a.err, "eve:", err)
	return int(code)
}

func (a *App) root() *cobra.Command {
	root := &cobra.Command{
		Use:   "eve",
		Short: "A measurement-centric emulation environment for adaptive internet servers",
		Long: "Eve runs one scenario file for real, with real processes, sockets and event loops, or in virtual time; it measures\n" +
			"everything in the path, lets rules adapt the mapping of services to servers, and draws the result.\n\n" +
			"Begin with: eve run flash-crowd",
		Version:                    version(),
		SilenceUsage:               true,
		SilenceErrors:              true,
		Args:                       unknownCommand,
		SuggestionsMinimumDistance: 2,
		RunE:                       func(c *cobra.Command, _ []string) error { return c.Help() },
	}
	root.SetFlagErrorFunc(func(c *cobra.Command, err error) error {
		return wrong(fmt.Errorf("%s: %w; see eve %[1]s --help", c.Name(), err))
	})
	root.AddCommand(a.keepCommand())
	for _, g := range []struct {
		id, title string
		commands  []*cobra.Command
	}{
		{"run", "Run a scenario:", []*cobra.Command{a.runCommand(), a.simCommand(), a.solveCommand(), a.planCommand(), a.sweepCommand(), a.checkCommand(), a.varsCommand()}},
		{"live", "Look at a live run, and steer it:", []*cobra.Command{a.watchCommand(), a.setCommand()}},
		{"write", "Write one:", []*cobra.Command{a.initCommand(), a.importCommand(), a.scenariosCommand(), a.fmtCommand(), a.schemaCommand()}},
		{"look", "Look at runs:", []*cobra.Command{a.runsCommand(), a.reportCommand(), a.compareCommand(), a.replayCommand(), a.fitCommand(), a.exportCommand()}},
		{"alone", "Without a scenario:", []*cobra.Command{a.serveCommand(), a.loadCommand(), a.benchCommand()}},
		{"hand", "By hand:", []*cobra.Command{a.kernelCommand(), a.moduleCommand()}},
	} {
		root.AddGroup(&cobra.Group{ID: g.id, Title: g.title})
		for _, c := range g.commands {
			c.GroupID = g.id
			root.AddCommand(c)
		}
	}
	return root
}

// version tells the module's version, or the commit that it was built from.
func version() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "unknown"
	}
	v := info.Main.Version
	if v != "" && v != "(devel)" {
		return v
	}
	for _, s := range info.Settings {
		if s.Key == "vcs.revision" && len(s.Value) >= 12 {
			return "devel-" + s.Value[:12]
		}
	}
	return "devel"
}

// unknownCommand refuses what is no command, and tells what may have been meant.
func unknownCommand(c *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	meant := ""
	if near := c.SuggestionsFor(args[0]); len(near) > 0 {
		meant = "; did you mean " + strings.Join(near, " or ") + "?"
	}
	return wrong(fmt.Errorf("no command %q%s; eve help lists them", args[0], meant))
}

// args checks arguments, and tells in plain words which a command wants: those of its use line.
func args(check cobra.PositionalArgs) cobra.PositionalArgs {
	return func(c *cobra.Command, args []string) error {
		if check(c, args) == nil {
			return nil
		}
		given := fmt.Sprintf("%d arguments", len(args))
		switch len(args) {
		case 0:
			given = "none"
		case 1:
			given = "one"
		}
		_, want, _ := strings.Cut(strings.TrimSuffix(c.UseLine(), " [flags]"), c.Name())
		if want = strings.TrimSpace(want); want == "" {
			want = "no argument"
		}
		return wrong(fmt.Errorf("%s: want %s, got %s; see eve %[1]s --help", c.Name(), want, given))
	}
}
