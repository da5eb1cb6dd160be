package load

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"github.com/eve-emulation/eve/dsv"
	"github.com/eve-emulation/eve/fase/service"
	"github.com/eve-emulation/eve/fase/step"
	"github.com/eve-emulation/eve/internal/http1"
	"github.com/eve-emulation/eve/internal/mono"
	"github.com/eve-emulation/eve/internal/netpoll"
)

// slice is the loop's time slice in ns: short, so that whoever computes beside it does not hold it up.
const slice = 100_000

// chunk is how many sockets are served on one reading of the clock, at least.
const chunk = 16

// descriptors is for how many the process's table is made: all that one process is planned to open, in 256 KiB.
const descriptors = 32 << 10

// A Loop carries the calls of its groups. New makes it, Run runs it, once. Post, Changed and Stats may be called by any
// goroutine but the loop's own.
type Loop struct {
	cfg    Config
	driver *step.Driver
	mail   *mailbox

	mu      sync.Mutex // guards phase and final
	phase   phase
	final   Stats
	done    chan struct{} // closed when final holds
	stopped atomic.Bool   // the context of Run ended

	// What follows belongs to the loop's thread.
	poller       *netpoll.Poller
	ring         *ringSide   // nil where the poller waits
	now          dsv.Instant // never falls
	started      int64       // mono, when Run began
	cpuStart     int64
	processStart int64
	closing      bool // calls are not carried any more

	calls    slab[call]
	conns    slab[conn]
	readers  []*http1.ResponseReader // that no connection has
	flights  [][]*call               // by group and slot
	watchers []Connecter             // by group; nil for those that are none
	pools    map[place]*pool
	nodes    []node
	waiting  []*pool             // with calls in line
	begun    int                 // connects of this round
	turns    uint32              // waits of the ring that have ended
	source   int                 // next of Config.Sources
	owners   []list[conn, *conn] // idle connections by owner
	holds    holds
	dialed   list[conn, *conn] // connections that do not stand yet, the oldest first
	shakes   shakes
	verified *tls.Config // for https where no Site says more

	sents  []sent    // to be told to their groups
	failed []ending  // calls that failed while effects were routed
	unread []connRef // connections to be read on
	taken  []connRef // unread of the last turn

	in       []byte // what is read goes here and is discarded
	out      []byte // bodies on their way out; nil until there is one
	stats    Stats
	messages map[string]int
}

type phase uint8

const (
	fresh phase = iota
	running
	ended
)

// A sent is a call whose group is still to be told that it was sent.
type sent struct {
	core int
	ref  step.Ref
	at   dsv.Instant
}

// New checks cfg and returns a loop that has not begun.
func New(cfg Config) (*Loop, error) {
	switch {
	case len(cfg.Groups) == 0:
		return nil, errors.New("new load: no groups")
	case cfg.Address == nil:
		return nil, errors.New("new load: no addresses of servers")
	case cfg.Grace < 0 || cfg.Spin < 0 || cfg.Connections < 0 || cfg.End < 0 || cfg.Requests < 0 || cfg.ConnectTimeout < 0 || cfg.MaxBody < 0:
		return nil, errors.New("new load: negative setting")
	case cfg.Own && len(cfg.Groups) > 1:
		return nil, errors.New("new load: where each user has connections of its own there is one group, whose numbers of users they go by")
	case cfg.Own && cfg.Connections > 0:
		return nil, errors.New("new load: where each user has connections of its own they cannot be limited")
	}
	for _, g := range cfg.Groups {
		if _, ok := g.(Owner); cfg.Own && !ok {
			return nil, fmt.Errorf("new load: %T does not tell who owns a connection", g)
		}
	}
	for _, a := range cfg.Sources {
		if !a.IsValid() {
			return nil, errors.New("new load: invalid source address")
		}
	}
	cfg.ConnectTimeout, cfg.MaxBody = cmp.Or(cfg.ConnectTimeout, defaultConnectTimeout), cmp.Or(cfg.MaxBody, defaultMaxBody)
	l := &Loop{
		cfg:      cfg,
		mail:     newMailbox(cfg.Mailbox),
		flights:  make([][]*call, len(cfg.Groups)),
		pools:    map[place]*pool{},
		messages: map[string]int{},
		done:     make(chan struct{}),
		in:       make([]byte, 64<<10),
		holds:    newHolds(cfg.Hold),
	}
	l.verified, _ = TLS{}.Config() // an error is of the certificates, of which there are none
	l.watchers = make([]Connecter, len(cfg.Groups))
	cores := make([]step.Core, len(cfg.Groups))
	for i, g := range cfg.Groups {
		cores[i] = g
		l.watchers[i], _ = g.(Connecter)
	}
	l.driver = step.NewDriver(router{l}, cores...)
	l.stats.Errors = make([]uint64, len(service.Causes())+1)
	return l, nil
}

