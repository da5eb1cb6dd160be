package evekernel

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/eve-emulation/eve/dsv"
	"github.com/eve-emulation/eve/evekernel/wire"
)

// pumpAtOnce is how many updates of one watch go out before the next one has its turn; mostCredit bounds credit.
const (
	pumpAtOnce = 64
	mostCredit = 1 << 30
)

// pumps carry the updates of all watches of one connection, with one goroutine for all of them.
type pumps struct {
	p    *peer
	byID map[uint64]*pump // the reader's

	mu    sync.Mutex // guards what follows; nothing else is locked while it is held
	ready []*pump    // which may have something to carry
	wake  chan struct{}
}

// A pump carries the updates of one watch to one participant.
type pump struct {
	ps    *pumps
	id    wire.Uint
	watch dsv.Poller

	queued bool // in ready; guarded by the mu of pumps

	mu        sync.Mutex // guards what follows; the Store's locks may be taken while it is held
	credit    int
	unlimited bool
	began     bool // the watch's own request is answered
	over      bool // no update follows
}

// watch opens a watch and pumps it.
func (p *peer) watch(r *wire.Req, res *wire.Res) error {
	id := uint64(r.Watch)
	mode, err := wire.ParseMode(r.Mode)
	switch {
	case err != nil:
		return fmt.Errorf("watch: %w", err)
	case p.watches.byID[id] != nil || id == 0:
		return fmt.Errorf("watch: number %d is taken: %w", id, dsv.ErrExists)
	case len(p.watches.byID) >= maxFollowed:
		return fmt.Errorf("watch: more than %d on one connection", maxFollowed)
	case r.Credit < 0:
		return fmt.Errorf("watch: credit %d: %w", r.Credit, wire.ErrProtocol)
	}
	began := p.k.store.Revision()
	w, err := p.k.Space().Watch(p.ctx, dsv.WatchRequest{
		Pattern: r.Pattern, Mode: mode, From: dsv.Revision(r.From), Window: time.Duration(r.Window), Every: time.Duration(r.Every),
	})
	if err != nil {
		return err
	}
	if mode == dsv.All && !p.k.store.Written(r.Pattern, began) {
		res.Rev = wire.Uint(began)
	}
	poller, ok := w.(dsv.Poller)
	if !ok {
		poller = p.poller(w)
	}
	p.began = p.watches.add(r.Watch, poller, r.Credit)
	return nil
}

// add makes a pump that waits for begin.
func (ps *pumps) add(id wire.Uint, w dsv.Poller, credit int) *pump {
	pu := &pump{ps: ps, id: id, watch: w, credit: min(credit, mostCredit), unlimited: credit == 0}
	if len(ps.byID) == 0 {
		ps.start()
	}
	ps.byID[uint64(id)] = pu
	return pu
}

// start starts the goroutine, once.
func (ps *pumps) start() {
	ps.mu.Lock()
	defer ps.mu.Unlock()
	if ps.wake != nil {
		return
	}
	ps.wake = make(chan struct{}, 1)
	ps.p.work.Go(ps.run)
}

// begin lets updates go out: the watch's own request is answered.
func (pu *pump) begin() {
	pu.mu.Lock()
	pu.began = true
	pu.mu.Unlock()
	pu.watch.Notify(pu.notify)
}

// notify says that there may be something to carry.
func (pu *pump) notify() {
	ps := pu.ps
	ps.mu.Lock()
	defer ps.mu.Unlock()
	if pu.queued {
		return
	}
	pu.queued = true
	ps.ready = append(ps.ready, pu)
	select {
	case ps.wake <- struct{}{}:
	default:
	}
}

// take returns the pumps that may have something to carry, in the memory of spare.
func (ps *pumps) take(spare []*pump) []*pump {
	ps.mu.Lock()
	defer ps.mu.Unlock()
	ready := ps.ready
	for _, pu := range ready {
		pu.queued = false
	}
	ps.ready = spare[:0]
	return ready
}

