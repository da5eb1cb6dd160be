package engine

import (
	"errors"
	"io"
	"net/netip"

	"github.com/eve-emulation/eve/internal/http1"
	"github.com/eve-emulation/eve/internal/mono"
	"github.com/eve-emulation/eve/internal/netpoll"
)

// A call is one outgoing connection, with the request that it carries unless it is idle. It is used again in its slot.
type call struct {
	peer     *peer
	req      []byte // not wholly sent; pooled
	sent     int
	deadline int64 // of the request; of the idle connection, when it is closed
	ref      CallRef
	reader   http1.ResponseReader
	fd       int32 // -1 if the slot is free
	gen      uint32
	slot     uint32
	place    int32 // in the heap of deadlines, -1 if not there
	state    callState
}

type callState uint8

const (
	callIdle callState = iota
	callConnecting
	callSending // the socket was full
	callReading
)

// A peer is an address that is called, with its idle connections, the latest used last.
type peer struct {
	addr netip.AddrPort
	err  error // the address is no good
	idle []*call
}

// A failure is a call that failed before it began, to be told soon.
type failure struct {
	ref CallRef
	err error
}

// calls is a reactor's outgoing side.
type calls struct {
	peers  map[string]*peer
	active map[CallRef]*call
	all    []*call
	free   []*call
	heap   []*call // by deadline
	failed []failure
	answer Answer               // being told
	reader http1.ResponseReader // it points into this
}

func (s *calls) init() {
	s.peers = make(map[string]*peer)
	s.active = make(map[CallRef]*call)
}

// next returns the instant at which there is something to do.
func (s *calls) next() int64 {
	switch {
	case len(s.failed) > 0:
		return 0
	case len(s.heap) > 0:
		return s.heap[0].deadline
	default:
		return mono.Never
	}
}

func (r *reactor) Call(addr string, req []byte, deadline int64, ref CallRef) {
	s := &r.calls
	r.count.Calls++
	p := s.peers[addr]
	if p == nil {
		p = new(peer)
		if p.addr, p.err = netip.ParseAddrPort(addr); p.err != nil {
			p.err = ErrUnreachable
		}
		s.peers[addr] = p
	}
	k, err := r.line(p)
	if err != nil {
		s.failed = append(s.failed, failure{ref, err})
		return
	}
	s.active[ref] = k
	k.ref = ref
	k.reader.Reset(false)
	k.req, k.sent = append(r.pool.get(len(req)), req...), 0
	r.calls.remind(k, deadline)
	if k.state == callIdle {
		r.transmit(k)
	}
}

// line returns an idle connection to p, or begins one.
func (r *reactor) line(p *peer) (*call, error) {
	if p.err != nil {
		return nil, p.err
	}
	s := &r.calls
	if n := len(p.idle); n > 0 {
		k := p.idle[n-1]
		p.idle = p.idle[:n-1]
		return k, nil
	}
	fd, err := r.dial(p.addr)
	if err != nil {
		return nil, cause(err)
	}
	if len(s.free) == 0 {
		k := &call{slot: uint32(len(s.all)), fd: -1, place: -1}
		s.all = append(s.all, k)
		s.free = append(s.free, k)
	}
	k := s.free[len(s.free)-1]
	if r.ring != nil {
		err = r.ring.Connect(fd, r.ring.callSent, ringCallID(k), p.addr)
	} else {
		err = r.poller.Add(fd, tag(tagCall, k.gen, k.slot), netpoll.Out)
	}
	if err != nil {
		_ = netpoll.Close(fd)
		return nil, ErrUnreachable
	}
	s.free = s.free[:len(s.free)-1]
	k.fd, k.peer, k.state = int32(fd), p, callConnecting
	return k, nil
}

