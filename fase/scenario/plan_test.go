package scenario_test

import (
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/eve-emulation/eve/dmm"
	"github.com/eve-emulation/eve/dmm/recipe"
	"github.com/eve-emulation/eve/dsv"
	"github.com/eve-emulation/eve/fase/files"
	"github.com/eve-emulation/eve/fase/machine"
	"github.com/eve-emulation/eve/fase/scenario"
	"github.com/eve-emulation/eve/fase/service"
	"github.com/eve-emulation/eve/fase/usage"
	"github.com/eve-emulation/eve/fase/user"
)

func load(t *testing.T, src string, o scenario.Options) *scenario.Plan {
	t.Helper()
	p, err := scenario.Load("x.yaml", []byte(src), o)
	if err != nil {
		t.Fatal(render(err))
	}
	return p
}

// everything uses each key of the format once.
const everything = `
eve: 1
about: all of it
duration: 1min
warmup: 5s
seed: 18446744073709551615
records: 100/s
requests: [a.rdr, sub/b.rdr]
files:
  web: {classes: specweb99, directories: 7, zipf: 0.5, limit: 1GiB, keep: true}
servers:
  one:
    cpus: 4
    speed: 1.5
    discipline: ps
    run: burn
    disk: {seek: 4ms, rate: 100MB/s, sync: 2ms, direct: true}
    memory: 1GiB
    cache: 64MiB
    link: {delay: 5ms, rate: 100Mbit}
    process: shared
    engine: reactors
    reactors: 2
    listen: 127.0.0.1:9000
    cancel: on-close
  two: {state: standby, process: shared}
  three:
services:
  app:
    on: [one, three]
    size: 1MiB
    balance: least
    requests: |
      request op { cpu 1ms  call db.get  disk write 1MB sync }
  db: {on: three, requests: get.rdr}
clients:
  open: {request: page, arrive: constant, rate: {10s: 10/s, 20s: 30/s}, start: 5s, stop: 50s}
  late: {request: page, rate: {10s: 10/s, 20s: 30/s}, start: 15s}
  closed: {request: other, users: 10, think: exp(500ms), patience: 250ms}
targets:
  web: {url: "http://localhost:0/", exec: [prog, -p, "{port}"], fallback: serve, files: {conf: "listen {address}; {dir}"}}
  plain: {url: "http://example.org"}
modules:
  probe: {kind: probe, count: 2, config: {every: 200ms, name: "12", limits: [1, 2.5], deep: {count: 3}, on: true}}
  script: {exec: [python3, s.py], config: {a: [1, x, null, true, "1"]}}
adapt:
  - name: r
    when: p95(app.latency) > 100ms and probe.level > 3
    for: 1s
    cooldown: 5s
    do: [set open.rate 120/min, set probe.knob -2, degrade app to lite]
measure:
  probe.rtt: {dmm: ewma, param: 0.2, unit: s, help: round trips, sync: {change: 10%, above: 20ms, below: -1}}
expect:
  - probe.rtt < 5ms
slo: p95(app.latency) < 80ms
`

func inputs() fs.FS {
	return fstest.MapFS{
		"a.rdr":     {Data: []byte("request page { call app.op  http web GET \"/\" }\n")},
		"sub/b.rdr": {Data: []byte("request other { call app { cpu empirical(\"times.txt\") } http plain GET \"/\" }\n")},
		"get.rdr":   {Data: []byte("request get { cpu 2ms }\n")},
		"times.txt": {Data: []byte("1ms\n3ms\n")},
	}
}

