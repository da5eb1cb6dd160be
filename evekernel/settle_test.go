package evekernel_test

import (
	"testing"

	"github.com/eve-emulation/eve/dsv"
	"github.com/eve-emulation/eve/evekernel"
	"github.com/eve-emulation/eve/evekernel/wire"
)

// TestSlowDisk checks that durable changes are done in the order in which they come, that nothing else on the connection
// waits for them, and that they, and batches behind them, are not acknowledged before the disk has them.
func TestSlowDisk(t *testing.T) {
	for name, dial := range map[string]func(*testing.T, *evekernel.Kernel) *talker{
		"json": func(t *testing.T, k *evekernel.Kernel) *talker { return dial(t, k, wire.Hello{}) },
		"cbor": dialCBOR,
	} {
		t.Run(name, func(t *testing.T) {
			disk := recorder{gate: make(chan struct{})}
			k := open(t, evekernel.Config{Recorder: disk})
			p := dial(t, k)
			var vars []uint64
			for i, d := range []dsv.Declaration{
				{Name: "plain", Kind: dsv.Int, Merge: dsv.Sum},
				{Name: "durable", Kind: dsv.Int, Merge: dsv.Sum, Durable: true},
			} {
				p.say(&wire.Frame{Req: &wire.Req{ID: wire.Uint(i + 1), Op: wire.OpCreate, Decl: wire.FromDecl(d)}})
				if d.Durable {
					disk.gate <- struct{}{}
				}
				vars = append(vars, uint64(p.hear().Res.Var))
			}
			batch := func(seq wire.Uint, num uint64) {
				p.say(&wire.Frame{Batch: &wire.Batch{Seq: seq, Packed: packed(t, num, uint64(seq))}})
			}
			batch(10, vars[1])
			batch(11, vars[0])
			for i, x := range []wire.Int{100, 200} {
				p.say(&wire.Frame{Req: &wire.Req{ID: wire.Uint(20 + i), Op: wire.OpWrite, Name: "durable", Value: &wire.Value{Int: &x}}})
			}
			for name, want := range map[dsv.Name]wire.Int{"plain": 1, "durable": 200} {
				if r := p.ask(wire.Req{ID: 30, Op: wire.OpRead, Name: name}); r.Reading == nil || *r.Reading.Value.Int != want {
					t.Errorf("%s is %+v, want %d", name, r, want)
				}
			}
			close(disk.gate)
			for _, want := range []wire.Uint{10, 11, 20, 21} {
				switch f := p.hear(); {
				case f.Ack != nil && f.Ack.Seq == want && len(f.Ack.Errors) == 0:
				case f.Res != nil && f.Res.ID == want && f.Res.Code == "" && f.Res.Rev > 0:
				default:
					t.Errorf("heard %+v, want what answers %d", f, want)
				}
			}
			batch(12, vars[0])
			if f := p.hear(); f.Ack == nil || f.Ack.Seq != 12 {
				t.Errorf("heard %+v, want an acknowledgement of 12", f)
			}
		})
	}
}
