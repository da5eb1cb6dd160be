package wire

import (
	"encoding/binary"
	"math"
	"reflect"
)

// The frames that travel most have a coding of their own here, in the bytes that the CBOR library makes of them, which
// costs a tenth. A frame with anything unusual in it is left to the library; a fuzz test holds both to each other.

// The major types of CBOR.
const (
	cborUint  = 0
	cborNeg   = 1
	cborBytes = 2
	cborText  = 3
	cborArray = 4
	cborMap   = 5

	cborFalse   = 0xf4
	cborTrue    = 0xf5
	cborNull    = 0xf6
	cborFloat64 = 0xfb
)

// hot tells whether appendHot can encode f.
func (c *Codec) hot(f *Frame) bool {
	if c.coding != CBOR || f.bodies() != 1 || !f.legible() {
		return false
	}
	switch {
	case f.Req != nil:
		return f.Req.hot()
	case f.Res != nil:
		return f.Res.hot()
	case f.Batch != nil:
		return f.Batch.hot()
	case f.Ack != nil:
		return len(f.Ack.Errors) == 0
	case f.Upd != nil:
		return f.Upd.hot()
	}
	return false
}

func (r *Req) hot() bool {
	if !r.Decl.hot() || !r.Value.hot() || len(r.Name) > 512 || len(r.Op) > 64 {
		return false
	}
	rest := *r
	rest.ID, rest.Op, rest.Name, rest.Decl, rest.Value, rest.Old = 0, "", "", nil, nil, 0
	return reflect.ValueOf(&rest).Elem().IsZero()
}

func (r *Res) hot() bool {
	if r.Code != "" || !r.Reading.hot() || !r.Info.hot() {
		return false
	}
	rest := *r
	rest.ID, rest.Var, rest.Rev, rest.Reading, rest.Info = 0, 0, 0, nil, nil
	return reflect.ValueOf(&rest).Elem().IsZero()
}

func (b *Batch) hot() bool { return len(b.Deltas) == 0 && len(b.Packed) <= MaxMessage-64 }

func (u *Upd) hot() bool {
	if !u.Reading.hot() || u.Delta != nil && !u.Delta.hot() || u.Reading.size()+u.Delta.size() > MaxMessage-1024 || len(u.Name) > 512 {
		return false
	}
	rest := *u
	rest.Watch, rest.Name, rest.Rev, rest.Reading, rest.Delta, rest.Deleted, rest.Skipped = 0, "", 0, nil, nil, false, 0
	return reflect.ValueOf(&rest).Elem().IsZero()
}

func (w *Reading) hot() bool { return w == nil || w.Value.hot() && finite(w.Weight) }

func (w *Delta) hot() bool { return w.Value.hot() && finite(w.Weight) && len(w.Var.Name) <= 512 }

// hot tells whether the value is one number, or bytes or text that fit into a message.
func (w *Value) hot() bool {
	return w == nil || (w.Float == nil || finite(*w.Float)) && w.size() <= MaxMessage/2
}

func (w *Value) size() int {
	n := 0
	if w == nil {
		return n
	}
	if w.Text != nil {
		n += len(*w.Text)
	}
	if w.Bytes != nil {
		n += len(*w.Bytes)
	}
	if w.Hist != nil {
		n += len(*w.Hist)
	}
	return n
}

func (w *Reading) size() int {
	if w == nil {
		return 0
	}
	return w.Value.size()
}

func (w *Delta) size() int {
	if w == nil {
		return 0
	}
	return w.Value.size()
}

func finite(x float64) bool { return x-x == 0 }

// appendHot appends the encoding of a frame that is hot.
func appendHot(b []byte, f *Frame) []byte {
	b = appendHead(b, cborMap, 1)
	switch {
	case f.Req != nil:
		return f.Req.append(appendText(b, "req"))
	case f.Res != nil:
		return f.Res.append(appendText(b, "res"))
	case f.Batch != nil:
		return f.Batch.append(appendText(b, "batch"))
	case f.Ack != nil:
		b = appendHead(appendText(b, "ack"), cborMap, 1)
		return appendUint(appendText(b, "seq"), f.Ack.Seq)
	default:
		return f.Upd.append(appendText(b, "upd"))
	}
}

func (r *Req) append(b []byte) []byte {
	b = appendHead(b, cborMap, 2+one(r.Name != "")+one(r.Decl != nil)+one(r.Value != nil)+one(r.Old != 0))
	b = appendUint(appendText(b, "id"), r.ID)
	b = appendText(appendText(b, "op"), string(r.Op))
	if r.Name != "" {
		b = appendText(appendText(b, "name"), string(r.Name))
	}
	if r.Decl != nil {
		b = r.Decl.append(appendText(b, "decl"))
	}
	if r.Value != nil {
		b = r.Value.append(appendText(b, "value"))
	}
	if r.Old != 0 {
		b = appendUint(appendText(b, "old"), r.Old)
	}
	return b
}

