package app

import "github.com/spf13/cobra"

func (a *App) truthCommand() *cobra.Command {
	return &cobra.Command{Use: "truth"}
}
