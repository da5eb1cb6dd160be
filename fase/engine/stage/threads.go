package stage

import "time"

// ThreadsConfig sets the thread-pool controller. Threads says where the zero value is from.
type ThreadsConfig struct {
	Least     int           // threads, from the start on; 1 if 0
	Most      int           // threads; 20 if 0, and not less than Least
	Sample    time.Duration // how often the queue's length is looked at; 2 s if 0
	Threshold int           // a queue longer than this gets a thread more; 100 if 0
	Idle      time.Duration // a thread without an event for so long is removed; 5 s if 0
}

func (c ThreadsConfig) withDefaults() ThreadsConfig {
	fill(&c.Least, 1)
	fill(&c.Most, 20)
	c.Most = max(c.Most, c.Least)
	fill(&c.Sample, 2*time.Second)
	fill(&c.Threshold, 100)
	fill(&c.Idle, 5*time.Second)
	return c
}

// fill sets what is zero.
func fill[T int | time.Duration | float64](p *T, v T) {
	if *p == 0 {
		*p = v
	}
}

// Threads is the core of the thread-pool controller: it has a stage grow by one thread when its queue is longer than a threshold at a
// sample, up to a limit, and lets it lose those that were idle for long, down to the least.
//
// Source: Welsh, Culler, Brewer, SOSP 2001, section 4.2; the sample of 2 s, the threshold of 100, the 20 threads and the 5 s are those of
// the run that it shows, quoted and not checked against its text. The released platform (github.com/mdwelsh/seda, ThreadPoolController,
// SandstormConfig, haboob.cfg) samples every 2 s too, but acts at every fourth sample alone and compares with "at least"; its
// defaults are a threshold of 1000 and 1 s, and those of its server Haboob 10 (20 for the disk), 20 threads and 1 s.
type Threads struct {
	cfg ThreadsConfig
}

// NewThreads returns a controller.
func NewThreads(cfg ThreadsConfig) Threads { return Threads{cfg.withDefaults()} }

// Grow reports whether a stage with so many events waiting and so many threads gets one more at this sample.
func (c Threads) Grow(waiting, threads int) bool {
	return waiting > c.cfg.Threshold && threads < c.cfg.Most
}

// Retire reports whether a stage of so many threads loses one that has been idle for d.
func (c Threads) Retire(d time.Duration, threads int) bool {
	return d > c.cfg.Idle && threads > c.cfg.Least
}
