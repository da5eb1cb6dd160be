package evekernel_test

import (
	"context"
	"testing"
	"time"

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

// TestTakenUp checks that a connection which takes up a session begins when nothing of the former one is done any more:
// or what was sent again, and overwritten, would come back.
func TestTakenUp(t *testing.T) {
	disk := recorder{gate: make(chan struct{})}
	k := open(t, evekernel.Config{Recorder: disk})
	for _, n := range []dsv.Name{"x", "end"} {
		go func() { disk.gate <- struct{}{} }()
		if err := k.Space().Create(t.Context(), dsv.Declaration{Name: n, Kind: dsv.Int, Durable: true}); err != nil {
			t.Fatal(err)
		}
	}
	connect := func(h wire.Hello) (*wire.Conn, wire.Welcome, error) {
		conn, w, err := wire.Dial(t.Context(), k.URL(), k.Token(), h)
		if err != nil {
			return nil, w, err
		}
		ran := make(chan struct{})
		go func() {
			defer close(ran)
			_ = conn.Run(context.Background(), func(*wire.Frame) error { return nil })
		}()
		t.Cleanup(func() {
			_ = conn.Close()
			<-ran
		})
		return conn, w, nil
	}
	write := func(c *wire.Conn, id wire.Uint, n dsv.Name, x wire.Int) {
		if err := c.Queue(&wire.Frame{Req: &wire.Req{ID: id, Op: wire.OpWrite, Name: n, Value: &wire.Value{Int: &x}}}); err != nil {
			t.Error(err)
		}
	}
	a, w, err := connect(wire.Hello{Module: "m"})
	if err != nil {
		t.Fatal(err)
	}
	for id := range wire.Uint(600) { // more than wait for the disk: the rest waits to be read
		write(a, id+1, "x", 1)
	}
	write(a, 1000, "end", 1)
	if err := a.Flush(); err != nil {
		t.Fatal(err)
	}
	await := func(n dsv.Name) {
		for late := time.Now().Add(patience); ; time.Sleep(time.Millisecond) {
			if _, err := k.Space().Read(t.Context(), n); err == nil {
				return
			}
			if time.Now().After(late) {
				t.Fatalf("%s is not written", n)
			}
		}
	}
	await("x")
	taken := make(chan struct{})
	go func() {
		defer close(taken)
		b, _, err := connect(wire.Hello{Module: "m", Resume: w.Session, Writer: w.Writer, Epoch: w.Epoch})
		if err != nil {
			t.Error(err)
			return
		}
		write(b, 2000, "x", 2)
		if err := b.Flush(); err != nil {
			t.Error(err)
		}
	}()
	select {
	case <-taken:
	case <-time.After(100 * time.Millisecond):
	}
	close(disk.gate)
	<-taken
	await("end")
	for late := time.Now().Add(time.Second); ; time.Sleep(time.Millisecond) {
		r, err := k.Space().Read(t.Context(), "x")
		if err != nil {
			t.Fatal(err)
		}
		if r.Value.Int == 2 {
			break
		}
		if time.Now().After(late) {
			t.Fatalf("x is %d, the latest that was written is 2", r.Value.Int)
		}
	}
}
