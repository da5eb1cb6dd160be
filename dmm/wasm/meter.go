package wasm

import (
	"maps"
	"slices"
)

// What a metered guest exports beside its own: the counter, and the function that it starts with.
const (
	ownExports  = "eve."
	stepsExport = ownExports + "steps"
	startExport = ownExports + "start"
)

// The sections that are rewritten or looked at.
const (
	customSection = 0
	tableSection  = 4
	globalSection = 6
	exportSection = 7
	startSection  = 8
	codeSection   = 10
)

// sectionOrder is the order in which sections stand in a binary.
func sectionOrder() []byte { return []byte{1, 2, 3, 4, 5, 6, 7, 8, 9, 12, 10, 11} }

// meter returns a guest in which what it does is counted: a global, exported as stepsExport, from which the head of each
// function and each loop takes what the instructions behind it cost, up to the next such head. Below 0 the guest traps.
// What the guest starts with is exported instead, as startExport.
// s is the sections of a guest. What is made of one that is not valid is not to be used, and check says so.
//
// Instructions run at most once for each time that the innermost loop around them, or else their function, begins. So the
// costs that were taken are never less than those of the instructions that ran.
func meter(s map[byte][]byte) ([]byte, error) {
	s = maps.Clone(s)
	globals := reader{b: s[globalSection]}
	n := uint32(0)
	if len(globals.b) > 0 {
		n = globals.u32()
	}
	m := &metering{steps: n, size: n + 1}
	s[globalSection] = slices.Concat(uleb(n+2), globals.rest(),
		[]byte{typeI64, 1, opI64Const}, sleb(MaxSteps), []byte{opEnd}, // steps
		[]byte{typeI32, 1, opI32Const, 0, opEnd}) // the size of what is copied
	exports := reader{b: s[exportSection]}
	count := uint32(0)
	if len(exports.b) > 0 {
		count = exports.u32()
	}
	added := export(stepsExport, exportGlobal, m.steps)
	if start, ok := s[startSection]; ok {
		delete(s, startSection)
		count++
		added = append(added, export(startExport, exportFunction, (&reader{b: start}).u32())...)
	}
	s[exportSection] = slices.Concat(uleb(count+1), exports.rest(), added)
	if code, ok := s[codeSection]; ok {
		metered, err := m.code(code)
		if err != nil {
			return nil, err
		}
		s[codeSection] = metered
	}
	return binary(s), nil
}

// binary puts sections together.
func binary(s map[byte][]byte) []byte {
	out := []byte(preamble)
	for _, id := range sectionOrder() {
		if body, ok := s[id]; ok {
			out = append(out, id)
			out = append(out, uleb(uint32(len(body)))...)
			out = append(out, body...)
		}
	}
	return out
}

// metering is the rewriting of one guest.
type metering struct {
	steps, size uint32 // the indices of the globals that were added
	branches    int    // of the functions so far
}

// code rewrites all functions.
func (m *metering) code(section []byte) ([]byte, error) {
	r := reader{b: section}
	n := r.u32()
	out := uleb(n)
	for range n {
		body := reader{b: r.bytes(int(r.u32()))}
		metered, err := m.function(&body)
		if err != nil {
			return nil, err
		}
		out = append(out, uleb(uint32(len(metered)))...)
		out = append(out, metered...)
	}
	return out, r.err
}

// costs is what stands open while a function is rewritten: for each enclosing block, loop or if, the head that pays for
// the instructions in it.
type costs struct {
	out   []byte
	heads []head
}

// head is the head of a function or loop.
type head struct {
	at   int // where its cost stands in out
	cost int
}

// costSize is the bytes in which a cost is written, so that it can be filled in afterwards.
const costSize = 5

// functionCost is what a call takes before its first instruction: its frame on the stack, which shall not grow for nothing.
const functionCost = 32

