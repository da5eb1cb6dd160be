package stage_test

import (
	"context"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/eve-emulation/eve/fase/engine/stage"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// patience bounds every wait of a test that succeeds much sooner.
const patience = 20 * time.Second

// until waits for a condition.
func until(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(patience); !ok(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("%s: has not happened", what)
		}
	}
}

// run runs s until the returned function is called, which waits for its end.
func run[E any](t *testing.T, s *stage.Stage[E]) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	wg.Go(func() { s.Run(ctx) })
	stop = func() {
		cancel()
		wg.Wait()
	}
	t.Cleanup(stop)
	return stop
}

func open[E any](t *testing.T, cfg stage.Config, serve func(*stage.Thread, []E)) *stage.Stage[E] {
	t.Helper()
	s, err := stage.New(cfg, serve)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// TestThreads follows the controller by hand.
func TestThreads(t *testing.T) {
	c := stage.NewThreads(stage.ThreadsConfig{})
	for _, tt := range []struct {
		waiting, threads int
		want             bool
	}{
		{0, 1, false},
		{100, 1, false},
		{101, 1, true},
		{5000, 19, true},
		{5000, 20, false},
	} {
		if got := c.Grow(tt.waiting, tt.threads); got != tt.want {
			t.Errorf("grow with %d waiting and %d threads: got %v, want %v", tt.waiting, tt.threads, got, tt.want)
		}
	}
	for _, tt := range []struct {
		idle    time.Duration
		threads int
		want    bool
	}{
		{5 * time.Second, 2, false},
		{5*time.Second + 1, 2, true},
		{time.Hour, 1, false},
	} {
		if got := c.Retire(tt.idle, tt.threads); got != tt.want {
			t.Errorf("retire after %v of %d threads: got %v, want %v", tt.idle, tt.threads, got, tt.want)
		}
	}
}

// observed has c see so many windows of one second with a rate each, and returns the size after each.
type observed struct {
	c      *stage.Batching
	now    int64
	events uint64
}

func (o *observed) at(rate uint64, windows int) int {
	for range windows {
		o.now += int64(time.Second)
		o.events += rate
		o.c.Observe(o.now, o.events)
	}
	return o.c.Size()
}

// TestBatching follows the search by hand. The average after n windows of rate r from rest is r·(1 − 0.7ⁿ): 0.832 r after
// five, 0.972 r after ten, 0.995 r after fifteen.
func TestBatching(t *testing.T) {
	o := &observed{c: stage.NewBatching(stage.BatchingConfig{Least: 2, Most: 100}, 0)}
	for i, tt := range []struct {
		rate    uint64
		windows int
		want    int
		why     string
	}{
		{1000, 4, 100, "nothing before the fifth window"},
		{1000, 1, 83, "832/s, the first and best: smaller by 1.2"},
		{1000, 5, 69, "972/s, better"},
		{1000, 5, 57, "995/s, better"},
		{950, 5, 47, "957/s: not below 0.9 of 995"},
		{700, 5, 56, "743/s: degraded, larger by 1.2"},
		{700, 5, 67, "707/s: still below 0.98 of 995, larger"},
		{1000, 5, 80, "951/s: 0.956 of the best, larger"},
		{1000, 5, 66, "992/s: recovered, smaller again"},
		{100, 5, 79, "250/s: degraded"},
		{0, 5, 100, "42/s, below a fifth of the best: begins anew, and larger than the largest is not"},
		{5000, 5, 83, "4167/s, more than twice the best: begins anew, best is this"},
	} {
		if got := o.at(tt.rate, tt.windows); got != tt.want {
			t.Fatalf("step %d, %s: got %d at %.0f/s, want %d", i, tt.why, got, o.c.Throughput(), tt.want)
		}
	}
}

// TestBatchingSettles has a stage whose throughput suffers from batches below 20: the batch stays around it.
func TestBatchingSettles(t *testing.T) {
	o := &observed{c: stage.NewBatching(stage.BatchingConfig{}, 0)}
	rate := func(size int) uint64 { return uint64(10_000 * min(1, float64(size)/20)) }
	var sizes []int
	for i := range 100 {
		size := o.at(rate(o.c.Size()), 5)
		if i >= 60 {
			sizes = append(sizes, size)
		}
	}
	if least, most := slices.Min(sizes), slices.Max(sizes); least < 8 || most > 60 {
		t.Errorf("batches after settling: got %d to %d, want them around 20: %v", least, most, sizes)
	}
	o = &observed{c: stage.NewBatching(stage.BatchingConfig{}, 0)}
	for range 60 {
		o.at(10_000, 5)
	}
	if got := o.c.Size(); got != 1 {
		t.Errorf("batch of a stage that does not gain by batching: got %d, want the least, 2", got)
	}
}

func TestBatchingFixed(t *testing.T) {
	o := &observed{c: stage.NewBatching(stage.BatchingConfig{Fixed: 7}, 0)}
	if got := o.at(1000, 20); got != 7 {
		t.Errorf("fixed batch: got %d, want 7", got)
	}
}

func TestOrder(t *testing.T) {
	var got []int
	done := make(chan struct{})
	s := open(t, stage.Config{Name: "one", Threads: stage.ThreadsConfig{Most: 1}}, func(_ *stage.Thread, batch []int) {
		got = append(got, batch...)
		if len(got) == 1000 {
			close(done)
		}
	})
	stop := run(t, s)
	for i := range 1000 {
		s.Push(i)
	}
	<-done
	stop()
	for i, v := range got {
		if v != i {
			t.Fatalf("event %d: got %d", i, v)
		}
	}
	if st := s.Stats(); st.Served != 1000 || st.Threads != 0 || st.Queue != 0 {
		t.Errorf("stats: got %+v, want 1000 served and nothing left", st)
	}
	if s.Push(1) || s.Offer(1) {
		t.Error("a stage that has ended takes events")
	}
}

// TestBound fills the queue of a stage whose thread is held.
func TestBound(t *testing.T) {
	gate := make(chan struct{})
	s := open(t, stage.Config{Name: "held", Queue: 3, Batching: stage.BatchingConfig{Fixed: 1}}, func(*stage.Thread, []int) { <-gate })
	stop := run(t, s)
	s.Offer(0)
	until(t, "the thread takes the first", func() bool { return s.Waiting() == 0 })
	var took []bool
	for i := range 5 {
		took = append(took, s.Offer(i))
	}
	if want := []bool{true, true, true, false, false}; !slices.Equal(took, want) {
		t.Errorf("offers to a queue of 3: got %v, want %v", took, want)
	}
	if !s.Push(9) {
		t.Error("push past a full queue: got false")
	}
	if st := s.Stats(); st.Queue != 4 || st.Refused != 2 || st.Offered != 6 {
		t.Errorf("stats: got %+v, want queue 4, refused 2, offered 6", st)
	}
	close(gate)
	stop()
	if st := s.Stats(); st.Served != 5 {
		t.Errorf("served: got %d, want 5", st.Served)
	}
}

// TestPoolGrowsAndShrinks blocks a stage's threads, and lets them be idle then.
func TestPoolGrowsAndShrinks(t *testing.T) {
	gate := make(chan struct{})
	var ended atomic.Int32
	s := open(t, stage.Config{
		Name:     "blocking",
		Threads:  stage.ThreadsConfig{Most: 4, Sample: 5 * time.Millisecond, Threshold: 10, Idle: 50 * time.Millisecond},
		Batching: stage.BatchingConfig{Fixed: 1},
		Ends:     func(*stage.Thread) { ended.Add(1) },
	}, func(*stage.Thread, []int) { <-gate })
	run(t, s)
	for range 200 {
		s.Offer(1)
	}
	until(t, "the pool has 4 threads", func() bool { return s.Stats().Threads == 4 })
	close(gate)
	until(t, "the pool has 1 thread", func() bool { return s.Stats().Threads == 1 })
	until(t, "three threads ended", func() bool { return ended.Load() == 3 })
}

// TestReturn has a thread give back what it will not come to, which another takes.
func TestReturn(t *testing.T) {
	var s *stage.Stage[int]
	gate := make(chan struct{})
	var mu sync.Mutex
	var order []int
	s = open(t, stage.Config{
		Name:     "busy",
		Threads:  stage.ThreadsConfig{Most: 2, Sample: 5 * time.Millisecond, Threshold: 1},
		Batching: stage.BatchingConfig{Fixed: 100},
	}, func(th *stage.Thread, batch []int) {
		for i, e := range batch {
			mu.Lock()
			order = append(order, e)
			mu.Unlock()
			if e == 0 {
				s.Return(th, batch, len(batch)-i-1)
				<-gate
				return
			}
		}
	})
	for i := range 50 {
		s.Push(i)
	}
	stop := run(t, s)
	until(t, "another thread takes the rest", func() bool {
		mu.Lock()
		defer mu.Unlock()
		return len(order) == 50
	})
	close(gate)
	stop()
	if !slices.IsSorted(order) {
		t.Errorf("order: got %v, want as it was", order)
	}
	if got := s.Stats().Served; got != 50 {
		t.Errorf("served: got %d, want 50", got)
	}
}

// shutter is an admission that lets every other event in.
type shutter struct {
	asked  int
	served int
	took   time.Duration
}

func (a *shutter) Admit(int64, int) bool {
	a.asked++
	return a.asked%2 == 1
}

func (a *shutter) Served(_ int64, took time.Duration) {
	a.served++
	a.took = max(a.took, took)
}

func TestAdmission(t *testing.T) {
	a := &shutter{}
	s := open(t, stage.Config{Name: "admit", Admission: a}, func(_ *stage.Thread, batch []int) {
		time.Sleep(time.Duration(len(batch)) * time.Millisecond)
	})
	taken := 0
	for i := range 10 {
		if s.Offer(i) {
			taken++
		}
	}
	run(t, s)()
	if taken != 5 || a.served != 5 || s.Stats().Refused != 5 {
		t.Errorf("got %d taken, %d served, %d refused; want 5 each", taken, a.served, s.Stats().Refused)
	}
	if a.took < 5*time.Millisecond {
		t.Errorf("longest time at the stage: got %v, want at least the 5 ms of the batch", a.took)
	}
}

// TestReturnServes has an event that is handled at once, in front of one that takes long, count as served before that ends.
func TestReturnServes(t *testing.T) {
	var s *stage.Stage[int]
	gate := make(chan struct{})
	a := &shutter{}
	s = open(t, stage.Config{Name: "long", Admission: a}, func(th *stage.Thread, batch []int) {
		s.Return(th, batch, max(len(batch)-2, 0))
		<-gate
	})
	for i := range 3 {
		s.Push(i)
	}
	stop := run(t, s)
	until(t, "the first is served", func() bool { return s.Stats().Served == 1 })
	if got := s.Stats().Queue; got != 1 {
		t.Errorf("given back: got %d, want 1", got)
	}
	close(gate)
	stop()
	if got := s.Stats().Served; got != 3 || a.served != 3 {
		t.Errorf("served: got %d, of which the admission knows %d, want 3", got, a.served)
	}
}

// TestLeast has a pool of a fixed size: all its threads block at once, and stay when they are idle.
func TestLeast(t *testing.T) {
	gate := make(chan struct{})
	var inside atomic.Int32
	s := open(t, stage.Config{
		Name:     "fixed",
		Threads:  stage.ThreadsConfig{Least: 3, Most: 3, Sample: time.Millisecond, Threshold: 1, Idle: time.Millisecond},
		Batching: stage.BatchingConfig{Fixed: 1},
	}, func(*stage.Thread, []int) {
		inside.Add(1)
		<-gate
	})
	run(t, s)
	for range 10 {
		s.Push(1)
	}
	until(t, "three threads serve", func() bool { return inside.Load() == 3 })
	close(gate)
	until(t, "all are idle", func() bool { st := s.Stats(); return st.Served == 10 && st.Idle == 3 })
	if got := s.Stats().Threads; got != 3 {
		t.Errorf("threads: got %d, want 3", got)
	}
}

func TestNegativeLimits(t *testing.T) {
	if _, err := stage.New(stage.Config{Name: "x", Queue: -1}, func(*stage.Thread, []int) {}); err == nil {
		t.Error("a queue of -1: got no error")
	}
}

// BenchmarkHop is one event from one thread to another, one at a time.
func BenchmarkHop(b *testing.B) {
	done := make(chan struct{}, 1)
	s, err := stage.New(stage.Config{Name: "hop"}, func(*stage.Thread, []int) { done <- struct{}{} })
	if err != nil {
		b.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	wg.Go(func() { s.Run(ctx) })
	b.ReportAllocs()
	for b.Loop() {
		s.Offer(1)
		<-done
	}
	cancel()
	wg.Wait()
}

// BenchmarkStream is events as fast as a stage takes them.
func BenchmarkStream(b *testing.B) {
	s, err := stage.New(stage.Config{Name: "stream", Queue: 1 << 12}, func(*stage.Thread, []int) {})
	if err != nil {
		b.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	wg.Go(func() { s.Run(ctx) })
	b.ReportAllocs()
	for b.Loop() {
		for !s.Offer(1) {
			time.Sleep(time.Microsecond)
		}
	}
	cancel()
	wg.Wait()
}
