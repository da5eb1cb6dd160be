package report

import (
	"fmt"
	"math"
	"slices"
	"strings"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/vg/draw"

	"github.com/eve-emulation/eve/fase/runs"
	"github.com/eve-emulation/eve/fase/sweep"
)

// Bounds of what is drawn of a sweep.
const (
	maxSweptLines = hues // of one panel
	maxPanels     = 12   // of one figure
	maxPictures   = 12
)

// A swept is a sweep as it is drawn: which axis runs along x, which one makes the lines, or the rows of a heat map, and the combinations of
// all others, each of which has panels of its own.
type swept struct {
	*sweep.Table
	x, lines int // axes; lines may be -1
	others   []int
	xs       []float64 // where the values of x are
	combos   [][]int   // indices on the axes of others
	rows     map[string]*sweep.Row
}

// SweepPictures draws a sweep: the figures against what is varied, with intervals and with theory beside, and where two settings are varied,
// heat maps. There is none of a sweep whose every axis has one value.
func SweepPictures(t *sweep.Table) []Picture {
	s := newSwept(t)
	if s == nil {
		return nil
	}
	metrics := s.drawn()
	var ps []Picture
	for _, heat := range []bool{false, true} {
		if heat && s.lines < 0 {
			continue
		}
		if len(s.combos) == 1 {
			var panels []panel
			for _, m := range metrics {
				panels = append(panels, s.panel(m, s.combos[0], heat, s.title(m)))
			}
			ps = append(ps, s.pictures(panels, heat, "")...)
			continue
		}
		for _, m := range metrics[:min(len(metrics), 4)] {
			var panels []panel
			for _, c := range s.combos {
				panels = append(panels, s.panel(m, c, heat, s.comboLabel(c)))
			}
			ps = append(ps, s.pictures(panels, heat, s.title(m))...)
		}
	}
	return ps[:min(len(ps), maxPictures)]
}

func newSwept(t *sweep.Table) *swept {
	s := &swept{Table: t, x: -1, lines: -1, rows: map[string]*sweep.Row{}}
	var free []int
	for i, a := range t.Axes {
		if len(a.Values) > 1 {
			free = append(free, i)
		}
	}
	if len(free) == 0 || len(t.Rows) == 0 {
		return nil
	}
	s.x = sweep.Along(t.Axes)
	for _, i := range free {
		switch {
		case i == s.x:
		case s.lines < 0:
			s.lines = i
		default:
			s.others = append(s.others, i)
		}
	}
	for i := range t.Rows {
		s.rows[fmt.Sprint(t.Rows[i].At)] = &t.Rows[i]
	}
	for i, v := range t.Axes[s.x].Values {
		x := float64(i)
		if t.Axes[s.x].Numeric() {
			x = *v.Number
		}
		s.xs = append(s.xs, x)
	}
	s.combos = [][]int{{}}
	for _, i := range s.others {
		var next [][]int
		for _, c := range s.combos {
			for k := range t.Axes[i].Values {
				next = append(next, append(slices.Clone(c), k))
			}
		}
		s.combos = next
	}
	s.combos = s.combos[:min(len(s.combos), maxPanels)]
	return s
}

// row returns the point at a value of x, of the lines, and of the others.
func (s *swept) row(x, line int, combo []int) *sweep.Row {
	at := make([]int, len(s.Axes))
	at[s.x] = x
	if s.lines >= 0 {
		at[s.lines] = line
	}
	for i, k := range combo {
		at[s.others[i]] = k
	}
	return s.rows[fmt.Sprint(at)]
}

// drawn are the metrics that are drawn: of the usual ones those that tell most, and errors where there are some.
func (s *swept) drawn() []int {
	var out []int
	for i, m := range s.Metrics {
		switch m.Figure {
		case sweep.P50, sweep.Expect:
			continue
		case sweep.Errors:
			if !slices.ContainsFunc(s.Rows, func(r sweep.Row) bool { return r.Cells[i].Value > 0 }) {
				continue
			}
		}
		out = append(out, i)
	}
	return out[:min(len(out), maxPanels)]
}

// title is that of a metric's panel, with its unit.
func (s *swept) title(i int) string {
	m := s.Metrics[i]
	who := shorten(m.Group, 24)
	switch m.Figure {
	case sweep.Throughput:
		return "Throughput of " + who + " (1/s)"
	case sweep.Errors:
		return "Errors of " + who
	case sweep.Mean:
		return "Mean response time of " + who
	case sweep.P50, sweep.P95, sweep.P99:
		return "Response time " + string(m.Figure) + " of " + who
	case sweep.Busiest:
		return "Utilisation of the busiest resource"
	case sweep.Expect:
		return "Expectations hold"
	}
	if m.Unit != "" && m.Unit != "1" && m.Unit != "s" {
		return shorten(m.Name, 44) + " (" + m.Unit + ")"
	}
	return shorten(m.Name, 48)
}

