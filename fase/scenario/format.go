package scenario

import (
	"errors"
	"strings"

	"github.com/eve-emulation/eve/rdr"
)

// Format gives a scenario file its standard form: RDR texts are formatted, lines end without blanks and with a line feed,
// and empty lines stand alone. Comments stay, and so does how the YAML is laid out: nothing changes but what the result,
// read again, proves to mean the same. Formatting twice changes nothing more. The error is an Errors: a file with mistakes
// of syntax has no form.
func Format(file string, src []byte) ([]byte, error) {
	f := &faults{main: file}
	root := parseTree(file, src, f)
	if root == nil || len(f.errs) > 0 {
		return nil, f.err()
	}
	lines := newSource(file, src).lines
	if n := len(lines) - 1; lines[n] == "" {
		lines = lines[:n] // behind the last line's end
	}
	t := formatter{faults: f, lines: lines, inside: map[int]bool{}, texts: map[int]replacement{}}
	t.protect(root)
	t.requests(root)
	if len(f.errs) > 0 {
		return nil, f.err()
	}
	out := t.render()
	if again := parseTree(file, out, &faults{}); again == nil || !same(root, again) {
		return src, nil
	}
	return out, nil
}

// formatter keeps what it knows of lines, counted from 1.
type formatter struct {
	*faults
	lines  []string
	inside map[int]bool        // lines that belong to a scalar of several lines
	texts  map[int]replacement // RDR texts, by their first line
	last   *node               // the scalar before, where it may go on over several lines
}

// replacement is the formatted form of an RDR text of some lines.
type replacement struct {
	count int
	lines []string
}

// protect finds the lines of scalars that have several.
func (t *formatter) protect(n *node) {
	t.end(n.line)
	for _, e := range n.entries {
		t.end(e.key.line)
		t.protect(e.value)
	}
	for _, item := range n.items {
		t.protect(item)
	}
	if n.kind != scalarNode {
		return
	}
	if n.style == literal {
		for i := range textLines(n.text) {
			t.inside[n.line+1+i] = true
		}
	} else if l, c := n.locate(1, 2); n.style == folded || l == n.line && c == n.col {
		t.last = n // its text is not on its line as it is: it may go on until the next node
		t.tail(len(t.lines) + 1)
	}
}

// end tells that the next node begins in a line.
func (t *formatter) end(line int) {
	if t.last != nil {
		for l := line; l <= len(t.lines); l++ {
			delete(t.inside, l)
		}
		t.last = nil
	}
}

func (t *formatter) tail(end int) {
	for l := t.last.line; l < end; l++ {
		t.inside[l] = true
	}
}

func textLines(s string) int { return strings.Count(strings.TrimSuffix(s, "\n"), "\n") + 1 }

// requests formats the RDR texts of the clients and the services.
func (t *formatter) requests(root *node) {
	if root.kind != mappingNode {
		return
	}
	t.rdr(root.get("requests"))
	if services := root.get("services"); services != nil {
		for _, s := range services.entries {
			t.rdr(s.value.get("requests"))
		}
	}
}

// rdr formats one text, where it is a literal block whose indentation is not spelt out.
func (t *formatter) rdr(n *node) {
	if n == nil || n.kind != scalarNode || n.style != literal {
		return
	}
	header := []rune(n.src.line(n.line))[n.col-1:]
	mark, _, _ := strings.Cut(string(header), " ")
	out, err := rdr.Format(rdrName(0), []byte(n.text))
	if err != nil {
		var several rdr.Errors
		if errors.As(err, &several) {
			c := compiler{faults: t.faults}
			for _, e := range several {
				c.oneRDR(parsedFile{text: n}, e)
			}
		}
		return
	}
	text := string(out)
	if mark == "|-" {
		text = strings.TrimSuffix(text, "\n")
	}
	if mark != "|" && mark != "|-" || strings.TrimSpace(text) == "" || strings.HasPrefix(text, " ") {
		return
	}
	pad := strings.Repeat(" ", n.indent())
	r := replacement{count: textLines(n.text)}
	for l := range strings.SplitSeq(strings.TrimSuffix(text, "\n"), "\n") {
		if l != "" {
			l = pad + l
		}
		r.lines = append(r.lines, l)
	}
	t.texts[n.line+1] = r
	n.text = text
}

func (t *formatter) render() []byte {
	var out []string
	keep := 0 // lines of out up to the last that is not a blank to drop
	for i := 1; i <= len(t.lines); i++ {
		if r, ok := t.texts[i]; ok {
			out = append(out, r.lines...)
			keep = len(out)
			i += r.count - 1
			continue
		}
		l := t.lines[i-1]
		if !t.inside[i] {
			l = strings.TrimRight(l, " \t")
			if l == "" && (len(out) == 0 || out[len(out)-1] == "") {
				continue
			}
		}
		out = append(out, l)
		if l != "" || t.inside[i] {
			keep = len(out)
		}
	}
	return []byte(strings.Join(out[:keep], "\n") + "\n")
}
