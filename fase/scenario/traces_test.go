package scenario_test

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/eve-emulation/eve/dsv"
	"github.com/eve-emulation/eve/fase/scenario"
	"github.com/eve-emulation/eve/fase/user"
)

// replayed loads a scenario with one group, whose arrivals are a trace.
func replayed(t *testing.T, group, log string) (*scenario.Plan, error) {
	t.Helper()
	src := `eve: 1
duration: 10s
seed: 3
requests: |
  request page { call s { cpu 1ms } }
  request heavy { call s { cpu 5ms } }
servers: {x: {}}
services: {s: {on: x}}
clients:
  a: ` + group + "\n"
	return scenario.Load("test.yaml", []byte(src), scenario.Options{
		ReadFile: func(string) ([]byte, error) { t.Error("a trace was read whole"); return nil, os.ErrNotExist },
		OpenFile: func(string) (io.ReadCloser, error) { return io.NopCloser(strings.NewReader(log)), nil },
	})
}

func instants(ds ...time.Duration) []dsv.Instant {
	var out []dsv.Instant
	for _, d := range ds {
		out = append(out, dsv.At(d))
	}
	return out
}

func TestTraces(t *testing.T) {
	const ms, log = time.Millisecond, "0,GET,/a\n1,POST,/b\n1,GET,/static/c?d\n3,GET,/a\n30,GET,/e\n"
	for _, tt := range []struct {
		name, group string
		want        []dsv.Instant
		asks        string
	}{
		{"as it is", "{request: page, trace: {file: log}}", instants(0, 1000*ms, 1000*ms, 3000*ms), ""},
		{"twice as fast, later", "{request: page, start: 4s, trace: {file: log, speed: 2}}", instants(4000*ms, 4500*ms, 4500*ms, 5500*ms), ""},
		{"slower", "{request: page, trace: {file: log, speed: 0.25}}", instants(0, 4000*ms, 4000*ms), ""},
		{"a window", "{request: page, stop: 4s, trace: {file: log, from: 1s}}", instants(0, 0, 2000*ms), ""},
		{"in milliseconds", "{request: page, trace: {file: log, unit: ms}}", instants(0, ms, ms, 3*ms, 30*ms), ""},
		{"at a target", "{trace: {file: log, target: s}}", instants(0, 1000*ms, 1000*ms, 3000*ms), "GET /a;POST /b;GET /static/c?d;GET /a;"},
		{"mapped", `{trace: {file: log, map: {"POST *": heavy, "/static/*": page, "/*": heavy}}}`, instants(0, 1000*ms, 1000*ms, 3000*ms), "5ms;5ms;1ms;5ms;"},
		{"mapped, the rest by request", `{request: page, trace: {file: log, map: {"POST /b*": heavy}}}`, instants(0, 1000*ms, 1000*ms, 3000*ms), "1ms;5ms;1ms;1ms;"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p, err := replayed(t, tt.group, log)
			if err != nil {
				t.Fatal(err)
			}
			g := &p.Clients[0]
			if g.Law != user.Replay || !slices.Equal(g.Trace.Due, tt.want) {
				t.Errorf("due: got %v of law %v, want %v", g.Trace.Due, g.Law, tt.want)
			}
			var asks strings.Builder
			for _, i := range g.Trace.Ask {
				a := g.Trace.Asks[i]
				if a.Request == nil {
					asks.WriteString(a.Method + " " + a.Path + ";")
					continue
				}
				m, err := a.Request.Mean()
				if err != nil {
					t.Fatal(err)
				}
				fmt.Fprintf(&asks, "%.0fms;", m.Of("s").CPU*1e3)
			}
			if asks.String() != tt.asks {
				t.Errorf("asks: got %s, want %s", asks.String(), tt.asks)
			}
			if _, ok := g.Setting(user.RateSetting); ok {
				t.Error("the rate of a trace can be set")
			}
			again(t, p)
		})
	}
}

