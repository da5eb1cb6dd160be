package report

import (
	"github.com/eve-emulation/eve/fase/runs"
)

// The forms in which figures are shown, for others that show them beside a report.

// Seconds writes a duration in the unit that suits it, with three digits: "12.3 ms"; NaN is "–".
func Seconds(x float64) string { return duration(x) }

// Share writes a share of one as "71.3 %"; NaN is "–".
func Share(x float64) string { return percent(x) }

// Count writes a count or a rate with three digits, thousands apart; NaN is "–".
func Count(x float64) string { return number(x) }

// Size writes bytes as "1.5 MiB".
func Size(x float64) string { return size(x) }

// Readings writes the values behind a condition by expression, sorted, each with the unit that its text suggests.
func Readings(m map[string]float64) string {
	ns := make(map[string]runs.Number, len(m))
	for k, x := range m {
		ns[k] = runs.Number(x)
	}
	return readings(ns)
}

// Clean keeps a text from steering a terminal: what is not printable becomes "?".
func Clean(s string) string { return clean(s) }
