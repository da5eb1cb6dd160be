package app

import (
	"fmt"
	"math"
	"strings"

	"github.com/eve-emulation/eve/fase/find"
)

// Size of the picture of a search, in characters.
const (
	pictureHeight = 12
	pictureLabel  = 9
)

// pictureOf draws what the probes of a search measured over the load that they tried, both on logarithmic scales, with the
// limit as a line: ● holds, ○ inconclusive, × does not hold. columns is the width of the terminal; 0 elsewhere.
func pictureOf(trials []find.Trial, a find.Answer, l find.Limit, unit string, columns int) []string {
	if columns <= 0 {
		columns = 80
	}
	width := min(columns, 100) - pictureLabel - 2
	low, high, bottom, top := math.Inf(1), 0.0, l.Bound/2, l.Bound*2
	shown := 0
	for _, t := range trials {
		low, high = min(low, t.Load), max(high, t.Load)
		if y := metricOf(t); y > 0 && !math.IsInf(y, 1) {
			bottom, top = min(bottom, y), max(top, y)
			shown++
		}
	}
	if width < 20 || shown < 2 || !(high > low) {
		return nil
	}
	bottom, top = max(bottom, l.Bound/100), min(top, l.Bound*100)
	rows := make([][]rune, pictureHeight)
	line := func(y float64) int {
		at := (math.Log(min(max(y, bottom), top)) - math.Log(bottom)) / (math.Log(top) - math.Log(bottom))
		return pictureHeight - 1 - int(math.Round(at*(pictureHeight-1)))
	}
	column := func(x float64) int {
		return int(math.Round((math.Log(x) - math.Log(low)) / (math.Log(high) - math.Log(low)) * float64(width-1)))
	}
	for i := range rows {
		rows[i] = []rune(strings.Repeat(" ", width))
		if i == line(l.Bound) {
			rows[i] = []rune(strings.Repeat("┄", width))
		}
	}
	for _, t := range trials {
		y := metricOf(t)
		if math.IsNaN(y) {
			continue
		}
		rows[line(max(y, bottom))][column(t.Load)] = markOf(t)
	}
	out := []string{""}
	for i, r := range rows {
		label := ""
		switch i {
		case line(l.Bound):
			label = figure(l, l.Bound)
		case 0:
			label = figure(l, top)
		case pictureHeight - 1:
			label = figure(l, bottom)
		}
		out = append(out, fmt.Sprintf("%*s │%s", pictureLabel, label, strings.TrimRight(string(r), " ")))
	}
	out = append(out, fmt.Sprintf("%*s └%s", pictureLabel, "", strings.Repeat("─", width)))
	left, right := loadText(low, unit), loadText(high, unit)
	axis := []rune(strings.Repeat(" ", width))
	copy(axis, []rune(left))
	copy(axis[width-len([]rune(right)):], []rune(right))
	if a.Load > low && a.Load < high {
		text := []rune("▲ " + loadText(a.Load, unit))
		if at := column(a.Load); at > len([]rune(left))+1 && at+len(text)+1 < width-len([]rune(right)) {
			copy(axis[at:], text)
		} else if from := at - len(text) + 1; from > len([]rune(left)) && at < width-len([]rune(right))-1 {
			copy(axis[from:], []rune(loadText(a.Load, unit)+" ▲"))
		}
	}
	out = append(out, fmt.Sprintf("%*s  %s", pictureLabel, "", string(axis)))
	return append(out, fmt.Sprintf("%*s  %s over the load: ● holds  ○ inconclusive  × does not", pictureLabel, "", l.Name()), "")
}

// metricOf is the metric of the first limit, as a probe measured it; NaN where it did not.
func metricOf(t find.Trial) float64 {
	if len(t.Evidence) == 0 {
		return math.NaN()
	}
	return t.Evidence[0].Value
}

func markOf(t find.Trial) rune {
	switch t.Verdict {
	case find.Pass:
		return '●'
	case find.Fail:
		return '×'
	}
	return '○'
}
