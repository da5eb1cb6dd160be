package scenario_test

import (
	"strings"
	"testing"

	"github.com/eve-emulation/eve/fase/scenario"
)

const graftMain = `eve: 1
duration: 10s
requests: |
  request page { call app { cpu 1ms } }
servers:
  one: {cpus: 1}
  two: {state: standby}
services:
  app: {on: one}
clients:
  crowd: {request: page, rate: 10/s} # where it begins
adapt:
  - {name: grow, when: one.cpu.utilisation > 0.8, do: replicate app to two}
measure:
  app.latency: {sync: {every: 200ms}}
set: {after: adapt.0.for}
`

func TestGraftTakesTheAdaptationOfAnotherFile(t *testing.T) {
	const sections = `control:
  - {name: pods, kind: hpa, scale: app, metric: it.cpu.utilisation, target: 50%}
services:
  app: {on: [one, two], replicas: 1}
slo: p95(crowd.latency) < 100ms
measure:
  crowd.latency: {sync: {every: 500ms}}
`
	for _, x := range []struct {
		name             string
		graft            scenario.Graft
		rules, controls  int
		objectives, text string // an objective, and what the scenario as run has
		not              string // and what it has not
	}{
		{"sections", scenario.Graft{File: "o.yaml", Text: []byte(sections)}, 0, 1, "p95(crowd.latency) < 100ms", "kind: hpa", "grow"},
		{"a whole scenario", scenario.Graft{File: "o.yaml", Text: []byte(strings.Replace(graftMain, "name: grow", "name: other", 1) + "slo: mean(crowd.latency) < 1s\n")}, 1, 0, "mean(crowd.latency) < 1s", "other", "grow"},
		{"nobody", scenario.Graft{}, 0, 0, "", "where it begins", "adapt"},
		{"its goals", scenario.Graft{File: "o.yaml", Text: []byte(sections), Goals: true}, 1, 0, "p95(crowd.latency) < 100ms", "grow", "hpa"},
	} {
		p, err := scenario.Load("main.yaml", []byte(graftMain), scenario.Options{Graft: &x.graft})
		if err != nil {
			t.Errorf("%s: %v", x.name, err)
			continue
		}
		if got, want := len(p.Adapt.Rules), x.rules; got != want {
			t.Errorf("%s: rules: got %d, want %d", x.name, got, want)
		}
		if got, want := len(p.Adapt.Controls), x.controls; got != want {
			t.Errorf("%s: controllers: got %d, want %d", x.name, got, want)
		}
		var got strings.Builder
		for _, o := range p.SLO {
			got.WriteString(o.Text)
		}
		if got.String() != x.objectives {
			t.Errorf("%s: slo: got %q, want %q", x.name, got.String(), x.objectives)
		}
		if got, want := p.Mappings()[0].Encode(), `"one"`; !strings.Contains(got, want) || strings.Contains(got, `"two"`) {
			t.Errorf("%s: mapping: got %s, want app on one alone", x.name, got)
		}
		if s := string(p.Text); !strings.Contains(s, x.text) || strings.Contains(s, x.not) || !strings.Contains(s, "where it begins") {
			t.Errorf("%s: the scenario as run: got\n%s\nwant %q in it and not %q", x.name, s, x.text, x.not)
		}
		if _, err := scenario.Load("again.yaml", p.Text, scenario.Options{}); err != nil {
			t.Errorf("%s: the scenario as run does not load: %v", x.name, err)
		}
	}
}

func TestGraftTellsMistakesWhereTheyAre(t *testing.T) {
	for _, x := range []struct{ name, text, want string }{
		{"a server that is not there", "adapt:\n  - {name: x, when: one.cpu.utilisation > 0.8, do: replicate app to three}\n", "o.yaml:2:"},
		{"a variable that is not there", "adapt:\n  - {name: x, when: three.cpu.utilisation > 0.8, do: replicate app to two}\n", "o.yaml:2:"},
		{"a key of a whole scenario", "servers: {one: {}}\nadapt: []\n", "o.yaml:1:1"},
		{"a service that is not there", "adapt: []\nservices: {web: {on: one}}\n", "o.yaml:2:12"},
		{"what a service is", "adapt: []\nservices: {app: {size: 1MiB}}\n", "o.yaml:2:18"},
		{"nothing", "{}\n", "there is no adaptation in it"},
		{"a whole scenario without any", "eve: 1\nduration: 1s\n", "there is no adaptation in it"},
		{"no mapping", "- adapt\n", "an adaptation is a mapping"},
		{"no YAML", "adapt: [\n", "o.yaml:"},
	} {
		_, err := scenario.Load("main.yaml", []byte(graftMain), scenario.Options{Graft: &scenario.Graft{File: "o.yaml", Text: []byte(x.text)}})
		if err == nil || !strings.Contains(err.Error(), x.want) {
			t.Errorf("%s: got %v, want %q", x.name, err, x.want)
		}
	}
}
