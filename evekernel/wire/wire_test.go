package wire_test

import (
	"bytes"
	"context"
	"encoding/hex"
	"errors"
	"flag"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/eve-emulation/eve/dmm"
	"github.com/eve-emulation/eve/dsv"
	"github.com/eve-emulation/eve/evekernel/egs"
	"github.com/eve-emulation/eve/evekernel/wire"
)

var update = flag.Bool("update", false, "write the golden frames anew")

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func codec(t testing.TB, c wire.Coding) *wire.Codec {
	t.Helper()
	codec, err := wire.NewCodec(c)
	if err != nil {
		t.Fatal(err)
	}
	return codec
}

func value(t testing.TB, v dsv.Value) *wire.Value {
	t.Helper()
	w, err := wire.FromValue(v)
	if err != nil {
		t.Fatal(err)
	}
	return w
}

func delta(t testing.TB, d dsv.Delta, ref wire.VarRef) wire.Delta {
	t.Helper()
	w, err := wire.FromDelta(d, ref)
	if err != nil {
		t.Fatal(err)
	}
	return w
}

// golden lists one frame, or a few, of every type.
func golden(t testing.TB) map[string]*wire.Frame {
	hist := dsv.HistValue(dsv.NewHist([]uint32{1000, 2000}, []uint64{3, 1}))
	d := dsv.Delta{
		Name: "crowd.latency", Writer: 3, Epoch: 1, Seq: 17, T0: 100_000_000, T1: 200_000_000, Value: hist, Weight: 4,
	}
	named, numbered, blank := delta(t, d, wire.VarRef{Name: d.Name}), delta(t, d, wire.VarRef{Num: 2}), delta(t, d, wire.VarRef{})
	return map[string]*wire.Frame{
		"hello":   {Hello: &wire.Hello{Proto: 1, Module: "probe", Token: "secret"}},
		"resume":  {Hello: &wire.Hello{Proto: 1, Module: "probe", Resume: "0a1b", Writer: 3, Epoch: 1}},
		"welcome": {Welcome: &wire.Welcome{Proto: 1, Run: "flash-crowd", Session: "0a1b", Writer: 3, Epoch: 1, Revision: 42, Boot: "f00d", T0: 1 << 53}},
		"create": {Req: &wire.Req{ID: 1, Op: wire.OpCreate, Decl: wire.FromDecl(dsv.Declaration{
			Name: "crowd.latency", Kind: dsv.Histogram, Unit: "s", Help: "Response time.", Merge: dsv.Hists, History: true,
		})}},
		"create_dmm": {Req: &wire.Req{
			ID: 8, Op: wire.OpCreate, Decl: &wire.Decl{Name: "probe.rtt", Unit: "s"},
			Dmm: &dmm.Recipe{Name: "histogram", Sync: dmm.Trigger{Every: 100 * time.Millisecond, Count: 500}},
		}},
		"create_wasm": {Req: &wire.Req{ID: 8, Op: wire.OpCreate, Decl: &wire.Decl{Name: "probe.load"}, Dmm: &dmm.Recipe{
			Wasm: []byte{0, 'a', 's', 'm'}, Sync: dmm.Trigger{ChangeRelative: 0.1, Above: new(20.0), Below: new(-1.0)},
		}}},
		"read_window":   {Req: &wire.Req{ID: 2, Op: wire.OpRead, Name: "crowd.latency.p95", Window: 5_000_000_000}},
		"watch_derived": {Req: &wire.Req{ID: 5, Op: wire.OpWatch, Watch: 1, Pattern: "crowd.requests.rate", Window: 5_000_000_000, Every: 500_000_000}},
		"res_info":      {Res: &wire.Res{ID: 3, Info: &wire.Info{Decl: &wire.Decl{Name: "probe.rtt", Kind: "hist", Merge: "hists"}, Writers: 1, Dmm: "histogram, every 100ms or 500 writes"}}},
		"read":          {Req: &wire.Req{ID: 2, Op: wire.OpRead, Name: "crowd.latency"}},
		"write":         {Req: &wire.Req{ID: 3, Op: wire.OpWrite, Name: "app.limit", Value: value(t, dsv.FloatValue(0))}},
		"test_and_set":  {Req: &wire.Req{ID: 4, Op: wire.OpTestAndSet, Name: "map.app", Old: 41, Value: value(t, dsv.TextValue(`{"epoch": 2}`))}},
		"watch":         {Req: &wire.Req{ID: 5, Op: wire.OpWatch, Watch: 1, Pattern: "*.cpu.utilisation", Mode: "all", From: 40, Credit: 256}},
		"list":          {Req: &wire.Req{ID: 9, Op: wire.OpList, Pattern: "crowd.*", After: "crowd.errors", Limit: 100}},
		"history": {Req: &wire.Req{
			ID: 7, Op: wire.OpHistory, Name: "crowd.latency", Since: 1_000_000_000, To: 61_000_000_000, Resolution: 1_000_000_000, Limit: 60, Cursor: 44,
		}},
		"res_history": {Res: &wire.Res{ID: 7, Deltas: []wire.Delta{blank}, Cursor: 90, More: true}},
		"join":        {Req: &wire.Req{ID: 6, Op: wire.OpJoin, Name: "start"}},
		"res_create":  {Res: &wire.Res{ID: 1, Var: 2}},
		"res_read":    {Res: &wire.Res{ID: 2, Reading: &wire.Reading{Value: value(t, dsv.IntValue(-1<<60)), Weight: 9, Rev: 42, T1: 200_000_000}}},
		"res_error":   {Res: &wire.Res{ID: 2, Code: wire.CodeNotFound, Msg: "read crowd.latency: no such variable"}},
		"res_stale":   {Res: &wire.Res{ID: 4, Code: wire.CodeStale, Msg: "test and set map.app: written since", Rev: 43}},
		"res_list": {Res: &wire.Res{ID: 9, More: true, Decls: []*wire.Decl{
			{Name: "crowd.issued", Kind: "float", Unit: "1", Merge: "sum", History: true}, {Name: "crowd.note", Kind: "text"},
		}}},
		"res_join": {Res: &wire.Res{ID: 6, Start: &wire.Start{T0: 5_000_000_000, Boot: "f00d"}}},
		"batch":    {Batch: &wire.Batch{Seq: 8, Deltas: []wire.Delta{named, numbered}}},
		"ack":      {Ack: &wire.Ack{Seq: 8, Errors: []wire.Fault{{Code: wire.CodeKind, Msg: "sync x: wrong kind of value"}}}},
		"packed":   {Batch: &wire.Batch{Seq: 9, Packed: packed(t, d)}},
		"ack_all":  {Ack: &wire.Ack{Seq: 9}},
		"upd": {Upd: &wire.Upd{
			Watch: 1, Name: "crowd.latency", Rev: 44, Reading: &wire.Reading{Value: value(t, hist), Weight: 4, Rev: 44, T1: 200_000_000},
			Delta: &blank, Skipped: 2,
		}},
		"upd_deleted": {Upd: &wire.Upd{Watch: 1, Name: "crowd.latency", Rev: 45, Deleted: true}},
		"gap":         {Gap: &wire.Gap{Watch: 1, Oldest: 44}},
		"evt": {Evt: &wire.Evt{
			Sub: 1, Channel: "alarms", From: "probe", At: 1_500_000_000, Data: []byte{0, 0xff},
			Attrs: map[string]*wire.Value{"level": value(t, dsv.FloatValue(0.5))},
		}},
		"evt_relayed": {Evt: &wire.Evt{
			Channel: "alarms", At: 1_500_000_000, Priority: 2, ID: 1 << 40, To: []wire.Address{{Node: 1<<32 | 1, Sub: 3, Seq: 7}},
		}},
		"evt_answer": {Evt: &wire.Evt{Channel: "alarms", From: "probe", Re: 1 << 40, Node: 2<<32 | 1}},
		"subscribe": {Req: &wire.Req{ID: 9, Op: wire.OpSubscribe, Name: "alarms", Sub: 3, Sink: &wire.Sink{
			Link: "127.0.0.1:4711", Numbered: true, Facts: map[string]*wire.Value{"load": value(t, dsv.FloatValue(0.5))},
			Filter: &wire.Filter{Expr: "level > 0.8 and sink.load < 0.5"},
		}}},
		"res_attach": {Res: &wire.Res{ID: 10, Peers: &wire.Peers{Channel: "alarms", Version: 4, List: []wire.Peer{
			{Node: 1<<32 | 1, Sub: 3, Member: "probe", Link: "127.0.0.1:4711", Facts: map[string]*wire.Value{"load": value(t, dsv.FloatValue(0.5))}},
		}}}},
		"peers": {Peers: &wire.Peers{Channel: "alarms", Version: 5, List: []wire.Peer{
			{Node: 1<<32 | 1, Sub: 3, Member: "probe", Left: true},
			{Node: 3<<32 | 1, Sub: 1, Member: "other", Filter: &wire.Filter{Wasm: []byte{0, 0x61, 0x73, 0x6d}}},
		}}},
		"tick":         {Tick: &wire.Tick{At: 1_000_000_000}},
		"tick_reading": {Tick: &wire.Tick{At: 1_500_000_000, N: 15, Readings: map[string]*float64{"load": new(0.75)}, Value: new(2.0), Replicas: map[string]int{"app": 2}}},
		"tick_unknown": {Tick: &wire.Tick{At: 100_000_000, N: 1, Readings: map[string]*float64{"load": nil}}},
		"act":          {Act: &wire.Act{N: 15, Actions: []string{"scale app to 3", "degrade app to lite"}, Why: "load above 70 %"}},
		"act_value":    {Act: &wire.Act{N: 15, Value: new(0.0)}},
		"act_nothing":  {Act: &wire.Act{N: 15}},
		"bye":          {Bye: &wire.Bye{Msg: "the run ends"}},
	}
}