// transmit sends the request, or what is left of it. A connection that fails here is found out by its next event, so that an
// answer never comes from within Call.
func (r *reactor) transmit(k *call) {
	if r.ring != nil {
		r.ringTransmit(k)
		return
	}
	for k.sent < len(k.req) {
		n, err := netpoll.Write(int(k.fd), k.req[k.sent:])
		if err != nil {
			if errors.Is(err, netpoll.ErrAgain) {
				r.callWatch(k, callSending)
				return
			}
			break
		}
		k.sent += n
	}
	r.pool.put(k.req)
	k.req = nil
	r.callWatch(k, callReading)
}

// callWatch enters a state, and has the poller watch for what ends it.
func (r *reactor) callWatch(k *call, to callState) {
	watches := func(s callState) netpoll.Events {
		if s == callIdle || s == callReading {
			return netpoll.In
		}
		return netpoll.Out
	}
	if r.ring == nil && watches(k.state) != watches(to) {
		// It cannot fail on a descriptor that was added; if it did, the deadline would end the call.
		_ = r.poller.Modify(int(k.fd), tag(tagCall, k.gen, k.slot), watches(to))
	}
	k.state = to
}

func (r *reactor) callEvent(ev netpoll.Event) {
	slot := uint32(ev.Tag)
	if int(slot) >= len(r.calls.all) {
		return
	}
	k := r.calls.all[slot]
	if k.fd < 0 || k.gen&tagGenMask != uint32(ev.Tag>>32)&tagGenMask {
		return
	}
	switch k.state {
	case callIdle: // the server has closed, or talks out of turn
		r.hangUp(k)
	case callConnecting:
		if err := netpoll.ConnectError(int(k.fd)); err != nil {
			r.finish(k, cause(err))
			return
		}
		r.transmit(k)
	case callSending:
		if ev.Events&(netpoll.Err|netpoll.Hup) != 0 {
			r.callRead(k) // the server may have answered before it closed
			return
		}
		r.transmit(k)
	case callReading:
		r.callRead(k)
	}
}

// callRead feeds what has come to the response.
func (r *reactor) callRead(k *call) {
	for {
		n, err := netpoll.Read(int(k.fd), r.scratch)
		switch {
		case err == nil:
			if r.callFeed(k, r.scratch[:n]) && n == len(r.scratch) {
				continue
			}
			return
		case errors.Is(err, netpoll.ErrAgain):
			return
		case errors.Is(err, io.EOF):
			r.callEnd(k)
			return
		default:
			r.finish(k, cause(err))
			return
		}
	}
}

// callFeed takes the next bytes of the response, and reports whether there are more to come.
func (r *reactor) callFeed(k *call, b []byte) bool {
	used, err := k.reader.Feed(b)
	switch {
	case err != nil, used < len(b):
		r.finish(k, ErrMalformed)
	case k.reader.Done():
		r.finish(k, nil)
	default:
		return true
	}
	return false
}

// callEnd ends the response with its stream.
func (r *reactor) callEnd(k *call) {
	if k.reader.End() != nil {
		r.finish(k, ErrClosed)
		return
	}
	r.finish(k, nil)
}

// finish ends the call that k carries and tells the handler. The connection is ready for the next call before that, and the
// answer therefore has a reader of its own.
func (r *reactor) finish(k *call, err error) {
	s := &r.calls
	ref := k.ref
	delete(s.active, ref)
	k.reader, s.reader = s.reader, k.reader
	s.answer = Answer{Bytes: s.reader.Bytes, Err: err}
	if s.reader.HeadDone() {
		s.answer.Status, s.answer.head = s.reader.Response.Status, &s.reader.Response
	}
	if err == nil && s.reader.Reusable() && k.req == nil && !r.draining {
		r.callWatch(k, callIdle)
		k.peer.idle = append(k.peer.idle, k)
		s.remind(k, r.now+int64(r.e.cfg.CallIdle))
	} else {
		r.hangUp(k)
	}
	r.handler.Answer(r, ref, &s.answer)
}

