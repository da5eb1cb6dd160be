package scenario

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/eve-emulation/eve/dmm"
	"github.com/eve-emulation/eve/dmm/recipe"
	"github.com/eve-emulation/eve/dsv"
)

// rawRecipe is a manipulator as written: a name, an expression or a guest, its parameter and its trigger.
type rawRecipe struct {
	dmm          spot[string] // the name; of the others only where they stand
	expr         spot[string]
	init         spot[float64]
	wasm         spot[string] // a file
	param        spot[float64]
	every        spot[time.Duration]
	count        spot[int]
	change       spot[change]
	above, below spot[float64]
	sync         bool
}

// custom says whether it is no name.
func (m *rawRecipe) custom() bool { return m.expr.written() || m.wasm.written() }

// A Behind is a manipulator in the kernel, behind which a variable is.
type Behind struct {
	dmm.Spec
	Recipe dmm.Recipe
}

func recipeFields(m *rawRecipe) []field {
	return []field{
		{key: "expr", value: text(&m.expr), help: "what the value becomes at each sample, of `shadow` and `sample`, such as 0.9*shadow + 0.1*sample"},
		{key: "init", value: level(&m.init), help: "expr: the shadow before the first sample; without it the first sample itself"},
		{key: "wasm", value: text(&m.wasm), help: "a file of WebAssembly in the scenario's folder, which exports fold"},
	}
}

// manipulated is what stands behind `dmm:`.
func manipulated(m *rawRecipe) value {
	inner := object("dmm", recipeFields(m))
	names := manipulators()
	list := make([]any, len(names))
	for i, n := range names {
		list[i] = n
	}
	object := inner.schema()
	s := shape{
		name: strings.Join(names, " · ") + ", the name of one's own, `{expr: …, init: …}` or `{wasm: FILE}`",
		json: map[string]any{"anyOf": []any{map[string]any{"enum": list}, map[string]any{"type": "string"}, object}},
	}
	return value{s, func(r *reader, n *node) {
		if n.kind != mappingNode {
			if t, ok := r.scalar(n, "one of "+strings.Join(names, ", ")); ok {
				put(&m.dmm, n, t)
			}
			return
		}
		inner.read(r, n)
		m.dmm.at = n
		if m.expr.written() == m.wasm.written() {
			r.at(n, "a manipulator of one's own is an expression or WebAssembly", "write {expr: 0.9*shadow + 0.1*sample}, or {wasm: FILE}")
		}
		if m.init.written() && !m.expr.written() {
			r.at(m.init.at, "init is of expressions", "a guest exports init")
		}
	}}
}

// manipulators lists what `dmm:` may name: Eve's own, and those of the program.
func (c *compiler) manipulators() []string {
	return append(manipulators(), c.options.Manipulators.Names()...)
}

// named checks the manipulators that are named, and their parameters.
func (c *compiler) named() {
	for i := range c.raw.measure {
		m := &c.raw.measure[i].v
		c.name(&m.rawRecipe)
		c.name(&m.kernel)
	}
}

func (c *compiler) name(m *rawRecipe) {
	if c.options.AnyKind {
		return
	}
	if m.dmm.v == "" {
		if m.custom() && m.param.written() {
			c.at(m.param.at, "an expression or a guest takes no parameter", "remove it")
		}
		return
	}
	known := c.manipulators()
	if !slices.Contains(known, m.dmm.v) {
		c.at(m.dmm.at, fmt.Sprintf("%q is none of %s", clip(m.dmm.v), strings.Join(known, ", ")), meant(m.dmm.v, known))
		return
	}
	man, err := append(dmm.Shipped(), c.options.Manipulators...).Lookup(m.dmm.v)
	if err != nil {
		return // it is told
	}
	if !m.param.written() {
		return // where one is due, that is told with what else is wrong
	}
	if err := man.CheckParam(m.param.v); err != nil {
		c.at(m.param.at, err.Error(), "")
	} else if !man.NeedsParam {
		c.at(m.param.at, man.Name+" takes no parameter", "remove it")
	}
}

// recipe makes a manipulator of what is written for the variable called name; kind is what a last holds, 0 for a number.
func (c *compiler) recipe(m *rawRecipe, name dsv.Name, kind dsv.Kind, standard dmm.Trigger, at *node) (dmm.Spec, dmm.Recipe, bool) {
	r := dmm.Recipe{Param: m.param.v, Sync: m.trigger(standard)}
	switch {
	case m.expr.written():
		r.Expr = m.expr.v
		if m.init.written() {
			r.Init = &m.init.v
		}
	case m.wasm.written():
		return c.guest(m, name, r, at)
	case m.dmm.v == "":
		return dmm.Spec{}, r, false // its mistake is told
	default:
		r.Name = m.dmm.v
		if !slices.Contains(c.manipulators(), r.Name) {
			return dmm.Spec{}, r, false // it is told, or it was checked before
		}
	}
	made, err := recipe.Make(context.Background(), name, r, c.options.Manipulators)
	if err != nil {
		switch man, _ := append(dmm.Shipped(), c.options.Manipulators...).Lookup(r.Name); {
		case m.expr.written():
			c.expression(m.expr.at, err)
		case man.CheckParam(r.Param) != nil:
			c.at(m.dmm.at, err.Error(), "add `param:`")
		default:
			c.at(at, err.Error(), "")
		}
		return dmm.Spec{}, r, false
	}
	if man, _ := dmm.Shipped().Lookup(r.Name); man.AnyKind && made.Spec.Custom == nil {
		made.Spec.Kind = kind
	}
	return made.Spec, r, true
}

// guest makes a manipulator of a file. A process that gets the scenario from the kernel has no use for the file, and
// does not get it: each guest travels to the module that runs it.
func (c *compiler) guest(m *rawRecipe, name dsv.Name, r dmm.Recipe, at *node) (dmm.Spec, dmm.Recipe, bool) {
	if c.options.AnyKind {
		man := dmm.Manipulator{Name: "wasm", Kind: dsv.Float, Merge: dsv.Last, OneWriter: true, New: func(dmm.Spec) dmm.Shadow { return nil }}
		return dmm.Spec{Name: name, Manipulator: "wasm", Custom: &man, Param: r.Param, Sync: r.Sync}, r, true
	}
	code, err := c.read(m.wasm.v)
	if err != nil {
		c.at(m.wasm.at, fmt.Sprintf("read %s: %v", clip(m.wasm.v), err), "")
		return dmm.Spec{}, r, false
	}
	c.plan.guests = append(c.plan.guests, m.wasm.v)
	r.Wasm = code
	made, err := recipe.Make(context.Background(), name, r, nil)
	if err != nil {
		c.at(m.wasm.at, err.Error(), "docs/writing-manipulators.md says what a guest exports")
		return dmm.Spec{}, r, false
	}
	defer func() { _ = made.Close() }() // whoever runs it compiles it
	return made.Spec, r, true
}

// behind makes the manipulator that stands in the kernel, behind what comes from the module.
func (c *compiler) behind(m *rawRecipe, name dsv.Name, from dsv.Declaration, at *node) *Behind {
	spec, r, ok := c.recipe(m, name, from.Kind, dmm.Trigger{Every: period}, at)
	if !ok {
		return nil
	}
	if from.Kind != 0 {
		if err := dmm.Chain(from, spec.Declaration("", "", false)); err != nil {
			c.at(m.dmm.at, fmt.Sprintf("%s in the kernel: %v", spec.Manipulator, err), "write the same in the kernel")
			return nil
		}
	}
	return &Behind{spec, r}
}