// Post has the loop call fn on its thread, soon, with the loop's instant; fn may feed the loop's groups. It waits while the
// mailbox is full, and reports false, fn uncalled, if the loop has ended. What is posted before Run is called when Run
// begins.
func (l *Loop) Post(fn func(at dsv.Instant)) bool { return l.mail.post(fn) }

// Changed tells every group that a service is mapped elsewhere. It is a Post.
func (l *Loop) Changed(svc int, m service.Mapping) bool {
	return l.Post(func(at dsv.Instant) {
		for _, g := range l.cfg.Groups {
			g.Changed(at, svc, m)
		}
	})
}

// Run carries the groups' calls until Config.End and what is in flight then, on a thread of its own. If ctx ends first, it
// abandons what is in flight at once and returns the error of ctx. The Stats are good beside any error.
func (l *Loop) Run(ctx context.Context) (Stats, error) {
	l.mu.Lock()
	if l.phase != fresh {
		l.mu.Unlock()
		return Stats{}, errors.New("run load: a loop runs once")
	}
	l.phase = running
	l.mu.Unlock()

	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	err := l.run(ctx)
	return l.Stats(), err
}

func (l *Loop) run(ctx context.Context) error {
	l.started, l.cpuStart, l.processStart = mono.Now(), mono.ThreadCPU(), mono.ProcessCPU()
	defer l.finish()
	p, err := netpoll.NewPoller(0)
	if err != nil {
		return fmt.Errorf("run load: %w", err)
	}
	p.Light(l.cfg.Light)
	l.poller = p
	_ = netpoll.Reserve(descriptors) // where it cannot be had, connections come late, not wrong
	if err := l.openRing(); err != nil {
		return fmt.Errorf("run load: %w", err)
	}
	l.attach()
	if err := mono.TimerSlack(1); err != nil {
		return fmt.Errorf("run load: %w", err)
	}
	_ = mono.Slice(slice) // a kernel or a sandbox that refuses makes it later, not wrong
	defer func() {        // the thread's defaults again
		_ = mono.TimerSlack(0)
		_ = mono.Slice(0)
	}()
	defer l.onDone(ctx)()
	l.now = l.clock()
	if err := l.loop(); err != nil {
		return fmt.Errorf("run load: %w", err)
	}
	if l.stopped.Load() {
		return ctx.Err()
	}
	return nil
}

// attach has the mailbox wake whatever the loop waits by.
func (l *Loop) attach() {
	if l.ring != nil {
		l.stats.Mechanism = "io_uring"
		l.mail.attach(l.ring)
		return
	}
	l.stats.Mechanism = "epoll"
	l.mail.attach(l.poller)
}

// onDone wakes the loop when ctx ends; the function that it returns ends that, and waits.
func (l *Loop) onDone(ctx context.Context) func() {
	done := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		defer close(done)
		l.stopped.Store(true)
		l.mail.wake()
	})
	return func() {
		if !stop() {
			<-done
		}
	}
}

func (l *Loop) loop() error {
	for {
		l.tick()
		l.letters()
		l.shaken()
		l.overdue()
		l.holdMore()
		if l.over() {
			return nil
		}
		turn := l.turn
		if l.ring != nil {
			turn = l.ringTurn
		}
		if err := turn(); err != nil {
			return err
		}
		l.readOn()
		l.reportFailed()
		if len(l.waiting) > 0 || l.begun > 0 {
			l.serveWaiting()
		}
	}
}

