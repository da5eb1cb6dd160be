package bench_test

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/eve-emulation/eve/cmd/eve/bench"
	"github.com/eve-emulation/eve/internal/mono"
)

func TestReadWrk(t *testing.T) {
	const sample = `Running 1s test @ http://127.0.0.1:18099/
  1 threads and 64 connections
  Thread Stats   Avg      Stdev     Max   +/- Stdev
    Latency    40.63ms   59.14ms 222.50ms   81.49%
    Req/Sec     3.03k     2.27k    6.41k    66.67%
  Latency Distribution
     50%  716.00us
     75%   70.04ms
     90%  141.00ms
     99%    1.20s 
  3841 requests in 1.22s, 251.32KB read
`
	for _, tt := range []struct {
		name, out        string
		errors           int64
		requests         int64
		seconds, p50, p9 float64
	}{
		{"all answered", sample, 0, 3841, 1.22, 716e-6, 1.2},
		{"refused", sample + "  Socket errors: connect 1, read 2, write 3, timeout 4\n  Non-2xx or 3xx responses: 5\n", 15, 3841, 1.22, 716e-6, 1.2},
		{"a minute", strings.ReplaceAll(sample, "1.22s", "1.00m"), 0, 3841, 60, 716e-6, 1.2},
	} {
		n, errors, seconds, p50, p99, err := bench.ReadWrk(tt.out)
		if err != nil || n != tt.requests || errors != tt.errors || seconds != tt.seconds || math.Abs(p50-tt.p50) > 1e-12 || p99 != tt.p9 {
			t.Errorf("%s: got %d requests, %d errors, %g s, p50 %g, p99 %g, %v", tt.name, n, errors, seconds, p50, p99, err)
		}
	}
	if _, _, _, _, _, err := bench.ReadWrk("unable to connect to 127.0.0.1"); err == nil || !strings.Contains(err.Error(), "unable to connect") {
		t.Errorf("got %v, want what wrk said", err)
	}
}

func TestLateness(t *testing.T) {
	const ms = int64(time.Millisecond)
	var even, behind, two []int64
	var over []int32
	for i := range int64(100) {
		even = append(even, 7+i*ms)
		late := int64(0)
		if i%10 == 3 {
			late = 5 * ms / 10
		}
		behind = append(behind, 7+i*ms+late)
		// Two connections of 2 ms each, half a gap apart, after one request each to try it.
		two, over = append(two, 7+i/2*2*ms+i%2*ms/2), append(over, int32(i%2))
	}
	two[0], two[1] = two[0]-50*ms, two[1]-50*ms
	for _, tt := range []struct {
		name     string
		at       []int64
		over     []int32
		each     bool
		p50, p99 float64
	}{
		{"as planned", even, nil, false, 0, 0},
		{"a tenth late", behind, nil, false, 0, 0.5e-3},
		{"a plan for each connection", two, over, true, 0, 0},
		{"nothing", nil, nil, false, 0, 0},
	} {
		if p50, p99 := bench.Lateness(tt.at, tt.over, 1000, tt.each); math.Abs(p50-tt.p50) > 1e-9 || math.Abs(p99-tt.p99) > 1e-9 {
			t.Errorf("%s: got %g and %g s, want %g and %g", tt.name, p50, p99, tt.p50, tt.p99)
		}
	}
}

// TestStalled holds the closed form against the responses of the requests themselves.
func TestStalled(t *testing.T) {
	const run, freeze = 10 * time.Second, time.Second
	var rs []float64
	for due := time.Duration(0); due < run; due += time.Millisecond {
		rs = append(rs, max(0, min(freeze, 5*time.Second+freeze-due)).Seconds())
		if due < 5*time.Second {
			rs[len(rs)-1] = 0
		}
	}
	slices.Sort(rs)
	for q, want := range map[float64]float64{0.5: 0, 0.95: 0.5, 0.99: 0.9, 1: 1} {
		if got := bench.Stalled(q, run, freeze); math.Abs(got-want) > 1e-9 {
			t.Errorf("%g: got %g, want %g", q, got, want)
		}
		if got := rs[min(int(q*float64(len(rs))), len(rs)-1)]; math.Abs(got-want) > 2e-3 {
			t.Errorf("%g: requests say %g, want %g", q, got, want)
		}
	}
}

// A conversation is with a part that runs in this process.
type conversation struct {
	t     *testing.T
	in    io.WriteCloser
	out   *bufio.Reader
	ended sync.WaitGroup
}

