package trace

import (
	"bytes"
	"encoding/csv"
	"slices"
	"strconv"
	"strings"
)

// parsed is what a line says. The bytes are valid until the next line.
type parsed struct{ time, method, path []byte }

// A parser takes a line apart. A header has nothing to say.
type parser interface {
	line(b []byte) (p parsed, header bool, msg string)
}

// clf reads the common and the combined log format. What stands before the time and behind the request is not looked at,
// except that a status follows it.
type clf struct {
	timesOnly bool
	request   []byte
}

func (c *clf) line(b []byte) (p parsed, header bool, msg string) {
	from := bytes.IndexByte(b, '[')
	to := from + bytes.IndexByte(b[from+1:], ']') + 1
	if from < 0 || to <= from {
		return p, false, "the line has no [time]"
	}
	p.time = b[from+1 : to]
	if c.timesOnly {
		return p, false, ""
	}
	rest, ok := bytes.CutPrefix(bytes.TrimLeft(b[to+1:], " "), []byte(`"`))
	end := quoteEnd(rest)
	if !ok || end < 0 {
		return p, false, `the line has no "request" behind its time`
	}
	status, _, _ := bytes.Cut(bytes.TrimLeft(rest[end+1:], " "), []byte(" "))
	if n, err := strconv.Atoi(string(status)); err != nil || n < 0 || n > 999 {
		return p, false, "the line has no status behind its request"
	}
	c.request = unescape(c.request[:0], rest[:end])
	p.method, p.path, msg = requestLine(c.request)
	return p, false, msg
}

// quoteEnd is where an escaped text ends; -1 where it does not.
func quoteEnd(b []byte) int {
	for i := 0; i < len(b); i++ {
		switch b[i] {
		case '\\':
			i++
		case '"':
			return i
		}
	}
	return -1
}

// table reads CSV. Its columns are found in the first line.
type table struct {
	columns   Columns
	timesOnly bool
	separator byte
	begun     bool
	time      int // positions, from 0; -1: there is none
	method    int
	path      int
	request   int
	cells     [][]byte
}

// usual are the names of columns that are looked for where none is said.
func usual() (times, methods, paths, requests []string) {
	return []string{"time", "timestamp", "ts", "@timestamp", "time_iso8601", "time_local", "msec", "date"},
		[]string{"method", "request_method", "verb", "http_method", "request.method"},
		[]string{"path", "uri", "request_uri", "url", "request.uri", "request.path"},
		[]string{"request", "request_line"}
}

func (t *table) line(b []byte) (p parsed, header bool, msg string) {
	if b[0] == '#' {
		return p, true, ""
	}
	if !t.begun {
		if header, msg = t.begin(b); header || msg != "" {
			return p, header, msg
		}
	}
	if msg = t.split(b); msg != "" {
		return p, false, msg
	}
	cell := func(i int, what string) []byte {
		if i < 0 || msg != "" {
			return nil
		}
		if i >= len(t.cells) {
			msg = "the line has " + strconv.Itoa(len(t.cells)) + " columns; its " + what + " should be in column " + strconv.Itoa(i+1)
			return nil
		}
		return bytes.TrimSpace(t.cells[i])
	}
	p.time = cell(t.time, "time")
	if t.timesOnly || msg != "" {
		return p, false, msg
	}
	if t.request >= 0 {
		if line := cell(t.request, "request"); msg == "" {
			p.method, p.path, msg = requestLine(line)
		}
		return p, false, msg
	}
	p.method, p.path = cell(t.method, "method"), cell(t.path, "path")
	return p, false, msg
}

// begin finds the columns, by names in the header or by positions.
func (t *table) begin(b []byte) (header bool, msg string) {
	t.separator = ','
	for _, c := range []byte{';', '\t'} {
		if bytes.Count(b, []byte{c}) > bytes.Count(b, []byte{t.separator}) {
			t.separator = c
		}
	}
	if msg = t.split(b); msg != "" {
		return false, msg
	}
	names := make([]string, len(t.cells))
	for i, c := range t.cells {
		names[i] = strings.ToLower(strings.TrimSpace(string(c)))
	}
	t.begun = true
	t.time, t.method, t.path, t.request = -1, -1, -1, -1
	times, methods, paths, requests := usual()
	for _, f := range []struct {
		at     *int
		said   string
		usual  []string
		second int // position where there is no header
	}{
		{&t.time, t.columns.Time, times, 0},
		{&t.method, t.columns.Method, methods, 1},
		{&t.path, t.columns.Path, paths, 2},
		{&t.request, t.columns.Request, requests, -1},
	} {
		if n, err := strconv.Atoi(f.said); err == nil {
			*f.at = n - 1
			continue
		}
		look := f.usual
		if f.said != "" {
			look = []string{strings.ToLower(f.said)}
		}
		for _, name := range look {
			if i := slices.Index(names, name); i >= 0 {
				*f.at, header = i, true
				break
			}
		}
		if f.said != "" && *f.at < 0 {
			return false, "the first line has no column " + strconv.Quote(f.said)
		}
	}
	if !header && t.columns == (Columns{}) {
		t.time, t.method, t.path = 0, 1, 2
	}
	if t.time < 0 {
		t.time = 0
	}
	if t.columns.Path != "" || t.columns.Method != "" {
		t.request = -1
	}
	return header, ""
}

// split cuts a line into cells.
func (t *table) split(b []byte) string {
	t.cells = t.cells[:0]
	if bytes.IndexByte(b, '"') < 0 {
		for {
			i := bytes.IndexByte(b, t.separator)
			if i < 0 {
				t.cells = append(t.cells, b)
				return ""
			}
			t.cells = append(t.cells, b[:i])
			b = b[i+1:]
		}
	}
	r := csv.NewReader(bytes.NewReader(b))
	r.Comma, r.FieldsPerRecord = rune(t.separator), -1
	cells, err := r.Read()
	if err != nil {
		return "a quote of the line does not end"
	}
	for _, c := range cells {
		t.cells = append(t.cells, []byte(c))
	}
	return ""
}
