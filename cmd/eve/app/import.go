package app

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/eve-emulation/eve/fase/har"
)

func (a *App) importCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "import",
		Short: "Make a scenario of something recorded",
		Long:  "Make a scenario of something recorded elsewhere.",
		Args:  args(cobra.NoArgs),
		RunE:  func(c *cobra.Command, _ []string) error { return c.Help() },
	}
	c.AddCommand(a.importHAR(), a.importBPEL(), a.importTraces())
	return c
}

func (a *App) importHAR() *cobra.Command {
	var out string
	c := &cobra.Command{
		Use:   "har FILE",
		Short: "Make a session of a visit that a browser recorded",
		Long: "Make a session of a visit that a browser recorded as an HTTP Archive (in the network panel of its developer tools: Save\n" +
			"all as HAR). Pages follow one another as they did, the requests of a page overlap as they did, and the pauses stay.\n" +
			"What a scenario cannot have is listed. The scenario goes to standard output, or to a file that does not exist.",
		Example: "  eve import har visit.har -o visit.yaml\n  eve check visit.yaml\n  eve run visit.yaml --set clients.users.users=20",
		Args:    args(cobra.ExactArgs(1)),
		RunE:    func(_ *cobra.Command, args []string) error { return a.convertHAR(args[0], out) },
	}
	c.Flags().StringVarP(&out, "output", "o", "", "the scenario `FILE`; without it standard output")
	return c
}

// convertHAR writes the scenario of an archive.
func (a *App) convertHAR(file, out string) error {
	f, err := os.Open(file)
	if err != nil {
		return wrong(fmt.Errorf("import har: %w", err))
	}
	defer f.Close()
	archive, err := har.Read(f)
	var at *har.Error
	switch {
	case errors.As(err, &at):
		return wrong(fmt.Errorf("import har: %s:%w", file, err))
	case err != nil:
		return fmt.Errorf("import har %s: %w", file, err)
	}
	base := filepath.Base(file)
	r, err := archive.Scenario(nameOf(strings.TrimSuffix(base, filepath.Ext(base))))
	if err != nil {
		return wrong(fmt.Errorf("import har %s: %w", file, err))
	}
	if out == "" {
		_, err := a.out.Write(r.Text)
		a.toldNotes(a.err, r.Notes)
		return err
	}
	if err := writeNew(out, r.Text); err != nil {
		return err
	}
	a.toldNotes(a.out, r.Notes)
	fmt.Fprintf(a.out, "%s has a session of %d pages with %d requests to %s. Next: eve check %[1]s; eve run %[1]s\n",
		out, r.Pages, r.Calls, strings.Join(r.Hosts, ", "))
	return nil
}

func (a *App) toldNotes(w io.Writer, notes []string) {
	for _, n := range notes {
		fmt.Fprintf(w, "note: %s\n", n)
	}
}

// nameOf makes the name of a scenario of a file's.
func nameOf(s string) string {
	name := strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= '0' && r <= '9' || r == '-' {
			return r
		}
		return '-'
	}, strings.ToLower(s))
	if name = strings.Trim(name, "-"); name == "" {
		return "visit"
	}
	return name
}

// writeNew writes a file that does not exist.
func writeNew(path string, text []byte) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	switch {
	case errors.Is(err, fs.ErrExist):
		return wrong(fmt.Errorf("import: %s exists already, and stays as it is", path))
	case err != nil:
		return fmt.Errorf("import: %w", err)
	}
	_, err = f.Write(text)
	if err = errors.Join(err, f.Close()); err != nil {
		return errors.Join(fmt.Errorf("import: %w", err), os.Remove(path))
	}
	return nil
}
