package spans

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"sort"
	"strings"
)

// Read adds the traces of a file, to its end. The error is an Error, or the reader's. What a trace has in several files is put together.
func (m *Model) Read(r io.Reader) error {
	p := &places{r: r, lines: []int64{0}, first: 1}
	d := &reader{places: p, dec: json.NewDecoder(p), m: m}
	p.done = d.dec.InputOffset
	if err := d.file(); err != nil {
		return d.positioned(err)
	}
	return nil
}

// places remembers where the lines of what is being read begin.
type places struct {
	r     io.Reader
	read  int64
	done  func() int64 // what lies before is not asked for any more
	first int          // the number of lines[0], from 1
	lines []int64
	err   error
}

func (p *places) Read(b []byte) (int, error) {
	n, err := p.r.Read(b)
	if len(p.lines) > 1<<16 {
		p.forget(p.done())
	}
	for i, c := range b[:n] {
		if c == '\n' {
			p.lines = append(p.lines, p.read+int64(i)+1)
		}
	}
	p.read += int64(n)
	if err != nil && !errors.Is(err, io.EOF) {
		p.err = err
	}
	return n, err
}

// forget drops the lines that ended before an offset.
func (p *places) forget(offset int64) {
	i := max(0, sort.Search(len(p.lines), func(i int) bool { return p.lines[i] > offset })-1)
	p.lines = append(p.lines[:0], p.lines[i:]...)
	p.first += i
}

// at is the line and the column of an offset.
func (p *places) at(offset int64) (line, col int) {
	i := max(0, sort.Search(len(p.lines), func(i int) bool { return p.lines[i] > offset })-1)
	return p.first + i, int(max(0, offset-p.lines[i])) + 1
}

type reader struct {
	*places
	dec *json.Decoder
	m   *Model
}

// mistake is one at an offset.
type mistake struct {
	offset int64
	msg    string
}

func (m *mistake) Error() string { return m.msg }

func (d *reader) positioned(err error) error {
	if d.err != nil {
		return fmt.Errorf("read: %w", d.err)
	}
	offset, msg := d.dec.InputOffset(), err.Error()
	var own *mistake
	var syntax *json.SyntaxError
	switch {
	case errors.As(err, &own):
		offset = own.offset
	case errors.As(err, &syntax):
		offset, msg = d.broken(offset, msg), "this is not JSON: "+msg
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		offset, msg = d.read, "the file ends in the middle of the traces"
	}
	line, col := d.at(min(offset, d.read))
	return &Error{Line: line, Col: col, Msg: msg}
}

// broken is where text stops being JSON: the decoder tells it of what it has scanned alone, so the value is scanned again.
func (d *reader) broken(begin int64, msg string) int64 {
	rest, err := io.ReadAll(d.dec.Buffered())
	var again *json.SyntaxError
	if err == nil && errors.As(json.Unmarshal(rest, new(json.RawMessage)), &again) && again.Error() == msg {
		return begin + again.Offset - 1
	}
	return begin
}

func (d *reader) wrong(format string, args ...any) error {
	return &mistake{offset: d.dec.InputOffset(), msg: fmt.Sprintf(format, args...)}
}

// file reads documents to the end.
func (d *reader) file() error {
	for n := 0; ; n++ {
		t, err := d.dec.Token()
		if n > 0 && errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		if err := d.document(t); err != nil {
			return err
		}
	}
}

func (d *reader) document(begin json.Token) error {
	found := false
	err := d.members(begin, "a file of traces", func(key string) error {
		switch key {
		case "resourceSpans", "batches": // the latter in Tempo's API
			found = true
			return d.list(key, d.resource)
		case "data":
			found = true
			return d.list(key, d.jaegerTrace)
		}
		return d.skip()
	})
	if err == nil && !found {
		return d.wrong(`this has neither "resourceSpans", as OpenTelemetry's traces have, nor "data", as Jaeger's`)
	}
	return err
}

// object reads the keys of an object; value reads what stands behind each.
func (d *reader) object(what string, value func(key string) error) error {
	t, err := d.dec.Token()
	if err != nil {
		return err
	}
	return d.members(t, what, value)
}

func (d *reader) members(begin json.Token, what string, value func(key string) error) error {
	if begin != json.Delim('{') {
		return d.wrong("%s is an object in braces", what)
	}
	for d.dec.More() {
		key, err := d.dec.Token()
		if err != nil {
			return err
		}
		name, ok := key.(string)
		if !ok {
			return d.wrong("a key is a text")
		}
		if err := value(name); err != nil {
			return err
		}
	}
	_, err := d.dec.Token()
	return err
}

func (d *reader) list(what string, item func() error) error {
	t, err := d.dec.Token()
	if err != nil {
		return err
	}
	if t == nil { // null: none
		return nil
	}
	if t != json.Delim('[') {
		return d.wrong("%q is a list in brackets", what)
	}
	for d.dec.More() {
		if err := item(); err != nil {
			return err
		}
	}
	_, err = d.dec.Token()
	return err
}

func (d *reader) skip() error {
	depth := 0
	for {
		t, err := d.dec.Token()
		if err != nil {
			return err
		}
		switch t {
		case json.Delim('{'), json.Delim('['):
			depth++
		case json.Delim('}'), json.Delim(']'):
			depth--
		}
		if depth == 0 {
			return nil
		}
	}
}

// value decodes one value that is kept in memory, and returns where it began.
func (d *reader) value(into any) (at int64, err error) {
	at = d.dec.InputOffset()
	err = d.dec.Decode(into)
	var kind *json.UnmarshalTypeError
	var own *field
	switch {
	case errors.As(err, &kind):
		what := strings.ToLower(kind.Field)
		if what == "" {
			what = "what stands here"
		}
		err = &mistake{at + kind.Offset, fmt.Sprintf("%s is a %s, which traces do not have there", what, kind.Value)}
	case errors.As(err, &own):
		err = &mistake{at, own.msg}
	}
	return at, err
}

// A field is a mistake in one.
type field struct{ msg string }

func (f *field) Error() string { return f.msg }

// held keeps the spans of a document whose service is told behind them.
func (d *reader) held(n int) error {
	if n >= maxHeld {
		return d.wrong("more than %d spans stand before the service that they belong to", maxHeld)
	}
	return nil
}
