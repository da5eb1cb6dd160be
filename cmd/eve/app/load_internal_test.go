package app

import (
	"bytes"
	"math"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/eve-emulation/eve/dsv"
	"github.com/eve-emulation/eve/fase/user"
)

func TestParseSwing(t *testing.T) {
	for _, test := range []struct {
		text      string
		rate      float64
		amplitude float64 // relative
		period    time.Duration
		wrong     string // part of the error
	}{
		{text: "2000/s", rate: 2000},
		{text: " 2000 ", rate: 2000},
		{text: "120/m", rate: 2},
		{text: "90/1m", rate: 1.5},
		{text: "0.5/1s", rate: 0.5},
		{text: "300/s ± 150/s every 10s", rate: 300, amplitude: 0.5, period: 10 * time.Second},
		{text: "300/s+-300/s every 500ms", rate: 300, amplitude: 1, period: 500 * time.Millisecond},
		{text: "", wrong: "want requests per second"},
		{text: "0", wrong: "above 0"},
		{text: "-1/s", wrong: "want requests per second"},
		{text: "NaN", wrong: "want requests per second"},
		{text: "Inf", wrong: "want requests per second"},
		{text: "1e12/s", wrong: "want requests per second"},
		{text: "5/h", wrong: "want requests per second"},
		{text: "5/s ± 6/s every 1s", wrong: "negative at times"},
		{text: "5/s ± 1/s", wrong: "swings as"},
		{text: "5/s ± 1/s every 0s", wrong: "swings as"},
		{text: "5/s ± x every 1s", wrong: "swings as"},
	} {
		rate, sine, err := parseSwing(test.text)
		if told(err, test.wrong) {
			t.Errorf("%q: got error %v, want %q", test.text, err, test.wrong)
		}
		got := user.Sine{}
		if sine != nil {
			got = *sine
		}
		if rate != test.rate || got.Amplitude != test.amplitude || got.Period != test.period {
			t.Errorf("%q: got %g and %+v, want %g, %g every %v", test.text, rate, got, test.rate, test.amplitude, test.period)
		}
	}
}

// told reports whether an error is not the one that is wanted; empty: none is.
func told(err error, want string) bool {
	if err == nil {
		return want != ""
	}
	return want == "" || !strings.Contains(err.Error(), want)
}

func TestParseLaw(t *testing.T) {
	for _, test := range []struct {
		text   string
		law    user.Law
		states int
		wrong  string
	}{
		{text: "poisson", law: user.Poisson},
		{text: "constant", law: user.Constant},
		{text: "mmpp 1:9s,10:1s", law: user.MMPP, states: 2},
		{text: "mmpp 0:1s, 1:50ms, 2:1ms", law: user.MMPP, states: 3},
		{text: "weibull", wrong: "want poisson, constant, or mmpp"},
		{text: "poisson 3", wrong: "want poisson, constant, or mmpp"},
		{text: "mmpp", wrong: "state 1"},
		{text: "mmpp 1:9s", wrong: "two states"},
		{text: "mmpp 0:9s,0:1s", wrong: "above 0"},
		{text: "mmpp 1:9s,-1:1s", wrong: "state 2"},
		{text: "mmpp 1:9s,2:0s", wrong: "state 2"},
		{text: "mmpp 1:9s,NaN:1s", wrong: "state 2"},
	} {
		law, bursts, err := parseLaw(test.text)
		states := 0
		if bursts != nil {
			states = len(bursts.States)
		}
		if told(err, test.wrong) || law != test.law || states != test.states {
			t.Errorf("%q: got %v, %d states, %v, want %v, %d, %q", test.text, law, states, err, test.law, test.states, test.wrong)
		}
	}
}

