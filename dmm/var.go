package dmm

import (
	"runtime"
	"sync"
	"sync/atomic"
	"unsafe"

	"github.com/eve-emulation/eve/dsv"
)

// A Var is one manipulated variable of one participant. Any goroutine may write it. Writes of one goroutine at a time
// meet one uncontended lock; once two have met, each keeps to a shard of its own. The methods of a nil Var do nothing,
// so that a core need not know what is measured.
type Var struct {
	spec  Spec
	man   Manipulator
	set   *Set
	alone bool // never sharded: the fold or a trigger depends on the order of writes
	lean  bool // one goroutine does everything, and never reads
	level bool // a trigger looks at what is written
	count int64
	lot   int64 // shards whose writers have met count so many writes at a time, before they come
	// numeric says that samples are taken.
	numeric bool

	first  shard
	extra  atomic.Pointer[[shards]shard] // made when two writers met
	_      [64]byte                      // what every write reads stays apart from what they change
	writes atomic.Int64                  // not synchronised, or about to be written, for a count trigger, once writers have met
	_      [64]byte

	// emit guards what follows, and is taken before any shard's lock.
	emit    sync.Mutex
	drained []part // taken from shards, not yet handed out; in the order of their windows
	total   *dsv.Fold
	hist    *dsv.Counts // in place of total, where histograms are added up
	pending []*dsv.Hist // to be added to hist, by others than writers
	until   dsv.Instant // the end of the window that was handed out last
	seq     uint64
	spoke   bool // the last delta was not empty
	faulted bool // OnFault was told
}

// shards is the number of shards of a Var whose writers have met.
const shards = 8

// maxChunk is the size at which records are synchronised whatever the trigger says.
const maxChunk = 128 << 10

// part is what one shard was told during one window.
type part struct {
	end    dsv.Instant
	value  dsv.Value
	weight float64
	writes int
	level  float64 // after them
}

// Write folds the sample x in, which was taken at the instant at. Samples that are not finite are ignored and counted
// by [Set.Ignored].
func (v *Var) Write(at dsv.Instant, x float64) {
	if v == nil {
		return
	}
	if s := &v.first; v.lean && s.only != nil && at <= s.end && x-x == 0 {
		s.n++
		s.only.Add(x)
		return
	}
	v.WriteWeighted(at, x, 1)
}

// WriteWeighted adds to a mean: sum is the sum of weight × sample, for instance the area under a queue's length, and
// weight the sum of weights, for instance seconds. Other manipulators take sum for one sample.
func (v *Var) WriteWeighted(at dsv.Instant, sum, weight float64) {
	if v == nil {
		return
	}
	if sum-sum != 0 || weight-weight != 0 || !v.numeric {
		v.set.ignored.Add(1)
		return
	}
	s := &v.first
	if v.lean {
		v.foldIn(s, at, sum, weight)
		return
	}
	if v.extra.Load() != nil || !s.mu.TryLock() {
		s = v.lock()
	}
	if c := s.counts; c != nil && at <= s.end {
		s.n++
		c.Add(sum)
	} else {
		shadow := s.window(v, at)
		if s.timed != nil {
			s.timed.Now(at)
		}
		shadow.Write(sum, weight)
	}
	if !v.level && v.count == 0 {
		s.mu.Unlock()
		return
	}
	fired := v.level && s.look(v, sum, weight)
	full := v.count > 0 && s.tally(v)
	since := s.start
	s.mu.Unlock()
	if fired || full {
		v.cut(max(at, since+1), !fired) // of the window that it went to, where it was late
	}
}

// foldIn is WriteWeighted where one goroutine does everything.
func (v *Var) foldIn(s *shard, at dsv.Instant, sum, weight float64) {
	shadow := s.window(v, at)
	if s.timed != nil {
		s.timed.Now(at)
	}
	shadow.Write(sum, weight)
	if !v.level && v.count == 0 {
		return
	}
	fired := v.level && s.look(v, sum, weight)
	full := v.count > 0 && s.tally(v)
	if fired || full {
		v.cut(max(at, s.start+1), !fired)
	}
}

// WriteValue writes a whole value: text or bytes to a last. Numbers are samples. The caller gives up its bytes.
func (v *Var) WriteValue(at dsv.Instant, x dsv.Value) {
	if v == nil {
		return
	}
	exact := x.Kind == dsv.Int && v.man.AnyKind && v.total.Kind() == dsv.Int // a float does not hold every int
	if f, ok := x.Number(); ok && v.man.Merge != dsv.Append && !exact {
		v.Write(at, f)
		return
	}
	if x.Kind != v.total.Kind() || x.Check(x.Kind) != nil {
		v.set.ignored.Add(1)
		return
	}
	v.put(at, x)
}

