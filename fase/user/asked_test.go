package user_test

import (
	"math/rand/v2"
	"testing"
	"time"

	"github.com/eve-emulation/eve/dsv"
	"github.com/eve-emulation/eve/fase/user"
	"github.com/eve-emulation/eve/rdr"
)

// What each page of a session asked is found by the keys of the records alone, whatever their order; of strangers nothing is.
func TestAskedOfSessions(t *testing.T) {
	s := visit(t)
	for name, c := range map[string]user.Config{
		"open":   {Seed: 3, Index: 1, Sessions: s, Rate: []user.Point{{Rate: 10}}},
		"closed": {Seed: 3, Index: 1, Sessions: s, Users: 4},
	} {
		t.Run(name, func(t *testing.T) {
			var records []user.Record
			var want []*rdr.Block
			walk := func(key rdr.Key) {
				s.Walk(key, func(_, page int, k rdr.Key, _ dsv.Instant) bool {
					records = append(records, user.Record{Key: k})
					want = append(want, s.Pages[page].Request)
					return true
				})
			}
			const begun = 40
			for i := range uint64(begun) {
				if c.Users > 0 {
					walk(c.Key(i%4, i/4))
				} else {
					walk(c.Key(i, 0))
				}
			}
			records, want = append(records, user.Record{Key: 12345}), append(want, nil)
			rng := rand.New(rand.NewPCG(1, 1))
			rng.Shuffle(len(records), func(i, k int) {
				records[i], records[k] = records[k], records[i]
				want[i], want[k] = want[k], want[i]
			})
			for i, got := range c.Asked(records, begun) {
				if got != want[i] {
					t.Fatalf("record %d of %d: got %v, want %v", i, len(records), got, want[i])
				}
			}
		})
	}
}

// An arrival of a trace asks what its line says, or what the group does.
func TestAskedOfTrace(t *testing.T) {
	own, other := request(t, "call app { cpu 1ms }"), request(t, "call app { cpu 2ms }")
	c := user.Config{Seed: 3, Request: own, Trace: &user.Trace{
		Due: []dsv.Instant{0, dsv.At(time.Second), dsv.At(2 * time.Second)}, Ask: []uint32{1, 0, 1}, Asks: []user.Ask{{}, {Request: other}},
	}}
	got := c.Asked([]user.Record{{Key: c.Key(1, 0)}, {Key: c.Key(2, 0)}, {Key: c.Key(0, 0)}}, 3)
	if want := [3]*rdr.Block{own, other, other}; [3]*rdr.Block(got) != want {
		t.Errorf("got %v, want %v", got, want)
	}
}
