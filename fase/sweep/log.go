package sweep

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"sync"
	"syscall"
)

// The files of a sweep's folder.
const (
	DefinitionFile = "sweep.json"
	ResultsFile    = "points.jsonl" // a line for each result, in the order in which they came
)

// The errors of logs.
var (
	// ErrExists reports a folder that holds something else, or a sweep that is not to go on.
	ErrExists = errors.New("the folder is not empty")
	// ErrNone reports a folder without a sweep.
	ErrNone = errors.New("no sweep")
	// ErrDiffers reports a sweep of something else.
	ErrDiffers = errors.New("it is another sweep")
	// ErrInUse reports a sweep that another process is at.
	ErrInUse = errors.New("another process is at it")
)

// A Log keeps the results of a sweep in its folder, each as soon as it is there, so that a process that is killed loses none that it was
// told. Its methods may be called by several goroutines at once; one process has it open.
type Log struct {
	dir string

	mu      sync.Mutex // guards what follows
	file    *os.File   // locked
	size    int64      // of the whole lines
	results map[key]Result
	closed  bool
}

type key struct {
	point int
	seed  uint64
}

// Create makes a folder for a sweep, or takes an empty one.
func Create(dir string, d *Definition) (*Log, error) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, fmt.Errorf("create sweep: %w", err)
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, fmt.Errorf("create sweep: %w", err)
	}
	// A process that was killed while it wrote the definition has left its beginning.
	entries = slices.DeleteFunc(entries, func(e fs.DirEntry) bool { return e.Name() == DefinitionFile+suffix })
	if len(entries) > 0 {
		return nil, fmt.Errorf("create sweep %s: %w", dir, ErrExists)
	}
	b, err := json.MarshalIndent(d, "", "  ")
	if err == nil {
		err = replace(filepath.Join(dir, DefinitionFile), append(b, '\n'))
	}
	if err != nil {
		return nil, fmt.Errorf("create sweep: %w", err)
	}
	return open(dir)
}

// Read reads what the sweep in a folder is.
func Read(dir string) (*Definition, error) {
	b, err := os.ReadFile(filepath.Join(dir, DefinitionFile))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("read %s: %w", dir, ErrNone)
	}
	if err != nil {
		return nil, fmt.Errorf("read sweep: %w", err)
	}
	d := &Definition{}
	if err := json.Unmarshal(b, d); err != nil {
		return nil, fmt.Errorf("read %s: %w", filepath.Join(dir, DefinitionFile), err)
	}
	if d.Sweep != DefinitionVersion {
		return nil, fmt.Errorf("read %s: version %d, where this Eve reads %d", filepath.Join(dir, DefinitionFile), d.Sweep, DefinitionVersion)
	}
	return d, nil
}

// Resume opens the sweep in a folder to go on with it; it must be the one that is defined, by the same scenario: ErrDiffers says in what it
// is not. A last line that was not written whole is no result. The version of Eve may differ.
func Resume(dir string, d *Definition) (*Log, error) {
	was, err := Read(dir)
	if err != nil {
		return nil, err
	}
	if what := was.differs(d); what != "" {
		return nil, fmt.Errorf("resume %s: %w: %s", dir, ErrDiffers, what)
	}
	return open(dir)
}

// differs says in what two sweeps differ; empty: in nothing that matters.
func (d *Definition) differs(o *Definition) string {
	for _, x := range []struct {
		what string
		a, b any
	}{
		{"it was run in another way (--sim)", d.Kind, o.Kind},
		{"--over and --list", d.Axes, o.Axes},
		{"the seeds", d.Seeds, o.Seeds},
		{"--metric", d.Metrics, o.Metrics},
		{"the scenario, or a file that it reads, has changed since", d.SHA256, o.SHA256},
	} {
		if !reflect.DeepEqual(x.a, x.b) {
			return x.what
		}
	}
	return ""
}

