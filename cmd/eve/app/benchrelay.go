package app

import (
	"github.com/spf13/cobra"

	"github.com/eve-emulation/eve/cmd/eve/bench"
)

func (a *App) benchRelayCommand() *cobra.Command {
	b := &benchRun{name: "relay", run: bench.Relay, check: func([]string) error { return nil }}
	c := &cobra.Command{
		Use:   "relay",
		Short: "A relay in the path of a stream: by copy, splice and WebAssembly (UN)",
		Long: "Measure what a relay costs between a source and a sink: its CPU time per GB, the throughput, the time that a message\n" +
			"is under way with its jitter at the sink, and what a connection costs; by copy, by splice, through an extension that\n" +
			"inspects and one that transforms, and without a relay. Source, sink and each relay are processes of their own.\n\n" +
			"Shapes are judged and the command ends as eve bench dsv says.",
		Example: "  eve bench relay\n  eve bench relay --quick --out relay",
		Args:    args(cobra.NoArgs),
		RunE:    func(c *cobra.Command, _ []string) error { return a.bench(c.Context(), b) },
	}
	b.flags(c)
	return c
}
