package rdr_test

import (
	"math"
	"testing"

	"github.com/eve-emulation/eve/rdr"
)

// What is held is the sum of what is done meanwhile: one CPU second is a second here, one byte of the disk or the link a
// millisecond, and each call takes 100 s beside.
func TestHolds(t *testing.T) {
	cost := rdr.Cost{
		Demand: func(_ string, u rdr.Use) float64 {
			return u.CPU + 1e-3*(u.DiskReadBytes+u.DiskWriteBytes) + 10*u.DiskSyncs + 1e-3*u.ReplyBytes
		},
		Call: func(from, to string) float64 {
			if from == "" {
				return 1e6 // not held by anybody
			}
			return 100
		},
	}
	lock := func(s, l string) rdr.LockAt { return rdr.LockAt{Service: s, Lock: l} }
	for _, tt := range []struct {
		name, body string
		workers    map[string]float64
		locks      map[rdr.LockAt]float64
	}{
		{"sequence", "call a { cpu 1s disk read 1KB wait 2s reply 1KB }", map[string]float64{"a": 5}, nil},
		{"tail work", "call a { reply 1KB cpu 3s }", map[string]float64{"a": 4}, nil},
		{"a call blocks", "call a { cpu 1s call b { cpu exp(2s) } }", map[string]float64{"a": 103, "b": 2}, nil},
		{"lock", "call a { cpu 1s lock l { cpu 2s memory 1B { disk write 1KB sync } } }", map[string]float64{"a": 14}, map[rdr.LockAt]float64{lock("a", "l"): 13}},
		{"lock over a call", "call a { lock l { call b { lock l { cpu 1s } } } }", map[string]float64{"a": 101, "b": 1}, map[rdr.LockAt]float64{lock("a", "l"): 101, lock("b", "l"): 1}},
		{"together", "call a { par { cpu 1s { cpu 2s lock l { cpu 3s } } } }", map[string]float64{"a": 5}, map[rdr.LockAt]float64{lock("a", "l"): 3}},
		{"fork", "call a { cpu 1s fork { lock l { cpu 4s } } }", map[string]float64{"a": 1}, map[rdr.LockAt]float64{lock("a", "l"): 4}},
		{"choose", "call a { choose { 0.25: { cpu 4s } 0.75: { lock l { cpu 8s } } } }", map[string]float64{"a": 7}, map[rdr.LockAt]float64{lock("a", "l"): 6}},
		{"fail", "call a { fail 0.5 lock l { cpu 4s } }", map[string]float64{"a": 2}, map[rdr.LockAt]float64{lock("a", "l"): 2}},
		{"repeat", "call a { repeat 3 { lock l { cpu 1s } } }", map[string]float64{"a": 3}, map[rdr.LockAt]float64{lock("a", "l"): 3}},
		{"repeat that fails", "call a { repeat 2 { cpu 1s fail 0.5 } }", map[string]float64{"a": 1.5}, nil},
		{"retry", "call a { retry 1 backoff 2s { cpu 1s fail 0.5 } }", map[string]float64{"a": 2.5}, nil},
		{"many calls", "repeat 4 { call a { cpu 1s } }", map[string]float64{"a": 4}, nil},
		{"level", "call a { level full { cpu 1s } level lite { cpu 5s } }", map[string]float64{"a": 1}, nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			f, err := rdr.ParseFile("x.rdr", []byte("request x { "+tt.body+" }"), rdr.StartRequest)
			if err != nil {
				t.Fatal(err)
			}
			b, _ := f.Request("x")
			got, err := b.Holds(cost)
			if err != nil {
				t.Fatal(err)
			}
			for s, want := range tt.workers {
				if math.Abs(got.Workers[s]-want) > 1e-9 {
					t.Errorf("workers of %s: got %v s, want %v s", s, got.Workers[s], want)
				}
			}
			for l, want := range tt.locks {
				if math.Abs(got.Locks[l]-want) > 1e-9 {
					t.Errorf("lock %s of %s: got %v s, want %v s", l.Lock, l.Service, got.Locks[l], want)
				}
			}
			if len(got.Workers) != len(tt.workers) || len(got.Locks) != len(tt.locks) {
				t.Errorf("got %+v", got)
			}
		})
	}
}
