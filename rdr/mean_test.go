package rdr_test

import (
	"math"
	"strings"
	"testing"

	"github.com/eve-emulation/eve/rdr"
)

// tally adds up what executions ask for, as named numbers.
type tally map[string]float64

// execute runs a block at a service and the blocks that it calls at theirs, and
// returns whether it failed.
func execute(b *rdr.Block, service string, key rdr.Key, level func(string) string, sum tally) bool {
	var task rdr.Task
	var d rdr.Demand
	sum[service+".visits"]++
	task.Start(b, key, level(service))
	for task.Next(&d) {
		o := rdr.OK
		switch d.Op {
		case rdr.OpCPU:
			sum[service+".cpu"] += float64(d.N) / 1e9
		case rdr.OpWait:
			sum[service+".wait"] += float64(d.N) / 1e9
		case rdr.OpDiskRead:
			sum[service+".reads"]++
			sum[service+".read"] += float64(d.N)
		case rdr.OpDiskWrite:
			sum[service+".writes"]++
			sum[service+".write"] += float64(d.N)
			if d.Sync {
				sum[service+".syncs"]++
			}
		case rdr.OpMemory:
			sum[service+".memories"]++
			sum[service+".memory"] += float64(d.N)
		case rdr.OpReply:
			sum[service+".replies"]++
			sum[service+".reply"] += float64(d.N)
			if d.File {
				sum[service+".sent "+d.Name]++
			}
		case rdr.OpFile:
			sum[service+".got "+d.Name]++
		case rdr.OpLock:
			sum[service+".locks"]++
		case rdr.OpCall:
			sum[d.Name+".send"] += float64(d.N)
			if execute(d.Block, d.Name, d.Key, level, sum) {
				o = rdr.Failed
			}
		case rdr.OpHTTP:
			sum[d.Name+".visits"]++
		case rdr.OpTimer:
			continue
		}
		task.Met(d.ID, o)
	}
	return task.Outcome() != rdr.OK
}

func uses(m rdr.Mean) tally {
	out := tally{".fail": m.Fail}
	for _, s := range m.Services() {
		u := m.Of(s)
		for name, x := range map[string]float64{
			"visits": u.Visits, "cpu": u.CPU, "wait": u.Wait, "reads": u.DiskReads, "read": u.DiskReadBytes,
			"writes": u.DiskWrites, "write": u.DiskWriteBytes, "syncs": u.DiskSyncs, "memories": u.Memories,
			"memory": u.MemoryBytes, "replies": u.Replies, "reply": u.ReplyBytes, "send": u.SendBytes, "locks": u.Locks,
		} {
			out[s+"."+name] = x
		}
	}
	for at, u := range m.Files {
		out[at.Service+".got "+at.Set], out[at.Service+".sent "+at.Set] = u.Gets, u.Replies
	}
	return out
}

// TestMeanAgainstDraws compares the exact mean of everything with the mean of
// executions, within five standard errors.
func TestMeanAgainstDraws(t *testing.T) {
	tests := map[string]string{
		"resources": `cpu exp(3ms) disk read exp(16KiB) disk write uniform(1KiB, 3KiB) sync disk write 1KB
			memory lognormal(1MiB, 0.5) { lock a { cpu 1ms } } reply erlang(2, 8KiB) wait normal(1ms, 1ms)`,
		"control": `repeat uniform(0, 5) { cpu 1ms choose { 0.3: { disk read 1KiB } 0.7: { cpu exp(2ms) } } }
			par { cpu 2ms { wait 1ms fail 0.1 } call app send 3KiB { cpu 4ms fail 0.2 reply 1KiB } }
			fork { cpu 7ms fail 0.5 cpu 3ms } cpu 5ms`,
		"failures": `retry 3 backoff 2ms { cpu 1ms call app { cpu exp(3ms) fail 0.4 cpu 2ms reply 2KiB } cpu 4ms }
			repeat 4 { cpu 1ms fail 0.05 lock b { cpu 2ms } } timeout 1s { cpu 3ms } reply 1KiB fail 0.3 cpu 9ms`,
		"levels": `level full { cpu 9ms reply 9KiB } level lite { cpu 1ms }
			call app { level full { cpu 9ms } level lite { cpu 1ms fail 0.1 } choose { 0.5: { reply 4KiB } 0.5: { } } }`,
		"files": `choose { 0.3: { file a } 0.7: { repeat uniform(0, 3) { file b } file a } } fail 0.1
			call app { retry 1 { file b fail 0.5 } choose { 0.5: { reply file } 0.5: { } } } reply file fork { file c }`,
		"nested loops": `retry 2 { repeat 3 { retry 1 { cpu 1ms fail 0.6 } cpu 2ms } } reply 1B`,
	}
	level := func(service string) string {
		if service == "app" {
			return "lite"
		}
		return "full"
	}
	const n = 20_000
	for name, text := range tests {
		t.Run(name, func(t *testing.T) {
			b := block(t, text)
			m, err := b.MeanAt(level)
			if err != nil {
				t.Fatal(err)
			}
			want := uses(m)
			sum, squares := tally{}, tally{}
			for i := range n {
				one := tally{}
				if execute(b, "", rdr.Root(3, 1, 4, uint64(i)), level, one) {
					one[".fail"]++
				}
				for k, x := range one {
					sum[k] += x
					squares[k] += x * x
				}
			}
			for k := range sum {
				if _, ok := want[k]; !ok {
					t.Errorf("%s is drawn, and has no mean", k)
				}
			}
			for k, w := range want {
				mean := sum[k] / n
				se := math.Sqrt(max(squares[k]/n-mean*mean, 0) / n)
				if math.Abs(mean-w) > 5*se+1e-9*(1+w) {
					t.Errorf("%s: draws %.6g ± %.2g, exact mean %.6g", k, mean, se, w)
				}
			}
		})
	}
}