// function rewrites one function.
func (m *metering) function(r *reader) ([]byte, error) {
	locals := r.at
	cost := functionCost
	for range r.u32() {
		cost += int(r.u32())
		r.skip(1)
	}
	c := costs{out: slices.Clone(r.b[locals:r.at])}
	c.heads = []head{m.pay(&c, cost)}
	open := []int{0} // for each block that is open, the index in heads of who pays
	before := m.branches
	for len(open) > 0 && r.err == nil {
		start := r.at
		op := r.u8()
		pays := open[len(open)-1]
		c.heads[pays].cost += r.operands(op)
		m.branches += r.branches
		r.atMost(len(open), maxNesting, "blocks in each other")
		r.atMost(m.branches-before, maxBranches, "branches of a function")
		r.atMost(m.branches, maxAllBranches, "branches")
		if r.err != nil {
			break
		}
		switch op {
		case opBlock, opIf:
			open = append(open, pays)
		case opLoop:
			open = append(open, len(c.heads))
		case opEnd:
			open = open[:len(open)-1]
		case opPrefix:
			m.payForCopy(&c, r.b[start:r.at])
			continue
		}
		c.out = append(c.out, r.b[start:r.at]...)
		if op == opLoop {
			c.heads = append(c.heads, m.pay(&c, 1))
		}
	}
	if r.at != len(r.b) {
		r.fail("instructions behind the end of a function")
	}
	for _, h := range c.heads {
		copy(c.out[h.at:], padded(h.cost))
	}
	return c.out, r.err
}

// pay writes what takes a cost, which is filled in at the end, from the steps.
func (m *metering) pay(c *costs, cost int) head {
	c.out = append(c.out, opGlobalGet)
	c.out = append(c.out, uleb(m.steps)...)
	c.out = append(c.out, opI64Const)
	h := head{at: len(c.out), cost: cost}
	c.out = append(c.out, make([]byte, costSize)...)
	m.take(c)
	return h
}

// take writes the subtraction of what was paid, and the trap below 0.
func (m *metering) take(c *costs) {
	g := uleb(m.steps)
	c.out = append(c.out, opI64Sub, opGlobalSet)
	c.out = append(c.out, g...)
	c.out = append(c.out, opGlobalGet)
	c.out = append(c.out, g...)
	c.out = append(c.out, opI64Const, 0, opI64LessSigned, opIf, blockEmpty, opUnreachable, opEnd)
}

// payForCopy writes a prefixed instruction; one that copies or fills memory pays a step for each 8 bytes.
func (m *metering) payForCopy(c *costs, instruction []byte) {
	if sub := instruction[1]; sub == subMemoryCopy || sub == subMemoryFill {
		size := uleb(m.size)
		c.out = append(c.out, opGlobalSet)
		c.out = append(c.out, size...)
		c.out = append(c.out, opGlobalGet)
		c.out = append(c.out, uleb(m.steps)...)
		c.out = append(c.out, opGlobalGet)
		c.out = append(c.out, size...)
		c.out = append(c.out, opI64ExtendUnsigned, opI64Const, 3, opI64ShiftUnsigned)
		m.take(c)
		c.out = append(c.out, opGlobalGet)
		c.out = append(c.out, size...)
	}
	c.out = append(c.out, instruction...)
}

// The kinds of exports that are added.
const (
	exportFunction = 0
	exportGlobal   = 3
)

func export(name string, kind byte, index uint32) []byte {
	return slices.Concat(uleb(uint32(len(name))), []byte(name), []byte{kind}, uleb(index))
}

func uleb(x uint32) []byte {
	var b []byte
	for x >= 0x80 {
		b = append(b, byte(x)|0x80)
		x >>= 7
	}
	return append(b, byte(x))
}

// sleb writes a number that is not negative as a signed one.
func sleb(x int64) []byte {
	var b []byte
	for x >= 0x40 {
		b = append(b, byte(x&0x7f)|0x80)
		x >>= 7
	}
	return append(b, byte(x))
}

// padded writes a cost in costSize bytes.
func padded(cost int) []byte {
	b := make([]byte, costSize)
	for i := range b {
		b[i] = byte(cost&0x7f) | 0x80
		cost >>= 7
	}
	b[costSize-1] &^= 0x80
	return b
}
