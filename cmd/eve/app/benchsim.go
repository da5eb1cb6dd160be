package app

import (
	"github.com/spf13/cobra"

	"github.com/eve-emulation/eve/cmd/eve/bench"
)

func (a *App) benchSimCommand() *cobra.Command {
	b := &benchRun{name: "sim", run: bench.Sim, check: func([]string) error { return nil }}
	c := &cobra.Command{
		Use:   "sim",
		Short: "The simulator: events for a CPU second (S1)",
		Long: "Measure the simulator: events for a CPU second of mm1, of three-tier with its parallel calls and of a million users, with\n" +
			"all measurements on, and of the bare calendar with up to a million pending events, each beside a bare heap of\n" +
			"typed events in the same rounds.\n\n" +
			"Shapes are judged and the command ends as eve bench dsv says.",
		Example: "  eve bench sim\n  eve bench sim --json",
		Args:    args(cobra.NoArgs),
		RunE:    func(c *cobra.Command, _ []string) error { return a.bench(c.Context(), b) },
	}
	b.flags(c)
	return c
}
