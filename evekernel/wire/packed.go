package wire

import (
	"encoding/binary"
	"fmt"
	"io"
	"math"
	"unicode/utf8"

	"github.com/eve-emulation/eve/dsv"
)

// The head of a packed delta: the form of its value, and which fields follow because they are not as usual.
const (
	formFloat  = 0 // 8 bytes, little-endian
	formWhole  = 1 // a float that is a whole number, as a signed varint
	formInt    = 2 // a signed varint
	formText   = 3 // a varint, and as many bytes; so are the next two
	formBytes  = 4
	formHist   = 5
	formMask   = 7
	packWeight = 1 << 3 // the weight is not 1
	packWriter = 1 << 4 // writer and epoch are not those of the delta before
	packWindow = 1 << 5 // nor are T0 and T1
	packName   = 1 << 6 // the variable has no number
	packMask   = packWeight | packWriter | packWindow | packName | formMask
)

// wholes is how far all whole numbers are float64.
const wholes = 1 << 53

// before is what a packed delta leaves out when it is the same.
type before struct {
	num    uint64
	writer uint32
	epoch  uint32
	seq    uint64
	t0, t1 int64
}

// CheckDelta says whether d can travel: its value can be held by some variable, its weight is finite, its name is text.
func CheckDelta(d *dsv.Delta) error {
	err := d.Value.Check(d.Value.Kind)
	switch {
	case err != nil:
	case d.Value.Kind == 0:
		err = fmt.Errorf("a delta without a value: %w", dsv.ErrKind)
	case !finite(d.Weight):
		err = fmt.Errorf("weight %v is not finite: %w", d.Weight, dsv.ErrKind)
	case len(d.Name) > dsv.MaxName || !utf8.ValidString(string(d.Name)):
		err = dsv.ErrName
	}
	if err != nil {
		return fmt.Errorf("sync %.80q: %w", string(d.Name), err)
	}
	return nil
}

// SizeOf is about how many bytes d takes in a batch, beside its name; seldom more.
func SizeOf(d *dsv.Delta) int {
	n := 16 + len(d.Value.Text) + len(d.Value.Bytes)
	if d.Value.Kind == dsv.Histogram {
		n += 64 + 4*int(min(d.Value.Hist.Count(), dsv.HistBuckets))
	}
	return n
}

// A Packer packs deltas one after the other: each takes a few bytes beside its value where variables, windows and
// sequence numbers follow each other as usual. The zero Packer is empty. It belongs to one goroutine at a time.
type Packer struct {
	b    []byte
	last before
	n    int
}

// Add packs d, whose variable is called num, or, if that is 0, by its name. It keeps nothing of d. A value that no
// variable can hold is dsv.ErrKind or dsv.ErrTooLarge, and leaves the Packer as it was.
func (p *Packer) Add(d *dsv.Delta, num uint64) error {
	if err := CheckDelta(d); err != nil {
		return err
	}
	at := len(p.b)
	p.b = append(p.b, 0)
	head := p.ref(d, num)
	l := &p.last
	if uint32(d.Writer) != l.writer || d.Epoch != l.epoch {
		head |= packWriter
		p.b = binary.AppendUvarint(p.b, uint64(d.Writer))
		p.b = binary.AppendUvarint(p.b, uint64(d.Epoch))
		l.writer, l.epoch = uint32(d.Writer), d.Epoch
	}
	p.b = binary.AppendVarint(p.b, int64(d.Seq-l.seq))
	l.seq = d.Seq
	if int64(d.T0) != l.t0 || int64(d.T1) != l.t1 {
		head |= packWindow
		p.b = binary.AppendVarint(p.b, int64(d.T1)-l.t1)
		p.b = binary.AppendVarint(p.b, int64(d.T1-d.T0))
		l.t0, l.t1 = int64(d.T0), int64(d.T1)
	}
	if d.Weight != 1 {
		head |= packWeight
		p.weight(d.Weight)
	}
	form, err := p.value(&d.Value)
	if err != nil {
		return fmt.Errorf("sync %.80s: %w", d.Name, err) // never: a Hist always has its encoding
	}
	p.b[at] = head | form
	p.n++
	return nil
}

// ref packs what the variable is called.
func (p *Packer) ref(d *dsv.Delta, num uint64) (head byte) {
	if num == 0 {
		p.b = binary.AppendUvarint(p.b, uint64(len(d.Name)))
		p.b = append(p.b, d.Name...)
		return packName
	}
	p.b = binary.AppendVarint(p.b, int64(num-p.last.num))
	p.last.num = num
	return 0
}

// weight packs a whole number doubled, or 1 and 8 bytes.
func (p *Packer) weight(w float64) {
	if w == math.Trunc(w) && w >= 0 && w < wholes && !math.Signbit(w) {
		p.b = binary.AppendUvarint(p.b, uint64(w)<<1)
		return
	}
	p.b = binary.LittleEndian.AppendUint64(append(p.b, 1), math.Float64bits(w))
}

