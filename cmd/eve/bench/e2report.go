package bench

import (
	"context"
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/eve-emulation/eve/dmm"
	"github.com/eve-emulation/eve/dsv"
	"github.com/eve-emulation/eve/fase/report"
	"github.com/eve-emulation/eve/fase/stat"
)

// The settings of E2's table, by trigger.
const (
	e2Period = 20 * time.Millisecond
	e2Count  = 100
)

func (x *e2) run(ctx context.Context, r *Report) error {
	updates := pick(x.cfg, 100_000, 3000)
	x.cfg.say("E2: %d updates under every trigger and manipulator", updates)
	x.sweep = map[string][]point{}
	if err := x.runWrites(ctx, updates); err != nil {
		return err
	}
	cells := x.everyCells(e2Period, updates)
	if err := x.runEvery(ctx, cells, pick(x.cfg, 4*time.Second, 300*time.Millisecond)); err != nil {
		return err
	}
	x.cells = append(cells, x.cells...)
	if err := x.runPeriods(ctx); err != nil {
		return err
	}
	x.report(r)
	return nil
}

// runWrites runs all cells whose triggers fire at writes, and the sweeps of their settings.
func (x *e2) runWrites(ctx context.Context, updates int) error {
	k, err := x.cfg.openKernel(ctx, opening{})
	if err != nil {
		return err
	}
	defer k.stop()
	var clients []*client
	for range writers + 1 {
		c, err := k.dial(ctx)
		if err != nil {
			return err
		}
		defer c.close()
		clients = append(clients, c)
	}
	for _, kind := range []string{"count", "change", "threshold"} {
		for _, m := range manipulators() {
			c := writeCell(kind, m, 0, updates)
			if c.spec.Check() != nil {
				continue // records have no level
			}
			if err := x.runCell(ctx, c, clients[:writers], clients[writers]); err != nil {
				return err
			}
			x.cells = append(x.cells, c)
		}
	}
	for kind, settings := range map[string][]float64{"count": {1, 10, 100, 1000}, "change": {1, 2, 5, 10, 20}} {
		m, err := dmm.Shipped().Lookup(map[string]string{"count": "sum", "change": "last"}[kind])
		if err != nil {
			return err
		}
		for _, s := range settings {
			c := writeCell(kind, m, s, updates/pick(x.cfg, 10, 3))
			c.spec.Name = dsv.Name(fmt.Sprintf("bench.sweep_%s_%.0f", kind, s))
			if err := x.runCell(ctx, c, clients[:writers], clients[writers]); err != nil {
				return err
			}
			x.sweep[kind] = append(x.sweep[kind], pointOf(s, c.errors))
			x.cells = append(x.cells, c)
		}
	}
	return nil
}

// runPeriods sweeps the period of a time trigger: all periods at once.
func (x *e2) runPeriods(ctx context.Context) error {
	m, err := dmm.Shipped().Lookup("count")
	if err != nil {
		return err
	}
	var cells []*cell
	for _, ms := range []float64{5, 10, 20, 50, 100} {
		c := newCell("every", m, ms/1000, pick(x.cfg, 20_000, 600))
		c.spec.Name = dsv.Name(fmt.Sprintf("bench.sweep_every_%.0f", ms))
		c.spec.Sync = dmm.Trigger{Every: time.Duration(ms) * time.Millisecond}
		cells = append(cells, c)
	}
	if err := x.runEvery(ctx, cells, pick(x.cfg, 3*time.Second, 300*time.Millisecond)); err != nil {
		return err
	}
	for _, c := range cells {
		x.sweep["every"] = append(x.sweep["every"], pointOf(c.setting, c.ages))
		x.cells = append(x.cells, c)
	}
	return nil
}

func pointOf(setting float64, found []float64) point {
	s := slices.Sorted(slices.Values(found))
	return point{setting: setting, worst: stat.Quantile(s, 1), median: stat.Quantile(s, 0.5)}
}

// writeCell makes a cell whose trigger fires at writes; setting 0 takes the table's.
func writeCell(kind string, m dmm.Manipulator, setting float64, updates int) *cell {
	rising := m.Merge == dsv.Sum // the others follow a walk of some tens
	switch {
	case setting > 0:
	case kind == "count":
		setting = e2Count
	case kind == "change" && rising:
		setting = 100
	case kind == "change":
		setting = 5
	case rising:
		setting = float64(updates) / 2 // crossed once
	case m.Merge == dsv.Mean:
		setting = 1
	}
	c := newCell(kind, m, setting, updates)
	switch kind {
	case "count":
		c.spec.Sync.Count = int(setting)
	case "change":
		c.spec.Sync.Change = setting
	default:
		c.spec.Sync.Above, c.spec.Sync.Below = &setting, &setting
	}
	return c
}

