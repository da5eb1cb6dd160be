package scenario_test

import (
	"errors"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/eve-emulation/eve/dmm"
	"github.com/eve-emulation/eve/dsv"
	"github.com/eve-emulation/eve/fase/scenario"
	"github.com/eve-emulation/eve/fase/service"
	"github.com/eve-emulation/eve/scenarios"
)

// probeConfig is the configuration of the kind of module that the tests know.
type probeConfig struct {
	Every  time.Duration `json:"every"`
	Name   string        `json:"name"`
	Limits []float64     `json:"limits"`
	Deep   struct {
		Count int `json:"count"`
	} `json:"deep"`
	On   bool          `json:"on"`
	File scenario.File `json:"file"`
}

func options(dir string) scenario.Options {
	return scenario.Options{
		Kinds:    map[string]any{"probe": new(probeConfig), "bare": nil},
		ReadFile: func(path string) ([]byte, error) { return os.ReadFile(filepath.Join(dir, path)) },
	}
}

func shipped(t *testing.T, name string, o scenario.Options) *scenario.Plan {
	t.Helper()
	src, err := scenarios.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	o.ReadFile = func(path string) ([]byte, error) { return fs.ReadFile(scenarios.FS(), path) }
	p, err := scenario.Load(name+".yaml", src, o)
	if err != nil {
		t.Fatal(render(err))
	}
	return p
}

func render(err error) string {
	if e, ok := errors.AsType[scenario.Errors](err); ok {
		return e.Render()
	}
	return err.Error()
}

func TestShipped(t *testing.T) {
	list := scenarios.List()
	var names []string
	for _, s := range list {
		names = append(names, s.Name)
		p := shipped(t, s.Name, scenario.Options{AnyKind: true}) // who knows the modules checks their kinds
		if p.Name != s.Name || p.About != s.About || s.About == "" {
			t.Errorf("%s: plan is %q, %q; the list says %q", s.Name, p.Name, p.About, s.About)
		}
		if len(p.Warnings) > 0 {
			t.Errorf("%s: %s", s.Name, p.Warnings.Render())
		}
		src, _ := scenarios.Open(s.Name)
		if !strings.HasPrefix(string(src), "# "+s.Name+":") || !strings.Contains(string(src), "# What to expect") {
			t.Errorf("%s does not open with what it shows and what to expect", s.Name)
		}
		if out, err := scenario.Format(s.Name, src); err != nil || string(out) != string(src) {
			t.Errorf("%s is not in the standard form: %v\n%s", s.Name, err, out)
		}
	}
	if want := []string{"aem-figure-6", "autoscale-hpa", "back-pressure", "blackout", "bursty", "c10k", "closed-open", "disk-bound", "flash-crowd-admission", "flash-crowd", "hello", "http-site", "hundred-thousand", "kecho-balance", "load-balance-n", "metastable", "migrate-live", "mm1", "noisy-neighbour", "overload-control", "power-of-two", "real-server", "relay", "replay-log", "resource-managers", "seda-table", "shedding", "soa-order", "software-bottleneck", "static-mix", "three-tier", "two-phase"}; !slices.Equal(names, want) {
		t.Errorf("got %v, want %v", names, want)
	}
	for _, bad := range []string{"nothing", "../scenarios/hello", "", "a\x00b"} {
		if _, err := scenarios.Open(bad); !errors.Is(err, scenarios.ErrNotFound) {
			t.Errorf("open %q: got %v", bad, err)
		}
	}
}

