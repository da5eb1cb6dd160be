package scenario

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"
	"github.com/goccy/go-yaml/scanner"
	"github.com/goccy/go-yaml/token"
)

// The bounds of a scenario file. They are checked while its tokens are read, before the YAML parser sees them: that
// parser takes minutes and gigabytes over a few hundred kilobytes of brackets or aliases.
const (
	MaxSize   = 1 << 20 // bytes of a scenario file
	maxMarks  = 150_000 // characters that may be tokens
	maxTokens = 30_000
	maxKeys   = 2_000 // of one mapping or list, for which the parser takes quadratic time
	maxDepth  = 64
	maxLine   = 32 << 10 // bytes
)

// nodeKind says what a node of a YAML file is.
type nodeKind uint8

const (
	scalarNode nodeKind = iota
	mappingNode
	sequenceNode
	nullNode
)

// style says how a scalar is written.
type style uint8

const (
	plain style = iota
	quoted
	literal
	folded
)

// node is one value of a YAML file, with its position.
type node struct {
	kind    nodeKind
	style   style
	flow    bool // a mapping or sequence in brackets
	missing bool // null because nothing is written
	text    string
	entries []entry
	items   []*node

	src       *source
	line, col int
}

type entry struct {
	key   *node
	value *node
}

// get returns the value of a key, or nil.
func (n *node) get(key string) *node {
	for i := range n.entries {
		if n.entries[i].key.text == key {
			return n.entries[i].value
		}
	}
	return nil
}

// what names the kind of a node in messages.
func (n *node) what() string {
	switch n.kind {
	case mappingNode:
		return "a mapping"
	case sequenceNode:
		return "a list"
	case nullNode:
		return "nothing"
	default:
		return fmt.Sprintf("%q", clip(n.text))
	}
}

// clip shortens a text for messages.
func clip(s string) string {
	s, _, cut := strings.Cut(s, "\n")
	if utf8.RuneCountInString(s) > 40 {
		s, cut = string([]rune(s)[:40]), true
	}
	if cut {
		s += "…"
	}
	return s
}

// parseTree reads one YAML document. It returns nil and tells mistakes when there is no tree to go on with.
func parseTree(file string, text []byte, f *faults) *node {
	src := newSource(file, text)
	if len(text) > MaxSize {
		f.add(src.errorAt(1, 1, fmt.Sprintf("the file has %d bytes, at most %d are read", len(text), MaxSize), ""))
		return nil
	}
	if !checkText(src, text, f) {
		return nil
	}
	for i, l := range src.lines {
		if len(l) > maxLine {
			f.add(src.errorAt(i+1, 1, fmt.Sprintf("the line has %d bytes, at most %d are read", len(l), maxLine), tooMuch))
			return nil
		}
	}
	if n := marks(text); n > maxMarks {
		f.add(src.errorAt(1, 1, fmt.Sprintf("the file has %d punctuation marks, at most %d are read", n, maxMarks), tooMuch))
		return nil
	}
	tokens := lexTree(src, string(text), f)
	if tokens == nil {
		return nil
	}
	doc := parseTokens(src, tokens, f)
	if doc == nil {
		return nil
	}
	c := converter{src: src, faults: f}
	return c.node(doc)
}

const tooMuch = "a scenario is smaller: put data into files of their own"

// marks counts the characters that may be tokens of their own.
func marks(text []byte) int {
	n := 0
	for _, b := range text {
		switch b {
		case ',', ':', '[', ']', '{', '}', '?', '-', '&', '*', '!':
			n++
		}
	}
	return n
}

// checkText refuses what no text editor writes.
func checkText(src *source, text []byte, f *faults) bool {
	line, col := 1, 1
	for rest := text; len(rest) > 0; {
		r, n := utf8.DecodeRune(rest)
		switch {
		case r == utf8.RuneError && n == 1:
			f.add(src.errorAt(line, col, fmt.Sprintf("byte 0x%02x is not UTF-8", rest[0]), "save the file as UTF-8"))
			return false
		case r == 0xFEFF && line == 1 && col == 1 && len(rest) == len(text):
			f.add(src.errorAt(1, 1, "the file begins with a byte order mark", "save it as UTF-8 without one"))
			return false
		case r == '\r' && (len(rest) < 2 || rest[1] != '\n'):
			f.add(src.errorAt(line, col, "a carriage return without a line feed", "end lines with a line feed"))
			return false
		case r < ' ' && r != '\n' && r != '\t' && r != '\r', r == 0x7f, r >= 0x80 && r < 0xa0, r == 0xFEFF, r == 0x2028, r == 0x2029:
			f.add(src.errorAt(line, col, fmt.Sprintf("control character U+%04X", r), "remove it"))
			return false
		}
		col++
		if r == '\n' {
			line, col = line+1, 1
		}
		rest = rest[n:]
	}
	return true
}

