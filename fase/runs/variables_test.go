package runs_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/eve-emulation/eve/dmm"
	"github.com/eve-emulation/eve/dsv"
	"github.com/eve-emulation/eve/dsv/dsvbolt"
	"github.com/eve-emulation/eve/fase/machine"
	"github.com/eve-emulation/eve/fase/runs"
	"github.com/eve-emulation/eve/fase/runs/runstest"
	"github.com/eve-emulation/eve/fase/scenario"
	"github.com/eve-emulation/eve/fase/stat"
)

// ofModules writes what modules measure in 10 s, the first of which is the warm-up; measures are NAME: MANIPULATOR, UNIT.
func ofModules(t *testing.T, measures map[string][2]string, write func(w *runstest.Writer)) (*scenario.Plan, *runstest.Memory) {
	t.Helper()
	m := runstest.NewMemory()
	plan := runstest.Plan(10*time.Second, time.Second, nil, nil, nil)
	for n, x := range measures {
		s := dmm.Spec{Name: dsv.Name(n), Manipulator: x[0], Sync: dmm.Trigger{Every: 100 * time.Millisecond}}
		if x[0] == "ewma" {
			s.Param = 0.5
		}
		plan.Measures = append(plan.Measures, scenario.Measure{Spec: s, Unit: x[1], History: true})
	}
	w, err := runstest.NewWriter(plan, m)
	if err != nil {
		t.Fatal(err)
	}
	write(w)
	if err := w.Close(sec(10)); err != nil {
		t.Fatal(err)
	}
	return plan, m
}

func TestVariablesOfModules(t *testing.T) {
	plan, m := ofModules(t, map[string][2]string{
		"a.count": {"count", "1"}, "a.bytes": {"sum", "B"}, "a.trip": {"histogram", "s"}, "a.free": {"last", "1"}, "a.load": {"mean", "1"},
		"a.least": {"min", "s"}, "a.most": {"max", "s"}, "a.never": {"last", "1"}, "a.none": {"count", "1"}, "run.own": {"count", "1"},
	}, func(w *runstest.Writer) {
		for i := range 20 { // two a second; those of the warm-up do not count
			at := sec(0.25 + 0.5*float64(i))
			w.Var("a.count").Write(at, 1)
			w.Var("a.bytes").Write(at, 100)
			w.Var("a.trip").Write(at, 0.001*float64(i+1))
			w.Var("a.load").WriteWeighted(at, float64(i)*0.5, 0.5)
			w.Var("a.least").Write(at, float64(i))
			w.Var("a.most").Write(at, float64(i))
			switch i {
			case 0:
				w.Var("a.free").Write(at, 8) // holds until 5.75 s
			case 11:
				w.Var("a.free").Write(at, 2)
			}
			if err := w.Advance(at + sec(0.2)); err != nil {
				t.Fatal(err)
			}
		}
	})
	s := runs.Summarise(plan, m, runs.Extras{Kind: runs.Real})
	nan := math.NaN()
	if got, want := s.VariableNames(), []string{"a.bytes", "a.count", "a.free", "a.least", "a.load", "a.most", "a.never", "a.none", "a.trip"}; !slices.Equal(got, want) {
		t.Fatalf("got %q, want %q", got, want)
	}
	v := s.Variables
	level := func(n string) []float64 {
		l := v[n].Level
		return []float64{float64(l.Last), float64(l.Mean), float64(l.Min), float64(l.Max)}
	}
	for _, tt := range []struct {
		what      string
		got, want []float64
	}{
		{"count", []float64{float64(v["a.count"].Sum.Total), float64(v["a.count"].Sum.Rate)}, []float64{18, 2}},
		{"sum", []float64{float64(v["a.bytes"].Sum.Total), float64(v["a.bytes"].Sum.Rate)}, []float64{1800, 200}},
		{"none", []float64{float64(v["a.none"].Sum.Total), float64(v["a.none"].Sum.Rate)}, []float64{0, 0}},
		{"histogram", []float64{float64(v["a.trip"].Dist.Count), float64(v["a.trip"].Dist.Mean), float64(v["a.trip"].Dist.Max)}, []float64{18, 0.0115, 0.02}},
		{"last", level("a.free"), []float64{2, (8*(5.8-1) + 2*(10-5.8)) / 9, 2, 8}}, // it is told at the end of its window of 100 ms
		{"mean", level("a.load"), []float64{19, 10.5, 2, 19}},
		{"min", level("a.least"), []float64{nan, nan, 2, nan}},
		{"max", level("a.most"), []float64{nan, nan, nan, 19}},
		{"never", level("a.never"), []float64{nan, nan, nan, nan}},
	} {
		for i := range tt.want {
			if got, want := tt.got[i], tt.want[i]; !(math.Abs(got-want) < 1e-9) && !(math.IsNaN(got) && math.IsNaN(want)) {
				t.Errorf("%s: got %v, want %v", tt.what, tt.got, tt.want)
				break
			}
		}
	}
	if v["a.trip"].Unit != "s" || v["a.bytes"].Unit != "B" {
		t.Errorf("got units %q and %q, want s and B", v["a.trip"].Unit, v["a.bytes"].Unit)
	}
	parsed, err := runs.ParseSummary(text(t, s))
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(text(t, s), text(t, parsed)) {
		t.Error("a summary that was read and written again differs")
	}
	var raw struct {
		Variables map[string]map[string]json.RawMessage
	}
	if err := json.Unmarshal(text(t, s), &raw); err != nil || len(raw.Variables["a.count"]) != 2 {
		t.Errorf("got %v (%v), want a unit and one part", raw.Variables["a.count"], err)
	}
}

