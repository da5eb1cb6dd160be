package modules

import (
	"context"
	"errors"
	"fmt"

	"github.com/eve-emulation/eve/dsv"
	"github.com/eve-emulation/eve/evekernel/wire"
)

// batchBytes bounds one frame of deltas; a larger delta travels alone.
const batchBytes = 256 << 10

// do sends a request and waits for its answer.
func (p *Proxy) do(ctx context.Context, r wire.Req, repeat bool) (*wire.Res, error) {
	return p.wait(ctx, &call{req: r, repeat: repeat})
}

// wait sends a call and waits for its answer. When the answer is an error, it is returned with it.
func (p *Proxy) wait(ctx context.Context, c *call) (*wire.Res, error) {
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	c.res = make(chan *wire.Res, 1)
	id, err := p.send(c)
	if err != nil {
		return nil, err
	}
	select {
	case res, ok := <-c.res:
		if !ok {
			return nil, ErrLost
		}
		return res, res.Err()
	case <-p.done:
		return nil, p.closed()
	case <-ctx.Done():
		p.mu.Lock()
		delete(p.calls, id)
		p.mu.Unlock()
		return nil, context.Cause(ctx)
	}
}

// send numbers and registers a call and sends it, if there is a connection; a new connection sends it otherwise.
func (p *Proxy) send(c *call) (uint64, error) {
	p.out.Lock()
	defer p.out.Unlock()
	p.mu.Lock()
	c.req.ID = p.next()
	id := p.last
	p.calls[id] = c
	conn := p.conn
	c.sent = conn != nil
	p.mu.Unlock()
	if conn == nil {
		return id, nil
	}
	if err := conn.Send(&wire.Frame{Req: &c.req}); unsendable(err) {
		p.mu.Lock()
		delete(p.calls, id)
		p.mu.Unlock()
		return id, err
	}
	return id, nil
}

// tell sends a request whose answer nobody waits for, if there is a connection.
func (p *Proxy) tell(r wire.Req) {
	p.out.Lock()
	defer p.out.Unlock()
	p.mu.Lock()
	r.ID = p.next()
	conn := p.conn
	p.mu.Unlock()
	if conn != nil {
		_ = conn.Send(&wire.Frame{Req: &r})
	}
}

// unsendable tells a frame that no connection could carry from a connection that was lost, which is repaired.
func unsendable(err error) bool {
	return errors.Is(err, dsv.ErrTooLarge) || errors.Is(err, dsv.ErrKind) || errors.Is(err, dsv.ErrName)
}

// handle takes what the kernel sends.
func (p *Proxy) handle(f *wire.Frame) error {
	switch {
	case f.Res != nil:
		p.answered(f.Res)
	case f.Ack != nil:
		p.acked(f.Ack)
	case f.Upd != nil:
		return p.updated(f.Upd)
	case f.Gap != nil:
		p.mu.Lock()
		w := p.watches[uint64(f.Gap.Watch)]
		delete(p.watches, uint64(f.Gap.Watch))
		p.mu.Unlock()
		if w != nil {
			w.cut(dsv.Revision(f.Gap.Oldest))
		}
	case f.Evt != nil:
		return p.happened(f.Evt)
	case f.Bye != nil:
		return p.told(f.Bye)
	case f.Tick != nil: // real time needs no ticks
	default:
		return fmt.Errorf("%s from a kernel: %w", f.Type(), wire.ErrProtocol)
	}
	return nil
}

// told takes the kernel's bye.
func (p *Proxy) told(b *wire.Bye) error {
	p.mu.Lock()
	again := p.leaving
	if p.onBye == nil {
		p.leaving = true
	}
	p.mu.Unlock()
	if p.onBye == nil {
		return &wire.Error{Code: wire.CodeClosed, Msg: b.Msg}
	}
	if !again {
		p.onBye(*b)
	}
	return nil
}

func (p *Proxy) answered(r *wire.Res) {
	p.mu.Lock()
	defer p.mu.Unlock()
	c := p.calls[uint64(r.ID)]
	if c == nil {
		return // given up meanwhile
	}
	delete(p.calls, uint64(r.ID))
	if r.Code == "" {
		p.stands.note(c.req)
		if c.req.Op == wire.OpCreate {
			p.nums[c.req.Decl.Name] = uint64(r.Var)
		}
	}
	if c.onRes != nil {
		c.onRes(r)
	}
	c.res <- r
}

func (p *Proxy) acked(a *wire.Ack) {
	p.mu.Lock()
	defer p.mu.Unlock()
	b := p.batches[uint64(a.Seq)]
	if b == nil {
		return
	}
	delete(p.batches, uint64(a.Seq))
	b.ack <- a
}

// Sync implements dsv.Space. Deltas go out in frames of limited size, one after the other without waiting. When ctx ends
// before all are acknowledged, those under way are still merged.
func (p *Proxy) Sync(ctx context.Context, deltas []dsv.Delta) error {
	if ctx.Err() != nil {
		return fmt.Errorf("sync: %w", context.Cause(ctx))
	}
	batches, bad := newBatches(deltas)
	errs := []error{bad}
	var sent []*batch
	for _, b := range batches {
		if err := p.post(b); err != nil {
			errs = append(errs, err)
			continue
		}
		sent = append(sent, b)
	}
	for _, b := range sent {
		select {
		case a := <-b.ack:
			errs = append(errs, wire.JoinFaults(a.Errors))
		case <-p.done:
			return fmt.Errorf("sync: %w", p.closed())
		case <-ctx.Done():
			return fmt.Errorf("sync: %w", context.Cause(ctx))
		}
	}
	return errors.Join(errs...)
}

// newBatches returns the deltas that have a form on the wire in batches of limited size, and why the others have none.
func newBatches(deltas []dsv.Delta) ([]*batch, error) {
	var all []*batch
	var errs []error
	size := 0
	for _, d := range deltas {
		w, err := wire.FromDelta(d, wire.VarRef{Name: d.Name})
		if err != nil {
			errs = append(errs, err)
			continue
		}
		n := w.Size()
		if size += n; len(all) == 0 || size > batchBytes {
			all, size = append(all, &batch{ack: make(chan *wire.Ack, 1)}), n
		}
		b := all[len(all)-1]
		b.names, b.deltas = append(b.names, d.Name), append(b.deltas, w)
	}
	return all, errors.Join(errs...)
}

// post registers a batch and sends it, if there is a connection.
func (p *Proxy) post(b *batch) error {
	p.out.Lock()
	defer p.out.Unlock()
	p.mu.Lock()
	p.last++
	seq, conn := p.last, p.conn
	p.batches[seq] = b
	p.mu.Unlock()
	if conn == nil {
		return nil
	}
	if err := conn.Send(p.frame(seq, b)); unsendable(err) {
		p.mu.Lock()
		delete(p.batches, seq)
		p.mu.Unlock()
		return fmt.Errorf("sync %s: %w", b.names[0], err)
	}
	return nil
}

// frame returns the frame of a batch, with the numbers that the present connection knows. out is held.
func (p *Proxy) frame(seq uint64, b *batch) *wire.Frame {
	p.mu.Lock()
	defer p.mu.Unlock()
	for i, n := range b.names {
		b.deltas[i].Var = wire.VarRef{Name: n}
		if num := p.nums[n]; num != 0 {
			b.deltas[i].Var = wire.VarRef{Num: num}
		}
	}
	return &wire.Frame{Batch: &wire.Batch{Seq: wire.Uint(seq), Deltas: b.deltas}}
}
