package wire

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"strconv"
	"unicode/utf8"

	"github.com/fxamacker/cbor/v2"

	"github.com/eve-emulation/eve/dsv"
)

// Int is an integer that JSON carries as a string from 2^53 on, because many readers of JSON know only float64.
type Int int64

// Uint is an unsigned Int.
type Uint uint64

const exact = 1 << 53

// MarshalJSON implements json.Marshaler.
func (i Int) MarshalJSON() ([]byte, error) {
	if i > -exact && i < exact {
		return strconv.AppendInt(nil, int64(i), 10), nil
	}
	return strconv.AppendQuote(nil, strconv.FormatInt(int64(i), 10)), nil
}

// UnmarshalJSON implements json.Unmarshaler.
func (i *Int) UnmarshalJSON(b []byte) error {
	n, err := strconv.ParseInt(unquote(b), 10, 64)
	if err != nil {
		return fmt.Errorf("%.40s: not an integer", b)
	}
	*i = Int(n)
	return nil
}

// MarshalJSON implements json.Marshaler.
func (u Uint) MarshalJSON() ([]byte, error) {
	if u < exact {
		return strconv.AppendUint(nil, uint64(u), 10), nil
	}
	return strconv.AppendQuote(nil, strconv.FormatUint(uint64(u), 10)), nil
}

// UnmarshalJSON implements json.Unmarshaler.
func (u *Uint) UnmarshalJSON(b []byte) error {
	n, err := strconv.ParseUint(unquote(b), 10, 64)
	if err != nil {
		return fmt.Errorf("%.40s: not a natural number", b)
	}
	*u = Uint(n)
	return nil
}

func unquote(b []byte) string {
	if len(b) >= 2 && b[0] == '"' && b[len(b)-1] == '"' {
		b = b[1 : len(b)-1]
	}
	return string(b)
}

// A Value is a dsv.Value: exactly one field is set, or none for the Value that nothing holds.
type Value struct {
	Float *float64 `json:"float,omitempty"`
	Int   *Int     `json:"int,omitempty"`
	Text  *string  `json:"text,omitempty"`
	Bytes *[]byte  `json:"bytes,omitempty"`
	Hist  *[]byte  `json:"hist,omitempty"`
}

// FromValue returns v as it travels. It shares the memory of v.
func FromValue(v dsv.Value) (*Value, error) {
	switch v.Kind {
	case 0:
		return &Value{}, nil
	case dsv.Float:
		if math.IsNaN(v.Float) || math.IsInf(v.Float, 0) {
			return nil, fmt.Errorf("%v is not finite: %w", v.Float, dsv.ErrKind)
		}
		return &Value{Float: &v.Float}, nil
	case dsv.Int:
		i := Int(v.Int)
		return &Value{Int: &i}, nil
	case dsv.Text:
		if !utf8.ValidString(v.Text) {
			return nil, fmt.Errorf("text is not UTF-8: %w", dsv.ErrKind)
		}
		return &Value{Text: &v.Text}, nil
	case dsv.Bytes:
		b := v.Bytes
		if b == nil {
			b = []byte{}
		}
		return &Value{Bytes: &b}, nil
	case dsv.Histogram:
		b, err := v.Hist.AppendBinary(nil)
		return &Value{Hist: &b}, err
	}
	return nil, fmt.Errorf("kind %d: %w", v.Kind, dsv.ErrKind)
}

// Value returns what travelled. It shares the memory of w.
func (w *Value) Value() (dsv.Value, error) {
	if w == nil {
		return dsv.Value{}, nil
	}
	var v dsv.Value
	n := 0
	if w.Float != nil {
		if math.IsNaN(*w.Float) || math.IsInf(*w.Float, 0) {
			return v, fmt.Errorf("%v is not finite: %w", *w.Float, dsv.ErrKind)
		}
		v, n = dsv.FloatValue(*w.Float), n+1
	}
	if w.Int != nil {
		v, n = dsv.IntValue(int64(*w.Int)), n+1
	}
	if w.Text != nil {
		v, n = dsv.TextValue(*w.Text), n+1
	}
	if w.Bytes != nil {
		v, n = dsv.BytesValue(*w.Bytes), n+1
	}
	if w.Hist != nil {
		h, err := dsv.DecodeHist(*w.Hist)
		if err != nil {
			return dsv.Value{}, err
		}
		v, n = dsv.HistValue(h), n+1
	}
	if n > 1 {
		return dsv.Value{}, fmt.Errorf("a value of %d kinds: %w", n, dsv.ErrKind)
	}
	return v, nil
}

// A VarRef names a variable: by the number that create gave it on this connection, or by name.
type VarRef struct {
	Num  uint64 // 0 when Name says it
	Name dsv.Name
}

