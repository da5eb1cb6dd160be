package scenario

import (
	"cmp"
	"encoding"
	"encoding/json"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/eve-emulation/eve/dsv"
)

func (c *compiler) modules() {
	kinds := slices.Sorted(maps.Keys(c.options.Kinds))
	for _, n := range c.raw.modules {
		m := Module{Name: n.name, Kind: n.v.kind.v, Exec: plainTexts(n.v.exec), Count: n.v.count.v}
		kind := n.v.kind
		switch {
		case kind.written() && len(m.Exec) > 0:
			c.at(kind.at, fmt.Sprintf("module %s has both a kind and exec", n.name), "it is of a known kind, or a program of your own")
		case !kind.written() && len(m.Exec) == 0:
			c.at(n.at, fmt.Sprintf("module %s has neither a kind nor exec", n.name), "name its kind, or the program: exec: [python3, probe.py]")
		case kind.written() && !c.options.AnyKind && !slices.Contains(kinds, kind.v):
			c.at(kind.at, fmt.Sprintf("there is no module of the kind %q", clip(kind.v)), didYouMean(kind.v, kinds))
		default:
			shape := c.options.Kinds[kind.v]
			before := len(c.errs)
			m.Config = c.config(n.v.config, shape, slices.Contains(kinds, kind.v))
			if len(c.errs) == before {
				c.checkConfig(cmp.Or(n.v.config, n.at), shape, m.Config)
			}
			c.declare(m, shape)
		}
		c.plan.Modules = append(c.plan.Modules, m)
	}
}

// A Checker is a configuration that knows what is wrong with it, as far as its values alone tell. A scenario shows the error
// where the configuration is written.
type Checker interface{ Check() error }

// A Declarer is a configuration of which the variables of its module are known before the module runs, so that conditions may
// name them and ask histograms for quantiles. It lists them all, named by what stands after MODULE: latency.
type Declarer interface{ Variables() []dsv.Declaration }

// checkConfig lets a configuration that is a Checker find out what is wrong with it.
func (c *compiler) checkConfig(at *node, shape any, config []byte) {
	if _, ok := shape.(Checker); !ok {
		return
	}
	full := reflect.New(reflect.TypeOf(shape).Elem())
	full.Elem().Set(reflect.ValueOf(shape).Elem()) // the defaults
	if len(config) > 0 {
		if err := json.Unmarshal(config, full.Interface()); err != nil {
			c.at(at, err.Error(), "")
			return
		}
	}
	if err := full.Interface().(Checker).Check(); err != nil {
		c.at(at, err.Error(), "")
	}
}

// declare notes the variables of a module whose kind is a Declarer.
func (c *compiler) declare(m Module, shape any) {
	kind, ok := shape.(Declarer)
	if !ok {
		return
	}
	for _, name := range m.Instances() {
		c.complete = append(c.complete, name)
		for _, d := range kind.Variables() {
			d.Name = dsv.Name(name + "." + string(d.Name))
			c.plan.declared = append(c.plan.declared, d)
		}
	}
}

// declared lets expressions know what modules declare, but for what `measure:` says of it.
func (c *compiler) declared() {
	if c.options.AnyKind {
		c.plan.declared = append(c.plan.declared, c.options.declared...)
	}
	for _, d := range c.plan.declared {
		if _, ok := c.vars[d.Name]; !ok {
			c.vars[d.Name] = d
			c.known = append(c.known, d.Name)
		}
	}
}

// config returns a module's configuration as JSON, checked against the struct of its kind.
func (c *compiler) config(n *node, shape any, known bool) []byte {
	if n == nil || n.kind == nullNode {
		return nil
	}
	v := configReader{c.faults, c.file}
	var out any
	switch {
	case !known:
		out = v.free(n)
	case shape == nil:
		c.at(n, "this kind of module has no configuration", "remove it")
		return nil
	default:
		out = v.value(n, reflect.TypeOf(shape), "the configuration")
	}
	b, err := json.Marshal(out)
	if err != nil {
		c.at(n, err.Error(), "")
		return nil
	}
	return b
}

// A File in a module's configuration is a file of the scenario's folder: a scenario names it, and the module gets its bytes.
type File struct {
	Path string `json:"path"`
	Data []byte `json:"data"`
}

// maxFile bounds a File, which travels with the configuration.
const maxFile = 512 << 10

// file reads a File.
func (c *compiler) file(n *node, what string) any {
	path, ok := (&reader{c.faults}).scalar(n, what)
	if !ok {
		return nil
	}
	data, err := c.read(path)
	if err == nil && len(data) > maxFile {
		err = fmt.Errorf("it has %d bytes; at most %d", len(data), maxFile)
	}
	if err != nil {
		c.at(n, fmt.Sprintf("%q: %v", clip(path), err), "name a file of the scenario's folder")
		return nil
	}
	c.plan.guests = append(c.plan.guests, path)
	return File{Path: path, Data: data}
}

// configReader makes of nodes what encoding/json reads back into a Go type. Durations may be written as 200ms.
type configReader struct {
	*faults
	file func(n *node, what string) any
}

