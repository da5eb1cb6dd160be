package evekernel

import (
	"bufio"
	"os"
	"strings"
	"sync"
	"time"
	"unicode"
)

const (
	lineBytes = 4 << 10 // a longer line is cut
	tailLines = 10      // kept for the sentence that says why a module failed
)

// A tail reads what a process prints, line by line, and keeps the last lines.
type tail struct {
	out   *os.File
	reads sync.WaitGroup
	done  chan struct{} // closed when everything was read

	mu    sync.Mutex // guards lines
	lines []string
}

// read begins to read out and hands each line, after hide, to fn.
func (t *tail) read(out *os.File, hide func(string) string, fn func(line string)) {
	t.out, t.done = out, make(chan struct{})
	t.reads.Go(func() {
		defer close(t.done)
		t.scan(hide, fn)
	})
}

func (t *tail) scan(hide func(string) string, fn func(line string)) {
	r := bufio.NewReaderSize(t.out, lineBytes)
	for {
		b, more, err := r.ReadLine()
		if err != nil {
			return
		}
		line := hide(printable(string(b)))
		if more {
			line += " …"
		}
		for more && err == nil {
			_, more, err = r.ReadLine()
		}
		t.keep(line)
		fn(line)
	}
}

func (t *tail) keep(line string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.lines) == tailLines {
		t.lines = append(t.lines[:0], t.lines[1:]...)
	}
	t.lines = append(t.lines, line)
}

// wait waits until everything is read; a process that got away from its group cannot hold it for long.
func (t *tail) wait() {
	if t.out == nil {
		return
	}
	select {
	case <-t.done:
	case <-time.After(time.Second):
	}
	_ = t.out.Close()
	t.reads.Wait()
}

// last returns the last lines as one.
func (t *tail) last() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return strings.Join(t.lines, " | ")
}

// printable makes text fit for a terminal and a line: nothing in it moves a cursor or turns the writing round.
func printable(s string) string {
	if len(s) > lineBytes {
		s = s[:lineBytes] + " …"
	}
	s = strings.ToValidUTF8(s, "\uFFFD")
	return strings.Map(func(r rune) rune {
		switch {
		case r == '\t' || r == '\n':
			return ' '
		case !unicode.IsPrint(r):
			return '\uFFFD'
		}
		return r
	}, s)
}