func TestEverything(t *testing.T) {
	o := options("")
	o.ReadFile = func(p string) ([]byte, error) { return fs.ReadFile(inputs(), p) }
	p := load(t, everything, o)
	if p.Name != "x" || p.Seed != 1<<64-1 || p.Duration != time.Minute {
		t.Errorf("got %q %d %v", p.Name, p.Seed, p.Duration)
	}
	wantMachine := machine.Config{
		Run: machine.Burn, CPU: machine.CPUConfig{Cores: 4, Speed: 1.5, Discipline: machine.PS},
		Disk:   machine.DiskConfig{Seek: 4 * time.Millisecond, Rate: 100e6, Sync: 2 * time.Millisecond, Direct: true},
		Memory: 1 << 30, Link: machine.LinkConfig{Delay: 5 * time.Millisecond, Rate: 100e6},
	}
	s := p.Servers[0]
	if s.Machine != wantMachine || s.Process != "shared" || s.Reactors != 2 || s.Listen != "127.0.0.1:9000" || !s.CancelOnClose || len(s.Services) != 4 {
		t.Errorf("got %+v", s)
	}
	if s.Cache != 64<<20 || len(s.Files) != 1 || len(p.Files) != 1 || p.Files[0].Config() != (files.Config{
		Name: "web", Classes: files.SPECweb99, Directories: 7, Zipf: 0.5, Keep: true,
	}) {
		t.Errorf("got a cache of %d and the files %+v", s.Cache, p.Files)
	}
	if s := p.Servers[2]; s.Process != "three" || s.Engine != "reactors" || s.Listen != "127.0.0.1:0" || s.Machine.CPU.Cores != 1 || s.Node != 2 {
		t.Errorf("got %+v", s)
	}
	if a := p.Services[0]; !slices.Equal(a.On, []int{0, 2}) || a.Balance != service.Least || a.Size != 1<<20 {
		t.Errorf("got %+v", a)
	}
	wantRate := []user.Point{
		{At: 0},
		{At: dsv.At(5*time.Second) - 1},
		{At: dsv.At(5 * time.Second), Rate: 10},
		{At: dsv.At(10 * time.Second), Rate: 10},
		{At: dsv.At(20 * time.Second), Rate: 30},
	}
	if g := p.Clients[0]; !slices.Equal(g.Rate, wantRate) || g.Law != user.Constant || g.End != dsv.At(50*time.Second) {
		t.Errorf("got %+v", g)
	}
	if g := p.Clients[1]; !slices.Equal(g.Rate[2:], []user.Point{{At: dsv.At(15 * time.Second), Rate: 20}, {At: dsv.At(20 * time.Second), Rate: 30}}) {
		t.Errorf("got %+v", g.Rate)
	}
	if g := p.Clients[2]; g.Users != 10 || *g.Think != (user.Think{Mean: 500 * time.Millisecond, Exponential: true}) || g.Patience != 250*time.Millisecond || g.Index != 2 {
		t.Errorf("got %+v", g)
	}
	if got := len(p.Inputs); got != 4 {
		t.Errorf("got %d inputs, want the four files", got)
	}
	r := p.Adapt.Rules[0]
	if r.Cooldown != 5*time.Second || len(r.Do) != 3 || r.Do[0].Value != 2 || r.Do[1].Value != -2 || r.Do[2].Level != "lite" {
		t.Errorf("got %+v", r)
	}
	m := measure(p, "probe.rtt")
	if m.Manipulator != "ewma" || m.Param != 0.2 || m.Sync.ChangeRelative != 0.1 || *m.Sync.Above != 0.02 || *m.Sync.Below != -1 || m.Sync.Every != 0 || m.Owners[0] != "probe" {
		t.Errorf("got %+v", m)
	}
	everythingModules(t, p)
	everythingTargets(t, p)
}

// TestPublish hands a scenario, its overrides and its files to another process.
func TestPublish(t *testing.T) {
	o := options("")
	o.ReadFile = func(p string) ([]byte, error) { return fs.ReadFile(inputs(), p) }
	o.Set = []string{"clients.open.rate=7/s"}
	p := load(t, everything, o)
	store := dsv.NewStore(nil)
	if err := scenario.Publish(t.Context(), store, p); err != nil {
		t.Fatal(err)
	}
	q, err := scenario.Fetch(t.Context(), store)
	if err != nil {
		t.Fatal(render(err))
	}
	if !slices.Equal(q.Clients[0].Rate, p.Clients[0].Rate) || q.Servers[0].Machine != p.Servers[0].Machine || len(q.Measures) != len(p.Measures) || len(q.Inputs) != len(p.Inputs) {
		t.Errorf("got %+v, want %+v", q, p)
	}
	if got, want := q.Clients[2].Request.Compact(), p.Clients[2].Request.Compact(); string(got) != string(want) {
		t.Errorf("the request is another one: %x, want %x", got, want)
	}
}

