package runs

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"time"

	"github.com/eve-emulation/eve/dmm"
	"github.com/eve-emulation/eve/dsv"
	"github.com/eve-emulation/eve/dsv/dsvbolt"
	"github.com/eve-emulation/eve/fase/scenario"
)

// DefaultRoot is where runs without a folder of their own go, below the working directory.
const DefaultRoot = "runs"

// A Folder is an open run folder. Its methods may be called from several goroutines at once.
type Folder struct {
	dir   string
	store *dsvbolt.DB
	// damage says why run.db could not be opened; then there is no history.
	damage error
	close  sync.Once
	closed error
}

// Create makes a folder for a run of the plan: scenario.yaml, inputs/ and an empty run.db, which the Folder alone has open
// until Close. An empty dir means runs/SCENARIO-YYYYMMDD-HHMMSS, with -2, -3 … behind it where that exists. A folder that
// holds anything is ErrNotEmpty: no run is ever overwritten.
func Create(dir string, plan *scenario.Plan, now time.Time) (*Folder, error) {
	dir, made, err := makeDir(dir, plan.Name, now)
	if err != nil {
		return nil, fmt.Errorf("create run folder: %w", err)
	}
	f := &Folder{dir: dir}
	if err := f.fill(plan); err != nil {
		if made {
			_ = os.RemoveAll(dir) // nothing but what was just made is in it
		}
		return nil, fmt.Errorf("create run folder %s: %w", dir, err)
	}
	return f, nil
}

// makeDir makes the folder, and says whether it was not there before.
func makeDir(dir, name string, now time.Time) (path string, made bool, err error) {
	if dir != "" {
		entries, err := os.ReadDir(dir)
		switch {
		case errors.Is(err, fs.ErrNotExist):
			return dir, true, os.MkdirAll(dir, 0o755)
		case err != nil:
			return dir, false, err
		case len(entries) > 0:
			return dir, false, fmt.Errorf("%s: %w", dir, ErrNotEmpty)
		}
		return dir, false, nil
	}
	if err := os.MkdirAll(DefaultRoot, 0o755); err != nil {
		return "", false, err
	}
	base := filepath.Join(DefaultRoot, fileName(name)+"-"+now.Format("20060102-150405"))
	path = base
	for n := 2; ; n++ {
		err := os.Mkdir(path, 0o755)
		if !errors.Is(err, fs.ErrExist) {
			return path, err == nil, err
		}
		path = base + "-" + strconv.Itoa(n)
	}
}

// fileName makes a part of a file name of whatever a scenario is called.
func fileName(s string) string {
	out := []rune(s)
	for i, r := range out {
		if !(r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '_' || r == '-') {
			out[i] = '_'
		}
	}
	if len(out) == 0 {
		return "run"
	}
	return string(out[:min(len(out), 100)])
}

// fill writes what is known before the run. Inputs stay below the folder whatever they are called.
func (f *Folder) fill(plan *scenario.Plan) error {
	err := f.describe(plan)
	if err != nil {
		return err
	}
	f.store, err = dsvbolt.Create(filepath.Join(f.dir, StoreFile))
	return err
}

// describe writes the scenario and its inputs.
func (f *Folder) describe(plan *scenario.Plan) error {
	root, err := os.OpenRoot(f.dir)
	if err != nil {
		return err
	}
	defer root.Close()
	if err := root.WriteFile(ScenarioFile, plan.Text, 0o644); err != nil {
		return err
	}
	for name, content := range plan.Inputs {
		path := filepath.Join(InputsFolder, filepath.FromSlash(name))
		if !filepath.IsLocal(filepath.FromSlash(name)) {
			return fmt.Errorf("input %q: not below the scenario's folder", name)
		}
		if err := root.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			return err
		}
		if err := root.WriteFile(path, content, 0o644); err != nil {
			return err
		}
	}
	return nil
}

// Open opens the folder of a run that has ended, or was cut off, for reading. A run.db that is missing or damaged leaves a
// folder without history: [Folder.Damage] says why. A folder without scenario.yaml is ErrNotRun.
func Open(dir string) (*Folder, error) {
	if _, err := os.Stat(filepath.Join(dir, ScenarioFile)); err != nil {
		if errors.Is(err, fs.ErrNotExist) {
			return nil, fmt.Errorf("open %s: %w", dir, ErrNotRun)
		}
		return nil, fmt.Errorf("open run folder: %w", err)
	}
	f := &Folder{dir: dir}
	f.store, f.damage = dsvbolt.Open(filepath.Join(dir, StoreFile), true)
	if errors.Is(f.damage, dsvbolt.ErrInUse) {
		return nil, fmt.Errorf("open %s: the run is not over: %w", dir, f.damage)
	}
	return f, nil
}

