package stage

import "time"

// BatchingConfig sets the batching controller. The zero value is the one of the released platform's benchmark of batches.
type BatchingConfig struct {
	Fixed  int           // events a thread takes at a time, without a controller; 0 is with one
	Least  int           // events; 1 if 0
	Most   int           // events; 1000 if 0
	Window time.Duration // of one observation of the throughput; 1 s if 0
}

func (c BatchingConfig) withDefaults() BatchingConfig {
	fill(&c.Least, 1)
	fill(&c.Most, 1000)
	fill(&c.Window, time.Second)
	c.Most = max(c.Most, c.Least)
	return c
}

// The controller's constants, as released.
const (
	batchSmooth   = 0.7 // weight of the past in the moving average of the throughput
	batchAdjust   = 5   // observations from one adjustment to the next
	batchFactor   = 1.2 // by which the batch grows and shrinks
	batchLow      = 0.9 // of the best throughput: below it, it has degraded
	batchHigh     = 0.98
	batchVeryLow  = 0.2 // below it the load has dropped: begin anew
	batchVeryHigh = 2.0 // above it the load has risen: begin anew
)

// Batching is the core of the batching controller: it looks for the smallest batch that sustains the throughput. It begins with
// the largest, and makes it smaller as long as the throughput does not degrade; then it makes it larger until the throughput has recovered. A sudden
// change of the load begins anew. The throughput is a moving average of observations one Window long, and every fifth adjusts.
//
// Source: Welsh, Culler, Brewer, SOSP 2001, section 4.2; the constants are those of class AggThrottle of the released platform
// (github.com/mdwelsh/seda), the bounds those of its simple-sa/batch.cfg. There the controller is off unless a configuration turns it on.
type Batching struct {
	cfg BatchingConfig

	size       int
	increasing bool
	best       float64 // events/s
	average    float64 // events/s
	observed   int
	began      int64 // instant of the last observation, ns
	events     uint64
}

// NewBatching returns a controller whose first window begins at the instant now, in nanoseconds.
func NewBatching(cfg BatchingConfig, now int64) *Batching {
	b := &Batching{cfg: cfg.withDefaults(), began: now}
	b.size = b.cfg.Most
	if cfg.Fixed > 0 {
		b.size = cfg.Fixed
	}
	return b
}

// Size returns how many events a thread is to take at a time.
func (b *Batching) Size() int { return b.size }

// Throughput returns the moving average of the throughput, in events per second.
func (b *Batching) Throughput() float64 { return b.average }

// Observe tells how many events the stage has served by now since its beginning, and returns the new batch size. It may be called as
// often as is convenient: within a window it does nothing.
func (b *Batching) Observe(now int64, events uint64) int {
	elapsed := now - b.began
	if elapsed < int64(b.cfg.Window) {
		return b.size
	}
	rate := float64(events-b.events) / (float64(elapsed) / float64(time.Second))
	b.began, b.events = now, events
	b.average = batchSmooth*b.average + (1-batchSmooth)*rate
	b.observed++
	if b.cfg.Fixed == 0 && b.observed%batchAdjust == 0 {
		b.adjust()
	}
	return b.size
}

// adjust takes one step of the search.
func (b *Batching) adjust() {
	if b.average < batchVeryLow*b.best || b.average >= batchVeryHigh*b.best {
		b.size, b.increasing = b.cfg.Most, false
	}
	switch {
	case !b.increasing && b.average <= batchLow*b.best:
		b.increasing = true
		b.grow()
	case !b.increasing:
		b.best = max(b.best, b.average)
		b.shrink()
	default:
		b.best = max(b.best, b.average)
		switch {
		case b.average >= batchHigh*b.best:
			b.increasing = false
			b.shrink()
		case b.grow(): // at the largest: what it brings now is the best there is
			b.increasing = false
			b.best = b.average
		}
	}
}

func (b *Batching) shrink() { b.size = max(int(float64(b.size)/batchFactor), b.cfg.Least) }

// grow makes the batch larger, by one at least: as released, the factor leaves a batch of less than five as it is. It reports whether that
// would take it beyond the largest.
func (b *Batching) grow() bool {
	n := max(int(float64(b.size)*batchFactor), b.size+1)
	b.size = min(n, b.cfg.Most)
	return n > b.cfg.Most
}
