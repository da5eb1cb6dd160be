package report

import (
	"cmp"
	"math"
	"slices"
	"strings"

	"github.com/eve-emulation/eve/dsv"
	"github.com/eve-emulation/eve/fase/user"
)

// A setting is what was changed of a group of clients while the run went on.
type setting struct {
	name, unit string
	ys         []float64 // mean of each window
	changes    []float64 // when, in s
}

// maxChanges is how many changes of a setting are marked; what follows an expression may change all the time, and its line
// tells that.
const maxChanges = 12

// settings reads those of a group that were changed, in the order of their names.
func (r *reader) settings(group string) []setting {
	var out []setting
	for n, d := range r.declared {
		name, own := strings.CutPrefix(string(n), group+".")
		if !own || d.Merge != dsv.Last || !isSetting(name) {
			continue
		}
		s := setting{name: name, unit: d.Unit}
		last, known := 0.0, false
		r.each(n, func(d *dsv.Delta) {
			x, ok := d.Value.Number()
			if ok && known && x != last {
				s.changes = append(s.changes, d.T1.Sub(0).Seconds())
			}
			last, known = x, known || ok
		})
		if known && (len(s.changes) > 0 || !r.initial(n)) {
			s.ys = r.held(n, dsv.Instant(math.Round(r.data.end()*1e9)))
			out = append(out, s)
		}
	}
	slices.SortFunc(out, func(a, b setting) int { return cmp.Compare(a.name, b.name) })
	return out
}

// initial reports whether a variable was written before the run began: else what is known of it is a change.
func (r *reader) initial(n dsv.Name) bool {
	before := false
	r.each(n, func(d *dsv.Delta) { before = before || d.T1 <= 0 })
	return before
}

func isSetting(name string) bool {
	return slices.Contains([]string{user.RateSetting, user.UsersSetting, user.ThinkSetting, user.PatienceSetting}, name) ||
		strings.HasPrefix(name, user.WeightPrefix)
}

// changed draws what was changed of a group: a panel for each setting, and one for all weights.
func (d *Data) changed(g group) []panel {
	var panels []panel
	weights := -1
	for _, s := range g.settings {
		high := 0.0
		for _, y := range s.ys {
			if !math.IsNaN(y) {
				high = max(high, y)
			}
		}
		factor, unit := axis(s.unit, false, high)
		l := line{xs: d.grid.ends(), ys: scaled(s.ys, factor), color: hue(0), step: true, fill: true}
		if request, ok := strings.CutPrefix(s.name, user.WeightPrefix); ok {
			l.label, l.fill = shorten(request, 20), false
			if weights < 0 {
				weights = len(panels)
				panels = append(panels, panel{title: "Weights of requests", height: thinHeight})
			}
			p := &panels[weights]
			l.color, l.dashes = hue(len(p.lines)), dash(len(p.lines)/hues)
			p.lines = append(p.lines, l)
			continue
		}
		title := map[string]string{
			user.RateSetting: "Rate that was set", user.UsersSetting: "Users", user.ThinkSetting: "Think time, mean", user.PatienceSetting: "Patience",
		}[s.name]
		if unit != "" {
			title += " (" + unit + ")"
		}
		panels = append(panels, panel{title: title, height: thinHeight, lines: []line{l}})
	}
	for i := range panels {
		panels[i].fit()
	}
	return panels
}

// changeMarks are faint marks where a setting of a group was changed by no decision.
func (d *Data) changeMarks(g group, decisions []mark) []mark {
	const near = 0.15 // s: a decision is written before what it decides
	var ms []mark
	for _, s := range g.settings {
		if len(s.changes) > maxChanges {
			continue
		}
		for _, at := range s.changes {
			if !slices.ContainsFunc(decisions, func(m mark) bool { return math.Abs(m.at-at) < near }) {
				ms = append(ms, mark{at: at})
			}
		}
	}
	return ms
}
