package sweep

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/eve-emulation/eve/dmm/expr"
)

// spell writes a number with at most so many digits behind the point.
func spell(x float64, digits int) string {
	s := strconv.FormatFloat(x, 'f', digits, 64)
	if strings.Contains(s, ".") {
		s = strings.TrimRight(strings.TrimRight(s, "0"), ".")
	}
	if s == "-0" {
		return "0"
	}
	return s
}

// A decimal is a number as it is written, with a unit behind it or none.
type decimal struct {
	value  float64
	digits int // behind the point
	unit   string
}

func parseDecimal(text string) (decimal, error) {
	n := 0
	for n < len(text) && (text[n] >= '0' && text[n] <= '9' || text[n] == '.' || n == 0 && (text[n] == '-' || text[n] == '+')) {
		n++
	}
	x, err := strconv.ParseFloat(text[:n], 64)
	if err != nil {
		return decimal{}, fmt.Errorf("%s is no number", clip(text))
	}
	d := decimal{value: x, unit: text[n:]}
	if _, fraction, ok := strings.Cut(text[:n], "."); ok {
		d.digits = len(fraction)
	}
	if strings.ContainsAny(d.unit, " \t") {
		return decimal{}, fmt.Errorf("%s: a unit stands directly behind its number", clip(text))
	}
	return d, nil
}

// base returns the number in the base unit of its dimension.
func (d decimal) base() (x float64, unit string, err error) {
	scale, unit, err := expr.ParseQuantity("1" + d.unit)
	if err != nil {
		return 0, "", err
	}
	x, err = strconv.ParseFloat(strconv.FormatFloat(d.value*scale, 'g', 12, 64), 64) // 100us are 0.0001 s
	return x, unit, err
}
