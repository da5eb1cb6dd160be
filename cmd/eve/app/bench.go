package app

import "github.com/spf13/cobra"

func (a *App) benchCommand() *cobra.Command {
	c := &cobra.Command{Use: "bench", Short: "The reference experiments and the truth tests"}
	c.AddCommand(a.truthCommand())
	return c
}
