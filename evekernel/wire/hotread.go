package wire

import (
	"encoding/binary"
	"math"
	"unicode/utf8"

	"github.com/eve-emulation/eve/dsv"
)

// readHot decodes the frame at the beginning of b, if it is one of those that travel most in its usual form, and returns
// how long it is; 0 leaves it, and whatever may be wrong with it, to the library.
func readHot(b []byte) (*Frame, int) {
	r := reader{b: b}
	if r.head(cborMap) != 1 {
		return nil, 0
	}
	var f *Frame
	switch string(r.text()) {
	case "req":
		f = r.req()
	case "res":
		f = r.res()
	case "batch":
		f = r.batch()
	case "ack":
		f = r.ack()
	case "upd":
		f = r.upd()
	}
	if f == nil || r.odd {
		return nil, 0
	}
	return f, r.i
}

// A reader reads CBOR. odd is set once there is something else than asked for; what is read then means nothing.
type reader struct {
	b   []byte
	i   int
	odd bool
}

// slot is memory for one value with what it points to.
type slot struct {
	v Value
	x float64
	i Int
	s string
	b []byte
}

func (r *reader) req() *Frame {
	m := &struct {
		f Frame
		r Req
		s slot
	}{}
	m.f.Req = &m.r
	seen := 0
	for range r.pairs() {
		switch string(r.text()) {
		case "id":
			m.r.ID = r.uint(&seen, 1)
		case "op":
			m.r.Op = r.op(&seen, 2)
		case "name":
			m.r.Name = dsv.Name(r.string(&seen, 4))
		case "value":
			m.r.Value = r.value(&m.s, &seen, 8)
		case "old":
			m.r.Old = r.uint(&seen, 16)
		case "decl":
			m.r.Decl = r.decl(&seen, 32)
		default:
			return nil
		}
	}
	return &m.f
}

// op reads an operation without making a string of one that is known.
func (r *reader) op(seen *int, bit int) Op {
	r.once(seen, bit)
	switch b := r.text(); string(b) {
	case string(OpRead):
		return OpRead
	case string(OpWrite):
		return OpWrite
	case string(OpTestAndSet):
		return OpTestAndSet
	case string(OpInfo):
		return OpInfo
	case string(OpCreate):
		return OpCreate
	default:
		return Op(b)
	}
}

func (r *reader) res() *Frame {
	m := &struct {
		f Frame
		r Res
		d Reading
		s slot
	}{}
	m.f.Res = &m.r
	seen := 0
	for range r.pairs() {
		switch string(r.text()) {
		case "id":
			m.r.ID = r.uint(&seen, 1)
		case "var":
			m.r.Var = r.uint(&seen, 2)
		case "rev":
			m.r.Rev = r.uint(&seen, 4)
		case "reading":
			m.r.Reading = r.reading(&m.d, &m.s, &seen, 8)
		case "info":
			m.r.Info = r.info(&seen, 16)
		default:
			return nil
		}
	}
	return &m.f
}

func (r *reader) batch() *Frame {
	m := &struct {
		f Frame
		b Batch
	}{}
	m.f.Batch = &m.b
	seen := 0
	for range r.pairs() {
		switch string(r.text()) {
		case "seq":
			m.b.Seq = r.uint(&seen, 1)
		case "packed":
			m.b.Packed = r.bytes(&seen, 2)
		default:
			return nil
		}
	}
	return &m.f
}

func (r *reader) ack() *Frame {
	m := &struct {
		f Frame
		a Ack
	}{}
	m.f.Ack = &m.a
	seen := 0
	for range r.pairs() {
		if string(r.text()) != "seq" {
			return nil
		}
		m.a.Seq = r.uint(&seen, 1)
	}
	return &m.f
}

func (r *reader) upd() *Frame {
	m := &struct {
		f    Frame
		u    Upd
		r    Reading
		d    Delta
		s, t slot
	}{}
	m.f.Upd = &m.u
	seen := 0
	for range r.pairs() {
		switch string(r.text()) {
		case "watch":
			m.u.Watch = r.uint(&seen, 1)
		case "name":
			m.u.Name = dsv.Name(r.string(&seen, 2))
		case "rev":
			m.u.Rev = r.uint(&seen, 4)
		case "reading":
			m.u.Reading = r.reading(&m.r, &m.s, &seen, 8)
		case "delta":
			m.u.Delta = r.delta(&m.d, &m.t, &seen, 16)
		case "deleted":
			m.u.Deleted = r.bool(&seen, 32)
		case "skipped":
			m.u.Skipped = int(r.int(&seen, 64))
		default:
			return nil
		}
	}
	return &m.f
}

func (r *reader) reading(d *Reading, s *slot, seen *int, bit int) *Reading {
	r.once(seen, bit)
	have := 0
	for range r.pairs() {
		switch string(r.text()) {
		case "value":
			d.Value = r.value(s, &have, 1)
		case "weight":
			r.once(&have, 2)
			d.Weight = r.float()
		case "rev":
			d.Rev = r.uint(&have, 4)
		case "t1":
			d.T1 = r.int(&have, 8)
		default:
			r.odd = true
			return nil
		}
	}
	return d
}

