package app

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/eve-emulation/eve/fase/scenario"
	"github.com/eve-emulation/eve/modules/target"
	"github.com/eve-emulation/eve/scenarios"
)

// overrides are the flags that change a scenario.
type overrides struct {
	set      []string
	duration time.Duration
	seed     int64   // negative: not overridden
	draw     *uint64 // a seed of any size, which goes before seed; nil: none
}

// seeded is with another seed.
func (o overrides) seeded(seed uint64) overrides {
	o.draw = &seed
	return o
}

func (o *overrides) flags(c *cobra.Command) {
	c.Flags().StringArrayVar(&o.set, "set", nil, "override a value of the scenario: `PATH=VALUE`, as clients.crowd.rate=400/s; may be repeated")
	c.Flags().Func("duration", "override the duration, as `90s` or 5m", func(s string) (err error) {
		o.duration, err = time.ParseDuration(s)
		if err != nil || o.duration <= 0 {
			return errors.New("want a time above 0, as 90s or 5m")
		}
		return nil
	})
	o.seed = -1
	c.Flags().Func("seed", "override the seed: `N` from 0", func(s string) (err error) {
		o.seed, err = strconv.ParseInt(s, 10, 64)
		if err != nil || o.seed < 0 {
			return errors.New("want a whole number from 0")
		}
		return nil
	})
}

// source is the text of a scenario, and where the files beside it are.
type source struct {
	name string // for messages
	text []byte
	read func(path string) ([]byte, error)
	open func(path string) (io.ReadCloser, error) // the same without bound
}

// locate reads a scenario: a file, or one that is shipped.
func locate(arg string) (source, error) {
	if !strings.ContainsAny(arg, "/.") {
		if text, err := scenarios.Open(arg); err == nil {
			return source{
				name: arg + ".yaml", text: text,
				read: func(p string) ([]byte, error) { return fs.ReadFile(scenarios.FS(), p) },
				open: func(p string) (io.ReadCloser, error) { return scenarios.FS().Open(p) },
			}, nil
		}
	}
	text, err := readFile(arg, scenario.MaxSize)
	switch {
	case errors.Is(err, fs.ErrNotExist) && !strings.ContainsAny(arg, "/."):
		return source{}, fmt.Errorf("read scenario %s: no such file, and no scenario of that name is shipped; there are: %s", arg, strings.Join(shippedNames(), ", "))
	case err != nil:
		return source{}, fmt.Errorf("read scenario %w", err)
	}
	dir := filepath.Dir(arg)
	return source{
		name: arg, text: text,
		read: func(p string) ([]byte, error) { return readBelow(dir, p) },
		open: func(p string) (io.ReadCloser, error) { return openBelow(dir, p) },
	}, nil
}

// readFile reads a regular file of at most most bytes. It never waits, as opening a pipe does.
func readFile(path string, most int64) ([]byte, error) {
	info, err := os.Stat(path)
	switch {
	case err != nil:
		return nil, fmt.Errorf("%q: %w", path, cause(err))
	case info.IsDir():
		return nil, fmt.Errorf("%q: a folder; want a file", path)
	case !info.Mode().IsRegular():
		return nil, fmt.Errorf("%q: not a regular file", path)
	case info.Size() > most:
		return nil, fmt.Errorf("%q: %d bytes; at most %d", path, info.Size(), most)
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("%q: %w", path, cause(err))
	}
	return text, nil
}

// cause is what went wrong with a file, without the path, which is told already.
func cause(err error) error {
	if pe, ok := errors.AsType[*fs.PathError](err); ok {
		return pe.Err
	}
	return err
}

// maxInput bounds a file that a scenario reads.
const maxInput = 16 << 20

// readBelow reads a regular file that lies in dir, whatever its path says.
func readBelow(dir, path string) ([]byte, error) {
	f, err := openBelow(dir, path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, maxInput+1))
	if err == nil && len(b) > maxInput {
		return nil, fmt.Errorf("%s: at most %d bytes", path, maxInput)
	}
	return b, err
}

// openBelow opens a regular file that lies in dir, whatever its path says.
func openBelow(dir, path string) (io.ReadCloser, error) {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, err
	}
	defer root.Close()
	info, err := root.Stat(path)
	switch {
	case err != nil:
		return nil, err
	case !info.Mode().IsRegular():
		return nil, fmt.Errorf("%s: not a regular file", path)
	}
	return root.Open(path)
}

// load reads a scenario and compiles it.
func (a *App) load(arg string, o overrides) (*scenario.Plan, error) {
	src, err := locate(arg)
	if err != nil {
		return nil, wrong(err)
	}
	opts := scenario.Options{Set: o.set, Duration: o.duration, ReadFile: src.read, OpenFile: src.open, Kinds: a.kinds(), Manipulators: a.registry.Manipulators()}
	if opts.Seed = o.draw; o.draw == nil && o.seed >= 0 {
		seed := uint64(o.seed)
		opts.Seed = &seed
	}
	plan, err := scenario.Load(src.name, src.text, opts)
	if err != nil {
		return nil, wrong(err)
	}
	return plan, nil
}

// kinds are the modules that a scenario may name; those of the scenario's own parts are started by Eve itself.
func (a *App) kinds() map[string]any {
	kinds := a.registry.Controllers()
	for _, s := range a.registry.Specs() {
		switch {
		case s.Name == "server" || s.Name == "client" || s.Name == "adapter" || s.Name == target.Spec.Name:
		case s.Config == nil:
			kinds[s.Name] = nil
		default:
			kinds[s.Name] = s.Config()
		}
	}
	return kinds
}

func shippedNames() []string {
	var names []string
	for _, s := range scenarios.List() {
		names = append(names, s.Name)
	}
	return names
}
