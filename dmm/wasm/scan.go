package wasm

import "bytes"

// The bounds of what a guest declares: far above what compilers write, and small enough that making room for it, and
// compiling it, costs little.
const (
	maxParams    = 64      // of a function, and as many results
	maxLocals    = 1 << 10 // of a function
	maxNesting   = 256     // of blocks
	maxTable     = 1 << 14 // entries of a table
	maxFunctions = 1 << 14
	maxGlobals   = 1 << 12
	maxFunction  = 64 << 10 // bytes of a function

	// The runtime's compiler takes time with the square of the branches of a function, and with the locals at each.
	maxBranches    = 1 << 11 // of a function
	maxAllBranches = 1 << 14
)

// sections takes a binary apart by the ids of its sections, without custom ones, and checks that what each announces is
// there: the runtime makes room for what is announced before it reads it. The binary need not be valid otherwise.
func sections(guest []byte) (map[byte][]byte, error) {
	if !bytes.HasPrefix(guest, []byte(preamble)) {
		r := reader{}
		r.fail("it does not begin as WebAssembly 1.0 does")
		return nil, r.err
	}
	r := reader{b: guest, at: len(preamble)}
	found := map[byte][]byte{}
	for r.more() {
		id := r.u8()
		body := r.bytes(r.count())
		if _, twice := found[id]; twice && id != customSection {
			r.fail("section %d comes twice", id)
		}
		if id == customSection {
			continue
		}
		s := reader{b: body}
		s.section(id)
		if s.err == nil && s.at != len(body) {
			s.fail("section %d is longer than what is in it", id)
		}
		if s.err != nil {
			return nil, s.err
		}
		found[id] = body
	}
	return found, r.err
}

// section walks over what is in one section.
func (r *reader) section(id byte) {
	if id == startSection || id == 12 { // 12: the number of data
		r.u32()
		return
	}
	n := r.count()
	switch id {
	case 2:
		r.imports(n)
		return
	case 3, codeSection:
		r.atMost(n, maxFunctions, "functions")
	case globalSection:
		r.atMost(n, maxGlobals, "globals")
	}
	for range n {
		if r.err != nil {
			return
		}
		switch id {
		case 1:
			r.functionType()
		case 3:
			r.u32()
		case tableSection:
			r.valueType()
			r.atMost(r.limits(), maxTable, "entries of a table")
		case 5:
			r.atMost(r.limits(), MaxPages, "pages of memory")
		case globalSection:
			r.valueType()
			r.u8()
			r.constant()
		case exportSection:
			if name := r.bytes(r.count()); bytes.HasPrefix(name, []byte(ownExports)) {
				r.fail("it exports %.40s, and names that begin with %s are Eve's", name, ownExports)
			}
			r.u8()
			r.u32()
		case 9:
			r.element()
		case codeSection:
			r.body()
		case 11:
			r.data()
		default:
			r.fail("section %d: guests have none", id)
		}
	}
}

// atMost fails where n is more than a guest may have.
func (r *reader) atMost(n, bound int, what string) {
	if n > bound {
		r.fail("%d %s, at most %d", n, what, bound)
	}
}

// imports tells the first import by its name.
func (r *reader) imports(n int) {
	if n == 0 {
		return
	}
	module, name := r.bytes(r.count()), r.bytes(r.count())
	r.fail("it imports %.40s.%.40s, and guests import nothing", module, name)
}

func (r *reader) functionType() {
	if r.u8() != 0x60 {
		r.fail("a type that is no function's")
	}
	for range 2 {
		n := r.count()
		r.atMost(n, maxParams, "parameters or results")
		for range n {
			r.valueType()
		}
	}
}

func (r *reader) valueType() {
	switch t := r.u8(); t {
	case typeI32, typeI64, 0x7d, 0x7c, 0x70, 0x6f:
	default:
		r.fail("type %#02x: guests have none", t)
	}
}

// limits returns the lower one.
func (r *reader) limits() int {
	flag := r.u8()
	if flag > 1 {
		r.fail("limits %#02x: guests have none", flag)
	}
	least := r.u32()
	if flag == 1 {
		r.u32()
	}
	return int(least)
}

// constant walks over an expression that initialises something.
func (r *reader) constant() {
	for r.err == nil {
		switch op := r.u8(); op {
		case opEnd:
			return
		case opGlobalGet, opI32Const, opI64Const, 0x43, 0x44, 0xd0, 0xd2:
			r.operands(op)
		default:
			r.fail("instruction %#02x: guests may not initialise with it", op)
		}
	}
}

// element walks over a segment of a table.
func (r *reader) element() {
	flag := r.u32()
	if flag > 7 {
		r.fail("element segment %d: guests have none", flag)
		return
	}
	if flag&3 == 2 {
		r.u32() // the table
	}
	if flag&1 == 0 {
		r.constant() // where
	}
	if flag&3 != 0 {
		r.u8() // what
	}
	if flag < 4 {
		r.indices()
		return
	}
	for range r.count() {
		r.constant()
	}
}

// body walks over the beginning of a function; meter reads the rest once the binary is known to be valid.
func (r *reader) body() {
	f := reader{b: r.bytes(r.count())}
	f.atMost(len(f.b), maxFunction, "bytes of a function")
	locals := 0
	for range f.count() {
		n := int(f.u32())
		f.valueType()
		if locals += n; locals > maxLocals {
			f.fail("%d locals of a function, at most %d", locals, maxLocals)
			break
		}
	}
	if r.err == nil {
		r.err = f.err
	}
}

// data walks over a segment of the memory.
func (r *reader) data() {
	switch flag := r.u32(); flag {
	case 0:
		r.constant()
	case 1:
	case 2:
		r.u32()
		r.constant()
	default:
		r.fail("data segment %d: guests have none", flag)
	}
	r.skip(r.count())
}
