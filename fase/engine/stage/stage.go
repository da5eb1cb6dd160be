package stage

import (
	"context"
	"fmt"
	"runtime"
	"slices"
	"sync"
	"time"

	"github.com/eve-emulation/eve/internal/mono"
)

// Config describes a stage. The zero value of every field but Name works.
type Config struct {
	Name      string
	Queue     int // events that may wait; 1024 if 0
	Threads   ThreadsConfig
	Batching  BatchingConfig
	Admission Admission     // nil: the queue's bound alone
	Ends      func(*Thread) // called on each thread before it ends
}

// An Admission decides about the events that are offered to a stage. Its methods are called one at a time, with instants of
// CLOCK_MONOTONIC in nanoseconds that do not fall, and must not call the stage.
type Admission interface {
	// Admit reports whether an event is let in, with so many waiting already.
	Admit(now int64, waiting int) bool
	// Served tells how long an event was at the stage, from its offer to the end of its batch, or until its thread turned to what takes long.
	Served(now int64, took time.Duration)
}

// A Thread is one thread of a stage. It belongs to whoever runs on it.
type Thread struct {
	Local any // the handler's own, kept from batch to batch

	wake   chan struct{}
	since  int64 // instant since which it is idle
	retire bool  // told to end
	at     []int64
}

// Stats is what a stage has done and how it stands.
type Stats struct {
	Name    string
	Queue   int    // events that wait
	Threads int    // that exist
	Idle    int    // threads that wait for an event
	Batch   int    // events that a thread takes at a time, as the controller has it
	Offered uint64 // events, since the beginning
	Refused uint64 // of them
	Served  uint64 // events, those that came past the admission included
}

// A Stage is a queue of events E and the threads that serve it. Any goroutine may call its methods.
type Stage[E any] struct {
	cfg     Config
	serve   func(t *Thread, batch []E)
	threads Threads
	wg      sync.WaitGroup

	mu       sync.Mutex // guards what follows
	queue    ring[E]
	batching *Batching
	idle     []*Thread // that wait, the one that slept last at the end
	running  int       // threads
	stats    Stats
	stopped  bool
}

// New returns a stage, of which serve handles the events. serve is called by several threads at once, each with a batch of its own that is
// valid during the call. Events may be offered at once; they are served once Run is called. A limit that is negative is an error.
func New[E any](cfg Config, serve func(t *Thread, batch []E)) (*Stage[E], error) {
	fill(&cfg.Queue, 1024)
	th, ba := cfg.Threads, cfg.Batching
	if min(cfg.Queue, th.Least, th.Most, th.Threshold, ba.Fixed, ba.Least, ba.Most) < 0 || min(th.Sample, th.Idle, ba.Window) < 0 {
		return nil, fmt.Errorf("open stage %s: a limit is negative", cfg.Name)
	}
	cfg.Threads = th.withDefaults()
	s := &Stage[E]{cfg: cfg, serve: serve, threads: NewThreads(th)}
	s.batching = NewBatching(ba, mono.Now())
	s.stats.Name = cfg.Name
	return s, nil
}

// Name returns the stage's name.
func (s *Stage[E]) Name() string { return s.cfg.Name }

// Offer puts e at the end of the queue. It reports false, and does nothing, if the queue is full, the admission refuses it or the stage
// has stopped.
func (s *Stage[E]) Offer(e E) bool {
	now := mono.Now()
	s.mu.Lock()
	s.stats.Offered++
	if s.stopped || s.queue.n >= s.cfg.Queue || s.cfg.Admission != nil && !s.cfg.Admission.Admit(now, s.queue.n) {
		s.stats.Refused++
		s.mu.Unlock()
		return false
	}
	s.queue.push(item[E]{e, now})
	t := s.waken()
	s.mu.Unlock()
	t.start()
	return true
}

// Push puts e at the end of the queue past bound and admission: for events that go on with what was admitted before. It reports
// false if the stage has stopped.
func (s *Stage[E]) Push(e E) bool {
	now := mono.Now()
	s.mu.Lock()
	if s.stopped {
		s.mu.Unlock()
		return false
	}
	s.queue.push(item[E]{e, now})
	t := s.waken()
	s.mu.Unlock()
	t.start()
	return true
}

// Return puts the last k events of the batch that t serves back in front of the queue, for other threads to take: t is going to be busy
// for long with the last of those that it keeps, and the others are served. serve must not touch what it gave back again.
func (s *Stage[E]) Return(t *Thread, batch []E, k int) {
	now, k := mono.Now(), max(k, 0)
	s.mu.Lock()
	defer s.mu.Unlock()
	for i := range k {
		at := len(batch) - 1 - i
		s.queue.unshift(item[E]{batch[at], t.at[at]})
		s.waken().start()
	}
	t.at = t.at[:len(batch)-k]
	if n := len(t.at) - 1; n > 0 {
		s.served(t.at[:n], now)
		t.at = append(t.at[:0], t.at[n])
	}
}