func (r *Res) append(b []byte) []byte {
	b = appendHead(b, cborMap, 1+one(r.Var != 0)+one(r.Rev != 0)+one(r.Reading != nil)+one(r.Info != nil))
	b = appendUint(appendText(b, "id"), r.ID)
	if r.Var != 0 {
		b = appendUint(appendText(b, "var"), r.Var)
	}
	if r.Rev != 0 {
		b = appendUint(appendText(b, "rev"), r.Rev)
	}
	if r.Reading != nil {
		b = r.Reading.append(appendText(b, "reading"))
	}
	if r.Info != nil {
		b = r.Info.append(appendText(b, "info"))
	}
	return b
}

func (t *Batch) append(b []byte) []byte {
	b = appendHead(b, cborMap, 1+one(len(t.Packed) > 0))
	b = appendUint(appendText(b, "seq"), t.Seq)
	if len(t.Packed) > 0 {
		b = appendBytes(appendText(b, "packed"), t.Packed)
	}
	return b
}

func (u *Upd) append(b []byte) []byte {
	b = appendHead(b, cborMap, 3+one(u.Reading != nil)+one(u.Delta != nil)+one(u.Deleted)+one(u.Skipped != 0))
	b = appendUint(appendText(b, "watch"), u.Watch)
	b = appendText(appendText(b, "name"), string(u.Name))
	b = appendUint(appendText(b, "rev"), u.Rev)
	if u.Reading != nil {
		b = u.Reading.append(appendText(b, "reading"))
	}
	if u.Delta != nil {
		b = u.Delta.append(appendText(b, "delta"))
	}
	if u.Deleted {
		b = append(appendText(b, "deleted"), cborTrue)
	}
	if u.Skipped != 0 {
		b = appendInt(appendText(b, "skipped"), int64(u.Skipped))
	}
	return b
}

func (w *Reading) append(b []byte) []byte {
	b = appendHead(b, cborMap, one(w.Value != nil)+one(w.Weight != 0)+one(w.Rev != 0)+one(w.T1 != 0))
	if w.Value != nil {
		b = w.Value.append(appendText(b, "value"))
	}
	if w.Weight != 0 {
		b = appendFloat(appendText(b, "weight"), w.Weight)
	}
	if w.Rev != 0 {
		b = appendUint(appendText(b, "rev"), w.Rev)
	}
	if w.T1 != 0 {
		b = appendInt(appendText(b, "t1"), int64(w.T1))
	}
	return b
}

func (w *Delta) append(b []byte) []byte {
	b = appendHead(b, cborArray, 8)
	if w.Var.Name != "" {
		b = appendText(b, string(w.Var.Name))
	} else {
		b = appendHead(b, cborUint, w.Var.Num)
	}
	b = appendUint(appendUint(appendUint(b, w.Writer), w.Epoch), w.Seq)
	b = appendInt(appendInt(b, int64(w.T0)), int64(w.T1))
	if w.Value == nil {
		b = append(b, cborNull)
	} else {
		b = w.Value.append(b)
	}
	return appendFloat(b, w.Weight)
}

func (w *Value) append(b []byte) []byte {
	b = appendHead(b, cborMap, one(w.Float != nil)+one(w.Int != nil)+one(w.Text != nil)+one(w.Bytes != nil)+one(w.Hist != nil))
	if w.Float != nil {
		b = appendFloat(appendText(b, "float"), *w.Float)
	}
	if w.Int != nil {
		b = appendInt(appendText(b, "int"), int64(*w.Int))
	}
	if w.Text != nil {
		b = appendText(appendText(b, "text"), *w.Text)
	}
	if w.Bytes != nil {
		b = appendOptional(appendText(b, "bytes"), *w.Bytes)
	}
	if w.Hist != nil {
		b = appendOptional(appendText(b, "hist"), *w.Hist)
	}
	return b
}

func one(b bool) uint64 {
	if b {
		return 1
	}
	return 0
}

func appendHead(b []byte, major byte, n uint64) []byte {
	major <<= 5
	switch {
	case n < 24:
		return append(b, major|byte(n))
	case n <= math.MaxUint8:
		return append(b, major|24, byte(n))
	case n <= math.MaxUint16:
		return append(b, major|25, byte(n>>8), byte(n))
	case n <= math.MaxUint32:
		return binary.BigEndian.AppendUint32(append(b, major|26), uint32(n))
	}
	return binary.BigEndian.AppendUint64(append(b, major|27), n)
}

func appendUint(b []byte, u Uint) []byte { return appendHead(b, cborUint, uint64(u)) }

func appendInt(b []byte, i int64) []byte {
	if i < 0 {
		return appendHead(b, cborNeg, uint64(-1-i))
	}
	return appendHead(b, cborUint, uint64(i))
}

func appendText(b []byte, s string) []byte {
	return append(appendHead(b, cborText, uint64(len(s))), s...)
}

func appendBytes(b, s []byte) []byte {
	return append(appendHead(b, cborBytes, uint64(len(s))), s...)
}

// appendOptional is appendBytes; nil bytes are null.
func appendOptional(b, s []byte) []byte {
	if s == nil {
		return append(b, cborNull)
	}
	return appendBytes(b, s)
}

func appendFloat(b []byte, x float64) []byte {
	return binary.BigEndian.AppendUint64(append(b, cborFloat64), math.Float64bits(x))
}
