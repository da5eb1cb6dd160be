package dsvbolt

import (
	"encoding/binary"
	"fmt"
	"math"

	"github.com/eve-emulation/eve/dsv"
)

// A chunk is a stretch of one variable's history: kind and rule, then changes, each told by how it differs from what the
// one before makes likely. A change begins with a byte of flags; a flag that is set saves the field.
const (
	flagWhole   = 1 << iota // written whole: no window, no writer
	flagNextSeq             // the same writer and epoch, the next seq
	flagT0                  // the window begins where the last one ended
	flagStep                // the window ends as long after the last one's end as that did after the one before
	flagWeight              // the same weight
	flagRev                 // the revision rose as it did the last time
	flagValue               // the same value (numbers)
	flagDeleted             // with flagWhole: the variable was deleted
)

// predictor is what encoder and decoder know from the changes before.
type predictor struct {
	rev, revStep uint64
	t1, step     int64
	seen         dsv.Progress
	weight       number
	float        number
	int          int64
}

// appendChange appends one change of a variable of kind k.
func appendChange(b []byte, p *predictor, k dsv.Kind, u *dsv.Update) []byte {
	at := len(b)
	b = append(b, 0)
	var flags byte
	if rise := uint64(u.Revision) - p.rev; rise == p.revStep {
		flags |= flagRev
		p.rev = uint64(u.Revision)
	} else {
		b = binary.AppendUvarint(b, rise)
		p.rev, p.revStep = uint64(u.Revision), rise
	}
	value := u.Reading.Value
	if d := u.Delta; d != nil {
		var f byte
		b, f = p.appendWindow(b, d)
		flags |= f
		value = d.Value
	} else {
		flags |= flagWhole
		b = binary.AppendVarint(b, int64(u.Reading.T1)-p.t1)
	}
	if u.Deleted {
		b[at] = flags | flagDeleted
		return b
	}
	b, same := p.appendValue(b, k, value)
	if same {
		flags |= flagValue
	}
	b[at] = flags
	return b
}

func (p *predictor) appendWindow(b []byte, d *dsv.Delta) ([]byte, byte) {
	var flags byte
	next := dsv.Progress{Writer: d.Writer, Epoch: d.Epoch, Seq: d.Seq}
	if p.seen.Seq++; p.seen == next {
		flags |= flagNextSeq
	} else {
		b = binary.AppendUvarint(b, uint64(d.Writer))
		b = binary.AppendUvarint(b, uint64(d.Epoch))
		b = binary.AppendUvarint(b, d.Seq)
	}
	p.seen = next
	if int64(d.T0) == p.t1 {
		flags |= flagT0
	} else {
		b = binary.AppendVarint(b, int64(d.T1)-int64(d.T0))
	}
	if step := int64(d.T1) - p.t1; step == p.step {
		flags |= flagStep
	} else {
		b = binary.AppendVarint(b, step-p.step)
		p.step = step
	}
	p.t1 = int64(d.T1)
	if p.weight.same(d.Weight) {
		flags |= flagWeight
	} else {
		b = p.weight.append(b, d.Weight)
	}
	return b, flags
}

// appendValue appends a value; same says that it equals the one before and takes no bytes.
func (p *predictor) appendValue(b []byte, k dsv.Kind, v dsv.Value) (_ []byte, same bool) {
	switch k {
	case dsv.Float:
		if p.float.same(v.Float) {
			return b, true
		}
		return p.float.append(b, v.Float), false
	case dsv.Int:
		if v.Int == p.int {
			return b, true
		}
		b = binary.AppendVarint(b, v.Int-p.int)
		p.int = v.Int
	case dsv.Text:
		b = binary.AppendUvarint(b, uint64(len(v.Text)))
		b = append(b, v.Text...)
	case dsv.Bytes:
		b = binary.AppendUvarint(b, uint64(len(v.Bytes)))
		b = append(b, v.Bytes...)
	case dsv.Histogram:
		b = appendHist(b, v.Hist)
	}
	return b, false
}

