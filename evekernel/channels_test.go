package evekernel_test

import (
	"context"
	"encoding/json"
	"testing"
	"time"

	"github.com/eve-emulation/eve/dsv"
	"github.com/eve-emulation/eve/evekernel"
	"github.com/eve-emulation/eve/evekernel/egs"
	"github.com/eve-emulation/eve/evekernel/wire"
)

// sayText says a frame as a program writes it.
func (p *talker) sayText(text string) {
	p.t.Helper()
	var f wire.Frame
	if err := json.Unmarshal([]byte(text), &f); err != nil {
		p.t.Fatal(err)
	}
	p.say(&f)
}

// hearEvt returns the next event, past answers to requests.
func (p *talker) hearEvt() *wire.Evt {
	p.t.Helper()
	for {
		if f := p.hear(); f.Evt != nil {
			return f.Evt
		} else if f.Res != nil && f.Res.Code != "" {
			p.t.Fatalf("answer is %+v", f.Res)
		}
	}
}

// TestProgramsOnChannels lets programs that only know JSON filter, ask and answer, with each other and with a member inside
// the kernel's process.
func TestProgramsOnChannels(t *testing.T) {
	k := open(t, evekernel.Config{})
	asker, helper := dial(t, k, wire.Hello{}), dial(t, k, wire.Hello{Module: "helper"})
	helper.sayText(`{"req": {"id": 1, "op": "open", "channel": {"name": "work", "priority": 2, "attrs": [{"name": "size", "kind": "float"}, {"name": "what", "kind": "text"}]}}}`)
	helper.sayText(`{"req": {"id": 2, "op": "subscribe", "name": "work", "sub": 1, "sink": {"facts": {"load": {"float": 0.9}}, "filter": {"expr": "size < 10 and sink.load < 0.5"}}}}`)
	for range 2 {
		if f := helper.hear(); f.Res == nil || f.Res.Code != "" {
			t.Fatalf("answer is %+v", f.Res)
		}
	}
	ask := func(id int, want int) {
		t.Helper()
		res := asker.ask(wire.Req{ID: wire.Uint(id), Op: wire.OpPublish, Event: &wire.Evt{
			Channel: "work", ID: wire.Uint(id), Attrs: map[string]*wire.Value{"size": value(3.5)},
		}})
		if res.Code != "" || res.Delivered != want {
			t.Errorf("event %d: %+v, want it to go to %d", id, res, want)
		}
	}
	ask(1, 0) // the helper's load is too high
	helper.sayText(`{"req": {"id": 3, "op": "describe", "sub": 1, "sink": {"facts": {"load": {"float": 0.1}}}}}`)
	if f := helper.hear(); f.Res == nil || f.Res.Code != "" {
		t.Fatalf("answer is %+v", f.Res)
	}
	ask(2, 1)
	e := helper.hearEvt()
	if e.Sub != 1 || e.ID != 2 || e.Priority != 2 || *e.Attrs["size"].Float != 3.5 || e.Lost != 0 {
		t.Errorf("event is %+v", e)
	}
	helper.say(&wire.Frame{Evt: &wire.Evt{Channel: "work", Re: e.ID, Node: e.Node, Data: []byte("done")}})
	if a := asker.hearEvt(); a.Re != 2 || a.From != "helper" || string(a.Data) != "done" {
		t.Errorf("answer is %+v", a)
	}

	inside, err := k.Hub().Member("inside").Attach(t.Context(), "work")
	if err != nil {
		t.Fatal(err)
	}
	q, err := inside.Ask(t.Context(), egs.Event{Values: []dsv.Value{dsv.FloatValue(1)}})
	if err != nil || q.Asked() != 1 {
		t.Fatalf("asked %d (error %v), want 1", q.Asked(), err)
	}
	e = helper.hearEvt()
	helper.say(&wire.Frame{Evt: &wire.Evt{Channel: "work", Re: e.ID, Node: e.Node}})
	if a, err := q.First(t.Context()); err != nil || a.From != "helper" {
		t.Errorf("answer is %+v (error %v)", a, err)
	}

	helper.sayText(`{"req": {"id": 4, "op": "filter", "sub": 1, "sink": {"filter": {"expr": "sighs > 3"}}}}`)
	if f := helper.hear(); f.Res == nil || f.Res.Code == "" {
		t.Errorf("a filter of what there is not: %+v", f.Res)
	}
	for id, text := range []string{
		`{"req": {"id": 10, "op": "subscribe", "name": "work", "sub": 1}}`,
		`{"req": {"id": 11, "op": "subscribe", "name": "work", "sub": 2, "sink": {"facts": {"No name": {"int": 1}}}}}`,
		`{"req": {"id": 12, "op": "describe", "sub": 9}}`,
		`{"req": {"id": 13, "op": "attach", "name": "nothing"}}`,
		`{"req": {"id": 14, "op": "publish", "event": {"channel": "work", "attrs": {"depth": {"int": 1}}}}}`,
	} {
		helper.sayText(text)
		if f := helper.hear(); f.Res == nil || f.Res.Code == "" || f.Res.ID != wire.Uint(10+id) {
			t.Errorf("%s went well: %+v", text, f.Res)
		}
	}
}