func everythingModules(t *testing.T, p *scenario.Plan) {
	t.Helper()
	var cfg probeConfig
	if err := json.Unmarshal(p.Modules[0].Config, &cfg); err != nil {
		t.Fatal(err)
	}
	if cfg.Every != 200*time.Millisecond || cfg.Name != "12" || !slices.Equal(cfg.Limits, []float64{1, 2.5}) || cfg.Deep.Count != 3 || !cfg.On || p.Modules[0].Count != 2 {
		t.Errorf("got %+v from %s", cfg, p.Modules[0].Config)
	}
	if got, want := string(p.Modules[1].Config), `{"a":[1,"x",null,true,"1"]}`; got != want || !slices.Equal(p.Modules[1].Exec, []string{"python3", "s.py"}) {
		t.Errorf("got %s, want %s", got, want)
	}
}

func everythingTargets(t *testing.T, p *scenario.Plan) {
	t.Helper()
	web := p.Targets[0]
	if p.Topology.Servers[web.Node] != "web" || p.Topology.Services[web.Service] != "web" || web.Node != 3 || web.Service != 2 {
		t.Errorf("got %+v in %+v", web, p.Topology)
	}
	if web.Address != "localhost:0" || !web.Serve || p.Targets[1].Address != "example.org:80" || p.Targets[1].Serve {
		t.Errorf("got %+v", p.Targets)
	}
	if got, want := web.Expand(web.Files["conf"]+" {port}", "127.0.0.1:81", "/run/x"), "listen 127.0.0.1:81; /run/x 81"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	if m := p.Mappings()[p.Targets[1].Service]; m.Replicas[0] != (service.Replica{Server: "plain", Address: "example.org:80", Weight: 1, State: service.Serving}) {
		t.Errorf("got %+v", m)
	}
	want := []dsv.Name{"web.latency", "web.requests", "web.errors", "web.received"}
	for _, v := range usage.Variables() {
		want = append(want, dsv.Name("web."+v.Leaf))
	}
	for _, m := range p.Measures {
		if strings.HasPrefix(string(m.Name), "web.") && !slices.Contains(want, m.Name) {
			t.Errorf("a target has the variable %s", m.Name)
		}
	}
	if got := len(p.Owned("web")); got != len(usage.Variables()) {
		t.Errorf("the target itself writes %d variables, want %d", got, len(usage.Variables()))
	}
	d, err := p.Demands()
	if err != nil {
		t.Fatal(err)
	}
	// db.get runs once in each of the 60 requests per second of both open groups together at 20 s.
	if got := d.Servers[2]; got.CPU.Rate != 60 || got.CPU.Utilisation < 60*(2e-3+0.5e-3)-1e-9 || got.CPU.Utilisation > 60*(2e-3+0.5e-3)+1e-9 {
		t.Errorf("three is offered %+v", got)
	}
}

func TestFiles(t *testing.T) {
	src := strings.Replace(valid, "requests: |\n  request r { call s { cpu 1ms } }", "requests: r.rdr", 1)
	denied := errors.New("denied")
	for _, c := range []struct {
		name string
		read func(string) ([]byte, error)
		want string
	}{
		{"none", nil, "x.yaml:3:11: read r.rdr: there is no folder to read files from"},
		{"missing", func(string) ([]byte, error) { return nil, fs.ErrNotExist }, "read r.rdr: there is no such file in the scenario's folder"},
		{"denied", func(string) ([]byte, error) { return nil, denied }, "read r.rdr: denied"},
		{"binary", func(string) ([]byte, error) { return []byte{0xff, 0xfe}, nil }, "read r.rdr: it is not UTF-8"},
		{"mistake", func(string) ([]byte, error) { return []byte("# a\nrequest r { cpu 1ms }\n"), nil }, "r.rdr:2:13: `cpu`"},
		{"large", func(string) ([]byte, error) { return make([]byte, 3<<20), nil }, "r.rdr:1:1: the text has 3145728 bytes"},
	} {
		_, err := scenario.Load("x.yaml", []byte(src), scenario.Options{ReadFile: c.read})
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: got %v, want %s", c.name, err, c.want)
		}
	}
}

func TestUnboundedMean(t *testing.T) {
	p := load(t, strings.Replace(valid, "cpu 1ms", "cpu pareto(1ms, 0.9)", 1), scenario.Options{})
	_, err := p.Demands()
	if errs, ok := errors.AsType[scenario.Errors](err); !ok || errs[0].Line != 4 || errs[0].Col != 24 || !strings.Contains(errs[0].Msg, "no mean") {
		t.Errorf("got %v", err)
	}
}

