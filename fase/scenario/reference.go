package scenario

import (
	"encoding/json"
	"fmt"
	"maps"
	"strings"
)

// Schema returns the JSON Schema of scenario files, for editors.
func Schema() []byte {
	doc := objectSchema(scenarioFields(&rawScenario{}))
	doc["$schema"] = "https://json-schema.org/draft/2020-12/schema"
	doc["$id"] = "https://github.com/eve-emulation/eve/scenario.schema.json"
	doc["title"] = "Eve scenario"
	b, err := json.MarshalIndent(doc, "", "  ")
	if err != nil {
		panic(err) // texts and numbers only
	}
	return append(b, '\n')
}

func objectSchema(fields []field) map[string]any {
	properties := map[string]any{}
	required := []string{}
	for _, f := range fields {
		p := f.value.schema()
		p["description"] = f.help
		if f.def != "" {
			p["default"] = f.def
		}
		properties[f.key] = p
		if f.need {
			required = append(required, f.key)
		}
	}
	s := map[string]any{"type": "object", "properties": properties, "additionalProperties": false}
	if len(required) > 0 {
		s["required"] = required
	}
	return s
}

// schema returns a JSON Schema that the caller may add to.
func (s shape) schema() map[string]any {
	switch {
	case s.or != nil:
		return map[string]any{"oneOf": []any{s.or, objectSchema(s.fields)}}
	case s.fields != nil:
		return objectSchema(s.fields)
	case s.elem != nil && s.list && s.loose:
		return map[string]any{"oneOf": []any{s.elem.schema(), map[string]any{"type": "array", "items": s.elem.schema()}}}
	case s.elem != nil && s.list:
		return map[string]any{"type": "array", "items": s.elem.schema()}
	case s.elem != nil:
		return map[string]any{"type": "object", "additionalProperties": s.elem.schema()}
	}
	out := make(map[string]any, len(s.json)+2)
	maps.Copy(out, s.json)
	return out
}

// A Table is a part of the reference: what one mapping of the format may hold.
type Table struct {
	Name     string // "scenario", "server", "server.disk", …
	Markdown string
}

// Reference returns the tables of docs/scenario.md, in the order of the format.
func Reference() []Table {
	return tables("scenario", scenarioFields(&rawScenario{}))
}

func tables(name string, fields []field) []Table {
	var b strings.Builder
	b.WriteString("| key | value | default | meaning |\n|---|---|---|---|\n")
	var below []Table
	for _, f := range fields {
		def := f.def
		switch {
		case f.need:
			def = "required"
		case def != "":
			def = "`" + def + "`"
		}
		fmt.Fprintf(&b, "| `%s` | %s | %s | %s |\n", f.key, f.value.said(), def, strings.ReplaceAll(f.help, "|", "\\|"))
		switch {
		case f.value.fields != nil:
			below = append(below, tables(name+"."+f.key, f.value.fields)...)
		case f.value.elem != nil && f.value.elem.fields != nil:
			below = append(below, tables(f.value.elem.name, f.value.elem.fields)...)
		}
	}
	return append([]Table{{name, b.String()}}, below...)
}

// said is how the reference names a value.
func (s shape) said() string {
	switch {
	case s.elem != nil && s.list && s.loose:
		return s.elem.name + ", or list"
	case s.elem != nil && s.list:
		return "list of " + s.elem.name + "s"
	case s.elem != nil:
		return s.elem.name + "s by name"
	}
	return s.name
}
