package app

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/eve-emulation/eve/fase/burn"
	"github.com/eve-emulation/eve/fase/runs"
	"github.com/eve-emulation/eve/fase/stat"
	"github.com/eve-emulation/eve/internal/mono"
)

// burnCase is the case of demands that are really consumed.
const burnCase = "burn"

// The bounds of what is burned.
const (
	burnEach   = 3 * time.Microsecond // by how much a demand may be off
	burnShare  = 0.005                // and by which share of it
	burnP99    = 0.05                 // of demands of 1 ms or more
	burnMemory = 1 << 20              // bytes of memory
	burnHeld   = 0.02                 // and this share of it
	burnRivals = 3                    // processes that compete for the processors
)

// A claim is one line about what is burned.
type claim struct {
	card, name, asked, found, rule string
	verdict                        stat.Verdict
}

func claimed(ok bool) stat.Verdict {
	if ok {
		return stat.Pass
	}
	return stat.Fail
}

// burning measures what is burned: B1 and B2 CPU time, B4 the disk, B6 memory, B7 a queue.
func (t *truth) burning(ctx context.Context) error {
	fmt.Fprintln(t.app.err, "burn: CPU time, disk, memory …")
	if err := os.MkdirAll(t.out, 0o755); err != nil {
		return err
	}
	for _, rivals := range []int{0, burnRivals} {
		if err := t.burnCPU(ctx, rivals); err != nil {
			return fmt.Errorf("%s: %w", burnCase, err)
		}
	}
	if err := errors.Join(t.burnDisk(), t.burnRAM()); err != nil {
		return fmt.Errorf("%s: %w", burnCase, err)
	}
	if t.quick {
		return ctx.Err()
	}
	for _, rho := range []float64{0.3, 0.5} {
		if err := t.burnQueue(ctx, rho); err != nil {
			return fmt.Errorf("%s: %w", burnCase, err)
		}
	}
	return nil
}

// rivals starts processes that only use processors; stop ends them.
func rivals(ctx context.Context, n int) (stop func(), err error) {
	ctx, cancel := context.WithCancel(ctx)
	var all []*exec.Cmd
	stop = func() {
		cancel()
		for _, c := range all {
			_ = c.Wait() // it was killed
		}
	}
	for range n {
		c := exec.CommandContext(ctx, "sh", "-c", "while :; do :; done")
		if err := c.Start(); err != nil {
			stop()
			return nil, fmt.Errorf("start a competitor: %w", err)
		}
		all = append(all, c)
	}
	return stop, nil
}

// burnCPU burns demands on a thread of its own and compares what its clock says with what was asked.
func (t *truth) burnCPU(ctx context.Context, n int) error {
	stop, err := rivals(ctx, n)
	if err != nil {
		return err
	}
	defer stop()
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	b, err := burn.New(burn.Config{Dir: t.out})
	if err != nil {
		return err
	}
	defer b.Close()
	clock := clockCost()
	card, how := "B1", "idle machine"
	if n > 0 {
		card, how = "B2", fmt.Sprintf("%d competitors", n)
	}
	for _, d := range []time.Duration{100 * time.Microsecond, 200 * time.Microsecond, time.Millisecond, 10 * time.Millisecond, 100 * time.Millisecond} {
		rounds := min(2000, max(10, int(time.Second/d)))
		if t.quick {
			rounds = max(5, rounds/20)
		}
		probe, began := runs.StartProbe(), time.Now()
		cpu, wall := mono.ThreadCPU(), mono.Now()
		for range rounds {
			b.CPU(int64(d))
		}
		mean := float64(mono.ThreadCPU()-cpu) / float64(rounds)
		stretch := float64(mono.Now()-wall) / float64(rounds) / float64(d)
		off := make([]float64, rounds)
		for i := range off { // one by one: then the clock is in it, too
			from := mono.ThreadCPU()
			b.CPU(int64(d))
			x := float64(mono.ThreadCPU()-from-clock)/float64(d) - 1
			off[i] = max(x, -x)
		}
		noise := probe.Stop(began)
		slices.Sort(off)
		p99 := stat.Quantile(off, 0.99)
		bound := float64(burnEach) + burnShare*float64(d)
		ok := max(mean-float64(d), float64(d)-mean) <= bound && (d < time.Millisecond || p99 <= burnP99)
		t.claims = append(t.claims, claim{
			card: card, name: fmt.Sprintf("CPU time of %v, %s", d, how), asked: d.String(),
			found: fmt.Sprintf("%+.2f µs in the mean, p99 %.2f %%; took %.2f times as long", (mean-float64(d))/1e3, 100*p99, stretch),
			rule:  fmt.Sprintf("within %.1f µs", bound/1e3), verdict: certifiedBy(noise, claimed(ok)),
		})
	}
	return ctx.Err()
}