// MarshalJSON implements json.Marshaler.
func (r VarRef) MarshalJSON() ([]byte, error) {
	if r.Name != "" {
		return json.Marshal(r.Name)
	}
	return strconv.AppendUint(nil, r.Num, 10), nil
}

// UnmarshalJSON implements json.Unmarshaler.
func (r *VarRef) UnmarshalJSON(b []byte) error {
	if len(b) > 0 && b[0] == '"' {
		return json.Unmarshal(b, &r.Name)
	}
	return json.Unmarshal(b, &r.Num)
}

// MarshalCBOR implements cbor.Marshaler.
func (r VarRef) MarshalCBOR() ([]byte, error) {
	if r.Name != "" {
		return cbor.Marshal(string(r.Name))
	}
	return cbor.Marshal(r.Num)
}

// UnmarshalCBOR implements cbor.Unmarshaler.
func (r *VarRef) UnmarshalCBOR(b []byte) error {
	if len(b) > 0 && b[0]>>5 == 3 { // major type 3: a text string
		return cbor.Unmarshal(b, &r.Name)
	}
	return cbor.Unmarshal(b, &r.Num)
}

// A Delta is a dsv.Delta, in both codings an array of its fields.
type Delta struct {
	_      struct{} `cbor:",toarray"`
	Var    VarRef
	Writer Uint
	Epoch  Uint
	Seq    Uint
	T0, T1 Int
	Value  *Value
	Weight float64
}

// FromDelta returns d as it travels, its variable called ref. It shares the memory of d.
func FromDelta(d dsv.Delta, ref VarRef) (Delta, error) {
	v, err := FromValue(d.Value)
	if err == nil && (math.IsNaN(d.Weight) || math.IsInf(d.Weight, 0)) {
		err = fmt.Errorf("weight %v is not finite: %w", d.Weight, dsv.ErrKind)
	}
	if err != nil {
		return Delta{}, fmt.Errorf("sync %s: %w", d.Name, err)
	}
	return Delta{
		Var: ref, Writer: Uint(d.Writer), Epoch: Uint(d.Epoch), Seq: Uint(d.Seq),
		T0: Int(d.T0), T1: Int(d.T1), Value: v, Weight: d.Weight,
	}, nil
}

// Size is about how many bytes the delta takes in either coding.
func (w *Delta) Size() int {
	n := 96 + len(w.Var.Name)
	if v := w.Value; v != nil {
		if v.Text != nil {
			n += len(*v.Text)
		}
		if v.Bytes != nil {
			n += 4 * len(*v.Bytes) / 3
		}
		if v.Hist != nil {
			n += 4 * len(*v.Hist) / 3
		}
	}
	return n
}

// Delta returns what travelled, for the variable called name.
func (w *Delta) Delta(name dsv.Name) (dsv.Delta, error) {
	v, err := w.Value.Value()
	switch {
	case err != nil:
	case w.Writer > math.MaxUint32 || w.Epoch > math.MaxUint32:
		err = errors.New("writer or epoch beyond 32 bits")
	case math.IsNaN(w.Weight) || math.IsInf(w.Weight, 0):
		err = fmt.Errorf("weight %v is not finite: %w", w.Weight, dsv.ErrKind)
	}
	if err != nil {
		return dsv.Delta{}, fmt.Errorf("sync %s: %w", name, err)
	}
	return dsv.Delta{
		Name: name, Writer: dsv.WriterID(w.Writer), Epoch: uint32(w.Epoch), Seq: uint64(w.Seq),
		T0: dsv.Instant(w.T0), T1: dsv.Instant(w.T1), Value: v, Weight: w.Weight,
	}, nil
}

// MarshalJSON implements json.Marshaler.
func (w Delta) MarshalJSON() ([]byte, error) {
	return json.Marshal([]any{w.Var, w.Writer, w.Epoch, w.Seq, w.T0, w.T1, w.Value, w.Weight})
}

// UnmarshalJSON implements json.Unmarshaler.
func (w *Delta) UnmarshalJSON(b []byte) error {
	var raw []json.RawMessage
	if err := json.Unmarshal(b, &raw); err != nil {
		return err
	}
	fields := []any{&w.Var, &w.Writer, &w.Epoch, &w.Seq, &w.T0, &w.T1, &w.Value, &w.Weight}
	if len(raw) != len(fields) {
		return fmt.Errorf("a delta of %d fields instead of %d", len(raw), len(fields))
	}
	for i, f := range fields {
		if err := json.Unmarshal(raw[i], f); err != nil {
			return fmt.Errorf("field %d of a delta: %w", i, err)
		}
	}
	return nil
}
