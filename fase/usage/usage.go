// Package usage tells what processes use of a host, as /proc has it: processor time, memory, descriptors, threads and
// context switches, and measures them as variables of a run.
//
//   - A [Usage] is what some processes used up to now, or have now.
//   - A [Source] reads one: a [Tree] of the processes below others, or [Self], this process alone.
//   - A [Meter] writes a source's readings to the variables of a participant; [Variables] lists these.
package usage

import (
	"context"
	"time"

	"github.com/eve-emulation/eve/dmm"
	"github.com/eve-emulation/eve/dsv"
)

// A Usage is what processes used up to an instant, and have at it.
type Usage struct {
	CPU          time.Duration // on processors, in user and in system mode
	User, System time.Duration // the same by mode, in steps of 10 ms
	Voluntary    uint64        // context switches because a thread waited
	Involuntary  uint64        // context switches because another thread's turn had come
	Anonymous    int64         // bytes in memory that belong to no file: RssAnon
	Resident     int64         // bytes in memory, those of files included: VmRSS
	Descriptors  int
	Threads      int
	Processes    int
}

// A Source reads the usage of processes. It is used by one goroutine at a time.
type Source interface {
	// Read returns the usage now; ErrGone when no process is left. What is used up never falls from one call to the next.
	// What takes long to read, new processes and context switches, is only read where thorough is set, and the first time.
	Read(thorough bool) (Usage, error)
}

// A Variable is one that a Meter writes.
type Variable struct {
	Leaf        string // behind the name of the participant and a dot
	Manipulator string
	Unit, Help  string
	Every       time.Duration // it is read no more often than this; 0: in every sample
}

// Variables lists what a Meter writes. Levels are means weighted by time, counts are sums.
func Variables() []Variable {
	return []Variable{
		{"cpu.utilisation", "mean", "1", "processors that the process keeps busy: 1 is one processor, weighted by time", 0},
		{"cpu.user", "sum", "s", "processor time in user mode, in steps of 10 ms", 0},
		{"cpu.system", "sum", "s", "processor time in system mode, in steps of 10 ms", 0},
		{"memory", "mean", "B", "memory of the process's own: resident and of no file (RssAnon), weighted by time", 0},
		{"memory.resident", "mean", "B", "resident memory, that of files included (VmRSS), weighted by time", 0},
		{"descriptors", "mean", "1", "open descriptors, weighted by time", 0},
		{"threads", "mean", "1", "threads, weighted by time", 0},
		{"processes", "mean", "1", "processes, weighted by time", 0},
		{"switches.voluntary", "sum", "1", "context switches because a thread waited", thoroughEvery},
		{"switches.involuntary", "sum", "1", "context switches because another thread's turn had come", thoroughEvery},
	}
}

// A Meter writes what a source reads to the variables NAME.LEAF of [Variables]. It is used by one goroutine.
type Meter struct {
	source Source
	vars   map[string]*dmm.Var
	last   Usage
	at     dsv.Instant
	begun  bool
	second time.Duration // in which it read thoroughly
}

// thoroughEvery is how often a Meter reads thoroughly.
const thoroughEvery = time.Second

// NewMeter returns a meter of the variables of name; vars finds them and may return nil for one that is not wanted.
func NewMeter(source Source, name string, vars func(dsv.Name) *dmm.Var) *Meter {
	m := &Meter{source: source, vars: map[string]*dmm.Var{}}
	for _, v := range Variables() {
		m.vars[v.Leaf] = vars(dsv.Name(name + "." + v.Leaf))
	}
	return m
}

// Sample reads the source and writes what has been used since the sample before, of which the instant is earlier; the
// first one, and those up to T0, only begin. It returns the source's error.
func (m *Meter) Sample(at dsv.Instant) error {
	// Towards the end of each second, early enough that what is written late still belongs there.
	second := at.Add(thoroughEvery/5).Sub(0) / thoroughEvery
	u, err := m.source.Read(second != m.second)
	if err != nil {
		return err
	}
	m.second = second
	last, since := m.last, at.Sub(m.at).Seconds()
	if m.begun && since <= 0 {
		return nil
	}
	begun := m.begun && at > 0
	m.last, m.at, m.begun = u, at, true
	if !begun {
		return nil
	}
	m.sum(at, "cpu.user", (u.User - last.User).Seconds())
	m.sum(at, "cpu.system", (u.System - last.System).Seconds())
	m.sum(at, "switches.voluntary", float64(u.Voluntary-last.Voluntary))
	m.sum(at, "switches.involuntary", float64(u.Involuntary-last.Involuntary))
	for _, l := range []struct {
		leaf string
		area float64 // value × seconds
	}{
		{"cpu.utilisation", (u.CPU - last.CPU).Seconds()},
		{"memory", float64(u.Anonymous) * since},
		{"memory.resident", float64(u.Resident) * since},
		{"descriptors", float64(u.Descriptors) * since},
		{"threads", float64(u.Threads) * since},
		{"processes", float64(u.Processes) * since},
	} {
		if v := m.vars[l.leaf]; v != nil {
			v.WriteWeighted(at, l.area, since)
		}
	}
	return nil
}

func (m *Meter) sum(at dsv.Instant, leaf string, x float64) {
	if v := m.vars[leaf]; v != nil {
		v.Write(at, x)
	}
}

// Run samples in every period since T0, a tenth of it before its end, so that what it writes belongs there. It returns
// nil once ctx has ended, or the source's error. now is the instant of the run.
func (m *Meter) Run(ctx context.Context, every time.Duration, now func() dsv.Instant) error {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-timer.C:
		}
		at := now()
		if at >= -dsv.At(every) {
			if err := m.Sample(at); err != nil {
				return err
			}
		}
		past := (at.Sub(0) + every/10) % every
		if past < 0 {
			past += every
		}
		timer.Reset(every - past)
	}
}
