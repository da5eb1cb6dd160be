package solve

import "slices"

// A layer is a pool whose workers are solved together with what is below them: it is a station that is as fast as its busy workers are, all alone,
// in the network of what they go through (flow equivalence: Chandy, Herzog and Woo, "Parametric Analysis of Queuing Networks", IBM Journal of
// Research and Development 19(1), 1975), beside the other load of the stations that they share. So who waits for a worker and who waits below for
// a processor are not counted twice, nor forgotten: one pool over one processor is that processor's queue, whatever the number of workers.
type layer struct {
	station int
	passes  []pass
}

// A pass is what an entry does from getting a worker to giving it back.
type pass struct {
	entry, hold int
	share       float64 // of the entry's visits to the hold that are to this station
	asks        []asked // of one pass, in the order of stations
}

// asked is what a pass asks of one station.
type asked struct {
	station int
	copies  float64 // among which it is spread evenly
	visits  float64 // of pools
	demand  float64 // s
}

// Beyond so many workers, or steps of the network's convolution, what is below a pool is taken as it is without its bound.
const (
	mostWorkers = 4096
	mostSteps   = 400_000
)

// layers finds the pools that are solved with what is below them: in order of arrival, without branches that go on at once, callees before callers.
func (b *builder) layers() {
	found := map[int]int{} // by station
	barred, solved := map[int]bool{}, map[int]bool{}
	for _, e := range b.net.entries {
		for h := len(e.hold) - 1; h >= 0; h-- {
			for i := range e.hold[h].visits {
				v := &e.hold[h].visits[i]
				st := &b.net.stations[v.station]
				at := below{net: &b.net, kind: st.server, sums: map[int]*asked{}, serial: true}
				if h+1 < len(e.hold) {
					at.hold(e.hold[h+1].visits, 1, true)
				} else {
					at.walk(e.root, 1, true, true)
				}
				if !at.serial || st.order != fcfs || st.servers > mostWorkers {
					barred[v.station] = true
					continue
				}
				k, ok := found[v.station]
				if !ok {
					k = len(b.net.layers)
					found[v.station] = k
					b.net.layers = append(b.net.layers, layer{station: v.station})
				}
				l := &b.net.layers[k]
				l.passes = append(l.passes, pass{e.id, h, v.share, at.sorted()})
			}
		}
	}
	kept := b.net.layers[:0]
	for _, l := range b.net.layers {
		for _, p := range l.passes {
			for _, a := range p.asks {
				if b.net.stations[a.station].kind == Pool && !solved[a.station] {
					barred[l.station] = true
				}
			}
		}
		if !barred[l.station] {
			kept, solved[l.station] = append(kept, l), true
		}
	}
	b.net.layers = kept
}

// stacked reports whether a station is solved together with what is below it.
func (b *builder) stacked(k int) bool {
	closed := slices.ContainsFunc(b.net.groups, func(p population) bool { return p.users > 0 })
	return !closed && slices.ContainsFunc(b.net.layers, func(l layer) bool { return l.station == k })
}

// below sums what is asked below a pool at servers of one kind.
type below struct {
	net    *network
	kind   int
	sums   map[int]*asked
	serial bool
}

func (w *below) sorted() []asked {
	var out []asked
	for k := range w.net.stations {
		if a := w.sums[k]; a != nil && a.visits > 0 {
			out = append(out, *a)
		}
	}
	return out
}

// hold adds visits, p times: at home those of the pool's own server.
func (w *below) hold(visits []visit, p float64, home bool) {
	shares, here := 0.0, -1
	for i := range visits {
		shares += visits[i].share
		if home && w.net.stations[visits[i].station].server == w.kind {
			here = i
		}
	}
	for i := range visits {
		v := &visits[i]
		share, copies := v.share, float64(len(w.net.stations[v.station].names))
		if here >= 0 {
			if i != here {
				continue
			}
			share, copies = shares, 1
		}
		a := w.sums[v.station]
		if a == nil {
			a = &asked{station: v.station, copies: copies}
			w.sums[v.station] = a
		}
		a.copies = min(a.copies, copies)
		a.visits += p * share
		a.demand += p * share * v.m1
	}
}

// walk adds what an act asks that is done p times. home says that it is at the pool's own server, and own that the worker itself does it, and not one
// whose reply it waits for.
func (w *below) walk(a *act, p float64, home, own bool) (replied bool) {
	switch a.verb {
	case doFork:
		return false // nobody waits
	case doLock:
		w.hold(a.visits, p, home)
		w.walk(a.body[0], p, home, own)
	case doPar:
		w.serial = false
	case doDemand:
		w.hold(a.visits, p, home)
	case doReply:
		if !own {
			w.hold(a.visits, p, home)
		}
		return true
	case doSeq:
		for _, x := range a.body {
			if w.walk(x, p, home, own) {
				if replied = true; !own {
					break
				}
			}
		}
	case doChoose:
		for i, x := range a.body {
			w.walk(x, p*a.p[i], home, own)
		}
	case doRepeat:
		w.walk(a.body[0], p*a.amount.m1, home, own)
	case doCall:
		w.hold(a.visits, p, home)
		w.call(a.entry, p, home && a.entry.local)
	default:
		for _, x := range a.body {
			w.walk(x, p, home, own)
		}
	}
	return replied
}

// call adds what a callee does until its reply: where it has workers of its own, a visit to them.
func (w *below) call(e *entry, p float64, home bool) {
	if len(e.hold) == 0 {
		w.walk(e.root, p, home, false)
		return
	}
	w.hold(e.hold[0].visits, p, home)
	for _, x := range e.root.body {
		if x.verb == doReply {
			w.hold(x.visits, p, home)
		}
	}
	e.root.each(func(a *act) { w.serial = w.serial && a.verb != doPar })
}
