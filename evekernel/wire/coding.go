package wire

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"unicode/utf8"

	"github.com/fxamacker/cbor/v2"

	"github.com/eve-emulation/eve/dsv"
)

// A Coding is a form that frames take as bytes.
type Coding uint8

// The codings.
const (
	CBOR Coding = iota
	JSON
)

// Protocol is the WebSocket sub-protocol of the coding.
func (c Coding) Protocol() string {
	if c == JSON {
		return "eve.v1.json"
	}
	return "eve.v1.cbor"
}

func (c Coding) String() string { return strings.TrimPrefix(c.Protocol(), "eve.v1.") }

// A Codec encodes and decodes frames. It may be used from several goroutines at once; the zero Codec is not usable.
type Codec struct {
	coding Coding
	enc    cbor.EncMode
	dec    cbor.DecMode
}

// NewCodec returns a codec for c.
func NewCodec(c Coding) (*Codec, error) {
	enc, err := cbor.EncOptions{Sort: cbor.SortNone, NaNConvert: cbor.NaNConvertReject, InfConvert: cbor.InfConvertReject}.EncMode()
	if err != nil {
		return nil, fmt.Errorf("cbor encoder: %w", err)
	}
	dec, err := cbor.DecOptions{
		DupMapKey:        cbor.DupMapKeyEnforcedAPF,
		IndefLength:      cbor.IndefLengthForbidden,
		MaxNestedLevels:  MaxDepth,
		MaxArrayElements: 1 << 16,
		MaxMapPairs:      1 << 12,
		TagsMd:           cbor.TagsForbidden,
		UTF8:             cbor.UTF8RejectInvalid,
	}.DecMode()
	if err != nil {
		return nil, fmt.Errorf("cbor decoder: %w", err)
	}
	return &Codec{coding: c, enc: enc, dec: dec}, nil
}

// Coding is the codec's coding.
func (c *Codec) Coding() Coding { return c.coding }

// Encode returns the bytes of f: dsv.ErrTooLarge beyond MaxMessage.
func (c *Codec) Encode(f *Frame) ([]byte, error) {
	if !f.legible() {
		return nil, fmt.Errorf("encode %s: text is not UTF-8: %w", f.Type(), dsv.ErrName)
	}
	if c.hot(f) {
		return appendHot(nil, f), nil
	}
	b, err := c.encode(f)
	if err != nil {
		return nil, fmt.Errorf("encode %s: %w", f.Type(), err)
	}
	if len(b) > MaxMessage {
		return nil, fmt.Errorf("encode %s: %d bytes, at most %d: %w", f.Type(), len(b), MaxMessage, dsv.ErrTooLarge)
	}
	return b, nil
}

// legible tells whether what callers may have made of any bytes is text: names and patterns. Values are checked where
// they are made.
func (f *Frame) legible() bool {
	if f.Batch != nil {
		for i := range f.Batch.Deltas {
			if !utf8.ValidString(string(f.Batch.Deltas[i].Var.Name)) {
				return false
			}
		}
	}
	r := f.Req
	if r == nil {
		return true
	}
	ok := utf8.ValidString(string(r.Name)) && utf8.ValidString(r.Pattern)
	if r.Decl != nil {
		ok = ok && utf8.ValidString(string(r.Decl.Name)+r.Decl.Unit+r.Decl.Help)
	}
	return ok
}

func (c *Codec) encode(f *Frame) ([]byte, error) {
	if c.coding == CBOR {
		return c.enc.Marshal(f)
	}
	var buf bytes.Buffer
	enc := json.NewEncoder(&buf)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(f); err != nil {
		return nil, err
	}
	return bytes.TrimSuffix(buf.Bytes(), []byte("\n")), nil
}

// Decode returns the one frame that b holds. The frame does not share b's memory. Every error is an ErrProtocol.
func (c *Codec) Decode(b []byte) (*Frame, error) {
	f, n, err := c.next(b)
	if err == nil && n < len(b) {
		return nil, fmt.Errorf("decode: %d bytes after the frame: %w", len(b)-n, ErrProtocol)
	}
	return f, err
}

// next returns the first frame of the message b, which does not share its memory, and how long it is: in JSON all of it.
func (c *Codec) next(b []byte) (*Frame, int, error) {
	if len(b) > MaxMessage {
		return nil, 0, fmt.Errorf("decode: %d bytes, at most %d: %w", len(b), MaxMessage, ErrProtocol)
	}
	if c.coding == CBOR {
		if f, n := readHot(b); n > 0 {
			return f, n, nil
		}
	}
	f, n, err := c.decode(b)
	if err != nil {
		return nil, 0, fmt.Errorf("decode: %.200s: %w", err, ErrProtocol)
	}
	if n := f.bodies(); n != 1 {
		return nil, 0, fmt.Errorf("decode: a frame of %d known types instead of one: %w", n, ErrProtocol)
	}
	return f, n, nil
}

// decode leaves it to the libraries.
func (c *Codec) decode(b []byte) (*Frame, int, error) {
	f := new(Frame)
	if c.coding == JSON {
		return f, len(b), decodeJSON(b, f)
	}
	rest, err := c.dec.UnmarshalFirst(b, f)
	return f, len(b) - len(rest), err
}

func decodeJSON(b []byte, f *Frame) error {
	if !utf8.Valid(b) {
		return errors.New("not UTF-8")
	}
	if depth := jsonDepth(b); depth > MaxDepth {
		return fmt.Errorf("nested %d deep, at most %d", depth, MaxDepth)
	}
	dec := json.NewDecoder(bytes.NewReader(b))
	if err := dec.Decode(f); err != nil {
		return err
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return errors.New("more than one value in a message")
	}
	return nil
}

// jsonDepth is how deep arrays and objects nest in b. It counts before the decoder recurses.
func jsonDepth(b []byte) int {
	depth, deepest, text := 0, 0, false
	for i := 0; i < len(b); i++ {
		switch c := b[i]; {
		case text && c == '\\':
			i++
		case c == '"':
			text = !text
		case text:
		case c == '{' || c == '[':
			depth++
			deepest = max(deepest, depth)
		case c == '}' || c == ']':
			depth--
		}
	}
	return deepest
}

// Type is the name of the frame's type, "nothing" for a frame without a body.
func (f *Frame) Type() string {
	for _, b := range f.list() {
		if b.set {
			return b.name
		}
	}
	return "nothing"
}

func (f *Frame) bodies() int {
	n := 0
	for _, b := range f.list() {
		if b.set {
			n++
		}
	}
	return n
}

type body struct {
	name string
	set  bool
}

func (f *Frame) list() [13]body {
	return [...]body{
		{"batch", f.Batch != nil},
		{"ack", f.Ack != nil},
		{"upd", f.Upd != nil},
		{"req", f.Req != nil},
		{"res", f.Res != nil},
		{"evt", f.Evt != nil},
		{"peers", f.Peers != nil},
		{"gap", f.Gap != nil},
		{"tick", f.Tick != nil},
		{"act", f.Act != nil},
		{"hello", f.Hello != nil},
		{"welcome", f.Welcome != nil},
		{"bye", f.Bye != nil},
	}
}