func (s *swept) comboLabel(c []int) string {
	parts := make([]string, len(c))
	for i, k := range c {
		a := s.Axes[s.others[i]]
		parts[i] = a.Short() + " " + a.Values[k].Label()
	}
	return shorten(strings.Join(parts, ", "), 48)
}

// lineValues are the values of the axis of lines that are drawn: all, or some of many, spread evenly.
func (s *swept) lineValues() []int {
	if s.lines < 0 {
		return []int{0}
	}
	n := len(s.Axes[s.lines].Values)
	k := min(n, maxSweptLines)
	out := make([]int, k)
	for i := range out {
		out[i] = i * (n - 1) / max(k-1, 1)
	}
	return out
}

// pictures lays panels out in two columns; of a metric where of is not empty.
func (s *swept) pictures(panels []panel, heat bool, of string) []Picture {
	if len(panels) == 0 {
		return nil
	}
	columns := min(2, len(panels))
	f := &figure{title: s.heading(of), xLabel: s.xName()}
	for i := 0; i < len(panels); i += columns {
		row := panels[i:min(i+columns, len(panels))]
		for len(row) < columns {
			row = append(slices.Clone(row), panel{height: row[0].height, blank: true})
		}
		f.rows = append(f.rows, row)
	}
	s.along(f, heat)
	name, caption := "sweep", s.lineCaption()
	if heat {
		name, caption = "heat", fmt.Sprintf("Rows are %s. The darker a cell, the greater its figure; ×: overloaded, as theory says; grey: not known.", s.Axes[s.lines].Name())
	} else {
		f.legend = s.legend()
	}
	if of != "" {
		name = strings.Trim(strings.Join(strings.FieldsFunc(fileName(name, of), func(r rune) bool { return r == '_' }), "_"), "_")
	}
	return []Picture{f.picture(name, caption)}
}

func (s *swept) heading(of string) string {
	text := shorten(s.Name, 40) + " over "
	names := []string{s.Axes[s.x].Name()}
	if s.lines >= 0 {
		names = append(names, s.Axes[s.lines].Name())
	}
	text += shorten(strings.Join(names, " and "), 70)
	if of != "" {
		text = of + ": " + text
	}
	return text
}

func (s *swept) xName() string {
	a := s.Axes[s.x]
	if unit := strings.TrimPrefix(a.Unit, "/"); a.Unit != "" && a.Unit != "1" {
		if unit != a.Unit {
			unit = "1/" + unit
		}
		return a.Name() + " (" + unit + ")"
	}
	return a.Name()
}

// along sets the x axis: numbers where they are, other values and heat maps at places of equal width.
func (s *swept) along(f *figure, heat bool) {
	a := s.Axes[s.x]
	if heat || !a.Numeric() {
		f.from, f.to = -0.5, float64(len(a.Values))-0.5
		f.warmup = f.from // there is none
		for i, v := range a.Values {
			label := shorten(v.Label(), 14)
			if len(a.Values) > 12 && i%(len(a.Values)/12+1) != 0 {
				label = ""
			}
			f.xTicks = append(f.xTicks, plot.Tick{Value: float64(i), Label: label})
		}
		return
	}
	low, high := slices.Min(s.xs), slices.Max(s.xs)
	if low > 0 && high > 30*low {
		f.xLog, f.from, f.to = true, low/1.15, high*1.15
		f.warmup = f.from
		f.xTicks = logTicks(f.from, f.to, plain)
		return
	}
	room := (high - low) * 0.04
	f.from, f.to = low-room, high+room
	f.warmup = f.from
	f.xTicks = linearTicks(low, high, 6, plain)
}

func (s *swept) legend() []entry {
	var es []entry
	what := "measured"
	if s.Kind == runs.Virtual {
		what = "simulated"
	}
	if s.lines < 0 {
		es = append(es, entry{label: what, color: hue(0)})
	} else {
		a := s.Axes[s.lines]
		for n, v := range s.lineValues() {
			es = append(es, entry{label: shorten(a.Short()+" "+a.Values[v].Label(), 30), color: hue(n), area: true})
		}
	}
	theory, over := false, false
	for _, r := range s.Rows {
		over = over || r.Unstable != ""
		for _, c := range r.Cells {
			theory = theory || !math.IsNaN(float64(c.Theory))
		}
	}
	if theory {
		e := entry{label: "theory", color: hue(1), dashes: dash(1)}
		if s.lines >= 0 {
			e.color = ink()
		}
		es = append(es, e)
	}
	if over {
		es = append(es, entry{label: "overloaded, as theory says", color: ink(), glyph: draw.CrossGlyph{}})
	}
	return es
}

func (s *swept) lineCaption() string {
	how := "Figures against what is varied."
	switch {
	case len(s.Seeds) > 1:
		how += fmt.Sprintf(" Points are means over %d seeds, bars their intervals at %g %%.", len(s.Seeds), 100*sweep.Confidence)
	default:
		how += " Bars are intervals of the one run, by batches, where it tells one."
	}
	return how
}