// Append adds one record to records, and to nothing else. The bytes remain the caller's. Records past 64 KiB are
// ignored and counted by [Set.Ignored].
func (v *Var) Append(at dsv.Instant, record []byte) {
	if v == nil {
		return
	}
	if v.man.Merge != dsv.Append || len(record) > maxChunk/2 {
		v.set.ignored.Add(1)
		return
	}
	if s := &v.first; v.lean && s.chunks != nil && at <= s.end {
		s.n++
		if s.chunks.add(record); len(s.chunks.chunk) >= maxChunk {
			v.cut(max(at, s.start+1), false)
		}
		return
	}
	v.put(at, dsv.BytesValue(record))
}

// Merge folds in what a delta of the same kind and rule carries: not one sample, but all those that are in it. A shadow
// that is no [Merger] takes the value for one sample.
func (v *Var) Merge(at dsv.Instant, x dsv.Value, weight float64) {
	if v == nil {
		return
	}
	if x.Kind != v.total.Kind() || x.Check(x.Kind) != nil || weight-weight != 0 {
		v.set.ignored.Add(1)
		return
	}
	s := v.lock()
	shadow := s.window(v, at)
	s.tell(at)
	if m, ok := shadow.(Merger); ok {
		m.Merge(x, weight)
	} else {
		shadow.WriteValue(x)
	}
	fired := v.level && s.reached(v, v.merged(s, x, weight))
	full := v.count > 0 && s.tally(v)
	since := s.start
	s.mu.Unlock()
	if fired || full {
		v.cut(max(at, since+1), !fired)
	}
}

// merged is the level after a merge. Callers hold the shard's lock.
func (v *Var) merged(s *shard, x dsv.Value, weight float64) float64 {
	if s.leveler != nil {
		return s.leveler.Level()
	}
	if x.Kind == dsv.Histogram {
		return x.Hist.Mean()
	}
	n, _ := x.Number()
	some := s.seen == s.seen
	switch v.man.Merge {
	case dsv.Mean:
		if weight != 0 {
			n /= weight
		}
	case dsv.Sum:
		if some {
			n += s.seen
		}
	case dsv.Min:
		if some {
			n = min(n, s.seen)
		}
	case dsv.Max:
		if some {
			n = max(n, s.seen)
		}
	}
	return n
}

// put writes a whole value.
func (v *Var) put(at dsv.Instant, x dsv.Value) {
	s := v.lock()
	shadow := s.window(v, at)
	s.tell(at)
	shadow.WriteValue(x)
	r, is := shadow.(*records)
	due := is && len(r.chunk) >= maxChunk
	if v.level {
		n, _ := x.Number()
		due = s.look(v, n, 1)
	}
	full := v.count > 0 && s.tally(v)
	since := s.start
	s.mu.Unlock()
	if due || full {
		v.cut(max(at, since+1), !due)
	}
}

// Read returns the shadow rendered: all that this participant wrote (of a lean Set, nothing), also what is not synchronised; of a rate, the mean
// over the windows that ended. A value without a kind when nothing was written.
func (v *Var) Read() dsv.Value {
	if v == nil || v.lean {
		return dsv.Value{}
	}
	v.emit.Lock()
	defer v.emit.Unlock()
	v.drain()
	v.addUp()
	switch {
	case v.hist != nil && v.hist.Count() > 0:
		return dsv.HistValue(v.hist.Hist())
	case v.total.Empty():
		return dsv.Value{}
	}
	return v.total.Value()
}

// lock returns the caller's shard, locked.
func (v *Var) lock() *shard {
	if all := v.extra.Load(); all != nil {
		s := &all[ownShard()]
		s.mu.Lock()
		return s
	}
	s := &v.first
	if s.mu.TryLock() {
		return s
	}
	if !v.alone {
		v.first.share(v)
		all := new([shards]shard)
		for i := range all {
			all[i].init(v)
		}
		v.extra.CompareAndSwap(nil, all)
		return v.lock()
	}
	s.mu.Lock()
	return s
}

// acquire takes a lock that nobody holds for more than some microseconds. It yields rather than sleeps: waking a thread
// takes longer.
func acquire(mu *sync.Mutex) {
	for range 64 {
		if mu.TryLock() {
			return
		}
		runtime.Gosched()
	}
	mu.Lock()
}

// ownShard is the same for one goroutine as long as its stack stays where it is, and another for a neighbour: stacks begin with
// 2 KiB. Event loops and worker threads, which write most, keep to their own shards. Any answer is right.
func ownShard() uint64 {
	var here byte
	return (uint64(uintptr(unsafe.Pointer(&here))) >> 11 * 0x9e3779b97f4a7c15) >> 61
}
