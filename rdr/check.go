package rdr

import (
	"fmt"
	"math"
	"time"
)

// checker looks for what the grammar cannot see. It reports each mistake at its
// statement.
type checker struct {
	lim    Limits
	src    *source
	errs   Errors
	encode bool // check the size of what calls carry
	wire   bool // operations cannot be resolved
	start  Start
	locks  []string
}

// place is what surrounds a statement within its block.
type place struct {
	top     bool   // directly in the block
	par     bool   // directly in a par
	noReply string // the statement that forbids a reply
}

func (c *checker) fault(n *node, sentinel error, msg, fix string) {
	c.faultAt(n.at, sentinel, msg, fix, fmt.Sprintf("statement %d (%s): ", n.num, n.kind))
}

func (c *checker) faultAt(at int, sentinel error, msg, fix, where string) {
	if len(c.errs) >= maxErrors {
		return
	}
	if c.src == nil {
		msg = where + msg
	}
	c.errs = append(c.errs, c.src.errorAt(at, sentinel, msg, fix))
}

func (c *checker) err() error {
	if len(c.errs) == 0 {
		return nil
	}
	return c.errs
}

// block checks a block and those that it calls, and then its limits.
func (c *checker) block(b *Block) {
	c.rules(b)
	if len(c.errs) == 0 && !b.refs {
		c.limits(b)
	}
}

func (c *checker) rules(b *Block) {
	outer, locks := c.start, c.locks
	c.start, c.locks = b.start, nil
	c.body(b.body, place{top: true}, false)
	seen := map[kind]bool{}
	for i := range b.body {
		n := &b.body[i]
		if n.kind != kDeadline && n.kind != kPriority {
			continue
		}
		if seen[n.kind] {
			c.fault(n, nil, fmt.Sprintf("a second `%s`", n.kind), "keep one")
		}
		seen[n.kind] = true
	}
	c.start, c.locks = outer, locks
}

// body checks statements that run one after the other, after a reply or not,
// and returns whether a reply was sent on some path through them.
func (c *checker) body(body []node, in place, replied bool) bool {
	for i := range body {
		replied = c.statement(&body[i], in, replied)
	}
	return replied
}

func (c *checker) statement(n *node, in place, replied bool) bool {
	if err := n.amt.check(); err != nil {
		c.fault(n, sentinel(err), err.Error(), "")
	}
	if c.start == StartRequest {
		c.client(n)
	}
	inner := place{noReply: in.noReply}
	switch n.kind {
	case kReply, kReplyFile:
		c.reply(n, in, replied)
		return true
	case kFile:
		if !validName(n.name) {
			c.fault(n, nil, fmt.Sprintf("%q is not the name of a file set", n.name), "")
		}
	case kPar, kFork, kRepeat, kRetry:
		inner.noReply, inner.par = n.kind.String(), n.kind == kPar
		if n.kind == kRetry && (n.count < 1 || n.count > maxRetry) {
			c.fault(n, nil, "the number of attempts is out of range", "")
		}
	case kPriority, kDeadline:
		if !in.top {
			c.fault(n, nil, fmt.Sprintf("`%s` inside another statement", n.kind),
				fmt.Sprintf("it is an attribute of the whole %s: move it to the outermost braces", c.start))
		}
	case kCall, kHTTP:
		c.target(n)
	case kChoose, kLevel:
		return c.branches(n, inner, replied)
	case kFail:
		if !(n.prob >= 0 && n.prob <= 1) {
			c.fault(n, nil, "the probability is not from 0 to 1", "")
		}
	case kSeq:
		if !in.par {
			c.fault(n, nil, "a `{` without a statement", "braces of their own make one branch of several statements, directly inside par")
		}
	case kLock:
		return c.lock(n, inner, replied)
	}
	return c.body(n.body, inner, replied)
}

// client refuses what runs at a server only.
func (c *checker) client(n *node) {
	switch n.kind {
	case kCPU, kDiskRead, kDiskWrite, kMemory, kReply, kLock, kFail, kLevel, kFile, kReplyFile:
		what := n.kind.String()
		c.fault(n, nil, fmt.Sprintf("`%s` runs at a server, and a request runs at the client", what),
			fmt.Sprintf("put it in `call S { %s … }`", what))
	}
}

