package rdr

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"unicode/utf8"
)

// tokenKind is the kind of a token: one of these, or the character itself.
type tokenKind rune

const (
	tokEOF tokenKind = -1 - iota
	tokWord
	tokNumber // with its unit
	tokString
	tokBad // reported when it was read
)

type token struct {
	kind    tokenKind
	at, end int
	text    string
	value   string // of a string
}

// describe names a token in a message.
func (t token) describe() string {
	switch t.kind {
	case tokEOF:
		return "the end"
	case tokString:
		return t.text
	default:
		return "`" + t.text + "`"
	}
}

// comment is a `#` and the rest of its line, before token number next.
type comment struct {
	at, end int
	next    int
}

// lexer cuts a text into tokens.
type lexer struct {
	src      *source
	pos      int
	tokens   []token
	comments []comment
	errs     Errors
}

func (l *lexer) fail(at int, msg, fix string) {
	if len(l.errs) < maxErrors {
		l.errs = append(l.errs, l.src.errorAt(at, nil, msg, fix))
	}
}

// lex reads the whole text; the last token is tokEOF.
func (l *lexer) lex() {
	text := l.src.text
	for l.pos < len(text) {
		switch c := text[l.pos]; {
		case c == ' ' || c == '\t' || c == '\n' || c == '\r':
			l.pos++
		case c == '#':
			at := l.pos
			l.skip(func(c byte) bool { return c != '\n' })
			l.comments = append(l.comments, comment{at, l.pos, len(l.tokens)})
		case letter(c) || c == '_':
			at := l.pos
			l.skip(func(c byte) bool { return letter(c) || digit(c) || c == '_' })
			l.add(tokWord, at)
		case digit(c):
			l.number()
		case c == '"':
			l.quoted()
		case c == '`':
			l.raw()
		case strings.IndexByte("{}(),:.", c) >= 0:
			l.pos++
			l.add(tokenKind(c), l.pos-1)
		default:
			l.strange()
		}
	}
	l.add(tokEOF, l.pos)
}

func letter(c byte) bool { return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' }
func digit(c byte) bool  { return '0' <= c && c <= '9' }

func (l *lexer) skip(while func(byte) bool) {
	for l.pos < len(l.src.text) && while(l.src.text[l.pos]) {
		l.pos++
	}
}

func (l *lexer) add(k tokenKind, at int) {
	l.tokens = append(l.tokens, token{kind: k, at: at, end: l.pos, text: string(l.src.text[at:l.pos])})
}

// number reads digits, a fraction and a unit, which may be written with a µ.
func (l *lexer) number() {
	at := l.pos
	l.skip(digit)
	text := l.src.text
	if l.pos+1 < len(text) && text[l.pos] == '.' && digit(text[l.pos+1]) {
		l.pos++
		l.skip(digit)
	}
	for _, mu := range []string{"µ", "μ"} {
		if strings.HasPrefix(string(text[l.pos:min(l.pos+2, len(text))]), mu) {
			l.pos += len(mu)
		}
	}
	l.skip(func(c byte) bool { return letter(c) || digit(c) || c == '_' || c == '%' })
	l.add(tokNumber, at)
}

func (l *lexer) quoted() {
	at := l.pos
	l.pos++
	l.skip(func(c byte) bool { return c != '"' && c != '\n' })
	if l.pos == len(l.src.text) || l.src.text[l.pos] == '\n' {
		l.fail(at, "a string does not end on its line", "close it with \"")
		l.add(tokBad, at)
		return
	}
	l.pos++
	l.add(tokString, at)
	t := &l.tokens[len(l.tokens)-1]
	t.value = t.text[1 : len(t.text)-1]
}

// raw reads a string between backquotes, which may have lines and quotes in it.
func (l *lexer) raw() {
	at := l.pos
	l.pos++
	l.skip(func(c byte) bool { return c != '`' })
	if l.pos == len(l.src.text) {
		l.fail(at, "a string does not end", "close it with `")
		l.add(tokBad, at)
		return
	}
	l.pos++
	l.add(tokString, at)
	t := &l.tokens[len(l.tokens)-1]
	t.value = t.text[1 : len(t.text)-1]
}

// strange reports a character that begins no token.
func (l *lexer) strange() {
	at := l.pos
	r, size := utf8.DecodeRune(l.src.text[at:])
	l.pos += size
	fix := ""
	switch r {
	case '-':
		fix = "amounts are not negative"
	case ';':
		fix = "statements are separated by spaces or lines"
	case '\'':
		fix = "strings are written in \""
	case '[', ']':
		fix = "bodies are written in { }"
	}
	l.fail(at, fmt.Sprintf("unexpected character %q", r), fix)
	l.add(tokBad, at)
}

var timeUnits = map[string]float64{
	"ns": 1, "us": 1e3, "µs": 1e3, "μs": 1e3, "ms": 1e6, "s": 1e9, "m": 60e9, "min": 60e9, "h": 3600e9,
}

var sizeUnits = map[string]float64{
	"B": 1, "KB": 1e3, "MB": 1e6, "GB": 1e9, "TB": 1e12,
	"KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30, "TiB": 1 << 40,
}

// quantity converts a number with a unit to base units of u. On a mistake it
// returns the message and the fix.
func quantity(text string, u unit) (x float64, msg, fix string) {
	i := strings.IndexFunc(text, func(r rune) bool { return r != '.' && (r < '0' || r > '9') })
	if i < 0 {
		i = len(text)
	}
	digits, suffix := text[:i], text[i:]
	x, err := strconv.ParseFloat(digits, 64)
	if err != nil {
		return 0, fmt.Sprintf("`%s` is not a number", text), ""
	}
	units := map[string]float64{"": 1}
	switch u {
	case unitTime:
		units = timeUnits
	case unitBytes:
		units = sizeUnits
	}
	if f, ok := units[suffix]; ok {
		return snap(x * f), "", ""
	}
	if suffix == "" && x == 0 {
		return 0, "", ""
	}
	return 0, unitMessage(text, suffix, u), unitFix(digits, suffix, u)
}

func unitMessage(text, suffix string, u unit) string {
	_, isTime := timeUnits[suffix]
	_, isSize := sizeUnits[suffix]
	switch {
	case suffix == "":
		return fmt.Sprintf("`%s` has no unit", text)
	case isTime && u != unitTime:
		return fmt.Sprintf("`%s` is a time, where %s is due", text, u)
	case isSize && u != unitBytes:
		return fmt.Sprintf("`%s` is a size, where %s is due", text, u)
	default:
		return fmt.Sprintf("`%s` has an unknown unit `%s`", text, suffix)
	}
}

func unitFix(digits, suffix string, u unit) string {
	switch u {
	case unitTime:
		return fmt.Sprintf("write %sms, %sus or %ss", digits, digits, digits)
	case unitBytes:
		for unit := range sizeUnits {
			if strings.EqualFold(unit, suffix) {
				return "write " + digits + unit
			}
		}
		return fmt.Sprintf("write %sKiB, %sKB or %sB", digits, digits, digits)
	default:
		return "write " + digits
	}
}

// snap rounds what is a whole number but for the error of one multiplication.
func snap(x float64) float64 {
	if r := math.Round(x); math.Abs(x-r) <= 1e-12*r {
		return r
	}
	return x
}
