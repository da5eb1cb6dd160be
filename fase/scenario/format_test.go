package scenario_test

import (
	"encoding/json"
	"errors"
	"flag"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/eve-emulation/eve/fase/scenario"
)

func TestFormat(t *testing.T) {
	for _, c := range []struct{ name, src, want string }{
		{
			"rdr", "a: 1 # keep\nrequests: |   # text\n    request  r{cpu   1ms\n      # why\n    reply 1KiB}\n\nb: 2\n",
			"a: 1 # keep\nrequests: |   # text\n    request r {\n      cpu 1ms\n      # why\n      reply 1KiB\n    }\n\nb: 2\n",
		},
		{
			"operations", "services:\n  s:\n    requests: |-\n      request r{cpu 1ms}\n    on: x\n",
			"services:\n  s:\n    requests: |-\n      request r { cpu 1ms }\n    on: x\n",
		},
		{"blanks", "\n\n# top   \n\n\n\na:   1   \n\n\nb: {c:  2}\t\n\n\n", "# top\n\na:   1\n\nb: {c:  2}\n"},
		{"line ends", "a: 1\r\nrequests: |\r\n  request r{cpu 1ms}\r\n", "a: 1\nrequests: |\n  request r { cpu 1ms }\n"},
		{"no end", "a: 1", "a: 1\n"},
		{"other text", "a: |\n  x  \n\n\n  y\n\n\nb: |+\n  z\n\n\n", "a: |\n  x  \n\n\n  y\n\nb: |+\n  z\n\n\n"},
		{"quoted", "a: \"x  \n\n\n  y\"\nb: x\n\n\n  y\nc: >\n  x\n\n\n  y\n", "a: \"x  \n\n\n  y\"\nb: x\n\n\n  y\nc: >\n  x\n\n\n  y\n"},
		{"indented on purpose", "requests: |2\n   request r{cpu 1ms}\n", "requests: |2\n   request r{cpu 1ms}\n"},
		{"on the line", "requests: request r{cpu 1ms}\n", "requests: request r{cpu 1ms}\n"},
		{"files", "requests: [a.rdr,  b.rdr]\n", "requests: [a.rdr,  b.rdr]\n"},
	} {
		got, err := scenario.Format("x", []byte(c.src))
		if err != nil || string(got) != c.want {
			t.Errorf("%s: got %v\n%q\nwant\n%q", c.name, err, got, c.want)
		}
		if again, err := scenario.Format("x", got); err != nil || string(again) != string(got) {
			t.Errorf("%s: formatting twice: %v\n%q", c.name, err, again)
		}
	}
	for _, c := range []struct{ src, want string }{
		{"a: [1\n", "x:1:4: this `[` has no `]`"},
		{"a: 1\nrequests: |\n  request r {\n    cpu 1x\n  }\n", "x:4:9: `1x` has an unknown unit `x`"},
	} {
		_, err := scenario.Format("x", []byte(c.src))
		if _, ok := errors.AsType[scenario.Errors](err); !ok || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%q: got %v, want %s", c.src, err, c.want)
		}
	}
}

// TestSchema checks that the schema for editors knows what the loader knows.
func TestSchema(t *testing.T) {
	var doc map[string]any
	if err := json.Unmarshal(scenario.Schema(), &doc); err != nil {
		t.Fatal(err)
	}
	at := func(path ...string) map[string]any {
		m := doc
		for _, p := range path {
			next, ok := m[p].(map[string]any)
			if !ok {
				t.Fatalf("no %s in %v of the schema", p, path)
			}
			m = next
		}
		return m
	}
	for _, p := range []string{"eve", "name", "about", "duration", "warmup", "seed", "requests", "servers", "services", "clients", "targets", "modules", "adapt", "measure", "expect", "slo"} {
		if at("properties", p)["description"] == "" {
			t.Errorf("%s has no description", p)
		}
	}
	if doc["additionalProperties"] != false {
		t.Error("unknown keys are allowed")
	}
	if r := doc["required"].([]any); !slices.Equal(r, []any{"eve", "duration"}) {
		t.Errorf("required are %v", r)
	}
	server := at("properties", "servers", "additionalProperties", "properties")
	if got := server["run"].(map[string]any); got["default"] != "hold" || !slices.Equal(got["enum"].([]any), []any{"hold", "burn"}) {
		t.Errorf("run is %v", got)
	}
	at("properties", "servers", "additionalProperties", "properties", "link", "properties", "delay")
	at("properties", "measure", "additionalProperties", "properties", "sync", "properties", "below")
	if at("properties", "adapt", "items")["required"] == nil {
		t.Error("rules require nothing")
	}
}

var update = flag.Bool("update", false, "write the tables of docs/scenario.md")

// TestReference holds docs/scenario.md to the table of fields; -update writes it.
func TestReference(t *testing.T) {
	const path = "../../docs/scenario.md"
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	doc := string(b)
	for _, table := range scenario.Reference() {
		begin := "<!-- table " + table.Name + " -->\n"
		_, rest, ok := strings.Cut(doc, begin)
		old, _, end := strings.Cut(rest, "<!-- end -->")
		if !ok || !end {
			t.Errorf("docs/scenario.md has no table %q", table.Name)
			continue
		}
		if old == table.Markdown {
			continue
		}
		if !*update {
			t.Errorf("the table %q of docs/scenario.md is behind the schema: go test ./fase/scenario -run Reference -update", table.Name)
		}
		doc = strings.Replace(doc, begin+old, begin+table.Markdown, 1)
	}
	if *update {
		if err := os.WriteFile(path, []byte(doc), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

// TestReferenceExample loads the example of docs/scenario.md.
func TestReferenceExample(t *testing.T) {
	b, err := os.ReadFile("../../docs/scenario.md")
	if err != nil {
		t.Fatal(err)
	}
	blocks := strings.Split(string(b), "```yaml\n")[1:]
	if len(blocks) == 0 {
		t.Fatal("no example")
	}
	src, _, _ := strings.Cut(blocks[0], "```")
	if _, err := scenario.Load("example", []byte(src), scenario.Options{}); err != nil {
		t.Error(render(err))
	}
}
