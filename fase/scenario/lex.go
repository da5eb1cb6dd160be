package scenario

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"unicode/utf8"

	"github.com/goccy/go-yaml/scanner"
	"github.com/goccy/go-yaml/token"
)

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
