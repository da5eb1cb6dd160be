package modules

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/eve-emulation/eve/dsv"
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
		<-done
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
			t.out.Set(nil, nil)
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
		t.out.Set(nil, nil)
	}
}

// remove removes a sink; mu is held.
func (o *outlet) remove(id egs.SinkID) {
	if t := o.targets[id]; t != nil {
		t.out.Set(nil, nil)
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

// submit sends an event to the sinks that the filters admit.
func (o *outlet) submit(e egs.Event, own *egs.Slot) (int, error) {
	s := o.scratch.Get().(*submission) //nolint:forcetypeassert // ours
	defer func() {
		s.e = egs.Event{}
		clear(s.pass)
		clear(s.runs)
		clear(s.flush)
		s.pass = s.pass[:0]
		o.scratch.Put(s)
	}()
	s.e = e
	s.e.Channel, s.e.From, s.e.Node, s.e.Re, s.e.Lost, s.e.Seq = o.decl.Name, o.x.p.link.Name, o.x.node(), 0, 0, 0
	if err := o.decl.Fits(&s.e); err != nil {
		return 0, fmt.Errorf("submit %s: %w", o.decl.Name, err)
	}
	if s.e.Priority == 0 {
		s.e.Priority = o.decl.Priority
	}
	filtered := 0
	for _, t := range *o.list.Load() {
		sink := &t.peer.Load().Sink
		if own.Pass(&s.e, sink) && t.out.Pass(&s.e, sink) {
			s.pass = append(s.pass, t)
		} else {
			filtered++
		}
	}
	n := o.send(s)
	o.submitted.Add(1)
	o.filtered.Add(uint64(filtered))
	o.delivered.Add(uint64(n))
	o.dropped.Add(uint64(len(s.pass) - n))
	return n, nil
}

// send sends a submission to those who pass: first by links, then through the kernel, then to those of this process,
// whose handlers may take their time.
func (o *outlet) send(s *submission) int {
	n, local, relayed := 0, 0, 0
	s.runs = s.runs[:0]
	for i := 0; i < len(s.pass); {
		t := s.pass[i]
		j := i + 1
		for j < len(s.pass) && s.pass[j].id.Node == t.id.Node {
			j++
		}
		switch l := t.via.Load().up(); {
		case t.local != nil:
			local += j - i
		case l != nil:
			l.Room()
			s.runs = append(s.runs, run{l, s.pass[i:j]})
		default:
			relayed += j - i
			if via := t.via.Load(); via != nil {
				o.x.reconnect(via)
			}
			s.runs = append(s.runs, run{nil, s.pass[i:j]})
		}
		i = j
	}
	if len(s.runs) > 0 && relayed < len(s.pass)-local {
		n += o.direct(s)
	}
	if relayed > 0 {
		n += o.forward(s, relayed)
	}
	if local == 0 {
		return n
	}
	for _, t := range s.pass {
		if t.local != nil && t.local.inbox.Put(&s.e) {
			n++
		}
	}
	return n
}

// busy is how soon after the one before a submission counts as one of a stream: then it does not write by itself, but
// leaves that to the links, and what follows travels along.
const busy = 10 * time.Microsecond

// direct sends a submission by links: it is encoded once, and for each link it is one message.
func (o *outlet) direct(s *submission) (n int) {
	more := int64(time.Since(o.began))-o.ended.Load() < int64(busy)
	defer func() { o.ended.Store(int64(time.Since(o.began))) }()
	s.body = link.AppendBody(s.body[:0], o.decl, &s.e)
	s.flush = s.flush[:0]
	o.mu.Lock()
	for _, r := range s.runs {
		if r.l == nil {
			continue
		}
		s.dests = s.dests[:0]
		for _, t := range r.targets {
			s.dests = append(s.dests, link.Dest{Sub: t.id.Sub, Seq: t.number(s.e.Priority)})
		}
		ok, flush := r.l.Queue(s.e.Priority, s.dests, s.body, more)
		if ok {
			n += len(s.dests)
		}
		if flush {
			s.flush = append(s.flush, r.l)
		}
	}
	o.mu.Unlock()
	for _, l := range s.flush {
		l.Flush()
	}
	return n
}

// forward sends a submission through the kernel to those whom no link reaches.
func (o *outlet) forward(s *submission, relayed int) int {
	w, err := wire.FromEvent(0, s.e, o.decl)
	if err != nil {
		return 0
	}
	w.To = make([]wire.Address, 0, relayed)
	o.relay.Lock()
	defer o.relay.Unlock()
	o.mu.Lock()
	for _, r := range s.runs {
		if r.l != nil {
			continue
		}
		for _, t := range r.targets {
			w.To = append(w.To, wire.Address{
				Node: wire.Uint(t.id.Node), Sub: wire.Uint(t.id.Sub), Seq: wire.Uint(t.number(s.e.Priority)),
			})
		}
	}
	o.mu.Unlock()
	if o.x.p.utter(&wire.Frame{Evt: w}) != nil {
		return 0
	}
	return relayed
}

// A source is one source of this process.
type source struct {
	o      *outlet
	out    egs.Slot
	closed atomic.Bool
}

// Attach implements egs.Service.
func (p *Proxy) Attach(ctx context.Context, channel dsv.Name) (egs.Source, error) {
	o, err := p.x.outlet(ctx, channel)
	if err != nil {
		return nil, local(err, "attach", channel)
	}
	return &source{o: o}, nil
}

// Publish implements egs.Service.
func (p *Proxy) Publish(ctx context.Context, e egs.Event) error {
	o, err := p.x.outlet(ctx, e.Channel)
	if err != nil {
		return local(err, "publish", e.Channel)
	}
	e.ID = o.desk.NextID()
	_, err = o.submit(e, &o.all)
	return err
}

// Channel implements egs.Source.
func (s *source) Channel() egs.Channel { return *s.o.decl }

// Submit implements egs.Source.
func (s *source) Submit(_ context.Context, e egs.Event) (int, error) {
	if s.closed.Load() {
		return 0, fmt.Errorf("submit %s: %w", s.o.decl.Name, dsv.ErrClosed)
	}
	e.ID = s.o.desk.NextID()
	return s.o.submit(e, &s.out)
}

// Ask implements egs.Source.
func (s *source) Ask(_ context.Context, e egs.Event) (*egs.Inquiry, error) {
	if s.closed.Load() {
		return nil, fmt.Errorf("ask %s: %w", s.o.decl.Name, dsv.ErrClosed)
	}
	q, err := s.o.desk.Open(s.o.desk.NextID())
	if err != nil {
		return nil, err
	}
	e.ID = q.ID()
	n, err := s.o.submit(e, &s.out)
	if err != nil {
		q.Close()
		return nil, err
	}
	q.SetAsked(n)
	return q, nil
}

// SetOut implements egs.Source.
func (s *source) SetOut(f egs.Filter) {
	s.out.Set(f, s.o.x.fault(s.o.decl, "source's OUT", egs.FilterSpec{}))
}

// Sinks implements egs.Source.
func (s *source) Sinks() []egs.Sink {
	list := *s.o.list.Load()
	sinks := make([]egs.Sink, len(list))
	for i, t := range list {
		sinks[i] = t.peer.Load().Sink
	}
	return sinks
}

// Stats implements egs.Source.
func (s *source) Stats() egs.SourceStats {
	return egs.SourceStats{
		Submitted: s.o.submitted.Load(), Delivered: s.o.delivered.Load(), Filtered: s.o.filtered.Load(),
		Dropped: s.o.dropped.Load(), Late: s.o.desk.Late(),
	}
}

// Close implements egs.Source.
func (s *source) Close() error {
	s.closed.Store(true)
	return nil
}
