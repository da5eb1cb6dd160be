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

// TestCopyOfDeleted checks that an answer from before a deletion, which is handled after it, does not bring the value
// back, and that an answer that is newer than the copy makes it so.
func TestCopyOfDeleted(t *testing.T) {
	reading := func(r dsv.Revision) dsv.Reading {
		return dsv.Reading{Value: dsv.IntValue(int64(r)), Revision: r}
	}
	l := &replica{name: "x"}
	l.put(dsv.Update{Name: "x", Revision: 1, Reading: reading(1)})
	own := l.asks()
	l.told(reading(2), own)
	if r, ok := l.read(); !ok || r.Revision != 2 {
		t.Errorf("revision %d (%v) is read, 2 was", r.Revision, ok)
	}
	l.put(dsv.Update{Name: "x", Revision: 1, Reading: reading(1)})
	if r, ok := l.read(); !ok || r.Revision != 2 {
		t.Errorf("revision %d (%v) is read after an update that is older than 2", r.Revision, ok)
	}
	own = l.asks()
	l.put(dsv.Update{Name: "x", Revision: 3, Deleted: true})
	l.told(reading(2), own)
	if r, ok := l.read(); ok {
		t.Errorf("revision %d is read of a variable that was deleted", r.Revision)
	}
	own = l.asks()
	l.told(reading(4), own)
	if r, ok := l.read(); !ok || r.Revision != 4 {
		t.Errorf("revision %d (%v) is read of a variable that was made again, want 4", r.Revision, ok)
	}
}
