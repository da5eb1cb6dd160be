package report_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/eve-emulation/eve/dmm"
	"github.com/eve-emulation/eve/dsv"
	"github.com/eve-emulation/eve/fase/report"
	"github.com/eve-emulation/eve/fase/runs"
	"github.com/eve-emulation/eve/fase/runs/runstest"
	"github.com/eve-emulation/eve/fase/scenario"
)

func sec(x float64) dsv.Instant { return dsv.Instant(x * 1e9) }

// hosts writes a run of 10 s of modules alone: n hosts, of which host_2 exits after 5 s, and a guest.
func hosts(t *testing.T, n int) (*runs.Summary, *runstest.Memory) {
	t.Helper()
	m := runstest.NewMemory()
	plan := runstest.Plan(10*time.Second, 0, nil, nil, nil)
	measure := func(manipulator, unit string, names ...string) {
		for _, name := range names {
			s := dmm.Spec{Name: dsv.Name(name), Manipulator: manipulator, Sync: dmm.Trigger{Every: 100 * time.Millisecond}}
			plan.Measures = append(plan.Measures, scenario.Measure{Spec: s, Unit: unit, History: true})
		}
	}
	measure("count", "1", "guest.requests", "guest.refused")
	measure("histogram", "s", "guest.time_to_grant")
	measure("sum", "B", "guest.read")
	for i := range n {
		measure("last", "1", fmt.Sprintf("host_%d.used", i+1))
		measure("histogram", "", fmt.Sprintf("host_%d.time_to_grant", i+1))
	}
	w, err := runstest.NewWriter(plan, m)
	if err != nil {
		t.Fatal(err)
	}
	for k := 1; k < 100; k++ {
		at := sec(0.1 * float64(k))
		w.Var("guest.requests").Write(at, 1)
		w.Var("guest.time_to_grant").Write(at, 0.004)
		w.Var("guest.read").Write(at, 4096)
		for i := range n {
			w.Var(dsv.Name(fmt.Sprintf("host_%d.used", i+1))).Write(at, float64(k%7+i))
			w.Var(dsv.Name(fmt.Sprintf("host_%d.time_to_grant", i+1))).Write(at, 0.002)
		}
		if err := w.Advance(at); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(sec(10)); err != nil {
		t.Fatal(err)
	}
	state(t, m, "host_2", "ready", 0)
	state(t, m, "host_2", "exited", 5)
	state(t, m, "guest", "exited", 10.2)
	return runs.Summarise(plan, m, runs.Extras{Kind: runs.Real}), m
}

// state writes what became of a module.
func state(t *testing.T, m *runstest.Memory, module, state string, at float64) {
	t.Helper()
	n := dsv.Name("eve.modules." + module + ".state")
	if err := m.Declare(dsv.Declaration{Name: n, Kind: dsv.Text, History: true}); err != nil {
		t.Fatal(err)
	}
	if err := m.Record(dsv.Update{Name: n, Reading: dsv.Reading{Value: dsv.TextValue(state), T1: sec(at)}}); err != nil {
		t.Fatal(err)
	}
}

// words are those of a picture.
func words(t *testing.T, p report.Picture) []string {
	t.Helper()
	svg, err := p.SVG()
	if err != nil {
		t.Fatal(err)
	}
	all, _ := wellFormed(t, p.Name, svg)
	return strings.Split(all, "\n")
}

func TestRunOfModulesAlone(t *testing.T) {
	s, m := hosts(t, 3)
	ps := report.Read(m, s).Pictures()
	if len(ps) != 1 || ps[0].Name != "modules" {
		t.Fatalf("got %d pictures, the first of which is %s, want one of what modules measured", len(ps), ps[0].Name)
	}
	got := words(t, ps[0])
	for _, w := range []string{
		"Time to grant, p95 and dashed p50 (ms)", "Used", "Requests of guest (1/s)", "Read of guest (KiB/s)", "host_1", "host_2", "host_3", "guest", "host_2 exited",
	} {
		if !slices.Contains(got, w) {
			t.Errorf("%q is missing in %q", w, got)
		}
	}
	for _, w := range got { // nothing was refused, and nobody is a client
		if strings.Contains(w, "Refused") || strings.Contains(w, "Arrival") || strings.Contains(w, "guest exited") {
			t.Errorf("got %q, which the run has nothing to show for", w)
		}
	}
	if !strings.Contains(ps[0].Caption, "9 of 10 variables") || !strings.Contains(ps[0].Caption, "Dashed vertical lines") {
		t.Errorf("got caption %q", ps[0].Caption)
	}
}

func TestPanelsAndLinesAreBounded(t *testing.T) {
	s, m := hosts(t, 12)
	for i := range 20 { // of the summary alone: their panels have no lines
		s.Variables[fmt.Sprintf("guest.kind_%d", i)] = runs.Variable{Unit: "1", Sum: &runs.Sum{Total: 1, Rate: 0.1}}
	}
	p := report.Read(m, s).Pictures()[0]
	titles, lines := 0, 0
	for _, w := range words(t, p) {
		if strings.HasPrefix(w, "Used") || strings.HasPrefix(w, "Time to grant") || strings.HasPrefix(w, "Kind") || strings.HasPrefix(w, "Re") {
			titles++
		}
		if strings.HasPrefix(w, "host_") && !strings.Contains(w, "exited") {
			lines++
		}
	}
	if titles != 6 || lines > 16 || lines < 8 {
		t.Errorf("got %d panels with %d lines of hosts, want 6 with at most 8 each", titles, lines)
	}
	if !strings.Contains(p.Caption, "the 8 that come to most") {
		t.Errorf("got caption %q", p.Caption)
	}
	state(t, m, "host_9", "failed", 3)
	state(t, m, "host_10", "failed", 3.01)
	state(t, m, "host_11", "failed", 3.02)
	if got := words(t, report.Read(m, s).Pictures()[0]); !slices.Contains(got, "3 modules failed") {
		t.Errorf("modules that failed together have no mark in %q", got)
	}
}

func TestVariablesAreTabled(t *testing.T) {
	s, m := hosts(t, 12)
	s.Modules = []runs.Module{}
	for _, n := range []string{"host_10", "host_9", "host_11", "host_2", "host_1"} {
		s.Modules = append(s.Modules, runs.Module{Name: n, State: "failed", Exit: "exit status 1", At: 3})
	}
	var b strings.Builder
	if err := report.Text(&b, s, ""); err != nil {
		t.Fatal(err)
	}
	page, err := report.Read(m, s).HTML(report.Page{})
	if err != nil {
		t.Fatal(err)
	}
	checkPage(t, page)
	got := strings.ReplaceAll(b.String(), "\u202f", " ")
	for _, w := range []string{
		"measured by modules", "guest.requests", "9.9", "396 KiB", "4 ms", "2 ms", // the last is of hosts, which tell no unit
		"Never written, or 0 all the time: guest.refused\n", "modules host_1, host_2, host_9 and 2 more failed: exit status 1 at 3.0 s",
	} {
		if !strings.Contains(got, w) {
			t.Errorf("%q is missing in\n%s", w, got)
		}
		if !strings.Contains(string(page), strings.TrimSpace(strings.TrimPrefix(w, "measured by modules"))) {
			t.Errorf("%q is missing on the page", w)
		}
	}
	if two, ten := strings.Index(got, "host_2.used"), strings.Index(got, "host_10.used"); two < 0 || ten < two {
		t.Errorf("host_10 comes before host_2 in\n%s", got)
	}
	for i := range 100 {
		s.Variables[fmt.Sprintf("z.count_%d", i)] = runs.Variable{Sum: &runs.Sum{Total: 1, Rate: 1}}
	}
	b.Reset()
	if err := report.Text(&b, s, ""); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(b.String(), " more in the report.") || strings.Contains(b.String(), "z.count_99") {
		t.Errorf("the table is not bounded:\n%s", b.String())
	}
}

func TestLawsAreTold(t *testing.T) {
	s, _ := flashCrowd(t)
	s.Checks = []runs.Check{{Law: runs.Little, Of: "crowd", Measured: 9, Expected: 10, Error: 0.1, Verdict: "fail"}}
	for i := range 9 {
		s.Checks = append(s.Checks, runs.Check{Law: runs.Utilisation, Of: fmt.Sprintf("server_%d", i), Measured: 0.5, Expected: 0.5, Error: 0.001 * runs.Number(i), Verdict: "pass"})
	}
	var b strings.Builder
	if err := report.Text(&b, s, ""); err != nil {
		t.Fatal(err)
	}
	for _, w := range []string{
		"✗ crowd: L = λW is off by 10.0 %  (9 in flight; ", "✓ U = demand delivered ÷ capacity within 0.8 %  (all of 9: server_0, server_1, server_2, server_3 and 5 more)",
	} {
		if !strings.Contains(b.String(), w) {
			t.Errorf("%q is missing in\n%s", w, b.String())
		}
	}
}
