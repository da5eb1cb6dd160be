package app

import "github.com/spf13/cobra"

func (a *App) benchCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "bench",
		Short: "The reference experiments and the truth tests",
		Args:  args(cobra.NoArgs),
		RunE:  func(c *cobra.Command, _ []string) error { return c.Help() },
	}
	c.AddCommand(a.truthCommand())
	return c
}