// Waiting returns how many events wait.
func (s *Stage[E]) Waiting() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.queue.n
}

// Stats returns the figures as of now.
func (s *Stage[E]) Stats() Stats {
	s.mu.Lock()
	defer s.mu.Unlock()
	st := s.stats
	st.Queue, st.Threads, st.Idle, st.Batch = s.queue.n, s.running, len(s.idle), s.batching.Size()
	return st
}

// Run starts the stage with its least threads and runs its controllers until ctx ends. Then it takes no more events, serves those that wait, ends its
// threads and returns. It is called once.
func (s *Stage[E]) Run(ctx context.Context) {
	s.mu.Lock()
	for range s.cfg.Threads.Least {
		s.grow()
	}
	s.mu.Unlock()
	tick := time.NewTicker(min(s.cfg.Threads.Sample, s.cfg.Threads.Idle))
	defer tick.Stop()
	next := mono.Now() + int64(s.cfg.Threads.Sample)
	for {
		select {
		case <-tick.C:
			now := mono.Now()
			s.sample(now, now >= next)
			if now >= next {
				next = now + int64(s.cfg.Threads.Sample)
			}
		case <-ctx.Done():
			s.stop()
			s.wg.Wait()
			return
		}
	}
}

// sample lets the thread-pool controller act.
func (s *Stage[E]) sample(now int64, grow bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if grow && s.threads.Grow(s.queue.n, s.running) {
		s.grow()
	}
	// The threads that slept first are in front.
	k := 0
	for k < len(s.idle) && s.threads.Retire(time.Duration(now-s.idle[k].since), s.running) {
		s.idle[k].retire = true
		s.idle[k].start()
		s.running--
		k++
	}
	s.idle = slices.Delete(s.idle, 0, k)
}

// grow starts a thread.
func (s *Stage[E]) grow() {
	s.running++
	t := &Thread{wake: make(chan struct{}, 1)}
	s.wg.Go(func() { s.work(t) })
}

func (s *Stage[E]) stop() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.stopped = true
	for _, t := range s.idle {
		t.start()
	}
	s.idle = s.idle[:0]
}

// waken takes a thread that is to be woken for an event from those that are idle; nil if none is.
func (s *Stage[E]) waken() *Thread {
	n := len(s.idle)
	if n == 0 {
		return nil
	}
	t := s.idle[n-1]
	s.idle = s.idle[:n-1]
	return t
}

// start wakes t, which was taken from the idle ones; nil is allowed.
func (t *Thread) start() {
	if t != nil {
		t.wake <- struct{}{}
	}
}

// work is a thread's life. It stays locked to the end, which ends the thread of the operating system too.
func (s *Stage[E]) work(t *Thread) {
	runtime.LockOSThread()
	var batch []E
	for {
		var ok bool
		if batch, ok = s.take(t, batch); !ok {
			break
		}
		s.serve(t, batch)
	}
	if s.cfg.Ends != nil {
		s.cfg.Ends(t)
	}
}

// take accounts for the batch that t has served, waits for events and takes a batch of them. It reports false if the thread is to end.
func (s *Stage[E]) take(t *Thread, batch []E) ([]E, bool) {
	now := mono.Now()
	clear(batch)
	batch = batch[:0]
	s.mu.Lock()
	s.served(t.at, now)
	t.at = t.at[:0]
	for s.queue.n == 0 {
		if s.stopped {
			s.running--
			s.mu.Unlock()
			return batch, false
		}
		t.since = now
		s.idle = append(s.idle, t)
		s.mu.Unlock()
		<-t.wake
		if t.retire {
			return batch, false
		}
		now = mono.Now()
		s.mu.Lock()
	}
	for range min(s.queue.n, s.batching.Size()) {
		it := s.queue.shift()
		batch = append(batch, it.e)
		t.at = append(t.at, it.at)
	}
	s.mu.Unlock()
	return batch, true
}

// served accounts for events that came at those instants.
func (s *Stage[E]) served(came []int64, now int64) {
	if len(came) == 0 {
		return
	}
	s.stats.Served += uint64(len(came))
	s.batching.Observe(now, s.stats.Served)
	if s.cfg.Admission != nil {
		for _, at := range came {
			s.cfg.Admission.Served(now, time.Duration(now-at))
		}
	}
}
