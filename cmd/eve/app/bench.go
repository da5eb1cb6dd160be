package app

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/eve-emulation/eve/cmd/eve/bench"
	"github.com/eve-emulation/eve/fase/runs"
)

func (a *App) benchCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "bench",
		Short: "The reference experiments and the truth tests",
		Args:  args(cobra.NoArgs),
		RunE:  func(c *cobra.Command, _ []string) error { return c.Help() },
	}
	c.AddCommand(a.truthCommand(), a.benchDSVCommand(), a.benchEGSCommand(), a.benchEnginesCommand(), a.benchIdleCommand(), a.benchDiskCommand())
	c.AddCommand(a.benchRelayCommand(), a.benchAdmissionCommand(), a.benchKEchoCommand(), a.benchLoadCommand())
	c.AddCommand(a.benchFitCommand(), a.benchSimCommand(), a.benchPartCommand())
	return c
}

// A benchRun is one bench that measures and reports.
type benchRun struct {
	name string
	cfg  bench.Config
	json bool
	run  func(context.Context, bench.Config) (*bench.Report, error)

	check     func(peers []string) error
	installed func() []string // the peers when none are named; nil for none
}

func (a *App) benchDSVCommand() *cobra.Command {
	b := &benchRun{name: "dsv", run: bench.DSV}
	c := &cobra.Command{
		Use:   "dsv",
		Short: "Variables and manipulators: response time, consistency, benefit, speed (E1 to E3)",
		Long: "Measure variables and manipulators: the response time of the operations (E1), the consistency of what a manipulator\n" +
			"holds back (E2), what it saves (E3), the speed of batches and of recording. The kernel is a process of its own.\n\n" +
			"What is compared is measured in turns in one run. Each shape is judged by the median of the rounds and its interval:\n" +
			"it holds, does not hold, or is inconclusive.\n\n" +
			"Exit code: 0 all hold; 5 some shape is inconclusive; 3 some shape does not hold.",
		Example: "  eve bench dsv\n  eve bench dsv --peers redis,nats --out dsv\n  eve bench dsv --scale",
		Args:    args(cobra.NoArgs),
		RunE:    func(c *cobra.Command, _ []string) error { return a.bench(c.Context(), b) },
	}
	b.flags(c)
	b.peers(c, bench.PeerNames(), bench.CheckPeers)
	c.Flags().BoolVar(&b.cfg.Scale, "scale", false, "instead: 500 connections, 100 000 variables and 10 000 watchers at one kernel")
	return c
}

func (a *App) benchEGSCommand() *cobra.Command {
	b := &benchRun{name: "egs", run: bench.EGS}
	c := &cobra.Command{
		Use:   "egs",
		Short: "Events: create, submit, poll, delivery, filters, fan-out (K1 to K4)",
		Long: "Measure events: what creating a channel, submitting and polling cost from a module's process and inside the kernel's,\n" +
			"the way of an event over a direct link to its handler (K1 to K3), filters at the source (K4), and the fan-out to\n" +
			"eight sinks. The kernel and each sink are processes of their own.\n\n" +
			"Shapes are judged and the command ends as eve bench dsv says.",
		Example: "  eve bench egs\n  eve bench egs --peers nats --out egs",
		Args:    args(cobra.NoArgs),
		RunE:    func(c *cobra.Command, _ []string) error { return a.bench(c.Context(), b) },
	}
	b.flags(c)
	b.peers(c, []string{"nats"}, bench.CheckEventPeers)
	return c
}

// peers adds the flag for peers, of which there are those.
func (b *benchRun) peers(c *cobra.Command, names []string, check func([]string) error) {
	b.check = check
	c.Flags().StringSliceVar(&b.cfg.Peers, "peers", b.cfg.Peers, "measure these beside, of: "+strings.Join(names, ", ")+"; their servers are started and ended here")
	c.Flags().StringSliceVar(&b.cfg.Peers, "peer", b.cfg.Peers, "the same as --peers")
	_ = c.Flags().MarkHidden("peer")
}

func (b *benchRun) flags(c *cobra.Command) {
	f := c.Flags()
	f.StringVar(&b.cfg.Out, "out", "bench-"+b.name, "folder for the pictures and "+bench.ResultsFile)
	f.BoolVar(&b.cfg.Quick, "quick", false, "small settings: tries the machinery, measures nothing")
	f.BoolVar(&b.json, "json", false, "print the results as JSON")
}

// bench runs one bench, prints what it found and leaves its pictures.
func (a *App) bench(ctx context.Context, b *benchRun) error {
	if err := b.check(b.cfg.Peers); err != nil {
		return wrong(err)
	}
	if err := os.MkdirAll(b.cfg.Out, 0o755); err != nil { // not after minutes
		return fmt.Errorf("bench %s: %w", b.name, err)
	}
	slices.Sort(b.cfg.Peers)
	b.cfg.Peers = slices.Compact(b.cfg.Peers)
	self, err := os.Executable()
	if err != nil {
		return err
	}
	b.cfg.Self = append([]string{self}, append(slices.Clone(a.args), "bench", "part")...)
	b.cfg.Version, b.cfg.Progress = version(), a.err
	r, err := b.run(ctx, b.cfg)
	if ctx.Err() != nil {
		return &exitError{code: runs.ExitInterrupted}
	}
	if err != nil {
		return errors.Join(fmt.Errorf("bench %s: %w", b.name, err), a.saved(r))
	}
	files, err := r.Write(b.cfg.Out)
	if err != nil {
		return errors.Join(err, a.saved(r))
	}
	if b.json {
		out, err := r.JSON()
		if err != nil {
			return err
		}
		_, err = a.out.Write(out)
		return errors.Join(err, ended(r))
	}
	_, err = fmt.Fprintf(a.out, "%s\nfiles  %s\n", r.Text(), strings.Join(files, "\n       "))
	return errors.Join(err, ended(r))
}

