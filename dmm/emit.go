package dmm

import (
	"math"

	"github.com/eve-emulation/eve/dsv"
)

// cut synchronises at once what was written, except to windows after that of at. Where only the count asks for it, another
// writer may have done so meanwhile.
func (v *Var) cut(at dsv.Instant, counted bool) {
	if v.flush(at, counted) {
		v.set.signal()
	}
}

// flush is cut without word of it; it says whether there was something to do.
func (v *Var) flush(at dsv.Instant, counted bool) bool {
	acquire(&v.emit)
	defer v.emit.Unlock()
	if counted && v.extra.Load() != nil && v.writes.Load() < v.count {
		return false
	}
	v.drain()
	v.hand(at, v.boundaryAfter(at))
	return true
}

// examine tells, once, that the shadow failed.
func (v *Var) examine() {
	if v.faulted {
		return
	}
	if err := v.first.fault(); err != nil {
		v.faulted = true
		v.spec.OnFault(v.spec.Name, err)
	}
}

// boundary ends the window of a time trigger.
func (v *Var) boundary(at dsv.Instant) {
	v.emit.Lock()
	defer v.emit.Unlock()
	v.drain()
	if v.hand(at, at) {
		return
	}
	if v.man.Silence == Sliding && v.spoke {
		v.slide(at)
		return
	}
	if v.man.Silence == Always || v.man.Silence == Once && v.spoke {
		v.send(at, v.nothing(), 0)
		v.spoke = false
	}
}

// slide sends what the shadow holds at the end of a window without writes.
func (v *Var) slide(at dsv.Instant) {
	s := &v.first
	s.mu.Lock()
	if s.cur == nil {
		s.mu.Unlock()
		return
	}
	s.tell(at)
	value, _ := s.cur.Take()
	s.mu.Unlock()
	v.total.Add(&dsv.Delta{T1: at, Value: value})
	v.send(at, value, 0)
	v.spoke = value.Kind == dsv.Histogram && value.Hist.Count() > 0
}

// close hands out everything, however far its window reaches.
func (v *Var) close(at dsv.Instant) {
	v.emit.Lock()
	defer v.emit.Unlock()
	v.drain()
	if !v.hand(at, dsv.Never) && v.man.Silence == Always && at > v.until {
		v.send(at, v.nothing(), 0)
	}
	v.first.shut(v)
	if all := v.extra.Load(); all != nil {
		for i := range all {
			all[i].shut(v)
		}
	}
}

// drain takes what the shards hold. Callers hold emit.
func (v *Var) drain() {
	v.first.drain(v)
	if all := v.extra.Load(); all != nil {
		for i := range all {
			all[i].drain(v)
		}
	}
}

// addUp adds up the histograms that were drained. Callers hold emit.
func (v *Var) addUp() {
	for i, h := range v.pending {
		v.hist.AddHist(h)
		v.pending[i] = nil
	}
	v.pending = v.pending[:0]
}

// add files a part by its window. Callers hold emit.
func (v *Var) add(p part) {
	switch {
	case v.lean: // nobody reads
	case v.hist != nil:
		v.pending = append(v.pending, p.value.Hist)
	case !v.man.PerSecond:
		v.total.Add(&dsv.Delta{T1: p.end, Value: p.value, Weight: p.weight})
	}
	i := len(v.drained)
	for i > 0 && v.drained[i-1].end > p.end {
		i--
	}
	v.drained = append(v.drained, part{})
	copy(v.drained[i+1:], v.drained[i:])
	v.drained[i] = p
}

// hand sends the windows that end by limit, as though they ended by at; it says whether there were any.
func (v *Var) hand(at, limit dsv.Instant) bool {
	sent, rest := 0, v.drained
	for len(rest) > 0 && rest[0].end <= limit {
		n, end := 1, min(rest[0].end, at)
		for n < len(rest) && rest[n].end <= limit && min(rest[n].end, at) == end && v.man.Merge != dsv.Append {
			n++
		}
		value, weight := v.fold(rest[:n])
		v.send(end, value, weight)
		v.spoke = true
		v.handed(rest[:n])
		rest = rest[n:]
		sent += n
	}
	kept := copy(v.drained, rest)
	clear(v.drained[kept:])
	v.drained = v.drained[:kept]
	return sent > 0
}

// handed accounts for parts that were sent: they no longer count, and levels are compared with theirs.
func (v *Var) handed(ps []part) {
	if v.count > 0 {
		n := 0
		for i := range ps {
			n += ps[i].writes
		}
		v.first.forget(v, int64(n))
	}
	if v.level {
		v.first.mu.Lock()
		v.first.sent = ps[len(ps)-1].level
		v.first.mu.Unlock()
	}
}

// fold merges the parts of one window.
func (v *Var) fold(ps []part) (dsv.Value, float64) {
	if len(ps) == 1 {
		return ps[0].value, ps[0].weight
	}
	f := dsv.NewFold(v.total.Kind(), v.man.Merge)
	for i := range ps {
		f.Add(&dsv.Delta{T1: ps[i].end, Value: ps[i].value, Weight: ps[i].weight})
	}
	return f.Raw(), f.Weight()
}

// send hands one delta out, whose window ends at end.
func (v *Var) send(end dsv.Instant, value dsv.Value, weight float64) {
	end = max(end, v.until)
	v.seq++
	d := dsv.Delta{
		Name: v.spec.Name, Writer: v.set.writer, Epoch: v.set.epoch, Seq: v.seq,
		T0: v.until, T1: end, Value: value, Weight: weight,
	}
	if v.man.PerSecond {
		d.Weight = end.Sub(v.until).Seconds()
		v.total.Add(&d)
	}
	v.until = end
	v.set.push(d)
}

// nothing is what a delta without samples holds.
func (v *Var) nothing() dsv.Value {
	val := dsv.Value{Kind: v.total.Kind()}
	if val.Kind == dsv.Histogram {
		val.Hist = dsv.MergeHists()
	}
	return val
}

// boundaryAfter returns the end of the window that holds at.
func (v *Var) boundaryAfter(at dsv.Instant) dsv.Instant {
	every := dsv.Instant(v.spec.Sync.Every)
	if every == 0 || at > math.MaxInt64-every {
		return dsv.Never
	}
	if at <= 0 {
		return every
	}
	return (at + every - 1) / every * every
}
