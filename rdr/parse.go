package rdr

import (
	"bytes"
	"fmt"
	"sort"
)

// layout is where one statement stands, for the formatter: the tokens of its
// head and its body.
type layout struct {
	first, last int // tokens
	open, close int // tokens of the braces, -1 without a body
	kids        []*layout
}

// parser reads tokens into blocks by recursive descent. It recovers at the
// statement, so that several mistakes are told at once.
type parser struct {
	lexer
	cfg   Config
	lim   Limits
	i     int
	depth int
	at    *layout // the innermost statement being read
	stack []*layout
	opens []token // braces that wait for their end
	over  bool    // stop: the text nests too deeply
	size  int     // bytes of the tables of empirical distributions
	loose bool    // for the formatter: load no files
}

// ParseFile reads `request NAME { … }` definitions. With StartRequest the
// bodies obey the rules of a request, with StartBlock those of a block, as for
// the operations of a service. An error is an Errors. Calls of the form
// `call S.op` are resolved by Link.
func ParseFile(name string, src []byte, start Start) (*File, error) {
	return Config{}.ParseFile(name, src, start)
}

// ParseBlock reads the bare body that `call` carries and POST /rdr accepts, for
// example `cpu 5ms reply 10KiB`. An error is an Errors.
func ParseBlock(name string, src []byte, lim Limits) (*Block, error) {
	return Config{Limits: lim}.ParseBlock(name, src)
}

// ParseFile is ParseFile under the configuration.
func (c Config) ParseFile(name string, src []byte, start Start) (*File, error) {
	p, err := newParser(c, name, src, 16)
	if err != nil {
		return nil, err
	}
	f := &File{blocks: map[string]*Block{}, limits: p.lim}
	p.file(f, start)
	for _, name := range f.names {
		b := f.blocks[name]
		if !p.faulty(b) {
			check := checker{lim: p.lim, src: p.src, encode: true}
			check.block(b)
			p.errs = append(p.errs, check.errs...)
		}
	}
	if err := p.result(); err != nil {
		return nil, err
	}
	return f, nil
}

// ParseBlock is ParseBlock under the configuration.
func (c Config) ParseBlock(name string, src []byte) (*Block, error) {
	p, err := newParser(c, name, src, 1)
	if err != nil {
		return nil, err
	}
	b := p.bare()
	if len(p.errs) == 0 {
		check := checker{lim: p.lim, src: p.src, encode: c.Load != nil, wire: true}
		check.block(b)
		p.errs = append(p.errs, check.errs...)
	}
	if err := p.result(); err != nil {
		return nil, err
	}
	return b, nil
}

func newParser(c Config, name string, src []byte, times int) (*parser, error) {
	lim := c.Limits.withDefaults()
	s := &source{file: name, text: src, base: c.Base}
	if len(src) > times*lim.Size {
		msg := fmt.Sprintf("the text has %d bytes, at most %d are allowed", len(src), times*lim.Size)
		return nil, Errors{s.errorAt(0, ErrLimit, msg, "")}
	}
	if c.Base == (Position{}) && len(src) >= 3 && string(src[:3]) == "\uFEFF" {
		s.text = src[3:]
	}
	p := &parser{lexer: lexer{src: s}, cfg: c, lim: lim, at: &layout{}}
	p.lex()
	return p, nil
}

// faulty reports whether a mistake was found within the text of a block.
func (p *parser) faulty(b *Block) bool {
	for _, e := range p.errs {
		if e.at >= b.at && e.at <= b.end {
			return true
		}
	}
	return false
}

// result returns the mistakes in the order of the text, at most ten.
func (p *parser) result() error {
	if len(p.errs) == 0 {
		return nil
	}
	sort.SliceStable(p.errs, func(i, j int) bool { return p.errs[i].at < p.errs[j].at })
	return p.errs[:min(len(p.errs), maxErrors)]
}

func (p *parser) tok() token { return p.tokens[p.i] }

func (p *parser) is(k tokenKind) bool { return p.tokens[p.i].kind == k }

func (p *parser) isWord(w string) bool { return p.is(tokWord) && p.tok().text == w }

func (p *parser) next() token {
	t := p.tokens[p.i]
	if t.kind != tokEOF {
		p.i++
	}
	return t
}

