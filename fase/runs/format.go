package runs

import (
	"math"
	"strconv"
)

// percent writes a share: "4.2 %".
func percent(x float64) string {
	return strconv.FormatFloat(x*100, 'g', 3, 64) + " %"
}

// seconds writes a duration in the unit that suits it: "1.25 ms".
func seconds(x float64) string {
	switch a := math.Abs(x); {
	case math.IsNaN(x):
		return "–"
	case a == 0:
		return "0 s"
	case a < 1e-3:
		return strconv.FormatFloat(x*1e6, 'g', 3, 64) + " µs"
	case a < 1:
		return strconv.FormatFloat(x*1e3, 'g', 3, 64) + " ms"
	default:
		return strconv.FormatFloat(x, 'g', 4, 64) + " s"
	}
}

// clock writes an instant: "12.3 s".
func clock(x float64) string { return round(x, 3) + " s" }

// round writes a number with so many significant digits and no exponent where it is not huge.
func round(x float64, digits int) string {
	if a := math.Abs(x); a >= math.Pow(10, float64(digits)) && a < 1e15 {
		return strconv.FormatFloat(x, 'f', 0, 64)
	}
	return strconv.FormatFloat(x, 'g', digits, 64)
}
