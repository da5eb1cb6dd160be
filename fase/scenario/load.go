package scenario

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/eve-emulation/eve/dmm"
	"github.com/eve-emulation/eve/dsv"
	"github.com/eve-emulation/eve/fase/adapt"
	"github.com/eve-emulation/eve/fase/user"
	"github.com/eve-emulation/eve/rdr"
)

// Options say what a scenario is loaded with. The zero value works: nothing is overridden, and files cannot be read.
type Options struct {
	// Set overrides values, as `PATH=VALUE`: a path of keys joined by dots, with numbers for the items of lists, and the
	// value in YAML. What is not there is added. Later ones win.
	Set []string
	// Graft, where not nil, gives the scenario the adaptation of another file, before anything is overridden.
	Graft *Graft
	// Duration, where above 0, and Seed, where not nil, override the keys of that name.
	Duration time.Duration
	Seed     *uint64
	// ReadFile returns a file that the scenario names by a relative path. The caller confines it to the scenario's folder.
	ReadFile func(path string) ([]byte, error)
	// OpenFile opens such a file where it may be large: a trace. Without it ReadFile reads it.
	OpenFile func(path string) (io.ReadCloser, error)
	// Compiled says that ReadFile returns the Inputs of a plan that was loaded before, in which traces are encoded.
	Compiled bool
	// Kinds are the kinds of modules that may be named: a pointer to the configuration's struct, or nil for a kind without
	// configuration. Its fields are the keys that are allowed, by their json tags. It may be a Checker and a Declarer. One that
	// is an adapt.Maker is no module's, but one of Controllers.
	Kinds map[string]any
	// Controllers are the kinds of controllers that the program has beside Eve's own, each a pointer to the struct of its
	// configuration, with its defaults. It may be a Checker.
	Controllers map[string]adapt.Maker
	// AnyKind says that the kinds of modules were checked before: others than Kinds are taken as they are.
	AnyKind bool
	// Manipulators are those that the program has beside Eve's own: `dmm:` may name them.
	Manipulators dmm.Registry

	declared []dsv.Declaration // with AnyKind: what the kinds declare, as Publish wrote it
}

// Load reads a scenario. file is its name in messages. Mistakes are told several at once: the error is an Errors. The
// result keeps nothing of src.
func Load(file string, src []byte, o Options) (*Plan, error) {
	o = o.sorted()
	f := &faults{main: file}
	root := parseTree(file, src, f)
	if root == nil || len(f.errs) > 0 {
		return nil, f.err()
	}
	if root.kind != mappingNode {
		f.at(root, fmt.Sprintf("a scenario is a mapping, not %s", root.what()), "begin with `eve: 1`")
		return nil, f.err()
	}
	changed := graftFile(root, o.Graft, f)
	maps.Copy(changed, applyOverrides(root, o, f))
	c := compiler{faults: f, options: o, plan: &Plan{Text: append([]byte(nil), src...), Inputs: map[string][]byte{}}}
	if v := root.get("eve"); v != nil && v.text != "1" {
		version(&c.raw.eve).read(&reader{f}, v) // another version has other keys
		return nil, f.err()
	}
	(&reader{f}).object(root, "the scenario", scenarioFields(&c.raw))
	c.root = root
	if err := c.compile(); err != nil {
		return nil, err
	}
	if len(changed) > 0 {
		c.plan.Text = rewrite(file, src, root, changed)
	}
	return c.plan, nil
}

// compiler makes a Plan of what was read.
type compiler struct {
	*faults
	options Options
	raw     rawScenario
	root    *node
	plan    *Plan

	files    map[string]*rdr.Block // the requests of the clients
	blocks   []string              // their names, in order
	sessions map[string]*user.Sessions
	parsed   []parsedFile
	vars     map[dsv.Name]dsv.Declaration
	known    []dsv.Name
	// complete are the modules of which all variables are declared.
	complete []string
}

func (c *compiler) compile() error {
	c.header()
	c.farms()
	c.participants()
	c.servers()
	c.fileSets()
	c.services()
	c.targets()
	c.requests()
	c.walks()
	c.clients()
	c.failures()
	c.modules()
	c.shorts()
	c.named()
	if len(c.errs) > 0 {
		return c.err()
	}
	c.measures()
	c.declared()
	c.balancing()
	c.follows()
	c.rules()
	c.controls()
	c.expectations()
	c.demands()
	c.plan.Warnings = c.sorted(c.warnings)
	c.plan.compiled = c
	c.plan.Adapt.Arrives = c.plan.arrivals()
	return c.err()
}

