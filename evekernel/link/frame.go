package link

import (
	"encoding/binary"
	"fmt"
	"io"
	"math"
	"unicode/utf8"

	"github.com/eve-emulation/eve/dsv"
	"github.com/eve-emulation/eve/evekernel/egs"
)

// A hello is "EVE1", the secret, the node in 8 bytes and the member's name; texts have their length in 2 bytes before
// them. The answer is the same without a secret. Numbers of fixed length are little-endian.
const (
	helloMagic = "EVE1"
	maxHello   = 256 // bytes of each text
)

func appendHello(b []byte, secret string, node uint64, name string) []byte {
	b = append(b, helloMagic...)
	b = append(binary.LittleEndian.AppendUint16(b, uint16(len(secret))), secret...)
	b = binary.LittleEndian.AppendUint64(b, node)
	return append(binary.LittleEndian.AppendUint16(b, uint16(len(name))), name...)
}

func readHello(r io.Reader) (secret string, node uint64, name string, err error) {
	var b [8]byte
	if _, err = io.ReadFull(r, b[:4]); err == nil && string(b[:4]) != helloMagic {
		err = errProtocol
	}
	if err == nil {
		secret, err = readText(r)
	}
	if err == nil {
		_, err = io.ReadFull(r, b[:8])
	}
	node = binary.LittleEndian.Uint64(b[:])
	if err == nil {
		name, err = readText(r)
	}
	if err == nil && !utf8.ValidString(name) {
		err = errProtocol
	}
	if err != nil {
		return "", 0, "", fmt.Errorf("hello: %w", err)
	}
	return secret, node, name, nil
}

func readText(r io.Reader) (string, error) {
	var b [maxHello]byte
	if _, err := io.ReadFull(r, b[:2]); err != nil {
		return "", err
	}
	n := binary.LittleEndian.Uint16(b[:])
	if n > maxHello {
		return "", errProtocol
	}
	_, err := io.ReadFull(r, b[:n])
	return string(b[:n]), err
}

// A frame is its length in 4 bytes, its type in one, and: of an event, the number of sinks, for each its number there and
// the event's for it, and the body; of an answer, the ID of the event and the body. What has no fixed length is a varint,
// zigzag where it can be negative.
const (
	headBytes   = 5
	typeEvent   = 1
	typeAnswer  = 2
	maxDests    = 1 << 14
	mostPerDest = 2 * binary.MaxVarintLen64
)

// A Dest is a sink at the other end of a link, and the event's number for it.
type Dest struct {
	Sub, Seq uint64
}

func appendEvent(b []byte, dests []Dest, body []byte) []byte {
	at := len(b)
	b = append(b, 0, 0, 0, 0, typeEvent)
	b = binary.AppendUvarint(b, uint64(len(dests)))
	for _, d := range dests {
		b = binary.AppendUvarint(b, d.Sub)
		b = binary.AppendUvarint(b, d.Seq)
	}
	b = append(b, body...)
	binary.LittleEndian.PutUint32(b[at:], uint32(len(b)-at-4))
	return b
}

func appendAnswer(b []byte, re uint64, body []byte) []byte {
	at := len(b)
	b = append(b, 0, 0, 0, 0, typeAnswer)
	b = binary.AppendUvarint(b, re)
	b = append(b, body...)
	binary.LittleEndian.PutUint32(b[at:], uint32(len(b)-at-4))
	return b
}

// AppendBody appends the body of an event of channel c: instant, priority, ID, a bit for each attribute that it carries,
// those attributes in their order (a float in 8 bytes, an int, a text behind its length), and the data, up to the end.
func AppendBody(b []byte, c *egs.Channel, e *egs.Event) []byte {
	b = binary.AppendVarint(b, int64(e.At))
	b = binary.AppendVarint(b, int64(e.Priority))
	b = binary.AppendUvarint(b, e.ID)
	var has uint64
	for i := range e.Values {
		if e.Values[i].Kind != 0 {
			has |= 1 << i
		}
	}
	b = binary.AppendUvarint(b, has)
	for i := range e.Values {
		switch v := &e.Values[i]; v.Kind {
		case dsv.Float:
			b = binary.LittleEndian.AppendUint64(b, math.Float64bits(v.Float))
		case dsv.Int:
			b = binary.AppendVarint(b, v.Int)
		case dsv.Text:
			b = append(binary.AppendUvarint(b, uint64(len(v.Text))), v.Text...)
		default: // not carried: a channel declares no other kinds
		}
	}
	return append(b, e.Data...)
}

// A cursor reads a frame; bad is set when it ends too early.
type cursor struct {
	b   []byte
	bad bool
}

func (c *cursor) uvarint() uint64 {
	x, n := binary.Uvarint(c.b)
	if n <= 0 {
		c.bad = true
		return 0
	}
	c.b = c.b[n:]
	return x
}

func (c *cursor) varint() int64 {
	x, n := binary.Varint(c.b)
	if n <= 0 {
		c.bad = true
		return 0
	}
	c.b = c.b[n:]
	return x
}

func (c *cursor) take(n uint64) []byte {
	if n > uint64(len(c.b)) {
		c.bad = true
		return nil
	}
	b := c.b[:n]
	c.b = c.b[n:]
	return b
}

// A decoder decodes frames into memory that it uses again.
type decoder struct {
	dests  []Dest
	values []dsv.Value
	texts  map[string]string // short ones that came before
}

// The bounds of the texts that a decoder keeps.
const (
	maxTexts = 512
	maxText  = 64
)

func (d *decoder) text(b []byte) string {
	if len(b) > maxText {
		return string(b)
	}
	if s, ok := d.texts[string(b)]; ok {
		return s
	}
	if d.texts == nil || len(d.texts) >= maxTexts {
		d.texts = map[string]string{}
	}
	s := string(b)
	d.texts[s] = s
	return s
}

// readDests reads the sinks of an event's frame into d.dests.
func (d *decoder) readDests(c *cursor) {
	n := c.uvarint()
	if n > maxDests || n > uint64(len(c.b)) {
		c.bad = true
		return
	}
	d.dests = d.dests[:0]
	for range n {
		d.dests = append(d.dests, Dest{Sub: c.uvarint(), Seq: c.uvarint()})
	}
}

// body reads a body into e; its values and data are d's and the frame's.
func (d *decoder) body(c *cursor, decl *egs.Channel, e *egs.Event) error {
	e.Channel = decl.Name
	e.At = dsv.Instant(c.varint())
	e.Priority = int(c.varint())
	e.ID = c.uvarint()
	has := c.uvarint()
	if len(decl.Attrs) < 64 && has>>len(decl.Attrs) != 0 {
		return errProtocol
	}
	d.values = d.values[:0]
	for i := 0; has != 0; i, has = i+1, has>>1 {
		if has&1 == 0 {
			d.values = append(d.values, dsv.Value{})
			continue
		}
		v := dsv.Value{Kind: decl.Attrs[i].Kind}
		switch v.Kind {
		case dsv.Float:
			if b := c.take(8); b != nil {
				v.Float = math.Float64frombits(binary.LittleEndian.Uint64(b))
			}
		case dsv.Int:
			v.Int = c.varint()
		default:
			v.Text = d.text(c.take(c.uvarint()))
		}
		d.values = append(d.values, v)
	}
	if c.bad {
		return errProtocol
	}
	e.Values, e.Data = d.values, c.b
	if err := decl.Fits(e); err != nil {
		return fmt.Errorf("%w: %w", err, errProtocol)
	}
	return nil
}
