package app

import (
	"github.com/spf13/cobra"

	"github.com/eve-emulation/eve/cmd/eve/bench"
)

func (a *App) benchRelayCommand() *cobra.Command {
	b := &benchRun{name: "relay", run: bench.Relay, installed: bench.InstalledRelayPeers}
	c := &cobra.Command{
		Use:   "relay",
		Short: "A relay in the path of a stream: by copy, splice and WebAssembly (UN)",
		Long: "Measure what a relay costs between a source and a sink: its CPU time per GB, the throughput, the time that a message\n" +
			"is under way with its jitter at the sink, and what a connection costs; by copy, by splice, through an extension that\n" +
			"inspects and one that transforms, without a relay, and through nginx. Source, sink and each relay are processes of their own.\n\n" +
			"Shapes are judged and the command ends as eve bench dsv says.",
		Example: "  eve bench relay\n  eve bench relay --quick --out relay --peers nginx",
		Args:    args(cobra.NoArgs),
		RunE:    func(c *cobra.Command, _ []string) error { return a.benchServers(c, b, nil, 0, 0, "") },
	}
	b.flags(c)
	b.peers(c, bench.RelayPeerNames(), bench.CheckRelayPeers)
	c.Flags().Lookup("peers").Usage += " (default those that are installed)"
	return c
}
