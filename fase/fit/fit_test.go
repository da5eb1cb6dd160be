package fit_test

import (
	"context"
	"encoding/json"
	"errors"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/eve-emulation/eve/dsv"
	"github.com/eve-emulation/eve/fase/fit"
	"github.com/eve-emulation/eve/fase/runs/runstest"
	"github.com/eve-emulation/eve/fase/scenario"
	"github.com/eve-emulation/eve/fase/sim"
	"github.com/eve-emulation/eve/rdr"
)

const shop = `eve: 1
name: shop
duration: 20s
warmup: 2s
requests: |
  request small { http web GET "/small" }
  # Two at once.
  request large { wait 1ms  par { http web GET "/large"  http web POST "/large" body "x" send 10KiB } }
targets:
  web: {kind: nginx}
clients:
  load: {mix: {small: 1, large: 1}, rate: 100/s}
  alone: {request: small, rate: 1/s}
expect:
  - p95(load.latency) < 1s
  - web.memory < 1MiB
  - web.cpu.utilisation < 0.9
slo: p95(load.latency) < 300ms
set:
  kind: targets.web.kind
  rate: clients.load.rate
`

func load(t testing.TB, text string) *scenario.Plan {
	t.Helper()
	p, err := scenario.Load("test.yaml", []byte(text), scenario.Options{})
	if err != nil {
		t.Fatal(err)
	}
	return p
}

var shopPlan = func() func(testing.TB) *scenario.Plan {
	plan := sync.OnceValues(func() (*scenario.Plan, error) { return scenario.Load("test.yaml", []byte(shop), scenario.Options{}) })
	return func(t testing.TB) *scenario.Plan {
		t.Helper()
		p, err := plan()
		if err != nil {
			t.Fatal(err)
		}
		return p
	}
}()

// A world measures a target for so many seconds, in windows of 100 ms.
type world struct {
	small, large float64 // requests per second
	demands      [2]float64
	scv          float64 // of demands: 0 or 1
	background   float64 // processors
	bend         float64 // by how much a request takes more at a utilisation of 1
	ratio        bool    // there are as many large as small ones in each window, times large / small
	failed       float64 // share of the small ones
	gap          int     // the target was not measured in so many windows of ten
}

func (w world) measure(t testing.TB, seed uint64, seconds int) *runstest.Memory {
	t.Helper()
	m := runstest.NewMemory()
	kinds := map[dsv.Name]dsv.Kind{}
	for _, d := range shopPlan(t).Declarations() {
		kinds[d.Name] = d.Kind
		if err := m.Declare(d); err != nil {
			t.Fatal(err)
		}
	}
	r := rand.New(rand.NewPCG(seed, 1))
	seq := uint64(0)
	add := func(at dsv.Instant, name string, x, weight float64) {
		v := dsv.FloatValue(x)
		switch kinds[dsv.Name(name)] {
		case dsv.Int:
			v = dsv.IntValue(int64(x))
		case dsv.Histogram:
			v = dsv.HistValue(dsv.NewHist([]uint32{100}, []uint64{uint64(x)}))
		}
		seq++
		d := dsv.Delta{Name: dsv.Name(name), Writer: 1, Epoch: 1, Seq: seq, T0: at - dsv.At(100*time.Millisecond), T1: at, Value: v, Weight: weight}
		if err := m.Record(dsv.Update{Name: d.Name, Delta: &d}); err != nil {
			t.Fatal(err)
		}
	}
	for i := range seconds * 10 {
		at := dsv.At(time.Duration(i+1) * 100 * time.Millisecond)
		used, bytes := 0.0, 0.0
		ns := [2]float64{poisson(r, w.small/10), poisson(r, w.large/10)}
		if w.ratio {
			ns[1] = ns[0] * w.large / w.small
		}
		for c, n := range ns {
			for range int(n) {
				d := w.demands[c]
				if w.scv > 0 {
					d *= r.ExpFloat64()
				}
				used += d
				bytes += []float64{1000, 50_000}[c]
			}
		}
		used *= 1 + w.bend*used/0.1
		used += w.background / 10
		for c, page := range []string{"small", "large"} {
			if ns[c] > 0 {
				add(at, "load.visits."+page, ns[c], ns[c])
				add(at, "load.page."+page+".latency", ns[c], ns[c])
			}
		}
		if x := math.Floor(ns[0] * w.failed); x > 0 {
			add(at, "load.page.small.errors", x, x)
		}
		if i%10 >= w.gap {
			add(at, "web.cpu.utilisation", used, 0.1)
		}
		if bytes > 0 {
			add(at, "web.received", bytes, ns[0]+ns[1])
		}
	}
	return m
}

