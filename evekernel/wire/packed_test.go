package wire_test

import (
	"encoding/hex"
	"errors"
	"io"
	"math"
	"runtime"
	"strings"
	"testing"

	"github.com/eve-emulation/eve/dsv"
	"github.com/eve-emulation/eve/evekernel/wire"
)

// packed packs deltas, the first one by name, the others by their place.
func packed(t testing.TB, deltas ...dsv.Delta) []byte {
	t.Helper()
	var p wire.Packer
	for i := range deltas {
		if err := p.Add(&deltas[i], uint64(i)); err != nil {
			t.Fatal(err)
		}
	}
	return p.Bytes()
}

// unpack returns what b holds, and the first error that is no end.
func unpack(b []byte) (ds []dsv.Delta, nums []uint64, err error) {
	u := wire.NewUnpacker(b)
	for {
		var d dsv.Delta
		num, err := u.Next(&d)
		if errors.Is(err, io.EOF) {
			return ds, nums, nil
		}
		if err != nil {
			return ds, nums, err
		}
		ds, nums = append(ds, d), append(nums, num)
	}
}

func sameDelta(a, b dsv.Delta) bool {
	v, w := a.Value, b.Value
	a.Value, b.Value = dsv.Value{}, dsv.Value{}
	return v.Equal(w) && math.Signbit(v.Float) == math.Signbit(w.Float) &&
		a.Name == b.Name && a.Writer == b.Writer && a.Epoch == b.Epoch && a.Seq == b.Seq && a.T0 == b.T0 && a.T1 == b.T1 && a.Weight == b.Weight
}

func TestPacked(t *testing.T) {
	hist := dsv.HistValue(dsv.NewHist([]uint32{1000, 2000}, []uint64{3, 1}))
	values := []dsv.Value{
		dsv.FloatValue(0.25), dsv.FloatValue(-7), dsv.FloatValue(0), dsv.FloatValue(math.Copysign(0, -1)), dsv.FloatValue(1 << 53),
		dsv.FloatValue(math.MaxFloat64), dsv.IntValue(math.MinInt64), dsv.IntValue(math.MaxInt64), dsv.TextValue(""), dsv.TextValue("ä"),
		dsv.BytesValue([]byte{}), dsv.BytesValue([]byte{0, 255}), hist, dsv.HistValue(nil),
	}
	var want []dsv.Delta
	for i, v := range values {
		want = append(want,
			dsv.Delta{Writer: 3, Epoch: 1, Seq: uint64(i), T0: 100, T1: 200, Value: v, Weight: 1},
			dsv.Delta{Writer: dsv.WriterID(i), Epoch: math.MaxUint32, Seq: math.MaxUint64 - uint64(i), T0: math.MinInt64, T1: math.MaxInt64, Value: v, Weight: float64(i) / 4})
	}
	want[0].Name = "crowd.latency"
	got, nums, err := unpack(packed(t, want...))
	if err != nil || len(got) != len(want) {
		t.Fatalf("%d deltas (error %v), want %d", len(got), err, len(want))
	}
	for i := range want {
		if !sameDelta(got[i], want[i]) || nums[i] != uint64(i) {
			t.Errorf("delta %d is %+v of %d, want %+v", i, got[i], nums[i], want[i])
		}
	}
}

// TestPackedSize checks that deltas of one window take few bytes, and cost no memory to read.
func TestPackedSize(t *testing.T) {
	var p wire.Packer
	const n = 1000
	for i := range n {
		d := dsv.Delta{Writer: 3, Epoch: 1, Seq: 9, T0: 1e8, T1: 2e8, Value: dsv.FloatValue(0.3), Weight: 1}
		if err := p.Add(&d, uint64(i+1)); err != nil {
			t.Fatal(err)
		}
	}
	if got := len(p.Bytes()); got > 12*n || p.Len() != n {
		t.Errorf("%d deltas take %d bytes, want at most 12 each", p.Len(), got)
	}
	u := wire.NewUnpacker(p.Bytes())
	var d dsv.Delta
	if got := testing.AllocsPerRun(n/2, func() {
		if _, err := u.Next(&d); err != nil {
			t.Fatal(err)
		}
	}); got != 0 {
		t.Errorf("%v allocations for each delta, want none", got)
	}
}