func (c *compiler) header() {
	r, p := &c.raw, c.plan
	p.Name, p.About, p.Seed = r.name.v, r.about.v, r.seed.v
	if p.Name == "" {
		base := filepath.Base(c.main)
		p.Name = strings.TrimSuffix(base, filepath.Ext(base))
	}
	p.Duration, p.Warmup = r.duration.v, r.warmup.v
	if r.duration.written() && p.Warmup >= p.Duration {
		at := r.warmup.at
		if at == nil || r.duration.at.src.file != c.main {
			at = r.duration.at
		}
		c.at(at, fmt.Sprintf("the warm-up of %v is not shorter than the run of %v", p.Warmup, p.Duration), "duration includes warmup: make it longer, or the warm-up shorter")
	}
	if len(c.errs) > 0 {
		return // what is missing may be what is misspelt
	}
	if len(r.servers) == 0 && len(r.targets) == 0 && (len(r.modules) == 0 || len(r.clients) > 0 || len(r.services) > 0) {
		c.at(c.root, "there is no server", "add `servers:` with at least one name, or `targets:`")
	}
	if len(r.clients) == 0 && len(r.modules) == 0 {
		c.at(c.root, "there are no clients", "add `clients:` with at least one name")
	}
}

// reserved are names that variables of Eve's own begin with, and words of the expression language.
func reserved() []string {
	return []string{"run", "map", "config", "eve", "adapt", "and", "or", "not", "in", "true", "false", "nil"}
}

// parts are names of a server's own variables: a service cannot have them.
func parts() []string {
	return []string{"cpu", "disk", "memory", "link", "lock", "in_flight", "lag", "admit", "process"}
}

// maxName bounds the name of a participant, so that the names of its variables stay within theirs.
const maxName = 48

// participants checks the one namespace of clients, services, servers, targets and modules.
func (c *compiler) participants() {
	seen := map[string]string{}
	check := func(name string, at *node, what string) {
		switch {
		case !validName(name):
			c.at(at, fmt.Sprintf("%q is not a name", clip(name)), fmt.Sprintf("a name is at most %d small letters, digits and _, and begins with a letter", maxName))
		case slices.Contains(reserved(), name):
			c.at(at, fmt.Sprintf("the name %q is reserved", name), "choose another one")
		case what != "server" && what != "farm of servers" && slices.Contains(parts(), name):
			c.at(at, fmt.Sprintf("a %s cannot be called %q: servers have variables of that name", what, name), "choose another name")
		case seen[name] != "":
			c.at(at, fmt.Sprintf("the name %q is taken by a %s", name, seen[name]), "clients, services, servers, targets and modules share one namespace")
		}
		if seen[name] == "" {
			seen[name] = what
		}
	}
	for _, f := range c.plan.Farms {
		check(f.Name, c.raw.servers[f.Servers[0]].at, "farm of servers")
	}
	for i, n := range c.raw.servers {
		if slices.ContainsFunc(c.plan.Farms, func(f Farm) bool { return slices.Contains(f.Servers, i) && !validName(f.Name) }) {
			continue // told of the farm
		}
		check(n.name, n.at, "server")
	}
	for _, n := range c.raw.services {
		check(n.name, n.at, "service")
	}
	for _, n := range c.raw.targets {
		check(n.name, n.at, "target")
	}
	for _, n := range c.raw.clients {
		check(n.name, n.at, "client group")
	}
	for _, n := range c.raw.modules {
		check(n.name, n.at, "module")
	}
	for _, n := range c.raw.clients {
		g := user.Config{Name: n.name, Parts: n.v.processes.v}
		for _, name := range g.Processes()[1:] {
			if seen[name] != "" {
				c.at(n.v.processes.at, fmt.Sprintf("a process of %s would be called %s, as a %s is", n.name, name, seen[name]), "choose another name")
			}
		}
	}
}

func validName(s string) bool {
	if len(s) > maxName || strings.Contains(s, ".") {
		return false
	}
	_, err := dsv.ParseName(s)
	return err == nil
}

// read returns a file that the scenario names, and keeps it among the inputs.
func (c *compiler) read(path string) ([]byte, error) {
	if b, ok := c.plan.Inputs[path]; ok {
		return b, nil
	}
	if path == "" || !filepath.IsLocal(path) || strings.Contains(path, "\\") {
		return nil, errors.New("it is not a path within the scenario's folder")
	}
	if c.options.ReadFile == nil {
		return nil, errors.New("there is no folder to read files from")
	}
	b, err := c.options.ReadFile(path)
	if err != nil {
		if errors.Is(err, fs.ErrNotExist) {
			return nil, errors.New("there is no such file in the scenario's folder")
		}
		return nil, err
	}
	c.plan.Inputs[path] = b
	return b, nil
}

// duration and seed as overrides.
func (o Options) sets() []string {
	sets := append([]string(nil), o.Set...)
	if o.Duration > 0 {
		sets = append(sets, "duration="+strconv.FormatFloat(o.Duration.Seconds(), 'f', -1, 64)+"s")
	}
	if o.Seed != nil {
		sets = append(sets, "seed="+strconv.FormatUint(*o.Seed, 10))
	}
	return sets
}

// sorted puts the kinds of controllers among the Controllers.
func (o Options) sorted() Options {
	kinds, controllers := map[string]any{}, maps.Clone(o.Controllers)
	for name, shape := range o.Kinds {
		m, ok := shape.(adapt.Maker)
		if !ok {
			kinds[name] = shape
			continue
		}
		if controllers == nil {
			controllers = map[string]adapt.Maker{}
		}
		controllers[name] = m
	}
	o.Kinds, o.Controllers = kinds, controllers
	return o
}
