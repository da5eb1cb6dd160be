package rdr

// A `reply file` answers with the file that the block got last. From which set
// that is must be certain, whatever was drawn: so it is known before anything
// runs, and a mean exists.

// Where a block has got no file, or from different sets on different ways. No
// set has such a name.
const (
	noFile      = ""
	unclearFile = "?"
)

// lastFile returns the set of the file that was got last after the statements
// of a body, and tells each reply with a file its set.
func lastFile(body []node, have string) string {
	for i := range body {
		have = lastFileOf(&body[i], have)
	}
	return have
}

func lastFileOf(n *node, have string) string {
	switch n.kind {
	case kFile:
		return n.name
	case kReplyFile:
		n.name = have
	case kCall: // its block gets files of its own
	case kPar, kFork:
		return besides(n, have)
	case kRepeat:
		after := lastFile(n.body, have)
		if n.amt.constant() && n.amt.n > 0 {
			return after
		}
		return sameFile(have, after)
	case kChoose, kLevel:
		after := noFile
		for i := range n.arms {
			if a := lastFile(n.arms[i].body, have); i == 0 {
				after = a
			} else {
				after = sameFile(after, a)
			}
		}
		return after
	default:
		return lastFile(n.body, have)
	}
	return have
}

// besides is lastFile of strands that run at once: only one of a par may get
// files, and none of a fork.
func besides(n *node, have string) string {
	after, strands := have, 0
	for i := range n.body {
		a, got := lastFileOf(&n.body[i], have), false
		walk(n.body[i:i+1], func(m *node) { got = got || m.kind == kFile })
		if got {
			after = a
			strands++
		}
	}
	switch {
	case strands == 0:
		return have
	case strands > 1 || n.kind == kFork:
		return unclearFile
	}
	return after
}

func sameFile(a, b string) string {
	if a != b {
		return unclearFile
	}
	return a
}

// Files returns the file sets that the block and the blocks it calls name,
// sorted.
func (b *Block) Files() []string {
	return b.gather(func(n *node) (string, bool) { return n.name, n.kind == kFile })
}

// File returns the first file that the block gets under key, at a quality
// level, when nothing before it fails: the name of its set, and the key that
// draws it. A par counts in the order of the text. False when it gets none.
func (b *Block) File(key Key, level string) (set string, draw Key, ok bool) {
	n := b.firstFile(b.body, key, level)
	if n == nil {
		return "", 0, false
	}
	return n.name, key.node(n.num, 0, 0), true
}

// firstFile looks at the first pass of loops, which all have iteration and
// attempt 0.
func (b *Block) firstFile(body []node, key Key, level string) *node {
	for i := range body {
		n := &body[i]
		inner := n.body
		switch n.kind {
		case kFile:
			return n
		case kChoose:
			inner = chosen(n, key.node(n.num, 0, 0))
		case kLevel:
			inner = levelArm(n, level)
		case kRepeat:
			if !n.amt.constant() && n.amt.draw(key.node(n.num, 0, 0)) == 0 {
				continue
			}
		}
		if f := b.firstFile(inner, key, level); f != nil {
			return f
		}
	}
	return nil
}

// chosen returns the branch of a choose that a key draws.
func chosen(n *node, key Key) []node {
	u := key.Uniform()
	for j := range n.arms {
		if u < n.arms[j].upto {
			return n.arms[j].body
		}
	}
	return n.arms[len(n.arms)-1].body
}
