package app

import (
	"github.com/spf13/cobra"

	"github.com/eve-emulation/eve/cmd/eve/bench"
)

func (a *App) benchDiskCommand() *cobra.Command {
	b := &benchRun{name: "disk", run: bench.Disk, check: func([]string) error { return nil }}
	c := &cobra.Command{
		Use:   "disk",
		Short: "Servers of real files: helpers for the disk (F1), stages beside threads (S2)",
		Long: "Measure servers of static files, written to the disk in the folder for temporary files and read past the kernel's page\n" +
			"cache where the file system allows it: one event loop that waits for the disk itself beside one with helpers, with caches\n" +
			"of all files and of less and less of them (F1); and SEDA's table, up to 1024 readers that open their connections anew after\n" +
			"five requests, with a backlog of 128 (S2), where apache2 is measured beside if it is installed.\n\n" +
			"Shapes are judged and the command ends as eve bench dsv says.",
		Example: "  eve bench disk\n  eve bench disk --out disk",
		Args:    args(cobra.NoArgs),
		RunE:    func(c *cobra.Command, _ []string) error { return a.bench(c.Context(), b) },
	}
	b.flags(c)
	return c
}