// TestGolden compares every type of frame with what the protocol's document promises, byte for byte, and reads it back.
func TestGolden(t *testing.T) {
	for name, f := range golden(t) {
		for _, c := range []wire.Coding{wire.CBOR, wire.JSON} {
			t.Run(name+"/"+c.String(), func(t *testing.T) {
				got, err := codec(t, c).Encode(f)
				if err != nil {
					t.Fatal(err)
				}
				path := filepath.Join("testdata", name+".json")
				text := got
				if c == wire.CBOR {
					path = filepath.Join("testdata", name+".cbor.hex")
					text = []byte(hex.EncodeToString(got))
				}
				if *update {
					if err := os.WriteFile(path, append(text, '\n'), 0o644); err != nil {
						t.Fatal(err)
					}
				}
				want, err := os.ReadFile(path)
				if err != nil {
					t.Fatal(err)
				}
				if want = bytes.TrimSpace(want); !bytes.Equal(text, want) {
					t.Errorf("frame is\n%s\nwant\n%s", text, want)
				}
				back, err := codec(t, c).Decode(got)
				if err != nil || !reflect.DeepEqual(back, f) {
					t.Errorf("read back as %+v (error %v)", back, err)
				}
			})
		}
	}
}

func TestDecodeRefuses(t *testing.T) {
	deep := func(n int) string { return strings.Repeat("[", n) + strings.Repeat("]", n) }
	for _, c := range []struct{ name, in string }{
		{"nothing", ``},
		{"not JSON", `{"bye":`},
		{"not an object", `[1]`},
		{"no type", `{}`},
		{"unknown type", `{"hi":{}}`},
		{"two types", `{"bye":{},"tick":{"at":1}}`},
		{"two frames", `{"bye":{}} {"bye":{}}`},
		{"deep", `{"bye":{"msg":` + deep(17) + `}}`},
		{"deep where it is ignored", `{"bye":{"other":` + deep(20_000) + `}}`},
		{"not UTF-8", "{\"bye\":{\"msg\":\"\xff\"}}"},
		{"fraction", `{"tick":{"at":1.5}}`},
		{"beyond 64 bits", `{"tick":{"at":"9223372036854775808"}}`},
		{"negative id", `{"req":{"id":-1,"op":"read"}}`},
		{"infinite", `{"batch":{"seq":1,"deltas":[["x",1,1,1,0,1,{"float":1e999},1]]}}`},
		{"short delta", `{"batch":{"seq":1,"deltas":[["x",1,1,1,0,1,{"float":1}]]}}`},
		{"long", `{"bye":{"msg":"` + strings.Repeat("x", wire.MaxMessage) + `"}}`},
	} {
		t.Run(c.name, func(t *testing.T) {
			if f, err := codec(t, wire.JSON).Decode([]byte(c.in)); !errors.Is(err, wire.ErrProtocol) {
				t.Errorf("decoded %+v (error %v), want %v", f, err, wire.ErrProtocol)
			}
		})
	}
	for _, c := range []struct{ name, in string }{
		{"nothing", ``},
		{"deep", strings.Repeat("81", 40) + "80"},
		{"endless", `bf63627965a0ff`},
		{"huge array", `a1656261746368a26373657101666465656c7461739b00ffffffffffffff`},
		{"the same key twice", `a163627965a2636d73676161636d73676162`},
		{"rest", `a163627965a000`},
		{"tag", `a163627965c1a0`},
	} {
		t.Run("cbor "+c.name, func(t *testing.T) {
			b, err := hex.DecodeString(c.in)
			if err != nil {
				t.Fatal(err)
			}
			if f, err := codec(t, wire.CBOR).Decode(b); !errors.Is(err, wire.ErrProtocol) {
				t.Errorf("decoded %+v (error %v), want %v", f, err, wire.ErrProtocol)
			}
		})
	}
}