// again loads a plan from its own text and inputs, as the processes of a run do, and compares.
func again(t *testing.T, p *scenario.Plan) {
	t.Helper()
	q, err := scenario.Load("scenario", p.Text, scenario.Options{
		Compiled: true,
		ReadFile: func(path string) ([]byte, error) {
			if b, ok := p.Inputs[path]; ok {
				return b, nil
			}
			return nil, os.ErrNotExist
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	a, b := &p.Clients[0], &q.Clients[0]
	if a.PlanHash() != b.PlanHash() || !slices.Equal(a.Trace.Due, b.Trace.Due) || a.Trace.Skipped != b.Trace.Skipped || a.Trace.Wrong != b.Trace.Wrong {
		t.Errorf("from the inputs: got another plan: %d arrivals, %q; want %d, %q", len(b.Trace.Due), b.Trace.Wrong, len(a.Trace.Due), a.Trace.Wrong)
	}
}

// Lines of a second are spread by the seed, and not where the scenario says so.
func TestSecondsAreSpread(t *testing.T) {
	line := "h - - [10/Oct/2000:13:55:3%d +0000] \"GET / HTTP/1.1\" 200 1\n"
	log := strings.Repeat(fmt.Sprintf(line, 6), 5) + fmt.Sprintf(line, 8)
	p, err := replayed(t, "{request: page, trace: {file: log}}", log)
	if err != nil {
		t.Fatal(err)
	}
	again(t, p)
	due := p.Clients[0].Trace.Due
	for i, at := range due {
		second := dsv.Instant(0)
		if i == 5 {
			second = dsv.At(2 * time.Second)
		}
		if at < second || at >= second+dsv.At(time.Second) || i > 0 && at <= due[i-1] {
			t.Errorf("line %d: due at %v after %v", i, at, due[:i])
		}
	}
	if p, err = replayed(t, "{request: page, trace: {file: log, spread: none}}", log); err != nil {
		t.Fatal(err)
	}
	if got := p.Clients[0].Trace.Due; !slices.Equal(got, instants(0, 0, 0, 0, 0, 2*time.Second)) {
		t.Errorf("unspread: got %v", got)
	}
	// A wider spread ends where the next line comes.
	if p, err = replayed(t, "{request: page, trace: {file: log, spread: 1h}}", log); err != nil {
		t.Fatal(err)
	}
	if got := p.Clients[0].Trace.Due[:5]; !slices.IsSorted(got) || got[4] >= dsv.At(2*time.Second) || got[4] < dsv.At(time.Second) {
		t.Errorf("spread over an hour: got %v, want all before the next line, at 2 s", got)
	}
}

// A trace at a great speed has all its lines in a long run: what the run has room for is more than nanoseconds count.
func TestGreatSpeeds(t *testing.T) {
	p, err := replayed(t, "{request: page, trace: {file: log, speed: 1000000}}", "0\n1000000\n")
	if err != nil {
		t.Fatal(err)
	}
	if got, want := p.Clients[0].Trace.Due, instants(0, time.Second); !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
	src := strings.Replace(string(p.Text), "duration: 10s", "duration: 20h", 1)
	p, err = scenario.Load("test.yaml", []byte(src), scenario.Options{
		OpenFile: func(string) (io.ReadCloser, error) { return io.NopCloser(strings.NewReader("0\n1000000\n")), nil },
	})
	if err != nil {
		t.Fatal(err)
	}
	if got, want := p.Clients[0].Trace.Due, instants(0, time.Second); !slices.Equal(got, want) {
		t.Errorf("in a run of 20 h: got %v, want %v", got, want)
	}
}

// Lines that are wrong are mistakes of the log, or counted.
func TestWrongLines(t *testing.T) {
	const log = "0,GET,/a\n1,GET,/b\n-1,GET,/b\n0.5,GET,/c\n???\n2,GET,/d\n"
	_, err := replayed(t, "{trace: {file: bad.csv, target: s}}", log)
	for _, want := range []string{"bad.csv:3:1: the time -1 is negative", "bad.csv:4:1: the line is 500ms earlier than the one before it", "bad.csv:5:1: the line has 1 columns"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %s", err, want)
		}
	}
	if _, err = replayed(t, "{trace: {file: bad.csv, target: s, skip: 10%}}", log); err == nil || !strings.Contains(err.Error(), "bad.csv:3:1: 3 of 6 lines are wrong, more than skip: 10% allows") {
		t.Errorf("skip 10%%: got %v", err)
	}
	for _, skip := range []string{"50%", "true"} {
		p, err := replayed(t, "{trace: {file: bad.csv, target: s, skip: "+skip+"}}", log)
		if err != nil {
			t.Fatal(err)
		}
		again(t, p)
		if g := p.Clients[0].Trace; g.Skipped != 3 || g.Lines != 6 || len(g.Due) != 3 {
			t.Errorf("skip %s: got %d of %d skipped, %d kept; want 3 of 6, 3", skip, g.Skipped, g.Lines, len(g.Due))
		}
		if w := p.Warnings.Error(); !strings.Contains(w, "3 of 6 lines of bad.csv are wrong and left out; the first is line 3: the time -1 is negative") {
			t.Errorf("skip %s: warned %s", skip, w)
		}
	}
}

// A trace travels to the processes of a run in pieces, however long it is.
func TestLongTracesTravel(t *testing.T) {
	var b bytes.Buffer
	for i := range 200_000 {
		fmt.Fprintf(&b, "%d.%03d,GET,/%x\n", i/25_000, i%25_000/25, uint64(i)*0x9e3779b97f4a7c15)
	}
	p, err := replayed(t, "{trace: {file: log, target: s}}", b.String())
	if err != nil {
		t.Fatal(err)
	}
	if n := len(p.Inputs["traces/a.gz"]); n <= dsv.MaxBytes {
		t.Fatalf("the encoded trace has %d bytes: too few for two pieces", n)
	}
	space := dsv.NewStore(nil)
	if err := scenario.Publish(t.Context(), space, p); err != nil {
		t.Fatal(err)
	}
	q, err := scenario.Fetch(t.Context(), space)
	if err != nil {
		t.Fatal(err)
	}
	if got, want := q.Clients[0].PlanHash(), p.Clients[0].PlanHash(); got != want {
		t.Errorf("hash of the plan: got %s, want %s", got, want)
	}
}

// What is offered at the peak counts swings, bursts and the requests of a trace.
func TestPeaks(t *testing.T) {
	for _, tt := range []struct {
		group     string
		rate, cpu float64
	}{
		{"{request: page, rate: {sine: {mean: 100/s, amplitude: 50/s, period: 5s}}}", 150, 0.15},
		{"{request: page, rate: 100/s, arrive: mmpp, bursts: [{factor: 1, stay: 1s}, {factor: 3, stay: 1s}]}", 150, 0.15},
		{"{request: page, rate: {stairs: {from: 10/s, by: 30/s, every: 2s, to: 50/s}}}", 50, 0.05},
		{"{request: page, rate: {steps: {0s: 10/s, 4s: 80/s, 6s: 20/s}}}", 80, 0.08},
		{"{request: page, rate: {ramp: {from: 0, to: 90/s, over: 5s}}}", 90, 0.09},
		{`{trace: {file: log, map: {/a: page, "*": heavy}}}`, 4, 0.012},
	} {
		p, err := replayed(t, tt.group, "0,GET,/a\n0.1,GET,/a\n0.2,GET,/b\n0.9,GET,/b\n5,GET,/a\n5.1,GET,/b\n")
		if err != nil {
			t.Fatal(err)
		}
		d, err := p.Demands()
		if err != nil {
			t.Fatal(err)
		}
		if got := d.Groups[0].Rate; got < tt.rate*0.999 || got > tt.rate*1.001 {
			t.Errorf("%s: peak: got %v/s, want %v/s", tt.group, got, tt.rate)
		}
		if got := d.Servers[0].CPU.Utilisation; got < tt.cpu*0.999 || got > tt.cpu*1.001 {
			t.Errorf("%s: cpu: got %v, want %v", tt.group, got, tt.cpu)
		}
	}
}
