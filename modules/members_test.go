package modules_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/eve-emulation/eve/dsv"
	"github.com/eve-emulation/eve/evekernel/egs"
	"github.com/eve-emulation/eve/evekernel/wire"
	"github.com/eve-emulation/eve/modules"
)

// TestManyMembers has a source know all sinks at once where the list of them is too long for one message, at first and
// after a lost connection, which changes no numbers.
func TestManyMembers(t *testing.T) {
	const sinks, each = 10, 3
	k, _ := opened(t)
	r := newRelay(t, k.Addr().String())
	ctx := within(t)
	member := func(name string, by *relay) *modules.Proxy {
		l := linkTo(k, wire.CBOR)
		l.Name = name
		if by != nil {
			l.Dial = by.dial
		}
		return connect(t, l)
	}
	facts := map[string]dsv.Value{}
	for i := range egs.MaxAttrs {
		facts[fmt.Sprintf("f%d", i)] = dsv.TextValue(strings.Repeat("x", 1000))
	}
	there := member("there", nil)
	var subs []egs.Subscription
	for range sinks {
		s, err := there.Subscribe(ctx, egs.SubscribeRequest{Channel: "alarms", Facts: facts})
		if err != nil {
			t.Fatal(err)
		}
		subs = append(subs, s)
	}
	from := member("from", r)
	src, err := from.Attach(ctx, "alarms")
	if err != nil {
		t.Fatal(err)
	}
	if n := len(src.Sinks()); n != sinks {
		t.Errorf("the source begins with %d sinks, want %d", n, sinks)
	}
	for i := range 2 * each {
		if i == each {
			r.cut()
			if err := from.Enter(ctx, "team"); err != nil { // it is back
				t.Fatal(err)
			}
		}
		if n, err := src.Submit(ctx, egs.Event{Values: []dsv.Value{{}, {}, dsv.IntValue(int64(i))}}); n != sinks || err != nil {
			t.Errorf("event %d went to %d (error %v), want %d", i, n, err, sinks)
		}
	}
	for i, s := range subs {
		for n := range 2 * each {
			if e, err := s.Next(ctx); err != nil || e.Values[2].Int != int64(n) {
				t.Fatalf("sink %d got %+v (error %v), want event %d; counts %+v", i, e, err, n, s.Stats())
			}
		}
	}
}
