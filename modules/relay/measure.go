package relay

import (
	"strings"
	"sync/atomic"

	"github.com/eve-emulation/eve/dmm"
	"github.com/eve-emulation/eve/dsv"
	"github.com/eve-emulation/eve/internal/mono"
)

// A Cause is why a connection ended badly.
type Cause uint8

// The causes.
const (
	NoServer  Cause = iota // nobody has said yet where the server is
	Refused                // the server does not listen
	TimedOut               // the server did not accept in time, or a side fell silent for the kernel's patience
	Reset                  // a side reset the connection
	Exhausted              // there was no descriptor or no memory, or there are Config.Connections
	Faulted                // the extension failed, with OnFault Close or a stream that cannot do without it
	Stopped                // the extension wanted it closed
	Broken                 // anything else that the kernel says
	causes
)

// String returns it as variables are called by it.
func (c Cause) String() string {
	return [...]string{"no_server", "refused", "timed_out", "reset", "exhausted", "extension", "stopped", "broken"}[c]
}

// Causes lists all.
func Causes() []Cause {
	list := make([]Cause, causes)
	for i := range list {
		list[i] = Cause(i)
	}
	return list
}

// A leaf is a variable that a relay measures: NAME.leaf.
type leaf struct {
	name, manipulator, unit, help string
}

// leaves lists them, in the order of the constants below; the causes follow.
func leaves() []leaf {
	list := []leaf{
		{"connections", "last", "1", "connections that are open"},
		{"accepted", "sum", "1", "connections that clients opened"},
		{"bytes.up", "sum", "B", "bytes handed on to servers"},
		{"bytes.down", "sum", "B", "bytes handed on to clients"},
		{"latency", "histogram", "s", "how long a chunk is in the relay: from when its loop is told of it until the other side has taken it"},
		{"cpu", "sum", "s", "CPU time of the relay's loops, user and system"},
		{"extension", "histogram", "s", "how long the extension takes for a chunk"},
		{"told", "sum", "1", "what the extension counts in its global `told`"},
		{"errors", "sum", "1", "connections that ended badly, whatever the cause"},
	}
	for _, c := range Causes() {
		list = append(list, leaf{"errors_" + c.String(), "sum", "1", "connections that ended badly: " + strings.ReplaceAll(c.String(), "_", " ")})
	}
	return list
}

// The first leaves.
const (
	varConnections = iota
	varAccepted
	varUp
	varDown
	varLatency
	varCPU
	varExtension
	varTold
	varErrors
	varCauses
)

// measuring is the variables of a relay, and when their run began.
type measuring struct {
	t0   int64
	vars [varCauses + int(causes)]*dmm.Var
}

// Measure writes what happens from now on to variables: lookup returns the one of a leaf such as "latency", nil for none. t0 is
// the run's start in ns of CLOCK_MONOTONIC.
func (r *Relay) Measure(t0 int64, lookup func(leaf string) *dmm.Var) {
	m := &measuring{t0: t0}
	for i, l := range leaves() {
		if m.vars[i] = lookup(l.name); l.manipulator == "sum" {
			m.vars[i].Write(m.at(mono.Now()), 0) // nothing so far is known, too
		}
	}
	m.vars[varConnections].Write(m.at(mono.Now()), float64(r.open.Load()))
	r.vars.Store(m)
}

func (m *measuring) at(now int64) dsv.Instant { return dsv.Instant(max(now-m.t0, 0)) }

// totals is what a loop has done since it began; others read it.
type totals struct {
	accepted, chunks, told, cpu atomic.Int64
	bytes                       [2]atomic.Int64
	errors                      [causes]atomic.Int64
}

// tally is what a loop did in a turn.
type tally struct {
	accepted, chunks, told int64
	bytes                  [2]int64
	errors                 [causes]int64
	changed                bool // connections were opened or closed
	any                    bool
}

// cpuPeriod is how often a loop that works reads its CPU clock.
const cpuPeriod = 100e6

// tell hands on what a turn did.
func (l *loop) tell() {
	t := &l.tally
	if !t.any {
		return
	}
	total := &l.total
	total.accepted.Add(t.accepted)
	total.chunks.Add(t.chunks)
	total.told.Add(t.told)
	for d := range t.bytes {
		total.bytes[d].Add(t.bytes[d])
	}
	failed := int64(0)
	for c, n := range t.errors {
		if n > 0 {
			total.errors[c].Add(n)
			failed += n
		}
	}
	if m := l.m; m != nil {
		l.record(m, failed)
	}
	*t = tally{}
}

// record writes what a turn did to the run's variables.
func (l *loop) record(m *measuring, failed int64) {
	t, at := &l.tally, m.at(l.turn)
	add := func(v int, n int64) {
		if n != 0 {
			m.vars[v].Write(at, float64(n))
		}
	}
	add(varAccepted, t.accepted)
	add(varUp, t.bytes[up])
	add(varDown, t.bytes[down])
	add(varTold, t.told)
	if t.changed {
		m.vars[varConnections].Write(at, float64(l.r.open.Load()))
	}
	if failed > 0 {
		add(varErrors, failed)
		for c, n := range t.errors {
			add(varCauses+c, n)
		}
	}
}

// spend accounts the CPU time that the loop's thread has used since the last time.
func (l *loop) spend() {
	l.spendAt = never // nothing to account until it works again
	cpu := mono.ThreadCPU()
	used := cpu - l.spent
	l.spent = cpu
	l.total.cpu.Add(used)
	if m := l.m; m != nil {
		m.vars[varCPU].Write(m.at(l.turn), float64(used)/1e9)
	}
}
