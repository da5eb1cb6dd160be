package trace

import (
	"bufio"
	"bytes"
	"cmp"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"time"
)

// Read reads a file to its end; file is its name in messages. The error is Mistakes where lines are wrong, more of them than
// allowed.
func Read(file string, r io.Reader, cfg Config) (*Log, error) {
	in := bufio.NewReaderSize(r, MaxLine)
	if magic, err := in.Peek(2); err == nil && magic[0] == 0x1f && magic[1] == 0x8b {
		z, err := gzip.NewReader(in)
		if err != nil {
			return nil, fmt.Errorf("read %s: %w", file, err)
		}
		in = bufio.NewReaderSize(z, MaxLine)
	}
	l := &loader{cfg: cfg, file: file, log: &Log{}, known: map[string]uint32{}, stamps: stamps{unit: cfg.Unit}, grain: int64(time.Second)}
	if err := l.lines(in); err != nil {
		return nil, err
	}
	return l.finish()
}

// loader makes a Log of lines.
type loader struct {
	cfg      Config
	file     string
	log      *Log
	parser   parser
	stamps   stamps
	known    map[string]uint32
	kept     int   // bytes of known
	grain    int64 // what all times so far are multiples of: a second, or a nanosecond
	last     int64
	shuffled bool
	mistakes Mistakes
	key      []byte
}

func (l *loader) lines(in *bufio.Reader) error {
	for n := 1; ; n++ {
		b, err := in.ReadSlice('\n')
		long := errors.Is(err, bufio.ErrBufferFull)
		start := b
		if long {
			start = bytes.Clone(b[:80])
		}
		for errors.Is(err, bufio.ErrBufferFull) {
			_, err = in.ReadSlice('\n')
		}
		if err != nil && !errors.Is(err, io.EOF) {
			return fmt.Errorf("read %s: line %d: %w", l.file, n, err)
		}
		done := err != nil
		var wrong error
		if long {
			l.log.Lines++
			wrong = l.wrong(n, start, "the line has more than "+strconv.Itoa(MaxLine)+" bytes", "")
		} else if b = bytes.TrimRight(b, "\r\n"); len(bytes.TrimSpace(b)) > 0 {
			wrong = l.line(n, b)
		}
		if wrong != nil || done {
			return wrong
		}
	}
}

// line takes one in.
func (l *loader) line(n int, b []byte) error {
	if n == 1 {
		b = bytes.TrimPrefix(b, []byte("\xef\xbb\xbf"))
	}
	if l.parser == nil {
		l.parser = l.choose(b)
	}
	p, header, msg := l.parser.line(b)
	if header {
		return nil
	}
	if l.log.Lines++; l.log.Lines > MaxLines {
		return Mistakes{{File: l.file, Line: n, Col: 1, Msg: fmt.Sprintf("the file has more than %d lines", MaxLines), Fix: "cut it into several"}}
	}
	if msg != "" {
		return l.wrong(n, b, msg, "")
	}
	at, msg := l.stamps.parse(p.time)
	if msg != "" {
		return l.wrong(n, b, msg, "")
	}
	if at < l.last && !l.cfg.Sort {
		return l.wrong(n, b, fmt.Sprintf("the line is %v earlier than the one before it", time.Duration(l.last-at)), "write sort: true to put the lines in order")
	}
	ask := uint32(0)
	if !l.cfg.TimesOnly {
		var err error
		if ask, msg, err = l.ask(n, p); err != nil {
			return err
		} else if msg != "" {
			return l.wrong(n, b, msg, "")
		}
		l.log.Ask = append(l.log.Ask, ask)
	}
	l.shuffled = l.shuffled || at < l.last
	l.last = at
	if at%l.grain != 0 {
		l.grain = 1
	}
	l.log.At = append(l.log.At, at)
	return nil
}