// TestValuesRefuse checks what is well formed and still no value.
func TestValuesRefuse(t *testing.T) {
	x, i := 1.0, wire.Int(1)
	inf, bad := math.Inf(1), []byte{255}
	for _, v := range []wire.Value{{Float: &x, Int: &i}, {Float: &inf}, {Hist: &bad}} {
		if got, err := v.Value(); err == nil {
			t.Errorf("%+v is %v, want an error", v, got)
		}
	}
	for _, v := range []dsv.Value{dsv.FloatValue(math.NaN()), dsv.FloatValue(math.Inf(-1)), dsv.TextValue("\xff"), {Kind: 99}} {
		if w, err := wire.FromValue(v); !errors.Is(err, dsv.ErrKind) {
			t.Errorf("%v travels as %+v (error %v), want %v", v, w, err, dsv.ErrKind)
		}
	}
}

// TestErrorsCross checks that errors.Is finds after the journey what it found before.
func TestErrorsCross(t *testing.T) {
	for _, want := range []error{
		dsv.ErrNotFound, dsv.ErrUnset, dsv.ErrExists, dsv.ErrStale, dsv.ErrKind, dsv.ErrName, dsv.ErrTooLarge, dsv.ErrHist,
		dsv.ErrGap, dsv.ErrClosed, egs.ErrBarrier, egs.ErrAttributes, wire.ErrUnauthorized, wire.ErrProtocol, context.Canceled,
	} {
		sent := fmt.Errorf("read app.latency: %w", want)
		f := wire.FaultOf(sent)
		if got := f.Err(); !errors.Is(got, want) || got.Error() != sent.Error() {
			t.Errorf("%v arrives as %v with code %s", sent, got, f.Code)
		}
		again := wire.FaultOf(fmt.Errorf("relayed: %w", f.Err()))
		if got := again.Err(); !errors.Is(got, want) {
			t.Errorf("%v arrives at second hand as %v", sent, got)
		}
	}
	for _, want := range []error{nil, errors.New("disk on fire")} {
		f := wire.FaultOf(want)
		if got := f.Err(); (got == nil) != (want == nil) || want != nil && got.Error() != want.Error() {
			t.Errorf("%v arrives as %v", want, got)
		}
	}
	joined := errors.Join(fmt.Errorf("sync a: %w", dsv.ErrKind), errors.Join(fmt.Errorf("sync b: %w", dsv.ErrNotFound), nil))
	fs := wire.FaultsOf(joined)
	if got := wire.JoinFaults(fs); len(fs) != 2 || !errors.Is(got, dsv.ErrKind) || !errors.Is(got, dsv.ErrNotFound) || got.Error() != joined.Error() {
		t.Errorf("%v arrives as %v in %d parts", joined, got, len(fs))
	}
}