// TestWindowOfModulesAlone says where the window of an interrupted run ends that has neither clients nor servers.
func TestWindowOfModulesAlone(t *testing.T) {
	plan, m := ofModules(t, map[string][2]string{"a.count": {"count", "1"}}, func(w *runstest.Writer) {
		w.Var("a.count").Write(sec(4.05), 1)
		if err := w.Advance(sec(4.2)); err != nil {
			t.Fatal(err)
		}
	})
	s := runs.Summarise(plan, m, runs.Extras{Interrupted: true})
	if to := float64(s.Window.To); !(to >= 4.05 && to <= 10) || s.Variables["a.count"].Sum.Total != 1 {
		t.Errorf("got a window to %v and %+v, want one that has the count", to, s.Variables["a.count"].Sum)
	}
}

func TestMoreVariablesThanASummaryHas(t *testing.T) {
	measures := map[string][2]string{}
	for i := range runs.MaxVariables + 5 {
		measures[fmt.Sprintf("m_%d.count", i)] = [2]string{"count", "1"}
	}
	plan, m := ofModules(t, measures, func(*runstest.Writer) {})
	s := runs.Summarise(plan, m, runs.Extras{})
	if _, first := s.Variables["m_999.count"]; len(s.Variables) != runs.MaxVariables || !first {
		t.Errorf("got %d variables, want the first %d", len(s.Variables), runs.MaxVariables)
	}
	if got := strings.Join(s.Warnings, "\n"); !strings.Contains(got, "measured 1005 variables") {
		t.Errorf("got warnings %q, want one of what is left out", got)
	}
}

