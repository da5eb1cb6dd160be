package rdr

import "math"

// LockAt is a lock as one service enters it.
type LockAt struct{ Service, Lock string }

// Held is how long one execution of a block holds, in the mean, what is held while something else is done. Nothing that waits in a
// line is in it, so it is the least: what it is when the request is alone.
type Held struct {
	Workers map[string]float64 // by service: seconds from the beginning of its blocks to the end of their main strands, calls included
	Locks   map[LockAt]float64 // seconds within the critical sections
}

// Add adds so many times another one.
func (h *Held) Add(o Held, times float64) {
	if h.Workers == nil {
		h.Workers, h.Locks = map[string]float64{}, map[LockAt]float64{}
	}
	for s, x := range o.Workers {
		h.Workers[s] += times * x
	}
	for l, x := range o.Locks {
		h.Locks[l] += times * x
	}
}

// A Cost says how long things take, in seconds.
type Cost struct {
	// Demand is how long a service's server takes for what a Use holds: one demand of CPU, disk or link.
	Demand func(service string, u Use) float64
	// Call is what a call takes beside what it asks for: the way there and back. The service that calls is "" for a client.
	Call func(from, to string) float64
}

// Holds returns what one execution holds, and for how long, in the mean. Branches that run together take as long as the one with
// the largest mean. The errors are those of Mean.
func (b *Block) Holds(cost Cost) (Held, error) {
	h := holder{
		meaner: meaner{mean: Mean{Use: map[string]*Use{}}, level: func(string) string { return "" }, ok: map[*node]float64{}},
		held:   Held{Workers: map[string]float64{}, Locks: map[LockAt]float64{}}, cost: cost,
	}
	h.strand(b.body, h.site("", b), 1)
	if h.err != nil {
		return Held{}, h.err
	}
	return h.held, nil
}

// holder walks a block as meaner does, and sums times.
type holder struct {
	meaner
	held Held
	cost Cost
}

// strand is statements in sequence that are begun w times: the probability that they do not fail, and how long they take in the
// mean when begun.
func (h *holder) strand(body []node, at site, w float64) (ok, seconds float64) {
	ok = 1
	for i := range body {
		o, s := h.step(&body[i], at, w*ok)
		seconds += ok * s
		ok *= o
	}
	return ok, seconds
}

func (h *holder) step(n *node, at site, w float64) (ok, seconds float64) {
	switch n.kind {
	case kCPU, kDiskRead, kDiskWrite, kReply:
		return 1, h.demand(n, at)
	case kWait:
		return 1, h.amount(n, at) / 1e9
	case kLock:
		ok, seconds = h.strand(n.body, at, w)
		h.held.Locks[LockAt{at.service, n.name}] += w * seconds
		return ok, seconds
	case kMemory, kTimeout, kSeq:
		return h.strand(n.body, at, w)
	case kFail:
		return 1 - n.prob, 0
	case kLevel:
		return h.strand(levelArm(n, at.level), at, w)
	case kPar:
		return h.together(n, at, w)
	case kFork:
		h.strand(n.body, at, w)
	case kChoose:
		last := 0.0
		for i := range n.arms {
			p := math.Min(n.arms[i].upto, 1) - last
			last += p
			o, s := h.strand(n.arms[i].body, at, w*p)
			ok, seconds = ok+p*o, seconds+p*s
		}
		return ok, seconds
	case kCall:
		return h.calls(n, at, w)
	case kRepeat, kRetry:
		return h.again(n, at, w)
	}
	return 1, 0
}

// demand is how long a demand takes.
func (h *holder) demand(n *node, at site) float64 {
	if h.cost.Demand == nil {
		return 0
	}
	x, some := h.amount(n, at), 1.0
	if n.amt.zero() {
		some = 0
	}
	var u Use
	switch n.kind {
	case kCPU:
		u.CPU = x / 1e9
	case kDiskRead:
		u.DiskReads, u.DiskReadBytes = some, x
	case kDiskWrite:
		u.DiskWrites, u.DiskWriteBytes = some, x
		if n.sync {
			u.DiskSyncs = some
		}
	case kReply:
		u.Replies, u.ReplyBytes = 1, x
	}
	return h.cost.Demand(at.service, u)
}

func (h *holder) together(n *node, at site, w float64) (ok, seconds float64) {
	ok = 1
	for i := range n.body {
		o, s := h.step(&n.body[i], at, w)
		ok, seconds = ok*o, math.Max(seconds, s)
	}
	return ok, seconds
}

func (h *holder) calls(n *node, at site, w float64) (ok, seconds float64) {
	if n.block == nil {
		h.fault(n, at, "operation "+n.name+"."+n.op+" is not linked", "")
		return 0, 0
	}
	ok, seconds = h.strand(n.block.body, h.site(n.name, n.block), w)
	h.held.Workers[n.name] += w * seconds
	if h.cost.Call != nil {
		seconds += h.cost.Call(at.service, n.name)
	}
	return ok, seconds
}

// again is a loop: the passes or attempts that are begun.
func (h *holder) again(n *node, at site, w float64) (ok, seconds float64) {
	passes, pauses, once := 1.0, 0.0, h.probe(n, at)
	if n.kind == kRepeat {
		passes = h.amount(n, at)
		ok = math.Pow(once, passes)
		if once < 1 {
			passes = (1 - ok) / (1 - once)
		}
	} else {
		p := 1.0
		for range n.count {
			p *= 1 - once
			passes += p
		}
		ok = 1 - p*(1-once)
		pauses = (passes - 1) * h.amount(n, at) / 1e9
	}
	_, seconds = h.strand(n.body, at, w*passes)
	return ok, passes*seconds + pauses
}