func open(dir string) (*Log, error) {
	path := filepath.Join(dir, ResultsFile)
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o644)
	if err != nil {
		return nil, fmt.Errorf("open sweep: %w", err)
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		if errors.Is(err, syscall.EWOULDBLOCK) {
			err = ErrInUse
		}
		return nil, errors.Join(fmt.Errorf("open sweep %s: %w", dir, err), f.Close())
	}
	l := &Log{dir: dir, file: f, results: map[key]Result{}}
	if err := l.load(); err != nil {
		return nil, errors.Join(fmt.Errorf("open sweep: %s: %w", path, err), l.Close())
	}
	return l, nil
}

// load reads the whole lines, and cuts off what stands behind them.
func (l *Log) load() error {
	b, err := io.ReadAll(l.file)
	if err != nil {
		return err
	}
	for n := 1; len(b) > 0; n++ {
		line, rest, whole := bytes.Cut(b, []byte("\n"))
		var r Result
		err := json.Unmarshal(line, &r)
		if !whole || err != nil && len(rest) == 0 {
			break // it was being written
		}
		if err != nil {
			return fmt.Errorf("line %d: %w", n, err)
		}
		l.results[key{r.Point, r.Seed}] = r
		l.size += int64(len(line)) + 1
		b = rest
	}
	return l.cut()
}

// cut shortens the file to its whole lines.
func (l *Log) cut() error {
	if err := l.file.Truncate(l.size); err != nil {
		return err
	}
	_, err := l.file.Seek(l.size, io.SeekStart)
	return err
}

// Add keeps a result; when Add has returned, it survives the end of the process. A result of the same point and seed takes the place of an
// earlier one. On an error, as when the disk is full, the ones before are whole.
func (l *Log) Add(r Result) error {
	b, err := json.Marshal(r)
	if err != nil {
		return fmt.Errorf("keep result: %w", err)
	}
	b = append(b, '\n')
	l.mu.Lock()
	defer l.mu.Unlock()
	if _, err := l.file.Write(b); err != nil {
		return errors.Join(fmt.Errorf("keep result: %w", err), l.cut())
	}
	if err := l.file.Sync(); err != nil {
		return errors.Join(fmt.Errorf("keep result: %w", err), l.cut())
	}
	l.size += int64(len(b))
	var kept Result // as it is read again, so that a sweep in one go has the same table as one in two
	if err := json.Unmarshal(b, &kept); err != nil {
		return fmt.Errorf("keep result: %w", err)
	}
	l.results[key{r.Point, r.Seed}] = kept
	return nil
}

// Result returns what a point came to with a seed, if that is known.
func (l *Log) Result(point int, seed uint64) (Result, bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	r, ok := l.results[key{point, seed}]
	return r, ok
}

// Done is how many results there are that did not fail.
func (l *Log) Done() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	n := 0
	for _, r := range l.results {
		if r.Error == "" {
			n++
		}
	}
	return n
}

// Dir is the folder.
func (l *Log) Dir() string { return l.dir }

// Path is the path of a file in the folder.
func (l *Log) Path(name string) string { return filepath.Join(l.dir, name) }

// Write writes a file of the folder, whole or not at all.
func (l *Log) Write(name string, content []byte) error { return replace(l.Path(name), content) }

// Close closes the log. It may be called twice.
func (l *Log) Close() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return nil
	}
	l.closed = true
	return l.file.Close()
}

// suffix is of files that are being written.
const suffix = ".tmp"

// replace writes a file, whole or not at all.
func replace(path string, content []byte) error {
	tmp := path + suffix
	f, err := os.Create(tmp)
	if err != nil {
		return err
	}
	_, err = f.Write(content)
	if err == nil {
		err = f.Sync()
	}
	if e := f.Close(); err == nil {
		err = e
	}
	if err == nil {
		err = os.Rename(tmp, path)
	}
	if err != nil {
		_ = os.Remove(tmp)
	}
	return err
}
