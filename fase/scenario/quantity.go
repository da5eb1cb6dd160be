package scenario

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/eve-emulation/eve/dmm/expr"
)

// unit is a kind of quantity.
type unit struct {
	name     string // of the reference: "duration"
	a        string // in messages: "a duration"
	accepted []string
	examples string
}

func durationUnit() unit {
	return unit{"duration", "a duration", []string{"s"}, "200ms, 2s, 1min"}
}
func rateUnit() unit { return unit{"rate", "a rate", []string{"1/s"}, "40/s, 2400/min"} }
func sizeUnit() unit { return unit{"size", "a size", []string{"B"}, "16KiB, 64MiB, 1GB"} }
func bytesPerSecond() unit {
	return unit{"bytes per second", "an amount of bytes per second", []string{"B/s"}, "500MB/s, 2GiB/s"}
}

func bitRateUnit() unit {
	return unit{"bit rate", "a bit rate", []string{"bit", "bit/s"}, "100Mbit, 1Gbit"}
}
func plainUnit() unit { return unit{"number", "a plain number", []string{"1"}, "0.5, 2"} }

// quantity reads a text in base units.
func (r *reader) quantity(n *node, s string, u unit) (float64, bool) {
	s = strings.TrimSpace(s)
	if strings.HasPrefix(s, "-") {
		r.at(n, fmt.Sprintf("%s is negative", clip(s)), "write "+u.a+" such as "+u.examples)
		return 0, false
	}
	x, got, err := expr.ParseQuantity(s)
	if err != nil {
		r.at(n, fmt.Sprintf("%q is not %s", clip(s), u.a), "write it as "+u.examples)
		return 0, false
	}
	if slices.Contains(u.accepted, got) || x == 0 && got == "1" {
		return x, true
	}
	msg := fmt.Sprintf("%q is not %s", clip(s), u.a)
	if got == "1" {
		msg = fmt.Sprintf("%s has no unit", clip(s))
	}
	r.at(n, msg, "write it as "+u.examples)
	return 0, false
}

// bounds is a range of a quantity in base units.
type bounds struct {
	least, most float64
	said        string // "above 0 and at most 1000/s"
}

func (b bounds) hold(x float64) bool { return x >= b.least && x <= b.most }

// amount is a quantity within bounds.
func amount(dst *spot[float64], u unit, b bounds) value {
	s := shape{name: u.name, json: map[string]any{"type": []any{"string", "number"}}}
	return value{s, func(r *reader, n *node) {
		t, ok := r.scalar(n, u.a)
		if !ok {
			return
		}
		x, ok := r.quantity(n, t, u)
		if ok && !b.hold(x) {
			r.at(n, fmt.Sprintf("%s is out of range", clip(t)), fmt.Sprintf("it is %s", b.said))
		} else if ok {
			put(dst, n, x)
		}
	}}
}

// maxDuration bounds every duration in a scenario.
const maxDuration = 30 * 24 * time.Hour

// duration is a time; none, where allowed, is written as "none" and read as 0.
func duration(dst *spot[time.Duration], least time.Duration, none bool) value {
	s := shape{name: "duration", json: map[string]any{"type": []any{"string", "integer"}}}
	return value{s, func(r *reader, n *node) {
		t, ok := r.scalar(n, "a duration")
		if !ok {
			return
		}
		if none && t == "none" {
			put(dst, n, 0)
			return
		}
		if d, ok := r.duration(n, t, least); ok {
			put(dst, n, d)
		}
	}}
}

func (r *reader) duration(n *node, t string, least time.Duration) (time.Duration, bool) {
	x, ok := r.quantity(n, t, durationUnit())
	if !ok {
		return 0, false
	}
	d := time.Duration(math.Round(math.Min(x, 2*maxDuration.Seconds()) * 1e9))
	if d < least || d > maxDuration {
		r.at(n, fmt.Sprintf("%s is out of range", clip(t)), fmt.Sprintf("it is at least %v and at most 720h", least))
		return 0, false
	}
	return d, true
}
