package rdr

import (
	"encoding/binary"
	"fmt"
	"math"
)

// magic begins a compact RDR: no UTF-8 text can start with this byte. The
// second byte is the version of the encoding.
const (
	magic   = 0x9e
	version = 1
)

// IsCompact reports whether b is in the compact encoding rather than text.
func IsCompact(b []byte) bool { return len(b) > 0 && b[0] == magic }

// AppendCompact appends the compact encoding of the block. A block whose calls
// are not linked panics.
func (b *Block) AppendCompact(dst []byte) []byte {
	if b.refs && !b.linked {
		panic("rdr: encoding of a block whose calls are not linked")
	}
	dst = append(dst, magic, version|byte(b.start)<<7)
	return appendBody(dst, b.body)
}

func appendBody(dst []byte, body []node) []byte {
	for i := range body {
		dst = appendNode(dst, &body[i])
	}
	return append(dst, byte(kEnd))
}

func appendNode(dst []byte, n *node) []byte {
	dst = append(dst, byte(n.kind))
	switch n.kind {
	case kDiskWrite:
		dst = appendBool(dst, n.sync)
		dst = appendAmount(dst, &n.amt)
	case kCall:
		dst = appendString(dst, n.name)
		dst = appendAmount(dst, &n.amt)
		dst = appendBody(dst, n.block.body)
	case kHTTP:
		dst = appendString(dst, n.name)
		dst = appendString(dst, n.op)
		dst = appendString(dst, n.path)
	case kChoose, kLevel:
		dst = binary.AppendUvarint(dst, uint64(len(n.arms)))
		for i := range n.arms {
			a := &n.arms[i]
			if n.kind == kChoose {
				dst = appendFloat(dst, a.prob)
			} else {
				dst = appendString(dst, a.name)
			}
			dst = appendBody(dst, a.body)
		}
	case kFail:
		dst = appendFloat(dst, n.prob)
	case kLock:
		dst = appendString(dst, n.name)
		dst = appendBody(dst, n.body)
	case kRetry:
		dst = binary.AppendUvarint(dst, uint64(n.count))
		dst = appendAmount(dst, &n.amt)
		dst = appendBody(dst, n.body)
	case kPar, kFork, kSeq:
		dst = appendBody(dst, n.body)
	case kMemory, kRepeat, kTimeout:
		dst = appendAmount(dst, &n.amt)
		dst = appendBody(dst, n.body)
	default:
		dst = appendAmount(dst, &n.amt)
	}
	return dst
}

func appendBool(dst []byte, v bool) []byte {
	if v {
		return append(dst, 1)
	}
	return append(dst, 0)
}

func appendString(dst []byte, s string) []byte {
	dst = binary.AppendUvarint(dst, uint64(len(s)))
	return append(dst, s...)
}

// appendFloat appends a whole number as an even varint, and any other as a 1
// and its eight bytes.
func appendFloat(dst []byte, x float64) []byte {
	if x >= 0 && x < 1<<53 && x == math.Trunc(x) && !math.Signbit(x) {
		return binary.AppendUvarint(dst, uint64(x)<<1)
	}
	dst = append(dst, 1)
	return binary.LittleEndian.AppendUint64(dst, math.Float64bits(x))
}

func appendAmount(dst []byte, a *amount) []byte {
	dst = append(dst, byte(a.dist))
	switch a.dist {
	case distConst:
		return binary.AppendUvarint(dst, uint64(a.n))
	case distExp:
		return appendFloat(dst, a.a)
	case distErlang:
		return appendFloat(binary.AppendUvarint(dst, uint64(a.n)), a.a)
	case distEmpirical:
		dst = binary.AppendUvarint(dst, uint64(len(a.table)))
		last := int64(0)
		for _, v := range a.table {
			dst = binary.AppendUvarint(dst, uint64(v-last))
			last = v
		}
		return dst
	default:
		return appendFloat(appendFloat(dst, a.a), a.b)
	}
}

// DecodeBlock reads the compact encoding of a block, which must fill b. It
// checks what ParseBlock checks, keeps nothing of b, and never panics; errors.Is(err, ErrLimit)
// tells an RDR over the limits from one that is malformed.
func DecodeBlock(b []byte, lim Limits) (*Block, error) {
	lim = lim.withDefaults()
	if len(b) > lim.Size {
		return nil, limitError("decode rdr", "size", "%d bytes, at most %d", len(b), lim.Size)
	}
	if len(b) < 3 || b[0] != magic || b[1]&0x7f != version {
		return nil, fmt.Errorf("decode rdr: not a compact block of version %d", version)
	}
	d := decoder{buf: b[2:], size: len(b), depth: lim.Depth}
	block := &Block{body: d.body(Start(b[1] >> 7)), start: Start(b[1] >> 7)}
	if d.err == nil && len(d.buf) > 0 {
		d.fail("%d bytes after the end", len(d.buf))
	}
	if d.err != nil {
		return nil, d.err
	}
	block.finish()
	c := checker{lim: lim}
	c.block(block)
	if err := c.err(); err != nil {
		return nil, fmt.Errorf("decode rdr: %w", err)
	}
	return block, nil
}

func limitError(op, what, format string, args ...any) error {
	return fmt.Errorf("%s: %s %w: %s", op, what, ErrLimit, fmt.Sprintf(format, args...))
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

func (d *decoder) string() string {
	n := d.uvarint(maxName)
	if uint64(len(d.buf)) < n {
		d.fail("a name is cut off")
		return ""
	}
	s := string(d.buf[:n])
	d.buf = d.buf[n:]
	return s
}

func (d *decoder) body(start Start) []node {
	if d.depth--; d.depth < 0 {
		d.err = limitError("decode rdr", "depth", "braces nest too deeply")
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
		d.node(&body[len(body)-1], start)
	}
	return body
}

func (d *decoder) node(n *node, start Start) {
	n.amt.unit = n.kind.unit()
	switch n.kind {
	case kDiskWrite:
		n.sync = d.byte() != 0
		d.amount(&n.amt)
	case kCall:
		n.name = d.string()
		d.amount(&n.amt)
		n.block = &Block{start: StartBlock, body: d.body(StartBlock)}
		n.block.finish()
	case kHTTP:
		n.name, n.op, n.path = d.string(), d.string(), d.string()
	case kChoose, kLevel:
		d.arms(n, start)
	case kFail:
		n.prob = d.float()
	case kLock:
		n.name = d.string()
		n.body = d.body(start)
	case kRetry:
		n.count = uint32(d.uvarint(math.MaxUint32))
		d.amount(&n.amt)
		n.body = d.body(start)
	case kPar, kFork, kSeq:
		n.body = d.body(start)
	case kMemory, kRepeat, kTimeout:
		d.amount(&n.amt)
		n.body = d.body(start)
	default:
		d.amount(&n.amt)
	}
}

func (d *decoder) arms(n *node, start Start) {
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
		a.body = d.body(start)
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