func TestLossesAlikeAreOneWarning(t *testing.T) {
	damage := errors.New("chunk 7: file is damaged")
	broken := map[dsv.Name]error{"b.x": errors.New("chunk 9: other")}
	for i := range 12 {
		n := dsv.Name(fmt.Sprintf("m_%d.x", i))
		broken[n] = fmt.Errorf("history of %s: %w", n, damage)
	}
	want := []string{
		"history of b.x is incomplete: chunk 9: other",
		"history of m_0.x, m_1.x, m_2.x and 9 more variables is incomplete: chunk 7: file is damaged",
	}
	if got := runs.Incomplete(broken); !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

// gappy is a history that misses changes.
type gappy struct {
	*runstest.Memory
	gaps []dsvbolt.Gap
}

func (g gappy) Gaps() []dsvbolt.Gap { return g.gaps }

func TestManyGapsAreOneWarning(t *testing.T) {
	plan, m := ofModules(t, nil, func(*runstest.Writer) {})
	var many []dsvbolt.Gap
	for i := range dsv.Revision(40) {
		many = append(many, dsvbolt.Gap{From: 10 * i, To: 10*i + 3})
	}
	for _, tt := range []struct {
		gaps []dsvbolt.Gap
		want int
	}{{nil, 0}, {many[:1], 1}, {many[:3], 3}, {many, 1}} {
		got := runs.Summarise(plan, gappy{m, tt.gaps}, runs.Extras{}).Warnings
		if len(got) != tt.want {
			t.Errorf("%d gaps: got %q, want %d warnings", len(tt.gaps), got, tt.want)
		}
		if len(tt.gaps) == len(many) && !strings.Contains(strings.Join(got, ""), "40 stretches between the revisions 0 and 393") {
			t.Errorf("got %q, want how many there are and where", got)
		}
	}
}

func TestOperationalLaws(t *testing.T) {
	// One request a tenth of a second, each for as long as told, while in_flight is what Little's law makes of that, times off.
	check := func(response, off float64) []runs.Check {
		s := small(t, func(w *runstest.Writer) {
			for i := 1; i <= 100; i++ {
				at := 0.1 * float64(i)
				request(w, at-response, 0, response)
				w.Var("g.in_flight").WriteWeighted(sec(at), off*response*10*0.1, 0.1)
				if err := w.Advance(sec(at)); err != nil {
					t.Fatal(err)
				}
			}
		})
		return s.Checks
	}
	for _, tt := range []struct {
		what          string
		response, off float64
		want          stat.Verdict
	}{
		{"as it is", 0.02, 1, stat.Pass},
		{"a tenth too many", 0.02, 1.1, stat.Fail},
		{"requests as long as the run", 0.9, 1, stat.Inconclusive},
	} {
		got := check(tt.response, tt.off)
		if len(got) != 1 || got[0].Law != runs.Little || got[0].Of != "g" || got[0].Verdict != tt.want {
			t.Errorf("%s: got %+v, want %s", tt.what, got, tt.want)
		}
	}
	if s := small(t, func(*runstest.Writer) {}); len(s.Checks) != 0 {
		t.Errorf("got %+v of a run in which nothing happened", s.Checks)
	}
}

func TestUtilisationLaw(t *testing.T) {
	for _, tt := range []struct {
		what      string
		busy      float64 // of 10 s
		cores     int
		burn      bool
		delivered float64
		want      stat.Verdict
	}{
		{"as it is", 0.5, 1, false, 0.5, stat.Pass},
		{"two cores", 0.25, 2, false, 0.5, stat.Pass},
		{"two cores counted as one", 0.5, 2, false, 0.5, stat.Fail},
		{"a slow host", 0.5, 1, true, 0.3, stat.Inconclusive},
		{"more than was busy", 0.3, 1, true, 0.5, stat.Fail},
	} {
		m := runstest.NewMemory()
		plan := runstest.Plan(10*time.Second, 0, nil, nil, []string{"s"})
		server := scenario.Server{Name: "s"}
		server.Machine.CPU.Cores = tt.cores
		if tt.burn {
			server.Machine.Run = machine.Burn
		}
		plan.Servers = []scenario.Server{server}
		w, err := runstest.NewWriter(plan, m)
		if err != nil {
			t.Fatal(err)
		}
		for i := 1; i <= 100; i++ {
			at := sec(0.1 * float64(i))
			w.Var("s.cpu.utilisation").WriteWeighted(at, tt.busy*0.1, 0.1)
			w.Var("s.cpu.delivered").Write(at, tt.delivered*0.1)
		}
		if err := w.Close(sec(10)); err != nil {
			t.Fatal(err)
		}
		got := runs.Summarise(plan, m, runs.Extras{}).Checks
		if len(got) != 1 || got[0].Law != runs.Utilisation || got[0].Verdict != tt.want {
			t.Errorf("%s: got %+v, want %s", tt.what, got, tt.want)
		}
	}
}
