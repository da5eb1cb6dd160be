package evekernel_test

import (
	"strings"
	"testing"
	"time"

	"github.com/eve-emulation/eve/dsv"
	"github.com/eve-emulation/eve/evekernel"
	"github.com/eve-emulation/eve/evekernel/egs"
	"github.com/eve-emulation/eve/evekernel/wire"
)

// TestSinkComesBack has a program lose its connection again and again, and checks that it gets all that is submitted once
// it has subscribed anew: what is left of its former connection must not take it.
func TestSinkComesBack(t *testing.T) {
	k := open(t, evekernel.Config{})
	if err := k.Hub().Open(egs.Channel{Name: "work", Attrs: []egs.Attr{{Name: "n", Kind: dsv.Int}}}); err != nil {
		t.Fatal(err)
	}
	src, err := k.Hub().Member("inside").Attach(t.Context(), "work")
	if err != nil {
		t.Fatal(err)
	}
	p := dial(t, k, wire.Hello{Module: "sink"})
	for n := range 150 {
		if n > 0 {
			_ = p.conn.Close()
			p = dial(t, k, wire.Hello{Module: "sink", Resume: p.w.Session, Writer: p.w.Writer, Epoch: p.w.Epoch})
		}
		if res := p.ask(wire.Req{ID: 1, Op: wire.OpSubscribe, Name: "work", Sub: 1}); res.Code != "" {
			t.Fatalf("round %d: %+v", n, res)
		}
		if _, err := src.Submit(t.Context(), egs.Event{Values: []dsv.Value{dsv.IntValue(int64(n))}}); err != nil {
			t.Fatal(err)
		}
		if e := p.hearEvt(); int(*e.Attrs["n"].Int) != n || e.Lost != 0 || e.Seq != wire.Uint(n+1) {
			t.Fatalf("round %d: got %+v", n, e)
		}
	}
}

// TestUnspeakable checks that an event which no JSON message can hold is counted as lost by a program that it was for.
func TestUnspeakable(t *testing.T) {
	k := open(t, evekernel.Config{})
	if err := k.Hub().Open(egs.Channel{Name: "work", Attrs: []egs.Attr{{Name: "what", Kind: dsv.Text}}}); err != nil {
		t.Fatal(err)
	}
	p := dial(t, k, wire.Hello{Module: "sink"})
	if res := p.ask(wire.Req{ID: 1, Op: wire.OpSubscribe, Name: "work", Sub: 1}); res.Code != "" {
		t.Fatalf("%+v", res)
	}
	src, err := k.Hub().Member("inside").Attach(t.Context(), "work")
	if err != nil {
		t.Fatal(err)
	}
	for _, text := range []string{"first", strings.Repeat("\x01", 400_000), "last"} {
		if _, err := src.Submit(t.Context(), egs.Event{Values: []dsv.Value{dsv.TextValue(text)}}); err != nil {
			t.Fatal(err)
		}
	}
	for _, want := range []struct {
		text string
		lost wire.Uint
	}{{"first", 0}, {"last", 1}} {
		if e := p.hearEvt(); *e.Attrs["what"].Text != want.text || e.Lost != want.lost {
			t.Errorf("got %.20q after %d lost, want %q after %d", *e.Attrs["what"].Text, e.Lost, want.text, want.lost)
		}
	}
}

// TestPublisherComesBack has a program that also subscribes stay away until its sinks are given up, and checks that what it
// publishes when it is back is numbered on: sinks would drop what begins anew.
func TestPublisherComesBack(t *testing.T) {
	k := open(t, evekernel.Config{Absence: 20 * time.Millisecond})
	for _, n := range []dsv.Name{"work", "other"} {
		if err := k.Hub().Open(egs.Channel{Name: n}); err != nil {
			t.Fatal(err)
		}
	}
	other, err := k.Hub().Member("inside").Attach(t.Context(), "other")
	if err != nil {
		t.Fatal(err)
	}
	sink, p := dial(t, k, wire.Hello{Module: "sink"}), dial(t, k, wire.Hello{Module: "program"})
	if res := sink.ask(wire.Req{ID: 1, Op: wire.OpSubscribe, Name: "work", Sub: 1, Sink: &wire.Sink{Numbered: true}}); res.Code != "" {
		t.Fatalf("%+v", res)
	}
	for n := range 3 {
		if res := p.ask(wire.Req{ID: 1, Op: wire.OpSubscribe, Name: "other", Sub: 1}); res.Code != "" {
			t.Fatalf("%+v", res)
		}
		if res := p.ask(wire.Req{ID: 2, Op: wire.OpPublish, Event: &wire.Evt{Channel: "work"}}); res.Delivered != 1 {
			t.Fatalf("%+v", res)
		}
		if e := sink.hearEvt(); e.Seq != wire.Uint(n+1) {
			t.Errorf("event %d has number %d", n+1, e.Seq)
		}
		_ = p.conn.Close()
		for late := time.Now().Add(patience); len(other.Sinks()) > 0; time.Sleep(time.Millisecond) {
			if time.Now().After(late) {
				t.Fatal("the program's sink stays")
			}
		}
		p = dial(t, k, wire.Hello{Module: "program", Resume: p.w.Session, Writer: p.w.Writer, Epoch: p.w.Epoch})
	}
}
