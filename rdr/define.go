package rdr

import (
	"fmt"
	"strings"
)

// file reads definitions up to the end.
func (p *parser) file(f *File, start Start) {
	for !p.is(tokEOF) && !p.over {
		p.enter()
		if !p.isWord("request") {
			t := p.tok()
			fix := "write request NAME { … }"
			if t.kind == tokWord && suggest(t.text, []string{"request"}) != "" {
				fix = "did you mean `request`?"
			}
			p.fault(t, fmt.Sprintf("a definition begins with `request`, not %s", t.describe()), fix)
			p.toNextRequest()
		} else if !p.request(f, start) {
			p.toNextRequest()
		}
		p.leave()
	}
}

// toNextRequest skips to the next word `request` at the start of a line.
func (p *parser) toNextRequest() {
	for p.next(); !p.is(tokEOF); p.next() {
		if p.isWord("request") && p.tokens[p.i-1].kind != '.' {
			return
		}
	}
}

func (p *parser) request(f *File, start Start) bool {
	p.next()
	t := p.tok()
	name, ok := p.name("a request", "page")
	if !ok {
		return false
	}
	b := &Block{name: name, start: start, src: p.src, at: t.at}
	b.body, ok = p.braces("after the name of the request")
	b.end = p.tok().at
	if p.i > 0 {
		b.end = p.tokens[p.i-1].at
	}
	if !ok {
		return false
	}
	if _, twice := f.blocks[name]; twice {
		return p.fault(t, fmt.Sprintf("request %s is defined twice", name), "")
	}
	b.finish()
	f.names = append(f.names, name)
	f.blocks[name] = b
	return true
}

// name reads the name of a thing.
func (p *parser) name(what, example string) (string, bool) {
	t := p.tok()
	if t.kind != tokWord {
		return "", p.missing(fmt.Sprintf("the name of %s is due, not %s", what, t.describe()), "")
	}
	if !validName(t.text) {
		return "", p.fault(t, fmt.Sprintf("%q is not a name of %s", t.text, what),
			fmt.Sprintf("a name is at most %d small letters, digits and _, and begins with a letter, like %s", maxName, example))
	}
	p.next()
	return t.text, true
}

// The longest name, and the longest path of http.
const (
	maxName = 64
	maxPath = 2048
)

// validName reports whether s may name a service, request, lock or level.
func validName(s string) bool {
	if s == "" || len(s) > maxName || s[0] < 'a' || s[0] > 'z' {
		return false
	}
	return strings.IndexFunc(s, func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < '0' || r > '9') && r != '_'
	}) < 0
}
