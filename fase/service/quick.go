package service

import (
	"sync/atomic"

	"github.com/eve-emulation/eve/dmm"
	"github.com/eve-emulation/eve/dsv"
)

// A Quick answers what nobody has to wait for, without its Host and on any goroutine: requests for a service that is served here whose
// block is plain (see rdr.Block.Plain), at a server that has neither a gate nor a link. It measures them as the Host would.
type Quick struct {
	share float64
	node  int
	here  []quickPlace
}

type quickPlace struct {
	held               atomic.Uint64 // epoch of the mapping in force; the highest bit says that requests are answered here
	residence, records *dmm.Var
	answered           atomic.Int64
	pooled             bool // a request needs a worker
}

const quickServes = 1 << 63

// Quick returns the host's Quick, nil if every request has to come to the host. It may be used as soon as the host has its mappings.
func (h *Host) Quick() *Quick {
	if h.adm.gate != nil || h.hw.link != nil || !h.cross.instant() {
		return nil
	}
	if h.quick == nil {
		h.quick = &Quick{share: h.cfg.RecordShare, node: h.cfg.Node, here: make([]quickPlace, len(h.here))}
		for i := range h.here {
			q := &h.quick.here[i]
			q.pooled = h.here[i].workers != nil
			q.residence, q.records = h.here[i].residence, h.here[i].records
			h.quick.mapped(i, h.run.Calls.Mapping(i).Epoch, h.here[i].state)
		}
	}
	return h.quick
}

// mapped notes what the host does for a service.
func (q *Quick) mapped(svc int, epoch uint32, state State) {
	if q == nil {
		return
	}
	held := uint64(epoch)
	if (state == Serving || state == Draining) && !q.here[svc].pooled {
		held |= quickServes
	}
	q.here[svc].held.Store(held)
}

// Answer answers r and returns the bytes of the reply, or false: the request is the Host's. buf is the caller's, and is written to.
func (q *Quick) Answer(at dsv.Instant, r *Request, buf *[HostRecordSize]byte) (reply int64, ok bool) {
	if r.Block == nil {
		return 0, false
	}
	if reply, ok = r.Block.Plain(); !ok || r.Service < 0 {
		return reply, ok
	}
	p := &q.here[r.Service]
	if held := p.held.Load(); held&quickServes == 0 || uint32(held) < r.Epoch {
		return 0, false
	}
	p.answered.Add(1)
	p.residence.Write(at, 0)
	if p.records != nil && Recorded(r.Key, q.share) {
		p.records.Append(at, appendHostRecord(buf[:0], r.Key, at, at, PackDemand(0, q.node)))
	}
	return reply, true
}