// Dir is the folder's path.
func (f *Folder) Dir() string { return f.dir }

// Path is the path of a file in the folder.
func (f *Folder) Path(name string) string { return filepath.Join(f.dir, name) }

// Store is the run's run.db: for a folder from Create the Recorder of the run; nil when it is damaged. It belongs to the
// Folder: Close closes it.
func (f *Folder) Store() *dsvbolt.DB { return f.store }

// Damage says why there is no history; nil when there is one.
func (f *Folder) Damage() error { return f.damage }

// History is what run.db holds; empty when it is damaged.
func (f *Folder) History() History {
	if f.store == nil {
		return nothing{}
	}
	return f.store
}

// nothing is the history of a folder whose run.db is damaged.
type nothing struct{}

func (nothing) Declarations() []dsv.Declaration { return nil }
func (nothing) History(n dsv.Name, _, _ dsv.Instant, _ func(dsv.Update) error) error {
	return fmt.Errorf("history of %s: %w", n, dsv.ErrNotFound)
}

// Scenario returns the scenario as run.
func (f *Folder) Scenario() ([]byte, error) { return os.ReadFile(f.Path(ScenarioFile)) }

// Plan loads the scenario as run, with its inputs. kinds are the kinds of modules that it may name, and own the manipulators.
func (f *Folder) Plan(kinds map[string]any, own ...dmm.Manipulator) (*scenario.Plan, error) {
	return f.Load(scenario.Options{Kinds: kinds, Manipulators: own})
}

// Load loads the scenario as run, with its inputs, with options: such as another adaptation.
func (f *Folder) Load(o scenario.Options) (*scenario.Plan, error) {
	text, err := f.Scenario()
	if err != nil {
		return nil, fmt.Errorf("read scenario: %w", err)
	}
	o.ReadFile, o.OpenFile, o.Compiled = f.input, nil, true
	return scenario.Load(f.Path(ScenarioFile), text, o)
}

func (f *Folder) input(path string) ([]byte, error) {
	root, err := os.OpenRoot(f.Path(InputsFolder))
	if err != nil {
		return nil, err
	}
	defer root.Close()
	return root.ReadFile(filepath.FromSlash(path))
}

// WriteEnvironment writes environment.json, whole or not at all: once before the run and again after it.
func (f *Folder) WriteEnvironment(e Environment) error {
	b, err := json.MarshalIndent(e, "", "  ")
	if err != nil {
		return fmt.Errorf("write %s: %w", EnvironmentFile, err)
	}
	return f.WriteFile(EnvironmentFile, append(b, '\n'))
}

// Environment reads environment.json.
func (f *Folder) Environment() (*Environment, error) {
	b, err := os.ReadFile(f.Path(EnvironmentFile))
	if err != nil {
		return nil, fmt.Errorf("read environment: %w", err)
	}
	var e Environment
	if err := json.Unmarshal(b, &e); err != nil {
		return nil, fmt.Errorf("read %s: %w", f.Path(EnvironmentFile), err)
	}
	return &e, nil
}

// Finish writes summary.json, whole or not at all: the run has ended.
func (f *Folder) Finish(s *Summary) error {
	b, err := s.Bytes()
	if err != nil {
		return err
	}
	return f.WriteFile(SummaryFile, b)
}

// Summary reads summary.json; ErrNoSummary when the run did not come to write one.
func (f *Folder) Summary() (*Summary, error) {
	b, err := os.ReadFile(f.Path(SummaryFile))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%s: %w", f.dir, ErrNoSummary)
	}
	if err != nil {
		return nil, fmt.Errorf("read summary: %w", err)
	}
	s, err := ParseSummary(b)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", f.Path(SummaryFile), err)
	}
	return s, nil
}

// SummaryOrRescue reads summary.json, or computes what it would say of a run that was cut off.
func (f *Folder) SummaryOrRescue(kinds map[string]any, own ...dmm.Manipulator) (*Summary, error) {
	s, err := f.Summary()
	if !errors.Is(err, ErrNoSummary) {
		return s, err
	}
	plan, err := f.Plan(kinds, own...)
	if err != nil {
		return nil, err
	}
	x := Extras{Kind: Real, Interrupted: true, Warnings: []string{"the run was cut off: this is what it had measured"}}
	if e, err := f.Environment(); err == nil {
		x.Version = e.Version
		if e.Kind != "" {
			x.Kind = e.Kind
		}
	}
	if f.damage != nil {
		x.Warnings = append(x.Warnings, f.damage.Error())
	}
	return Summarise(plan, f.History(), x), nil
}

// Close closes run.db. It may be called twice; then it returns the first error again.
func (f *Folder) Close() error {
	f.close.Do(func() {
		if f.store != nil {
			f.closed = f.store.Close()
		}
	})
	return f.closed
}