func (p *Packer) value(v *dsv.Value) (form byte, err error) {
	switch v.Kind {
	case dsv.Float:
		if x := v.Float; x == math.Trunc(x) && math.Abs(x) < wholes && (x != 0 || !math.Signbit(x)) {
			p.b = binary.AppendVarint(p.b, int64(x))
			return formWhole, nil
		}
		p.b = binary.LittleEndian.AppendUint64(p.b, math.Float64bits(v.Float))
		return formFloat, nil
	case dsv.Int:
		p.b = binary.AppendVarint(p.b, v.Int)
		return formInt, nil
	case dsv.Text:
		p.b = binary.AppendUvarint(p.b, uint64(len(v.Text)))
		p.b = append(p.b, v.Text...)
		return formText, nil
	case dsv.Bytes:
		p.b = binary.AppendUvarint(p.b, uint64(len(v.Bytes)))
		p.b = append(p.b, v.Bytes...)
		return formBytes, nil
	}
	b, err := v.Hist.AppendBinary(nil)
	p.b = binary.AppendUvarint(p.b, uint64(len(b)))
	p.b = append(p.b, b...)
	return formHist, err
}

// Len is the number of deltas packed.
func (p *Packer) Len() int { return p.n }

// Bytes are what is packed: they are valid until the next Add or Reset.
func (p *Packer) Bytes() []byte { return p.b }

// Reset empties the Packer and keeps its memory.
func (p *Packer) Reset() { *p = Packer{b: p.b[:0]} }

// An Unpacker reads what a Packer packed. It allocates nothing but the values' text, bytes and histograms, and none of
// these beyond the size of what is packed.
type Unpacker struct {
	b    []byte
	last before
	bad  bool
}

// NewUnpacker returns an Unpacker for b, which it does not change and which its deltas do not share.
func NewUnpacker(b []byte) *Unpacker { return &Unpacker{b: b} }

// Next reads the next delta into d. Its variable has the number num, or, if that is 0, the Name of d. The error is io.EOF
// at the end, and ErrProtocol where nothing more can be read; any other error is of this delta alone, and the next one
// can be read.
func (u *Unpacker) Next(d *dsv.Delta) (num uint64, err error) {
	if len(u.b) == 0 {
		return 0, io.EOF
	}
	head := u.b[0]
	u.b = u.b[1:]
	*d = dsv.Delta{Weight: 1}
	l := &u.last
	if head&packName != 0 {
		d.Name = dsv.Name(u.text())
	} else {
		l.num += uint64(u.varint())
		num = l.num
	}
	if head&packWriter != 0 {
		l.writer, l.epoch = u.uint32(), u.uint32()
	}
	l.seq += uint64(u.varint())
	if head&packWindow != 0 {
		l.t1 += u.varint()
		l.t0 = l.t1 - u.varint()
	}
	if head&packWeight != 0 {
		d.Weight = u.weight()
	}
	d.Writer, d.Epoch, d.Seq = dsv.WriterID(l.writer), l.epoch, l.seq
	d.T0, d.T1 = dsv.Instant(l.t0), dsv.Instant(l.t1)
	err = u.value(head&formMask, &d.Value)
	if u.bad || head&^packMask != 0 || head&packName == 0 && num == 0 {
		u.b = nil
		return 0, fmt.Errorf("packed deltas: %w", ErrProtocol)
	}
	if err == nil && !finite(d.Weight) {
		err = fmt.Errorf("weight %v is not finite: %w", d.Weight, dsv.ErrKind)
	}
	if err == nil && head&packName != 0 && (len(d.Name) > dsv.MaxName || !utf8.ValidString(string(d.Name))) {
		err = dsv.ErrName
	}
	return num, err
}

func (u *Unpacker) value(form byte, v *dsv.Value) error {
	switch form {
	case formFloat:
		*v = dsv.FloatValue(u.float())
	case formWhole:
		*v = dsv.FloatValue(float64(u.varint()))
	case formInt:
		*v = dsv.IntValue(u.varint())
	case formText:
		*v = dsv.TextValue(string(u.text()))
	case formBytes:
		*v = dsv.BytesValue(append([]byte{}, u.text()...))
	case formHist:
		b := u.text()
		if u.bad {
			return nil
		}
		h, err := dsv.DecodeHist(b)
		*v = dsv.HistValue(h)
		return err
	default:
		u.bad = true
	}
	return nil
}

func (u *Unpacker) uvarint() uint64 {
	x, n := binary.Uvarint(u.b)
	if n <= 0 {
		u.bad, u.b = true, nil
		return 0
	}
	u.b = u.b[n:]
	return x
}

func (u *Unpacker) varint() int64 {
	x := u.uvarint()
	return int64(x>>1) ^ -int64(x&1)
}

func (u *Unpacker) uint32() uint32 {
	x := u.uvarint()
	u.bad = u.bad || x > math.MaxUint32
	return uint32(x)
}

// text reads a length and as many bytes, without a copy.
func (u *Unpacker) text() []byte {
	n := u.uvarint()
	if n > uint64(len(u.b)) {
		u.bad, u.b = true, nil
		return nil
	}
	b := u.b[:n]
	u.b = u.b[n:]
	return b
}

func (u *Unpacker) float() float64 {
	if len(u.b) < 8 {
		u.bad, u.b = true, nil
		return 0
	}
	x := math.Float64frombits(binary.LittleEndian.Uint64(u.b))
	u.b = u.b[8:]
	return x
}

func (u *Unpacker) weight() float64 {
	x := u.uvarint()
	if x == 1 {
		return u.float()
	}
	u.bad = u.bad || x&1 != 0
	return float64(x >> 1)
}