func TestParseStages(t *testing.T) {
	s := func(x float64) dsv.Instant { return dsv.Instant(x * 1e9) }
	for _, test := range []struct {
		text  string
		open  bool
		want  []user.Point
		wrong string
	}{
		{text: "10s:100/s", open: true, want: []user.Point{{At: 0, Rate: 100}, {At: s(10), Rate: 100}}},
		{text: "1s:100/s, 2s:100/s..500/s", open: true, want: []user.Point{{At: 0, Rate: 100}, {At: s(1), Rate: 100}, {At: s(3), Rate: 500}}},
		{text: "1s:100/s,1s:200/s", open: true, want: []user.Point{{At: 0, Rate: 100}, {At: s(1), Rate: 100}, {At: s(1), Rate: 200}, {At: s(2), Rate: 200}}},
		{text: "1s:..60/m,1s:..0/s", open: true, want: []user.Point{{At: 0, Rate: 0}, {At: s(1), Rate: 1}, {At: s(2), Rate: 0}}},
		{text: "1s:5,1s:5..7", want: []user.Point{{At: 0, Rate: 5}, {At: s(1), Rate: 5}, {At: s(2), Rate: 7}}},
		{text: "1s:5,", wrong: "stage 2"},
		{text: "1s", wrong: "no colon"},
		{text: "x:5", wrong: "no time above 0"},
		{text: "0s:5", wrong: "no time above 0"},
		{text: "1s:", wrong: "number of users"},
		{text: "1s:5..", wrong: "number of users"},
		{text: "1s:5.5", wrong: "number of users"},
		{text: "1s:-5", wrong: "number of users"},
		{text: "1s:5000000", wrong: "at most"},
		{text: "1s:5/h", open: true, wrong: "requests per second"},
	} {
		got, length, err := parseStages(test.text, test.open)
		if told(err, test.wrong) {
			t.Errorf("%q: got error %v, want %q", test.text, err, test.wrong)
			continue
		}
		same := len(got) == len(test.want)
		for i := 0; same && i < len(got); i++ {
			same = got[i] == test.want[i]
		}
		if !same || err == nil && dsv.At(length) != got[len(got)-1].At {
			t.Errorf("%q: got %v for %v, want %v", test.text, got, length, test.want)
		}
	}
}

func TestPopulation(t *testing.T) {
	ps, _, err := parseStages("1s:2,1s:2..4,1s:1", false)
	if err != nil {
		t.Fatal(err)
	}
	first, steps := population(ps)
	want := []populationStep{{dsv.Instant(1.3e9), 3}, {dsv.Instant(1.8e9), 4}, {dsv.Instant(2e9), 1}}
	if first != 2 || len(steps) != len(want) {
		t.Fatalf("got %d, then %v, want 2, then %v", first, steps, want)
	}
	for i, s := range steps {
		if s.users != want[i].users || math.Abs((s.at-want[i].at).Seconds()) > 0.11 {
			t.Errorf("step %d: got %v, want %v", i, s, want[i])
		}
	}
}

func TestParseHTTPTargets(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "body"), []byte("text"), 0o600); err != nil {
		t.Fatal(err)
	}
	ts, err := parseHTTPTargets([]byte("# two\nGET http://a/x\nA: 1\nB: 2\n\nPOST https://b:8443/y?z=1\n@body\nDELETE http://a/\n"), dir)
	if err != nil || len(ts) != 3 {
		t.Fatalf("got %d targets, %v, want 3", len(ts), err)
	}
	if got := ts[0]; got.method != "GET" || got.url != "http://a/x" || strings.Join(got.headers, "|") != "A: 1|B: 2" || got.body != nil {
		t.Errorf("got %+v", got)
	}
	if got := ts[1]; got.method != "POST" || got.url != "https://b:8443/y?z=1" || string(got.body) != "text" || len(got.headers) != 0 {
		t.Errorf("got %+v", got)
	}
	for text, want := range map[string]string{
		"nonsense\n":                     `1: "nonsense": want METHOD URL`,
		"GET http://a/\n\nA: 1\n":        `3: "A: 1": want METHOD URL`,
		"GET http://a/\nA b: 1\n":        `2: "A b: 1": want a header field`,
		"GET http://a/\n@nobody\n":       "2: body: ",
		"GET http://a/\n@../x\n":         "2: body: ",
		"GET ftp://a/\n":                 "1: ",
		"GET http://\n":                  "1: ",
		"GET http://a/\nGET http://%zz/": "2: ",
	} {
		if _, err := parseHTTPTargets([]byte(text), dir); err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("%q: got %v, want %q", text, err, want)
		}
	}
}

