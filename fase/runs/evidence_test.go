package runs_test

import (
	"cmp"
	"encoding/json"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/eve-emulation/eve/dsv"
	"github.com/eve-emulation/eve/fase/adapt"
	"github.com/eve-emulation/eve/fase/runs"
	"github.com/eve-emulation/eve/fase/runs/runstest"
	"github.com/eve-emulation/eve/fase/scenario"
	"github.com/eve-emulation/eve/fase/service"
	"github.com/eve-emulation/eve/fase/stat"
	"github.com/eve-emulation/eve/fase/user"
)

// A queue is a run in which a group of clients at 100 requests/s asks one server, first come first served, whose demands
// are exponential. The zero value but for its length is a good run.
type queue struct {
	seed    uint64
	seconds float64                           // length of the run
	warmup  float64                           // of the scenario
	rho     float64                           // utilisation; 0: 0.5
	law     user.Law                          // that is planned
	rate    []user.Point                      // that is planned; nil: 100/s
	gap     func(r *rand.Rand) float64        // between arrivals, in s; nil: as planned
	slower  func(at float64) float64          // factor of the demands; nil: 1
	smooth  float64                           // how much of the response before is in a response, instead of a queue
	lag     func(i int, r *rand.Rand) float64 // of sending, in s; nil: none
	share   float64                           // of requests that are recorded; 0: all
	also    func(w *runstest.Writer)          // writes what else there is
	change  func(p *scenario.Plan)            // of the plan
	extras  func(x *runs.Extras)
}

type written struct {
	at dsv.Instant
	do func()
}

// run writes the history and summarises it.
func (q queue) run(t testing.TB) *runs.Summary {
	t.Helper()
	plan := runstest.Plan(time.Duration(q.seconds*1e9), time.Duration(q.warmup*1e9), []string{"g"}, []string{"app"}, []string{"s"})
	g := &plan.Clients[0]
	g.Seed, g.Law, g.Rate, g.RecordShare = q.seed, q.law, []user.Point{{Rate: 100}}, q.share
	if q.rate != nil {
		g.Rate = q.rate
	}
	if q.change != nil {
		q.change(plan)
	}
	m := runstest.NewMemory()
	w, err := runstest.NewWriter(plan, m)
	if err != nil {
		t.Fatal(err)
	}
	events := q.requests(w, g)
	slices.SortStableFunc(events, func(a, b written) int { return cmp.Compare(a.at, b.at) })
	next := sec(0.1)
	for _, e := range events {
		for ; e.at > next; next += sec(0.1) {
			if err := w.Advance(next); err != nil {
				t.Fatal(err)
			}
		}
		e.do()
	}
	if q.also != nil {
		q.also(w)
	}
	if err := w.Close(sec(q.seconds)); err != nil {
		t.Fatal(err)
	}
	x := runs.Extras{Kind: runs.Real}
	if q.extras != nil {
		q.extras(&x)
	}
	return runs.Summarise(plan, m, x)
}

