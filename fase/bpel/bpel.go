// Package bpel turns a business process, written in WS-BPEL, into a scenario of the services that it is composed of.
//
// [Read] reads the process. [Process.Scenario] writes the scenario: the process is a service whose operations are what starts
// it, each partner link is a service with an operation for each that is invoked, and the order and parallelism of the calls are
// the process's. What a process does not say is assumed, and marked `# fill in`: demands, probabilities of branches, counts of
// loops, and when messages come. What a scenario cannot say is not dropped in silence: it is listed in Result.Notes.
//
// The language is OASIS, "Web Services Business Process Execution Language Version 2.0" (2007); of its predecessor, BPEL4WS 1.1
// (2003), `switch`, `terminate` and expressions in attributes are understood too.
package bpel

import (
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"strings"
)

// The namespaces of what is read.
const (
	executable = "http://docs.oasis-open.org/wsbpel/2.0/process/executable"
	abstract   = "http://docs.oasis-open.org/wsbpel/2.0/process/abstract"
	older      = "http://schemas.xmlsoap.org/ws/2003/03/business-process/"
)

// The bounds of a file.
const (
	maxBytes    = 4 << 20
	maxDepth    = 64
	maxElements = 20_000
	maxText     = 4 << 10 // bytes of an element's text, or of an attribute, that are kept
)

// A Process is what was read of one. It is not changed once it was read.
type Process struct {
	Name string
	root *element
}

// An element is one of the process's own namespace, or of another.
type element struct {
	name      string
	foreign   bool // of another namespace
	attrs     map[string]string
	kids      []*element
	text      string
	line, col int
}

// An Error is a mistake in a process, and where.
type Error struct {
	Line, Col int // from 1, columns in bytes
	Msg       string
}

// Error returns `line:col: message`.
func (e *Error) Error() string { return fmt.Sprintf("%d:%d: %s", e.Line, e.Col, e.Msg) }

// Read reads a process to its end. The error is an Error, or the reader's.
func Read(r io.Reader) (*Process, error) {
	in := &bounded{r: r, left: maxBytes}
	d := &reader{in: in, dec: xml.NewDecoder(in)}
	err := d.read()
	switch {
	case in.err != nil:
		return nil, fmt.Errorf("read: %w", in.err)
	case in.over:
		return nil, d.wrong("the file has more than %d MiB", maxBytes>>20)
	case err != nil:
		return nil, d.positioned(err)
	}
	return &Process{Name: d.root.attrs["name"], root: d.root}, nil
}

// bounded refuses what is too long, and remembers how the reader failed.
type bounded struct {
	r    io.Reader
	left int
	over bool
	err  error
}

var errOver = errors.New("too long")

func (b *bounded) Read(p []byte) (int, error) {
	if b.left == 0 {
		b.over = true
		return 0, errOver
	}
	n, err := b.r.Read(p[:min(len(p), b.left)])
	b.left -= n
	if err != nil && !errors.Is(err, io.EOF) {
		b.err = err
	}
	return n, err
}

type reader struct {
	in    *bounded
	dec   *xml.Decoder
	root  *element
	space string // the process's namespace
	open  []*element
	count int
}

func (d *reader) wrong(format string, args ...any) error {
	line, col := d.dec.InputPos()
	return &Error{Line: line, Col: col, Msg: fmt.Sprintf(format, args...)}
}

func (d *reader) positioned(err error) error {
	var at *Error
	var syntax *xml.SyntaxError
	switch {
	case errors.As(err, &at):
		return at
	case errors.As(err, &syntax) && syntax.Msg == "unexpected EOF":
		return d.wrong("the file ends in the middle of the process%s", d.within())
	case errors.As(err, &syntax):
		return d.wrong("this is not XML: %s%s", syntax.Msg, d.within())
	}
	return d.wrong("this is not XML that can be read: %s", strings.TrimPrefix(err.Error(), "xml: "))
}

// within tells which element is open.
func (d *reader) within() string {
	if len(d.open) == 0 {
		return ""
	}
	e := d.open[len(d.open)-1]
	return fmt.Sprintf(" (in the %s that begins at %d:%d)", e.name, e.line, e.col)
}

func (d *reader) read() error {
	for {
		line, col := d.dec.InputPos()
		t, err := d.dec.Token()
		switch {
		case errors.Is(err, io.EOF) && d.root != nil:
			return nil
		case errors.Is(err, io.EOF):
			return d.wrong("there is no process in the file")
		case err != nil:
			return err
		}
		switch t := t.(type) {
		case xml.StartElement:
			err = d.start(t, line, col)
		case xml.EndElement:
			d.open = d.open[:len(d.open)-1]
		case xml.CharData:
			err = d.chars(string(t), line, col)
		case xml.Directive:
			err = &Error{line, col, "a document type stands here: entities are not read, and a process needs none"}
		}
		if err != nil {
			return err
		}
	}
}

func (d *reader) chars(s string, line, col int) error {
	if len(d.open) > 0 {
		e := d.open[len(d.open)-1]
		e.text = clip(e.text+s, maxText)
		return nil
	}
	if t := strings.TrimSpace(strings.TrimPrefix(s, "\ufeff")); t != "" {
		return &Error{line, col, "text stands outside of the process"}
	}
	return nil
}

func (d *reader) start(t xml.StartElement, line, col int) error {
	e := &element{name: clip(t.Name.Local, 64), line: line, col: col, attrs: make(map[string]string, len(t.Attr))}
	for _, a := range t.Attr {
		if a.Name.Space == "" {
			e.attrs[a.Name.Local] = clip(a.Value, maxText)
		}
	}
	if d.count++; d.count > maxElements {
		return &Error{line, col, fmt.Sprintf("the process has more than %d elements", maxElements)}
	}
	if len(d.open) == maxDepth {
		return &Error{line, col, fmt.Sprintf("elements are nested more than %d deep", maxDepth)}
	}
	switch {
	case len(d.open) > 0:
		e.foreign = t.Name.Space != d.space
		up := d.open[len(d.open)-1]
		up.kids = append(up.kids, e)
	case d.root != nil:
		return &Error{line, col, "a second document begins here"}
	case e.name != "process" || t.Name.Space != executable && t.Name.Space != abstract && t.Name.Space != older:
		return &Error{line, col, fmt.Sprintf("%s of namespace %q is no WS-BPEL process: one begins with <process xmlns=%q …>", e.name, clip(t.Name.Space, 100), executable)}
	default:
		d.space, d.root = t.Name.Space, e
	}
	d.open = append(d.open, e)
	return nil
}

// clip cuts a text at a rune's border.
func clip(s string, n int) string {
	if len(s) <= n {
		return s
	}
	return strings.ToValidUTF8(s[:n], "")
}

// kid is the first child of a name, or nil.
func (e *element) kid(name string) *element {
	for _, k := range e.kids {
		if k.name == name && !k.foreign {
			return k
		}
	}
	return nil
}

// expression is what a child or, in BPEL4WS 1.1, an attribute of the name says.
func (e *element) expression(name string) string {
	if k := e.kid(name); k != nil {
		return strings.TrimSpace(k.text)
	}
	return strings.TrimSpace(e.attrs[name])
}

// local is a qualified name without its prefix.
func local(qname string) string { return qname[strings.IndexByte(qname, ':')+1:] }