func TestMeanExact(t *testing.T) {
	b := request(t, `par { call web { cpu 2ms call app send 1KiB { cpu exp(6ms) disk read 16KiB reply 8KiB } reply 20KiB }
		http site GET "/" } wait 10ms timeout 1s { call app { } }`)
	m, err := b.Mean()
	if err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		service   string
		got, want rdr.Use
	}{
		{"", m.Of(""), rdr.Use{Visits: 1, Wait: 0.01}},
		{"web", m.Of("web"), rdr.Use{Visits: 1, CPU: 0.002, Replies: 1, ReplyBytes: 20480}},
		{"app", m.Of("app"), rdr.Use{
			Visits: 2, CPU: 0.006, DiskReads: 1, DiskReadBytes: 16384, Replies: 2, ReplyBytes: 8192, SendBytes: 1024,
		}},
		{"site", m.Of("site"), rdr.Use{Visits: 1}},
		{"nobody", m.Of("nobody"), rdr.Use{}},
	}
	for _, tt := range tests {
		if tt.got != tt.want {
			t.Errorf("%q: got %+v, want %+v", tt.service, tt.got, tt.want)
		}
	}
	if got := strings.Join(m.Services(), " "); got != " app site web" {
		t.Errorf("services %q", got)
	}
	if m.Timeouts != 1 || m.Fail != 0 {
		t.Errorf("timeouts %d, fail %v, want 1 and 0", m.Timeouts, m.Fail)
	}
}

func TestMeanDoesNotExist(t *testing.T) {
	tests := map[string]string{
		"cpu 1ms\ncpu pareto(1ms, 1)":                   "test:2:1: `cpu`: pareto with shape 1 has no mean",
		"reply pareto(1KiB, 0.9)":                       "test:1:1: `reply`: pareto",
		"call a send pareto(1KiB, 0.5) { }":             "test:1:1: `call`: pareto",
		"cpu 1ms repeat exp(3) { fail 0.1 }":            "test:1:9: `repeat` of a drawn number",
		"call a { retry 1 backoff pareto(1ms, 1) { } }": "test:1:10: `retry`: pareto",
	}
	for text, want := range tests {
		_, err := block(t, text).Mean()
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got error %v, want %s", text, err, want)
		}
		again, err := rdr.DecodeBlock(block(t, text).Compact(), rdr.Limits{})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := again.Mean(); err == nil || !strings.Contains(err.Error(), "statement ") {
			t.Errorf("%s decoded: got error %v, want the number of a statement", text, err)
		}
	}
}

// TestMeanOfDeepLoops would not end if each loop doubled the work.
func TestMeanOfDeepLoops(t *testing.T) {
	text := strings.Repeat("repeat 1 { retry 1 { ", 15) + "cpu 1ms fail 0.5" + strings.Repeat(" } }", 15)
	m, err := block(t, text).Mean()
	if err != nil {
		t.Fatal(err)
	}
	// Each retry squares the probability of failure of the one inside.
	fail := 0.5
	for range 15 {
		fail *= fail
	}
	if math.Abs(m.Fail-fail) > 1e-12 {
		t.Errorf("fails with %v, want %v", m.Fail, fail)
	}
}