// requests are what the group writes, in no order.
func (q queue) requests(w *runstest.Writer, g *user.Config) []written {
	r := rand.New(rand.NewPCG(q.seed, 5))
	var events []written
	add := func(at float64, do func()) { events = append(events, written{sec(at), do}) }
	free, before, i, unfinished := 0.0, 0.01, 0, 0
	arrive := func(due dsv.Instant, key func() user.Record) {
		at, slower := due.Seconds(), 1.0
		if q.slower != nil {
			slower = q.slower(at)
		}
		rho := q.rho
		if rho == 0 {
			rho = 0.5
		}
		free = max(free, at) + r.ExpFloat64()*rho/100*slower
		done, lag := free, 0.0
		if q.smooth > 0 {
			before = q.smooth*before + (1-q.smooth)*0.02*r.ExpFloat64()
			done = at + before
		}
		if q.lag != nil {
			lag = q.lag(i, r)
			done += lag
		}
		i++
		add(at, func() { w.Var("g.issued").Write(due, 1) })
		add(at+lag, func() { w.Var("g.send_lag").Write(sec(at+lag), lag) })
		if done >= q.seconds {
			unfinished++
			return
		}
		add(done, func() {
			w.Var("g.latency").Write(sec(done), sec(done).Sub(due).Seconds())
			w.Var("g.requests").Write(sec(done), 1)
			rec := key()
			if !service.Recorded(rec.Key, g.RecordShare) {
				return
			}
			rec.Due, rec.Sent, rec.Done = due, due+sec(lag), sec(done)
			w.Var("g.records").Append(sec(done), runstest.AppendRecord(nil, rec))
		})
	}
	if q.gap == nil {
		for key, due := range g.Arrivals() {
			arrive(due, func() user.Record { return user.Record{Key: key} })
		}
	} else {
		for at := q.gap(r); at < q.seconds; at += q.gap(r) {
			n := uint64(i)
			arrive(sec(at), func() user.Record { return user.Record{Key: g.Key(n, 0)} })
		}
	}
	add(q.seconds, func() { w.Var("g.unfinished").Write(sec(q.seconds), float64(unfinished)) })
	target := g.Offered()
	last := 0.0
	for k := 1; k <= int(q.seconds*10); k++ {
		at := sec(float64(k) / 10)
		sum := target(at)
		part := sum - last
		last = sum
		events = append(events, written{at, func() { w.Var("g.target").Write(at, part) }})
	}
	return events
}

func gate(s *runs.Summary, name runs.GateName) runs.Gate {
	for _, g := range s.Clients["g"].Gates {
		if g.Gate == name {
			return g
		}
	}
	return runs.Gate{}
}