func TestRender(t *testing.T) {
	_, err := scenario.Load("x.yaml", []byte(strings.Replace(valid, "rate: 1/s", "rate: 1", 1)), scenario.Options{})
	want := "x.yaml:7:33: 1 has no unit; write it as 40/s, 2400/min\n  clients: {c: {request: r, rate: 1}}\n                                  ^\n"
	if got := render(err); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

// TestManipulators compiles each way of saying how a module's variable is manipulated, and hands it on to the modules.
func TestManipulators(t *testing.T) {
	guest, err := os.ReadFile("../../dmm/wasm/testdata/ewma.wasm")
	if err != nil {
		t.Fatal(err)
	}
	src := valid + `
modules: {probe: {kind: probe}, prog: {exec: [python3, p.py]}}
measure:
  probe.expr: {dmm: {expr: 0.9*shadow + 0.1*sample, init: -1}, sync: {change: 10%}}
  probe.wasm: {dmm: {wasm: ewma.wasm}}
  probe.own: {dmm: mine, param: 3}
  probe.window: {dmm: window, param: 5s}
  probe.chain: {dmm: mean, kernel: {dmm: max, sync: {every: 10s}}}
  probe.thin: {dmm: count, kernel: {dmm: count, sync: {count: 10}}}
  probe.written: {kernel: {dmm: histogram}}
  prog.beats: {dmm: {expr: "max(shadow, sample)"}, unit: s}
  s.latency: {kernel: {dmm: histogram, sync: {every: 1s}}}
`
	o := options("../../dmm/wasm/testdata")
	o.Manipulators = dmm.Registry{{
		Name: "mine", Kind: dsv.Histogram, Merge: dsv.Hists, NeedsParam: true, MaxParam: 10,
		New: func(dmm.Spec) dmm.Shadow { return nil },
	}}
	p := load(t, src, o)
	type want struct {
		kind            dsv.Kind
		merge           dsv.Merge
		module, chained bool
		kernel          string // its manipulator and trigger
	}
	got := map[dsv.Name]want{}
	for _, m := range p.Measures {
		w := want{m.Declaration().Kind, m.Declaration().Merge, m.Recipe != nil, m.Chained, ""}
		if m.Kernel != nil {
			w.kernel = m.Kernel.Recipe.String()
		}
		got[m.Name] = w
	}
	for n, want := range map[dsv.Name]want{
		"probe.expr":    {dsv.Float, dsv.Last, true, false, ""},
		"probe.wasm":    {dsv.Float, dsv.Last, true, false, ""},
		"probe.own":     {dsv.Histogram, dsv.Hists, true, false, ""},
		"probe.window":  {dsv.Histogram, dsv.Last, true, false, ""},
		"probe.chain":   {dsv.Float, dsv.Max, true, true, "max, every 10s"},
		"probe.thin":    {dsv.Int, dsv.Sum, true, true, "count, 10 writes"},
		"probe.written": {dsv.Histogram, dsv.Hists, false, false, "histogram, every 100ms"},
		"prog.beats":    {dsv.Float, dsv.Last, false, false, "max(shadow, sample), every 100ms"},
		"s.latency":     {dsv.Histogram, dsv.Hists, false, true, "histogram, every 1s"},
	} {
		if got[n] != want {
			t.Errorf("%s: got %+v, want %+v", n, got[n], want)
		}
	}
	store := dsv.NewStore(nil)
	if err := scenario.Publish(t.Context(), store, p); err != nil {
		t.Fatal(err)
	}
	q, err := scenario.Fetch(t.Context(), store, o.Manipulators...)
	if err != nil {
		t.Fatal(render(err))
	}
	if len(q.Measures) != len(p.Measures) || len(q.Inputs) != 0 {
		t.Errorf("fetched %d measures and %d inputs, want %d and 0", len(q.Measures), len(q.Inputs), len(p.Measures))
	}
	list, err := recipe.Published(t.Context(), store)
	if err != nil || len(list) != 6 {
		t.Fatalf("published %v, %v", list, err)
	}
	made, ok, err := list.Make(t.Context(), store, "probe.wasm", nil)
	if err != nil || !ok || !made.Guest() {
		t.Errorf("made %+v, %v, %v", made, ok, err)
	}
	if made != nil {
		if err := made.Close(); err != nil {
			t.Error(err)
		}
	}
	if r, err := store.Read(t.Context(), "run.guest_0"); err != nil || !slices.Equal(r.Value.Bytes, guest) {
		t.Errorf("the guest travels as %d bytes, %v, want %d", len(r.Value.Bytes), err, len(guest))
	}
}