// saved prints what was measured before a bench failed.
func (a *App) saved(r *bench.Report) error {
	if r == nil || len(r.Tables) == 0 {
		return nil
	}
	_, err := fmt.Fprintln(a.out, r.Text())
	return err
}

// ended makes the exit code of a report.
func ended(r *bench.Report) error {
	if code := r.Ends().Exit(); code != runs.ExitOK {
		return &exitError{code: code}
	}
	return nil
}

func (a *App) benchEnginesCommand() *cobra.Command {
	b := &benchRun{name: "engines", run: bench.Engines, installed: bench.InstalledWebPeers}
	c := &cobra.Command{
		Use:   "engines",
		Short: "Every engine beside other servers: requests for a CPU second of the server (C10, S1)",
		Long: "Measure each engine, and real servers beside it, in turns: a tiny answer over kept connections, the server on one\n" +
			"processor and the clients on another. The CPU time for a request counts, because it is steadier than throughput.\n" +
			"Then what a resource demand of nothing costs beside a plain GET, and threads beside events with many tasks.\n\n" +
			"The peer loop is a raw epoll loop in C, compiled here by cc. Shapes are judged and the command ends as eve bench dsv says.",
		Example: "  eve bench engines\n  eve bench engines --engines reactors,uring --peers nginx,loop --connections 64",
		Args:    args(cobra.NoArgs),
		RunE: func(c *cobra.Command, _ []string) error {
			return a.benchServers(c, b, b.cfg.Connections, 1, 15_000, "--connections")
		},
	}
	b.flags(c)
	b.peers(c, bench.WebPeerNames(), bench.CheckWebPeers)
	c.Flags().Lookup("peers").Usage += " (default those that are installed)"
	c.Flags().StringSliceVar(&b.cfg.Engines, "engines", nil, "only these `ENGINES`")
	c.Flags().IntSliceVar(&b.cfg.Connections, "connections", nil, "`NUMBERS` of connections that are never idle (default 64,1000, and the tasks of S1)")
	return c
}

func (a *App) benchIdleCommand() *cobra.Command {
	b := &benchRun{name: "idle", run: bench.Idle, installed: func() []string {
		return slices.DeleteFunc(bench.InstalledWebPeers(), func(n string) bool { return n != "nginx" && n != "loop" })
	}}
	c := &cobra.Command{
		Use:   "idle",
		Short: "Active connections beside idle ones: throughput, response time, memory (A6)",
		Long: "Measure 100 active connections beside a growing number of idle ones, for engines that wait in different ways; the\n" +
			"memory that an idle connection takes in the process and in the kernel; and 100 000 idle connections over several\n" +
			"server and client processes. With --connections only that many are opened at once, over as many processes as\n" +
			"it takes, and asked: it stands and answers, or the limit of the machine that it met is told.\n\n" +
			"Shapes are judged and the command ends as eve bench dsv says.",
		Example: "  eve bench idle\n  eve bench idle --engines epoll-et,poll,select,threads --idle 0,1000,9000\n  eve bench idle --connections 1000000",
		Args:    args(cobra.NoArgs),
		RunE: func(c *cobra.Command, _ []string) error {
			if b.cfg.Open < 0 || b.cfg.Open > 10_000_000 {
				return wrong(fmt.Errorf("--connections %d: want a number up to 10 000 000", b.cfg.Open))
			}
			return a.benchServers(c, b, b.cfg.Idle, 0, bench.MostIdle, "--idle")
		},
	}
	b.flags(c)
	b.peers(c, bench.WebPeerNames(), bench.CheckWebPeers)
	c.Flags().Lookup("peers").Usage += " (default nginx and loop, where they are installed)"
	c.Flags().StringSliceVar(&b.cfg.Engines, "engines", nil, "only these `ENGINES` (default epoll-et,poll,select,threads and the fast ones)")
	c.Flags().IntSliceVar(&b.cfg.Idle, "idle", nil, "`NUMBERS` of idle connections (default 0,1000,9000)")
	c.Flags().IntVar(&b.cfg.Open, "connections", 0, "instead: open `NUMBER` of connections at once and ask some")
	return c
}

// benchServers runs a bench of servers after its engines and its numbers, the values of flag, were checked.
func (a *App) benchServers(c *cobra.Command, b *benchRun, numbers []int, least, most int, flag string) error {
	if err := bench.CheckEngines(b.cfg.Engines); err != nil {
		return wrong(err)
	}
	for _, n := range numbers {
		if n < least || n > most {
			return wrong(fmt.Errorf("%s %d: want numbers from %d to %d", flag, n, least, most))
		}
	}
	if f := c.Flags(); !f.Changed("peers") && !f.Changed("peer") {
		b.cfg.Peers = b.installed()
	}
	return a.bench(c.Context(), b)
}

func (a *App) benchPartCommand() *cobra.Command {
	return &cobra.Command{
		Use:    "part ROLE",
		Short:  "Be one process of a bench (a bench starts it)",
		Args:   args(cobra.ExactArgs(1)),
		Hidden: true,
		RunE: func(c *cobra.Command, args []string) error {
			return bench.Part(c.Context(), args[0], os.Stdin, a.out)
		},
	}
}