// TestOffered compares what the shipped scenarios offer with what their comments say.
func TestOffered(t *testing.T) {
	near := func(got, want float64) bool { return math.Abs(got-want) < 1e-9 }
	for _, c := range []struct {
		name      string
		set       []string
		server    string
		cpu, rate float64
		at        time.Duration
		overloads int
	}{
		{"flash-crowd", nil, "server_1", 160 * 8.3e-3, 160, 22 * time.Second, 1},
		{"flash-crowd", []string{"services.static.on=cdn"}, "server_1", 160 * 8e-3, 160, 22 * time.Second, 1},
		{"flash-crowd", []string{"services.static.on=cdn"}, "cdn", 160 * 0.3e-3 / 8, 160, 22 * time.Second, 1},
		{"flash-crowd", []string{"services.static.on=cdn", "servers.server_2.state=active", "services.app.on=[server_1, server_2]"}, "server_2", 0.64, 160, 22 * time.Second, 0},
		{"flash-crowd", []string{"duration=20s"}, "server_1", 40 * 8.3e-3, 40, 0, 0},
		{"flash-crowd", []string{"servers.server_1.speed=2", "servers.server_1.cpus=2"}, "server_1", 40 * 8.3e-3, 160, 22 * time.Second, 0},
		{"mm1", nil, "server_1", 0.7, 70, 0, 0},
		{"hello", nil, "server_1", 0, 0, 0, 0},
		{"three-tier", nil, "web_farm_2", 100 * 5e-3 / 2, 100, 0, 0},
		{"three-tier", []string{"rate=400/s", "app=2", "db=3", "web=3"}, "app_farm_2", 400 * 7.2e-3 / 2, 400, 0, 2},
		{"three-tier", []string{"rate=400/s", "app=4", "db=3", "web=3"}, "db_farm_3", 400 * 4.8e-3 / 3, 400, 0, 0},
	} {
		p := shipped(t, c.name, scenario.Options{Set: c.set})
		d, err := p.Demands()
		if err != nil {
			t.Fatal(err)
		}
		i := slices.IndexFunc(d.Servers, func(s scenario.ServerDemand) bool { return s.Name == c.server })
		got := d.Servers[i].CPU
		if !near(got.Utilisation, c.cpu) || !near(got.Rate, c.rate) || got.At != dsv.At(c.at) {
			t.Errorf("%s %v: %s is offered %+v, want %g at %g/s, %v", c.name, c.set, c.server, got, c.cpu, c.rate, c.at)
		}
		if o := d.Overloads(); len(o) != c.overloads {
			t.Errorf("%s %v: overloads %q, want %d", c.name, c.set, o, c.overloads)
		}
	}
	d, _ := shipped(t, "flash-crowd", scenario.Options{}).Demands()
	want := "server_1.cpu is offered 1.33 of its capacity at the peak of 160/s: overload is intended?"
	if o := d.Overloads(); o[0] != want {
		t.Errorf("got %q, want %q", o[0], want)
	}
	if link, want := d.Servers[0].Link.Utilisation, 160.0*38*1024*8/1e9; !near(link, want) {
		t.Errorf("link is offered %g, want %g", link, want)
	}
	if disk, want := d.Servers[0].Disk.Utilisation, 160.0*16*1024/500e6; !near(disk, want) {
		t.Errorf("disk is offered %g, want %g", disk, want)
	}
	d, _ = shipped(t, "hello", scenario.Options{}).Demands()
	if g := d.Groups[0]; !g.Closed || !near(g.Rate, 4/22e-3) {
		t.Errorf("hello asks for %+v, want closed, %g/s", g, 4/22e-3)
	}
}

