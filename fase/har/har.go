// Package har turns a recorded visit, an HTTP Archive as browsers save it, into a scenario that repeats it.
//
// [Read] reads an archive entry by entry, so that the answers in it, which are most of it, need no memory. [Archive.Scenario]
// writes the scenario: the pages of the visit in their order as a session, the requests of a page as they overlapped, the
// pauses as they were. What a scenario cannot say is not dropped in silence: it is listed in Result.Notes.
//
// The format is that of the W3C's draft "HTTP Archive (HAR) format" (Odvarko, Jain, Davies, 2012), version 1.2.
package har

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"sort"
	"strings"
	"time"
)

// An Archive is what was read of one.
type Archive struct {
	Creator string
	Pages   []Page
	Entries []Entry // by when they began
	Notes   []string
}

// A Page is a page as the browser saw it.
type Page struct {
	ID, Title string
	Start     time.Time
}

// An Entry is one request.
type Entry struct {
	Page     string // ID; empty where the archive does not tell
	Start    time.Time
	Sent     time.Time // Start, and the time that it waited for a connection
	End      time.Time
	Method   string
	URL      string
	Protocol string // as recorded: "HTTP/1.1", "h2"
	Headers  []Header
	Body     string
	BodySize int64 // what was sent; -1 for not known
	Status   int
	Socket   bool // a WebSocket
}

// A Header is one field.
type Header struct{ Name, Value string }

// An Error is a mistake in an archive, and where.
type Error struct {
	Line, Col int // from 1, columns in bytes
	Msg       string
}

// Error returns `line:col: message`.
func (e *Error) Error() string { return fmt.Sprintf("%d:%d: %s", e.Line, e.Col, e.Msg) }

// The bounds of an archive.
const (
	maxEntries = 20_000
	maxPages   = 1000
	maxBody    = 16 << 10 // bytes of a body that is kept; of a longer one only the size
)

// Read reads an archive to its end. The error is an Error, or the reader's.
func Read(r io.Reader) (*Archive, error) {
	p := &places{r: r, lines: []int64{0}}
	d := &reader{places: p, dec: json.NewDecoder(p), a: &Archive{}}
	if err := d.file(); err != nil {
		return nil, d.positioned(err)
	}
	sort.SliceStable(d.a.Entries, func(i, j int) bool { return d.a.Entries[i].Sent.Before(d.a.Entries[j].Sent) })
	sort.SliceStable(d.a.Pages, func(i, j int) bool { return d.a.Pages[i].Start.Before(d.a.Pages[j].Start) })
	return d.a, nil
}

// places remembers where the lines of what is read begin.
type places struct {
	r     io.Reader
	read  int64
	lines []int64
	err   error
}

