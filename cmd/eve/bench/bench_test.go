package bench_test

import (
	"bytes"
	"encoding/json"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"go.uber.org/goleak"

	"github.com/eve-emulation/eve/cmd/eve/bench"
	"github.com/eve-emulation/eve/fase/report"
	"github.com/eve-emulation/eve/fase/runs"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestFigure(t *testing.T) {
	for _, tt := range []struct {
		rounds           []float64
		value, low, high float64
	}{
		{[]float64{3}, 3, 3, 3},
		{[]float64{5, 1, 3}, 3, 1, 5},
		{[]float64{4, 1, 3, 2}, 2.5, 1, 4},
		{[]float64{9, 8, 7, 6, 5, 4, 3, 2, 1}, 5, 2, 8}, // 1 − 2·P(X ≤ 1) of 9 fair coins: 96.1 %
		{[]float64{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11}, 6, 2, 10},
	} {
		f := bench.NewFigure(bench.Seconds, tt.rounds...)
		if got := [3]float64{float64(f.Value), float64(f.Low), float64(f.High)}; got != [3]float64{tt.value, tt.low, tt.high} {
			t.Errorf("%v: got %v, want %v of %v to %v", tt.rounds, got, tt.value, tt.low, tt.high)
		}
	}
	for _, f := range []bench.Figure{bench.NewFigure(bench.Seconds), bench.NewFigure(bench.Seconds, 1, math.NaN())} {
		if got := f.Text(); got != "–" {
			t.Errorf("got %q, want –", got)
		}
	}
}

// TestFigureCovers draws samples of a skewed distribution: the interval must hold the true median in about 95 of 100
// cases or more, whatever the number of rounds.
func TestFigureCovers(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for _, n := range []int{6, 9, 15, 25, 40} {
		const trials = 4000
		held := 0
		for range trials {
			xs := make([]float64, n)
			for i := range xs {
				xs[i] = math.Exp(2 * r.NormFloat64()) // median 1
			}
			if f := bench.NewFigure(bench.One, xs...); float64(f.Low) <= 1 && float64(f.High) >= 1 {
				held++
			}
		}
		// Four standard errors below 95 %, and no wider than it has to be.
		if got := float64(held) / trials; got < 0.95-4*math.Sqrt(0.05*0.95/trials) || got > 0.985 {
			t.Errorf("%d rounds: the interval covers the median in %.3f of the cases", n, got)
		}
	}
}

func TestRatio(t *testing.T) {
	a, b := bench.NewFigure(bench.Seconds, 2, 4, 9), bench.NewFigure(bench.Seconds, 1, 2, 3, 7)
	if got := bench.Ratio(a, b); float64(got.Value) != 2 || len(got.Rounds) != 3 || float64(got.High) != 3 {
		t.Errorf("got %+v, want 2, 2, 3", got)
	}
	if got := bench.Ratio(a, bench.Figure{}).Text(); got != "–" {
		t.Errorf("over nothing: got %q", got)
	}
}

func TestUnits(t *testing.T) {
	for _, tt := range []struct {
		unit bench.Unit
		x    float64
		want string
	}{
		{bench.Seconds, 12.34e-9, "12.3 ns"},
		{bench.Seconds, 0.4e-9, "0.4 ns"},
		{bench.Seconds, 1.5e-6, "1.5 µs"},
		{bench.Seconds, 0, "0 s"},
		{bench.PerSecond, 1234567, "1\u202f230\u202f000/s"},
		{bench.Bytes, 3.456, "3.46 B"},
		{bench.Bytes, 2048, "2 KiB"},
		{bench.Share, 0.123, "12.3 %"},
		{bench.Broken, 2, "2 broken"},
		{bench.One, 1.3549, "1.35"},
	} {
		if got := bench.NewFigure(tt.unit, tt.x).Text(); got != tt.want {
			t.Errorf("%v %s: got %q, want %q", tt.x, tt.unit, got, tt.want)
		}
	}
}

func TestShapes(t *testing.T) {
	f := bench.NewFigure(bench.One, 1, 1.1, 1.2)
	for _, tt := range []struct {
		shape bench.Shape
		want  bench.Verdict
	}{
		{bench.AtMost("X", "", f, 1.2), bench.Holds},
		{bench.AtMost("X", "", f, 1.15), bench.Inconclusive},
		{bench.AtMost("X", "", f, 0.9), bench.HoldsNot},
		{bench.AtLeast("X", "", f, 1), bench.Holds},
		{bench.AtLeast("X", "", f, 1.05), bench.Inconclusive},
		{bench.AtLeast("X", "", f, 1.3), bench.HoldsNot},
		{bench.Within("X", "", f, 0.9, 1.3), bench.Holds},
		{bench.Within("X", "", f, 1.3, 1.5), bench.HoldsNot},
		{bench.AtMost("X", "", bench.NewFigure(bench.One), 1), bench.Inconclusive},
		{bench.AtMost("X", "", bench.NewFigure(bench.One, 1, math.NaN()), 2), bench.Inconclusive},
		{bench.Always("X", "", 0, 10), bench.Holds},
		{bench.Always("X", "", 1, 10), bench.HoldsNot},
		{bench.Always("X", "", 0, 0), bench.Inconclusive},
	} {
		if tt.shape.Verdict != tt.want {
			t.Errorf("%s of %s: got %s, want %s", tt.shape.Rule, tt.shape.Found.Text(), tt.shape.Verdict, tt.want)
		}
	}
}

func TestEnds(t *testing.T) {
	good, open, bad := bench.Always("X", "", 0, 1), bench.AtMost("X", "", bench.NewFigure(bench.One), 1), bench.AtMost("X", "", bench.NewFigure(bench.One, 2), 1)
	broken := bench.Always("X", "", 1, 1)
	for _, tt := range []struct {
		quick  bool
		shapes []bench.Shape
		want   runs.Exit
	}{
		{false, nil, runs.ExitOK},
		{false, []bench.Shape{good}, runs.ExitOK},
		{false, []bench.Shape{good, bad}, runs.ExitExpectFailed},
		{false, []bench.Shape{bad, open}, runs.ExitNotCertified},
		{true, []bench.Shape{bad, open}, runs.ExitOK},
		{true, []bench.Shape{bad, broken}, runs.ExitExpectFailed},
	} {
		r := &bench.Report{Quick: tt.quick, Shapes: tt.shapes}
		if got := r.Ends().Exit(); got != tt.want {
			t.Errorf("quick %v, %v: got %d, want %d", tt.quick, tt.shapes, got, tt.want)
		}
	}
}

func sampleReport() *bench.Report {
	ours := bench.NewFigure(bench.Seconds, 2e-4, 1e-4, 3e-4)
	return &bench.Report{
		Bench: "dsv",
		Tables: []*bench.Table{{
			Card: "E1", Title: "response time", Head: "p50", Also: []string{"p99"}, Peers: []string{"redis"}, Published: "published",
			Rows: []bench.Row{
				{Name: "Read", Ours: ours, Also: []bench.Figure{bench.NewFigure(bench.Seconds, 1e-3)}, Published: "lost", Peers: map[string]bench.Figure{"redis": bench.NewFigure(bench.Seconds, 1e-4, 1e-4, 1e-4)}},
				{Name: "Create", Ours: ours},
			},
			Note: "a note",
		}},
		Shapes: []bench.Shape{bench.AtMost("E1", "Read", ours, 1)},
		Notes:  []string{"not \x1b[31mred"},
		Charts: []report.Chart{{Name: "e1", Title: "E1", Panels: []report.ChartPanel{{Groups: []string{"Read"}, Series: []report.ChartSeries{{Label: "x", Ys: []float64{1}}}}}}},
	}
}

func TestText(t *testing.T) {
	got := sampleReport().Text()
	for _, want := range []string{
		"E1  response time\n",
		"  Read    200 µs  100 µs … 300 µs  1 ms  100 µs      2       lost\n",
		"  Create  200 µs  100 µs … 300 µs     –       –      –\n",
		"a note\n", "✓ E1  Read", "at most 1 s", "not ?[31mred",
	} {
		if !strings.Contains(got, want) {
			t.Errorf("no %q in\n%s", want, got)
		}
	}
}

func TestWrite(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "new")
	files, err := sampleReport().Write(dir)
	if err != nil {
		t.Fatal(err)
	}
	if want := []string{filepath.Join(dir, "e1.png"), filepath.Join(dir, bench.ResultsFile)}; !slices.Equal(files, want) {
		t.Errorf("got %v, want %v", files, want)
	}
	b, err := os.ReadFile(filepath.Join(dir, bench.ResultsFile))
	if err != nil {
		t.Fatal(err)
	}
	var back bench.Report
	if err := json.Unmarshal(b, &back); err != nil {
		t.Fatal(err)
	}
	if got := back.Tables[0].Rows[0].Ours.Text(); got != "200 µs" || back.Shapes[0].Verdict != bench.Holds {
		t.Errorf("read back: got %q, %v", got, back.Shapes[0].Verdict)
	}
	if _, err := sampleReport().Write(filepath.Join(dir, bench.ResultsFile)); err == nil {
		t.Error("wrote into a file")
	}
}

