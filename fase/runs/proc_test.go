package runs

import (
	"math"
	"strings"
	"testing"
	"time"
)

func TestParseCPUTimes(t *testing.T) {
	got := parseCPUTimes([]byte("cpu  100 20 30 400 50 6 7 80 90 10\ncpu0 1 2 3 4 5 6 7 8\n"))
	if want := (cpuTimes{total: 6.93, busy: 1.63, steal: 0.8}); math.Abs(got.total-want.total)+math.Abs(got.busy-want.busy)+math.Abs(got.steal-want.steal) > 1e-9 {
		t.Errorf("got %+v, want %+v", got, want)
	}
	if got := parseCPUTimes([]byte("garbage x")); got != (cpuTimes{}) {
		t.Errorf("got %+v of garbage", got)
	}
}

func TestTreeCPU(t *testing.T) {
	stat := func(line string) process {
		p, ok := parseProcess([]byte(line))
		if !ok {
			t.Fatalf("cannot read %q", line)
		}
		return p
	}
	const rest = " 20 0 1 0 100 0 0"
	all := map[int]process{
		10: stat("10 (eve) S 1 10 10 0 -1 0 0 0 0 0 100 50 25 25" + rest),
		11: stat("11 (a) S) R (x) S 10 10 10 0 -1 0 0 0 0 0 10 0 0 0" + rest),
		12: stat("12 (b) S 11 10 10 0 -1 0 0 0 0 0 1 0 0 0" + rest),
		20: stat("20 (other) S 1 20 20 0 -1 0 0 0 0 0 999 0 0 0" + rest),
	}
	if got := treeCPU(all, 10); math.Abs(got-2.11) > 1e-9 {
		t.Errorf("got %v s, want 2.11: itself, what it reaped, its child and grandchild", got)
	}
	if _, ok := parseProcess([]byte("10 (eve")); ok {
		t.Error("a line that was cut short was read")
	}
}

func TestParsePressure(t *testing.T) {
	if got := parsePressure("some avg10=0.00 avg60=0.00 avg300=0.00 total=1500000\nfull avg10=0 total=2\n"); got != 1.5 {
		t.Errorf("got %v, want 1.5 s", got)
	}
	if got := parsePressure(""); !math.IsNaN(got) {
		t.Errorf("got %v, want NaN", got)
	}
}

// TestGate lets each criterion of the noise gate fire.
func TestGate(t *testing.T) {
	t0 := time.Unix(0, 0)
	at := func(s float64) time.Time { return t0.Add(time.Duration(s * 1e9)) }
	tests := []struct {
		name                    string
		busy, own, steal, sleep float64
		want                    string
	}{
		{"quiet", 1.0, 0.95, 0, 5e-5, ""},
		{"foreign", 1.0, 0.85, 0, 5e-5, "other processes"},
		{"steal", 1.0, 1.0, 0.03, 5e-5, "hypervisor"},
		{"overshoot", 1.0, 1.0, 0, 2e-3, "overshoot"},
		{"no sleep", 1.0, 1.0, 0, -1, "no sleep"},
	}
	for _, tt := range tests {
		var sleeps []sleep
		if tt.sleep >= 0 {
			sleeps = append(sleeps, sleep{at: at(0.5), over: tt.sleep}, sleep{at: at(1.5), over: 9})
		}
		a := tick{at: at(0)}
		b := tick{at: at(1), cpuTimes: cpuTimes{total: 2, busy: tt.busy, steal: tt.steal}, own: tt.own}
		got := between(a, b, sleeps, t0)
		reasons := strings.Join(got.reasons(), "; ")
		if got.Clean != (tt.want == "") || !strings.Contains(reasons, tt.want) {
			t.Errorf("%s: got clean %v (%s), want %q", tt.name, got.Clean, reasons, tt.want)
		}
	}
}