// appendHist appends a histogram behind its length.
func appendHist(b []byte, h *dsv.Hist) []byte {
	coded, _ := h.AppendBinary(nil) // it has no errors
	b = binary.AppendUvarint(b, uint64(len(coded)))
	return append(b, coded...)
}

// readChange reads one change of the variable n of kind k.
func readChange(r *reader, p *predictor, n dsv.Name, k dsv.Kind) (dsv.Update, error) {
	flags := r.byte()
	if flags&flagRev == 0 {
		p.revStep = r.uvarint()
	}
	p.rev += p.revStep
	u := dsv.Update{Name: n, Revision: dsv.Revision(p.rev)}
	u.Reading.Revision = u.Revision
	if flags&flagWhole != 0 {
		u.Reading.T1 = dsv.Instant(p.t1 + r.varint())
		u.Deleted = flags&flagDeleted != 0
	} else {
		u.Delta = p.readWindow(r, n, flags)
		u.Reading.T1 = u.Delta.T1
	}
	if u.Deleted {
		return u, r.err()
	}
	v, err := p.readValue(r, k, flags&flagValue != 0)
	if err != nil {
		return u, err
	}
	if u.Delta != nil {
		u.Delta.Value = v
	} else {
		u.Reading.Value = v
	}
	return u, r.err()
}

func (p *predictor) readWindow(r *reader, n dsv.Name, flags byte) *dsv.Delta {
	if flags&flagNextSeq == 0 {
		p.seen = dsv.Progress{Writer: dsv.WriterID(r.uvarint()), Epoch: uint32(r.uvarint()), Seq: r.uvarint()}
	} else {
		p.seen.Seq++
	}
	d := &dsv.Delta{Name: n, Writer: p.seen.Writer, Epoch: p.seen.Epoch, Seq: p.seen.Seq}
	length := int64(0)
	if flags&flagT0 == 0 {
		length = r.varint()
	}
	if flags&flagStep == 0 {
		p.step += r.varint()
	}
	d.T0, d.T1 = dsv.Instant(p.t1), dsv.Instant(p.t1+p.step)
	if flags&flagT0 == 0 {
		d.T0 = d.T1 - dsv.Instant(length)
	}
	p.t1 = int64(d.T1)
	d.Weight = math.Float64frombits(p.weight.bits)
	if flags&flagWeight == 0 {
		d.Weight = p.weight.read(r)
	}
	return d
}

func (p *predictor) readValue(r *reader, k dsv.Kind, same bool) (dsv.Value, error) {
	switch k {
	case dsv.Float:
		if !same {
			p.float.read(r)
		}
		return dsv.FloatValue(math.Float64frombits(p.float.bits)), nil
	case dsv.Int:
		if !same {
			p.int += r.varint()
		}
		return dsv.IntValue(p.int), nil
	case dsv.Text:
		return dsv.TextValue(string(r.take(r.uvarint()))), nil
	case dsv.Bytes:
		return dsv.BytesValue(append([]byte{}, r.take(r.uvarint())...)), nil
	case dsv.Histogram:
		h, err := dsv.DecodeHist(r.take(r.uvarint()))
		return dsv.HistValue(h), err
	}
	return dsv.Value{}, fmt.Errorf("kind %d: %w", k, ErrDamaged)
}

// reader reads the fields of a value; bad is set once one is missing.
type reader struct {
	b   []byte
	bad bool
}

func (r *reader) err() error {
	if r.bad {
		return fmt.Errorf("value ends too early: %w", ErrDamaged)
	}
	return nil
}

func (r *reader) byte() byte {
	if b := r.take(1); len(b) == 1 {
		return b[0]
	}
	return 0
}

func (r *reader) take(n uint64) []byte {
	if n > uint64(len(r.b)) {
		r.bad = true
		return nil
	}
	b := r.b[:n]
	r.b = r.b[n:]
	return b
}

func (r *reader) uvarint() uint64 {
	x, n := binary.Uvarint(r.b)
	if n <= 0 {
		r.bad = true
		return 0
	}
	r.b = r.b[n:]
	return x
}

func (r *reader) varint() int64 {
	x, n := binary.Varint(r.b)
	if n <= 0 {
		r.bad = true
		return 0
	}
	r.b = r.b[n:]
	return x
}
