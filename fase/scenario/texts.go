package scenario

import (
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/eve-emulation/eve/dmm/expr"
	"github.com/eve-emulation/eve/rdr"
)

// locate returns where a position in a scalar's text, both counted from 1, stands in the file. Where lines were joined or
// characters escaped it is the beginning of the scalar.
func (n *node) locate(line, col int) (int, int) {
	if n.style == literal {
		return n.line + line, n.indent() + col
	}
	shift := 0
	if n.style == quoted {
		shift = 1
	}
	at := []rune(n.src.line(n.line))
	if from := n.col - 1 + shift; line != 1 || from > len(at) || !strings.HasPrefix(string(at[from:]), n.text) {
		return n.line, n.col
	}
	return n.line, n.col + shift + col - 1
}

// indent is how far the lines of a literal text are indented.
func (n *node) indent() int {
	for i, l := range strings.Split(n.text, "\n") {
		if strings.TrimLeft(l, " ") != "" {
			return leading(n.src.line(n.line+1+i)) - leading(l)
		}
	}
	return 0
}

func leading(s string) int { return len(s) - len(strings.TrimLeft(s, " ")) }

// within tells a mistake at a position within a scalar's text.
func (f *faults) within(n *node, line, col int, msg, fix string) {
	line, col = n.locate(line, col)
	f.add(n.src.errorAt(line, col, msg, fix))
}

// expression tells the mistakes of an expression or an action.
func (f *faults) expression(n *node, err error) {
	var several expr.Errors
	var one *expr.Error
	switch {
	case errors.As(err, &several):
		for _, e := range several {
			f.within(n, 1, e.Col, e.Msg, e.Fix)
		}
	case errors.As(err, &one):
		f.within(n, 1, one.Col, one.Msg, one.Fix)
	default:
		f.at(n, err.Error(), "")
	}
}

// parsedFile is one RDR text and where it stands: in a scalar of the scenario, or in a file of its own.
type parsedFile struct {
	file    *rdr.File
	text    *node // in the scenario
	src     *source
	service string // whose operations; empty for the clients' requests
}

// add tells the mistakes of an RDR text.
func (c *compiler) addRDR(p parsedFile, err error) {
	var several rdr.Errors
	if !errors.As(err, &several) {
		c.at(p.text, err.Error(), "")
		return
	}
	for _, e := range several {
		c.oneRDR(p, e)
	}
}

func (c *compiler) oneRDR(p parsedFile, e *rdr.Error) {
	switch {
	case e.Line == 0:
		c.at(p.text, e.Msg, e.Fix)
	case p.src != nil:
		c.add(p.src.errorAt(e.Line, e.Col, e.Msg, e.Fix))
	default:
		c.within(p.text, e.Line, e.Col, e.Msg, e.Fix)
	}
}

// requests parses and links the requests of the clients and the operations of the services.
func (c *compiler) requests() {
	c.files = map[string]*rdr.Block{}
	c.parse(c.raw.requests, "", rdr.StartRequest)
	for _, s := range c.raw.services {
		c.parse(s.v.requests, s.name, rdr.StartBlock)
	}
	if len(c.errs) > 0 {
		return // links would only repeat them
	}
	ops := map[string]map[string]*rdr.Block{"": c.files}
	names := map[string][]string{}
	for _, p := range c.parsed {
		if ops[p.service] == nil {
			ops[p.service] = map[string]*rdr.Block{}
		}
		for _, name := range p.file.Names() {
			if ops[p.service][name] != nil {
				c.at(p.text, fmt.Sprintf("request %s is defined in two files", name), "")
			}
			ops[p.service][name], _ = p.file.Request(name)
			names[p.service] = append(names[p.service], name)
		}
	}
	c.blocks = names[""]
	c.keepRequests()
	c.link(ops, names)
}

func (c *compiler) link(ops map[string]map[string]*rdr.Block, names map[string][]string) {
	linker := rdr.Linker{
		Op: func(service, op string) (*rdr.Block, bool) {
			b, ok := ops[service][op]
			return b, ok && service != ""
		},
		Exists:   func(s string) bool { return c.plan.Topology.Service(s) >= 0 },
		Services: c.plan.Topology.Services,
		Ops:      func(s string) []string { return names[s] },
		Files:    c.fileNames(),
	}
	// A mistake of an operation is told with its own file, not again with each that calls it: so operations come first.
	for i := len(c.parsed) - 1; i >= 0; i-- {
		p := c.parsed[i]
		err := linker.Link(p.file)
		if err == nil {
			continue
		}
		var several rdr.Errors
		if !errors.As(err, &several) {
			c.addRDR(p, err)
			continue
		}
		for _, e := range several {
			c.oneRDR(c.owner(e, p), e)
		}
	}
}

// owner returns the text in which a mistake of the linker stands, as it follows calls into other texts.
func (c *compiler) owner(e *rdr.Error, p parsedFile) parsedFile {
	for i, q := range c.parsed {
		if e.File == rdrName(i) {
			return q
		}
	}
	return p
}

// rdrName is what a text is called while it is parsed: the positions of its mistakes are translated.
func rdrName(i int) string { return fmt.Sprintf("#%d", i) }

func (c *compiler) parse(r rawRequests, service string, start rdr.Start) {
	if r.text != nil {
		c.parseOne(parsedFile{text: r.text, service: service}, []byte(r.text.text), start)
	}
	for _, f := range r.files {
		b, err := c.read(f.v)
		if err != nil {
			c.at(f.at, fmt.Sprintf("read %s: %v", clip(f.v), err), "")
			continue
		}
		if !utf8.Valid(b) {
			c.at(f.at, fmt.Sprintf("read %s: it is not UTF-8", clip(f.v)), "")
			continue
		}
		c.parseOne(parsedFile{text: f.at, src: newSource(f.v, b), service: service}, b, start)
	}
}

func (c *compiler) parseOne(p parsedFile, text []byte, start rdr.Start) {
	var err error
	p.file, err = rdr.Config{Load: c.read}.ParseFile(rdrName(len(c.parsed)), text, start)
	if err != nil {
		c.addRDR(p, err)
		return
	}
	c.parsed = append(c.parsed, p)
}
