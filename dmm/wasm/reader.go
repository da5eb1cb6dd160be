package wasm

import (
	"fmt"
	"math"
)

// preamble is what stands before the first section.
const preamble = "\x00asm\x01\x00\x00\x00"

// The types and instructions that are written or looked at.
const (
	typeI32    = 0x7f
	typeI64    = 0x7e
	blockEmpty = 0x40

	opUnreachable       = 0x00
	opBlock             = 0x02
	opLoop              = 0x03
	opIf                = 0x04
	opEnd               = 0x0b
	opGlobalGet         = 0x23
	opGlobalSet         = 0x24
	opI32Const          = 0x41
	opI64Const          = 0x42
	opI64LessSigned     = 0x53
	opI64Sub            = 0x7d
	opI64ShiftUnsigned  = 0x88
	opI64ExtendUnsigned = 0xad
	opPrefix            = 0xfc
	subMemoryCopy       = 10
	subMemoryFill       = 11
)

// reader reads a binary. After the first mistake it reads zeros, and err says what it was.
type reader struct {
	b   []byte
	at  int
	err error
	// branches is how many the instruction has that operands read last.
	branches int
}

func (r *reader) fail(format string, args ...any) {
	if r.err == nil {
		r.err = fmt.Errorf("%w: %s", ErrGuest, fmt.Sprintf(format, args...))
	}
	r.at = len(r.b)
}

func (r *reader) more() bool { return r.err == nil && r.at < len(r.b) }

func (r *reader) rest() []byte { return r.b[r.at:] }

func (r *reader) u8() byte {
	if r.at >= len(r.b) {
		r.fail("it ends too early")
		return 0
	}
	r.at++
	return r.b[r.at-1]
}

// u32 reads an unsigned number of at most 32 bits.
func (r *reader) u32() uint32 {
	var x uint64
	for shift := 0; shift < 35; shift += 7 {
		b := r.u8()
		if x |= uint64(b&0x7f) << shift; b < 0x80 {
			if x > math.MaxUint32 {
				break
			}
			return uint32(x)
		}
	}
	r.fail("a number is too long")
	return 0
}

// long skips a number of at most 64 bits.
func (r *reader) long() {
	for range 10 {
		if r.u8() < 0x80 {
			return
		}
	}
	r.fail("a number is too long")
}

// count reads how many things follow, each of at least one byte.
func (r *reader) count() int {
	n := r.u32()
	if int64(n) > int64(len(r.b)-r.at) {
		r.fail("it ends too early")
		return 0
	}
	return int(n)
}

// bytes reads n bytes, which are parts of the binary.
func (r *reader) bytes(n int) []byte {
	if n < 0 || n > len(r.b)-r.at {
		r.fail("it ends too early")
		return nil
	}
	r.at += n
	return r.b[r.at-n : r.at]
}

func (r *reader) skip(n int) { r.bytes(n) }

// indices skips a list of indices and returns how many there are.
func (r *reader) indices() int {
	n := r.count()
	for range n {
		r.u32()
	}
	return n
}

// operands skips what belongs to an instruction and returns what it costs.
func (r *reader) operands(op byte) (price int) {
	price, r.branches = 1, 0
	switch {
	case op <= 0x01 || op == opEnd || op == 0x1a || op == 0x1b || op == 0xd1:
	case op == 0x05 || op == 0x0f: // else, return
		r.branches = 1
	case op == opLoop:
		r.long()
		r.branches = 6 // that what counts steps adds to it included
	case op == opBlock || op == opIf:
		r.long()
		r.branches = 2
	case op == opI32Const || op == opI64Const || op == 0xd0:
		r.long()
	case op == 0x0c || op == 0x0d: // br, br_if
		r.u32()
		r.branches = 2
	case op >= 0x20 && op <= 0x26: // local, global, table.get, table.set
		r.u32()
	case op == 0x0e: // br_table
		r.branches = r.indices()
		r.u32()
		price = 4
	case op == 0x10: // call
		r.u32()
		price = 4
	case op == 0x11: // call_indirect
		r.u32()
		r.u32()
		price = 8
	case op == 0x1c: // select with types
		r.skip(r.count())
	case op >= 0x28 && op <= 0x3e: // load, store
		r.u32()
		r.u32()
		price = 2
	case op == 0x3f: // memory.size
		r.u32()
	case op == 0x40: // memory.grow, by the runtime
		r.u32()
		price = 4096
	case op == 0xd2: // ref.func, by the runtime
		r.u32()
		price = 512
	case op == 0x43:
		r.skip(4)
	case op == 0x44:
		r.skip(8)
	case op >= 0x45 && op <= 0xc4:
		price = arithmeticPrice(op)
	case op == opPrefix:
		return r.prefixed()
	default:
		r.fail("instruction %#02x: guests may not", op)
	}
	return price
}

// arithmeticPrice is more than 1 for divisions and square roots.
func arithmeticPrice(op byte) int {
	switch {
	case op >= 0x6d && op <= 0x70, op >= 0x7f && op <= 0x82, // integers
		op == 0x91, op == 0x95, op == 0x9f, op == 0xa3: // floats
		return 8
	}
	return 1
}

// prefixed skips the rest of an instruction behind opPrefix.
func (r *reader) prefixed() (price int) {
	switch sub := r.u8(); {
	case sub <= 7: // conversions
		return 2
	case sub == subMemoryCopy:
		r.skip(2)
		return 32
	case sub == subMemoryFill:
		r.skip(1)
		return 128
	default:
		r.fail("instruction %#02x %#02x: guests may not", opPrefix, sub)
	}
	return 0
}
