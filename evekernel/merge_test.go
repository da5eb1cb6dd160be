package evekernel_test

import (
	"bytes"
	"context"
	"fmt"
	"runtime"
	"slices"
	"testing"

	"github.com/eve-emulation/eve/dsv"
	"github.com/eve-emulation/eve/evekernel"
	"github.com/eve-emulation/eve/evekernel/wire"
)

// dialCBOR is dial in the other coding.
func dialCBOR(t *testing.T, k *evekernel.Kernel) *talker {
	t.Helper()
	conn, w, err := wire.Dial(t.Context(), k.URL(), k.Token(), wire.Hello{})
	if err != nil {
		t.Fatal(err)
	}
	p := &talker{t: t, conn: conn, w: w, heard: make(chan *wire.Frame, 1000), ended: make(chan error, 1)}
	go func() {
		p.ended <- conn.Run(context.Background(), func(f *wire.Frame) error {
			p.heard <- f
			return nil
		})
	}()
	t.Cleanup(p.leave)
	return p
}

// packed packs one delta of 1 for each sequence number, of the variable called num.
func packed(t *testing.T, num uint64, seqs ...uint64) []byte {
	t.Helper()
	var p wire.Packer
	for _, seq := range seqs {
		d := dsv.Delta{Name: "absent", Writer: 3, Epoch: 1, Seq: seq, Value: dsv.IntValue(1), Weight: 1}
		if err := p.Add(&d, num); err != nil {
			t.Fatal(err)
		}
	}
	return p.Bytes()
}

// TestPackedBatches checks that packed deltas are merged as listed ones are, in both codings, that repeats are discarded,
// and that one that is wrong costs the others nothing.
func TestPackedBatches(t *testing.T) {
	for name, dial := range map[string]func(*testing.T, *evekernel.Kernel) *talker{
		"json": func(t *testing.T, k *evekernel.Kernel) *talker { return dial(t, k, wire.Hello{}) },
		"cbor": dialCBOR,
	} {
		t.Run(name, func(t *testing.T) {
			k := open(t, evekernel.Config{})
			p := dial(t, k)
			d := wire.FromDecl(dsv.Declaration{Name: "x", Kind: dsv.Int, Merge: dsv.Sum})
			num := uint64(p.ask(wire.Req{ID: 1, Op: wire.OpCreate, Decl: d}).Var)
			var many []uint64
			for seq := range uint64(1000) {
				many = append(many, seq+1)
			}
			for i, c := range []struct {
				packed []byte
				faults int
				code   wire.Code
				want   int64
			}{
				{packed(t, num, 1, 2, 3), 0, "", 3},
				{packed(t, num, 1, 2, 3, 4), 0, "", 4},
				{packed(t, num, many...), 0, "", 1000},
				{packed(t, num+1, 5), 1, wire.CodeNotFound, 1000},
				{packed(t, 0, 5), 1, wire.CodeNotFound, 1000},
				{packed(t, num+1, many...), 65, wire.CodeNotFound, 1000},
				{append(packed(t, num+1, 5), packed(t, ^uint64(0), 1001)...), 1, wire.CodeNotFound, 1001},
			} {
				p.say(&wire.Frame{Batch: &wire.Batch{Seq: wire.Uint(i + 1), Packed: c.packed}})
				f := p.hear()
				if f.Ack == nil || f.Ack.Seq != wire.Uint(i+1) || len(f.Ack.Errors) != c.faults || c.faults > 0 && f.Ack.Errors[0].Code != c.code {
					t.Fatalf("batch %d: %+v, want %d errors", i, f.Ack, c.faults)
				}
				if r, err := k.Space().Read(t.Context(), "x"); err != nil || r.Value.Int != c.want {
					t.Fatalf("after batch %d: %v (error %v), want %d", i, r.Value, err, c.want)
				}
			}
		})
	}
}

// TestHostileBatches checks that what is no batch ends the connection, whatever it claims to hold, in little memory.
func TestHostileBatches(t *testing.T) {
	k := open(t, evekernel.Config{})
	list := []wire.Delta{{Var: wire.VarRef{Name: "x"}}}
	for name, b := range map[string]*wire.Batch{
		"both":           {Packed: packed(t, 1, 1), Deltas: list},
		"garbage":        {Packed: bytes.Repeat([]byte{0xff}, 500_000)},
		"a long text":    {Packed: []byte{0x03, 2, 2, 0xff, 0xff, 0xff, 0xff, 0x7f}},
		"cut off":        {Packed: packed(t, 1, 1)[:3]},
		"end after much": {Packed: append(bytes.Repeat([]byte{0x02, 0, 0, 0}, 1), 0xff)},
	} {
		t.Run(name, func(t *testing.T) {
			p := dialCBOR(t, k)
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			b.Seq = 1
			p.say(&wire.Frame{Batch: b})
			if f := p.hear(); f.Bye == nil || f.Bye.Code != wire.CodeProtocol {
				t.Errorf("%+v, want bye", f)
			}
			runtime.ReadMemStats(&after)
			if got := after.TotalAlloc - before.TotalAlloc; got > 8<<20 {
				t.Errorf("%d bytes were allocated", got)
			}
		})
	}
	// The smallest deltas of all, in the largest message: little memory beside the message.
	p := dialCBOR(t, k)
	small := bytes.Repeat([]byte{0x02, 2, 0, 0}, 1)
	small = append(small, bytes.Repeat([]byte{0x02, 0, 0, 0}, 200_000)...)
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	p.say(&wire.Frame{Batch: &wire.Batch{Seq: 1, Packed: small}})
	if f := p.hear(); f.Ack == nil || len(f.Ack.Errors) != 65 || f.Ack.Errors[64].Msg != "and 199937 errors more" {
		t.Errorf("%+v, want an acknowledgement with errors", f)
	}
	runtime.ReadMemStats(&after)
	if got := after.TotalAlloc - before.TotalAlloc; got > 64<<20 {
		t.Errorf("%d MiB were allocated", got>>20)
	}
}

// TestAcksCover checks that an acknowledgement over CBOR covers all batches of one message, and that an error is told
// with its own.
func TestAcksCover(t *testing.T) {
	k := open(t, evekernel.Config{})
	if err := k.Space().Create(t.Context(), dsv.Declaration{Name: "absent", Kind: dsv.Int, Merge: dsv.Sum}); err != nil {
		t.Fatal(err)
	}
	p := dialCBOR(t, k)
	for seq := range wire.Uint(100) {
		b := &wire.Batch{Seq: seq + 1, Packed: packed(t, 0, uint64(seq+1))}
		if seq == 49 {
			b.Packed = packed(t, 7, 1)
		}
		if err := p.conn.Queue(&wire.Frame{Batch: b}); err != nil {
			t.Fatal(err)
		}
	}
	if err := p.conn.Flush(); err != nil {
		t.Fatal(err)
	}
	var got []string
	for last := wire.Uint(0); last < 100; {
		f := p.hear()
		if f.Ack == nil || f.Ack.Seq <= last {
			t.Fatalf("%+v after acknowledgement %d", f, last)
		}
		last = f.Ack.Seq
		got = append(got, fmt.Sprintf("%d:%d", last, len(f.Ack.Errors)))
	}
	if len(got) > 10 || !slices.Contains(got, "50:1") {
		t.Errorf("acknowledged as %v, want few, and 50 with its error", got)
	}
	if r, err := k.Space().Read(t.Context(), "absent"); err != nil || r.Value.Int != 99 {
		t.Errorf("the sum is %v (error %v), want 99", r.Value, err)
	}
}
