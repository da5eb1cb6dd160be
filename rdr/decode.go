package rdr

import (
	"encoding/binary"
	"fmt"
	"math"
)

// DecodeBlock reads the compact encoding of a block, which must fill b. It
// checks what ParseBlock checks, keeps nothing of b, and never panics.
// errors.Is(err, ErrLimit) tells an RDR over the limits from a malformed one.
func DecodeBlock(b []byte, lim Limits) (*Block, error) {
	block, n, err := DecodePrefix(b, lim)
	if err == nil && n < len(b) {
		return nil, fmt.Errorf("decode rdr: %d bytes after the end", len(b)-n)
	}
	return block, err
}

// DecodePrefix is DecodeBlock of a block that more bytes may follow, such as
// those that a call sends along. It returns how many bytes the block has.
func DecodePrefix(b []byte, lim Limits) (block *Block, n int, err error) {
	lim = lim.withDefaults()
	n = CompactLen(b)
	switch {
	case n == 0:
		return nil, 0, fmt.Errorf("decode rdr: not a compact block of version %d", version)
	case n > lim.Size:
		return nil, 0, limitError("size", "%d bytes, at most %d", n, lim.Size)
	case n > len(b):
		return nil, 0, fmt.Errorf("decode rdr: %d bytes of %d", len(b), n)
	}
	_, skip := binary.Uvarint(b[header:])
	d := decoder{buf: b[header+skip : n], size: n, depth: lim.Depth}
	block = &Block{start: Start(b[1] >> 7)}
	block.body = d.body()
	if d.err == nil && len(d.buf) > 0 {
		d.fail("%d bytes after the last statement", len(d.buf))
	}
	if d.err != nil {
		return nil, 0, d.err
	}
	block.finish()
	c := checker{lim: lim}
	c.block(block)
	if err := c.err(); err != nil {
		return nil, 0, fmt.Errorf("decode rdr: %w", err)
	}
	return block, n, nil
}

func limitError(what, format string, args ...any) error {
	return fmt.Errorf("decode rdr: %s %w: %s", what, ErrLimit, fmt.Sprintf(format, args...))
}

// decoder reads from buf until the first error.
type decoder struct {
	buf   []byte
	size  int
	depth int
	err   error
}

func (d *decoder) fail(format string, args ...any) {
	if d.err == nil {
		d.err = fmt.Errorf("decode rdr: byte %d: %s", d.size-len(d.buf), fmt.Sprintf(format, args...))
	}
	d.buf = nil
}

func (d *decoder) byte() byte {
	if len(d.buf) == 0 {
		d.fail("the block ends too early")
		return 0
	}
	c := d.buf[0]
	d.buf = d.buf[1:]
	return c
}

func (d *decoder) uvarint(limit uint64) uint64 {
	v, n := binary.Uvarint(d.buf)
	if n <= 0 || v > limit {
		d.fail("a number is cut off or too large")
		return 0
	}
	d.buf = d.buf[n:]
	return v
}

func (d *decoder) float() float64 {
	v := d.uvarint(math.MaxUint64)
	if v&1 == 0 {
		return float64(v >> 1)
	}
	if v != 1 || len(d.buf) < 8 {
		d.fail("a number is cut off")
		return 0
	}
	x := math.Float64frombits(binary.LittleEndian.Uint64(d.buf))
	d.buf = d.buf[8:]
	return x
}

func (d *decoder) string() string { return d.text(maxPath) }

// more reads what an http says beyond its path.
func (d *decoder) more(n *node) {
	more := HTTP{Fields: d.text(maxFields), Body: d.text(uint64(len(d.buf)))}
	d.amount(&n.amt)
	if more != (HTTP{}) {
		n.http = &more
	}
	if d.err == nil && n.code() != kHTTPMore {
		d.fail("an http that says no more than its path")
	}
}

func (d *decoder) text(limit uint64) string {
	n := d.uvarint(limit)
	if uint64(len(d.buf)) < n {
		d.fail("a name is cut off")
		return ""
	}
	s := string(d.buf[:n])
	d.buf = d.buf[n:]
	return s
}

func (d *decoder) body() []node {
	if d.depth--; d.depth < 0 {
		d.err = limitError("depth", "braces nest too deeply")
		d.buf = nil
		return nil
	}
	defer func() { d.depth++ }()
	var body []node
	for d.err == nil {
		k := kind(d.byte())
		if k == kEnd {
			break
		}
		if k >= kLast {
			d.fail("no statement has the number %d", k)
			break
		}
		body = append(body, node{kind: k})
		d.node(&body[len(body)-1])
	}
	return body
}

func (d *decoder) node(n *node) {
	n.amt.unit = n.kind.unit()
	switch n.kind {
	case kDiskWrite:
		n.sync = d.byte() != 0
		d.amount(&n.amt)
	case kCall:
		n.name = d.string()
		d.amount(&n.amt)
		n.block = &Block{start: StartBlock, body: d.body()}
		n.block.finish()
	case kHTTP:
		n.name, n.op, n.path = d.string(), d.string(), d.string()
	case kHTTPMore:
		n.kind = kHTTP
		n.name, n.op, n.path = d.string(), d.string(), d.string()
		d.more(n)
	case kChoose, kLevel:
		d.arms(n)
	case kFail:
		n.prob = d.float()
	case kLock:
		n.name = d.string()
		n.body = d.body()
	case kFile:
		n.name = d.string()
	case kReplyFile:
	case kRetry:
		n.count = uint32(d.uvarint(math.MaxUint32))
		d.amount(&n.amt)
		n.body = d.body()
	case kPar, kFork, kSeq:
		n.body = d.body()
	case kMemory, kRepeat, kTimeout:
		d.amount(&n.amt)
		n.body = d.body()
	default:
		d.amount(&n.amt)
	}
}

func (d *decoder) arms(n *node) {
	count := d.uvarint(uint64(len(d.buf)))
	for range count {
		if d.err != nil {
			return
		}
		var a arm
		if n.kind == kChoose {
			a.prob = d.float()
		} else {
			a.name = d.string()
		}
		a.body = d.body()
		n.arms = append(n.arms, a)
	}
	if count == 0 {
		d.fail("%s has no branches", n.kind)
	}
}

func (d *decoder) amount(a *amount) {
	a.dist = dist(d.byte())
	switch a.dist {
	case distConst:
		a.n = int64(d.uvarint(math.MaxInt64))
	case distExp:
		a.a = d.float()
	case distErlang:
		a.n = int64(d.uvarint(maxStages))
		a.a = d.float()
	case distEmpirical:
		d.table(a)
	case distUniform, distNormal, distLognormal, distPareto:
		a.a, a.b = d.float(), d.float()
	default:
		d.fail("no distribution has the number %d", a.dist)
	}
}

func (d *decoder) table(a *amount) {
	n := d.uvarint(uint64(len(d.buf)))
	a.table = make([]int64, 0, n)
	last := int64(0)
	for range n {
		if last += int64(d.uvarint(maxBytes)); last > maxBytes {
			d.fail("a sample is too large")
			return
		}
		a.table = append(a.table, last)
	}
}
