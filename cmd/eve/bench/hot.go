package bench

import (
	"context"
	"math"
	"runtime"
	"sync"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"

	"github.com/eve-emulation/eve/dmm"
	"github.com/eve-emulation/eve/dsv"
)

// hot measures a write under a manipulator beside the least that it could cost.
type hot struct{ cfg Config }

// What a write may cost, of a bare record of HdrHistogram in the same run. The goals are 25 ns alone and 50 ns shared where such
// a record takes 7 ns; nanoseconds alone change by a third within minutes with the clock of the processor.
const (
	hotAlone  = 25.0 / 7
	hotShared = 50.0 / 7
)

// bare is the least that a write to a histogram which several may do can cost: a lock, a bucket, a count.
type bare struct {
	mu     sync.Mutex
	counts [1 << 12]uint64
	n      uint64
	sum    float64
}

func (b *bare) Write(_ dsv.Instant, x float64) {
	b.mu.Lock()
	b.counts[math.Float64bits(x)>>44&(1<<12-1)]++
	b.n++
	b.sum += x
	b.mu.Unlock()
}

// A written is one form of it.
type written struct {
	name   string
	write  func(at dsv.Instant, x float64) // of the variable that one goroutine writes
	both   func(at dsv.Instant, x float64) // of the one that two share: a variable whose writers have met stays divided
	rest   func()                          // between rounds
	alone  []float64
	shared []float64
	allocs []float64
}

func (x *hot) run(_ context.Context, r *Report) error {
	x.cfg.say("a write under a manipulator")
	hdr := hdrhistogram.New(1, time.Hour.Nanoseconds(), 3)
	forms := []*written{
		{name: "bare record of HdrHistogram", rest: func() {}},
		{name: "bare lock and bucket", write: new(bare).Write, both: new(bare).Write, rest: func() {}},
	}
	for _, t := range []struct {
		name string
		sync dmm.Trigger
	}{{"histogram, every: 100ms", dmm.Trigger{Every: 100 * time.Millisecond}}, {"histogram, count: 1000", dmm.Trigger{Count: 1000}}} {
		set, err := dmm.NewSet(1, 1, []dmm.Spec{
			{Name: "bench.alone", Manipulator: "histogram", Sync: t.sync}, {Name: "bench.shared", Manipulator: "histogram", Sync: t.sync},
		})
		if err != nil {
			return err
		}
		var ds []dsv.Delta
		forms = append(forms, &written{name: t.name, write: set.Var("bench.alone").Write, both: set.Var("bench.shared").Write, rest: func() {
			set.Advance(set.Next())
			ds = set.Take(ds[:0])
		}})
	}
	n := pick(x.cfg, 200_000, 5000)
	for range pick(x.cfg, 101, 2) {
		forms[0].alone = append(forms[0].alone, record(hdr, n))
		for _, f := range forms[1:] {
			f.alone = append(f.alone, f.time(f.write, n, 1))
		}
		for _, f := range forms[1:] {
			f.shared = append(f.shared, f.time(f.both, n/2, 2))
		}
		for _, f := range forms[1:] {
			f.allocs = append(f.allocs, f.allocations(n))
		}
	}
	x.report(r, forms)
	return nil
}

// record returns how long a bare record takes, in s: of whole numbers, in a loop that does nothing else.
func record(h *hdrhistogram.Histogram, n int) float64 {
	start := time.Now()
	for i := range int64(n) {
		_ = h.RecordValue(1_000_000 + i&1023*10_000)
	}
	return time.Since(start).Seconds() / float64(n)
}

// time returns how long one write takes, in s, when so many goroutines write.
func (f *written) time(write func(at dsv.Instant, x float64), n, threads int) float64 {
	defer f.rest()
	var wg sync.WaitGroup
	start := time.Now()
	for range threads {
		wg.Go(func() {
			for i := range n {
				write(1, 0.001+float64(i&1023)*1e-5)
			}
		})
	}
	wg.Wait()
	return time.Since(start).Seconds() / float64(n)
}

// allocations returns how many there are for each write.
func (f *written) allocations(n int) float64 {
	defer f.rest()
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	for i := range n {
		f.write(1, 0.001+float64(i&1023)*1e-5)
	}
	runtime.ReadMemStats(&after)
	return float64(after.Mallocs-before.Mallocs) / float64(n)
}

func (x *hot) report(r *Report, forms []*written) {
	record := NewFigure(Seconds, forms[0].alone...)
	t := &Table{
		Card: "speed", Title: "a write under a histogram manipulator", Head: "one writer", Also: []string{"over the record", "two writers", "over the record", "allocations"},
		Note: "two writers: the time that each of them takes for a write; the record: of one writer, without a lock",
	}
	for i, f := range forms {
		alone, shared, allocs := NewFigure(Seconds, f.alone...), NewFigure(Seconds, f.shared...), NewFigure(One, f.allocs...)
		t.Rows = append(t.Rows, Row{Name: f.name, Ours: alone, Also: []Figure{Ratio(alone, record), shared, Ratio(shared, record), allocs}})
		if i < 2 {
			continue
		}
		r.Shapes = append(r.Shapes,
			goal(AtMost("speed", f.name+", one writer, over a bare record", Ratio(alone, record), hotAlone)),
			goal(AtMost("speed", f.name+", two writers, over a bare record", Ratio(shared, record), hotShared)),
			goal(AtMost("speed", f.name+", allocations for each write", allocs, 0.05)))
	}
	r.Tables = append(r.Tables, t)
}
