package modules

import (
	"context"
	"errors"
	"fmt"

	"github.com/eve-emulation/eve/dsv"
	"github.com/eve-emulation/eve/evekernel/wire"
)

// The bounds of one batch: of its bytes as they are expected, and of those with all names written out, as a kernel that
// does not know their numbers would have to be told. A larger delta travels alone.
const (
	batchBytes = 32 << 10
	namedBytes = 512 << 10
)

// A batch is deltas that wait for their acknowledgement.
type batch struct {
	seq    uint64
	deltas []dsv.Delta
	pack   wire.Packer // the deltas, for a connection that takes them so
	ack    chan *wire.Ack
}

// Sync implements dsv.Space. Deltas go out in batches of limited size, one after the other without waiting; those of
// several callers share messages and acknowledgements. When ctx ends before all are acknowledged, those under way are
// still merged.
func (p *Proxy) Sync(ctx context.Context, deltas []dsv.Delta) error {
	if ctx.Err() != nil {
		return fmt.Errorf("sync: %w", context.Cause(ctx))
	}
	defer p.wroteAll(deltas)
	var first [4]*batch
	sent := first[:0]
	var errs []error
	for len(deltas) > 0 {
		b, n, bad := p.newBatch(deltas)
		deltas = deltas[n:]
		errs = append(errs, bad...)
		if len(b.deltas) == 0 {
			continue
		}
		if err := p.post(b); err != nil {
			errs = append(errs, err)
			continue
		}
		sent = append(sent, b)
	}
	for _, b := range sent {
		select {
		case a := <-b.ack:
			if a != nil {
				errs = append(errs, wire.JoinFaults(a.Errors))
			}
			p.batches.Put(b)
		case <-p.done:
			return fmt.Errorf("sync: %w", p.closed())
		case <-ctx.Done():
			return fmt.Errorf("sync: %w", context.Cause(ctx))
		}
	}
	return errors.Join(errs...)
}

// newBatch takes as many deltas as one batch holds, and tells which of them have no form on the wire.
func (p *Proxy) newBatch(deltas []dsv.Delta) (b *batch, n int, bad []error) {
	b, _ = p.batches.Get().(*batch)
	if b == nil {
		b = &batch{ack: make(chan *wire.Ack, 1)}
	}
	b.deltas = b.deltas[:0]
	bytes, named := 0, 0
	for i := range deltas {
		d := &deltas[i]
		if err := wire.CheckDelta(d); err != nil {
			bad = append(bad, err)
			n++
			continue
		}
		size := wire.SizeOf(d)
		bytes, named = bytes+size, named+size+len(d.Name)
		if len(b.deltas) > 0 && (bytes > batchBytes || named > namedBytes) {
			break
		}
		b.deltas = append(b.deltas, *d)
		n++
	}
	return b, n, bad
}

// post numbers and registers a batch and sends it, if there is a connection; a new connection sends it otherwise.
func (p *Proxy) post(b *batch) error {
	p.mu.Lock()
	p.last++
	b.seq = p.last
	conn := p.conn
	if conn != nil {
		if err := conn.Queue(p.frame(b)); unsendable(err) {
			p.mu.Unlock()
			return fmt.Errorf("sync %s: %w", b.deltas[0].Name, err)
		}
	}
	p.sent = append(p.sent, b)
	p.mu.Unlock()
	if conn != nil && conn.Flush() == nil { // a connection that was lost is repaired
		conn.Back()
	}
	return nil
}

// frame returns the frame of a batch, with the numbers that the present connection knows. mu is held.
func (p *Proxy) frame(b *batch) *wire.Frame {
	f := &wire.Frame{Batch: &wire.Batch{Seq: wire.Uint(b.seq)}}
	b.pack.Reset()
	var num uint64
	for i := range b.deltas {
		d := &b.deltas[i]
		if i == 0 || d.Name != b.deltas[i-1].Name {
			num = p.nums[d.Name]
		}
		if p.packs {
			_ = b.pack.Add(d, num) // checked before
			continue
		}
		ref := wire.VarRef{Num: num}
		if num == 0 {
			ref.Name = d.Name
		}
		if w, err := wire.FromDelta(*d, ref); err == nil {
			f.Batch.Deltas = append(f.Batch.Deltas, w)
		}
	}
	f.Batch.Packed = b.pack.Bytes()
	return f
}

// acked takes an acknowledgement: of its batch, and of all before.
func (p *Proxy) acked(a *wire.Ack) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for len(p.sent) > 0 && p.sent[0].seq <= uint64(a.Seq) {
		b := p.sent[0]
		p.sent[0] = nil
		p.sent = p.sent[1:]
		if b.seq == uint64(a.Seq) && len(a.Errors) > 0 {
			b.ack <- a
		} else {
			b.ack <- nil
		}
	}
}
