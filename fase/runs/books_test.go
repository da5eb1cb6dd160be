package runs_test

import (
	"strings"
	"testing"
	"time"

	"github.com/eve-emulation/eve/fase/runs"
	"github.com/eve-emulation/eve/fase/runs/runstest"
	"github.com/eve-emulation/eve/fase/scenario"
	"github.com/eve-emulation/eve/fase/service"
	"github.com/eve-emulation/eve/fase/stat"
	"github.com/eve-emulation/eve/fase/user"
)

// honest is what all participants counted of ten requests of 20 ms, one of which is under way at the end, and was so for 0.5 s.
type honest struct {
	edge   service.Edge
	served service.Served
	group  service.Issued
	area   float64 // of requests in flight
	busy   float64 // s
	late   float64 // by how much a record says that its request took longer
	spared float64 // CPU demand that was asked for and withdrawn, s
}

func ten() honest {
	return honest{
		edge:   service.Edge{From: "g", To: "app", Calls: 10, OK: 9, InFlight: 1, Sent: 11, Answered: 10, Again: 1, Outstanding: 1},
		served: service.Served{Server: "s", Service: "app", Received: 11, Replied: 10, InFlight: 1},
		group:  service.Issued{Name: "g", InFlight: 1, Age: 0.5},
		area:   9*0.02 + 0.5, busy: 9 * 0.01,
	}
}

func (h honest) summary(t *testing.T, exited bool) *runs.Summary {
	t.Helper()
	m := runstest.NewMemory()
	plan := runstest.Plan(10*time.Second, time.Second, []string{"g"}, []string{"app"}, []string{"s"})
	plan.Servers = []scenario.Server{{Name: "s"}}
	plan.Measures = append(plan.Measures, runstest.Measure("records", "app.records"))
	w, err := runstest.NewWriter(plan, m)
	if err != nil {
		t.Fatal(err)
	}
	for i := range 9 {
		due := 0.5 + float64(i)
		request(w, due, 0, 0.02)
		r := user.Record{Key: 1, Due: sec(due), Sent: sec(due), Done: sec(due + 0.02 + h.late)}
		w.Var("g.records").Append(sec(due+0.02), runstest.AppendRecord(nil, r))
		w.Var("app.records").Append(sec(due+0.02), runstest.AppendVisit(nil, runs.Visit{Key: 1, Arrived: sec(due), Done: sec(due + 0.02), CPU: sec(0.01)}))
	}
	w.Var("g.issued").Write(sec(9.5), 1)
	w.Var("g.unfinished").Write(sec(10), 1)
	w.Var("g.in_flight").WriteWeighted(sec(10), h.area, 10)
	w.Var("s.cpu.utilisation").WriteWeighted(sec(10), h.busy, 10)
	w.Var("s.cpu.requested").Write(sec(10), 9*0.01+h.spared)
	service.Ledger{Spared: &service.Spared{Server: "s", CPU: h.spared}}.Append(sec(10), w.Var("s.ledger"))
	service.Ledger{Edge: &h.edge}.Append(sec(10), w.Var("g.ledger"))
	service.Ledger{Group: &h.group}.Append(sec(10), w.Var("g.ledger"))
	service.Ledger{Served: &h.served}.Append(sec(10), w.Var("s.ledger"))
	if err := w.Close(sec(10)); err != nil {
		t.Fatal(err)
	}
	x := runs.Extras{Kind: runs.Real}
	if exited {
		x.Modules = []runs.Module{{Name: "s", State: "failed", Exit: "signal: killed"}}
	}
	return runs.Summarise(plan, m, x)
}

func TestBooksBalance(t *testing.T) {
	s := ten().summary(t, false)
	b := s.Books
	if b.Verdict != stat.Pass || len(b.Clients) != 1 || len(b.Edges) != 1 || len(b.Services) != 1 || len(b.Little) != 1 || len(b.Utilisation) != 1 {
		t.Fatalf("books: got %+v, want one entry of each kind and that they balance", b)
	}
	for _, v := range []stat.Verdict{b.Clients[0].Verdict, b.Edges[0].Verdict, b.Services[0].Verdict, b.Little[0].Verdict, b.Utilisation[0].Verdict} {
		if v != stat.Pass {
			t.Errorf("entry: got %s in %+v, want pass", v, b)
		}
	}
	if s.Exit != runs.ExitOK {
		t.Errorf("exit: got %d, want 0", s.Exit)
	}
}

// Each mistake is found, named, and turns the exit code; of a run that lost measurements nothing is said to be wrong.
func TestBooksDoNotBalance(t *testing.T) {
	for _, tt := range []struct {
		name, warning string
		change        func(h *honest)
		exit          runs.Exit
	}{
		{"a call that ended twice", "10 calls", func(h *honest) { h.edge.OK++ }, runs.ExitExpectFailed},
		{"an answer without a message", "11 messages", func(h *honest) { h.edge.Answered++ }, runs.ExitExpectFailed},
		{"a request that a server forgot", "servers received 12", func(h *honest) { h.served.Received++ }, runs.ExitExpectFailed},
		{"a request that was never sent", "where 11 were sent", func(h *honest) { h.served.Received++; h.served.InFlight++ }, runs.ExitExpectFailed},
		{"an answer that no server gave", "servers gave 9", func(h *honest) { h.served.Replied--; h.served.InFlight++ }, runs.ExitExpectFailed},
		{"a record that is off by a microsecond", "Little's law", func(h *honest) { h.late = 1e-6 }, runs.ExitExpectFailed},
		{"requests in flight that took no time", "Little's law", func(h *honest) { h.area -= 1e-6 }, runs.ExitExpectFailed},
		{"a CPU that idled", "utilisation law", func(h *honest) { h.busy *= 0.98 }, runs.ExitOK},
		{"a CPU that was busy with nothing", "utilisation law", func(h *honest) { h.busy *= 1.02 }, runs.ExitOK},
		{"a CPU that was busy with what was withdrawn", "utilisation law", func(h *honest) { h.busy, h.spared = h.busy*1.02, 1 }, runs.ExitOK},
	} {
		t.Run(tt.name, func(t *testing.T) {
			h := ten()
			tt.change(&h)
			s := h.summary(t, false)
			if s.Books.Verdict != stat.Fail || s.Exit != tt.exit {
				t.Errorf("got %s and exit code %d, want fail and %d", s.Books.Verdict, s.Exit, tt.exit)
			}
			if !strings.Contains(strings.Join(s.Warnings, "\n"), tt.warning) {
				t.Errorf("warnings: got %q, want one with %q", s.Warnings, tt.warning)
			}
		})
	}
	h := ten()
	h.served.InFlight, h.area = 0, h.area-1
	h.served.Received = 10
	if s := h.summary(t, true); s.Books.Verdict == stat.Fail {
		t.Errorf("books of a run that lost a server: got %+v, want nothing that fails", s.Books)
	}
}