func (p *places) Read(b []byte) (int, error) {
	n, err := p.r.Read(b)
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

// at is the line and the column of an offset.
func (p *places) at(offset int64) (line, col int) {
	i := sort.Search(len(p.lines), func(i int) bool { return p.lines[i] > offset }) - 1
	return i + 1, int(offset-p.lines[i]) + 1
}

type reader struct {
	*places
	dec *json.Decoder
	a   *Archive
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
	var kind *json.UnmarshalTypeError
	switch {
	case errors.As(err, &own):
		offset = own.offset
	case errors.As(err, &syntax):
		offset, msg = d.broken(offset, msg), "this is not JSON: "+msg
	case errors.As(err, &kind):
		msg = fmt.Sprintf("%s is a %s, which an archive does not have there", orWhole(kind.Field), kind.Value)
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		offset, msg = d.read, "the file ends in the middle of the archive"
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

func orWhole(field string) string {
	if field == "" {
		return "what stands here"
	}
	return strings.ToLower(field)
}

func (d *reader) wrong(format string, args ...any) error {
	return &mistake{offset: d.dec.InputOffset(), msg: fmt.Sprintf(format, args...)}
}

// file reads {"log": {…}}.
func (d *reader) file() error {
	found := false
	err := d.object("an archive", func(key string) error {
		if key != "log" {
			return d.skip()
		}
		found = true
		return d.log()
	})
	if err == nil && !found {
		return d.wrong(`an archive has a "log", and this has none: it is no HAR file`)
	}
	return err
}

func (d *reader) log() error {
	found := false
	err := d.object(`the "log"`, func(key string) error {
		switch key {
		case "creator":
			var c struct{ Name string }
			err := d.dec.Decode(&c)
			d.a.Creator = c.Name
			return err
		case "pages":
			return d.list("pages", d.page)
		case "entries":
			found = true
			return d.list("entries", d.entry)
		}
		return d.skip()
	})
	if err == nil && !found {
		return d.wrong(`the "log" has no "entries"`)
	}
	return err
}

// object reads the keys of an object; value reads what stands behind each.
func (d *reader) object(what string, value func(key string) error) error {
	t, err := d.dec.Token()
	if err != nil {
		return err
	}
	if t != json.Delim('{') {
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
	_, err = d.dec.Token()
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

func (d *reader) page() error {
	at := d.dec.InputOffset()
	var p struct {
		ID, Title       string
		StartedDateTime string
	}
	if err := d.dec.Decode(&p); err != nil {
		return d.inside(at, err)
	}
	if len(d.a.Pages) == maxPages {
		return &mistake{at, fmt.Sprintf("the archive has more than %d pages", maxPages)}
	}
	start, err := instant(p.StartedDateTime)
	if err != nil {
		return &mistake{at, fmt.Sprintf("page %q: startedDateTime: %v", p.ID, err)}
	}
	d.a.Pages = append(d.a.Pages, Page{ID: p.ID, Title: p.Title, Start: start})
	return nil
}

// inside positions a mistake of a value that begins at an offset.
func (d *reader) inside(at int64, err error) error {
	var kind *json.UnmarshalTypeError
	if errors.As(err, &kind) {
		return &mistake{at + kind.Offset, fmt.Sprintf("%s is a %s, which an archive does not have there", orWhole(kind.Field), kind.Value)}
	}
	return err
}

// rawEntry is an entry as it stands.
type rawEntry struct {
	Pageref         string
	StartedDateTime string
	Time            float64
	Request         struct {
		Method, URL, HTTPVersion string
		Headers                  []Header
		PostData                 *rawPost
		BodySize                 float64
	}
	Response struct{ Status int }
	Timings  struct{ Blocked, DNS, Connect, Send, Wait, Receive, SSL float64 }
	Messages json.RawMessage `json:"_webSocketMessages"`
}

type rawPost struct {
	MimeType, Text, Encoding string
	Params                   []struct{ Name, Value, FileName string }
}

func (d *reader) entry() error {
	at := d.dec.InputOffset()
	var raw rawEntry
	if err := d.dec.Decode(&raw); err != nil {
		return d.inside(at, err)
	}
	n := len(d.a.Entries) + 1
	if n > maxEntries {
		return &mistake{at, fmt.Sprintf("the archive has more than %d entries", maxEntries)}
	}
	start, err := instant(raw.StartedDateTime)
	if err != nil {
		return &mistake{at, fmt.Sprintf("entry %d: startedDateTime: %v", n, err)}
	}
	if raw.Request.Method == "" || raw.Request.URL == "" {
		return &mistake{at, fmt.Sprintf("entry %d has no request with a method and a url", n)}
	}
	e := Entry{
		Page: raw.Pageref, Start: start, Method: raw.Request.Method, URL: raw.Request.URL, Protocol: raw.Request.HTTPVersion,
		Headers: raw.Request.Headers, BodySize: int64(raw.Request.BodySize), Status: raw.Response.Status,
	}
	e.Socket = len(raw.Messages) > 0 || raw.Response.Status == 101 || strings.HasPrefix(e.URL, "ws:") || strings.HasPrefix(e.URL, "wss:")
	e.Sent = start.Add(milliseconds(raw.Timings.Blocked))
	e.End = start.Add(milliseconds(raw.Time))
	if raw.Time <= 0 {
		t := raw.Timings
		e.End = e.Sent.Add(milliseconds(t.DNS) + milliseconds(t.Connect) + milliseconds(t.Send) + milliseconds(t.Wait) + milliseconds(t.Receive))
	}
	if e.End.Before(e.Sent) {
		e.End = e.Sent
	}
	if p := raw.Request.PostData; p != nil {
		d.post(&e, p, n)
	}
	d.a.Entries = append(d.a.Entries, e)
	return nil
}

// milliseconds is a time of an archive, where -1 stands for none.
func milliseconds(x float64) time.Duration {
	if !(x > 0) || x > 1e9 {
		return 0
	}
	return time.Duration(x * 1e6)
}

func instant(s string) (time.Time, error) {
	if s == "" {
		return time.Time{}, errors.New("there is none")
	}
	t, err := time.Parse(time.RFC3339Nano, s)
	if err != nil {
		return t, fmt.Errorf("%q is no time as in 2026-01-31T12:00:00.000Z", s)
	}
	return t, nil
}
