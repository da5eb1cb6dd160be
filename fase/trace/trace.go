// Package trace reads arrivals that were recorded: CSV with a column of times, and the access logs of web servers in the
// common, the combined and the JSON format, plain or gzip'd.
//
// [Read] makes a [Log] of a file: when each line came and what it asked for. A line that cannot be understood is a mistake
// that names the file and the line, unless [Config.Skip] allows for some; then they are counted. A file is read once, line by
// line; what is kept is 12 bytes for each line and each distinct request once.
package trace

import (
	"fmt"
	"strings"
	"time"
)

// The formats. Auto takes the one that the first line looks like.
const (
	Auto     = "auto"
	CSV      = "csv"
	Common   = "common"   // Common Log Format: host ident user [time] "request" status bytes
	Combined = "combined" // Common, with referer and user agent behind it
	JSON     = "json"     // one object a line
)

// Formats lists them.
func Formats() []string { return []string{Auto, CSV, Common, Combined, JSON} }

// The bounds of what is read.
const (
	MaxLines    = 10_000_000
	MaxLine     = 64 << 10 // bytes of a line
	MaxRequests = 64 << 20 // bytes of all distinct requests together
	MaxPath     = 2048     // bytes of a path, with its query
	maxMistakes = 20
)

// Columns name what a CSV column or a JSON key holds. Of a CSV they are names of the header or positions from 1; of JSON they
// are keys, joined by dots where objects nest. Empty: the usual names.
type Columns struct {
	Time, Method, Path string
	Request            string // method and path in one, as "GET / HTTP/1.1"
}

// Config says how a file is read. The zero value reads any format and allows for no mistake.
type Config struct {
	Format  string // one of Formats; empty: Auto
	Columns Columns
	// Unit is that of times which are plain numbers. 0: seconds, or what the first one must be to be a Unix time. Numbers below
	// 10^8 s count from the start; larger ones, and dates, from the first line.
	Unit time.Duration
	// Skip is the share of lines that may be wrong, 0 to 1: these are left out and counted.
	Skip float64
	// Sort puts lines into the order of their times. Without it a line that is earlier than the one before it is wrong.
	Sort bool
	// TimesOnly does not look at what was asked for.
	TimesOnly bool
}

// A Log is what was read. Times are nanoseconds since the first line, or since the start where the file says so.
type Log struct {
	At   []int64 // of every line, rising or equal
	Ask  []uint32
	Asks []Ask // the distinct requests, in the order in which they first came; none with TimesOnly

	Lines   int      // that hold something, without the header
	Skipped int      // that were wrong
	First   *Mistake // the first of them
	// Relative says that the times of the file count from the start, not from 1970.
	Relative bool
	// Resolution is a second where all times are points of the clock and whole seconds, as in most access logs; else 0.
	Resolution time.Duration
}

// An Ask is a request of a log. Path is fit for a request line: it begins with /, and what must not stand there is escaped.
type Ask struct{ Method, Path string }

// A Mistake is a line that cannot be understood.
type Mistake struct {
	File string
	Line int // from 1
	Col  int // from 1, in bytes
	Msg  string
	Fix  string
	Text string // the line, shortened
}

// Error returns file:line: message, and the fix.
func (m *Mistake) Error() string {
	s := fmt.Sprintf("%s:%d: %s", m.File, m.Line, m.Msg)
	if m.Fix != "" {
		s += "; " + m.Fix
	}
	return s
}

// Mistakes is the error of a file with lines that are wrong, at most 20 of them.
type Mistakes []*Mistake

// Error returns a line for each.
func (ms Mistakes) Error() string {
	var s strings.Builder
	for i, m := range ms {
		if i > 0 {
			s.WriteString("\n")
		}
		s.WriteString(m.Error())
	}
	return s.String()
}
