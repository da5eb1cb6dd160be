package runs_test

import (
	"math"
	"testing"

	"github.com/eve-emulation/eve/fase/runs"
	"github.com/eve-emulation/eve/fase/runs/runstest"
	"github.com/eve-emulation/eve/fase/scenario"
)

// TestProcess summarises a target of which connections come from the beginning of the run to the end of the warm-up.
func TestProcess(t *testing.T) {
	const src = `eve: 1
duration: 10s
warmup: 2s
requests: |
  request r { http web GET "/" }
targets: {web: {kind: nginx}, idle: {kind: nginx}}
clients: {g: {request: r, users: 1}}
`
	for _, tt := range []struct {
		name        string
		connections float64 // of web, in the end
		slope       float64
	}{
		{"thousands of connections", 2000, 500},
		{"as many as tell something", 100, 500},
		{"too few to tell", 99, math.NaN()},
		{"fewer than before", -5, math.NaN()},
	} {
		t.Run(tt.name, func(t *testing.T) {
			plan, err := scenario.Load("x", []byte(src), scenario.Options{})
			if err != nil {
				t.Fatal(err)
			}
			m := runstest.NewMemory()
			w, err := runstest.NewWriter(plan, m)
			if err != nil {
				t.Fatal(err)
			}
			for i := range 100 { // each of a tenth of a second, written a little before its end
				at := sec(float64(i)/10 + 0.09)
				open := tt.connections * min(1, float64(i)/15)
				w.Var("web.cpu.utilisation").WriteWeighted(at, 0.05, 0.1)
				w.Var("web.cpu.user").Write(at, 0.02)
				w.Var("web.memory").WriteWeighted(at, (1e6+500*open)*0.1, 0.1)
				w.Var("web.descriptors").WriteWeighted(at, (10+open)*0.1, 0.1)
				if i%10 == 9 {
					w.Var("web.switches.voluntary").Write(at, 70)
				}
				for range 4 {
					w.Var("web.requests").Write(at, 1)
				}
			}
			if err := w.Close(sec(10)); err != nil {
				t.Fatal(err)
			}
			s := runs.Summarise(plan, m, runs.Extras{Kind: runs.Real})
			p, ok := s.Processes["web"]
			if _, idle := s.Processes["idle"]; !ok || idle || len(s.Processes) != 1 {
				t.Fatalf("got processes %v, want web, which was measured, alone", s.ProcessNames())
			}
			for _, x := range []struct {
				what      string
				got, want float64
			}{
				{"utilisation", float64(p.Utilisation), 0.5},
				{"CPU", float64(p.CPU), 4},
				{"user", float64(p.User), 1.6},
				{"CPU per request", float64(p.PerRequest), 4.0 / 320},
				{"memory", float64(p.Memory.Mean), 1e6 + 500*tt.connections},
				{"descriptors", float64(p.Descriptors.Max), 10 + tt.connections},
				{"waits per second", float64(p.Voluntary.Rate), 70},
				{"slope", float64(p.Slope), tt.slope},
			} {
				if !(math.Abs(x.got-x.want) <= 1e-6*math.Abs(x.want)) && !(math.IsNaN(x.got) && math.IsNaN(x.want)) {
					t.Errorf("%s: got %v, want %v", x.what, x.got, x.want)
				}
			}
		})
	}
}