// lexTree reads the tokens and refuses what would cost the parser too much.
func lexTree(src *source, text string, f *faults) (tokens token.Tokens) {
	defer func() {
		if recover() != nil {
			f.add(src.errorAt(1, 1, "this is not YAML", ""))
			tokens = nil
		}
	}()
	var s scanner.Scanner
	s.Init(text)
	tokens = token.Tokens{}
	var nest nesting
	for {
		more, err := s.Scan()
		if errors.Is(err, io.EOF) {
			return tokens
		}
		for i, t := range more {
			if msg, fix := nest.refuse(t, len(tokens)+i); msg != "" {
				f.add(src.errorAt(t.Position.Line, max(1, t.Position.Column), msg, fix))
				return nil
			}
			if t.Type == token.InvalidType {
				f.add(src.errorAt(t.Position.Line, max(1, t.Position.Column), lexMessage(t), lexFix(t)))
				return nil
			}
		}
		tokens.Add(more...)
	}
}

func lexMessage(t *token.Token) string {
	if strings.Contains(t.Error, "'\t'") {
		return "a tab cannot indent"
	}
	if strings.Contains(t.Error, "end character") {
		return "this quote has no end"
	}
	return strings.TrimSuffix(t.Error, ".")
}

func lexFix(t *token.Token) string {
	switch {
	case strings.Contains(t.Error, "'\t'"):
		return "indent with spaces"
	case strings.Contains(t.Error, "reserved character"):
		return "put the text in quotes"
	case strings.Contains(t.Error, "end character"):
		return "close the quote"
	}
	return ""
}

// nesting counts how deep the tokens nest: brackets, and indentation in block style.
type nesting struct {
	flow    []int // commas within each open bracket
	blocks  []block
	line    int
	content bool // a document has begun
}

// block is an enclosing mapping or list in block style: where it stands, and how many lines have begun there.
type block struct{ column, lines int }

func (d *nesting) refuse(t *token.Token, count int) (msg, fix string) {
	if count >= maxTokens {
		return fmt.Sprintf("the file has more than %d tokens", maxTokens), tooMuch
	}
	switch t.Type {
	case token.AnchorType, token.AliasType, token.MergeKeyType:
		return "anchors, aliases and merge keys are not read", "write the value out; a text that begins with & or * goes in quotes"
	case token.TagType:
		return "tags are not read", "write the value without it; a text that begins with ! goes in quotes"
	case token.DirectiveType:
		return "YAML directives are not read", "remove the line; a text that begins with % goes in quotes"
	case token.DocumentHeaderType:
		if d.content {
			return "a second document begins here", "a scenario file holds one"
		}
	case token.SequenceStartType, token.MappingStartType:
		d.flow = append(d.flow, 0)
	case token.SequenceEndType, token.MappingEndType:
		d.flow = d.flow[:max(0, len(d.flow)-1)]
	}
	if t.Type != token.CommentType && t.Type != token.DocumentHeaderType {
		d.content = true
	}
	lines := d.indent(t)
	switch {
	case len(d.flow)+len(d.blocks) > maxDepth:
		return fmt.Sprintf("values nest more than %d deep", maxDepth), ""
	case lines > maxKeys:
		return fmt.Sprintf("there are more than %d keys or items here", maxKeys), tooMuch
	}
	return "", ""
}

// indent keeps the columns at which the enclosing blocks stand, and returns how many keys or items a token's has by now.
func (d *nesting) indent(t *token.Token) int {
	if n := len(d.flow); n > 0 {
		if t.Type == token.CollectEntryType {
			d.flow[n-1]++
		}
		return d.flow[n-1]
	}
	if t.Type == token.CommentType {
		return 0
	}
	first := t.Position.Line != d.line
	d.line = t.Position.Line
	if !first && t.Type != token.SequenceEntryType && t.Type != token.MappingKeyType && t.Type != token.MappingValueType {
		return 0
	}
	b := block{column: t.Position.Column}
	for n := len(d.blocks); n > 0 && d.blocks[n-1].column >= b.column; n-- {
		if d.blocks[n-1].column == b.column {
			b.lines = d.blocks[n-1].lines
		}
		d.blocks = d.blocks[:n-1]
	}
	b.lines++
	d.blocks = append(d.blocks, b)
	return b.lines
}