func (r configReader) value(n *node, t reflect.Type, what string) any {
	for t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	switch {
	case n.kind == nullNode:
		return nil
	case t == reflect.TypeFor[File]():
		return r.file(n, what)
	case t == reflect.TypeFor[time.Duration]():
		if s, ok := (&reader{r.faults}).scalar(n, "a duration"); ok {
			d, _ := (&reader{r.faults}).duration(n, s, 0)
			return int64(d)
		}
		return nil
	case reflect.PointerTo(t).Implements(reflect.TypeFor[encoding.TextUnmarshaler]()):
		return r.marshaled(n, t, what)
	}
	switch t.Kind() {
	case reflect.Struct:
		return r.structure(n, t, what)
	case reflect.Map:
		return r.mapping(n, t, what)
	case reflect.Slice, reflect.Array:
		if n.kind != sequenceNode {
			r.at(n, fmt.Sprintf("%s is a list, not %s", what, n.what()), "")
			return nil
		}
		list := []any{}
		for _, item := range n.items {
			list = append(list, r.value(item, t.Elem(), what))
		}
		return list
	case reflect.Interface:
		return r.free(n)
	default:
		return r.plain(n, t, what)
	}
}

func (r configReader) marshaled(n *node, t reflect.Type, what string) any {
	s, ok := (&reader{r.faults}).scalar(n, what)
	if !ok {
		return nil
	}
	if err := reflect.New(t).Interface().(encoding.TextUnmarshaler).UnmarshalText([]byte(s)); err != nil {
		r.at(n, fmt.Sprintf("%s: %v", what, err), "")
	}
	return s
}

func (r configReader) structure(n *node, t reflect.Type, what string) any {
	if n.kind != mappingNode {
		r.at(n, fmt.Sprintf("%s is a mapping, not %s", what, n.what()), "")
		return nil
	}
	fields := map[string]reflect.Type{}
	for _, f := range reflect.VisibleFields(t) {
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		if !f.IsExported() || f.Anonymous || name == "-" {
			continue
		}
		if name == "" {
			name = f.Name
		}
		fields[name] = f.Type
	}
	out := map[string]any{}
	for _, e := range n.entries {
		ft, ok := fields[e.key.text]
		_, twice := out[e.key.text]
		switch {
		case !ok:
			r.at(e.key, fmt.Sprintf("%s has no key %q", what, clip(e.key.text)), didYouMean(e.key.text, slices.Sorted(maps.Keys(fields))))
		case twice:
			r.at(e.key, fmt.Sprintf("%s has the key %q twice", what, e.key.text), "")
		default:
			out[e.key.text] = r.value(e.value, ft, e.key.text)
		}
	}
	return out
}

func (r configReader) mapping(n *node, t reflect.Type, what string) any {
	if n.kind != mappingNode {
		r.at(n, fmt.Sprintf("%s is a mapping, not %s", what, n.what()), "")
		return nil
	}
	out := map[string]any{}
	for _, e := range n.entries {
		out[e.key.text] = r.value(e.value, t.Elem(), e.key.text)
	}
	return out
}

// plain reads a number, a text or a truth value.
func (r configReader) plain(n *node, t reflect.Type, what string) any {
	if n.kind != scalarNode {
		r.at(n, fmt.Sprintf("%s is one value, not %s", what, n.what()), "")
		return nil
	}
	var out any = n.text
	var err error
	want := "text"
	switch t.Kind() {
	case reflect.Bool:
		want = "true or false"
		out, err = strconv.ParseBool(n.text)
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		want = "a whole number"
		out, err = strconv.ParseInt(n.text, 10, t.Bits())
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		want = "a whole number"
		out, err = strconv.ParseUint(n.text, 10, t.Bits())
	case reflect.Float32, reflect.Float64:
		want = "a number"
		out = json.Number(n.text)
		var x float64
		if x, err = strconv.ParseFloat(n.text, t.Bits()); err == nil {
			out = x
			if x-x != 0 {
				err = strconv.ErrRange
			}
		}
	}
	if err != nil {
		r.at(n, fmt.Sprintf("%s is %s, not %q", what, want, clip(n.text)), "")
		return nil
	}
	return out
}

// free makes of a node what YAML says that it is.
func (r configReader) free(n *node) any {
	switch n.kind {
	case nullNode:
		return nil
	case mappingNode:
		out := map[string]any{}
		for _, e := range n.entries {
			out[e.key.text] = r.free(e.value)
		}
		return out
	case sequenceNode:
		out := []any{}
		for _, item := range n.items {
			out = append(out, r.free(item))
		}
		return out
	}
	if n.style != plain {
		return n.text
	}
	if n.text == "true" || n.text == "false" {
		return n.text == "true"
	}
	if json.Valid([]byte(n.text)) {
		if x, err := strconv.ParseFloat(n.text, 64); err == nil && x-x == 0 {
			return json.Number(n.text)
		}
	}
	return n.text
}
