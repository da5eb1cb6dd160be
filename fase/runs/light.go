package runs

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/eve-emulation/eve/fase/scenario"
)

// NewDir makes a folder for several runs of one name: dir, which must be empty or not exist, or below runs/ one called after
// name and the time.
func NewDir(dir, name string, now time.Time) (string, error) {
	dir, _, err := makeDir(dir, name, now)
	if err != nil {
		return "", fmt.Errorf("create folder: %w", err)
	}
	return dir, nil
}

// Keep makes the folder of a run that has ended and whose measurements are not kept: it has the scenario as run, its inputs
// and the summary, which comes last and whole, and no run.db: [Folder.Damage] of it is not nil.
func Keep(dir string, plan *scenario.Plan, e Environment, s *Summary) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return fmt.Errorf("keep run: %w", err)
	}
	f := &Folder{dir: dir}
	if err := f.describe(plan); err != nil {
		return fmt.Errorf("keep run %s: %w", dir, err)
	}
	return errors.Join(f.WriteEnvironment(e), f.Finish(s))
}

// WriteIn writes a file into a folder, whole or not at all.
func WriteIn(dir, name string, content []byte) error {
	return (&Folder{dir: filepath.Clean(dir)}).WriteFile(name, content)
}