func (c *checker) reply(n *node, in place, replied bool) {
	switch {
	case in.noReply != "":
		c.fault(n, nil, fmt.Sprintf("`reply` inside `%s`", in.noReply), "a block sends one response: put `reply` after it")
	case replied:
		c.fault(n, nil, "a second `reply` on this path", "a block sends at most one response: keep one, or put each in a branch of its own")
	case n.kind == kReplyFile && n.name == noFile:
		c.fault(n, nil, "`reply file` has no file to send", "get one before it: `file SET`")
	case n.kind == kReplyFile && n.name == unclearFile:
		c.fault(n, nil, "`reply file` after files of which it is not certain which comes last, or of what set", "get the file right before it: `file SET  reply file`")
	}
}

func (c *checker) target(n *node) {
	switch {
	case !validName(n.name):
		c.fault(n, nil, fmt.Sprintf("%q is not the name of a service", n.name), "")
	case n.kind == kHTTP && c.start == StartBlock:
		c.fault(n, nil, "`http` runs at the client, and a block runs at a server", "put it in the request, or write `call S { … }`")
	case n.kind == kHTTP && !validHTTP(n):
		c.fault(n, nil, "the method, the path or a header field is not valid", "")
	case n.kind == kCall && n.block != nil:
		c.rules(n.block)
	case n.kind == kCall && c.wire:
		c.fault(n, nil, fmt.Sprintf("operation %s.%s is not known here", n.name, n.op),
			fmt.Sprintf("write what it does: call %s { … }", n.name))
	}
}

func (c *checker) lock(n *node, in place, replied bool) bool {
	if !validName(n.name) {
		c.fault(n, nil, fmt.Sprintf("%q is not the name of a lock", n.name), "")
	}
	for _, held := range c.locks {
		if held == n.name {
			c.fault(n, nil, fmt.Sprintf("lock %s is held here already: it would wait for itself", n.name), "remove one of the two")
		}
	}
	c.locks = append(c.locks, n.name)
	replied = c.body(n.body, in, replied)
	c.locks = c.locks[:len(c.locks)-1]
	return replied
}

func (c *checker) branches(n *node, in place, replied bool) bool {
	sum, any := 0.0, replied
	names := map[string]bool{}
	for i := range n.arms {
		a := &n.arms[i]
		any = c.body(a.body, in, replied) || any
		if n.kind == kChoose {
			if !(a.prob >= 0 && a.prob <= 1) {
				c.fault(n, nil, "a probability is not from 0 to 1", "")
			}
			sum += a.prob
			continue
		}
		if !validName(a.name) || names[a.name] {
			c.faultAt(a.at, nil, fmt.Sprintf("level %q is there twice, or not a name", a.name), "give each level one body", "")
		}
		names[a.name] = true
	}
	if n.kind == kChoose && !(math.Abs(sum-1) <= 1e-6) {
		fix := "make it 1"
		if sum < 1 {
			fix = fmt.Sprintf("add `%.6g: { … }`", 1-sum)
		}
		c.fault(n, nil, fmt.Sprintf("the probabilities sum to %.6g", sum), fix)
	}
	return any
}

// limits checks what a block with resolved calls may ask for.
func (c *checker) limits(b *Block) {
	size := costs{memo: map[*Block]cost{}}
	k := size.block(b)
	over := func(what string, got, limit any) {
		msg := fmt.Sprintf("this %s asks for %v %s, at most %v", b.start, got, what, limit)
		c.faultAt(b.at, ErrLimit, msg, "", "")
	}
	switch {
	case k.depth > c.lim.Depth:
		over("nested braces", k.depth, c.lim.Depth)
	case k.nodes > float64(16*c.lim.Size):
		over("statements", k.nodes, 16*c.lim.Size)
	case k.steps > float64(c.lim.Steps):
		over("steps", k.steps, c.lim.Steps)
	case size.strands > float64(c.lim.Fanout):
		over("strands at once", size.strands, c.lim.Fanout)
	case k.demand > float64(c.lim.Demand):
		over("of cpu and wait", time.Duration(min(k.demand, 1<<62)), c.lim.Demand)
	case k.bytes > float64(c.lim.Bytes):
		over("bytes", k.bytes, c.lim.Bytes)
	case c.encode:
		c.carried(b)
	}
}

// carried checks that what goes over the wire fits: the blocks that a request
// calls, or a block itself.
func (c *checker) carried(b *Block) {
	check := func(at int, b *Block) {
		if n := len(b.Compact()); n > c.lim.Size {
			c.faultAt(at, ErrLimit, fmt.Sprintf("the encoded block has %d bytes, at most %d", n, c.lim.Size),
				"use fewer samples or statements", "")
		}
	}
	if b.start == StartBlock {
		check(b.at, b)
		return
	}
	walk(b.body, func(n *node) {
		if n.kind == kCall && len(c.errs) == 0 {
			check(n.at, n.block)
		}
	})
}
