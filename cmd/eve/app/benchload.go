package app

import (
	"github.com/spf13/cobra"

	"github.com/eve-emulation/eve/cmd/eve/bench"
)

func (a *App) benchLoadCommand() *cobra.Command {
	b := &benchRun{name: "load", run: bench.Load}
	b.cfg.Peers = bench.LoadPeerNames()
	c := &cobra.Command{
		Use:   "load",
		Short: "Eve's clients beside other load generators: CPU time for a request, lateness, memory",
		Long: "Measure Eve's clients and other load generators in turns, the clients on one processor and one server on another: the\n" +
			"processor time for a request and the throughput of 64 connections that are never idle, how late requests come at\n" +
			"10 000 a second, told by Eve and seen by the server, the rates that each keeps, and the memory of users, up to 100 000.\n\n" +
			"The peers vegeta and fortio are programs on those libraries, compiled here by go in Eve's source. A peer that cannot be\n" +
			"had is left out, and the report says so. Shapes are judged and the command ends as eve bench dsv says.",
		Example: "  eve bench load\n  eve bench load --peers wrk,vegeta,fortio --out load",
		Args:    args(cobra.NoArgs),
		RunE:    func(c *cobra.Command, _ []string) error { return a.bench(c.Context(), b) },
	}
	b.flags(c)
	b.peers(c, bench.LoadPeerNames(), bench.CheckLoadPeers)
	return c
}