func TestGatesFire(t *testing.T) {
	if testing.Short() {
		t.Skip("long under the race detector, and of one goroutine")
	}
	poisson := func(mean float64) func(r *rand.Rand) float64 {
		return func(r *rand.Rand) float64 { return mean * r.ExpFloat64() }
	}
	ramp := []user.Point{{Rate: 20}, {At: sec(60), Rate: 180}}
	generator := func(g runs.Generator) func(w *runstest.Writer) {
		return func(w *runstest.Writer) {
			if err := w.Tell("g.generator", g); err != nil {
				panic(err)
			}
		}
	}
	tests := []struct {
		name  string
		queue queue
		gate  runs.GateName
		want  stat.Verdict
		words string // in those of the gate
	}{
		{"books", queue{seconds: 20}, runs.BooksGate, stat.Pass, " issued = "},
		{"a request that is lost", queue{seconds: 20, also: func(w *runstest.Writer) { w.Var("g.issued").Write(sec(5), 1) }}, runs.BooksGate, stat.Fail, "under way at the end"},
		{"a request that is counted twice", queue{seconds: 20, also: func(w *runstest.Writer) { w.Var("g.requests").Write(sec(5), 1) }}, runs.BooksGate, stat.Fail, "under way at the end"},
		{"a response time too few", queue{seconds: 20, also: func(w *runstest.Writer) {
			w.Var("g.issued").Write(sec(5), 1)
			w.Var("g.requests").Write(sec(5), 1)
		}}, runs.BooksGate, stat.Fail, "response times"},
		{"an error without a cause", queue{seconds: 20, also: func(w *runstest.Writer) { w.Var("g.errors").Write(sec(5), 1) }}, runs.BooksGate, stat.Fail, "the causes add up to 0"},
		{"more sent than issued", queue{seconds: 20, also: func(w *runstest.Writer) {
			for range 10 {
				w.Var("g.send_lag").Write(sec(5), 0)
			}
		}}, runs.BooksGate, stat.Fail, "were sent"},
		{"a request that is lost with its module", queue{
			seconds: 20, also: func(w *runstest.Writer) { w.Var("g.issued").Write(sec(5), 1) },
			extras: func(x *runs.Extras) { x.Modules = []runs.Module{{Name: "g", State: "failed", Exit: "signal: killed"}} },
		}, runs.BooksGate, stat.Inconclusive, "measurements were lost"},

		{"a generator on time", queue{seconds: 20}, runs.GeneratorGate, stat.Pass, "was not the limit"},
		{"a generator that is late", queue{seconds: 20, lag: func(int, *rand.Rand) float64 { return 0.02 }}, runs.GeneratorGate, stat.Fail, "send lag"},
		{"a generator that loses arrivals", queue{seconds: 20, gap: poisson(0.0125)}, runs.GeneratorGate, stat.Fail, "were planned"},
		{"a generator at its end", queue{seconds: 20, also: generator(runs.Generator{Utilisation: 0.97})}, runs.GeneratorGate, stat.Fail, "97 % of a processor"},
		{"a generator that polls", queue{seconds: 20, also: generator(runs.Generator{Utilisation: 0.97, Spin: 6e-5})}, runs.GeneratorGate, stat.Pass, ""},

		{"Poisson arrivals", queue{seconds: 60}, runs.ArrivalsGate, stat.Pass, "Poisson as planned"},
		{"Poisson arrivals whose rate rises", queue{seconds: 60, rate: ramp}, runs.ArrivalsGate, stat.Pass, "Poisson as planned"},
		{"even arrivals", queue{seconds: 60, law: user.Constant}, runs.ArrivalsGate, stat.Pass, "evenly spaced as planned"},
		{"one in five Poisson arrivals was recorded", queue{seconds: 60, share: 0.2}, runs.ArrivalsGate, stat.Pass, "Poisson as planned"},
		{"Poisson arrivals that are even", queue{seconds: 60, gap: func(*rand.Rand) float64 { return 0.01 }}, runs.ArrivalsGate, stat.Fail, "not Poisson"},
		{"Poisson arrivals in bursts", queue{seconds: 60, gap: func(r *rand.Rand) float64 {
			if r.Float64() < 0.9 {
				return 0.005 * r.ExpFloat64()
			}
			return 0.055 * r.ExpFloat64()
		}}, runs.ArrivalsGate, stat.Fail, "not Poisson"},
		{"Poisson arrivals at a rate that does not rise", queue{seconds: 60, rate: ramp, gap: poisson(0.01)}, runs.ArrivalsGate, stat.Fail, "not Poisson"},
		{"Poisson arrivals 10 % too fast", queue{seconds: 60, gap: poisson(0.009)}, runs.ArrivalsGate, stat.Fail, "not Poisson"},
		{"even arrivals that are Poisson", queue{seconds: 60, law: user.Constant, gap: poisson(0.01)}, runs.ArrivalsGate, stat.Fail, "not evenly spaced"},
		{"Poisson arrivals that are bunched when sent", queue{seconds: 60, lag: func(i int, _ *rand.Rand) float64 { return 0.02 * float64(i%2) }}, runs.ArrivalsGate, stat.Inconclusive, "bunches them"},
		{"few arrivals", queue{seconds: 0.3}, runs.ArrivalsGate, stat.Inconclusive, "too few arrivals"},
		{"arrivals of which many had not ended", queue{seconds: 60, rho: 1.3}, runs.ArrivalsGate, stat.Inconclusive, "had not ended"},

		{"a run without a transient", queue{seconds: 60}, runs.WarmupGate, stat.Pass, "MSER-5"},
		{"a transient that is left out", queue{seconds: 60, warmup: 10, slower: until(4, 3)}, runs.WarmupGate, stat.Pass, "leaves out"},
		{"a transient that is not left out", queue{seconds: 60, warmup: 1, slower: until(8, 3)}, runs.WarmupGate, stat.Inconclusive, "and the warm-up until 1 s"},
		{"a warm-up that is too long", queue{seconds: 60, warmup: 40}, runs.WarmupGate, stat.Fail, "more than half"},
		{"a run that never settles", queue{seconds: 60, rho: 1.2}, runs.WarmupGate, stat.Fail, "do not settle"},
		{"a short run", queue{seconds: 0.3}, runs.WarmupGate, stat.Inconclusive, "too few"},

		{"a steady run", queue{seconds: 60}, runs.SteadyGate, stat.Pass, "stay at one level"},
		{"a run that drifts", queue{seconds: 120, slower: func(at float64) float64 { return 1 + at/120 }}, runs.SteadyGate, stat.Fail, "do not stay at one level"},
		{"a run whose load rises by plan", queue{seconds: 60, rate: ramp}, runs.SteadyGate, stat.Inconclusive, "the planned rate changes"},
		{"a run in which a rule acted", queue{seconds: 60, rho: 1.2, also: func(w *runstest.Writer) {
			if err := w.Decide(adapt.Decision{At: sec(30), Rule: "grow", Action: "replicate", Phase: "decided"}); err != nil {
				panic(err)
			}
		}}, runs.SteadyGate, stat.Inconclusive, "a rule acted"},
		{"a run too short to tell", queue{seconds: 0.3}, runs.SteadyGate, stat.Inconclusive, "too few"},

		{"enough requests", queue{seconds: 120}, runs.IntervalGate, stat.Pass, "independent"},
		{"a short run of a busy server", queue{seconds: 20, rho: 0.95}, runs.IntervalGate, stat.Inconclusive, "too few"},
		{"no more than a few requests", queue{seconds: 0.3}, runs.IntervalGate, stat.Inconclusive, "too few requests ended for a confidence interval: "},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			q := tt.queue
			q.seed = 3
			s := q.run(t)
			got := gate(s, tt.gate)
			if got.Verdict != tt.want || !strings.Contains(got.Words, tt.words) {
				t.Errorf("got %s, %q, want %s with %q", got.Verdict, got.Words, tt.want, tt.words)
			}
			told := slices.ContainsFunc(s.Warnings, func(w string) bool { return strings.HasPrefix(w, "client g") })
			if told != slices.ContainsFunc(s.Clients["g"].Gates, func(g runs.Gate) bool { return g.Verdict == stat.Fail }) {
				t.Errorf("got warnings %q with gates %+v, want one where a gate fails", s.Warnings, s.Clients["g"].Gates)
			}
			if broken := gate(s, runs.BooksGate).Verdict == stat.Fail; broken && s.Exit == runs.ExitOK {
				t.Error("got exit 0 though the books do not balance")
			}
		})
	}
}

