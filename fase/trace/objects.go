package trace

import (
	"bytes"
	"encoding/json"
	"fmt"
	"reflect"
	"strings"
)

// objects reads JSON, an object a line. Its keys are found in the first line; then lines are decoded into a struct that has
// these alone.
type objects struct {
	columns                     Columns
	timesOnly                   bool
	time, method, path, request *key // nil: there is none
	into                        any  // pointer to the struct
	fields                      []*json.RawMessage
}

// key is where a value stands.
type key struct {
	names []string // from the outside in
	raw   *json.RawMessage
}

func (o *objects) line(b []byte) (p parsed, header bool, msg string) {
	if o.into == nil {
		if msg := o.begin(b); msg != "" {
			return p, false, msg
		}
	}
	for _, f := range o.fields {
		*f = (*f)[:0]
	}
	if err := json.Unmarshal(b, o.into); err != nil {
		return p, false, "the line is not a JSON object"
	}
	if p.time = o.time.value(); p.time == nil {
		return p, false, "the line has no " + strings.Join(o.time.names, ".")
	}
	if o.timesOnly {
		return p, false, ""
	}
	if o.request != nil {
		p.method, p.path, msg = requestLine(o.request.value())
		return p, false, msg
	}
	p.method, p.path = o.method.value(), o.path.value()
	return p, false, ""
}

// begin finds the keys in the first line.
func (o *objects) begin(b []byte) string {
	var all map[string]any
	if json.Unmarshal(b, &all) != nil {
		return "the line is not a JSON object"
	}
	times, methods, paths, requests := usual()
	find := func(said string, names []string) *key {
		if said != "" {
			return &key{names: strings.Split(said, ".")}
		}
		for _, n := range names {
			if keys := strings.Split(n, "."); holds(all, keys) {
				return &key{names: keys}
			}
		}
		return nil
	}
	if o.time = find(o.columns.Time, times); o.time == nil {
		return "the line has none of the keys " + strings.Join(times, ", ")
	}
	keys := []*key{o.time}
	if !o.timesOnly {
		o.method, o.path = find(o.columns.Method, methods), find(o.columns.Path, paths)
		if o.columns.Request != "" || o.path == nil {
			o.request = find(o.columns.Request, requests)
		}
		for _, k := range []*key{o.method, o.path, o.request} {
			if k != nil {
				keys = append(keys, k)
			}
		}
	}
	v := reflect.New(structOf(keys, 0))
	o.into = v.Interface()
	for _, k := range keys {
		k.raw = k.field(v.Elem())
		o.fields = append(o.fields, k.raw)
	}
	return ""
}

// holds reports whether a text or a number stands below keys.
func holds(all map[string]any, keys []string) bool {
	for _, k := range keys[:len(keys)-1] {
		all, _ = all[k].(map[string]any)
	}
	switch all[keys[len(keys)-1]].(type) {
	case string, float64:
		return true
	}
	return false
}

// structOf is the type of a struct that has the keys at a depth.
func structOf(keys []*key, depth int) reflect.Type {
	var fields []reflect.StructField
	seen := map[string]bool{}
	for _, k := range keys {
		name := k.names[depth]
		if seen[name] {
			continue
		}
		seen[name] = true
		var below []*key
		for _, other := range keys {
			if other.names[depth] == name && len(other.names) > depth+1 {
				below = append(below, other)
			}
		}
		t := reflect.TypeFor[json.RawMessage]()
		if len(below) > 0 && len(k.names) > depth+1 {
			t = structOf(below, depth+1)
		}
		fields = append(fields, reflect.StructField{Name: fmt.Sprintf("F%d", len(fields)), Type: t, Tag: reflect.StructTag(fmt.Sprintf("json:%q", name))})
	}
	return reflect.StructOf(fields)
}

// field is where a struct of structOf keeps the value of a key; nowhere where two keys contradict one another.
func (k *key) field(v reflect.Value) *json.RawMessage {
	for depth, name := range k.names {
		if v.Kind() != reflect.Struct {
			return new(json.RawMessage)
		}
		for i := range v.NumField() {
			if v.Type().Field(i).Tag.Get("json") == name {
				v = v.Field(i)
				break
			}
		}
		if raw, ok := v.Addr().Interface().(*json.RawMessage); ok && depth == len(k.names)-1 {
			return raw
		}
	}
	return new(json.RawMessage)
}

// value is the text or the number of the key; nil where there is none.
func (k *key) value() []byte {
	if k == nil || len(*k.raw) == 0 {
		return nil
	}
	raw := []byte(*k.raw)
	switch c := raw[0]; {
	case c == '"' && bytes.IndexByte(raw, '\\') < 0:
		return raw[1 : len(raw)-1]
	case c == '"':
		var s string
		if json.Unmarshal(raw, &s) != nil {
			return nil
		}
		return []byte(s)
	case c == '-' || c >= '0' && c <= '9':
		return raw
	}
	return nil
}