// parseTokens makes the syntax tree of the one document; nil with a mistake told when there is none.
func parseTokens(src *source, tokens token.Tokens, f *faults) (body ast.Node) {
	defer func() {
		if recover() != nil {
			f.add(src.errorAt(1, 1, "this is not YAML", ""))
			body = nil
		}
	}()
	parsed, err := parser.Parse(tokens, 0, parser.AllowDuplicateMapKey())
	if err != nil {
		f.add(syntaxError(src, err))
		return nil
	}
	for _, doc := range parsed.Docs {
		if doc.Body == nil {
			continue
		}
		if body != nil {
			t := doc.Body.GetToken()
			f.add(src.errorAt(t.Position.Line, t.Position.Column, "a second document begins here", "a scenario file holds one"))
			return nil
		}
		body = doc.Body
	}
	if body == nil {
		f.add(src.errorAt(1, 1, "the file is empty", "begin with `eve: 1`; `eve init hello` writes an example"))
	}
	return body
}

func syntaxError(src *source, err error) *Error {
	var syntax *yaml.SyntaxError
	if !errors.As(err, &syntax) || syntax.Token == nil || syntax.Token.Position == nil {
		return src.errorAt(1, 1, "this is not YAML: "+clip(err.Error()), "")
	}
	msg, fix := syntax.Message, ""
	switch {
	case strings.Contains(msg, "mapping value is not allowed"):
		msg, fix = "a `:` is not allowed here", "check the indentation, and put a text that holds `: ` in quotes"
	case strings.Contains(msg, "non-map value"):
		msg, fix = "a text stands where `key: value` is due", "check the indentation"
	case strings.Contains(msg, "value is not allowed in this context"):
		msg, fix = "no value is due here", "check the indentation"
	case strings.Contains(msg, "must be specified"):
		msg, fix = "`,` or the end of a bracket is due here", "a bracket before it is still open"
	case strings.Contains(msg, "flow mapping end token"):
		msg, fix = "this `{` has no `}`", ""
	case strings.Contains(msg, "sequence end token"):
		msg, fix = "this `[` has no `]`", ""
	}
	p := syntax.Token.Position
	return src.errorAt(p.Line, p.Column, msg, fix)
}

// converter makes nodes of the YAML parser's.
type converter struct {
	src    *source
	faults *faults
	line   int // whose runes are kept
	runes  []rune
}

func (c *converter) node(n ast.Node) *node {
	out := &node{src: c.src, line: 1, col: 1}
	if t := n.GetToken(); t != nil && t.Position != nil {
		out.line, out.col = t.Position.Line, max(1, t.Position.Column)
	}
	switch n := n.(type) {
	case *ast.MappingNode:
		out.kind, out.flow = mappingNode, n.IsFlowStyle
		for _, v := range n.Values {
			c.entry(out, v)
		}
		if !out.flow && len(out.entries) > 0 {
			out.line, out.col = out.entries[0].key.line, out.entries[0].key.col
		}
	case *ast.MappingValueNode:
		out.kind = mappingNode
		c.entry(out, n)
	case *ast.SequenceNode:
		out.kind, out.flow = sequenceNode, n.IsFlowStyle
		for _, v := range n.Values {
			out.items = append(out.items, c.node(v))
		}
	case *ast.NullNode:
		out.kind = nullNode
		out.missing = n.Token.Type == token.ImplicitNullType
	case *ast.LiteralNode:
		out.text, out.style = n.Value.Value, literal
		if n.Start.Type == token.FoldedType {
			out.style = folded
		}
	case *ast.MappingKeyNode:
		return c.node(n.Value)
	case ast.ScalarNode:
		out.text = n.GetToken().Value
		if t := n.GetToken().Type; t == token.SingleQuoteType || t == token.DoubleQuoteType {
			out.style = quoted
		} else {
			out.col = c.column(out)
		}
	default:
		c.faults.at(out, "this kind of YAML value is not read", "")
		out.kind = nullNode
	}
	return out
}

// column returns where a plain text begins: the parser counts the blanks behind it as if they stood before.
func (c *converter) column(n *node) int {
	if c.line != n.line {
		c.line, c.runes = n.line, []rune(c.src.line(n.line))
	}
	text := []rune(n.text)
	for col := min(n.col, len(c.runes)); col >= 1; col-- {
		if from := col - 1; len(text) <= len(c.runes)-from && slices.Equal(c.runes[from:from+len(text)], text) {
			return col
		}
	}
	return n.col
}

func (c *converter) entry(out *node, v *ast.MappingValueNode) {
	key := c.node(v.Key)
	if key.kind == nullNode {
		key.kind = scalarNode
	}
	if key.kind != scalarNode {
		c.faults.at(key, "a key is a word", "")
		return
	}
	value := c.node(v.Value)
	if value.missing {
		value.line, value.col = key.line, key.col
	}
	out.entries = append(out.entries, entry{key, value})
}
