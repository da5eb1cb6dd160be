package report

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/eve-emulation/eve/dsv"
	"github.com/eve-emulation/eve/fase/runs"
)

// topic reads the history of what a topic draws.
func (r *reader) topic(t topic) topic {
	gone := ends(r.data.events)
	for _, n := range t.names {
		name, s := dsv.Name(n), series{label: owner(n)}
		switch t.told {
		case distribution:
			s.lines = r.samples(name)
		case rate:
			s.lines = [][]float64{r.rate(name)}
		case level:
			until, ok := gone[owner(n)]
			if !ok {
				until = r.data.end()
			}
			s.lines = [][]float64{r.level(name, dsv.Instant(until*1e9))}
		}
		t.series = append(t.series, s)
	}
	return t
}

// samples are p50 and p95 in each window; of a variable that keeps the samples of its last seconds, at its end.
func (r *reader) samples(n dsv.Name) [][]float64 {
	if r.declared[n].Merge == dsv.Hists {
		lines, _ := r.quantiles(n, 0.5, 0.95)
		return lines
	}
	lines := [][]float64{r.nowhere(), r.nowhere()}
	r.each(n, func(d *dsv.Delta) {
		if i := r.data.grid.index(d.T1); i >= 0 {
			lines[0][i], lines[1][i] = d.Value.Hist.Quantile(0.5), d.Value.Hist.Quantile(0.95)
		}
	})
	return lines
}

// nowhere is a series without a value.
func (r *reader) nowhere() []float64 {
	xs := make([]float64, r.data.grid.n)
	for i := range xs {
		xs[i] = math.NaN()
	}
	return xs
}

// level is the value of a variable that is no sum in each window, by its rule; NaN where it is not known.
func (r *reader) level(n dsv.Name, until dsv.Instant) []float64 {
	switch rule := r.declared[n].Merge; rule {
	case dsv.Mean:
		return r.mean(n)
	case dsv.Min, dsv.Max:
		xs := r.nowhere()
		r.each(n, func(d *dsv.Delta) {
			x, ok := d.Value.Number()
			i := r.data.grid.index(d.T1)
			if ok && i >= 0 && (math.IsNaN(xs[i]) || rule == dsv.Min && x < xs[i] || rule == dsv.Max && x > xs[i]) {
				xs[i] = x
			}
		})
		return xs
	}
	return r.held(n, until)
}

// held is the mean of values of which each holds until the next one, the last one until an instant.
func (r *reader) held(n dsv.Name, until dsv.Instant) []float64 {
	areas, weights := make([]float64, r.data.grid.n), make([]float64, r.data.grid.n)
	var since dsv.Instant
	value := math.NaN()
	hold := func(to dsv.Instant) {
		if math.IsNaN(value) || to <= since {
			return
		}
		r.data.grid.spread(&dsv.Delta{T0: since, T1: to}, func(i int, share float64) {
			seconds := share * to.Sub(since).Seconds()
			areas[i] += value * seconds
			weights[i] += seconds
		})
	}
	r.each(n, func(d *dsv.Delta) {
		if x, ok := d.Value.Number(); ok {
			hold(min(d.T1, until))
			value, since = x, d.T1
		}
	})
	hold(until)
	for i := range areas {
		if areas[i] /= weights[i]; weights[i] == 0 {
			areas[i] = math.NaN()
		}
	}
	return areas
}

// measured shows what modules measured; ok is false when there is nothing to show.
func (d *Data) measured() (p Picture, ok bool) {
	if len(d.topics) == 0 {
		return Picture{}, false
	}
	var rows [][]panel
	shown, cut := 0, false
	for _, t := range d.topics {
		rows = append(rows, []panel{d.panel(t)})
		shown += len(t.names)
		cut = cut || len(t.names) < t.all
	}
	f := d.timed(d.Summary.Scenario+": what modules measured", rows)
	caption := fmt.Sprintf("What modules measured, in windows of %s: counts and sums per second, quantiles of samples, means of everything else.", duration(d.Width.Seconds()))
	if cut {
		caption += fmt.Sprintf(" Of each kind the %d that come to most are shown.", maxLines)
	}
	if all := len(d.Summary.Variables); shown < all {
		caption += fmt.Sprintf(" %d of %d variables are drawn; the others are in the table.", shown, all)
	}
	return f.picture("modules", caption+d.markCaption()+d.warmCaption()), true
}

// panel draws a topic.
func (d *Data) panel(t topic) panel {
	high := 0.0
	for _, s := range t.series {
		for _, ys := range s.lines {
			for _, y := range ys {
				if math.Abs(y) > high {
					high = math.Abs(y)
				}
			}
		}
	}
	factor, unit := axis(t.unit, t.told == rate, high)
	what := readable(t.leaf)
	if len(t.series) == 1 && t.series[0].label != t.names[0] {
		what += " of " + shorten(t.series[0].label, 30)
	}
	if t.told == distribution && len(t.series) > 1 {
		what += ", p95 and dashed p50"
	}
	if unit != "" {
		what += " (" + unit + ")"
	}
	p := panel{title: what, height: thinHeight + 14}
	for _, s := range t.series {
		label, i := s.label, d.moduleHue(s.label)
		if len(t.series) == 1 {
			label = ""
		}
		switch t.told {
		case distribution:
			low := line{xs: d.grid.middles(), ys: scaled(s.lines[0], factor), color: hue(i), dashes: dash(1), width: 0.9}
			main := line{label: label, xs: d.grid.middles(), ys: scaled(s.lines[1], factor), color: hue(i)}
			if len(t.series) == 1 {
				low.label, low.color, low.dashes, low.width, main.label, main.color = "p50", hue(5), nil, 0, "p95", hue(0)
			}
			p.lines = append(p.lines, low, main)
		default:
			p.lines = append(p.lines, line{
				label: label, xs: d.grid.ends(), ys: scaled(s.lines[0], factor), color: hue(i), dashes: dash(i / hues), step: true, fill: len(t.series) == 1,
			})
		}
	}
	p.fit()
	return p
}

// moduleHue is a module's colour in all panels.
func (d *Data) moduleHue(name string) int {
	var all []string
	for _, t := range d.topics {
		for _, s := range t.series {
			if len(t.series) > 1 && !slices.Contains(all, s.label) {
				all = append(all, s.label)
			}
		}
	}
	slices.SortFunc(all, runs.CompareNames)
	return max(0, slices.Index(all, name))
}

// axis scales values of a unit to where they read best, the greatest being high, and names the unit of that.
func axis(unit string, perSecond bool, high float64) (factor float64, name string) {
	factor, name = 1, clean(unit)
	switch unit {
	case "1", "":
		if name = ""; perSecond {
			name = "1"
		}
	case "s":
		if !perSecond {
			return unitFor(high)
		}
	case "B":
		for _, u := range []string{"KiB", "MiB", "GiB", "TiB"} {
			if high*factor < 1024 {
				break
			}
			factor, name = factor/1024, u
		}
	}
	if perSecond {
		name += "/s"
	}
	return factor, shorten(name, 16)
}

// readable makes words of the name of a variable.
func readable(name string) string {
	s := strings.NewReplacer("_", " ", ".", " ").Replace(name)
	first, n := utf8.DecodeRuneInString(s)
	return shorten(string(unicode.ToUpper(first))+s[n:], 40)
}