func poisson(r *rand.Rand, mean float64) float64 {
	n, sum := 0.0, r.ExpFloat64()
	for ; sum < mean; sum += r.ExpFloat64() {
		n++
	}
	return n
}

func (w world) read(t testing.TB, name string, seed uint64, seconds int) *fit.Recording {
	t.Helper()
	r, err := fit.Read(name, w.measure(t, seed, seconds), shopPlan(t), dsv.At(2*time.Second), dsv.At(time.Duration(seconds)*time.Second))
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// mixes are three runs of one target.
func mixes(t testing.TB, w world, seed uint64, seconds int) []*fit.Recording {
	var rs []*fit.Recording
	for i, m := range [][2]float64{{250, 20}, {60, 60}, {20, 130}} {
		w.small, w.large = m[0], m[1]
		rs = append(rs, w.read(t, []string{"a", "b", "c"}[i], 3*seed+uint64(i), seconds))
	}
	return rs
}

func estimate(t testing.TB, rs []*fit.Recording, o fit.Options) *fit.Fit {
	t.Helper()
	f, err := fit.Estimate(rs, o)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func demand(t testing.TB, f *fit.Fit, class, resource string) fit.Demand {
	t.Helper()
	d, ok := f.Demand(class, resource)
	if !ok {
		t.Fatalf("no demand of %s of %s", class, resource)
	}
	return d
}

func TestIntervalsCoverTheDemands(t *testing.T) {
	if testing.Short() {
		t.Skip("it is fifty fits")
	}
	want := world{demands: [2]float64{800e-6, 4e-3}, scv: 1}
	const seeds = 50
	covered, worst := 0, 0.0
	for seed := range uint64(seeds) {
		f := estimate(t, mixes(t, want, seed, 12), fit.Options{Seed: seed, Resamples: 200})
		for c, class := range []string{"small", "large"} {
			d := demand(t, f, class, "web.cpu")
			if d.Low <= want.demands[c] && want.demands[c] <= d.High {
				covered++
			}
			worst = max(worst, math.Abs(d.Value/want.demands[c]-1))
		}
	}
	// 95 % of 100, less three standard deviations.
	if covered < 88 {
		t.Errorf("got %d of %d intervals of 95 %% that hold the demand, want at least 88", covered, 2*seeds)
	}
	if covered == 2*seeds {
		t.Errorf("got all intervals to hold the demand: they are too wide")
	}
	if worst > 0.15 {
		t.Errorf("got a demand that is %.0f %% off, want at most 15 %%", 100*worst)
	}
}

func TestConstantDemandsAreFoundExactly(t *testing.T) {
	f := estimate(t, mixes(t, world{demands: [2]float64{0, 2e-3}}, 1, 12), fit.Options{})
	for _, test := range []struct {
		class, resource string
		want            float64
	}{{"small", "web.cpu", 0}, {"large", "web.cpu", 2e-3}, {"small", "web.bytes", 1000}, {"large", "web.bytes", 50_000}} {
		d := demand(t, f, test.class, test.resource)
		if math.Abs(d.Value-test.want) > 1e-6*max(test.want, 1e-3) || d.Low > d.Value || d.High < d.Value {
			t.Errorf("%s of %s: got %+v, want %g", test.class, test.resource, d, test.want)
		}
	}
	if got := float64(f.Condition); !(got >= 1 && got < 5) {
		t.Errorf("condition: got %g, want less than 5", got)
	}
	if len(f.Warnings)+len(f.Collinear) > 0 {
		t.Errorf("got warnings %q of a good fit", f.Warnings)
	}
	if got := f.Classes[0]; got.Name != "small" || !slices.Equal(got.Sources, []string{"load.small", "alone"}) {
		t.Errorf("got the class %+v, want small of load.small and alone", got)
	}
	if _, err := json.Marshal(f); err != nil {
		t.Error(err)
	}
}

func TestWhatIsDoubtfulIsTold(t *testing.T) {
	good := world{demands: [2]float64{1e-3, 4e-3}, scv: 1}
	with := func(change func(*world)) world { w := good; change(&w); return w }
	tests := []struct {
		name string
		rs   func() []*fit.Recording
		o    fit.Options
		want string // in a warning; empty: none
	}{
		{"three mixes", func() []*fit.Recording { return mixes(t, good, 5, 20) }, fit.Options{}, ""},
		{"gaps", func() []*fit.Recording {
			return mixes(t, with(func(w *world) { w.gap = 4 }), 5, 20)
		}, fit.Options{Batch: 100 * time.Millisecond}, ""},
		{"one ratio", func() []*fit.Recording {
			w := with(func(w *world) { w.small, w.large, w.ratio = 50, 100, true })
			return []*fit.Recording{w.read(t, "a", 1, 20)}
		}, fit.Options{}, "small and large cannot be told apart by how they vary (condition number +Inf)"},
		{"one mix", func() []*fit.Recording {
			w := with(func(w *world) { w.small, w.large = 1000, 800; w.demands = [2]float64{1e-4, 4e-4} })
			return []*fit.Recording{w.read(t, "a", 1, 20)}
		}, fit.Options{Batch: time.Second}, "small and large cannot be told apart"},
		{"failures", func() []*fit.Recording {
			return mixes(t, with(func(w *world) { w.failed = 0.2 }), 5, 20)
		}, fit.Options{}, "of the requests of small failed"},
		{"a bend", func() []*fit.Recording {
			return mixes(t, with(func(w *world) { w.bend, w.scv = -0.3, 0 }), 5, 20)
		}, fit.Options{}, "% less in the batch with the most of it"},
		{"a short run", func() []*fit.Recording { return mixes(t, good, 5, 6)[:2] }, fit.Options{}, "16 batches for 2 unknowns are few"},
		{"hardly used", func() []*fit.Recording {
			return mixes(t, with(func(w *world) { w.demands = [2]float64{1e-5, 1e-5} }), 5, 20)
		}, fit.Options{}, "web.cpu is hardly used"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			f := estimate(t, test.rs(), test.o)
			got := strings.Join(f.Warnings, "\n")
			if !strings.Contains(got, test.want) || test.want == "" && got != "" {
				t.Errorf("got warnings %q, want %q", got, test.want)
			}
			if strings.Contains(test.want, "told apart") != (len(f.Collinear) > 0) {
				t.Errorf("got collinear %v", f.Collinear)
			}
		})
	}
}

func TestBackgroundIsNoDemand(t *testing.T) {
	rs := mixes(t, world{demands: [2]float64{1e-3, 4e-3}, background: 0.2}, 9, 12)
	f := estimate(t, rs, fit.Options{Background: true})
	b := f.Fitted("web.cpu").Background
	if b == nil || math.Abs(b.Value-0.2) > 1e-6 {
		t.Errorf("got a background of %+v, want 0.2", b)
	}
	if d := demand(t, f, "small", "web.cpu"); math.Abs(d.Value-1e-3) > 1e-8 {
		t.Errorf("got a demand of %v, want 1 ms", d.Value)
	}
	if d := demand(t, estimate(t, rs, fit.Options{}), "small", "web.cpu"); d.Value < 1.2e-3 {
		t.Errorf("got a demand of %v without a background, want one that has its part of it", d.Value)
	}
}

func TestCheckPredictsAnotherMix(t *testing.T) {
	w := world{demands: [2]float64{1e-3, 4e-3}, scv: 1}
	f := estimate(t, mixes(t, w, 21, 20), fit.Options{})
	w.small, w.large = 150, 100
	ps, err := f.Check(w.read(t, "other", 99, 20))
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range ps {
		if math.Abs(float64(p.Off)) > 0.05 || !(p.Low <= p.Value && p.Value <= p.High) {
			t.Errorf("%s: got %+v, want at most 5 %% off", p.Resource, p)
		}
	}
	if want := 150*1e-3 + 100*4e-3; math.Abs(ps[0].Value/want-1) > 0.1 {
		t.Errorf("got a prediction of %g processors, want %g", ps[0].Value, want)
	}
	if _, err := f.Predict(map[string]float64{"huge": 1}); err == nil || !strings.Contains(err.Error(), "huge") {
		t.Errorf("got %v, want an error that names huge", err)
	}
}

func TestWhatCannotBeFitted(t *testing.T) {
	w := world{small: 100, large: 10, demands: [2]float64{1e-3, 1e-3}}
	if _, err := fit.Estimate([]*fit.Recording{w.read(t, "a", 1, 6)}, fit.Options{Batch: 2 * time.Second}); !errors.Is(err, fit.ErrTooShort) {
		t.Errorf("a short run: got %v, want %v", err, fit.ErrTooShort)
	}
	w.gap = 9
	if _, err := fit.Estimate([]*fit.Recording{w.read(t, "a", 1, 20)}, fit.Options{}); !errors.Is(err, fit.ErrTooShort) || !strings.Contains(err.Error(), "web.cpu") {
		t.Errorf("hardly measured: got %v, want %v of web.cpu", err, fit.ErrTooShort)
	}
	if _, err := fit.Estimate(nil, fit.Options{}); !errors.Is(err, fit.ErrNoRequests) {
		t.Errorf("no run: got %v, want %v", err, fit.ErrNoRequests)
	}
	nobody := world{demands: [2]float64{1e-3, 1e-3}, background: 0.1}
	if _, err := fit.Read("a", nobody.measure(t, 1, 6), load(t, shop), 0, dsv.At(6*time.Second)); !errors.Is(err, fit.ErrNoRequests) {
		t.Errorf("no requests: got %v, want %v", err, fit.ErrNoRequests)
	}
	idle := world{small: 100, large: 10}
	if _, err := fit.Read("a", idle.measure(t, 1, 6), load(t, strings.ReplaceAll(shop, "web", "other")), 0, dsv.At(6*time.Second)); !errors.Is(err, fit.ErrNoUse) {
		t.Errorf("no use: got %v, want %v", err, fit.ErrNoUse)
	}
}

func TestTheSameMeasurementsGiveTheSameFit(t *testing.T) {
	w := world{demands: [2]float64{1e-3, 4e-3}, scv: 1}
	a, _ := json.Marshal(estimate(t, mixes(t, w, 2, 8), fit.Options{Seed: 3}))
	b, _ := json.Marshal(estimate(t, mixes(t, w, 2, 8), fit.Options{Seed: 3}))
	if string(a) != string(b) {
		t.Errorf("got two fits of the same runs:\n%s\n%s", a, b)
	}
}

func TestDemandsAreWrittenAsTheyWereFitted(t *testing.T) {
	f := estimate(t, mixes(t, world{demands: [2]float64{1e-3, 4e-3}}, 1, 12), fit.Options{})
	for _, w := range []fit.Writing{{}, {Exponential: true}} {
		text, err := f.RDR(w)
		if err != nil {
			t.Fatal(err)
		}
		file, err := rdr.Config{}.ParseFile("demands.rdr", text, rdr.StartRequest)
		if err != nil {
			t.Fatalf("%v\n%s", err, text)
		}
		for _, name := range []string{"small", "large"} {
			b, _ := file.Request(name)
			m, err := b.Mean()
			if err != nil {
				t.Fatal(err)
			}
			cpu, bytes := demand(t, f, name, "web.cpu").Value, demand(t, f, name, "web.bytes").Value
			if got := m.Of("web"); math.Abs(got.CPU/cpu-1) > 1e-3 || math.Abs(got.ReplyBytes-bytes) > 1 {
				t.Errorf("%s: got %v s and %v B, want %v and %v", name, got.CPU, got.ReplyBytes, cpu, bytes)
			}
		}
		if !strings.Contains(string(text), "# Two at once.") || strings.Contains(string(text), "exp(") != w.Exponential {
			t.Errorf("got %s", text)
		}
	}
}

func TestAScenarioHasServersInPlaceOfTargets(t *testing.T) {
	f := estimate(t, mixes(t, world{demands: [2]float64{1e-3, 4e-3}}, 1, 12), fit.Options{})
	text, left, err := f.Scenario(fit.Writing{CPUs: 2})
	if err != nil {
		t.Fatal(err)
	}
	if want := []string{"set: kind", "expect: web.memory < 1MiB"}; !slices.Equal(left, want) {
		t.Errorf("left out: got %q, want %q", left, want)
	}
	p := load(t, string(text))
	if len(p.Targets) != 0 || len(p.Servers) != 1 || p.Servers[0].Machine.CPU.Cores != 2 || len(p.Expect) != 2 || p.Expect[1].Text != "web_server.cpu.utilisation < 0.9" || len(p.SLO) != 1 || len(p.Short) != 1 {
		t.Errorf("got %s", text)
	}
	if err := sim.Check(p); err != nil {
		t.Error(err)
	}
	d, err := p.Demands()
	if err != nil {
		t.Fatal(err)
	}
	if got, want := d.Servers[0].CPU.Utilisation, (51*1e-3+50*4e-3)/2; math.Abs(got/want-1) > 1e-3 {
		t.Errorf("got a utilisation of %g, want %g", got, want)
	}
}

// emulated is a scenario in which every demand is known: two tiers, one of them a farm, a mix and a group of its own.
const emulated = `eve: 1
name: emulated
duration: 120s
warmup: 2s
seed: 5
requests: |
  request browse { call web { cpu exp(2ms)  choose { 0.4: { call db { cpu 5ms  disk read 64KiB } }  0.6: {} } } }
  request buy { call web { cpu 1ms  call db { cpu exp(12ms) } } }
  request ping { call web { cpu 500us } }
servers:
  web: {count: 3}
  store: {cpus: 2, speed: 0.5}
services:
  web: {on: web}
  db: {on: store}
clients:
  users: {mix: {browse: 3, buy: 1}, rate: {0s: 30/s, 60s: 90/s, 120s: 30/s}}
  probes: {request: ping, users: 3, think: exp(20ms)}
`

// simulated is the recording of a simulation.
func simulated(t *testing.T, text string) *fit.Recording {
	t.Helper()
	p := load(t, text)
	m := runstest.NewMemory()
	s, err := sim.New(context.Background(), p, dsv.NewStore(m))
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Run(context.Background(), nil); err != nil {
		t.Fatal(err)
	}
	r, err := fit.Read("a", m, p, dsv.At(p.Warmup), dsv.At(p.Duration))
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestWhatMovesIsNotKnown(t *testing.T) {
	f := estimate(t, []*fit.Recording{simulated(t, `eve: 1
name: moves
duration: 12s
requests: |
  request page { call app { cpu 10ms } }
servers:
  one:
  two: {state: standby}
services:
  app: {on: one}
clients:
  crowd: {request: page, rate: 80/s}
adapt:
  - {name: grow, when: one.cpu.utilisation > 0.6, for: 1s, do: replicate app to two}
`)}, fit.Options{})
	if d := demand(t, f, "page", "one.cpu"); d.Known != nil {
		t.Errorf("got a known demand of %v of a server that got help", *d.Known)
	}
	if got := strings.Join(f.Warnings, "\n"); !strings.Contains(got, "rules or controllers acted during the run") {
		t.Errorf("got warnings %q", got)
	}
}

func TestEmulatedDemandsAreFound(t *testing.T) {
	text := strings.ReplaceAll(emulated, "services:\n  web: {on: web}", "services:\n  pages: {on: web}")
	r := simulated(t, strings.ReplaceAll(text, "call web", "call pages"))
	f := estimate(t, []*fit.Recording{r}, fit.Options{Confidence: 0.99})
	known := 0
	for i := range f.Resources {
		x := &f.Resources[i]
		for c, d := range x.Demands {
			if x.Kind == fit.CPU && d.Known == nil {
				t.Errorf("%s of %s: no known demand", x.Name, f.Classes[c].Name)
			}
			if d.Known == nil {
				continue
			}
			known++
			if *d.Known < d.Low || *d.Known > d.High || d.High > *d.Known*1.5+1e-3 {
				t.Errorf("%s of %s: got %v (%v to %v), want %v", x.Name, f.Classes[c].Name, d.Value, d.Low, d.High, *d.Known)
			}
		}
	}
	if known != 6 || f.Fitted("web.cpu").Capacity != 3 || f.Fitted("store.cpu").Capacity != 1 {
		t.Errorf("got %d known demands and capacities %+v", known, f.Resources)
	}
	text2, err := f.RDR(fit.Writing{})
	if err != nil || !strings.Contains(string(text2), "call db { cpu") || !strings.Contains(string(text2), "call pages { cpu") {
		t.Errorf("got %s, %v", text2, err)
	}
	if _, _, err := f.Scenario(fit.Writing{}); !errors.Is(err, fit.ErrNoTarget) {
		t.Errorf("got %v, want %v", err, fit.ErrNoTarget)
	}
}
