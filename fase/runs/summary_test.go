package runs_test

import (
	"bytes"
	"errors"
	"math"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/eve-emulation/eve/dsv"
	"github.com/eve-emulation/eve/dsv/dsvbolt"
	"github.com/eve-emulation/eve/fase/runs"
	"github.com/eve-emulation/eve/fase/runs/runstest"
	"github.com/eve-emulation/eve/fase/scenario"
	"github.com/eve-emulation/eve/fase/stat"
	"github.com/eve-emulation/eve/fase/user"
)

func sec(x float64) dsv.Instant { return dsv.Instant(math.Round(x * 1e9)) }

func flashCrowd(t *testing.T, stop dsv.Instant) (*scenario.Plan, *runstest.Memory) {
	t.Helper()
	m := runstest.NewMemory()
	plan, err := runstest.FlashCrowd(m, stop)
	if err != nil {
		t.Fatal(err)
	}
	return plan, m
}

func text(t *testing.T, s *runs.Summary) []byte {
	t.Helper()
	b, err := s.Bytes()
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestSummaryIsDeterministic(t *testing.T) {
	x := runs.Extras{Version: "1", Kind: runs.Virtual}
	plan, m := flashCrowd(t, dsv.Never)
	first := text(t, runs.Summarise(plan, m, x))
	plan, m = flashCrowd(t, dsv.Never)
	if again := text(t, runs.Summarise(plan, m, x)); !bytes.Equal(first, again) {
		t.Error("two equal runs give different summaries")
	}

	db, err := dsvbolt.Create(filepath.Join(t.TempDir(), "run.db"))
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	plan, err = runstest.FlashCrowd(db, dsv.Never)
	if err != nil {
		t.Fatal(err)
	}
	if stored := text(t, runs.Summarise(plan, db, x)); !bytes.Equal(first, stored) {
		t.Error("the summary from disk differs from that from memory")
	}

	parsed, err := runs.ParseSummary(first)
	if err != nil {
		t.Fatal(err)
	}
	if again := text(t, parsed); !bytes.Equal(first, again) {
		t.Error("a summary that was read and written again differs")
	}
	if strings.Contains(string(first), time.Now().Format("2006-01")) {
		t.Error("the summary contains a wall-clock date")
	}
}

// TestSummaryIsExact compares the summary with the raw records of the measured window.
func TestSummaryIsExact(t *testing.T) {
	plan, m := flashCrowd(t, dsv.Never)
	s := runs.Summarise(plan, m, runs.Extras{})
	var xs []float64
	var lags []float64
	err := runs.Requests(m, "crowd", func(r user.Record) error {
		if r.Done > sec(5) && r.Done <= sec(60) {
			xs = append(xs, r.Done.Sub(r.Due).Seconds())
			lags = append(lags, r.Sent.Sub(r.Due).Seconds())
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	slices.Sort(xs)
	slices.Sort(lags)
	c := s.Clients["crowd"]
	d := c.Response
	if len(xs) < 4000 || d.Count != uint64(len(xs)) || c.Requests != int64(len(xs)) {
		t.Fatalf("got %d samples and %d requests, want %d", d.Count, c.Requests, len(xs))
	}
	for _, tt := range []struct {
		name string
		got  runs.Number
		want float64
	}{
		{"p50", d.P50, stat.Quantile(xs, 0.5)},
		{"p90", d.P90, stat.Quantile(xs, 0.9)},
		{"p95", d.P95, stat.Quantile(xs, 0.95)},
		{"p99", d.P99, stat.Quantile(xs, 0.99)},
		{"p999", d.P999, stat.Quantile(xs, 0.999)},
		{"lag p50", c.SendLag.P50, stat.Quantile(lags, 0.5)},
		{"lag p99", c.SendLag.P99, stat.Quantile(lags, 0.99)},
	} {
		if math.Abs(float64(tt.got)-tt.want) > 1e-3*tt.want {
			t.Errorf("%s: got %v, want %v within 0.1 %%", tt.name, tt.got, tt.want)
		}
	}
	mean, err := stat.Mean(xs, 0.95)
	if err != nil {
		t.Fatal(err)
	}
	if math.Abs(float64(d.Mean)-mean.Value) > 1e-9 || math.Abs(float64(d.Max)-xs[len(xs)-1]) > 1e-12 {
		t.Errorf("got mean %v and maximum %v, want %v and %v", d.Mean, d.Max, mean.Value, xs[len(xs)-1])
	}
	if i := c.ResponseInterval; i == nil || !(i.Low < d.Mean && d.Mean < i.High) || !i.TooShort {
		t.Errorf("got interval %+v, want one round %v that is marked as too short: a crowd is not stationary", i, d.Mean)
	}
	if a := c.Accounting; !a.Balanced || a.Issued != a.OK+a.Errors+a.InFlight || a.Issued <= c.Requests {
		t.Errorf("got %+v, want balanced books of the whole run", a)
	}
	if c.ArrivalsSHA256 != plan.Clients[0].PlanHash() || c.ArrivalsOffPlan != 0 {
		t.Errorf("got plan %s and %d off it, want the group's own and 0", c.ArrivalsSHA256, c.ArrivalsOffPlan)
	}
	// The generator of this history works 47.4 % or so of the window: busy time is demand, by the utilisation law.
	cpu := s.Servers["server_1"]["cpu"]
	if want := float64(cpu.Delivered) / 55; math.Abs(float64(cpu.Utilisation)-want) > 0.005 {
		t.Errorf("got utilisation %v, want %v: the demand delivered per second", cpu.Utilisation, want)
	}
}

func TestSummaryTellsDecisionsAndVerdicts(t *testing.T) {
	plan, m := flashCrowd(t, dsv.Never)
	s := runs.Summarise(plan, m, runs.Extras{})
	if len(s.Decisions) != 7 || s.Decisions[0].Rule != "offload" || s.Decisions[0].Phase != "decided" ||
		s.Decisions[0].Reading["p95(static.latency)"] != 0.131 || s.Decisions[3].Time != 27.4 {
		t.Errorf("got decisions %+v", s.Decisions)
	}
	want := []stat.Verdict{stat.Pass, stat.Pass, stat.Fail, stat.Pass}
	for i, e := range s.Expect {
		if e.Verdict != want[i] || len(e.Readings) == 0 {
			t.Errorf("%s: got %s with %v, want %s with readings", e.Text, e.Verdict, e.Readings, want[i])
		}
	}
	if s.Exit != runs.ExitExpectFailed {
		t.Errorf("got exit %d, want %d", s.Exit, runs.ExitExpectFailed)
	}
}

func TestInterrupted(t *testing.T) {
	plan, m := flashCrowd(t, sec(30))
	s := runs.Summarise(plan, m, runs.Extras{Interrupted: true})
	if s.Window.From != 5 || math.Abs(float64(s.Window.To)-30) > 0.11 || s.Exit != runs.ExitInterrupted {
		t.Errorf("got window %+v and exit %d, want 5 to 30 and %d", s.Window, s.Exit, runs.ExitInterrupted)
	}
	if c := s.Clients["crowd"]; c.Requests < 1000 || math.IsNaN(float64(c.Response.P95)) {
		t.Errorf("got %+v, want what was measured so far", c)
	}

	plan, m = flashCrowd(t, sec(3))
	s = runs.Summarise(plan, m, runs.Extras{Interrupted: true})
	for _, e := range s.Expect {
		if e.Verdict != stat.Inconclusive || e.Reason == "" {
			t.Errorf("%s in the warm-up: got %s (%q), want inconclusive and why", e.Text, e.Verdict, e.Reason)
		}
	}
	if c := s.Clients["crowd"]; c.Accounting.Issued == 0 || !math.IsNaN(float64(c.AchievedRate)) {
		t.Errorf("got %+v, want books of the whole run and no rate", c)
	}
	if !bytes.Contains(text(t, s), []byte(`"achieved_rate_per_second": null`)) {
		t.Error("a rate over no time is not null")
	}
}

func TestBrokenHistoryIsTold(t *testing.T) {
	plan, m := flashCrowd(t, dsv.Never)
	m.Broken["crowd.latency"] = errors.New("chunk 7: file is damaged")
	s := runs.Summarise(plan, m, runs.Extras{})
	if got := strings.Join(s.Warnings, "\n"); !strings.Contains(got, "crowd.latency is incomplete: chunk 7") {
		t.Errorf("got warnings %q, want one of the damage", got)
	}
	if s.Clients["crowd"].Response.Count == 0 {
		t.Error("what could be read does not count")
	}
}

// small writes a run of 10 s by hand, with a second of warm-up.
func small(t *testing.T, write func(w *runstest.Writer)) *runs.Summary {
	t.Helper()
	m := runstest.NewMemory()
	plan := runstest.Plan(10*time.Second, time.Second, []string{"g"}, []string{"app"}, []string{"s"})
	w, err := runstest.NewWriter(plan, m)
	if err != nil {
		t.Fatal(err)
	}
	write(w)
	if err := w.Close(sec(10)); err != nil {
		t.Fatal(err)
	}
	return runs.Summarise(plan, m, runs.Extras{Kind: runs.Real})
}

// request writes one request of group g that is due at an instant and takes a while.
func request(w *runstest.Writer, due, lag, response float64) {
	w.Var("g.issued").Write(sec(due), 1)
	w.Var("g.send_lag").Write(sec(due+lag), lag)
	w.Var("g.latency").Write(sec(due+response), response)
	w.Var("g.requests").Write(sec(due+response), 1)
}

func TestGeneratorLimited(t *testing.T) {
	steady := func(lag, response float64, every int) func(w *runstest.Writer) {
		return func(w *runstest.Writer) {
			for i := range 380 {
				due := 0.01 + float64(i)/40
				w.Var("g.target").Write(sec(due), 1)
				if every == 0 || i%every != 0 {
					request(w, due, lag, response)
				}
			}
		}
	}
	tail := func(lag float64) func(w *runstest.Writer) {
		return func(w *runstest.Writer) {
			for i := range 380 {
				due, late := 0.01+float64(i)/40, 1e-5
				if i%20 == 0 {
					late = lag
				}
				w.Var("g.target").Write(sec(due), 1)
				request(w, due, late, 0.02)
			}
		}
	}
	tests := []struct {
		name  string
		write func(w *runstest.Writer)
		want  string // in the reasons; empty: not limited
	}{
		{"on time", steady(1e-4, 0.02, 0), ""},
		{"late by less than a tenth of the response", steady(1.9e-3, 0.02, 0), ""},
		{"late by more than a tenth of the response", steady(2.1e-3, 0.02, 0), "send lag"},
		{"the tail late by less than a tenth of the response", tail(0.0019), ""},
		{"the tail late by more than a tenth of the response", tail(0.0025), "p99 of its send lag"},
		{"late within the floor", steady(0.9e-3, 0.001, 0), ""},
		{"every third request missing", steady(1e-4, 0.02, 3), "planned"},
		{"one in fifty missing, within the noise of Poisson arrivals", steady(1e-4, 0.02, 50), ""},
		{"dropped", func(w *runstest.Writer) {
			steady(1e-4, 0.02, 0)(w)
			w.Var("g.dropped").Write(sec(5), 1)
		}, "dropped"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := small(t, tt.write)
			c := s.Clients["g"]
			if got := strings.Join(c.GeneratorReasons, "; "); c.GeneratorLimited != (tt.want != "") || !strings.Contains(got, tt.want) {
				t.Errorf("got %v (%s), want %q", c.GeneratorLimited, got, tt.want)
			}
			if tt.want != "" && (s.Exit != runs.ExitGeneratorLimited || len(s.Warnings) == 0) {
				t.Errorf("got exit %d and warnings %v, want %d and a warning", s.Exit, s.Warnings, runs.ExitGeneratorLimited)
			}
		})
	}
}

func TestAccounting(t *testing.T) {
	s := small(t, func(w *runstest.Writer) {
		for i := range 10 {
			request(w, float64(i)*0.9+0.05, 0, 0.01)
		}
		w.Var("g.issued").Write(sec(9.9), 1) // never finishes
		w.Var("g.errors").Write(sec(5), 1)
		w.Var("g.errors_refused").Write(sec(5), 1)
	})
	c := s.Clients["g"]
	if want := (runs.Accounting{Issued: 11, Sent: 10, OK: 9, Errors: 1, InFlight: 1, Balanced: true}); c.Accounting != want {
		t.Errorf("got %+v, want %+v", c.Accounting, want)
	}
	if c.Requests != 8 || c.Errors["refused"] != 1 || c.Errors[runs.AllErrors] != 1 || len(c.Errors) != 2 {
		t.Errorf("got %d requests and %v, want 8 after the warm-up and one refused", c.Requests, c.Errors)
	}
	for name, write := range map[string]func(w *runstest.Writer){
		"an error without a cause":  func(w *runstest.Writer) { request(w, 1, 0, 1); w.Var("g.errors").Write(sec(2), 1) },
		"finished without a sample": func(w *runstest.Writer) { request(w, 1, 0, 1); w.Var("g.requests").Write(sec(3), 1) },
		"more finished than issued": func(w *runstest.Writer) {
			w.Var("g.latency").Write(sec(3), 1)
			w.Var("g.requests").Write(sec(3), 1)
		},
	} {
		s := small(t, write)
		if s.Clients["g"].Accounting.Balanced || len(s.Warnings) == 0 {
			t.Errorf("%s: got %+v and %v, want books that do not balance, and a warning", name, s.Clients["g"].Accounting, s.Warnings)
		}
	}
}

func TestOffPlan(t *testing.T) {
	s := small(t, func(w *runstest.Writer) {
		request(w, 1.5, 0, 1)
		w.Var("g.records").Append(sec(2.5), runstest.AppendRecord(nil, user.Record{Key: 42, Due: sec(1.5), Done: sec(2.5)}))
	})
	if got := s.Clients["g"].ArrivalsOffPlan; got != 1 || len(s.Warnings) != 1 {
		t.Errorf("got %d off the plan and %v, want 1 and a warning", got, s.Warnings)
	}
}

func TestExitPrecedence(t *testing.T) {
	e := runs.Ends{WrongInput: true, Failed: true, Interrupted: true, GeneratorLimited: true, NotCertified: true, ExpectFailed: true}
	for _, step := range []struct {
		want  runs.Exit
		clear func()
	}{
		{2, func() { e.WrongInput = false }},
		{1, func() { e.Failed = false }},
		{130, func() { e.Interrupted = false }},
		{4, func() { e.GeneratorLimited = false }},
		{5, func() { e.NotCertified = false }},
		{3, func() { e.ExpectFailed = false }},
		{0, func() {}},
	} {
		if got := e.Exit(); got != step.want {
			t.Errorf("%+v: got %d, want %d", e, got, step.want)
		}
		step.clear()
	}
}

func TestNumber(t *testing.T) {
	for x, want := range map[runs.Number]string{
		0.1 + 0.2: "0.3", 1e-7: "1e-7", 123456789012: "123456789000", runs.Number(math.Inf(1)): "null", 5: "5",
		runs.Number(math.Copysign(0, -1)): "0",
	} {
		if b, err := x.MarshalJSON(); err != nil || string(b) != want {
			t.Errorf("%v: got %s, %v, want %s", float64(x), b, err, want)
		}
	}
}
