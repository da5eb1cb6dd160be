package app

import (
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"unicode/utf8"

	"golang.org/x/term"

	"github.com/eve-emulation/eve/fase/report"
)

// A screen is where a command tells how it goes. On a terminal it is a block of lines that is redrawn in place, below
// what was said for good; elsewhere there is no block. Each change is one write, so that nothing flickers, and leaves
// the cursor below the block, so that nothing has to be restored. Nothing that it is told can steer the terminal.
// Its methods may be called by several goroutines.
type screen struct {
	out  io.Writer
	size func() (columns, rows int) // of the terminal; nil elsewhere

	mu    sync.Mutex // guards what follows
	block []string
	drawn int // lines of the block on the terminal
}

func newScreen(out io.Writer) *screen {
	s := &screen{out: out}
	if f, ok := out.(*os.File); ok && term.IsTerminal(int(f.Fd())) {
		s.size = func() (int, int) {
			columns, rows, err := term.GetSize(int(f.Fd()))
			if err != nil || columns < 1 || rows < 1 {
				return 80, 24
			}
			return columns, rows
		}
	}
	return s
}

// terminal reports whether there is a block.
func (s *screen) terminal() bool { return s.size != nil }

// columns is how wide lines of the block may be; 0 elsewhere than on a terminal: any.
func (s *screen) columns() int {
	if s.size == nil {
		return 0
	}
	columns, _ := s.size()
	return columns - 1 // a full line would wrap on some terminals
}

// say writes lines for good.
func (s *screen) say(text string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var b strings.Builder
	for line := range strings.SplitSeq(text, "\n") {
		b.WriteString(report.Clean(line) + "\n")
	}
	s.write(b.String())
}

// show redraws the block.
func (s *screen) show(block []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.block = block
	s.write("")
}

// leave ends the block: its last state stays where it is.
func (s *screen) leave() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.block, s.drawn = nil, 0
}

// clear takes the block away.
func (s *screen) clear() {
	s.show(nil)
}

// write writes text, whole lines, above the block; mu is held.
func (s *screen) write(text string) {
	if s.size == nil {
		_, _ = io.WriteString(s.out, text) // who reads it is gone; the run goes on
		return
	}
	columns, rows := s.size()
	var b strings.Builder
	b.WriteByte('\r')
	if s.drawn > 0 {
		fmt.Fprintf(&b, "\x1b[%dA", s.drawn)
	}
	for line := range strings.Lines(text) {
		b.WriteString(strings.TrimSuffix(line, "\n") + "\x1b[K\n")
	}
	s.drawn = min(len(s.block), rows-1)
	for _, line := range s.block[:s.drawn] {
		b.WriteString(cut(report.Clean(line), columns-1) + "\x1b[K\n")
	}
	b.WriteString("\x1b[J")
	_, _ = io.WriteString(s.out, b.String())
}

// cut shortens a line to a width.
func cut(line string, width int) string {
	if width < 1 || utf8.RuneCountInString(line) <= width {
		return line
	}
	return string([]rune(line)[:width-1]) + "…"
}

// wrap joins items to lines of at most width columns, the first behind a title and the rest below its end; width 0 is
// one line.
func wrap(title string, items []string, width int) []string {
	const gap = "  "
	indent := strings.Repeat(" ", utf8.RuneCountInString(title))
	var lines []string
	line := title
	for i, item := range items {
		if i > 0 && width > 0 && line != indent && utf8.RuneCountInString(line)+len(gap)+utf8.RuneCountInString(item) > width {
			lines = append(lines, line)
			line = indent
		}
		line += gap + item
	}
	return append(lines, line)
}
