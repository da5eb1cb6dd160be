package report

import (
	"fmt"
	"math"
	"strconv"

	"gonum.org/v1/plot"
)

// steps returns round numbers from low to high, about n of them.
func steps(low, high float64, n int) []float64 {
	if !(high > low) || n < 1 {
		return []float64{low}
	}
	raw := (high - low) / float64(n)
	unit := math.Pow(10, math.Floor(math.Log10(raw)))
	step := 10 * unit
	for _, m := range []float64{1, 2, 5} {
		if raw <= m*unit*1.0001 {
			step = m * unit
			break
		}
	}
	var xs []float64
	for i := math.Ceil(low/step - 1e-9); i*step <= high+step*1e-9; i++ {
		xs = append(xs, i*step)
	}
	return xs
}

// plain writes a number with at most four significant digits.
func plain(x float64) string {
	if math.Abs(x) < 1e-12 {
		return "0"
	}
	if math.Abs(x) >= 1e4 && math.Abs(x) < 1e15 {
		return strconv.FormatFloat(x, 'f', 0, 64)
	}
	return strconv.FormatFloat(roundTo(x, 4), 'g', -1, 64)
}

func roundTo(x float64, digits int) float64 {
	y, err := strconv.ParseFloat(strconv.FormatFloat(x, 'g', digits, 64), 64)
	if err != nil {
		return x
	}
	return y
}

// duration writes seconds in the unit that suits them, with three digits: "12.3 ms".
func duration(x float64) string {
	switch a := math.Abs(x); {
	case math.IsNaN(x):
		return "–"
	case a == 0:
		return "0 s"
	case a < 0.9995e-3:
		return strconv.FormatFloat(roundTo(x*1e6, 3), 'f', -1, 64) + " µs"
	case a < 0.9995:
		return strconv.FormatFloat(roundTo(x*1e3, 3), 'f', -1, 64) + " ms"
	default:
		return strconv.FormatFloat(roundTo(x, 3), 'f', -1, 64) + " s"
	}
}

// number writes a count or a rate with three digits behind the first non-zero, thousands apart.
func number(x float64) string {
	if math.IsNaN(x) {
		return "–"
	}
	if x == math.Trunc(x) && math.Abs(x) < 1e15 {
		return thousands(int64(x))
	}
	if math.Abs(x) >= 1000 {
		return thousands(int64(math.Round(x)))
	}
	return strconv.FormatFloat(roundTo(x, 3), 'f', -1, 64)
}

func thousands(n int64) string {
	s := strconv.FormatInt(n, 10)
	start := 0
	if n < 0 {
		start = 1
	}
	for i := len(s) - 3; i > start; i -= 3 {
		s = s[:i] + "\u202f" + s[i:]
	}
	return s
}

func percent(x float64) string {
	if math.IsNaN(x) {
		return "–"
	}
	return strconv.FormatFloat(x*100, 'f', 1, 64) + " %"
}

// clock writes an instant of the run: "12.3 s".
func clock(x float64) string {
	if math.IsNaN(x) {
		return "–"
	}
	return fmt.Sprintf("%.1f s", x)
}

// linearTicks are the ticks of a linear axis.
func linearTicks(low, high float64, n int, label func(float64) string) plot.ConstantTicks {
	var ts plot.ConstantTicks
	xs := steps(low, high, n)
	if len(xs) < 3 {
		xs = steps(low, high, 2*n)
	}
	for _, x := range xs {
		ts = append(ts, plot.Tick{Value: x, Label: label(x)})
	}
	return ts
}

// logTicks are the ticks of a logarithmic axis: decades with labels, minor ones without.
func logTicks(low, high float64, label func(float64) string) plot.ConstantTicks {
	var ts plot.ConstantTicks
	first, last := int(math.Floor(math.Log10(low)+1e-9)), int(math.Ceil(math.Log10(high)-1e-9))
	sparse := (last-first)/7 + 1
	for e := first; e <= last; e++ {
		decade := math.Pow(10, float64(e))
		for m := 1; m < 10; m++ {
			x := float64(m) * decade
			if x < low*0.9999 || x > high*1.0001 {
				continue
			}
			t := plot.Tick{Value: x}
			// Few decades need more labels than their powers of ten.
			if m == 1 && (e-first)%sparse == 0 || high < 120*low && (m == 2 || m == 5) {
				t.Label = label(x)
			}
			ts = append(ts, t)
		}
	}
	return ts
}
