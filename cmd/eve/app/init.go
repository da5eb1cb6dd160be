package app

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/eve-emulation/eve/scenarios"
)

func (a *App) initCommand() *cobra.Command {
	var from string
	c := &cobra.Command{
		Use:   "init [SCENARIO] [FILE]",
		Short: "Begin a scenario of your own, as a copy of a shipped one",
		Long: "Begin a scenario of your own, as a copy of a shipped one: hello, unless another is named. The file is SCENARIO.yaml\n" +
			"unless you name it. Existing files are never overwritten.",
		Example: "  eve init                              # hello.yaml\n" +
			"  eve init flash-crowd                  # flash-crowd.yaml\n" +
			"  eve init mine.yaml --from flash-crowd # or: eve init flash-crowd mine.yaml",
		Args: args(cobra.MaximumNArgs(2)),
		RunE: func(c *cobra.Command, args []string) error {
			name, file, err := copyOf(args, from, c.Flags().Changed("from"))
			if err != nil {
				return wrong(err)
			}
			return a.begin(name, file)
		},
	}
	c.Flags().StringVar(&from, "from", "hello", "the shipped `SCENARIO` to copy")
	return c
}

// copyOf tells which scenario is copied to which file. An argument alone is a scenario, if one of that name is shipped.
func copyOf(args []string, from string, said bool) (name, file string, err error) {
	switch {
	case len(args) == 2 && said && args[0] != from:
		return "", "", fmt.Errorf("init: --from %s, or %s: which one?", from, args[0])
	case len(args) == 2:
		return args[0], args[1], nil
	case len(args) == 1 && !said && slices.Contains(shippedNames(), args[0]):
		return args[0], args[0] + ".yaml", nil
	case len(args) == 1 && !said && !strings.ContainsAny(args[0], "/."):
		return "", "", fmt.Errorf("init: no scenario %s is shipped; there are: %s; a file is named as %[1]s.yaml", args[0], strings.Join(shippedNames(), ", "))
	case len(args) == 1:
		return from, args[0], nil
	}
	return from, from + ".yaml", nil
}

// begin copies a shipped scenario to a file that does not exist.
func (a *App) begin(name, file string) error {
	text, err := scenarios.Open(name)
	if err != nil {
		return wrong(fmt.Errorf("init: %s: %w; there are: %s", name, err, strings.Join(shippedNames(), ", ")))
	}
	f, err := os.OpenFile(file, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	switch {
	case errors.Is(err, fs.ErrExist):
		return wrong(fmt.Errorf("init: %s exists already, and stays as it is", file))
	case err != nil:
		return fmt.Errorf("init: %w", err)
	}
	_, err = f.Write(text)
	if err = errors.Join(err, f.Close()); err != nil {
		return errors.Join(fmt.Errorf("init: %w", err), os.Remove(file))
	}
	for _, beside := range scenarios.Beside(name) {
		if err := copyBeside(beside, filepath.Join(filepath.Dir(file), beside)); err != nil {
			return fmt.Errorf("init: %w", err)
		}
	}
	fmt.Fprintf(a.out, "%s is yours. Change it, then: eve check %[1]s; eve sim %[1]s; eve run %[1]s\n", file)
	return nil
}

// copyBeside copies a file that a shipped scenario reads to where a copy of the scenario finds it, unless there is one.
func copyBeside(name, to string) error {
	b, err := fs.ReadFile(scenarios.FS(), name)
	if err != nil {
		return err
	}
	f, err := os.OpenFile(to, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if errors.Is(err, fs.ErrExist) {
		return nil
	}
	if err != nil {
		return err
	}
	_, err = f.Write(b)
	return errors.Join(err, f.Close())
}
