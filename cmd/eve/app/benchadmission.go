package app

import (
	"github.com/spf13/cobra"

	"github.com/eve-emulation/eve/cmd/eve/bench"
)

func (a *App) benchAdmissionCommand() *cobra.Command {
	b := &benchRun{name: "admission", run: bench.Admission, check: func([]string) error { return nil }}
	c := &cobra.Command{
		Use:   "admission",
		Short: "Admission in two phases: policies and delays (2P), forwarding (K5), SEDA's controllers (S3, S4)",
		Long: "Measure admission in two phases: every policy at several delays and loads, in virtual time, and the scenario two-phase\n" +
			"on real sockets (2P); forwarding of what waits too long (K5); SEDA's overload control in a crowd, with and\n" +
			"without it (S4), and its load shedding (S3), on real sockets, each beside the same in virtual time.\n\n" +
			"Shapes are judged and the command ends as eve bench dsv says.",
		Example: "  eve bench admission\n  eve bench admission --out admission",
		Args:    args(cobra.NoArgs),
		RunE:    func(c *cobra.Command, _ []string) error { return a.bench(c.Context(), b) },
	}
	b.flags(c)
	return c
}