func value(x float64) *wire.Value { return &wire.Value{Float: &x} }

// TestMembersAreKnown checks that a source outside the kernel is told of members, that a sink waits until it knows, and
// what becomes of the sinks of those who end.
func TestMembersAreKnown(t *testing.T) {
	k := open(t, evekernel.Config{})
	if err := k.Hub().Open(egs.Channel{Name: "work"}); err != nil {
		t.Fatal(err)
	}
	source := dial(t, k, wire.Hello{Module: "source"})
	res := source.ask(wire.Req{ID: 1, Op: wire.OpAttach, Name: "work"})
	if res.Peers == nil || len(res.Peers.List) != 0 {
		t.Fatalf("attached: %+v, want no members", res)
	}
	joins := func(p *talker) wire.Uint {
		t.Helper()
		p.say(&wire.Frame{Req: &wire.Req{ID: 1, Op: wire.OpSubscribe, Name: "work", Sub: 1, Sink: &wire.Sink{Numbered: true}}})
		f := source.hear()
		if f.Peers == nil || len(f.Peers.List) != 1 || f.Peers.List[0].Left {
			t.Fatalf("the source is told %+v, want one that joined", f)
		}
		select {
		case f := <-p.heard:
			t.Fatalf("subscribed before the source knows: %+v", f)
		case <-time.After(20 * time.Millisecond):
		}
		source.say(&wire.Frame{Req: &wire.Req{ID: 2, Op: wire.OpSeen, Name: "work", Version: f.Peers.Version}})
		if f := source.hear(); f.Res == nil {
			t.Fatalf("answer is %+v", f)
		}
		if f := p.hear(); f.Res == nil || f.Res.Code != "" {
			t.Fatalf("answer is %+v", f.Res)
		}
		return f.Peers.List[0].Node
	}
	leaves := func(node wire.Uint) {
		t.Helper()
		if f := source.hear(); f.Peers == nil || len(f.Peers.List) != 1 || !f.Peers.List[0].Left || f.Peers.List[0].Node != node {
			t.Fatalf("the source is told %+v, want that %d left", f, node)
		}
	}
	guest := dial(t, k, wire.Hello{})
	node := joins(guest)
	_ = guest.conn.Close()
	leaves(node) // a guest that is lost does not come back

	module := dial(t, k, wire.Hello{Module: "sink"})
	node = joins(module)
	_ = module.conn.Close()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	inside, err := k.Hub().Member("inside").Attach(ctx, "work")
	if err != nil {
		t.Fatal(err)
	}
	for range 3 { // a module may: its events wait, or are missing in the count
		if n, err := inside.Submit(ctx, egs.Event{}); n != 1 || err != nil {
			t.Errorf("went to %d (error %v), want 1", n, err)
		}
	}
	again := dial(t, k, wire.Hello{Module: "sink", Resume: module.w.Session, Writer: module.w.Writer, Epoch: module.w.Epoch})
	if now := joins(again); now != node {
		t.Errorf("came back as %d, was %d", now, node)
	}
	if n, err := inside.Submit(ctx, egs.Event{}); n != 1 || err != nil {
		t.Errorf("went to %d (error %v), want 1", n, err)
	}
	for seq, e := wire.Uint(0), new(wire.Evt); e.Seq < 4; seq = e.Seq {
		if e = again.hearEvt(); e.Seq <= seq || e.Seq > 4 || e.Lost != 0 {
			t.Fatalf("event %+v after number %d of 4", e, seq)
		}
	}
	again.say(&wire.Frame{Bye: &wire.Bye{}})
	leaves(node)
	if n, err := inside.Submit(ctx, egs.Event{}); n != 0 || err != nil {
		t.Errorf("went to %d (error %v), want nobody", n, err)
	}
}