// turn waits and acts on what has happened.
func (l *Loop) turn() error {
	until, before := l.until(), l.cfg.T0+int64(l.now)
	l.poller.Spin(l.polls(until - before))
	events, err := l.poller.Wait(until)
	if err != nil {
		return err
	}
	for _, ev := range events { // before a call is sent over a connection that is idle no more
		if c := l.find(connRef(ev.Tag)); c != nil && c.state == idle {
			l.unasked(c, ev.Events)
		}
	}
	l.tick()
	if len(events) == 0 && until > before {
		l.woke(until)
	}
	for len(events) > 0 {
		n := min(chunk, len(events))
		for _, ev := range events[:n] {
			l.event(ev)
		}
		events = events[n:]
		l.tick()
	}
	return nil
}

// tick reads the clock, has the groups act on what is due, and tells them when earlier calls were sent. A group's instants
// never fall, so each is first brought to the instant that it is told; what is sent meanwhile is told next time, so that
// sending cannot keep the loop from its sockets.
func (l *Loop) tick() {
	if l.ring != nil {
		l.stamp()
	}
	l.now = max(l.now, l.clock())
	if due := l.driver.Next(); due <= l.now {
		l.stats.Lag.add(l.now.Sub(due))
	}
	n := len(l.sents)
	for i := range n {
		s := l.sents[i]
		if l.driver.Next() <= s.at {
			l.driver.Run(s.at)
		}
		l.cfg.Groups[s.core].Sent(s.at, s.ref)
	}
	l.driver.Run(l.now)
	l.sents = append(l.sents[:0], l.sents[n:]...)
}

// woke notes how late a wait ended that was to end at until and that no event ended. One that ended before was a Wake's.
func (l *Loop) woke(until int64) {
	if late := l.cfg.T0 + int64(l.now) - until; late >= 0 {
		l.stats.Jitter.add(time.Duration(late))
	}
}

// letters calls what was posted.
func (l *Loop) letters() {
	for _, fn := range l.mail.take() {
		l.tick()
		fn(l.now)
		l.driver.Flush()
	}
}

// until is how long the loop may wait for its sockets, as an instant of mono.
func (l *Loop) until() int64 {
	if len(l.failed) > 0 || len(l.unread) > 0 || l.begun >= connects || l.stopped.Load() {
		return 0
	}
	t := l.driver.Next()
	if l.cfg.End > 0 {
		if l.now < l.cfg.End {
			t = min(t, l.cfg.End)
		} else {
			t = min(t, l.cfg.End.Add(l.cfg.Grace))
		}
	}
	if t = min(t, l.holds.next(l.now), l.overdueAt()); t == dsv.Never {
		return mono.Never
	}
	return max(l.cfg.T0+int64(t), 0)
}

// A processor that has slept for long wakes up late, so what ends a long wait is polled for: for 2 % of it at most.
const (
	longWait = int64(5 * time.Millisecond)
	early    = int64(100 * time.Microsecond)
)

// polls is how many nanoseconds of a wait are polled at its end.
func (l *Loop) polls(wait int64) int64 {
	if spin := int64(l.cfg.Spin); spin > 0 || wait < longWait {
		return spin
	}
	return early
}

// over reports whether the run has ended.
func (l *Loop) over() bool {
	switch {
	case l.stopped.Load():
		return true
	case l.cfg.End == 0:
		return l.idle() && l.driver.Next() == dsv.Never
	case l.now < l.cfg.End:
		return false
	default:
		return l.idle() || l.now >= l.cfg.End.Add(l.cfg.Grace)
	}
}

// idle reports whether no request is in flight.
func (l *Loop) idle() bool {
	for _, g := range l.cfg.Groups {
		if g.InFlight() > 0 {
			return false
		}
	}
	return l.stats.InFlight == 0
}

// finish abandons what is in flight, closes every socket and keeps the totals.
func (l *Loop) finish() {
	l.closing = true
	l.reportFailed()
	l.abandonAll()
	if l.poller != nil {
		l.mail.attach(l.poller) // whoever posts from now on must not wake a ring that is closed
	}
	l.closeRing()
	for _, c := range l.conns.all {
		if c.state != shut {
			l.closeConn(c)
		}
	}
	l.shakes.wg.Wait()
	for !l.mail.close() {
		l.letters()
	}
	if l.poller != nil {
		_ = l.poller.Close()
	}
	s := l.snapshot()
	l.mu.Lock()
	defer l.mu.Unlock()
	l.final, l.phase = s, ended
	close(l.done)
}

func (l *Loop) clock() dsv.Instant { return dsv.Instant(mono.Now() - l.cfg.T0) }
