package machine

import "github.com/eve-emulation/eve/dsv"

// Pool is a resource that jobs hold an amount of, such as memory (its capacity in bytes) or a lock (capacity 1). Who
// does not find enough waits in line; nobody overtakes.
type Pool struct {
	capacity int64 // 0: unlimited
	used     int64
	held     int
	line     ring[waiting]
	gone     []Job
	out      []Job
	use      use // busy is not used: amounts are integrated in usedNs
	usedNs   float64
}

// NewPool returns a free pool; a capacity of 0 is unlimited.
func NewPool(capacity int64) *Pool { return &Pool{capacity: capacity} }

func (p *Pool) upTo(at dsv.Instant) {
	if d := float64(at - p.use.last); d > 0 {
		p.usedNs += d * float64(p.used)
	}
	p.use.upTo(at)
}

// Acquire asks for n. It returns true when n is held at once; otherwise the job waits and is listed by Departed when it
// has got it. More than the capacity is asked in vain: ok is false and nothing waits.
func (p *Pool) Acquire(at dsv.Instant, job Job, n int64) (held, ok bool) {
	p.upTo(at)
	if p.capacity > 0 && n > p.capacity {
		return false, false
	}
	p.use.present++
	if p.Fits(n) {
		p.take(n)
		return true, true
	}
	p.line.push(waiting{job: job, demand: n})
	return false, true
}

// Fits reports whether one who asks for n would have it at once.
func (p *Pool) Fits(n int64) bool { return p.line.len() == 0 && p.fits(n) }

func (p *Pool) fits(n int64) bool { return p.capacity == 0 || p.used+n <= p.capacity }

func (p *Pool) take(n int64) {
	p.used += n
	p.held++
}

// Release gives n back and lets those in line have it.
func (p *Pool) Release(at dsv.Instant, n int64) {
	p.upTo(at)
	p.used -= n
	p.held--
	p.use.present--
	p.admit()
}

func (p *Pool) admit() {
	for {
		w, ok := p.line.peek()
		if !ok || !p.fits(w.demand) {
			return
		}
		p.line.pop()
		p.take(w.demand)
		p.gone = append(p.gone, w.job)
	}
}

// Resize changes the capacity from an instant on; 0 is unlimited. What is held stays held, though it be more than that; who waits for
// more than that waits on.
func (p *Pool) Resize(at dsv.Instant, capacity int64) {
	p.upTo(at)
	p.capacity = capacity
	p.admit()
}

// Withdraw takes a waiting job back; false when it does not wait.
func (p *Pool) Withdraw(at dsv.Instant, job Job) bool {
	p.upTo(at)
	if !p.line.remove(func(w waiting) bool { return w.job == job }) {
		return false
	}
	p.use.present--
	p.admit()
	return true
}

// Departed lists the jobs that have left the line with what they asked for; valid until the next call.
func (p *Pool) Departed() []Job { return takeJobs(&p.gone, &p.out) }

// Use returns amount-seconds held and job-seconds present (holding or waiting) since the last call.
func (p *Pool) Use(at dsv.Instant) (held, present float64) {
	p.upTo(at)
	held = p.usedNs / 1e9
	p.usedNs = 0
	_, present = p.use.take(at)
	return held, present
}

// Waiting is the number of jobs in line.
func (p *Pool) Waiting() int { return p.line.len() }

// Line shows the jobs in line, in order.
func (p *Pool) Line(show func(Job)) {
	for i := range p.line.len() {
		show(p.line.at(i).job)
	}
}

// Idle reports that nobody holds or waits.
func (p *Pool) Idle() bool { return p.held == 0 && p.line.len() == 0 }