// hangUp closes the connection of k and frees its slot.
func (r *reactor) hangUp(k *call) {
	s := &r.calls
	s.remind(k, mono.Never)
	if k.state == callIdle {
		for i, q := range k.peer.idle {
			if q == k {
				k.peer.idle = append(k.peer.idle[:i], k.peer.idle[i+1:]...)
				break
			}
		}
	}
	r.closeFile(int(k.fd), true)
	r.pool.put(k.req)
	k.req, k.peer, k.fd = nil, nil, -1
	k.gen++
	s.free = append(s.free, k)
}

func (r *reactor) Cancel(ref CallRef) {
	s := &r.calls
	if k := s.active[ref]; k != nil {
		delete(s.active, ref)
		r.hangUp(k)
		return
	}
	for i := range s.failed {
		if s.failed[i].ref == ref {
			s.failed = append(s.failed[:i], s.failed[i+1:]...)
			return
		}
	}
}

// expire tells failures and ends what has waited too long.
func (s *calls) expire(r *reactor) {
	for range len(s.failed) { // those that the handler adds meanwhile wait for the next turn
		if len(s.failed) == 0 {
			break
		}
		f := s.failed[0]
		s.failed = append(s.failed[:0], s.failed[1:]...)
		s.answer = Answer{Err: f.err}
		r.handler.Answer(r, f.ref, &s.answer)
	}
	for len(s.heap) > 0 && s.heap[0].deadline <= r.now {
		k := s.heap[0]
		if k.state == callIdle {
			r.hangUp(k)
			continue
		}
		r.finish(k, ErrTimedOut)
	}
}

// failCalls ends all calls of a loop that ends.
func (r *reactor) failCalls() {
	for _, k := range r.calls.all {
		switch {
		case k.fd < 0:
		case k.state == callIdle:
			r.hangUp(k)
		default:
			r.finish(k, ErrStopped)
		}
	}
	r.closeCalls()
}

// closeCalls closes what connections are left, without a word.
func (r *reactor) closeCalls() {
	s := &r.calls
	for _, k := range s.all {
		if k.fd >= 0 {
			r.closeFile(int(k.fd), true)
			k.fd = -1
		}
	}
	s.all, s.free, s.heap, s.failed = nil, nil, nil, nil
	clear(s.peers)
	clear(s.active)
}

// cause turns an error of a socket into one of an Answer.
func cause(err error) error {
	switch {
	case netpoll.Refused(err):
		return ErrRefused
	case netpoll.Reset(err):
		return ErrReset
	case netpoll.TimedOut(err):
		return ErrTimedOut
	default:
		return ErrUnreachable
	}
}

// remind sets the deadline of k; Never takes it out of the heap.
func (s *calls) remind(k *call, at int64) {
	k.deadline = at
	switch {
	case at == mono.Never && k.place < 0:
		return
	case at == mono.Never:
		i, n := int(k.place), len(s.heap)-1
		moved := s.heap[n]
		s.heap = s.heap[:n]
		k.place = -1
		if moved != k {
			s.heap[i] = moved
			s.sift(i)
		}
	case k.place < 0:
		s.heap = append(s.heap, k)
		s.sift(len(s.heap) - 1)
	default:
		s.sift(int(k.place))
	}
}

// sift moves the call at i to its place in the heap.
func (s *calls) sift(i int) {
	k := s.heap[i]
	for i > 0 {
		up := (i - 1) / 2
		if s.heap[up].deadline <= k.deadline {
			break
		}
		s.heap[i] = s.heap[up]
		s.heap[i].place = int32(i)
		i = up
	}
	for {
		down := 2*i + 1
		if down >= len(s.heap) {
			break
		}
		if down+1 < len(s.heap) && s.heap[down+1].deadline < s.heap[down].deadline {
			down++
		}
		if s.heap[down].deadline >= k.deadline {
			break
		}
		s.heap[i] = s.heap[down]
		s.heap[i].place = int32(i)
		i = down
	}
	s.heap[i] = k
	k.place = int32(i)
}
