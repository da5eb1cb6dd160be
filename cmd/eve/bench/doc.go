// Package bench runs Eve's reference experiments and judges their shapes.
//
//   - A [Figure] is one thing measured in several rounds: its median, with an interval.
//   - A [Row] holds our figure, those of peers, and what was published; rows make a [Table].
//   - A [Shape] is a claim with a rule: it holds, does not hold, or the figures do not tell.
//   - A [Report] is one bench's tables, shapes and charts with the machine and its noise; it writes itself as text, JSON and
//     pictures.
//   - A part is a process of its own, a child of this binary that [Part] carries out: a kernel, an echo, sinks.
//
// What is compared is measured in turns in one run, so that both meet the same noise, and ratios are taken round by round.
// [DSV] and [EGS] are the benches.
package bench

import (
	"fmt"
	"io"
	"time"
)

// A Config says how a bench is to be run.
type Config struct {
	Self        []string // the command line that carries a part out, without its role: eve bench part
	Version     string   // of Eve
	Quick       bool     // small settings: the machinery, not the figures
	Scale       bool     // dsv only: many connections, variables and watchers, instead of everything else
	Peers       []string // of the bench
	Engines     []string // of servers; empty: all
	Connections []int    // engines: that are never idle; empty: the bench's own
	Idle        []int    // idle: connections beside them; empty: the bench's own
	Open        int      // idle: instead, so many connections at once
	Out         string   // folder of the pictures and of results.json; made if need be

	// Progress is told what is measured now, a line each; it may be nil.
	Progress io.Writer
}

// say tells what is measured now.
func (c Config) say(format string, args ...any) {
	if c.Progress != nil {
		fmt.Fprintf(c.Progress, format+" …\n", args...)
	}
}

// pick chooses between the real and the quick setting.
func pick[T any](c Config, real, quick T) T {
	if c.Quick {
		return quick
	}
	return real
}

// callTimeout bounds one call of a part, and with it what can hang.
const callTimeout = 2 * time.Minute
