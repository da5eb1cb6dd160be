package bench

import (
	"context"
	"math"
	"runtime"
	"sync"
	"time"

	"github.com/eve-emulation/eve/dmm"
	"github.com/eve-emulation/eve/dsv"
)

// hot measures a write under a manipulator beside the least that it could cost.
type hot struct{ cfg Config }

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
	forms := []*written{{name: "bare lock and bucket", write: new(bare).Write, both: new(bare).Write, rest: func() {}}}
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
		for _, f := range forms {
			f.alone = append(f.alone, f.time(f.write, n, 1))
		}
		for _, f := range forms {
			f.shared = append(f.shared, f.time(f.both, n/2, 2))
		}
		for _, f := range forms {
			f.allocs = append(f.allocs, f.allocations(n))
		}
	}
	x.report(r, forms)
	return nil
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
	alone, shared := NewFigure(Seconds, forms[0].alone...), NewFigure(Seconds, forms[0].shared...)
	t := &Table{
		Card: "speed", Title: "a write under a histogram manipulator", Head: "one writer", Also: []string{"over bare", "two writers", "over bare", "allocations"},
		Note: "two writers: the time that each of them takes for a write",
	}
	for i, f := range forms {
		a, s := NewFigure(Seconds, f.alone...), NewFigure(Seconds, f.shared...)
		t.Rows = append(t.Rows, Row{Name: f.name, Ours: a, Also: []Figure{Ratio(a, alone), s, Ratio(s, shared), NewFigure(One, f.allocs...)}})
		if i == 0 {
			continue
		}
		r.Shapes = append(r.Shapes,
			goal(AtMost("speed", f.name+", one writer", a, 25e-9)),
			goal(AtMost("speed", f.name+", two writers", s, 50e-9)),
			goal(AtMost("speed", f.name+", allocations for each write", NewFigure(One, f.allocs...), 0.05)))
	}
	r.Tables = append(r.Tables, t)
}