// run carries updates until the connection ends. What comes together goes out together.
func (ps *pumps) run() {
	var ready []*pump
	for {
		select {
		case <-ps.wake:
		case <-ps.p.ctx.Done():
			return
		}
		ready = ps.take(ready)
		for i, pu := range ready {
			ready[i] = nil
			if !pu.carry() {
				return
			}
		}
		if ps.p.conn.Flush() != nil {
			return
		}
	}
}

// carry queues what there is, as far as there is credit; false says that the connection is lost.
func (pu *pump) carry() bool {
	more := false
	for range pumpAtOnce {
		sent, err := pu.one()
		if err != nil {
			return false
		}
		if more = sent; !sent {
			break
		}
		if conn := pu.ps.p.conn; conn.Full() && conn.Flush() != nil {
			return false
		}
	}
	if more {
		pu.notify()
	}
	return true
}

// one queues one update; sent is false when there is none that may go. The error is the connection's.
func (pu *pump) one() (sent bool, err error) {
	pu.mu.Lock()
	defer pu.mu.Unlock()
	if pu.over || !pu.began || pu.credit == 0 && !pu.unlimited {
		return false, nil
	}
	u, ok, err := pu.watch.Poll()
	if err != nil {
		pu.over = true // closed, or cut off and told so
		return false, nil
	}
	if !ok {
		return false, nil
	}
	pu.credit--
	return true, pu.queue(u)
}

// queue queues an update; one that cannot travel cuts the watch off. mu is held.
func (pu *pump) queue(u dsv.Update) error {
	p := pu.ps.p
	f, err := wire.FromUpdate(pu.id, u)
	if err == nil {
		err = p.conn.Queue(f)
	}
	if errors.Is(err, dsv.ErrTooLarge) || errors.Is(err, dsv.ErrKind) {
		p.k.log(p.s.name, fmt.Sprintf("update of %s: %v", u.Name, err))
		pu.over = true
		_ = pu.watch.Close()
		err = p.conn.Queue(&wire.Frame{Gap: &wire.Gap{Watch: pu.id, Oldest: wire.Uint(u.Revision)}})
	}
	return err
}

// more gives credit.
func (pu *pump) more(n int) {
	if n <= 0 {
		return
	}
	pu.mu.Lock()
	if !pu.unlimited {
		pu.credit = min(pu.credit+min(n, mostCredit), mostCredit)
	}
	pu.mu.Unlock()
	pu.notify()
}

// close ends the pump: no update follows.
func (pu *pump) close() error {
	pu.mu.Lock()
	pu.over = true
	pu.mu.Unlock()
	delete(pu.ps.byID, uint64(pu.id))
	return pu.watch.Close()
}

// A polled makes a Poller of a Watch, with a goroutine.
type polled struct {
	dsv.Watch
	stop  context.CancelFunc
	taken chan struct{} // capacity 1

	mu     sync.Mutex // guards what follows
	u      dsv.Update
	ok     bool
	err    error
	notify func()
}

func (p *peer) poller(w dsv.Watch) dsv.Poller {
	ctx, stop := context.WithCancel(p.ctx)
	q := &polled{Watch: w, stop: stop, taken: make(chan struct{}, 1)}
	p.work.Go(func() { q.run(ctx) })
	return q
}

func (q *polled) run(ctx context.Context) {
	for {
		u, err := q.Next(ctx)
		q.mu.Lock()
		q.u, q.ok, q.err = u, err == nil, err
		notify := q.notify
		q.mu.Unlock()
		if notify != nil {
			notify()
		}
		if err != nil {
			return
		}
		select {
		case <-q.taken:
		case <-ctx.Done():
			return
		}
	}
}

// Poll implements dsv.Poller.
func (q *polled) Poll() (dsv.Update, bool, error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	u, ok, err := q.u, q.ok, q.err
	if ok {
		q.u, q.ok = dsv.Update{}, false
		q.taken <- struct{}{}
	}
	return u, ok, err
}

// Notify implements dsv.Poller.
func (q *polled) Notify(fn func()) {
	q.mu.Lock()
	q.notify = fn
	q.mu.Unlock()
	fn()
}

// Close implements dsv.Watch.
func (q *polled) Close() error {
	q.stop()
	return q.Watch.Close()
}
