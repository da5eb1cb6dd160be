package app

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/eve-emulation/eve/dmm/expr"
	"github.com/eve-emulation/eve/evekernel/wire"
	"github.com/eve-emulation/eve/modules"
)

func (a *App) moduleCommand() *cobra.Command {
	var r reach
	var address string
	c := &cobra.Command{
		Use:   "module KIND NAME",
		Short: "Be one module of a run whose kernel is elsewhere",
		Long: "Be one module of a run by hand: eve kernel tells the commands. It waits until all others are here, works until the\n" +
			"run ends, and looks for its kernel for half a minute, also when it was lost.",
		Example: "  eve module server server_1 --kernel 10.0.0.1:7300 --token-file eve.token --address 10.0.0.2\n" +
			"  EVE_TOKEN=… eve module client visitors --kernel 10.0.0.1:7300",
		Args: args(cobra.ExactArgs(2)),
		RunE: func(c *cobra.Command, args []string) error {
			if r.kernel == "" { // a kernel started it, and said the rest
				return modules.Main(c.Context(), a.registry, args[0], args[1], os.Getenv)
			}
			return a.moduleByHand(c.Context(), &r, args[0], args[1], address)
		},
	}
	c.Flags().StringVar(&r.kernel, "kernel", "", "the kernel at `URL`: ws://HOST:PORT/eve, or HOST:PORT")
	c.Flags().StringVar(&r.tokenFile, "token-file", "", "the kernel's token, in `FILE`; default the environment's EVE_TOKEN")
	c.Flags().StringVar(&address, "address", "", "others reach what the module listens on under `HOST`; default the scenario's, which is this host alone")
	return c
}

// moduleByHand runs one module that no kernel started.
func (a *App) moduleByHand(ctx context.Context, r *reach, kind, name, address string) error {
	if _, err := a.registry.Lookup(kind); err != nil {
		return wrong(err)
	}
	if strings.ContainsAny(address, " /:") && !strings.HasPrefix(address, "[") && strings.Count(address, ":") < 2 {
		return wrong(fmt.Errorf("--address %s: want a host, without port", address))
	}
	link, _, err := r.link()
	if err != nil {
		return err
	}
	r.patience = modules.GiveUpAfter
	fmt.Fprintf(a.out, "%s looks for the kernel at %s\n", name, link.URL)
	if err := a.visit(ctx, r, func(ctx context.Context, g *guest) error { return g.expects(ctx, name) }); err != nil {
		if ctx.Err() != nil {
			return nil
		}
		return err
	}
	fmt.Fprintf(a.out, "%s has found it; end it with Ctrl-C\n", name)
	env := map[string]string{"EVE_KERNEL": link.URL, "EVE_TOKEN": link.Token, "EVE_ADDRESS": strings.Trim(address, "[]")}
	err = modules.Main(ctx, a.registry, kind, name, func(key string) string { return env[key] })
	if errors.Is(err, wire.ErrUnauthorized) {
		return fmt.Errorf("%s: the kernel refuses the token", link.URL)
	}
	if err == nil {
		fmt.Fprintf(a.out, "%s has ended\n", name)
	}
	return err
}

// expects tells whether a run waits for a module of that name. One without a scenario takes any.
func (g *guest) expects(ctx context.Context, name string) error {
	ds, err := g.List(ctx, "eve.modules.*")
	if err != nil || len(ds) == 0 {
		return err
	}
	var names []string
	for _, d := range ds {
		if n, ok := strings.CutSuffix(strings.TrimPrefix(string(d.Name), "eve.modules."), ".state"); ok {
			if n == name {
				return nil
			}
			names = append(names, n)
		}
	}
	meant := "it has " + strings.Join(names, ", ")
	if near := expr.Nearest(name, names); near != "" {
		meant = "did you mean " + near + "?"
	}
	return wrong(fmt.Errorf("%s: the run has no module %s; %s", g.said, name, meant))
}

// ModuleMain is the eve-module command with the given kinds of modules. It does not return.
func ModuleMain(specs ...modules.Spec) {
	if len(os.Args) > 1 && (os.Args[1] == "keep" || os.Args[1] == "serve") { // a target's module starts these
		os.Exit(Run(context.Background(), os.Args[1:], os.Stdout, os.Stderr, specs...))
	}
	if len(os.Args) != 3 {
		fmt.Fprintln(os.Stderr, "usage: eve-module KIND NAME")
		os.Exit(2)
	}
	registry, err := modules.NewRegistry(specs...)
	if err == nil {
		ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
		err = modules.Main(ctx, registry, os.Args[1], os.Args[2], os.Getenv)
		stop()
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "eve-module:", err)
		os.Exit(1)
	}
}
