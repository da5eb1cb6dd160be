package service_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/eve-emulation/eve/dmm"
	"github.com/eve-emulation/eve/dsv"
	"github.com/eve-emulation/eve/fase/service"
	"github.com/eve-emulation/eve/fase/user"
	"github.com/eve-emulation/eve/rdr"
)

// TestChaos holds whatever happens to the laws: each request is answered once, and in the end nothing is left.
func TestChaos(t *testing.T) {
	n := uint64(100)
	if testing.Short() {
		n = 20
	}
	for _, gentle := range []bool{false, true} {
		for seed := range n {
			t.Run(fmt.Sprintf("gentle=%v/%d", gentle, seed), func(t *testing.T) {
				w := newWorld(t, seed, gentle)
				w.finish()
				if seed%10 != 0 {
					return
				}
				again := newWorld(t, seed, gentle)
				again.finish()
				if w.hash != again.hash {
					t.Error("the same seed gave other effects")
				}
			})
			if t.Failed() {
				return
			}
		}
	}
}

// finish runs until nothing is under way and checks what must hold then.
func (w *world) finish() {
	end := chaosEnd + dsv.At(chaosRest)
	w.driver.Run(end)
	for _, h := range w.hosts {
		h.Settle(end)
		if err := h.Idle(); err != nil {
			w.t.Error(err)
		}
	}
	for i, f := range w.flights {
		if !f.lost && f.replies != 1 {
			w.t.Errorf("call %d to server %d: got %d replies, want 1", i, f.node, f.replies)
		}
	}
	if n := len(w.out); n != 0 {
		w.t.Errorf("calls without an answer: got %d", n)
	}
	w.set.Advance(end)
	for i, g := range w.groups {
		g.Settle(end)
		if err := g.Idle(); err != nil {
			w.t.Error(err)
		}
		n := w.users[i].Name
		if x, y := w.number(n+".issued"), w.number(n+".requests"); x != y {
			w.t.Errorf("%s: %v issued, %v finished", n, x, y)
		}
		w.little(n, end)
	}
	if w.gentle {
		w.conserved()
	}
}

// little checks that requests in flight, integrated, are the sum of response times. Forks stay in flight for longer.
func (w *world) little(group string, end dsv.Instant) {
	if sum, area := w.number(group+".latency"), w.number(group+".in_flight")*end.Seconds(); area < sum*(1-1e-9)-1e-9 || w.gentle && area > sum*(1+1e-9)+1e-9 {
		w.t.Errorf("%s: response times sum to %v s, requests in flight to %v s", group, sum, area)
	}
}

// conserved checks that what was asked of resources was delivered, and that no request was faster than its demand.
func (w *world) conserved() {
	for _, x := range w.topo.Servers {
		for _, r := range []string{"cpu", "link"} {
			if q, d := w.number(x+"."+r+".requested"), w.number(x+"."+r+".delivered"); d < q*(1-1e-6)-1e-6 || d > q*(1+1e-6)+1e-6 {
				// Copies that were given up leave their last chunk.
				w.t.Errorf("%s.%s: requested %v s, delivered %v s", x, r, q, d)
			}
		}
	}
	w.set.Close(chaosEnd + dsv.At(chaosRest))
	records := map[string][]user.Record{}
	for _, d := range w.set.Take(nil) {
		for b := range dmm.Records(d.Value.Bytes) {
			if strings.HasSuffix(string(d.Name), ".records") {
				records[string(d.Name)] = append(records[string(d.Name)], user.DecodeRecord(b))
			}
		}
	}
	for i := range w.users {
		for _, r := range records[w.users[i].Name+".records"] {
			if least := w.demand(w.users[i].Request, r.Key); r.Done.Sub(r.Due) < least {
				w.t.Errorf("request %x took %v, its demand %v", r.Key, r.Done.Sub(r.Due), least)
			}
			if r.Cause != service.OK {
				w.t.Errorf("request %x: %v where nothing fails", r.Key, r.Cause)
			}
		}
	}
}

// demand is the least time that a request without parallel parts takes. What comes after a reply is waited for by nobody.
func (w *world) demand(b *rdr.Block, key rdr.Key) time.Duration {
	var sum time.Duration
	replied := false
	b.Draw(key, "", func(d *rdr.Demand) {
		if replied = replied || d.Op == rdr.OpReply; replied {
			return
		}
		switch d.Op {
		case rdr.OpCPU:
			sum += time.Duration(float64(d.N)/w.speed) - 1
		case rdr.OpWait:
			sum += time.Duration(d.N)
		case rdr.OpCall:
			sum += w.demand(d.Block, d.Key)
		}
	})
	return sum
}

func (w *world) number(n string) float64 {
	x, _ := w.set.Var(dsv.Name(n)).Read().Number()
	return x
}
