package rdr

import (
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"
)

// maxErrors is how many mistakes are reported at once.
const maxErrors = 10

// Error is one mistake in an RDR, and where.
type Error struct {
	File string // as given to the parser; empty for a compact RDR
	Line int    // from 1; 0 when the RDR has no text
	Col  int    // in characters, from 1
	Msg  string // what is wrong
	Fix  string // what would be right, or empty
	Text string // the line of the source, without its end

	caret int   // column in Text, from 1
	at    int   // offset in the text
	err   error // a sentinel, or nil
}

// Error returns `file:line:col: message`, and the fix after a semicolon.
func (e *Error) Error() string {
	msg := e.Msg
	if e.Fix != "" {
		msg += "; " + e.Fix
	}
	if e.Line == 0 {
		return msg
	}
	return fmt.Sprintf("%s:%d:%d: %s", e.File, e.Line, e.Col, msg)
}

// Unwrap returns ErrLimit if that is what it is.
func (e *Error) Unwrap() error { return e.err }

// Snippet returns the line at fault with a caret under the column, or "" when
// there is no text. Tabs are kept, so that the caret stays below.
func (e *Error) Snippet() string {
	if e.Line == 0 {
		return ""
	}
	var b strings.Builder
	b.WriteString("  " + e.Text + "\n  ")
	col := 1
	for _, r := range e.Text {
		if col >= e.caret {
			break
		}
		if r != '\t' {
			r = ' '
		}
		b.WriteRune(r)
		col++
	}
	for ; col < e.caret; col++ {
		b.WriteByte(' ')
	}
	b.WriteByte('^')
	return b.String()
}

// Errors is several mistakes, in the order of the text; at most ten. It is the
// dynamic type of every error that this package returns for a text.
type Errors []*Error

// Error returns one line per mistake.
func (e Errors) Error() string {
	lines := make([]string, len(e))
	for i, err := range e {
		lines[i] = err.Error()
	}
	return strings.Join(lines, "\n")
}

// Unwrap lets errors.Is and errors.As look at each mistake.
func (e Errors) Unwrap() []error {
	out := make([]error, len(e))
	for i, err := range e {
		out[i] = err
	}
	return out
}

// Pretty returns each mistake with its line and a caret.
func (e Errors) Pretty() string {
	var b strings.Builder
	for _, err := range e {
		b.WriteString(err.Error() + "\n")
		if s := err.Snippet(); s != "" {
			b.WriteString(s + "\n")
		}
	}
	return b.String()
}

// Shift returns the mistakes with lines and columns added, as for a text that
// begins further down and is indented in a larger file.
func (e Errors) Shift(lines, cols int) Errors {
	out := make(Errors, len(e))
	for i, err := range e {
		moved := *err
		if moved.Line > 0 {
			moved.Line += lines
			moved.Col += cols
		}
		out[i] = &moved
	}
	return out
}

// source is a text and where it stands; it turns offsets into positions.
type source struct {
	file string
	text []byte
	base Position
}

// errorAt makes a positioned error. A nil source gives one without position.
func (s *source) errorAt(at int, sentinel error, msg, fix string) *Error {
	e := &Error{Msg: msg, Fix: fix, at: at, err: sentinel}
	if s == nil {
		return e
	}
	at = min(at, len(s.text))
	start := strings.LastIndexByte(string(s.text[:at]), '\n') + 1
	end := strings.IndexByte(string(s.text[start:]), '\n')
	if end < 0 {
		end = len(s.text) - start
	}
	e.File = s.file
	e.Text = strings.ToValidUTF8(strings.TrimRight(string(s.text[start:start+end]), "\r"), "\uFFFD")
	e.caret = utf8.RuneCount(s.text[start:at]) + 1
	e.Line = strings.Count(string(s.text[:start]), "\n") + 1
	e.Col = e.caret
	if s.base.Line > 0 {
		e.Line += s.base.Line - 1
	}
	if s.base.Col > 0 {
		e.Col += s.base.Col - 1
	}
	return e
}

// sentinel returns ErrLimit when err is one.
func sentinel(err error) error {
	if errors.Is(err, ErrLimit) {
		return ErrLimit
	}
	return nil
}

// suggest returns the name most like a misspelt one, or "".
func suggest(name string, known []string) string {
	best, least := "", 1+(len(name)+1)/3
	if len(name) > 64 {
		return ""
	}
	for _, k := range known {
		if d := distance(name, k); d < least {
			best, least = k, d
		}
	}
	return best
}

// didYouMean returns the fix for a misspelt name: the nearest, or all of a few.
func didYouMean(name string, known []string) string {
	if s := suggest(name, known); s != "" {
		return fmt.Sprintf("did you mean %q?", s)
	}
	if len(known) == 0 || len(known) > 12 {
		return ""
	}
	return "known are " + strings.Join(known, ", ")
}

// distance is the number of edits between two words: a letter more, less or
// other, or two neighbours swapped.
func distance(a, b string) int {
	before, last := make([]int, len(b)+1), make([]int, len(b)+1)
	for j := range last {
		last[j] = j
	}
	for i := 1; i <= len(a); i++ {
		row := make([]int, len(b)+1)
		row[0] = i
		for j := 1; j <= len(b); j++ {
			other := last[j-1]
			if a[i-1] != b[j-1] {
				other++
			}
			row[j] = min(last[j]+1, row[j-1]+1, other)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				row[j] = min(row[j], before[j-2]+1)
			}
		}
		before, last = last, row
	}
	return last[len(b)]
}
