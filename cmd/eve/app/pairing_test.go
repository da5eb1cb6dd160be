package app

import (
	"testing"
	"time"

	"github.com/eve-emulation/eve/dsv"
	"github.com/eve-emulation/eve/fase/runs"
	"github.com/eve-emulation/eve/fase/service"
	"github.com/eve-emulation/eve/fase/stat"
)

// aPairing is 60 s of 50 requests a second on their exact path of 20 ms, on a quiet machine.
func aPairing() *pairing {
	p := &pairing{
		from: dsv.At(5 * time.Second), to: dsv.At(60 * time.Second), noise: &runs.Noise{},
		client: runs.Client{Accounting: runs.Accounting{Balanced: true}},
	}
	for i := range 3000 {
		due := dsv.At(time.Duration(i) * 20 * time.Millisecond)
		p.requests = append(p.requests, paired{due: due, want: due.Add(20 * time.Millisecond), got: due.Add(20 * time.Millisecond)})
	}
	for i := range 61 {
		p.noise.Intervals = append(p.noise.Intervals, runs.NoiseInterval{From: runs.Number(i), To: runs.Number(i + 1), Clean: true})
	}
	return p
}

// late delays the requests of which a function says so.
func (p *pairing) late(by time.Duration, which func(i int) bool) {
	for i := range p.requests {
		if which(i) {
			p.requests[i].got += dsv.At(by)
		}
	}
}

func every(int) bool { return true }

func TestJudgeReal(t *testing.T) {
	tests := []struct {
		name   string
		change func(*pairing)
		want   stat.Verdict
	}{
		{"on the path", func(*pairing) {}, stat.Pass},
		{"0.4 ms late", func(p *pairing) { p.late(400*time.Microsecond, every) }, stat.Pass},
		// 3 % of 20 ms is 0.6 ms.
		{"0.58 ms late", func(p *pairing) { p.late(580*time.Microsecond, every) }, stat.Pass},
		{"0.65 ms late", func(p *pairing) { p.late(650*time.Microsecond, every) }, stat.Fail},
		{"2 ms early", func(p *pairing) { p.late(-2*time.Millisecond, every) }, stat.Fail},
		{"sometimes very late", func(p *pairing) { p.late(time.Second, func(i int) bool { return i%997 == 500 }) }, stat.Inconclusive},
		{"late in noise alone", func(p *pairing) {
			p.late(5*time.Millisecond, func(i int) bool { return i >= 1000 && i < 1050 })
			p.noise.Intervals[20].Clean, p.noise.Intervals[21].Clean = false, false
		}, stat.Pass},
		{"too much noise", func(p *pairing) {
			for i := range 12 {
				p.noise.Intervals[10+i].Clean = false
			}
		}, notCertified},
		{"no measurement of noise", func(p *pairing) { p.noise = nil }, notCertified},
		{"limited by the generator", func(p *pairing) { p.client.GeneratorLimited = true }, notCertified},
		{"one request missing", func(p *pairing) { p.requests[2000].got = 0 }, stat.Fail},
		{"missing at the very end", func(p *pairing) { p.requests[2999].got = 0 }, stat.Pass},
		{"one request failed", func(p *pairing) { p.requests[2000].cause = service.Reset }, stat.Fail},
		{"off the plan", func(p *pairing) { p.client.ArrivalsOffPlan = 1 }, stat.Fail},
		{"a record of nothing", func(p *pairing) { p.strange = 1 }, stat.Fail},
		{"books that do not balance", func(p *pairing) { p.client.Accounting.Balanced = false }, stat.Fail},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			p, v := aPairing(), verdict{}
			tt.change(p)
			p.judgeReal(&v, 3)
			if v.verdict != tt.want {
				t.Errorf("got %s with %+v, want %s", v.verdict, v, tt.want)
			}
		})
	}
}

func TestJudgeVirtual(t *testing.T) {
	tests := []struct {
		name   string
		change func(*pairing)
		slack  time.Duration
		want   stat.Verdict
	}{
		{"on the path", func(*pairing) {}, 0, stat.Pass},
		{"one off by a nanosecond", func(p *pairing) { p.late(1, func(i int) bool { return i == 1 }) }, 0, stat.Fail},
		{"within the slack", func(p *pairing) { p.late(1000, every) }, 1000, stat.Pass},
		{"beyond the slack", func(p *pairing) { p.late(1001, every) }, 1000, stat.Fail},
		{"one missing", func(p *pairing) { p.requests[2998].got = 0 }, 0, stat.Fail},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			p, v := aPairing(), verdict{}
			tt.change(p)
			p.judgeVirtual(&v, tt.slack)
			if v.verdict != tt.want {
				t.Errorf("got %s with %+v, want %s", v.verdict, v, tt.want)
			}
		})
	}
}

func TestTruthExit(t *testing.T) {
	tests := []struct {
		verdicts []stat.Verdict
		want     runs.Exit
	}{
		{[]stat.Verdict{stat.Pass, stat.Pass}, runs.ExitOK},
		{[]stat.Verdict{stat.Pass, notCertified}, runs.ExitNotCertified},
		{[]stat.Verdict{stat.Inconclusive}, runs.ExitNotCertified},
		{[]stat.Verdict{stat.Pass, stat.Fail}, runs.ExitExpectFailed},
		{[]stat.Verdict{notCertified, stat.Fail}, runs.ExitNotCertified},
	}
	for _, tt := range tests {
		tr := &truth{}
		for _, v := range tt.verdicts {
			tr.verdicts = append(tr.verdicts, verdict{verdict: v})
		}
		got := runs.ExitOK
		if e, ok := tr.exit().(*exitError); ok {
			got = e.code
		}
		if got != tt.want {
			t.Errorf("%v: got exit code %d, want %d", tt.verdicts, got, tt.want)
		}
	}
}