// fault reports a mistake at a token. A bad token was reported when it was read.
func (p *parser) fault(t token, msg, fix string) bool {
	if t.kind != tokBad && len(p.errs) < maxErrors {
		p.errs = append(p.errs, p.src.errorAt(t.at, nil, msg, fix))
	}
	return false
}

// missing reports at the current token that something is due before it; at the
// end of the token before when a line ends in between.
func (p *parser) missing(msg, fix string) bool {
	t := p.tok()
	if t.kind != tokBad && p.i > 0 && p.startsLine(p.i) {
		t.at = p.tokens[p.i-1].end
	}
	return p.fault(t, msg, fix)
}

// startsLine reports whether a token is the first on its line.
func (p *parser) startsLine(i int) bool {
	return i == 0 || bytes.IndexByte(p.src.text[p.tokens[i-1].end:p.tokens[i].at], '\n') >= 0
}

func (p *parser) want(k tokenKind, after string) bool {
	if p.is(k) {
		p.next()
		return true
	}
	return p.missing(fmt.Sprintf("`%c` is due %s, not %s", rune(k), after, p.tok().describe()), "")
}

// bare reads a block without braces, up to the end.
func (p *parser) bare() *Block {
	b := &Block{start: StartBlock, src: p.src}
	p.depth = 1 // as within the braces of a call
	for {
		b.body = append(b.body, p.body()...)
		if p.is(tokEOF) || p.over {
			break
		}
		p.fault(p.next(), "a `}` without its `{`", "")
	}
	b.finish()
	return b
}

// enter and leave keep the layout of the statement being read.
func (p *parser) enter() {
	l := &layout{first: p.i, open: -1, close: -1}
	p.at.kids = append(p.at.kids, l)
	p.stack = append(p.stack, p.at)
	p.at = l
}

func (p *parser) leave() {
	p.at.last = p.i - 1
	p.at = p.stack[len(p.stack)-1]
	p.stack = p.stack[:len(p.stack)-1]
}

// braces reads `{ statements }`.
func (p *parser) braces(after string) ([]node, bool) {
	if !p.open(after) {
		return nil, false
	}
	body := p.body()
	return body, p.close()
}

func (p *parser) open(after string) bool {
	t := p.tok()
	p.at.open = p.i
	if !p.want('{', after) {
		return false
	}
	if p.depth++; p.depth > p.lim.Depth {
		p.over = true
		p.errs = append(p.errs, p.src.errorAt(t.at, ErrLimit, fmt.Sprintf("braces nest more than %d deep", p.lim.Depth), ""))
		return false
	}
	p.opens = append(p.opens, t)
	return true
}

func (p *parser) close() bool {
	p.depth--
	open := p.opens[len(p.opens)-1]
	p.opens = p.opens[:len(p.opens)-1]
	p.at.close = p.i
	if p.is('}') {
		p.next()
		return true
	}
	if !p.over && p.is(tokEOF) {
		p.fault(open, "this `{` has no `}`", "")
		p.over = true
	}
	return false
}

// body reads statements up to a `}` or the end.
func (p *parser) body() []node {
	var body []node
	for !p.is('}') && !p.is(tokEOF) && !p.over {
		p.enter()
		from := p.i
		var n node
		n.at = p.tok().at
		ok := p.statement(&n)
		if !ok {
			p.recover(from)
		}
		p.leave()
		if !ok {
			continue
		}
		if last := len(body) - 1; n.kind == kLevel && last >= 0 && body[last].kind == kLevel {
			body[last].arms = append(body[last].arms, n.arms...)
			continue
		}
		body = append(body, n)
	}
	return body
}

// recover skips the rest of a faulty statement: to the next one, to a `}` that
// is not its own, or to the next line.
func (p *parser) recover(from int) {
	if p.i == from && !p.is('{') {
		p.next()
	}
	for depth := 0; !p.is(tokEOF); p.next() {
		switch t := p.tok(); {
		case t.kind == '{':
			depth++
			continue
		case t.kind == '}':
			if depth--; depth < 0 {
				return
			}
			if depth == 0 {
				p.next()
				return
			}
			continue
		case depth > 0:
		case p.startsLine(p.i), t.kind == tokWord && statements[t.text] != 0:
			return
		}
	}
}
