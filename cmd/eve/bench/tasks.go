package bench

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/eve-emulation/eve/fase/report"
)

// S1 sweeps how many tasks are there at once. The published server had a thread for each task or a queue of events; a task
// read 8 KB that were in memory.
const s1Published = "threads: best at 8, 88 % lost by 1024; events: level"

func (x *contest) tasks(ctx context.Context, r *Report) error {
	engines := slices.DeleteFunc([]string{"threads-1to1", "threads", "reactors"}, func(n string) bool { return !slices.Contains(x.engines, n) })
	if len(engines) < 2 || len(x.cfg.Connections) > 0 {
		return nil // nothing to compare, or not asked for
	}
	done, err := x.open(ctx)
	defer done()
	if err != nil {
		return err
	}
	ws, done, err := x.servers(ctx, engines, nil)
	defer done()
	if err != nil {
		return err
	}
	counts := pick(x.cfg, []int{1, 8, 64, 512, 1024, 4096}, []int{1, 16})
	var heats []*heat
	for _, n := range counts {
		for _, w := range ws {
			heats = append(heats, &heat{server: w, request: rdrPost("reply 8KiB"), connections: n})
		}
	}
	x.cfg.say("S1: threads and events with %s tasks at once", joinInts(counts))
	if err := x.rounds(heats, pick(x.cfg, 5, 2), pick(x.cfg, 100*time.Millisecond, 10*time.Millisecond), pick(x.cfg, 250*time.Millisecond, 30*time.Millisecond)); err != nil {
		return err
	}
	x.reportTasks(r, ws, heats, counts)
	return nil
}

func (x *contest) reportTasks(r *Report, ws []*web, heats []*heat, counts []int) {
	t := &Table{
		Card: "S1", Title: "threads against events: tasks of 8 KiB, so many at once, each on a connection of its own", Head: "tasks/s",
		Also: []string{"tasks per CPU second", "÷ best", "p50", "p99"}, Published: "published",
		Note: "÷ best: tasks per CPU second over the most that the same server had at any number of them",
	}
	panel := report.ChartPanel{Title: "1000 tasks per CPU second", XLabel: "tasks at once", LogX: true, FormatX: func(v float64) string { return strconv.Itoa(int(v)) }}
	kept := map[string]Figure{}
	for _, w := range ws {
		s := report.ChartSeries{Label: w.name}
		best := find(heats, w.name, counts[0])
		for _, n := range counts {
			if l := find(heats, w.name, n); NewFigure(PerSecond, l.perCPU...).Value > NewFigure(PerSecond, best.perCPU...).Value {
				best = l
			}
		}
		for _, n := range counts {
			l := find(heats, w.name, n)
			perCPU := NewFigure(PerSecond, l.perCPU...)
			row := Row{Name: fmt.Sprintf("%s, %d", w.name, n), Ours: NewFigure(PerSecond, l.rate...), Also: []Figure{
				perCPU, l.against(best), NewFigure(Seconds, l.p50...), NewFigure(Seconds, l.p99...),
			}}
			if n == 1024 {
				row.Published = map[bool]string{true: "level", false: "−88 % from its best, at 8"}[w.name == "reactors"]
				kept[w.name] = l.against(best)
			}
			t.Rows = append(t.Rows, row)
			s.Xs, s.Ys = append(s.Xs, float64(n)), append(s.Ys, float64(perCPU.Value)/1e3)
		}
		panel.Series = append(panel.Series, s)
	}
	r.Tables = append(r.Tables, t)
	r.Charts = append(r.Charts, report.Chart{
		Name: "s1-tasks", Title: "S1: threads against events", Panels: []report.ChartPanel{panel},
		Caption: "Tasks of 8 KiB for a CPU second of the server, against how many there are at once. Published: " + s1Published + ".",
	})
	if f, ok := kept["reactors"]; ok {
		r.Shapes = append(r.Shapes, AtLeast("S1", "events at 1024 tasks over their best", f, 0.7))
	}
	if f, ok := kept["threads-1to1"]; ok {
		r.Shapes = append(r.Shapes, AtMost("S1", "a thread for each of 1024 tasks over its best", f, 0.9))
	}
}
