package rdr

import (
	"fmt"
	"math"
	"sort"
)

// Use is the mean demand that one execution of a block puts on one service.
type Use struct {
	Visits         float64 // executions of a block, or http requests, there
	CPU            float64 // seconds
	Wait           float64 // seconds
	DiskReads      float64 // operations
	DiskReadBytes  float64
	DiskWrites     float64 // operations, with and without sync
	DiskSyncs      float64 // operations, with sync
	DiskWriteBytes float64
	Memories       float64 // `memory` scopes entered
	MemoryBytes    float64 // bytes asked for, summed
	Replies        float64 // responses, the empty ones that end a block included
	ReplyBytes     float64
	SendBytes      float64 // sent along with the calls to the service
	Locks          float64 // critical sections entered
}

// FilesAt is the files of a set as one service gets them.
type FilesAt struct{ Service, Set string }

// FileUse counts files: those that are got, and those that are sent as
// responses. Their sizes are the set's, and how many of them are read from the
// disk follows from the server's cache: neither is in a Use.
type FileUse struct{ Gets, Replies float64 }

// Mean is the exact mean demand of a block: by service, and under "" where the
// block itself runs.
type Mean struct {
	Use map[string]*Use

	// Files is the mean number of files; nil without any.
	Files map[FilesAt]FileUse

	// Fail is the probability that the block fails.
	Fail float64

	// Timeouts counts the `timeout` statements of the text. A mean exists only for
	// requests that none of them cuts short, as whether they do depends on the load.
	Timeouts int
}

// Services returns the names in Use, sorted.
func (m Mean) Services() []string {
	names := make([]string, 0, len(m.Use))
	for s := range m.Use {
		names = append(names, s)
	}
	sort.Strings(names)
	return names
}

// Of returns the use of a service, zero if the block never goes there.
func (m Mean) Of(service string) Use {
	if u := m.Use[service]; u != nil {
		return *u
	}
	return Use{}
}

// Mean returns the exact mean demand of one execution in which nothing but
// `fail` fails, at each service's first level. Where a mean does not exist the
// error names the statement.
func (b *Block) Mean() (Mean, error) { return b.MeanAt(nil) }

// MeanAt is Mean with each service at the level that level returns; "" is the
// service where the block itself runs.
func (b *Block) MeanAt(level func(service string) string) (Mean, error) {
	if level == nil {
		level = func(string) string { return "" }
	}
	m := meaner{mean: Mean{Use: map[string]*Use{}}, level: level, ok: map[*node]float64{}}
	end := m.block(b, m.site("", b), 1)
	if m.err != nil {
		return Mean{}, m.err
	}
	m.mean.Fail = 1 - end.ok
	return m.mean, nil
}

// meaner sums demands, each weighted with the mean number of times that its
// statement is reached: a product of probabilities, as draws are independent.
type meaner struct {
	mean  Mean
	level func(string) string
	err   error
	ok    map[*node]float64 // of loops that were probed
}

// site is where statements run.
type site struct {
	service string
	use     *Use
	level   string
	block   *Block
}

// end is how statements end that have begun: the probability that they do not
// fail, and that they do not fail and have sent the reply.
type end struct{ ok, replied float64 }

func (m *meaner) site(service string, b *Block) site {
	u := m.mean.Use[service]
	if u == nil {
		u = &Use{}
		m.mean.Use[service] = u
	}
	return site{service: service, use: u, level: m.level(service), block: b}
}

// block adds a block that runs w times.
func (m *meaner) block(b *Block, at site, w float64) end {
	at.use.Visits += w
	e := m.body(b.body, at, w)
	if b.start == StartBlock {
		at.use.Replies += w * (e.ok - e.replied)
	}
	return e
}

// body adds statements in sequence, the first of which runs w times; w 0 only
// asks how they end.
func (m *meaner) body(body []node, at site, w float64) end {
	e := end{ok: 1}
	for i := range body {
		n := m.node(&body[i], at, w*e.ok)
		// At most one statement of a path replies.
		e.replied = e.replied*n.ok + (e.ok-e.replied)*n.replied
		e.ok *= n.ok
	}
	return e
}

// amount returns the mean of a statement's amount.
func (m *meaner) amount(n *node, at site) float64 {
	x, err := n.amt.mean()
	if err != nil {
		m.fault(n, at, fmt.Sprintf("`%s`: %s", n.kind, err), "")
	}
	return x
}

func (m *meaner) fault(n *node, at site, msg, fix string) {
	if m.err != nil {
		return
	}
	if at.block.src == nil {
		msg = fmt.Sprintf("statement %d: %s", n.num, msg)
	}
	m.err = Errors{at.block.src.errorAt(n.at, nil, msg, fix)}
}

