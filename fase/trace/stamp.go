package trace

import (
	"bytes"
	"math"
	"strconv"
	"strings"
	"time"
)

// clfTime is the time of access logs; a fraction of a second may follow the seconds.
const clfTime = "02/Jan/2006:15:04:05 -0700"

// maxSeconds bounds times: the year 2261, where nanoseconds end.
const maxSeconds = 9.2e9

// stamps reads times. All of a file are of the kind of the first.
type stamps struct {
	unit     time.Duration // of plain numbers; 0: not known yet
	relative bool          // they count from the start
	known    bool          // what the first was
	text     []byte        // the last date, which mostly comes again
	last     int64
}

// parse returns nanoseconds, since 1970 or since the start.
func (s *stamps) parse(b []byte) (int64, string) {
	b = bytes.TrimSpace(b)
	if len(b) == 0 {
		return 0, "the line has no time"
	}
	if bytes.Equal(b, s.text) {
		return s.last, ""
	}
	at, msg := s.fresh(string(b))
	if msg == "" {
		s.text, s.last = append(s.text[:0], b...), at
	}
	return at, msg
}

func (s *stamps) fresh(t string) (int64, string) {
	number := t[0] == '-' || t[0] == '+' || t[0] == '.' || t[0] >= '0' && t[0] <= '9'
	if number && strings.Trim(t, "+-.0123456789eE") == "" && (len(t) < 5 || t[4] != '-') {
		return s.number(t)
	}
	for _, layout := range []string{clfTime, time.RFC3339, "2006-01-02 15:04:05Z07:00", "2006-01-02 15:04:05", "2006-01-02T15:04:05", "2006-01-02T15:04:05-0700"} {
		when, err := time.Parse(layout, t)
		if err != nil {
			continue
		}
		if sec := when.Unix(); sec < 0 || sec > maxSeconds {
			return 0, "the time " + strconv.Quote(t) + " is before 1970 or after 2261"
		}
		if s.known && s.relative {
			return 0, "the time " + strconv.Quote(t) + " is a date, and those before it count from the start"
		}
		s.known = true
		return when.UnixNano(), ""
	}
	return 0, strconv.Quote(clip(t)) + " is not a time"
}

// number reads a plain number, exact to the nanosecond.
func (s *stamps) number(t string) (int64, string) {
	x, err := strconv.ParseFloat(t, 64)
	switch {
	case err != nil || math.IsInf(x, 0):
		return 0, strconv.Quote(clip(t)) + " is not a time"
	case x < 0:
		return 0, "the time " + clip(t) + " is negative"
	}
	unit := s.unit
	if unit == 0 {
		unit = epochUnit(x)
		s.unit = unit
	}
	sec := x * unit.Seconds()
	if sec > maxSeconds {
		return 0, "the time " + clip(t) + " is after the year 2261"
	}
	relative := sec < 1e8
	if s.known && relative != s.relative {
		return 0, "the time " + clip(t) + " is of another kind than those before it: some count from the start, some from 1970"
	}
	s.known, s.relative = true, relative
	return exact(t, x, unit), ""
}

// epochUnit is the unit in which a number is a Unix time of our days; seconds for small ones.
func epochUnit(x float64) time.Duration {
	switch {
	case x < 1e11:
		return time.Second
	case x < 1e14:
		return time.Millisecond
	case x < 1e17:
		return time.Microsecond
	}
	return time.Nanosecond
}

// exact is a decimal number of units in nanoseconds; x is the same, rounded to 53 bits.
func exact(t string, x float64, unit time.Duration) int64 {
	whole, fraction, _ := strings.Cut(strings.TrimPrefix(t, "+"), ".")
	if whole == "" {
		whole = "0"
	}
	n, err := strconv.ParseInt(whole, 10, 64)
	if err != nil { // an exponent
		return int64(math.Round(x * float64(unit)))
	}
	sum, place := n*int64(unit), int64(unit)
	for _, c := range fraction {
		if c < '0' || c > '9' {
			return int64(math.Round(x * float64(unit)))
		}
		place /= 10
		sum += int64(c-'0') * place
	}
	return sum
}

func clip(s string) string {
	const most = 60
	if len(s) > most {
		return strings.ToValidUTF8(s[:most], "") + "…"
	}
	return s
}
