package rdr

import (
	"bytes"
	"strings"
	"unicode/utf8"
)

// maxLine is the width, in characters, up to which a body stays on one line.
const maxLine = 100

// Format returns the text of a file of requests in the standard form, with its
// comments. Formatting twice changes nothing more, and the result parses to the
// same blocks. An error is the Errors of a text that does not parse. Where a
// body runs does not matter to its form.
func Format(name string, src []byte) ([]byte, error) {
	return format(name, src, func(p *parser) {
		p.file(&File{blocks: map[string]*Block{}}, StartBlock)
	})
}

// FormatBlock is Format for the bare body of a block.
func FormatBlock(name string, src []byte) ([]byte, error) {
	return format(name, src, func(p *parser) { p.bare() })
}

func format(name string, src []byte, parse func(*parser)) ([]byte, error) {
	p, err := newParser(Config{}, name, src, 16)
	if err != nil {
		return nil, err
	}
	p.loose = true
	root := p.at
	root.open, root.close = -1, len(p.tokens)-1
	parse(p)
	if err := p.result(); err != nil {
		return nil, err
	}
	f := printer{p: p, fresh: true}
	f.body(root, 0)
	f.comments(len(p.tokens)-1, 0)
	return f.out.Bytes(), nil
}

// printer writes one statement a line. A body stays on one line if it was
// written on one, has no comment and fits.
type printer struct {
	p     *parser
	out   bytes.Buffer
	said  int  // comments written
	fresh bool // nothing stands before in this body
}

func (f *printer) body(l *layout, indent int) {
	for _, kid := range l.kids {
		f.statement(kid, indent)
	}
}

func (f *printer) statement(l *layout, indent int) {
	flat := f.flat(l)
	if l.open < 0 || f.fits(l, flat, indent) {
		f.comments(l.last, indent)
		f.line(f.p.tokens[l.first].at, flat, indent)
		f.end(l.last)
		return
	}
	f.comments(l.open, indent)
	head := f.join(l.first, l.open)
	if head != "" {
		head += " "
	}
	f.line(f.p.tokens[l.first].at, head+"{", indent)
	f.end(l.open)
	f.fresh = true
	f.body(l, indent+1)
	f.comments(l.close, indent+1)
	f.fresh = true // no empty line before a brace
	f.line(f.p.tokens[l.close].at, "}", indent)
	f.end(l.close)
}

// fits reports whether a statement with a body stays on one line.
func (f *printer) fits(l *layout, flat string, indent int) bool {
	for _, c := range f.p.comments[f.said:] {
		if c.next > l.open && c.next <= l.last {
			return false
		}
	}
	t := f.p.tokens
	inside := f.p.src.text[t[l.open].at:t[l.close].end]
	return len(l.kids) == 0 ||
		!bytes.ContainsRune(inside, '\n') && 2*indent+utf8.RuneCountInString(flat) <= maxLine
}

// line writes a line, after an empty one if one stands before the offset.
func (f *printer) line(at int, text string, indent int) {
	if !f.fresh && f.gap(at) {
		f.out.WriteByte('\n')
	}
	f.fresh = false
	f.out.WriteString(strings.Repeat("  ", indent) + text)
}

// end ends a line, with the comment that follows the token on it.
func (f *printer) end(last int) {
	if f.said < len(f.p.comments) {
		c := f.p.comments[f.said]
		between := f.p.src.text[f.p.tokens[last].end:max(c.at, f.p.tokens[last].end)]
		if c.next == last+1 && !bytes.ContainsRune(between, '\n') {
			f.out.WriteString("  " + f.comment(c))
			f.said++
		}
	}
	f.out.WriteByte('\n')
}

// comments writes those before a token, each on its own line.
func (f *printer) comments(before, indent int) {
	for f.said < len(f.p.comments) && f.p.comments[f.said].next <= before {
		c := f.p.comments[f.said]
		f.line(c.at, f.comment(c)+"\n", indent)
		f.said++
	}
}

func (f *printer) comment(c comment) string {
	return strings.TrimRight(strings.ToValidUTF8(string(f.p.src.text[c.at:c.end]), "\uFFFD"), " \t\r\v\f")
}

// gap reports an empty line before an offset.
func (f *printer) gap(at int) bool {
	text := f.p.src.text[:at]
	space := text[len(bytes.TrimRight(text, " \t\r\n")):]
	return bytes.Count(space, []byte("\n")) > 1
}

// flat returns a statement on one line.
func (f *printer) flat(l *layout) string {
	if l.open < 0 {
		return f.join(l.first, l.last+1)
	}
	parts := make([]string, 0, len(l.kids))
	for _, kid := range l.kids {
		parts = append(parts, f.flat(kid))
	}
	body := "{ }"
	if len(parts) > 0 {
		body = "{ " + strings.Join(parts, "  ") + " }"
	}
	if head := f.join(l.first, l.open); head != "" {
		return head + " " + body
	}
	return body
}

// join writes tokens with single spaces where they belong.
func (f *printer) join(from, to int) string {
	var b strings.Builder
	for i := from; i < to; i++ {
		t := f.p.tokens[i]
		if i > from && spaced(f.p.tokens[i-1].kind, t.kind) {
			b.WriteByte(' ')
		}
		if t.kind == tokNumber {
			t.text = strings.NewReplacer("µ", "u", "μ", "u").Replace(t.text)
		}
		b.WriteString(t.text)
	}
	return b.String()
}

func spaced(a, b tokenKind) bool {
	return a != '(' && a != '.' && b != '(' && b != ')' && b != ',' && b != ':' && b != '.'
}
