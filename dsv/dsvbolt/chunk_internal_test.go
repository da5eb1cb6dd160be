package dsvbolt

import (
	"bytes"
	"testing"

	"github.com/eve-emulation/eve/dsv"
)

// FuzzDecode decodes arbitrary bytes as the changes of a chunk and as a last value. It is a test from within, since
// from outside only bytes with the right checksum come so far.
func FuzzDecode(f *testing.F) {
	var c dsv.Counts
	c.Add(1)
	for k, v := range map[dsv.Kind]dsv.Value{
		dsv.Float: dsv.FloatValue(0.1), dsv.Int: dsv.IntValue(-1), dsv.Text: dsv.TextValue("x"),
		dsv.Bytes: dsv.BytesValue([]byte("x")), dsv.Histogram: dsv.HistValue(c.Take()),
	} {
		p := predictor{rev: 1}
		var b []byte
		for i := range dsv.Revision(3) {
			d := &dsv.Delta{Name: "x", Writer: 1, Seq: uint64(i), T1: dsv.Instant(i), Value: v, Weight: 1}
			b = appendChange(b, &p, k, &dsv.Update{Name: "x", Revision: 1 + i*i, Delta: d})
		}
		f.Add(b, byte(k))
		e := lastEntry{name: "x", last: dsv.Update{Revision: 1, Reading: dsv.Reading{Value: v}}, seen: []dsv.Progress{{Writer: 1}}}
		f.Add(e.encode()[8:], byte(k))
	}
	f.Fuzz(func(t *testing.T, b []byte, k byte) {
		r, p := &reader{b: b}, predictor{}
		for n := 0; len(r.b) > 0; n++ {
			before := len(r.b)
			if _, err := readChange(r, &p, "x", dsv.Kind(k)); err != nil {
				break
			}
			if len(r.b) >= before {
				t.Fatalf("change %d takes no bytes", n)
			}
		}
		e, err := decodeLast("x", frame(b))
		if err != nil {
			return
		}
		if again, err := decodeLast("x", e.encode()); err != nil || !bytes.Equal(again.encode(), e.encode()) {
			t.Fatalf("decoded again to %+v, %v", again, err)
		}
	})
}