func TestPackedRefuses(t *testing.T) {
	for _, c := range []struct {
		name string
		d    dsv.Delta
		want error
	}{
		{"no value", dsv.Delta{Name: "x"}, dsv.ErrKind},
		{"not finite", dsv.Delta{Name: "x", Value: dsv.FloatValue(math.Inf(1))}, dsv.ErrKind},
		{"weight", dsv.Delta{Name: "x", Value: dsv.FloatValue(1), Weight: math.NaN()}, dsv.ErrKind},
		{"text", dsv.Delta{Name: "x", Value: dsv.TextValue("\xff")}, dsv.ErrKind},
		{"long", dsv.Delta{Name: "x", Value: dsv.BytesValue(make([]byte, dsv.MaxBytes+1))}, dsv.ErrTooLarge},
		{"name", dsv.Delta{Name: "\xff", Value: dsv.IntValue(1)}, dsv.ErrName},
		{"long name", dsv.Delta{Name: dsv.Name(strings.Repeat("x", 201)), Value: dsv.IntValue(1)}, dsv.ErrName},
	} {
		t.Run(c.name, func(t *testing.T) {
			var p wire.Packer
			if err := p.Add(&c.d, 0); !errors.Is(err, c.want) || len(p.Bytes()) != 0 || p.Len() != 0 {
				t.Errorf("error %v and %d bytes, want %v", err, len(p.Bytes()), c.want)
			}
		})
	}
	for _, c := range []struct {
		name, in string
		want     error
	}{
		{"unknown form", "0602020400", wire.ErrProtocol},
		{"unknown flag", "8102020400", wire.ErrProtocol},
		{"no number", "01000202", wire.ErrProtocol},
		{"short", "00020201", wire.ErrProtocol},
		{"long varint", "01ffffffffffffffffffff0202", wire.ErrProtocol},
		{"longer than there is", "040202ffffffffff7f", wire.ErrProtocol},
		{"writer beyond 32 bits", "1102ffffffffff01000202", wire.ErrProtocol},
		{"odd weight", "0902020302", wire.ErrProtocol},
		{"no histogram", "05020201ff", dsv.ErrHist},
		{"weight is not finite", "09020201000000000000f87f02", dsv.ErrKind},
		{"name is no text", "4101ff0202", dsv.ErrName},
	} {
		t.Run(c.name, func(t *testing.T) {
			b, err := hex.DecodeString(c.in)
			if err != nil {
				t.Fatal(err)
			}
			if ds, _, err := unpack(b); !errors.Is(err, c.want) || len(ds) != 0 {
				t.Errorf("%+v (error %v), want %v", ds, err, c.want)
			}
		})
	}
}

// FuzzPacked checks that what is read of any bytes is bounded by their size, and is the same once packed again.
func FuzzPacked(f *testing.F) {
	d := dsv.Delta{Name: "x", Writer: 3, Epoch: 1, Seq: 17, T0: 100, T1: 200, Value: dsv.FloatValue(0.5), Weight: 4}
	for _, v := range []dsv.Value{
		d.Value, dsv.IntValue(-1), dsv.TextValue("x"), dsv.BytesValue([]byte{1}), dsv.HistValue(dsv.NewHist([]uint32{7}, []uint64{1})),
	} {
		e := d
		e.Value = v
		f.Add(packed(f, d, e, e))
	}
	f.Add([]byte("\x03\x02\x02\xff\xff\xff\x7f"))
	f.Fuzz(func(t *testing.T, b []byte) {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		u := wire.NewUnpacker(b)
		var ds []dsv.Delta
		var nums []uint64
		for {
			var d dsv.Delta
			num, err := u.Next(&d)
			if errors.Is(err, io.EOF) || errors.Is(err, wire.ErrProtocol) {
				break
			}
			if err == nil && d.Value.Check(d.Value.Kind) == nil {
				ds, nums = append(ds, d), append(nums, num)
			}
		}
		runtime.ReadMemStats(&after)
		if got := after.TotalAlloc - before.TotalAlloc; got > 64<<10+200*uint64(len(b)) {
			t.Fatalf("%d bytes were allocated for %d packed ones", got, len(b))
		}
		var p wire.Packer
		for i := range ds {
			if err := p.Add(&ds[i], nums[i]); err != nil {
				t.Fatalf("%+v was unpacked and cannot be packed: %v", ds[i], err)
			}
		}
		again, _, err := unpack(p.Bytes())
		if err != nil || len(again) != len(ds) {
			t.Fatalf("%d deltas, then %d (error %v)", len(ds), len(again), err)
		}
		for i := range ds {
			if !sameDelta(again[i], ds[i]) {
				t.Fatalf("delta %d is %+v, then %+v", i, ds[i], again[i])
			}
		}
	})
}
