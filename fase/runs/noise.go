package runs

import (
	"math"
	"slices"
	"sync"
	"time"

	"github.com/eve-emulation/eve/fase/stat"
)

// The noise gate: an interval beyond one of these is not clean, and what was measured in it is not certified.
const (
	MaxForeign   = 0.05 // share of the CPUs that processes outside the run used
	MaxSteal     = 0.01 // share of the CPUs that the hypervisor took
	MaxOvershoot = 1e-3 // s, p99 of how much longer a sleep of 1 ms took
	MaxSendLag   = 1e-3 // s, p99 of how late the generator sent
)

// Noise is what a [Probe] saw during a run.
type Noise struct {
	Foreign   Number          `json:"foreign_cpu"` // shares of all CPUs, mean over the run
	Steal     Number          `json:"steal"`
	Overshoot Overshoot       `json:"overshoot_seconds"`      // of sleeps of 1 ms
	Pressure  *Number         `json:"pressure_cpu,omitempty"` // share of time in which some task waited for a CPU; absent without PSI
	Clean     bool            `json:"clean"`                  // over the whole run
	Reasons   []string        `json:"reasons,omitempty"`      // why not
	Intervals []NoiseInterval `json:"intervals"`
}

// Overshoot describes how much longer sleeps of 1 ms took, in seconds.
type Overshoot struct {
	P50   Number `json:"p50"`
	P99   Number `json:"p99"`
	Max   Number `json:"max"`
	Count int    `json:"count"`
}

// A NoiseInterval is the noise of one second or so; instants in seconds since T0.
type NoiseInterval struct {
	From      Number    `json:"from"`
	To        Number    `json:"to"`
	Foreign   Number    `json:"foreign_cpu"`
	Own       Number    `json:"own_cpu"`
	Steal     Number    `json:"steal"`
	Overshoot Overshoot `json:"overshoot_seconds"`
	Clean     bool      `json:"clean"`
}

// CleanAt reports whether all intervals that touch (from, to] are clean, in seconds since T0; false where nothing was
// measured.
func (n *Noise) CleanAt(from, to float64) bool {
	if n == nil {
		return false
	}
	covered := false
	for _, i := range n.Intervals {
		if float64(i.To) <= from || float64(i.From) >= to {
			continue
		}
		if !i.Clean {
			return false
		}
		covered = true
	}
	return covered
}

// A Probe watches the host during a run: CPU stolen or used by others, and how long a sleep of 1 ms takes. It costs
// less than a hundredth of one CPU. [StartProbe] starts it, Stop ends it and reports.
type Probe struct {
	start time.Time
	stop  chan struct{}
	wg    sync.WaitGroup

	// Written by one goroutine each, read after wg.
	ticks  []tick
	sleeps []sleep
}

type tick struct {
	at time.Time
	cpuTimes
	own      float64 // s of CPU of this process and those below it
	pressure float64 // s in which some task waited; NaN without PSI
}

type sleep struct {
	at   time.Time
	over float64
}

const (
	probeEvery = time.Second
	sleepEvery = 10 * time.Millisecond
)

// StartProbe starts to watch.
func StartProbe() *Probe {
	p := &Probe{start: time.Now(), stop: make(chan struct{})}
	p.wg.Go(p.watchCPU)
	p.wg.Go(p.watchSleep)
	return p
}

// Stop ends the probe and reports, with instants counted from t0. It may be called once.
func (p *Probe) Stop(t0 time.Time) *Noise {
	close(p.stop)
	p.wg.Wait()
	n := &Noise{Intervals: []NoiseInterval{}}
	for i := 1; i < len(p.ticks); i++ {
		a, b := p.ticks[i-1], p.ticks[i]
		if b.at.Sub(a.at) < probeEvery/4 && i > 1 {
			continue // the rest of a second: too few ticks of the kernel's clock to tell shares
		}
		n.Intervals = append(n.Intervals, between(a, b, p.sleeps, t0))
	}
	if len(p.ticks) < 2 {
		return n
	}
	first, last := p.ticks[0], p.ticks[len(p.ticks)-1]
	whole := between(first, last, p.sleeps, t0)
	n.Foreign, n.Steal, n.Overshoot = whole.Foreign, whole.Steal, whole.Overshoot
	n.Clean, n.Reasons = whole.Clean, whole.reasons()
	if share := (last.pressure - first.pressure) / last.at.Sub(first.at).Seconds(); !math.IsNaN(share) {
		n.Pressure = new(Number(share))
	}
	return n
}

// between sums what was seen from a to b.
func between(a, b tick, sleeps []sleep, t0 time.Time) NoiseInterval {
	total := b.total - a.total
	share := func(x float64) Number {
		if total <= 0 {
			return 0
		}
		return Number(min(max(x/total, 0), 1))
	}
	own := b.own - a.own
	i := NoiseInterval{
		From: Number(a.at.Sub(t0).Seconds()), To: Number(b.at.Sub(t0).Seconds()),
		Own: share(own), Foreign: share(b.busy - a.busy - own), Steal: share(b.steal - a.steal),
	}
	var over []float64
	for _, s := range sleeps {
		if s.at.After(a.at) && !s.at.After(b.at) {
			over = append(over, s.over)
		}
	}
	slices.Sort(over)
	i.Overshoot = Overshoot{
		P50: Number(stat.Quantile(over, 0.5)), P99: Number(stat.Quantile(over, 0.99)), Max: Number(stat.Quantile(over, 1)),
		Count: len(over),
	}
	i.Clean = len(i.reasons()) == 0
	return i
}

// reasons says why an interval is not clean.
func (i NoiseInterval) reasons() []string {
	var rs []string
	if i.Foreign >= MaxForeign {
		rs = append(rs, "other processes used "+percent(float64(i.Foreign))+" of the CPUs (at most "+percent(MaxForeign)+")")
	}
	if i.Steal >= MaxSteal {
		rs = append(rs, "the hypervisor took "+percent(float64(i.Steal))+" of the CPUs (at most "+percent(MaxSteal)+")")
	}
	if i.Overshoot.Count == 0 {
		rs = append(rs, "no sleep of 1 ms ended")
	}
	if i.Overshoot.P99 >= MaxOvershoot {
		rs = append(rs, "p99 of the overshoot of a 1 ms sleep is "+seconds(float64(i.Overshoot.P99))+" (at most "+seconds(MaxOvershoot)+")")
	}
	return rs
}
