package user_test

import (
	"testing"
	"time"

	"github.com/eve-emulation/eve/dsv"
	"github.com/eve-emulation/eve/fase/user"
	"github.com/eve-emulation/eve/rdr"
)

// Of a plan at a constant rate the records of a few arrivals tell the instants of all.
func TestRecordedArrivalsAreThoseOfThePlan(t *testing.T) {
	for name, law := range map[string]user.Law{"poisson": user.Poisson, "constant": user.Constant} {
		c := user.Config{Name: "g", Index: 2, Seed: 5, Law: law, Rate: []user.Point{{Rate: 50}}, End: dsv.At(20 * time.Second)}
		var want []dsv.Instant
		var keys []rdr.Key
		for k, at := range c.Arrivals() {
			want, keys = append(want, at), append(keys, k)
		}
		for _, x := range []struct {
			name      string
			of        func(i int) bool
			estimated int // at most
			slack     time.Duration
		}{
			{"all", func(int) bool { return true }, 0, 0},
			{"every tenth", func(i int) bool { return i%10 == 0 }, len(want), time.Microsecond},
			{"all but the last", func(i int) bool { return i < len(want)-30 }, 30, time.Microsecond},
		} {
			var rs []user.Record
			for i := len(want) - 1; i >= 0; i-- { // in any order
				if x.of(i) {
					rs = append(rs, user.Record{Key: keys[i], Due: want[i]})
				}
			}
			got, estimated := c.Recorded(rs, int64(len(want)))
			if got == nil || len(got.Due) != len(want) {
				t.Fatalf("%s, %s: got %v, want %d arrivals", name, x.name, got, len(want))
			}
			for i := range want {
				if off := got.Due[i].Sub(want[i]).Abs(); off > x.slack {
					t.Fatalf("%s, %s: arrival %d: got %v, want %v", name, x.name, i, got.Due[i], want[i])
				}
			}
			if estimated > x.estimated || estimated != len(want)-len(rs) {
				t.Errorf("%s, %s: estimated: got %d, want %d", name, x.name, estimated, len(want)-len(rs))
			}
		}
		if got, _ := c.Recorded(nil, 10); got != nil {
			t.Errorf("%s: without records: got %v, want none", name, got)
		}
	}
}

// Where the rate was set, recorded instants are kept, and those between two of them are in order.
func TestRecordedArrivalsWithinChanges(t *testing.T) {
	c := user.Config{Name: "g", Seed: 5, Rate: []user.Point{{Rate: 50}}, End: dsv.At(100 * time.Second)}
	var rs []user.Record
	for n := uint64(3); n < 400; n += 7 {
		rs = append(rs, user.Record{Key: c.Key(n, 0), Due: dsv.Instant(n * n * 1e5)})
	}
	got, estimated := c.Recorded(rs, 410)
	if len(got.Due) != 410 || estimated != 410-len(rs) {
		t.Fatalf("got %d arrivals, %d estimated, want 410, %d", len(got.Due), estimated, 410-len(rs))
	}
	for n := range got.Due {
		if n%7 == 3 && n < 400 && got.Due[n] != dsv.Instant(n*n)*1e5 {
			t.Errorf("arrival %d: got %v, want %v", n, got.Due[n], dsv.Instant(n*n)*1e5)
		}
		if n > 0 && got.Due[n] < got.Due[n-1] {
			t.Errorf("arrival %d is due before the one before it", n)
		}
	}
}