// clockCost is what it takes to read the clock of this thread, in ns of its own: the least of many readings.
func clockCost() int64 {
	least := int64(1 << 40)
	for range 1000 {
		from := mono.ThreadCPU()
		least = min(least, mono.ThreadCPU()-from)
	}
	return least
}

// certifiedBy is the verdict on what a noisy host may have failed: what it took from a thread, its clock counts as the thread's.
func certifiedBy(n *runs.Noise, v stat.Verdict) stat.Verdict {
	if v == stat.Fail && (n.Foreign >= runs.MaxForeign || n.Steal >= runs.MaxSteal) {
		return notCertified
	}
	return v
}

// burnDisk writes and reads, and compares what Linux booked to this thread.
func (t *truth) burnDisk() error {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	b, err := burn.New(burn.Config{Dir: t.out})
	if err != nil {
		return err
	}
	defer b.Close()
	if _, err := b.Write(1, true); err != nil { // so that the file is there
		return err
	}
	for _, x := range []struct {
		what, field string
		sync        bool
		do          func(n int64) (int64, error)
	}{
		{"written", "wchar", false, func(n int64) (int64, error) { return b.Write(n, false) }},
		{"written and synchronised", "wchar", true, func(n int64) (int64, error) { return b.Write(n, true) }},
		{"read", "rchar", false, func(n int64) (int64, error) { return b.Read(n) }},
	} {
		asked, delivered := int64(0), int64(0)
		if x.field == "rchar" { // what is read is written first as far as it is not there
			if _, err := b.Read(4 << 20); err != nil {
				return err
			}
		}
		before, extra, err := threadIO(x.field)
		if err != nil {
			return err
		}
		for _, n := range []int64{1, 4096, 100_000, 1 << 20} {
			k, err := x.do(n)
			if err != nil {
				return err
			}
			asked, delivered = asked+n, delivered+k
		}
		after, _, err := threadIO(x.field)
		if err != nil {
			return err
		}
		booked := after - before
		if x.field == "rchar" {
			booked -= extra
		}
		t.claims = append(t.claims, claim{
			card: "B4", name: "disk: bytes " + x.what, asked: strconv.FormatInt(asked, 10), found: fmt.Sprintf("%d by Linux, %d by the burner", booked, delivered),
			rule: "exact", verdict: claimed(booked == asked && delivered == asked),
		})
	}
	return nil
}

// threadIO reads what Linux booked to this thread; size is how many bytes that reading itself is booked with.
func threadIO(field string) (n, size int64, err error) {
	b, err := os.ReadFile("/proc/thread-self/io")
	if err != nil {
		return 0, 0, err
	}
	s := bufio.NewScanner(bytes.NewReader(b))
	for s.Scan() {
		if name, value, ok := strings.Cut(s.Text(), ": "); ok && name == field {
			n, err = strconv.ParseInt(value, 10, 64)
			return n, int64(len(b)), err
		}
	}
	return 0, 0, fmt.Errorf("/proc/thread-self/io has no %s", field)
}

