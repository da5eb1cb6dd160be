package app

import (
	"github.com/spf13/cobra"

	"github.com/eve-emulation/eve/cmd/eve/bench"
)

func (a *App) benchKEchoCommand() *cobra.Command {
	b := &benchRun{name: "kecho", run: bench.KEcho, check: func([]string) error { return nil }}
	c := &cobra.Command{
		Use:   "kecho",
		Short: "Load balancing by events: forwarding (K5), and its overhead (K6–K8)",
		Long: "Measure load balancing as KECho did: forwarding of what waits too long to the server with the least load, at rates of 20 to\n" +
			"50 requests a second, in virtual time (K5); and what it costs nine processes that tell their load and hand requests on by\n" +
			"events, against the rate of requests (K6), the frequency of load events (K7), and how many servers are asked (K8).\n\n" +
			"Shapes are judged and the command ends as eve bench dsv says.",
		Example: "  eve bench kecho\n  eve bench kecho --out kecho",
		Args:    args(cobra.NoArgs),
		RunE:    func(c *cobra.Command, _ []string) error { return a.bench(c.Context(), b) },
	}
	b.flags(c)
	return c
}