func (r *reader) delta(d *Delta, s *slot, seen *int, bit int) *Delta {
	r.once(seen, bit)
	if r.head(cborArray) != 8 {
		r.odd = true
		return nil
	}
	if r.peek() == cborText {
		d.Var.Name = dsv.Name(r.text())
	} else {
		d.Var.Num = r.head(cborUint)
	}
	none := 0
	d.Writer, d.Epoch, d.Seq = r.uint(&none, 1), r.uint(&none, 2), r.uint(&none, 4)
	d.T0, d.T1 = r.int(&none, 8), r.int(&none, 16)
	d.Value = r.value(s, &none, 32)
	d.Weight = r.float()
	return d
}

func (r *reader) value(s *slot, seen *int, bit int) *Value {
	r.once(seen, bit)
	have := 0
	for range r.pairs() {
		switch string(r.text()) {
		case "float":
			r.once(&have, 1)
			s.x = r.float()
			s.v.Float = &s.x
		case "int":
			s.i = r.int(&have, 2)
			s.v.Int = &s.i
		case "text":
			s.s = r.string(&have, 4)
			s.v.Text = &s.s
		case "bytes":
			s.b = r.bytes(&have, 8|16)
			s.v.Bytes = &s.b
		case "hist":
			s.b = r.bytes(&have, 8|16)
			s.v.Hist = &s.b
		default:
			r.odd = true
			return nil
		}
	}
	return &s.v
}

// once notes that a key was there; a second time is odd.
func (r *reader) once(seen *int, bit int) {
	if *seen&bit != 0 {
		r.odd = true
	}
	*seen |= bit
}

// peek is the major type of what comes, or one that there is not.
func (r *reader) peek() byte {
	if r.i >= len(r.b) {
		return 0xff
	}
	return r.b[r.i] >> 5
}

// head reads a head of the major type, and returns its argument.
func (r *reader) head(major byte) uint64 {
	if r.odd || r.i >= len(r.b) || r.b[r.i]>>5 != major {
		r.odd = true
		return 0
	}
	low := r.b[r.i] & 31
	r.i++
	if low < 24 {
		return uint64(low)
	}
	size := 1 << (low - 24)
	if low > 27 || len(r.b)-r.i < size {
		r.odd = true
		return 0
	}
	at := r.b[r.i:]
	r.i += size
	switch size {
	case 1:
		return uint64(at[0])
	case 2:
		return uint64(binary.BigEndian.Uint16(at))
	case 4:
		return uint64(binary.BigEndian.Uint32(at))
	}
	return binary.BigEndian.Uint64(at)
}

// pairs reads the head of a small map.
func (r *reader) pairs() int {
	n := r.head(cborMap)
	if n > 16 {
		r.odd = true
	}
	if r.odd {
		return 0
	}
	return int(n)
}

// take returns the next n bytes.
func (r *reader) take(n uint64) []byte {
	if r.odd || n > uint64(len(r.b)-r.i) {
		r.odd = true
		return nil
	}
	b := r.b[r.i : r.i+int(n)]
	r.i += int(n)
	return b
}

// text reads text without a copy.
func (r *reader) text() []byte {
	b := r.take(r.head(cborText))
	if !utf8.Valid(b) {
		r.odd = true
	}
	return b
}

func (r *reader) string(seen *int, bit int) string {
	r.once(seen, bit)
	return string(r.text())
}

// bytes reads a copy.
func (r *reader) bytes(seen *int, bit int) []byte {
	r.once(seen, bit)
	b := r.take(r.head(cborBytes))
	return append(make([]byte, 0, len(b)), b...)
}

func (r *reader) uint(seen *int, bit int) Uint {
	r.once(seen, bit)
	return Uint(r.head(cborUint))
}

func (r *reader) int(seen *int, bit int) Int {
	r.once(seen, bit)
	if r.peek() == cborNeg {
		n := r.head(cborNeg)
		if n > math.MaxInt64 {
			r.odd = true
		}
		return -1 - Int(n)
	}
	n := r.head(cborUint)
	if n > math.MaxInt64 {
		r.odd = true
	}
	return Int(n)
}

func (r *reader) float() float64 {
	if r.odd || len(r.b)-r.i < 9 || r.b[r.i] != cborFloat64 {
		r.odd = true
		return 0
	}
	x := math.Float64frombits(binary.BigEndian.Uint64(r.b[r.i+1:]))
	r.i += 9
	return x
}

func (r *reader) bool(seen *int, bit int) bool {
	r.once(seen, bit)
	if r.odd || r.i >= len(r.b) || r.b[r.i] != cborTrue && r.b[r.i] != cborFalse {
		r.odd = true
		return false
	}
	r.i++
	return r.b[r.i-1] == cborTrue
}