func TestTooLarge(t *testing.T) {
	fits := &wire.Frame{Req: &wire.Req{ID: 1, Op: wire.OpWrite, Name: "x", Value: value(t, dsv.BytesValue(make([]byte, dsv.MaxBytes)))}}
	over := &wire.Frame{Bye: &wire.Bye{Msg: strings.Repeat("x", wire.MaxMessage)}}
	for _, c := range []wire.Coding{wire.CBOR, wire.JSON} {
		if _, err := codec(t, c).Encode(fits); err != nil {
			t.Errorf("%s: the largest value: %v", c, err)
		}
		if _, err := codec(t, c).Encode(over); !errors.Is(err, dsv.ErrTooLarge) {
			t.Errorf("%s: a frame too large: %v, want %v", c, err, dsv.ErrTooLarge)
		}
	}
}

// fuzz checks that the decoder survives anything, and that what it accepts is stable: encoded and decoded again it is
// the same.
func fuzz(f *testing.F, c wire.Coding) {
	codec := codec(f, c)
	for _, frame := range golden(f) {
		b, err := codec.Encode(frame)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		first, err := codec.Decode(b)
		if err != nil {
			if !errors.Is(err, wire.ErrProtocol) {
				t.Fatalf("error %v, want %v", err, wire.ErrProtocol)
			}
			return
		}
		if first.Upd != nil {
			_, _ = first.Upd.Update()
		}
		if first.Batch != nil {
			for i := range first.Batch.Deltas {
				_, _ = first.Batch.Deltas[i].Delta("x")
			}
		}
		again, err := codec.Encode(first)
		if err != nil {
			return // not finite, or grown beyond the limit
		}
		second, err := codec.Decode(again)
		if err != nil {
			t.Fatalf("%q: accepted, and its encoding %q refused: %v", b, again, err)
		}
		last, err := codec.Encode(second)
		if err != nil || len(last) != len(again) { // maps are in no order
			t.Fatalf("%q: encoded %q, then %q (error %v)", b, again, last, err)
		}
	})
}

func FuzzDecodeCBOR(f *testing.F) { fuzz(f, wire.CBOR) }

func FuzzDecodeJSON(f *testing.F) { fuzz(f, wire.JSON) }

func BenchmarkBatch(b *testing.B) {
	f := &wire.Frame{Batch: &wire.Batch{Seq: 1}}
	for i := range 100 {
		d := dsv.Delta{Writer: 3, Epoch: 1, Seq: uint64(i), T0: 1e8, T1: 2e8, Value: dsv.FloatValue(0.25), Weight: 10}
		f.Batch.Deltas = append(f.Batch.Deltas, delta(b, d, wire.VarRef{Num: uint64(i)}))
	}
	for _, c := range []wire.Coding{wire.CBOR, wire.JSON} {
		b.Run(c.String(), func(b *testing.B) {
			codec := codec(b, c)
			b.ReportAllocs()
			for b.Loop() {
				x, err := codec.Encode(f)
				if err != nil {
					b.Fatal(err)
				}
				if _, err := codec.Decode(x); err != nil {
					b.Fatal(err)
				}
				b.ReportMetric(float64(len(x))/100, "bytes/delta")
			}
		})
	}
}
