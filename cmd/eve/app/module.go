package app

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/eve-emulation/eve/modules"
)

func (a *App) moduleCommand() *cobra.Command {
	return &cobra.Command{
		Use:    "module KIND NAME",
		Short:  "Be one module process of a run (a kernel starts it)",
		Args:   args(cobra.ExactArgs(2)),
		Hidden: true,
		RunE: func(c *cobra.Command, args []string) error {
			return modules.Main(c.Context(), a.registry, args[0], args[1], os.Getenv)
		},
	}
}

// ModuleMain is the eve-module command with the given kinds of modules. It does not return.
func ModuleMain(specs ...modules.Spec) {
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
