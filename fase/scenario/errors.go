package scenario

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/eve-emulation/eve/dmm/expr"
)

// MaxErrors is how many mistakes are told at once.
const MaxErrors = 20

// An Error is one mistake in a scenario file, or in what overrides it, and where it is.
type Error struct {
	File string // as given to Load, a file named in `requests:`, or the override at fault
	Line int    // from 1
	Col  int    // in characters, from 1
	Msg  string // what is wrong
	Fix  string // what would be right, or empty
	Text string // the line at fault, without its end
}

// Error returns `file:line:col: message`, and the fix after a semicolon.
func (e *Error) Error() string {
	msg := e.Msg
	if e.Fix != "" {
		msg += "; " + e.Fix
	}
	return fmt.Sprintf("%s:%d:%d: %s", e.File, e.Line, e.Col, msg)
}

// maxShown is how much of a long line Render shows on either side of the mistake, in characters.
const maxShown = 100

// Render returns the message, the line, and a caret under the column. Tabs are kept, so that the caret stays below.
func (e *Error) Render() string {
	line := []rune(e.Text)
	at := max(0, min(e.Col-1, len(line)))
	end := min(len(line), at+maxShown)
	from := max(0, at-maxShown)
	var caret strings.Builder
	for _, r := range line[from:at] {
		if r != '\t' {
			r = ' '
		}
		caret.WriteRune(r)
	}
	return fmt.Sprintf("%s\n  %s\n  %s^\n", e.Error(), string(line[from:end]), caret.String())
}

// Errors is every mistake that was found, sorted by position; at most MaxErrors. It is the dynamic type of every error
// that Load and Format return.
type Errors []*Error

// Error returns one line for each mistake.
func (e Errors) Error() string {
	lines := make([]string, len(e))
	for i, err := range e {
		lines[i] = err.Error()
	}
	return strings.Join(lines, "\n")
}

// Render returns each mistake with its line and a caret.
func (e Errors) Render() string {
	var b strings.Builder
	for _, err := range e {
		b.WriteString(err.Render())
	}
	return b.String()
}

// Unwrap lets errors.Is and errors.AsType look at each mistake.
func (e Errors) Unwrap() []error {
	errs := make([]error, len(e))
	for i, err := range e {
		errs[i] = err
	}
	return errs
}

// faults collects mistakes and warnings.
type faults struct {
	main     string // the scenario's file: its mistakes come before those of other files
	errs     Errors
	warnings Errors
}

// maxKept bounds what is kept of a file that is wrong throughout.
const maxKept = 1000

func (f *faults) add(e *Error) {
	if len(f.errs) < maxKept {
		f.errs = append(f.errs, e)
	}
}

// at tells a mistake at a node.
func (f *faults) at(n *node, msg, fix string) { f.add(n.src.errorAt(n.line, n.col, msg, fix)) }

// warn tells what is allowed but hardly meant.
func (f *faults) warn(n *node, msg, fix string) {
	if len(f.warnings) < maxKept {
		f.warnings = append(f.warnings, n.src.errorAt(n.line, n.col, msg, fix))
	}
}

// sorted returns mistakes in the order of the text, each once.
func (f *faults) sorted(errs Errors) Errors {
	slices.SortStableFunc(errs, func(a, b *Error) int {
		if a.File != b.File {
			if a.File == f.main || b.File == f.main {
				return cmp.Compare(btoi(b.File == f.main), btoi(a.File == f.main))
			}
			return strings.Compare(a.File, b.File)
		}
		return cmp.Or(cmp.Compare(a.Line, b.Line), cmp.Compare(a.Col, b.Col))
	})
	errs = slices.CompactFunc(errs, func(a, b *Error) bool { return *a == *b || a.rounds(b) })
	return errs[:min(len(errs), MaxErrors)]
}

// rounds reports the same recursion, told again from another of its ends.
func (e *Error) rounds(o *Error) bool {
	return e.File == o.File && e.Line == o.Line && e.Col == o.Col &&
		strings.HasPrefix(e.Msg, "recursion:") && strings.HasPrefix(o.Msg, "recursion:")
}

func btoi(b bool) int {
	if b {
		return 1
	}
	return 0
}

// err returns what was found, or nil.
func (f *faults) err() error {
	if len(f.errs) == 0 {
		return nil
	}
	return f.sorted(f.errs)
}

// source is a text that mistakes are positioned in.
type source struct {
	file  string
	lines []string
}

func newSource(file string, text []byte) *source {
	lines := strings.Split(string(text), "\n")
	for i, l := range lines {
		lines[i] = strings.TrimSuffix(l, "\r")
	}
	return &source{file: file, lines: lines}
}

// line returns a line of the text, from 1; empty where there is none.
func (s *source) line(n int) string {
	if n < 1 || n > len(s.lines) {
		return ""
	}
	return s.lines[n-1]
}

func (s *source) errorAt(line, col int, msg, fix string) *Error {
	line = max(1, min(line, max(len(s.lines), 1)))
	text := strings.ToValidUTF8(s.line(line), "\uFFFD")
	col = max(1, min(col, utf8.RuneCountInString(text)+1))
	return &Error{File: s.file, Line: line, Col: col, Msg: msg, Fix: fix, Text: text}
}

// didYouMean returns the fix for a misspelt name: the nearest, or all of a few.
func didYouMean(name string, known []string) string {
	if s := nearest(name, known); s != "" {
		return fmt.Sprintf("did you mean %q?", s)
	}
	switch {
	case len(known) == 0:
		return ""
	case len(known) > 30:
		return fmt.Sprintf("known are %s and %d more", strings.Join(known[:10], ", "), len(known)-10)
	}
	return "known are " + strings.Join(known, ", ")
}

// meant is didYouMean for a list that the message itself holds.
func meant(name string, known []string) string {
	if s := nearest(name, known); s != "" {
		return fmt.Sprintf("did you mean %q?", s)
	}
	return ""
}

// nearest returns the name most like a misspelt one, or "".
func nearest(name string, known []string) string {
	if len(name) > 100 {
		return ""
	}
	return expr.Nearest(strings.ToLower(name), known)
}
