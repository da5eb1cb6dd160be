package app

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/eve-emulation/eve/dsv"
	"github.com/eve-emulation/eve/fase/report"
)

// shown writes a value as people read it, with its unit. Quantiles stand for a histogram.
func shown(v dsv.Value, unit string) string {
	switch v.Kind {
	case dsv.Float:
		return quantity(v.Float, unit)
	case dsv.Int:
		if unit == "" || unit == "1" {
			return strconv.FormatInt(v.Int, 10)
		}
		return strconv.FormatInt(v.Int, 10) + " " + unit
	case dsv.Text:
		return oneLine(v.Text)
	case dsv.Bytes:
		if printable(v.Bytes) {
			return oneLine(string(v.Bytes))
		}
		return fmt.Sprintf("%d bytes", len(v.Bytes))
	case dsv.Histogram:
		if v.Hist.Count() == 0 {
			return "empty"
		}
		samples := "samples"
		if v.Hist.Count() == 1 {
			samples = "sample"
		}
		return fmt.Sprintf("%d %s, p50 %s, p99 %s, max %s", v.Hist.Count(), samples, quantity(v.Hist.Quantile(0.5), unit),
			quantity(v.Hist.Quantile(0.99), unit), quantity(v.Hist.Max(), unit))
	}
	return "–"
}

// quantity writes a number with its unit.
func quantity(x float64, unit string) string {
	switch {
	case unit == "s" && x >= 0:
		return report.Seconds(x)
	case unit == "B" && x >= 0:
		return report.Size(x)
	}
	s := strconv.FormatFloat(x, 'g', 6, 64)
	switch unit {
	case "", "1":
		return s
	case "1/s":
		return s + "/s"
	}
	return s + " " + unit
}

// oneLine is a text as a line takes it.
func oneLine(s string) string { return cut(report.Clean(strings.Join(strings.Fields(s), " ")), 200) }

// printable reports whether bytes are a text.
func printable(b []byte) bool {
	return len(b) > 0 && utf8.Valid(b) && report.Clean(string(b)) == string(b)
}

// plain is a value as JSON has it: a number, a string, an object of a histogram's figures, base64 of bytes that are no
// JSON; null of none.
func plain(v dsv.Value) any {
	switch v.Kind {
	case dsv.Float:
		return v.Float
	case dsv.Int:
		return v.Int
	case dsv.Text:
		return v.Text
	case dsv.Bytes:
		if json.Valid(v.Bytes) {
			return json.RawMessage(v.Bytes)
		}
		return v.Bytes
	case dsv.Histogram:
		m := map[string]any{"count": v.Hist.Count()}
		if v.Hist.Count() > 0 {
			m["mean"], m["max"] = finite(v.Hist.Mean()), finite(v.Hist.Max())
			m["p50"], m["p95"], m["p99"] = finite(v.Hist.Quantile(0.5)), finite(v.Hist.Quantile(0.95)), finite(v.Hist.Quantile(0.99))
		}
		return m
	}
	return nil
}

func finite(x float64) any {
	if math.IsNaN(x) || math.IsInf(x, 0) {
		return nil
	}
	return x
}

// instant writes a moment of the run.
func instant(t dsv.Instant) string { return fmt.Sprintf("%10.3f s", t.Seconds()) }

// age writes how old something is.
func age(d time.Duration) string {
	if d < time.Minute {
		return fmt.Sprintf("%.1f s", max(d, 0).Seconds())
	}
	return d.Round(time.Second).String()
}

// missing tells, where the error of an info is that a variable does not exist, what there is, unless the kernel has said
// what may have been meant. op is what it was asked for.
func missing(op string, err error) error {
	if !errors.Is(err, dsv.ErrNotFound) {
		return err
	}
	what := op + strings.TrimPrefix(err.Error(), "info")
	if !strings.Contains(what, "did you mean") {
		what += "; eve vars --live lists what there is"
	}
	return wrong(errors.New(what))
}
