package runs_test

import (
	"strings"
	"testing"
	"time"

	"github.com/eve-emulation/eve/fase/runs"
	"github.com/eve-emulation/eve/fase/runs/runstest"
	"github.com/eve-emulation/eve/fase/scenario"
	"github.com/eve-emulation/eve/fase/service"
	"github.com/eve-emulation/eve/fase/session"
	"github.com/eve-emulation/eve/fase/stat"
	"github.com/eve-emulation/eve/fase/user"
	"github.com/eve-emulation/eve/rdr"
)

// block parses what a client asks.
func block(t *testing.T, src string) *rdr.Block {
	t.Helper()
	b, err := rdr.ParseBlock("r", []byte(src), rdr.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// Requests of a mix of two kinds: one calls twice, one never. Servers executed each call of those that ended well, or did not.
func TestCallsAreExecutedOnce(t *testing.T) {
	for _, tt := range []struct {
		name    string
		change  func(done []rdr.Key) []rdr.Key
		resent  uint64
		lost    int64
		twice   int64
		verdict stat.Verdict
	}{
		{"all of them", func(d []rdr.Key) []rdr.Key { return d }, 0, 0, 0, stat.Pass},
		{"and one of nobody who ended", func(d []rdr.Key) []rdr.Key { return append(d, 7) }, 0, 0, 0, stat.Pass},
		{"but one", func(d []rdr.Key) []rdr.Key { return d[1:] }, 0, 1, 0, stat.Fail},
		{"one of them twice", func(d []rdr.Key) []rdr.Key { return append(d, d[3]) }, 0, 0, 1, stat.Fail},
		{"one twice, where a connection sent one again", func(d []rdr.Key) []rdr.Key { return append(d, d[3]) }, 1, 0, 1, stat.Inconclusive},
		{"two more, where a connection sent one again", func(d []rdr.Key) []rdr.Key { return append(d, d[3], d[3]) }, 1, 0, 2, stat.Fail},
	} {
		t.Run(tt.name, func(t *testing.T) {
			m := runstest.NewMemory()
			plan := runstest.Plan(10*time.Second, time.Second, []string{"g"}, []string{"app"}, []string{"s"})
			plan.Servers = []scenario.Server{{Name: "s"}}
			plan.Measures = append(plan.Measures, runstest.Measure("records", "app.records"))
			g := &plan.Clients[0]
			g.Rate, g.Request = []user.Point{{Rate: 4}}, nil
			g.Sessions = &user.Sessions{
				Mix:   true,
				Pages: []user.Page{{Name: "twice", Request: block(t, "call app { cpu 1ms } call app { }"), Weight: 1}, {Name: "never", Request: block(t, "wait 1ms"), Weight: 1}},
				Chain: session.Mix([]string{"twice", "never"}, []float64{1, 1}),
			}
			w, err := runstest.NewWriter(plan, m)
			if err != nil {
				t.Fatal(err)
			}
			var records []user.Record
			for n := range 40 {
				due := sec(0.1 + 0.2*float64(n))
				records = append(records, user.Record{Key: g.Key(uint64(n), 0), Due: due, Sent: due, Done: due + sec(0.02)})
			}
			records[5].Cause = service.Reset // whatever it did
			var done []rdr.Key
			kinds := map[*rdr.Block]int{}
			for i, b := range g.Asked(records, 40) {
				kinds[b]++
				if i != 5 {
					b.Draw(records[i].Key, "", func(d *rdr.Demand) {
						if d.Op == rdr.OpCall {
							done = append(done, d.Key)
						}
					})
				}
			}
			if len(kinds) != 2 || kinds[nil] > 0 {
				t.Fatalf("kinds of requests: got %d, want 2, each known", len(kinds))
			}
			calls := int64(len(done))
			for _, r := range records {
				w.Var("g.records").Append(r.Done, runstest.AppendRecord(nil, r))
			}
			for _, k := range tt.change(done) {
				w.Var("app.records").Append(sec(9), runstest.AppendVisit(nil, runs.Visit{Key: uint64(k), Arrived: sec(8), Done: sec(9)}))
			}
			edge := service.Edge{From: "g", To: "app"}
			service.Ledger{Edge: &edge}.Append(sec(10), w.Var("g.ledger"))
			if err := w.Tell("g.generator", runs.Generator{Retried: tt.resent}); err != nil {
				t.Fatal(err)
			}
			if err := w.Close(sec(10)); err != nil {
				t.Fatal(err)
			}
			s := runs.Summarise(plan, m, runs.Extras{Kind: runs.Real})
			if len(s.Books.Once) != 1 {
				t.Fatalf("got %d services, want 1", len(s.Books.Once))
			}
			x := s.Books.Once[0]
			if x.Calls != calls || x.Lost != tt.lost || x.Twice != tt.twice || x.Verdict != tt.verdict {
				t.Errorf("got %+v, want %d calls, %d lost, %d twice: %s", x, calls, tt.lost, tt.twice, tt.verdict)
			}
			told := strings.Contains(strings.Join(s.Warnings, "\n"), "by keys, calls of app were lost or executed twice")
			if fails := tt.verdict == stat.Fail; told != fails || fails != (s.Exit == runs.ExitExpectFailed) {
				t.Errorf("got exit code %d and the warnings %q", s.Exit, s.Warnings)
			}
		})
	}
}
