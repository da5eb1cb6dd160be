package sweep

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
)

// ParseAxis reads PATH=VALUES, where VALUES is one of
//
//	1..8                      whole numbers, or steps of 1
//	20/s..95/s step 15/s      steps of 15/s; the unit may stand once, behind the last number
//	10..10000 times 10        each ten times the one before
//	[100, 200, 400]/s         a list; a unit behind it is that of each of its numbers
//	[1..4, 8, full, {0s: 1/s}] ranges and any YAML in a list
//
// A range ends at its last value at most, and may fall.
func ParseAxis(text string) (Axis, error) {
	path, values, ok := strings.Cut(text, "=")
	path = strings.TrimSpace(path)
	if !ok || path == "" || strings.TrimSpace(values) == "" {
		return Axis{}, errors.New("want PATH=FROM..TO or PATH=[A, B, C]")
	}
	texts, err := spread(strings.TrimSpace(values))
	if err != nil {
		return Axis{}, fmt.Errorf("%s: %w", path, err)
	}
	return newAxis([]string{path}, each(texts))
}

// each makes rows of one cell.
func each(texts []string) [][]string {
	rows := make([][]string, len(texts))
	for i, t := range texts {
		rows[i] = []string{t}
	}
	return rows
}

// newAxis makes an axis of what its paths are set to, row by row.
func newAxis(paths []string, rows [][]string) (Axis, error) {
	a := Axis{Paths: paths}
	seen := map[string]bool{}
	for _, r := range rows {
		v := Value{Texts: r}
		key := strings.Join(r, "\x00")
		if seen[key] {
			return Axis{}, fmt.Errorf("%s: %s stands twice", a.Name(), v.Label())
		}
		seen[key] = true
		a.Values = append(a.Values, v)
	}
	if len(a.Values) > MaxPoints {
		return Axis{}, fmt.Errorf("%s: %w: at most %d", a.Name(), ErrTooMany, MaxPoints)
	}
	a.place()
	return a, nil
}

// place gives each value its number, where all are numbers of one dimension: in the unit that all are written in, else in base units.
func (a *Axis) place() {
	if len(a.Paths) != 1 {
		return
	}
	var written []decimal
	var base []float64
	unit, dimension := "", ""
	common := true
	for i, v := range a.Values {
		d, err := parseDecimal(v.Texts[0])
		if err != nil {
			return
		}
		x, dim, err := d.base()
		if err != nil || i > 0 && dim != dimension {
			return
		}
		common = common && (i == 0 || d.unit == unit)
		written, base, unit, dimension = append(written, d), append(base, x), d.unit, dim
	}
	for i := range a.Values {
		a.Values[i].Number = number(base[i])
		if common {
			a.Values[i].Number = number(written[i].value)
		}
	}
	if a.Unit = unit; !common {
		a.Unit = dimension
	}
}

// spread reads the values of an axis.
func spread(text string) ([]string, error) {
	if !strings.HasPrefix(text, "[") {
		items, isRange, err := ranged(text, "")
		if err == nil && !isRange {
			err = fmt.Errorf("%s is one value: want FROM..TO or [A, B, C]; one value is set by --set", clip(text))
		}
		return items, err
	}
	end := closing(text)
	if end < 0 {
		return nil, fmt.Errorf("%s: a bracket is not closed", clip(text))
	}
	unit := strings.TrimSpace(text[end+1:])
	var out []string
	for _, item := range split(text[1:end]) {
		if item = strings.TrimSpace(item); item == "" {
			return nil, fmt.Errorf("%s: a value is missing between commas", clip(text))
		}
		items, isRange, err := ranged(item, unit)
		if err != nil {
			return nil, err
		}
		if !isRange {
			if unit != "" {
				d, err := parseDecimal(item)
				if err != nil || d.unit != "" {
					return nil, fmt.Errorf("%s: %s stands behind a list of which %s is no plain number", clip(text), clip(unit), clip(item))
				}
			}
			items = []string{item + unit}
		}
		if out = append(out, items...); len(out) > MaxPoints {
			return nil, fmt.Errorf("%w: at most %d", ErrTooMany, MaxPoints)
		}
	}
	return out, nil
}

// closing returns where the bracket at the start of a text is closed; -1: nowhere. Brackets in quotes do not count.
func closing(text string) int {
	depth := 0
	var quote rune
	for i, r := range text {
		switch {
		case quote != 0:
			if r == quote {
				quote = 0
			}
		case r == '"' || r == '\'':
			quote = r
		case r == '[' || r == '{':
			depth++
		case r == ']' || r == '}':
			if depth--; depth == 0 {
				return i
			}
		}
	}
	return -1
}