func (m *meaner) node(n *node, at site, w float64) end {
	u := at.use
	seconds := func() float64 { return w * m.amount(n, at) / 1e9 }
	some := func() float64 { // how often a demand is made: nothing is asked for 0
		if n.amt.zero() {
			return 0
		}
		return w
	}
	switch n.kind {
	case kCPU:
		u.CPU += seconds()
	case kWait:
		u.Wait += seconds()
	case kDiskRead:
		u.DiskReads += some()
		u.DiskReadBytes += w * m.amount(n, at)
	case kDiskWrite:
		u.DiskWrites += some()
		u.DiskWriteBytes += w * m.amount(n, at)
		if n.sync {
			u.DiskSyncs += some()
		}
	case kReply:
		u.Replies += w
		u.ReplyBytes += w * m.amount(n, at)
		return end{ok: 1, replied: 1}
	case kFile:
		m.file(at, n, FileUse{Gets: w})
	case kReplyFile:
		u.Replies += w
		m.file(at, n, FileUse{Replies: w})
		return end{ok: 1, replied: 1}
	case kMemory:
		u.Memories += some()
		u.MemoryBytes += w * m.amount(n, at)
		return m.body(n.body, at, w)
	case kLock:
		u.Locks += w
		return m.body(n.body, at, w)
	case kFail:
		return end{ok: 1 - n.prob}
	case kTimeout:
		m.mean.Timeouts++
		return m.body(n.body, at, w)
	default:
		return m.control(n, at, w)
	}
	return end{ok: 1}
}

func (m *meaner) file(at site, n *node, more FileUse) {
	if m.mean.Files == nil {
		m.mean.Files = map[FilesAt]FileUse{}
	}
	k := FilesAt{at.service, n.name}
	u := m.mean.Files[k]
	m.mean.Files[k] = FileUse{u.Gets + more.Gets, u.Replies + more.Replies}
}

func (m *meaner) control(n *node, at site, w float64) end {
	switch n.kind {
	case kCall, kHTTP:
		return m.call(n, at, w)
	case kSeq:
		return m.body(n.body, at, w)
	case kPar:
		e := end{ok: 1}
		for i := range n.body {
			e.ok *= m.node(&n.body[i], at, w).ok
		}
		return e
	case kFork:
		m.body(n.body, at, w)
	case kChoose:
		var e end
		last := 0.0
		for i := range n.arms {
			p := math.Min(n.arms[i].upto, 1) - last
			last += p
			branch := m.body(n.arms[i].body, at, w*p)
			e.ok += p * branch.ok
			e.replied += p * branch.replied
		}
		return e
	case kLevel:
		return m.body(levelArm(n, at.level), at, w)
	case kRepeat:
		return end{ok: m.repeat(n, at, w)}
	case kRetry:
		return end{ok: m.retry(n, at, w)}
	}
	return end{ok: 1}
}

func (m *meaner) call(n *node, at site, w float64) end {
	if n.kind == kHTTP {
		there := m.site(n.name, at.block)
		there.use.Visits += w
		there.use.SendBytes += w * (m.amount(n, at) + n.bodyBytes())
		return end{ok: 1}
	}
	if n.block == nil {
		m.fault(n, at, fmt.Sprintf("operation %s.%s is not linked", n.name, n.op), "")
		return end{}
	}
	there := m.site(n.name, n.block)
	there.use.SendBytes += w * m.amount(n, at)
	return end{ok: m.block(n.block, there, w).ok}
}

// probe returns the probability that a pass of a loop does not fail, without
// adding what it asks for. It looks once, as loops nest.
func (m *meaner) probe(n *node, at site) float64 {
	ok, known := m.ok[n]
	if !known {
		timeouts := m.mean.Timeouts
		ok = m.body(n.body, at, 0).ok
		m.mean.Timeouts = timeouts
		m.ok[n] = ok
	}
	return ok
}

// repeat adds the passes that are begun: all, or those up to the first failure.
func (m *meaner) repeat(n *node, at site, w float64) float64 {
	ok := m.probe(n, at)
	passes := m.amount(n, at)
	if ok == 1 {
		m.body(n.body, at, w*passes)
		return 1
	}
	if !n.amt.constant() {
		m.fault(n, at, "`repeat` of a drawn number of passes that may fail has no exact mean", "make the number constant, or retry inside it")
		return 0
	}
	m.body(n.body, at, w*(1-math.Pow(ok, passes))/(1-ok))
	return math.Pow(ok, passes)
}

// retry adds the attempts that are made: attempt a follows a failures.
func (m *meaner) retry(n *node, at site, w float64) float64 {
	fail := 1 - m.probe(n, at)
	attempts, p := 1.0, 1.0
	for range n.count {
		p *= fail
		attempts += p
	}
	at.use.Wait += w * (attempts - 1) * m.amount(n, at) / 1e9
	m.body(n.body, at, w*attempts)
	return 1 - p*fail
}