// until slows demands down by a factor until an instant.
func until(end, factor float64) func(at float64) float64 {
	return func(at float64) float64 {
		if at < end {
			return factor
		}
		return 1
	}
}

// TestCorrelatedBatches has a response time that follows the one before for so long that 20 batches are alike.
func TestCorrelatedBatches(t *testing.T) {
	if testing.Short() {
		t.Skip("long under the race detector, and of one goroutine")
	}
	fired := 0
	for seed := range uint64(10) {
		s := queue{seed: seed, seconds: 60, smooth: 0.9995}.run(t)
		c := s.Clients["g"]
		if i := c.Intervals["mean"]; i.Correlated && i.TooShort && gate(s, runs.IntervalGate).Verdict == stat.Inconclusive && i.Correlation > 0.4 {
			fired++
		}
	}
	if fired < 7 {
		t.Errorf("got correlated batches in %d of 10 runs, want nearly all", fired)
	}
}

// TestFalseAlarms states how often each gate fires on good runs: of 60 runs of a minute at half of the capacity.
func TestFalseAlarms(t *testing.T) {
	if testing.Short() {
		t.Skip("many runs")
	}
	const seeds = 60
	fails, doubts := map[runs.GateName]int{}, map[runs.GateName]int{}
	covered := map[string]int{}
	truth := map[string]float64{"mean": 0.01, "p50": 0.01 * math.Ln2, "p95": 0.01 * math.Log(20), "p99": 0.01 * math.Log(100)}
	for seed := range uint64(seeds) {
		s := queue{seed: 1000 + seed, seconds: 60, warmup: 5, lag: func(_ int, r *rand.Rand) float64 { return 5e-5 * r.ExpFloat64() }}.run(t)
		c := s.Clients["g"]
		for _, g := range c.Gates {
			switch g.Verdict {
			case stat.Fail:
				fails[g.Gate]++
				t.Logf("seed %d: %s: %s", seed, g.Gate, g.Words)
			case stat.Inconclusive:
				doubts[g.Gate]++
			}
		}
		for name, x := range truth {
			if i := c.Intervals[name]; float64(i.Low) <= x && x <= float64(i.High) {
				covered[name]++
			}
		}
	}
	t.Logf("failed: %v, in doubt: %v, covered: %v of %d", fails, doubts, covered, seeds)
	for name, most := range map[runs.GateName]int{
		runs.BooksGate: 0, runs.GeneratorGate: 0, runs.ArrivalsGate: 1, runs.WarmupGate: 1, runs.SteadyGate: 1, runs.IntervalGate: 0,
	} {
		if fails[name] > most {
			t.Errorf("%s: got %d false alarms of %d, want at most %d", name, fails[name], seeds, most)
		}
	}
	for name, least := range map[string]int{"mean": 52, "p50": 52, "p95": 52, "p99": 48} {
		if covered[name] < least {
			t.Errorf("%s: 95 %% interval covers the truth in %d of %d runs, want at least %d", name, covered[name], seeds, least)
		}
	}
}