func TestParseJSONTargets(t *testing.T) {
	ts, err := parseJSONTargets([]byte("{\"url\": \"http://a/\"}\n\n{\"method\": \"PUT\", \"url\": \"http://a/b\", \"header\": {\"A\": [\"1\", \"2\"]}, \"body\": \"aGk=\"}\n"))
	if err != nil || len(ts) != 2 {
		t.Fatalf("got %d targets, %v, want 2", len(ts), err)
	}
	if ts[0].method != "GET" || ts[1].method != "PUT" || string(ts[1].body) != "hi" || strings.Join(ts[1].headers, "|") != "A: 1|A: 2" {
		t.Errorf("got %+v", ts)
	}
	for text, want := range map[string]string{
		"{\"url\": \"http://a/\"}\n{":                             "2: ",
		"{\"uri\": \"http://a/\"}":                                "1: ",
		"{\"url\": \"http://a/\", \"body\": \"*\"}":               "1: the body is not base64",
		"{\"url\": \"/a\"}":                                       "1: ",
		"{\"url\": \"http://a/\", \"header\": {\"A b\": [\"\"]}}": "1: ",
	} {
		if _, err := parseJSONTargets([]byte(text)); err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("%q: got %v, want %q", text, err, want)
		}
	}
}

// TestEvidenceIsBounded keeps a million requests of an hour, as a run with records does.
func TestEvidenceIsBounded(t *testing.T) {
	const requests = 1_000_000
	c := user.Config{Name: loadName, Seed: 1, Rate: []user.Point{{Rate: requests / 3600.0}}, End: dsv.At(time.Hour)}
	e := newLoadEvidence(c)
	var counts dsv.Counts
	windows := 0
	for n := range uint64(requests) {
		due := dsv.Instant(n * 3_600_000)
		e.record(user.Record{Key: c.Key(n, 0), Due: due, Done: due + 1e6})
		counts.Add(1e-3)
		if n%28 == 0 { // about 100 ms
			e.latency.Add(dsv.Delta{Name: loadName + ".latency", T0: dsv.Instant(windows) * dsv.At(syncEvery), T1: dsv.Instant(windows+1) * dsv.At(syncEvery), Value: dsv.Value{Kind: dsv.Histogram, Hist: counts.Take()}})
			windows++
		}
	}
	if got, want := float64(len(e.kept)), float64(maxLoadRecords); math.Abs(got-want) > 5*math.Sqrt(want) {
		t.Errorf("got %g requests kept, want %g or so", got, want)
	}
	if got := len(e.latency.Deltas(0, c.End)); got == 0 || got > maxLoadWindows {
		t.Errorf("got %d windows of %d, want at most %d", got, windows, maxLoadWindows)
	}
}

func TestServiceIn(t *testing.T) {
	for path, want := range map[string]string{"/": "", "/rdr": "", "/rdr/": "", "/rdr/db": "db"} {
		if got, ok := serviceIn(path); got != want || !ok {
			t.Errorf("%s: got %q, %t, want %q", path, got, ok, want)
		}
	}
	for _, path := range []string{"/x", "/rdr/a/b", "/rdr/a?x=1"} {
		if got, ok := serviceIn(path); ok {
			t.Errorf("%s: got %q, want none", path, got)
		}
	}
}

// TestPercentiles writes a histogram as HdrHistogram does.
func TestPercentiles(t *testing.T) {
	var counts dsv.Counts
	for i := range 1000 {
		counts.Add(float64(i+1) * 1e-3)
	}
	h := counts.Take()
	var b bytes.Buffer
	if err := writePercentiles(&b, h); err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSpace(b.String()), "\n")
	var last []string
	at := 0.0
	for _, line := range lines[2:] {
		if strings.HasPrefix(line, "#") {
			break
		}
		last = strings.Fields(line)
		if q := number(t, last[1]); q < at {
			t.Errorf("percentiles fall: %s after %g", last[1], at)
		} else {
			at = q
		}
	}
	if len(last) != 3 || number(t, last[0]) != 1000 || last[2] != "1000" || at != 1 {
		t.Errorf("the last line is %q, want 1000 ms, 1, 1000", last)
	}
	x := toHdr(h)
	if got := float64(x.ValueAtQuantile(50)) / 1e9; math.Abs(got-0.5) > 0.002 || x.TotalCount() != 1000 {
		t.Errorf("got a median of %g s of %d, want 0.5 s of 1000", got, x.TotalCount())
	}
	b.Reset()
	if err := writePercentiles(&b, (&dsv.Counts{}).Take()); err != nil || !strings.Contains(b.String(), "Total count    =            0") {
		t.Errorf("nothing: got %q, %v", b.String(), err)
	}
}

func number(t *testing.T, text string) float64 {
	t.Helper()
	x, err := strconv.ParseFloat(text, 64)
	if err != nil {
		t.Fatal(err)
	}
	return x
}
