package rdr

import (
	"fmt"
	"strings"
)

// HTTP is what a plain HTTP request says beyond its method and path. It is
// immutable and shared.
type HTTP struct {
	// Fields are the header fields as they go over the wire: lines `Name: value`,
	// each with its CRLF. Neither Content-Length nor Transfer-Encoding is among
	// them: whoever sends the request knows its length.
	Fields string
	// Body begins the body; the N bytes of the demand follow it.
	Body string
}

// maxFields bounds the header fields of one request, in bytes.
const maxFields = 32 << 10

// http reads what follows the word.
func (p *parser) http(n *node) bool {
	var ok bool
	n.amt.unit = unitBytes
	if n.name, ok = p.name("a target", "site"); !ok {
		return false
	}
	if n.op, ok = p.method(); !ok {
		return false
	}
	t := p.tok()
	if t.kind != tokString || !validPath(t.value) {
		return p.missing(fmt.Sprintf("a path is due, not %s", t.describe()), "write \"/index.html\", with neither spaces nor a host")
	}
	n.path = p.next().value
	var more HTTP
	for p.isWord("header") {
		p.next()
		if !p.field(&more) {
			return false
		}
	}
	if p.isWord("body") {
		p.next()
		if more.Body, ok = p.httpBody(); !ok {
			return false
		}
	}
	if more != (HTTP{}) {
		n.http = &more
	}
	if p.isWord("send") {
		p.next()
		return p.amount(&n.amt, kHTTP)
	}
	return true
}

// method reads one in capitals, or any in a string.
func (p *parser) method() (string, bool) {
	switch t := p.tok(); {
	case t.kind == tokWord && strings.ToUpper(t.text) == t.text && validMethod(t.text):
		return p.next().text, true
	case t.kind == tokString && validMethod(t.value):
		return p.next().value, true
	default:
		return "", p.missing(fmt.Sprintf("a method is due, not %s", t.describe()), "write GET, POST, …, in capitals")
	}
}

// field reads a header field and appends its line.
func (p *parser) field(more *HTTP) bool {
	t := p.tok()
	if t.kind != tokString {
		return p.missing(fmt.Sprintf("a header field is due, not %s", t.describe()), "write header \"Accept: text/html\"")
	}
	line, msg := field(t.value)
	if msg == "" && len(more.Fields)+len(line) > maxFields {
		msg = fmt.Sprintf("the header fields take more than %d bytes", maxFields)
	}
	if msg != "" {
		return p.fault(t, msg, "write header \"Accept: text/html\"")
	}
	more.Fields += line
	p.next()
	return true
}

// field returns the line of a header field, or what is wrong with it.
func field(s string) (line, msg string) {
	name, value, ok := strings.Cut(s, ":")
	switch {
	case !ok || !validToken(name):
		return "", fmt.Sprintf("%q is not a header field", s)
	case strings.EqualFold(name, "content-length") || strings.EqualFold(name, "transfer-encoding"):
		return "", fmt.Sprintf("the field %s follows from the body", name)
	}
	value = strings.Trim(value, " \t")
	if strings.ContainsFunc(value, func(r rune) bool { return r < ' ' && r != '\t' || r == 0x7f }) {
		return "", fmt.Sprintf("the field %s has a control character in it", name)
	}
	return name + ": " + value + "\r\n", ""
}

// httpBody reads a string, or the name of a file and the file.
func (p *parser) httpBody() (string, bool) {
	if !p.isWord("file") {
		t := p.tok()
		if t.kind != tokString {
			return "", p.missing(fmt.Sprintf("a body is due, not %s", t.describe()), "write body `{\"id\": 7}`, or body file \"order.json\"")
		}
		return p.next().value, p.take(t, len(t.value))
	}
	p.next()
	t := p.tok()
	switch {
	case t.kind != tokString || t.value == "":
		return "", p.missing(fmt.Sprintf("the name of a file is due, not %s", t.describe()), "write body file \"order.json\"")
	case p.loose:
		p.next()
		return "", true
	case p.cfg.Load == nil:
		return "", p.fault(t, "body cannot read a file here", "put the request into a scenario, which carries the file along")
	}
	data, err := p.cfg.Load(t.value)
	if err != nil {
		return "", p.fault(t, err.Error(), "")
	}
	p.next()
	return string(data), p.take(t, len(data))
}

// take books bytes that a text brings along.
func (p *parser) take(t token, bytes int) bool {
	if p.size += bytes; p.size <= 16*p.lim.Size {
		return true
	}
	p.errs = append(p.errs, p.src.errorAt(t.at, ErrLimit, fmt.Sprintf("bodies and samples take more than %d bytes", 16*p.lim.Size), ""))
	return false
}

// Quote returns s as a string of the language; false if it holds characters
// that no string can: both kinds of quotes, or a NUL.
func Quote(s string) (string, bool) {
	switch {
	case strings.ContainsRune(s, 0):
		return "", false
	case !strings.ContainsAny(s, "\"\n"):
		return `"` + s + `"`, true
	default:
		return "`" + s + "`", !strings.Contains(s, "`")
	}
}

// validHTTP reports whether what an http says can be sent; a decoded one may say anything.
func validHTTP(n *node) bool {
	if !validMethod(n.op) || !validPath(n.path) {
		return false
	}
	if n.http == nil {
		return true
	}
	fields := n.http.Fields
	if len(fields) > maxFields {
		return false
	}
	for fields != "" {
		line, rest, ok := strings.Cut(fields, "\r\n")
		if again, msg := field(line); !ok || msg != "" || again != line+"\r\n" {
			return false
		}
		fields = rest
	}
	return *n.http != HTTP{}
}

func validMethod(s string) bool { return len(s) <= 32 && validToken(s) }

// validToken reports whether s is a token of HTTP (RFC 9110, 5.6.2).
func validToken(s string) bool {
	for i := range len(s) {
		if c := s[i]; !letter(c) && !digit(c) && strings.IndexByte("!#$%&'*+-.^_`|~", c) < 0 {
			return false
		}
	}
	return s != ""
}

func validPath(s string) bool {
	return s != "" && len(s) <= maxPath && (s[0] == '/' || s == "*") &&
		strings.IndexFunc(s, func(r rune) bool { return r <= ' ' || r >= 0x7f || r == '#' }) < 0
}

// bodyBytes is how long the body is that an http brings along.
func (n *node) bodyBytes() float64 {
	if n.http == nil {
		return 0
	}
	return float64(len(n.http.Body))
}
