package modules

import (
	"testing"
	"time"

	"github.com/eve-emulation/eve/dsv"
)

// TestUnreadCopies checks that a copy which nobody reads is dropped, and one that is read is not.
func TestUnreadCopies(t *testing.T) {
	p := NewProxy(Link{Name: "one"}, nil) // which never connects
	now := time.Now()
	for i, n := range []dsv.Name{"read", "unread"} {
		l := &replica{name: n, id: uint64(i + 1)}
		l.put(dsv.Update{Name: n, Reading: dsv.Reading{Value: dsv.IntValue(1), Revision: 1}})
		p.replicas[l.id] = l
		p.changeCopies(func(m map[dsv.Name]*replica) { m[n] = l })
	}
	for range 3 {
		p.sweepCopies(now)
		if l := p.copies.find("read"); l == nil {
			t.Fatal("a copy that is read was dropped")
		} else if _, ok := l.read(); !ok {
			t.Error("the copy is not read")
		}
		now = now.Add(copyUnread)
	}
	if p.copies.find("unread") != nil {
		t.Error("a copy that nobody reads is kept")
	}
	if got := len(p.replicas); got != 1 {
		t.Errorf("%d copies are kept, want 1", got)
	}
}

// TestOften checks which reads begin a copy, and that little is kept of the others.
func TestOften(t *testing.T) {
	var c copies
	now := time.Now()
	for _, s := range []struct {
		name  dsv.Name
		after time.Duration
		want  bool
	}{{"x", 0, false}, {"x", copyWithin, true}, {"x", copyWithin + 1, false}, {"y", 0, false}, {"x", copyWithin, true}} {
		now = now.Add(s.after)
		if got := c.often(s.name, now); got != s.want {
			t.Errorf("%s after %v is read often: %v, want %v", s.name, s.after, got, s.want)
		}
	}
	for i := range 3 * maxCopies {
		c.often(dsv.Name(time.Duration(i).String()), now)
	}
	if len(c.recent) > maxCopies {
		t.Errorf("%d names are kept, at most %d should be", len(c.recent), maxCopies)
	}
}