func TestMeaning(t *testing.T) {
	if testing.Short() {
		t.Skip("long under the race detector, and of one goroutine")
	}
	for _, tt := range []struct {
		name  string
		queue queue
		want  []string
	}{
		{"a good run", queue{seconds: 120, warmup: 5}, []string{"mean 10.0 ± 0.7 ms (95 %), p99 48 ms (42.3 ms to 57.3 ms) of 11559 requests", "steady from 5 s on", "the generator was not the limit", "of 100/s planned", "Poisson as planned"}},
		{"a short one", queue{seconds: 0.3}, []string{"too few to say how exact", "too short to tell whether it is steady"}},
		{"nothing", queue{seconds: 1, gap: func(*rand.Rand) float64 { return 2 }}, []string{"no request ended"}},
		{"a generator that is late", queue{seconds: 60, lag: func(int, *rand.Rand) float64 { return 0.02 }}, []string{"the generator was the limit: "}},
		{"a busy queue in little time", queue{seconds: 30, rho: 0.9}, []string{" (95 %) at best, of "}},
		{"a run that drifts", queue{seconds: 120, slower: func(at float64) float64 { return 1 + at/120 }}, []string{"not steady"}},
		{"a rate that rises", queue{seconds: 60, rate: []user.Point{{Rate: 20}, {At: sec(60), Rate: 180}}}, []string{"the planned rate changes, so these are figures of the whole of it"}},
		{"one without end", queue{seconds: 60, rho: 1.2}, []string{"not steady"}},
	} {
		q := tt.queue
		q.seed = 3
		got := q.run(t).Clients["g"].Meaning
		for _, want := range tt.want {
			if !strings.Contains(got, want) {
				t.Errorf("%s: got %q, want %q in it", tt.name, got, want)
			}
		}
		t.Log(got)
	}
}

// TestEvidenceIsComplete looks for every field that summary.md promises of a group.
func TestEvidenceIsComplete(t *testing.T) {
	s := queue{seed: 3, seconds: 60, warmup: 5}.run(t)
	b, err := json.Marshal(s.Clients["g"])
	if err != nil {
		t.Fatal(err)
	}
	var m map[string]any
	if err := json.Unmarshal(b, &m); err != nil {
		t.Fatal(err)
	}
	for _, key := range []string{"meaning", "gates", "intervals", "warmup", "steady", "arrivals_law", "accounting", "send_lag_seconds", "late", "dropped", "abandoned"} {
		if m[key] == nil {
			t.Errorf("got no %q", key)
		}
	}
	if got := fmt.Sprint(m["arrivals_law"].(map[string]any)["law"]); got != "poisson" {
		t.Errorf("got law %s, want poisson", got)
	}
}

// A generator that a busy host made late says so; one that was late by itself does not.
func TestHostIsNamed(t *testing.T) {
	for _, tt := range []struct {
		jitter runs.Number
		want   bool
	}{{0.0016, true}, {0.0015, true}, {0.0014, false}, {0, false}} {
		g := runs.Generated{
			SendLag: runs.Lag{P50: 5e-5, P99: 0.003}, Response: runs.Distribution{P50: 0.002, P99: 0.008},
			Generator: &runs.Generator{JitterP99: tt.jitter},
		}
		rs := g.LimitReasons()
		if len(rs) != 1 || strings.Contains(rs[0], "the host was not quiet") != tt.want {
			t.Errorf("jitter %v: got %q, want the host named: %v", tt.jitter, rs, tt.want)
		}
	}
}