// ask numbers what a line asks for.
func (l *loader) ask(n int, p parsed) (ask uint32, msg string, err error) {
	if p.path == nil {
		return 0, "the line has no path", nil
	}
	if p.method == nil {
		p.method = []byte("GET")
	}
	if msg = methodOf(p.method); msg != "" {
		return 0, msg, nil
	}
	l.key = append(append(l.key[:0], p.method...), ' ')
	if l.key, msg = appendPath(l.key, p.path); msg != "" {
		return 0, msg, nil
	}
	if i, ok := l.known[string(l.key)]; ok {
		return i, "", nil
	}
	if l.kept += len(l.key); l.kept > MaxRequests {
		return 0, "", Mistakes{{File: l.file, Line: n, Col: 1, Msg: fmt.Sprintf("the distinct requests of the file have more than %d MiB", MaxRequests>>20), Fix: "replay its times alone, with `request:`"}}
	}
	key, i := string(l.key), uint32(len(l.log.Asks))
	l.known[key] = i
	l.log.Asks = append(l.log.Asks, Ask{Method: key[:len(p.method)], Path: key[len(p.method)+1:]})
	return i, "", nil
}

// choose returns the parser of the format, which the first line may tell.
func (l *loader) choose(b []byte) parser {
	format := l.cfg.Format
	if format == "" || format == Auto {
		switch open := bytes.IndexByte(b, '['); {
		case b[0] == '{':
			format = JSON
		case open >= 0 && bytes.Contains(b[open:], []byte(`] "`)):
			format = Combined
		default:
			format = CSV
		}
	}
	switch format {
	case JSON:
		return &objects{columns: l.cfg.Columns, timesOnly: l.cfg.TimesOnly}
	case CSV:
		return &table{columns: l.cfg.Columns, timesOnly: l.cfg.TimesOnly}
	}
	return &clf{timesOnly: l.cfg.TimesOnly}
}

// wrong counts a line, and ends the reading once enough mistakes are known.
func (l *loader) wrong(n int, b []byte, msg, fix string) error {
	m := &Mistake{File: l.file, Line: n, Col: 1, Msg: msg, Fix: fix, Text: clipLine(b)}
	l.log.Skipped++
	if l.log.First == nil {
		l.log.First = m
	}
	if l.cfg.Skip > 0 {
		return nil
	}
	if fix == "" {
		m.Fix = "mend or remove it, or write skip: 1% to leave out so many"
	}
	l.mistakes = append(l.mistakes, m)
	if len(l.mistakes) == maxMistakes {
		return l.mistakes
	}
	return nil
}

func clipLine(b []byte) string {
	const most = 200
	return string(bytes.ToValidUTF8(b[:min(len(b), most)], []byte("\uFFFD")))
}

// finish puts the lines in order and counts their times from the first.
func (l *loader) finish() (*Log, error) {
	g := l.log
	if len(l.mistakes) > 0 {
		return nil, l.mistakes
	}
	if share := float64(g.Skipped) / float64(max(g.Lines, 1)); share > l.cfg.Skip {
		m := *g.First
		m.Msg = fmt.Sprintf("%d of %d lines are wrong, more than skip: %g%% allows; this is the first: %s", g.Skipped, g.Lines, l.cfg.Skip*100, m.Msg)
		return nil, Mistakes{&m}
	}
	if len(g.At) == 0 {
		return nil, Mistakes{{File: l.file, Line: 1, Col: 1, Msg: "the file has no line with a time"}}
	}
	if l.shuffled {
		g.sort()
	}
	if g.Relative = l.stamps.relative; !g.Relative {
		first := g.At[0]
		for i := range g.At {
			g.At[i] -= first
		}
		if l.grain == int64(time.Second) {
			g.Resolution = time.Second
		}
	}
	return g, nil
}

// sort puts the lines in the order of their times; those of one time stay in theirs.
func (g *Log) sort() {
	type entry struct {
		at, line int64
		ask      uint32
	}
	es := make([]entry, len(g.At))
	for i, at := range g.At {
		es[i] = entry{at: at, line: int64(i)}
		if g.Ask != nil {
			es[i].ask = g.Ask[i]
		}
	}
	slices.SortFunc(es, func(a, b entry) int { return cmp.Or(cmp.Compare(a.at, b.at), cmp.Compare(a.line, b.line)) })
	for i, e := range es {
		g.At[i] = e.at
		if g.Ask != nil {
			g.Ask[i] = e.ask
		}
	}
}
