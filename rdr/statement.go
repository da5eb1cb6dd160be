package rdr

import (
	"fmt"
	"sort"
	"strings"
)

// statements are the words that begin one.
var statements = map[string]kind{
	"cpu": kCPU, "disk": kDiskRead, "memory": kMemory, "reply": kReply, "wait": kWait, "call": kCall,
	"http": kHTTP, "par": kPar, "fork": kFork, "choose": kChoose, "repeat": kRepeat, "level": kLevel,
	"lock": kLock, "fail": kFail, "timeout": kTimeout, "retry": kRetry, "priority": kPriority,
	"deadline": kDeadline, "file": kFile,
}

// statement reads one statement into n.
func (p *parser) statement(n *node) bool {
	t := p.tok()
	if t.kind == '{' {
		n.kind = kSeq
		var ok bool
		n.body, ok = p.braces("")
		return ok
	}
	k, ok := statements[t.text]
	if t.kind != tokWord || !ok {
		return p.unknown(t)
	}
	p.next()
	n.kind = k
	switch k {
	case kDiskRead:
		return p.disk(n)
	case kCall:
		return p.call(n)
	case kHTTP:
		return p.http(n)
	case kChoose:
		return p.choose(n)
	case kLevel:
		return p.level(n)
	case kFail:
		return p.probability(&n.prob)
	case kRetry:
		return p.retry(n)
	case kLock:
		n.name, ok = p.name("a lock", "accounts")
	case kFile:
		n.name, ok = p.name("a file set", "web")
	case kReply:
		if ok = p.isWord("file"); ok {
			p.next()
			n.kind = kReplyFile
			return true
		}
		ok = p.amount(&n.amt, k)
	case kPar, kFork:
	default:
		ok = p.amount(&n.amt, k)
	}
	if ok && k.hasBody() {
		n.body, ok = p.braces(fmt.Sprintf("after `%s`", k))
	}
	return ok
}

func (k kind) hasBody() bool {
	switch k {
	case kMemory, kPar, kFork, kRepeat, kLock, kTimeout:
		return true
	default:
		return false
	}
}

func (p *parser) unknown(t token) bool {
	if t.kind != tokWord {
		return p.fault(t, fmt.Sprintf("a statement is due, not %s", t.describe()), "")
	}
	known := make([]string, 0, len(statements))
	for s := range statements {
		known = append(known, s)
	}
	sort.Strings(known)
	fix := "statements are " + strings.Join(known, ", ")
	if s := suggest(t.text, known); s != "" {
		fix = fmt.Sprintf("did you mean `%s`?", s)
	}
	if t.text == "sleep" || t.text == "delay" {
		fix = "did you mean `wait`?"
	}
	return p.fault(t, fmt.Sprintf("unknown statement `%s`", t.text), fix)
}

func (p *parser) disk(n *node) bool {
	switch {
	case p.isWord("read"):
	case p.isWord("write"):
		n.kind = kDiskWrite
	default:
		return p.missing(fmt.Sprintf("`read` or `write` is due after `disk`, not %s", p.tok().describe()), "")
	}
	p.next()
	if !p.amount(&n.amt, n.kind) {
		return false
	}
	if p.isWord("sync") {
		if n.kind == kDiskRead {
			return p.fault(p.tok(), "only a write can be `sync`", "")
		}
		p.next()
		n.sync = true
	}
	return true
}

