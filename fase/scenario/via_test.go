package scenario_test

import (
	"encoding/json"
	"os"
	"slices"
	"testing"

	"github.com/eve-emulation/eve/fase/adapt"
	"github.com/eve-emulation/eve/fase/scenario"
)

const fronted = `eve: 1
duration: 1s
requests: |
  request r { call s { cpu 1ms } http t GET "/" }
servers:
  one: {via: front}
  two: {}
services:
  s: {on: [one, two]}
targets:
  t: {url: "http://127.0.0.1:80", via: front}
modules:
  front: {kind: probe, config: {file: not.wasm}}
clients:
  c: {request: r, rate: 1/s}
`

// Who stands behind a module tells it alone where it listens, and the module tells the others.
func TestVia(t *testing.T) {
	p := load(t, fronted, options("testdata"))
	if got, want := p.Behind("front"), []string{"one", "t"}; !slices.Equal(got, want) {
		t.Errorf("behind front: got %v, want %v", got, want)
	}
	for name, want := range map[string]string{"one": "front", "two": "", "t": "front", "nobody": ""} {
		if got := p.Via(name); got != want {
			t.Errorf("via of %s: got %q, want %q", name, got, want)
		}
		tells := adapt.AddressName(name)
		if want != "" {
			tells = adapt.DirectName(name)
		}
		if got := p.Listens(name); got != tells {
			t.Errorf("%s tells %s, want %s", name, got, tells)
		}
	}
}

// A file in a module's configuration travels with it.
func TestConfigFile(t *testing.T) {
	p := load(t, fronted, options("testdata"))
	want, err := os.ReadFile("testdata/not.wasm")
	if err != nil {
		t.Fatal(err)
	}
	var got probeConfig
	if err := json.Unmarshal(p.Modules[0].Config, &got); err != nil {
		t.Fatal(err)
	}
	if got.File.Path != "not.wasm" || !slices.Equal(got.File.Data, want) || !slices.Equal(p.Inputs["not.wasm"], want) {
		t.Errorf("got %q of %d bytes, want %d, among the inputs too", got.File.Path, len(got.File.Data), len(want))
	}
	o := options("testdata")
	o.ReadFile = func(string) ([]byte, error) { return make([]byte, 600_000), nil }
	if _, err := scenario.Load("x.yaml", []byte(fronted), o); err == nil || told(err.(scenario.Errors))[0] != `13:39: "not.wasm": it has 600000 bytes; at most 524288; name a file of the scenario's folder` {
		t.Errorf("large file: got %v", err)
	}
}
