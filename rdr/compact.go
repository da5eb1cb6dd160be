package rdr

import (
	"encoding/binary"
	"math"
)

// A compact RDR begins with the magic byte, with which no UTF-8 text can start.
// The second byte is the version, and its high bit the start symbol; the length
// of the rest follows as a varint.
const (
	magic   = 0x9e
	version = 1
	header  = 2
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
	from := len(dst)
	dst = appendBody(dst, b.body)
	var length [binary.MaxVarintLen64]byte
	n := binary.PutUvarint(length[:], uint64(len(dst)-from))
	dst = append(dst, length[:n]...)
	copy(dst[from+n:], dst[from:len(dst)-n])
	copy(dst[from:], length[:n])
	return dst
}

// CompactLen returns the length of the compact RDR that b begins with, which
// may be more than b holds; more may follow it, such as the bytes that a call
// sends. It returns 0 if b does not hold the whole header yet, or is not one.
func CompactLen(b []byte) int {
	if len(b) <= header || b[0] != magic || b[1]&0x7f != version {
		return 0
	}
	v, n := binary.Uvarint(b[header:])
	if n <= 0 || v > math.MaxInt32 {
		return 0
	}
	return header + n + int(v)
}

func appendBody(dst []byte, body []node) []byte {
	for i := range body {
		dst = appendNode(dst, &body[i])
	}
	return append(dst, byte(kEnd))
}

func appendNode(dst []byte, n *node) []byte {
	dst = append(dst, byte(n.code()))
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
		if n.code() == kHTTPMore {
			dst = appendMore(dst, n)
		}
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
	case kFile:
		dst = appendString(dst, n.name)
	case kReplyFile: // its set follows from what comes before
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

// code returns the opcode of a statement.
func (n *node) code() kind {
	if n.kind == kHTTP && (n.http != nil || n.amt.dist != distConst || n.amt.n != 0) {
		return kHTTPMore
	}
	return n.kind
}

func appendMore(dst []byte, n *node) []byte {
	more := n.http
	if more == nil {
		more = &HTTP{}
	}
	dst = appendString(dst, more.Fields)
	dst = appendString(dst, more.Body)
	return appendAmount(dst, &n.amt)
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