func (p *parser) call(n *node) bool {
	var ok bool
	if n.name, ok = p.name("a service", "web"); !ok {
		return false
	}
	dot := p.tok()
	if p.is('.') {
		p.next()
		if n.op, ok = p.name("an operation", "search"); !ok {
			return false
		}
	}
	n.amt.unit = unitBytes
	if p.isWord("send") {
		p.next()
		if !p.amount(&n.amt, kCall) {
			return false
		}
	}
	if n.op != "" {
		if p.is('{') {
			return p.fault(dot, fmt.Sprintf("`call %s.%s` runs the operation that %s defines, and carries no block", n.name, n.op, n.name),
				fmt.Sprintf("write `call %s { … }` or `call %s.%s`", n.name, n.name, n.op))
		}
		return true
	}
	if !p.is('{') {
		return p.missing(fmt.Sprintf("`call %s` needs a block or an operation, not %s", n.name, p.tok().describe()),
			fmt.Sprintf("write `call %s { … }` or `call %s.OP`", n.name, n.name))
	}
	b := &Block{start: StartBlock, src: p.src, at: p.tok().at}
	if b.body, ok = p.braces("after the service"); !ok {
		return false
	}
	b.finish()
	n.block = b
	return true
}

// probability reads a number from 0 to 1; the checker looks at the range.
func (p *parser) probability(x *float64) bool {
	t := p.tok()
	if t.kind != tokNumber {
		return p.missing(fmt.Sprintf("a probability is due, not %s", t.describe()), "write a number from 0 to 1")
	}
	v, msg, _ := quantity(t.text, unitNone)
	if msg != "" || v > 1 {
		fix := "write a number from 0 to 1"
		if digits, percent := strings.CutSuffix(t.text, "%"); percent {
			if v, _, _ := quantity(digits, unitNone); v <= 100 {
				fix = fmt.Sprintf("write %g", v/100)
			}
		}
		return p.fault(t, fmt.Sprintf("`%s` is not a probability", t.text), fix)
	}
	*x = v
	p.next()
	return true
}

func (p *parser) choose(n *node) bool {
	if !p.open("after `choose`") {
		return false
	}
	p.depth-- // the braces of the branches count
	ok := true
	for !p.is('}') && !p.is(tokEOF) && !p.over {
		p.enter()
		a := arm{at: p.tok().at}
		from := p.i
		good := p.probability(&a.prob) && p.want(':', "after the probability")
		if good {
			a.body, good = p.braces("after the `:`")
		}
		if !good {
			ok = false
			p.skipArm(from)
		}
		p.leave()
		n.arms = append(n.arms, a)
	}
	if ok && len(n.arms) == 0 && p.is('}') {
		ok = p.fault(p.tok(), "`choose` has no branches", "write 0.9: { … } 0.1: { … }")
	}
	p.depth++
	return p.close() && ok
}

// skipArm skips to the next branch of a choose.
func (p *parser) skipArm(from int) {
	if p.i == from && !p.is('{') {
		p.next()
	}
	for depth := 0; !p.is(tokEOF); p.next() {
		switch p.tok().kind {
		case '{':
			depth++
		case '}':
			if depth--; depth < 0 {
				return
			}
		case tokNumber:
			if depth == 0 && p.tokens[p.i+1].kind == ':' {
				return
			}
		}
	}
}

func (p *parser) level(n *node) bool {
	a := arm{at: p.tok().at}
	var ok bool
	if a.name, ok = p.name("a level", "lite"); !ok {
		return false
	}
	a.body, ok = p.braces("after the name of the level")
	n.arms = []arm{a}
	return ok
}

func (p *parser) retry(n *node) bool {
	t := p.tok()
	v, msg, fix := 0.0, "", ""
	if t.kind == tokNumber {
		v, msg, fix = quantity(t.text, unitCount)
	}
	switch {
	case t.kind != tokNumber:
		return p.missing(fmt.Sprintf("the number of further attempts is due, not %s", t.describe()), "write retry 2 { … }")
	case msg != "":
		return p.fault(t, msg, fix)
	case v != float64(int(v)) || v < 1 || v > maxRetry:
		return p.fault(t, fmt.Sprintf("`%s` further attempts", t.text), fmt.Sprintf("write a whole number from 1 to %d", maxRetry))
	}
	p.next()
	n.count = uint32(v)
	n.amt.unit = unitTime
	if p.isWord("backoff") {
		p.next()
		if !p.amount(&n.amt, kRetry) {
			return false
		}
	}
	var ok bool
	n.body, ok = p.braces("after `retry`")
	return ok
}