// bound tells what was asserted of the cell.
func (c *cell) bound() string {
	switch {
	case c.kind == "every":
		return fmt.Sprintf("age ≤ %v + one synchronisation", time.Duration(c.setting*1e9))
	case c.kind == "count":
		return fmt.Sprintf("missing < %.0f", c.setting)
	case !c.running():
		return "acknowledged is there"
	case c.kind == "change":
		return fmt.Sprintf("|shadow − kernel| < %.0f", c.setting)
	}
	return fmt.Sprintf("same side of %.0f", c.setting)
}

// worst is the greatest age or error that was found.
func (c *cell) worst() Figure {
	if c.kind == "every" {
		return NewFigure(Seconds, stat.Quantile(slices.Sorted(slices.Values(c.ages)), 1))
	}
	if len(c.errors) == 0 {
		return NewFigure(One)
	}
	return NewFigure(One, slices.Max(c.errors))
}

func (c *cell) median() Figure {
	if c.kind == "every" {
		return NewFigure(Seconds, stat.Quantile(slices.Sorted(slices.Values(c.ages)), 0.5))
	}
	if len(c.errors) == 0 {
		return NewFigure(One)
	}
	return NewFigure(One, stat.Quantile(slices.Sorted(slices.Values(c.errors)), 0.5))
}

func (x *e2) report(r *Report) {
	t := &Table{
		Card: "E2", Title: "consistency under a DMM: age or error of the kernel's value", Head: "worst",
		Also: []string{"p50", "updates", "synchronised", "checks", "broken", "lost"}, Published: "bound (figures lost)",
		Note: "every: age just before a synchronisation; count: updates missing at one of three writers; change, threshold: |shadow − kernel|, three goroutines of one writer",
	}
	type tally struct{ broken, checks, lost, updates int }
	byKind := map[string]*tally{}
	kinds := []string{"every", "count", "change", "threshold"}
	for _, kind := range kinds {
		sum := &tally{}
		byKind[kind] = sum
		for _, c := range x.cells {
			if c.kind != kind {
				continue
			}
			sum.broken, sum.checks = sum.broken+c.broken, sum.checks+c.checks
			sum.lost, sum.updates = sum.lost+c.lost, sum.updates+c.updates
			t.Rows = append(t.Rows, Row{
				Name: c.name(), Ours: c.worst(), Published: c.bound(),
				Also: []Figure{c.median(), whole(c.updates), whole(c.syncs), whole(c.checks), whole(c.broken), whole(c.lost)},
			})
		}
	}
	r.Tables = append(r.Tables, t)
	claims := map[string]string{
		"every":     "the kernel's value is no older than the period and one synchronisation",
		"count":     "fewer updates than the count are missing at the kernel",
		"change":    "shadow and kernel differ by less than the change",
		"threshold": "shadow and kernel are on one side of the threshold",
	}
	lost, updates := 0, 0
	for _, kind := range kinds {
		s := byKind[kind]
		r.Shapes = append(r.Shapes, Always("E2", claims[kind], s.broken, s.checks))
		lost, updates = lost+s.lost, updates+s.updates
	}
	r.Shapes = append(r.Shapes, Always("E2", "every update is counted once in the end", lost, updates))
	r.Charts = append(r.Charts, x.chart())
}

func whole(n int) Figure { return NewFigure(One, float64(n)) }

func (x *e2) chart() report.Chart {
	panel := func(kind, title, label string, unit Unit) report.ChartPanel {
		p := report.ChartPanel{Title: title, XLabel: label, LogX: true, LogY: true, FormatX: unit.text, FormatY: unit.text}
		worst, median, bound := report.ChartSeries{Label: "worst"}, report.ChartSeries{Label: "median"}, report.ChartSeries{Label: "the setting itself", Bound: true}
		ps := slices.SortedFunc(slices.Values(x.sweep[kind]), func(a, b point) int { return int(math.Copysign(1, a.setting-b.setting)) })
		for _, q := range ps {
			for s, y := range map[*report.ChartSeries]float64{&worst: q.worst, &median: q.median, &bound: q.setting} {
				s.Xs, s.Ys = append(s.Xs, q.setting), append(s.Ys, y)
			}
		}
		p.Series = []report.ChartSeries{worst, median, bound}
		return p
	}
	return report.Chart{
		Name: "e2-consistency", Title: "E2  Consistency under a DMM against the trigger's setting",
		Caption: "What the kernel lacks grows with the setting, and stays below it; an age adds one synchronisation.",
		Panels: []report.ChartPanel{
			panel("every", "age of the kernel's value", "every", Seconds),
			panel("count", "updates missing, of one writer", "count", One),
			panel("change", "|shadow − kernel|", "change", One),
		},
	}
}
