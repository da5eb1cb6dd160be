package engine

import (
	"net/netip"
	"syscall"

	"github.com/eve-emulation/eve/internal/netpoll"
)

// dial opens the socket of a connection to addr; where there is no ring, connecting has begun.
func (r *reactor) dial(addr netip.AddrPort) (int, error) {
	if r.ring != nil {
		return netpoll.Socket(addr.Addr())
	}
	return netpoll.Connect(netip.Addr{}, addr)
}

// ringCallID names the connection of a call in completions.
func ringCallID(k *call) uint64 { return uint64(k.gen)<<slotBits | uint64(k.slot) }

// ringCall returns the connection that a completion belongs to, nil if it has been closed since.
func (r *reactor) ringCall(id uint64) *call {
	slot := id & (maxSlots - 1)
	if slot >= uint64(len(r.calls.all)) {
		return nil
	}
	k := r.calls.all[slot]
	if k.fd < 0 || k.gen != uint32(id>>slotBits) {
		return nil
	}
	return k
}

// ringTransmit sends the request, or what is left of it. A short one goes out silently: what comes of it is told by what is received.
func (r *reactor) ringTransmit(k *call) {
	s, rest := r.ring, k.req[k.sent:]
	if len(rest) <= silentMax {
		r.pieces = append(r.pieces[:0], rest)
		if s.Send(int(k.fd), s.callUnsent, ringCallID(k), r.pieces) {
			r.ringRequested(k)
			return
		}
	}
	r.ringTransmitWhole(k)
}

// ringTransmitWhole sends the next piece of a long request, or of one that the socket had no room for.
func (r *reactor) ringTransmitWhole(k *call) {
	k.state = callSending
	n, err := r.ring.SendWhole(int(k.fd), r.ring.callSent, ringCallID(k), k.req[k.sent:])
	if err != nil {
		_ = netpoll.ShutBoth(int(k.fd)) // which ends what is being received: an answer never comes from within Call
	}
	k.sent += n
}

// ringRequested notes that the request is out.
func (r *reactor) ringRequested(k *call) {
	r.pool.put(k.req)
	k.req, k.state = nil, callReading
}

// ringCallSent goes on after connecting, or after a piece of a request.
func (r *reactor) ringCallSent(ev *netpoll.Completion) {
	k := r.ringCall(ev.ID)
	switch {
	case k == nil:
	case k.state == callConnecting:
		if ev.Err != 0 {
			r.finish(k, cause(ev.Err))
			return
		}
		r.ring.Receive(int(k.fd), r.ring.called, ev.ID)
		r.ringTransmit(k)
	case ev.Err != 0: // what is received tells; the server may have answered before it closed
	case k.sent < len(k.req):
		r.ringTransmitWhole(k)
	default:
		r.ringRequested(k)
	}
}

// ringCallUnsent sends what the socket had no room for, and waits for it.
func (r *reactor) ringCallUnsent(ev *netpoll.Completion) {
	if k := r.ringCall(ev.ID); k != nil && ev.Err == 0 {
		k.req, k.sent = append(r.pool.get(len(ev.Data)), ev.Data...), 0
		r.ringTransmitWhole(k)
	}
}

// ringCalled takes what comes of a call.
func (r *reactor) ringCalled(ev *netpoll.Completion) {
	k := r.ringCall(ev.ID)
	switch {
	case k == nil:
		return
	case !ev.More && (ev.N > 0 || ev.Err == syscall.ENOBUFS):
		r.ring.Receive(int(k.fd), r.ring.called, ev.ID)
	}
	switch {
	case ev.Err == syscall.ENOBUFS:
	case k.state == callIdle: // the server has closed, or talks out of turn
		r.hangUp(k)
	case ev.N > 0:
		r.callFeed(k, ev.Data)
	case ev.Err == 0:
		r.callEnd(k)
	default:
		r.finish(k, cause(ev.Err))
	}
}
