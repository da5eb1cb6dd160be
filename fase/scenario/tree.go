package scenario

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"
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