func converse(t *testing.T, role string) *conversation {
	t.Helper()
	in, lines := io.Pipe()
	answers, out := io.Pipe()
	c := &conversation{t: t, in: lines, out: bufio.NewReader(answers)}
	c.ended.Go(func() { _ = out.CloseWithError(bench.Part(t.Context(), role, in, out)) })
	t.Cleanup(func() { _ = lines.Close(); c.ended.Wait() })
	return c
}

// ask gives an order and decodes the reply.
func (c *conversation) ask(do string, args map[string]any, reply any) {
	c.t.Helper()
	line, err := json.Marshal(map[string]any{"do": do, "args": args})
	if err != nil {
		c.t.Fatal(err)
	}
	if _, err := fmt.Fprintln(c.in, string(line)); err != nil {
		c.t.Fatal(err)
	}
	back, err := c.out.ReadBytes('\n')
	if err != nil {
		c.t.Fatal(err)
	}
	var a struct {
		Error string
		Reply json.RawMessage
	}
	if err := json.Unmarshal(back, &a); err != nil || a.Error != "" {
		c.t.Fatalf("%s: %v%s", do, err, a.Error)
	}
	if reply == nil {
		return
	}
	if err := json.Unmarshal(a.Reply, reply); err != nil {
		c.t.Fatal(err)
	}
}

// told is what clients tell of a run.
type told struct {
	Planned, Issued, OK, InFlight int
	T0                            int64
	Balanced                      bool
	Errors                        map[string]int
	Response, FromSent            struct{ Count, P50, P90, P99, P995, Max float64 }
	Sents, Dues                   []int64
}

type arrived struct {
	At   []int64
	Over []int32
}

// TestGuests asks a clocked server at a rate, and holds what both tell against each other.
func TestGuests(t *testing.T) {
	server, clients := converse(t, "clocked"), converse(t, "clients")
	var d struct{ TCP string }
	server.ask("open", nil, &d)
	const patience = 400 * time.Millisecond
	for _, tt := range []struct {
		name  string
		crowd map[string]any
		harm  map[string]any
		check func(t *testing.T, v told, a arrived)
	}{
		{"open", map[string]any{"Rate": []map[string]any{{"Rate": 400}}}, nil, func(t *testing.T, v told, a arrived) {
			if v.OK != v.Planned || v.Planned == 0 {
				t.Errorf("got %d answers of %d arrivals", v.OK, v.Planned)
			}
			for i, due := range v.Dues {
				if v.Sents[i] < due || a.At[i] < v.T0+due {
					t.Errorf("arrival %d: due %d, sent %d, seen %d", i, due, v.Sents[i], a.At[i]-v.T0)
				}
			}
		}},
		{"closed", map[string]any{"Users": 5, "Think": 5_000_000}, nil, func(t *testing.T, v told, a arrived) {
			if v.OK == 0 || v.OK != v.Issued || v.Planned != 0 {
				t.Errorf("got %d answers of %d requests, %d planned", v.OK, v.Issued, v.Planned)
			}
			if most := slices.Max(a.Over); most >= 5 {
				t.Errorf("five users have connection %d", most)
			}
		}},
		{
			"answers that never come",
			map[string]any{"Rate": []map[string]any{{"Rate": 500}}, "Law": 1, "Patience": patience},
			map[string]any{"Mute": 5},
			func(t *testing.T, v told, _ arrived) {
				if want := v.Planned / 5; v.Errors["abandoned"] < want || v.InFlight != 0 {
					t.Errorf("got %v and %d in flight of %d, want at least %d given up", v.Errors, v.InFlight, v.Planned, want)
				}
				if got := v.Response.P995; got < patience.Seconds()*0.999 {
					t.Errorf("p99.5: got %g s, want the patience of %v", got, patience)
				}
			},
		},
		{
			"answers that come late",
			map[string]any{"Rate": []map[string]any{{"Rate": 500}}, "Law": 1},
			map[string]any{"Delay": 30_000_000},
			func(t *testing.T, v told, _ arrived) {
				if v.OK != v.Planned || v.Response.P50 < 0.03*0.999 {
					t.Errorf("got %d of %d answers, p50 %g s; want all, each after 30 ms", v.OK, v.Planned, v.Response.P50)
				}
			},
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			server.ask("begin", tt.harm, nil)
			tt.crowd["Address"], tt.crowd["Run"], tt.crowd["Seed"], tt.crowd["Stamps"] = d.TCP, 200*time.Millisecond, 1, true
			var v told
			clients.ask("run", tt.crowd, &v)
			var a arrived
			server.ask("collect", nil, &a)
			if !v.Balanced || len(a.At) < v.Issued || len(v.Sents) != v.Issued || int(v.Response.Count) != v.Issued-v.InFlight {
				t.Errorf("issued %d, sent %d, seen %d, %+v", v.Issued, len(v.Sents), len(a.At), v)
			}
			tt.check(t, v, a)
		})
	}
}

