package expr

import (
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
)

// dim is a physical dimension as exponents of second, byte and bit. any fits everything: the unit of a variable is not known.
type dim struct {
	s, byte, bit int8
	any          bool
}

var (
	anyDim  = dim{any: true}
	none    = dim{}
	seconds = dim{s: 1}
)

func (d dim) times(e dim, sign int8) dim {
	if d.any || e.any {
		return anyDim
	}
	return dim{s: d.s + sign*e.s, byte: d.byte + sign*e.byte, bit: d.bit + sign*e.bit}
}

func (d dim) fits(e dim) bool { return d.any || e.any || d == e }

// unit returns the base unit of a dimension as declarations write it; empty when it is not known or has no plain name.
func (d dim) unit() string {
	for _, u := range baseUnits() {
		if u.dim == d {
			return u.name
		}
	}
	return ""
}

// said names a dimension in a message.
func (d dim) said() string {
	for _, u := range baseUnits() {
		if u.dim == d {
			return u.said
		}
	}
	return "another unit"
}

// example shows how a quantity of the dimension is written.
func (d dim) example() string {
	for _, u := range baseUnits() {
		if u.dim == d {
			return u.example
		}
	}
	return "a quantity with a unit"
}

type baseUnit struct {
	name          string
	dim           dim
	said, example string
}

func baseUnits() []baseUnit {
	return []baseUnit{
		{"1", none, "a plain number", "0.5 or 50%"},
		{"s", seconds, "a time", "200ms or 2s"},
		{"B", dim{byte: 1}, "a size", "64KiB or 1MB"},
		{"bit", dim{bit: 1}, "an amount of bits", "10Mbit"},
		{"1/s", dim{s: -1}, "a rate", "40/s"},
		{"B/s", dim{byte: 1, s: -1}, "bytes per second", "10MiB/s"},
		{"bit/s", dim{bit: 1, s: -1}, "bits per second", "100Mbit/s"},
	}
}

// dimOf returns the dimension of a declared unit; units that it does not know fit everything.
func dimOf(unit string) dim {
	for _, u := range baseUnits() {
		if u.name == unit {
			return u.dim
		}
	}
	return anyDim
}

// scale is what a written unit multiplies by: exactly mul/div, so that 200ms is the same number as 0.2s.
type scale struct {
	mul, div float64
	dim      dim
}

func unitScale(unit string) (scale, bool) {
	bytes, bits := dim{byte: 1}, dim{bit: 1}
	switch unit {
	case "":
		return scale{1, 1, none}, true
	case "%":
		return scale{1, 100, none}, true
	case "ns":
		return scale{1, 1e9, seconds}, true
	case "us", "µs", "μs":
		return scale{1, 1e6, seconds}, true
	case "ms":
		return scale{1, 1e3, seconds}, true
	case "s":
		return scale{1, 1, seconds}, true
	case "min":
		return scale{60, 1, seconds}, true
	case "h":
		return scale{3600, 1, seconds}, true
	case "B":
		return scale{1, 1, bytes}, true
	case "KB", "kB":
		return scale{1e3, 1, bytes}, true
	case "MB":
		return scale{1e6, 1, bytes}, true
	case "GB":
		return scale{1e9, 1, bytes}, true
	case "TB":
		return scale{1e12, 1, bytes}, true
	case "KiB":
		return scale{1 << 10, 1, bytes}, true
	case "MiB":
		return scale{1 << 20, 1, bytes}, true
	case "GiB":
		return scale{1 << 30, 1, bytes}, true
	case "TiB":
		return scale{1 << 40, 1, bytes}, true
	case "bit":
		return scale{1, 1, bits}, true
	case "Kbit", "kbit":
		return scale{1e3, 1, bits}, true
	case "Mbit":
		return scale{1e6, 1, bits}, true
	case "Gbit":
		return scale{1e9, 1, bits}, true
	}
	return scale{}, false
}

const unitList = "ns us ms s min h, B KB MB GB TB KiB MiB GiB TiB, bit Kbit Mbit Gbit, each also per time as in 40/s or 10MiB/s, and %"

// ParseQuantity reads a number with its unit, such as "200ms", "64MiB", "1Gbit", "40/s" or "85%", and returns it in base
// units with their name: "s", "B", "bit", "1/s", "B/s", "bit/s", or "1".
func ParseQuantity(text string) (x float64, unit string, err error) {
	x, d, n, err := quantity(text)
	if err != nil {
		return 0, "", err
	}
	if n != len(text) {
		return 0, "", fmt.Errorf("read quantity %q: unexpected %q after it", text, text[n:])
	}
	return x, d.unit(), nil
}

// quantity reads a quantity at the start of text and returns the bytes that it took.
func quantity(text string) (x float64, d dim, n int, err error) {
	n = numberLength(text)
	if n == 0 {
		return 0, none, 0, fmt.Errorf("read quantity %q: it starts with a number", text)
	}
	x, err = strconv.ParseFloat(text[:n], 64)
	if err != nil || math.IsInf(x, 0) {
		return 0, none, n, fmt.Errorf("read quantity %q: not a number that fits", text[:n])
	}
	word := unitLength(text[n:])
	u := text[n : n+word]
	sc, ok := unitScale(u)
	if !ok {
		return 0, none, n + word, unknownUnit(u)
	}
	n += word
	x, d = x*sc.mul/sc.div, sc.dim
	if per, took := perTime(text[n:]); took > 0 && u != "%" {
		x, d = x*per.div/per.mul, d.times(per.dim, -1)
		n += took
	}
	if math.IsInf(x, 0) {
		return 0, none, n, fmt.Errorf("read quantity %q: not a number that fits", text[:n])
	}
	return x, d, n, nil
}

func unknownUnit(u string) error {
	if u == "m" {
		return errors.New("unknown unit \"m\": say min for minutes or MiB for megabytes")
	}
	return fmt.Errorf("unknown unit %q: the units are %s", u, unitList)
}

// numberLength returns the length of the decimal number at the start of text.
func numberLength(text string) int {
	i := digits(text)
	if i < len(text) && text[i] == '.' {
		if f := digits(text[i+1:]); f > 0 {
			i += 1 + f
		}
	}
	if i == 0 {
		return 0
	}
	if i < len(text) && (text[i] == 'e' || text[i] == 'E') {
		j := i + 1
		if j < len(text) && (text[j] == '+' || text[j] == '-') {
			j++
		}
		if e := digits(text[j:]); e > 0 {
			i = j + e
		}
	}
	return i
}

func digits(text string) int {
	n := 0
	for n < len(text) && text[n] >= '0' && text[n] <= '9' {
		n++
	}
	return n
}

func unitLength(text string) int {
	if strings.HasPrefix(text, "%") {
		return 1
	}
	n := 0
	for _, r := range text {
		if !isLetter(r) {
			break
		}
		n += len(string(r))
	}
	return n
}

func isLetter(r rune) bool {
	return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r == 'µ' || r == 'μ'
}

// perTime reads "/s", "/ms", "/min" and the like, which belong to a quantity when nothing stands between. "40/app.x" is a
// division.
func perTime(text string) (scale, int) {
	if !strings.HasPrefix(text, "/") {
		return scale{}, 0
	}
	n := 1 + unitLength(text[1:])
	sc, ok := unitScale(text[1:n])
	if !ok || sc.dim != seconds {
		return scale{}, 0
	}
	if n < len(text) && (text[n] == '.' || text[n] == '_' || text[n] == '(' || digits(text[n:]) > 0) {
		return scale{}, 0
	}
	return sc, n
}