func TestFlashCrowd(t *testing.T) {
	p := shipped(t, "flash-crowd", scenario.Options{})
	if p.Duration != time.Minute || p.Warmup != 5*time.Second || p.Seed != 7 {
		t.Errorf("got %v %v %d", p.Duration, p.Warmup, p.Seed)
	}
	if !slices.Equal(p.Topology.Servers, []string{"server_1", "server_2", "cdn"}) || !slices.Equal(p.Topology.Services, []string{"static", "app"}) {
		t.Errorf("got %+v", p.Topology)
	}
	if p.Servers[0].Standby || !p.Servers[1].Standby || p.Servers[2].Machine.Link.Delay != 20*time.Millisecond || p.Servers[2].Machine.CPU.Cores != 8 {
		t.Errorf("got %+v", p.Servers)
	}
	want := service.Mapping{Epoch: 1, Replicas: []service.Replica{{Server: "server_1", Weight: 1, State: service.Serving}}}
	for i, m := range p.Mappings() {
		if m.Encode() != want.Encode() {
			t.Errorf("mapping %d: got %s, want %s", i, m.Encode(), want.Encode())
		}
	}
	if p.Services[1].Size != 64<<20 || len(p.Adapt.Rules) != 2 || p.Adapt.Rules[0].For != time.Second || p.Adapt.Rules[1].Do[0].Server != 1 {
		t.Errorf("got %+v %+v", p.Services, p.Adapt.Rules)
	}
	g := p.Clients[0]
	if len(g.Rate) != 5 || g.Rate[2].Rate != 160 || g.Rate[2].At != dsv.At(22*time.Second) || g.Patience != 4*time.Second || g.End != dsv.At(time.Minute) {
		t.Errorf("got %+v", g)
	}
	if p.Text == nil || len(p.Expect) != 2 || !p.Expect[0].Program.IsCondition() {
		t.Errorf("got %+v", p.Expect)
	}
}

// TestMeasures checks names, manipulators, triggers and owners against what the cores write.
func TestMeasures(t *testing.T) {
	p := shipped(t, "flash-crowd", scenario.Options{})
	if !slices.IsSortedFunc(p.Measures, func(a, b scenario.Measure) int { return strings.Compare(string(a.Name), string(b.Name)) }) {
		t.Error("measures are not sorted by name")
	}
	by := map[dsv.Name]scenario.Measure{}
	for _, m := range p.Measures {
		if err := m.Check(); err != nil {
			t.Error(err)
		}
		if by[m.Name].Name != "" {
			t.Errorf("%s is measured twice", m.Name)
		}
		by[m.Name] = m
	}
	servers := []string{"server_1", "server_2", "cdn"}
	callers := append([]string{"crowd"}, servers...)
	for _, c := range []struct {
		name, manipulator, unit string
		count                   int
		owners                  []string
	}{
		{"crowd.latency", "histogram", "s", 0, []string{"crowd"}},
		{"crowd.errors_no_route", "count", "1", 0, []string{"crowd"}},
		{"crowd.in_flight", "mean", "1", 0, []string{"crowd"}},
		{"crowd.target", "sum", "1", 0, []string{"crowd"}},
		{"crowd.rate", "last", "1/s", 0, nil},
		{"crowd.records", "records", "", 0, []string{"crowd"}},
		{"app.latency", "histogram", "s", 500, callers},
		{"app.residence", "histogram", "s", 0, servers},
		{"static.requests", "count", "1", 0, callers},
		{"server_1.cpu.utilisation", "mean", "1", 0, []string{"server_1"}},
		{"cdn.memory.requested", "sum", "B", 0, []string{"cdn"}},
		{"cdn.link.delivered", "sum", "s", 0, []string{"cdn"}},
		{"cdn.lag", "histogram", "s", 0, []string{"cdn"}},
		{"server_2.app.ready", "last", "1", 0, []string{"server_2"}},
	} {
		m := by[dsv.Name(c.name)]
		if m.Manipulator != c.manipulator || m.Unit != c.unit || m.Sync.Count != c.count || !slices.Equal(m.Owners, c.owners) {
			t.Errorf("%s: got %+v", c.name, m)
		}
	}
	own := p.Owned("server_2")
	if len(own) == 0 || slices.ContainsFunc(own, func(s dmm.Spec) bool { return strings.HasPrefix(string(s.Name), "cdn.") }) {
		t.Errorf("server_2 owns %+v", own)
	}
	ds := p.Declarations()
	if want := len(p.Measures) + 2 + 2; len(ds) != want {
		t.Errorf("got %d declarations, want %d", len(ds), want)
	}
	store := dsv.NewStore(nil)
	for _, d := range ds {
		if err := store.Create(t.Context(), d); err != nil {
			t.Error(err)
		}
	}
	if _, err := store.Write(t.Context(), service.MapName("app"), dsv.TextValue("{}")); err != nil {
		t.Error(err)
	}
}