// TestOmission stops the server for a third of a run: who counts from due sees it in a third of the responses, who has one connection
// and counts from sending in one.
func TestOmission(t *testing.T) {
	server, clients := converse(t, "clocked"), converse(t, "clients")
	var d struct{ TCP string }
	server.ask("open", nil, &d)
	const run, freeze = 600 * time.Millisecond, 200 * time.Millisecond
	for _, connections := range []int{0, 1} {
		start := mono.Now() + int64(500*time.Millisecond) // they are ready long before, on a busy machine too
		server.ask("begin", map[string]any{"FreezeAt": start + int64(run/3), "Freeze": freeze}, nil)
		var v told
		clients.ask("run", map[string]any{
			"Address": d.TCP, "Run": run, "Seed": 1, "Stamps": true, "Law": 1, "Rate": []map[string]any{{"Rate": 500}},
			"Connections": connections, "Start": start,
		}, &v)
		if v.OK != v.Planned || v.Planned == 0 {
			t.Errorf("%d connections: got %d answers of %d", connections, v.OK, v.Planned)
		}
		// A busy machine makes it longer, never shorter. A third of the requests waits for 100 ms in the mean, so a tenth for 140.
		if got := v.Response.P90; got < 0.13 {
			t.Errorf("%d connections: p90 from due is %g s, want about 140 ms", connections, got)
		}
		if got := v.FromSent.P90; connections == 1 && got > v.Response.P90-0.05 {
			t.Errorf("one connection: p90 from sending is %g s, want less than the %g from due", got, v.Response.P90)
		}
	}
}

func TestWaitingUsers(t *testing.T) {
	var few, many float64
	converse(t, "clients").ask("weigh", map[string]any{"Users": 10}, &few)
	converse(t, "clients").ask("weigh", map[string]any{"Users": 100_000}, &many)
	if few <= 0 || many <= few {
		t.Errorf("got %g bytes with 10 users and %g with 100 000", few, many)
	}
}

func TestLoadPeers(t *testing.T) {
	if err := bench.CheckLoadPeers(bench.LoadPeerNames()); err != nil {
		t.Error(err)
	}
	if err := bench.CheckLoadPeers([]string{"ab"}); err == nil || !strings.Contains(err.Error(), "known are wrk, vegeta, fortio") {
		t.Errorf("got %v, want the names", err)
	}
}

// Times are judged by the rounds in which nobody disturbed the machine; without enough of them a time that is short still holds.
func TestVerdictsOfDisturbedRounds(t *testing.T) {
	const y, n = true, false
	for _, test := range []struct {
		name         string
		late         []float64
		limited      []bool
		quiet        []bool
		want, within bench.Verdict
	}{
		{"quiet and short", []float64{1, 1, 1, 1}, []bool{n, n, n, n}, []bool{y, y, y, y}, bench.Holds, bench.Holds},
		{"quiet and long", []float64{9, 9, 9, 9}, []bool{n, y, n, n}, []bool{y, y, y, y}, bench.HoldsNot, bench.HoldsNot},
		{"long where disturbed", []float64{9, 1, 1, 1}, []bool{y, n, n, n}, []bool{n, y, y, y}, bench.Holds, bench.Holds},
		{"long where quiet", []float64{1, 9, 9, 9}, []bool{n, n, n, y}, []bool{n, y, y, y}, bench.HoldsNot, bench.HoldsNot},
		{"disturbed and long", []float64{9, 9, 9, 9}, []bool{n, y, n, n}, []bool{n, y, n, y}, bench.Inconclusive, bench.Inconclusive},
		{"disturbed and short", []float64{1, 1, 1, 1}, []bool{n, n, n, n}, []bool{n, n, n, n}, bench.Holds, bench.Holds},
	} {
		late, within := bench.Rounds(test.late, test.limited, test.quiet, 2)
		if late.Verdict != test.want || within.Verdict != test.within {
			t.Errorf("%s: got %s and %s, want %s and %s", test.name, late.Verdict, within.Verdict, test.want, test.within)
		}
	}
}
