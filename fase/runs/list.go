package runs

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"time"
)

// A Listed is one run folder of a List.
type Listed struct {
	Dir      string
	Start    time.Time // zero when unknown
	Finished bool      // has a summary; what follows is zero otherwise
	Scenario string
	Kind     Kind
	Seed     uint64
	Exit     Exit
	Ended    bool // it was not interrupted
}

// List lists the run folders directly below root, newest first; none when root does not exist. It opens no run.db, so
// runs that are under way are listed too.
func List(root string) ([]Listed, error) {
	entries, err := os.ReadDir(root)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("list runs: %w", err)
	}
	var out []Listed
	for _, e := range entries {
		f := Folder{dir: filepath.Join(root, e.Name())}
		if _, err := os.Stat(f.Path(ScenarioFile)); err != nil {
			continue
		}
		out = append(out, f.listed())
	}
	slices.SortStableFunc(out, func(a, b Listed) int {
		return cmp.Or(b.Start.Compare(a.Start), cmp.Compare(a.Dir, b.Dir))
	})
	return out, nil
}

func (f *Folder) listed() Listed {
	l := Listed{Dir: f.dir}
	if b, err := os.ReadFile(f.Path(EnvironmentFile)); err == nil {
		var e struct{ Start time.Time }
		if json.Unmarshal(b, &e) == nil {
			l.Start = e.Start
		}
	}
	if s, err := f.Summary(); err == nil {
		l.Finished, l.Ended = true, !s.Interrupted
		l.Scenario, l.Kind, l.Seed, l.Exit = s.Scenario, s.Kind, s.Seed, s.Exit
	}
	return l
}
