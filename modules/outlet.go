package modules

import (
	"context"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/eve-emulation/eve/evekernel/egs"
	"github.com/eve-emulation/eve/evekernel/link"
	"github.com/eve-emulation/eve/evekernel/wire"
)

// An outlet is what all sources of this process on one channel share: the sinks, and how they are reached.
type outlet struct {
	x    *exchange
	decl *egs.Channel
	desk *egs.Desk
	num  uint64 // of the desk

	ready  chan struct{} // closed when the sinks are known, or never will be
	failed error         // why they never will be
	part   *news         // of a list of members that comes in several frames; guarded by the exchange's mutex

	list atomic.Pointer[[]*target]

	relay   sync.Mutex // one at a time goes through the kernel, in the order of their numbers; locked before mu
	mu      sync.Mutex // guards what follows, and the numbers of the targets
	targets map[egs.SinkID]*target

	all   egs.Slot // the filter of Publish, which has none
	began time.Time
	ended atomic.Int64 // when the latest submission did, in ns since began

	submitted, delivered, filtered, dropped atomic.Uint64
	scratch                                 sync.Pool // of *submission
}

// A target is a sink as a source knows it.
type target struct {
	id      egs.SinkID
	peer    atomic.Pointer[egs.Peer]
	out     egs.Slot
	local   *subscription             // a sink of this process
	via     atomic.Pointer[neighbour] // the process that it lives in, when that takes links
	missing time.Time                 // since when the kernel does not list it; guarded by the outlet's mutex
	numbers []lane                    // guarded by the outlet's mutex
}

// A lane counts the events of one priority.
type lane struct {
	priority int
	last     uint64
}

// number gives the next number; the outlet's mutex is held.
func (t *target) number(priority int) uint64 {
	for i := range t.numbers {
		if l := &t.numbers[i]; l.priority == priority {
			l.last++
			return l.last
		}
	}
	t.numbers = append(t.numbers, lane{priority, 1})
	return 1
}

// A submission is what Submit needs while it runs.
type submission struct {
	e     egs.Event
	pass  []*target
	body  []byte
	dests []link.Dest
	runs  []run
	flush []*link.Link
}

// A run is targets behind the same link.
type run struct {
	l       *link.Link
	targets []*target
}

func newOutlet(x *exchange, c *egs.Channel, num uint64) *outlet {
	o := &outlet{
		x: x, decl: c, desk: egs.NewDesk(c, num), num: num, began: time.Now(), ready: make(chan struct{}), targets: map[egs.SinkID]*target{},
	}
	o.list.Store(&[]*target{})
	o.scratch.New = func() any { return new(submission) }
	return o
}

// attach asks the kernel for the sinks, once. The outlet is ready when they are known.
func (o *outlet) attach(ctx context.Context) {
	done := make(chan struct{})
	c := &call{req: wire.Req{Op: wire.OpAttach, Name: o.decl.Name}, repeat: true}
	c.onRes = func(res *wire.Res) {
		if res.Err() == nil {
			o.x.told(news{o: o, peers: res.Peers, whole: true, done: done})
		}
	}
	_, err := o.x.p.wait(ctx, c)
	if err == nil {
		select {
		case <-done:
		case <-o.x.p.done:
			err = o.x.p.closed()
		case <-ctx.Done():
			err = context.Cause(ctx)
		}
	}
	if err != nil {
		o.x.drop(o)
	}
	o.failed = err
	close(o.ready)
}

// apply makes what the kernel told of the members known to Submit.
func (o *outlet) apply(n news) {
	if n.peers == nil {
		return
	}
	vias := o.connect(n.peers.List)
	o.mu.Lock()
	defer o.mu.Unlock()
	seen := map[egs.SinkID]bool{}
	for i := range n.peers.List {
		w := &n.peers.List[i]
		p, err := w.Peer()
		if err != nil {
			continue // what the kernel took, it gives
		}
		seen[p.Sink.ID] = true
		if w.Left {
			o.remove(p.Sink.ID)
			continue
		}
		o.add(p, vias[p.Sink.ID.Node])
	}
	now := time.Now()
	maps.DeleteFunc(o.targets, func(id egs.SinkID, t *target) bool {
		switch {
		case seen[id]:
			t.missing = time.Time{}
		case n.partial && t.missing.IsZero():
			t.missing = now
		}
		if n.whole && !n.partial && !seen[id] || !t.missing.IsZero() && now.Sub(t.missing) > forgetAfter {
			t.out.Shut()
			return true
		}
		return false
	})
	list := slices.SortedFunc(maps.Values(o.targets), byLink)
	o.list.Store(&list)
}

// forgetAfter is how long a sink may be unknown to a kernel that has just begun.
const forgetAfter = GiveUpAfter

// end releases the filters.
func (o *outlet) end() {
	o.mu.Lock()
	defer o.mu.Unlock()
	for _, t := range o.targets {
		t.out.Shut()
	}
}

// remove removes a sink; mu is held.
func (o *outlet) remove(id egs.SinkID) {
	if t := o.targets[id]; t != nil {
		t.out.Shut()
		delete(o.targets, id)
	}
}

// connect makes the links to the processes of new sinks, side by side.
func (o *outlet) connect(list []wire.Peer) map[uint64]*neighbour {
	vias := map[uint64]*neighbour{}
	var dialling sync.WaitGroup
	for i := range list {
		w := &list[i]
		if nb := o.x.neighbour(uint64(w.Node), w.Link); nb != nil && !w.Left && vias[nb.node] == nil {
			vias[nb.node] = nb
			dialling.Go(func() { o.x.connect(nb) })
		}
	}
	dialling.Wait()
	return vias
}

// add adds a sink, or takes what is new about it; mu is held.
func (o *outlet) add(p egs.Peer, via *neighbour) {
	t := o.targets[p.Sink.ID]
	if t == nil {
		t = &target{id: p.Sink.ID}
		if t.id.Node == o.x.node() {
			o.x.mu.Lock()
			t.local = o.x.subs[t.id.Sub]
			o.x.mu.Unlock()
			if t.local == nil {
				return // closed meanwhile
			}
		}
		o.targets[t.id] = t
	}
	if was := t.peer.Load(); was == nil || !was.Out.Equal(p.Out) {
		f, err := p.Out.Compile(o.decl)
		if err != nil {
			o.x.fault(o.decl, "OUT", p.Out)(err)
		}
		t.out.Set(f, o.x.fault(o.decl, p.Sink.Member+"'s OUT", p.Out))
	}
	t.peer.Store(&p)
	if via != nil {
		t.via.Store(via)
	}
}
