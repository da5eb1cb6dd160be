package expr

import (
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/eve-emulation/eve/dsv"
)

// tokenKind says what a token is.
type tokenKind uint8

const (
	nameToken     tokenKind = iota // a dotted name: a variable, or a function before "("
	quantityToken                  // a number in base units
	textToken                      // a quoted text
	symbolToken                    // an operator, a parenthesis, a comma, true, false
)

type token struct {
	kind   tokenKind
	text   string  // as written; a text without its quotes
	col    int     // in characters, from 1
	number float64 // of a quantity
	dim    dim
}

// lex splits the source. Mistakes are reported and skipped, so that several are told at once.
func (c *compiler) lex() {
	col := 1
	for i := 0; i < len(c.source); {
		rest := c.source[i:]
		r, size := utf8.DecodeRuneInString(rest)
		n := size
		switch {
		case r == ' ' || r == '\t' || r == '\n' || r == '\r':
		case r >= '0' && r <= '9' || r == '.' && digits(rest[1:]) > 0:
			n = c.lexQuantity(rest, col)
		case isLetter(r) || r == '_':
			n = c.lexName(rest, col)
		case r == '"' || r == '\'':
			n = c.lexText(rest, col)
		default:
			n = c.lexSymbol(rest, col, size)
		}
		col += utf8.RuneCountInString(rest[:n])
		i += n
	}
	c.endCol = col
}

func (c *compiler) lexQuantity(rest string, col int) int {
	x, d, n, err := quantity(rest)
	if err != nil {
		c.fail(col, strings.TrimPrefix(err.Error(), "read quantity "), "")
		return max(n, 1)
	}
	// "2fast" and "1.2.3" are neither quantity nor name.
	if n < len(rest) && (rest[n] == '_' || rest[n] == '.' || digits(rest[n:]) > 0) {
		end := n + nameLength(rest[n:])
		c.fail(col, fmt.Sprintf("%q is not a quantity", rest[:end]), "a quantity is written like 200ms, 64MiB, 40/s or 85%")
		return end
	}
	c.tokens = append(c.tokens, token{kind: quantityToken, text: rest[:n], col: col, number: x, dim: d})
	return n
}

func nameLength(text string) int {
	n := 0
	for n < len(text) {
		b := text[n]
		if b != '_' && b != '.' && (b < '0' || b > '9') && (b < 'a' || b > 'z') && (b < 'A' || b > 'Z') {
			break
		}
		n++
	}
	return n
}

func (c *compiler) lexName(rest string, col int) int {
	n := nameLength(rest)
	if n == 0 { // µ
		c.fail(col, fmt.Sprintf("unexpected %q", firstRune(rest)), "")
		return len(firstRune(rest))
	}
	word := rest[:n]
	switch word {
	case "and", "or", "not", "true", "false":
		c.symbol(word, col)
		return n
	}
	if _, err := dsv.ParseName(word); err != nil {
		c.fail(col, fmt.Sprintf("%q is not a variable name", word), c.nameFix(word))
	}
	c.tokens = append(c.tokens, token{kind: nameToken, text: word, col: col})
	return n
}

func (c *compiler) nameFix(word string) string {
	switch strings.ToLower(word) {
	case "and", "or", "not", "true", "false":
		return "write " + strings.ToLower(word)
	}
	if s := c.suggest(strings.ToLower(word)); s != "" {
		return "did you mean " + s + "?"
	}
	return "a name is made of parts [a-z][a-z0-9_]* joined by dots"
}

func (c *compiler) lexText(rest string, col int) int {
	end := strings.IndexByte(rest[1:], rest[0])
	if end < 0 {
		c.fail(col, "the text does not end", "close it with "+rest[:1])
		return len(rest)
	}
	c.tokens = append(c.tokens, token{kind: textToken, text: rest[1 : 1+end], col: col})
	return end + 2
}

func (c *compiler) lexSymbol(rest string, col, size int) int {
	for _, s := range [...]string{"<=", ">=", "==", "!=", "&&", "||", "<", ">", "!", "+", "-", "*", "/", "(", ")", ",", "?", ":"} {
		if strings.HasPrefix(rest, s) {
			if s == "*" && strings.HasPrefix(rest, "**") {
				break
			}
			c.symbol(s, col)
			return len(s)
		}
	}
	fix := "the operators are and or not && || ! < <= > >= == != + - * / ? :"
	switch rest[0] {
	case '=':
		fix = "write == to compare"
	case '&':
		fix = "write and"
	case '|':
		fix = "write or"
	case '%':
		fix = "% belongs directly behind a number, as in 85%"
	}
	c.fail(col, fmt.Sprintf("unexpected %q", rest[:size]), fix)
	return size
}

func (c *compiler) symbol(s string, col int) {
	c.tokens = append(c.tokens, token{kind: symbolToken, text: s, col: col})
}

func firstRune(s string) string {
	_, n := utf8.DecodeRuneInString(s)
	return s[:n]
}

// rewrite returns the tokens as a text for the parser, in which every operand is an identifier that tells its token's index.
func (c *compiler) rewrite() string {
	var b strings.Builder
	for i, t := range c.tokens {
		if i > 0 {
			b.WriteByte(' ')
		}
		c.starts = append(c.starts, b.Len())
		if t.kind == symbolToken {
			b.WriteString(t.text)
		} else {
			fmt.Fprintf(&b, "t%d", i)
		}
	}
	c.ends = b.Len()
	b.WriteByte(' ') // where the parser says that the end is
	return b.String()
}