// split parts a list at its commas; those within brackets and quotes are part of a value.
func split(text string) []string {
	var out []string
	depth, from := 0, 0
	var quote rune
	for i, r := range text {
		switch {
		case quote != 0:
			if r == quote {
				quote = 0
			}
		case r == '"' || r == '\'':
			quote = r
		case r == '[' || r == '{':
			depth++
		case r == ']' || r == '}':
			depth--
		case r == ',' && depth == 0:
			out, from = append(out, text[from:i]), i+1
		}
	}
	return append(out, text[from:])
}

// ranged reads FROM..TO [step S | times F], whose unit may stand behind it all; isRange is false for what is no range.
func ranged(text, unit string) (items []string, isRange bool, err error) {
	left, right, ok := strings.Cut(text, "..")
	if _, err := parseDecimal(strings.TrimSpace(left)); !ok || err != nil {
		return nil, false, nil
	}
	fields := strings.Fields(right)
	if len(fields) != 1 && len(fields) != 3 || len(fields) == 3 && fields[1] != "step" && fields[1] != "times" {
		return nil, true, fmt.Errorf("%s: want FROM..TO, FROM..TO step S or FROM..TO times F", clip(text))
	}
	var xs []decimal
	for _, part := range append([]string{left}, fields...) {
		if part == "step" || part == "times" {
			continue
		}
		d, err := parseDecimal(strings.TrimSpace(part))
		if err != nil {
			return nil, true, fmt.Errorf("%s: %w", clip(text), err)
		}
		xs = append(xs, d)
	}
	times := len(fields) == 3 && fields[1] == "times"
	if times && xs[2].unit != "" {
		return nil, true, fmt.Errorf("%s: a factor has no unit", clip(text))
	}
	if unit, err = oneUnit(xs, unit); err != nil {
		return nil, true, fmt.Errorf("%s: %w", clip(text), err)
	}
	if times {
		items, err = powers(xs[0], xs[1], xs[2].value, unit)
	} else {
		items, err = steps(xs, unit)
	}
	if err != nil {
		err = fmt.Errorf("%s: %w", clip(text), err)
	}
	return items, true, err
}

// oneUnit returns the unit that the numbers of a range are in; it may stand at some of them only.
func oneUnit(xs []decimal, unit string) (string, error) {
	for _, x := range xs {
		switch {
		case x.unit == "" || x.unit == unit:
		case unit == "":
			unit = x.unit
		default:
			return "", fmt.Errorf("in %s and in %s: want one unit", unit, x.unit)
		}
	}
	if unit == "" {
		return "", nil
	}
	_, _, err := decimal{value: 1, unit: unit}.base()
	return unit, err
}

// steps spreads FROM..TO in steps of the third number, or of 1 towards TO.
func steps(xs []decimal, unit string) ([]string, error) {
	from, to, step := xs[0], xs[1], decimal{value: 1}
	if len(xs) == 3 {
		step = xs[2]
	}
	if from.value > to.value && step.value > 0 {
		step.value = -step.value
	}
	n := math.Floor((to.value-from.value)/step.value + 1e-9)
	switch {
	case step.value == 0 || n < 0:
		return nil, fmt.Errorf("a step of %v never comes from %v to %v", step.value, from.value, to.value)
	case n >= MaxPoints:
		return nil, fmt.Errorf("%w: at most %d", ErrTooMany, MaxPoints)
	}
	digits := max(from.digits, step.digits)
	out := make([]string, int(n)+1)
	for i := range out {
		out[i] = spell(from.value+float64(i)*step.value, digits) + unit
	}
	return out, nil
}

// powers spreads FROM..TO, each a factor times the one before.
func powers(from, to decimal, factor float64, unit string) ([]string, error) {
	if from.value > to.value && factor > 1 {
		factor = 1 / factor
	}
	n := math.Floor(math.Log(to.value/from.value)/math.Log(factor) + 1e-9)
	switch {
	case !(from.value > 0 && to.value > 0 && factor > 0) || factor == 1 || !(n >= 0):
		return nil, fmt.Errorf("times %v never comes from %v to %v", factor, from.value, to.value)
	case n >= MaxPoints:
		return nil, fmt.Errorf("%w: at most %d", ErrTooMany, MaxPoints)
	}
	out := make([]string, int(n)+1)
	for i := range out {
		x, err := strconv.ParseFloat(strconv.FormatFloat(from.value*math.Pow(factor, float64(i)), 'g', 12, 64), 64)
		if err != nil {
			return nil, err
		}
		out[i] = strconv.FormatFloat(x, 'f', -1, 64) + unit
	}
	return slices.Compact(out), nil
}

// clip shortens what a user wrote, for a message.
func clip(s string) string {
	r := []rune(s)
	if len(r) > 60 {
		return string(r[:59]) + "…"
	}
	return s
}
