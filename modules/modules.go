// Package modules is what an author of emulation code builds on.
//
//   - A [Module] is emulation code: Run(ctx, env) is all that its author writes.
//   - A [Spec] names a kind of module; a [Registry] holds the kinds that a program knows.
//   - An [Env] is what a running module has: variables, manipulated variables, the run's clock, its configuration,
//     user-level threads, a log.
//   - A [Link] says how to reach the kernel; [Run] runs one module over it, and [Main] does so for a child process.
//   - A [Proxy] is a kernel's variables, barriers, groups and channels over one connection.
//
// A whole module:
//
//	type probe struct{}
//
//	func (probe) Run(ctx context.Context, env *modules.Env) error {
//		if err := env.Measure(dmm.Spec{Name: "probe.beats", Manipulator: "count", Sync: dmm.Trigger{Every: time.Second}}); err != nil {
//			return err
//		}
//		if err := env.Ready(ctx); err != nil { // all modules start together, at T0
//			return err
//		}
//		beats := env.Var("probe.beats")
//		for ctx.Err() == nil {
//			beats.Write(env.Now(), 1)
//			// ...
//		}
//		return nil
//	}
//
// docs/writing-modules.md goes on from here.
package modules

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/eve-emulation/eve/dmm"
	"github.com/eve-emulation/eve/dsv"
)

// A Module is emulation code. Each value is run once.
type Module interface {
	// Run does the module's work until that is done or ctx ends, whichever is first; ending because ctx ended is no error.
	Run(ctx context.Context, env *Env) error
}

// Func makes a Module of a function.
type Func func(ctx context.Context, env *Env) error

// Run calls f.
func (f Func) Run(ctx context.Context, env *Env) error { return f(ctx, env) }

// A Spec is a kind of module.
type Spec struct {
	Name   string        // as a scenario says it after kind: [a-z][a-z0-9_]*
	Help   string        // one sentence
	Config func() any    // a pointer to a struct with the defaults; its type is the schema; nil for no configuration
	New    func() Module // makes one; starts nothing; nil for a Spec that only brings manipulators, or a kind of controller

	// A Spec without New whose Config makes controllers, as package adapt's Maker does, is a kind of controller: `control:` of
	// a scenario may name it. The adapter steps such controllers in its own process, and `eve sim` in virtual time.

	// Manipulators are those that it brings: any variable of a module may be put under one by its name.
	Manipulators []dmm.Manipulator
}

// A Registry holds the kinds of modules that a program knows. It does not change.
type Registry struct {
	specs        []Spec
	manipulators dmm.Registry
}

// NewRegistry returns a registry of specs: an error for a wrong or a repeated name, or a Spec
// without New that brings no manipulators.
func NewRegistry(specs ...Spec) (*Registry, error) {
	r := &Registry{specs: slices.Clone(specs)}
	for i, s := range r.specs {
		if n, err := dsv.ParseName(s.Name); err != nil || strings.Contains(string(n), ".") {
			return nil, fmt.Errorf("register module %q: want [a-z][a-z0-9_]*", s.Name)
		}
		if err := checkManipulators(append(dmm.Shipped(), r.manipulators...), s.Manipulators); err != nil {
			return nil, err
		}
		r.manipulators = append(r.manipulators, s.Manipulators...)
		if s.New == nil && s.Config == nil && len(s.Manipulators) == 0 {
			return nil, fmt.Errorf("register module %s: no New", s.Name)
		}
		if slices.ContainsFunc(r.specs[:i], func(t Spec) bool { return t.Name == s.Name }) {
			return nil, fmt.Errorf("register module %s: registered twice", s.Name)
		}
	}
	return r, nil
}

// Specs lists the kinds in the order in which they were registered.
func (r *Registry) Specs() []Spec {
	return slices.DeleteFunc(slices.Clone(r.specs), func(s Spec) bool { return s.New == nil })
}

// Controllers are the configurations of the kinds of controllers, by name, with their defaults.
func (r *Registry) Controllers() map[string]any {
	kinds := map[string]any{}
	for _, s := range r.specs {
		if s.New == nil && s.Config != nil {
			kinds[s.Name] = s.Config()
		}
	}
	return kinds
}

// Manipulators lists those that the kinds bring.
func (r *Registry) Manipulators() dmm.Registry { return slices.Clone(r.manipulators) }

// Lookup returns the kind called name; the error lists what there is.
func (r *Registry) Lookup(name string) (Spec, error) {
	names := make([]string, 0, len(r.specs))
	for _, s := range r.Specs() {
		if s.Name == name {
			return s, nil
		}
		names = append(names, s.Name)
	}
	return Spec{}, fmt.Errorf("module kind %q: unknown; known are %s", name, strings.Join(names, ", "))
}
