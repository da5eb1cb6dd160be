package bench

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"strconv"
	"strings"
)

// weigh measures the memory of each server's process, and of the kernel, for an idle connection: as the slope between two
// numbers of them, so that what a process needs anyway counts nothing.
func (x *idlers) weigh(ctx context.Context, r *Report) error {
	x.cfg.say("A6: memory of idle connections")
	t := &Table{
		Card: "A6", Title: "memory of an idle connection, as the slope between two numbers of them", Head: "server's process",
		Also: []string{"kernel's slab, both ends", "process before", "up to"},
		Note: "anonymous pages in RAM of the process; a server in Go is asked to give back what it does not use; each round has a new process; the slab is that of the whole machine, which keeps for the next what one has freed: its greatest figure counts",
	}
	rounds := pick(x.cfg, 3, 1)
	for _, w := range x.ws {
		fewer, more := pick(x.cfg, 1000, 100), pick(x.cfg, MostIdle, 300)
		if w.name == "threads-1to1" { // a Go process has at most 10 000 threads
			more = min(more, 5000)
		}
		var process, slab, base []float64
		for range rounds {
			m, err := x.slopeOf(ctx, w, fewer, more)
			if err != nil {
				return err
			}
			process, slab, base = append(process, m.process), append(slab, m.slab), append(base, m.base)
		}
		t.Rows = append(t.Rows, Row{Name: w.name, Ours: NewFigure(Bytes, process...), Also: []Figure{
			NewFigure(Bytes, slab...), NewFigure(Bytes, base...), NewFigure(One, float64(more)),
		}})
		if w.name == "reactors" || w.name == "uring" {
			r.Shapes = append(r.Shapes, goal(AtMost("A6", w.name+": memory of its process for an idle connection", NewFigure(Bytes, process...), 150)))
		}
	}
	r.Tables = append(r.Tables, t)
	return nil
}

// A weight is bytes: for each connection, and what the process had before.
type weight struct{ process, slab, base float64 }

// slopeOf measures a new process of the same server, which has had no connection.
func (x *idlers) slopeOf(ctx context.Context, w *web, fewer, more int) (weight, error) {
	fresh, err := x.cfg.openWeb(ctx, w.name, w.peer)
	if err != nil {
		return weight{}, err
	}
	defer fresh.stop()
	return x.slope(ctx, fresh, fewer, more)
}

func (x *idlers) slope(ctx context.Context, w *web, fewer, more int) (m weight, err error) {
	at := func(n int) (process, slab float64, err error) {
		if err := x.hold(ctx, w, n); err != nil {
			return 0, 0, err
		}
		if err := w.settle(); err != nil {
			return 0, 0, err
		}
		if process, err = residentBytes(w.pid); err != nil {
			return 0, 0, err
		}
		if slab, err = kernelMemory("Slab"); err != nil {
			return 0, 0, err
		}
		return process, slab, allAlive(x.holder, w, n)
	}
	p0, s0, err := at(fewer)
	if err != nil {
		return m, err
	}
	p1, s1, err := at(more)
	if err != nil {
		return m, err
	}
	n := float64(more - fewer)
	return weight{process: (p1 - p0) / n, slab: (s1 - s0) / n, base: p0}, x.let(ctx, w)
}

// kernelMemory is a line of /proc/meminfo in bytes.
func kernelMemory(name string) (float64, error) {
	f, err := os.Open("/proc/meminfo")
	if err != nil {
		return 0, err
	}
	defer f.Close()
	lines := bufio.NewScanner(f)
	for lines.Scan() {
		if rest, ok := strings.CutPrefix(lines.Text(), name+":"); ok {
			kb, err := strconv.ParseFloat(strings.Fields(rest)[0], 64)
			if err != nil {
				return 0, fmt.Errorf("%s in /proc/meminfo: %w", name, err)
			}
			return kb * 1024, nil
		}
	}
	return 0, fmt.Errorf("/proc/meminfo tells no %s", name)
}