// burnRAM holds memory and compares how much larger this process becomes.
func (t *truth) burnRAM() error {
	for _, n := range []int64{1 << 20, 16 << 20, 128 << 20} {
		debug.FreeOSMemory() // so that nothing is given back meanwhile
		before, err := anonymous()
		if err != nil {
			return err
		}
		m, err := burn.Hold(n)
		if err != nil {
			return err
		}
		after, err := anonymous()
		if err := errors.Join(err, m.Release()); err != nil {
			return err
		}
		found, bound := after-before, burnMemory+int64(burnHeld*float64(n))
		t.claims = append(t.claims, claim{
			card: "B6", name: fmt.Sprintf("memory of %d MiB", n>>20), asked: strconv.FormatInt(n, 10), found: fmt.Sprintf("%+d bytes", found-n),
			rule: fmt.Sprintf("within %d bytes", bound), verdict: claimed(max(found-n, n-found) <= bound),
		})
	}
	return nil
}

// anonymous is how much memory without a file this process has, in bytes.
func anonymous() (int64, error) {
	b, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return 0, err
	}
	for line := range strings.SplitSeq(string(b), "\n") {
		if rest, ok := strings.CutPrefix(line, "RssAnon:"); ok {
			kb, err := strconv.ParseInt(strings.TrimSpace(strings.TrimSuffix(strings.TrimSpace(rest), "kB")), 10, 64)
			return kb << 10, err
		}
	}
	return 0, errors.New("/proc/self/status has no RssAnon")
}

// burnQueue is B7: an M/M/1 whose demands are burned. Its path is computed with the service times that the server measured, as a disturbed
// host stretches them; beside it stands how far those are off what was asked.
func (t *truth) burnQueue(ctx context.Context, rho float64) error {
	const length = 25 * time.Second
	s := one("B7", fmt.Sprintf("M/M/1 that burns, at %g", rho), "b_", "cpus: 1", "cpu exp(5ms)", rho/demand.Seconds(), demand.Seconds()/(1-rho), 0, nil, 1)
	s.servers = []string{"@x: {cpus: 1, run: burn}"}
	s.path = (*course).measured
	name := fmt.Sprintf("burn-%.0f", 10*rho)
	fmt.Fprintf(t.app.err, "%s: %v …\n", s.name, length)
	file := filepath.Join(t.out, name+".yaml")
	if err := errors.Join(os.MkdirAll(t.out, 0o755), os.WriteFile(file, []byte(scenarioOf("burning", []system{s}, length, systemsWarmup, t.seeds[0])), 0o644)); err != nil {
		return err
	}
	plan, err := t.app.load(file, overrides{seed: -1})
	if err != nil {
		return err
	}
	o, err := t.app.perform(ctx, plan, filepath.Join(t.out, name), runs.Real, nil, newView(plan, discard{}))
	if err != nil {
		return err
	}
	switch o.summary.Exit {
	case runs.ExitInterrupted, runs.ExitFailed:
		return o.failure()
	}
	v := verdict{name: s.card + " " + s.name, kind: runs.Real, seed: t.seeds[0]}
	p, err := s.pairUp(plan, o, false)
	if err != nil {
		return err
	}
	p.judgeReal(&v, 1)
	if v.verdict != notCertified {
		v.verdict = stat.Equivalence(v.diff, 0.02*v.exact+0.3e-3)
	}
	t.verdicts = append(t.verdicts, v)
	return nil
}

// tellClaims prints what was found of burning.
func (t *truth) tellClaims() {
	if len(t.claims) == 0 {
		return
	}
	w := tabwriter.NewWriter(t.app.out, 0, 4, 2, ' ', 0)
	fmt.Fprintln(w, "CASE\tWHAT\tASKED\tFOUND\tBOUND\tVERDICT")
	for _, c := range t.claims {
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\n", c.card, c.name, c.asked, c.found, c.rule, c.verdict)
	}
	_ = w.Flush()
	fmt.Fprintln(t.app.out)
}
