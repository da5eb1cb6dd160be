package modules

import (
	"fmt"
	"time"

	"github.com/eve-emulation/eve/evekernel/egs"
	"github.com/eve-emulation/eve/evekernel/link"
	"github.com/eve-emulation/eve/evekernel/wire"
)

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