// TestPart sends orders to a part as its parent does.
func TestPart(t *testing.T) {
	for _, tt := range []struct{ role, in, want string }{
		{"kernel", `{"do":"state"}`, `{"error":"is not open"}`},
		{"kernel", `{"do":"dance"}`, `{"error":"no such order"}`},
		{"kernel", `{"do":"open","args":7}`, `{"error":"json: `},
		{"kernel", `{"do":"open"}` + "\n" + `{"do":"open"}`, `{"error":"is open"}`},
		{"echo", `{"do":"open"}`, `{"reply":{"url":"ws://127.0.0.1:`},
		{"sink", `{"do":"collect"}`, `{"reply":{"count":0,`},
	} {
		var out bytes.Buffer
		if err := bench.Part(t.Context(), tt.role, strings.NewReader(tt.in), &out); err != nil {
			t.Errorf("%s %s: %v", tt.role, tt.in, err)
		}
		if !strings.Contains(out.String(), tt.want) {
			t.Errorf("%s %s: got %s, want %s", tt.role, tt.in, out.String(), tt.want)
		}
	}
	if err := bench.Part(t.Context(), "king", strings.NewReader(""), &bytes.Buffer{}); err == nil || !strings.Contains(err.Error(), "no such role") {
		t.Errorf("got %v, want no such role", err)
	}
	if err := bench.Part(t.Context(), "echo", strings.NewReader("{"), &bytes.Buffer{}); err == nil {
		t.Error("half an order was taken")
	}
}

func TestPeers(t *testing.T) {
	t.Setenv("PATH", t.TempDir())
	for _, tt := range []struct{ name, want string }{
		{"mysql", "known are redis, nats"},
		{"redis", "no redis-server in the PATH"},
		{"nats", "no nats-server in the PATH"},
	} {
		if err := bench.CheckPeers([]string{tt.name}); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: got %v, want %s", tt.name, err, tt.want)
		}
	}
	if err := bench.CheckEventPeers([]string{"redis"}); err == nil || !strings.Contains(err.Error(), "nats only") {
		t.Errorf("got %v, want nats only", err)
	}
	if err := bench.CheckPeers(nil); err != nil {
		t.Error(err)
	}
}
