package modules

import (
	"context"
	"errors"
	"fmt"

	"github.com/eve-emulation/eve/dsv"
	"github.com/eve-emulation/eve/evekernel/wire"
)

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
	id, err := p.send(ctx, c)
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

// send numbers and registers a call and sends it, if there is a connection; a new connection sends it otherwise. A lone
// caller reads its answer itself.
func (p *Proxy) send(ctx context.Context, c *call) (uint64, error) {
	p.mu.Lock()
	c.req.ID = p.next()
	id := p.last
	p.calls[id] = c
	conn := p.conn
	c.sent = conn != nil
	alone := len(p.calls) == 1 && len(p.sent) == 0
	if conn != nil {
		if err := conn.Queue(&wire.Frame{Req: &c.req}); unsendable(err) {
			delete(p.calls, id)
			p.mu.Unlock()
			return id, err
		}
	}
	p.mu.Unlock()
	if conn == nil {
		return id, nil
	}
	if conn.Flush() == nil { // a connection that was lost is repaired
		if alone && !waits(c.req.Op) {
			conn.Help(ctx, quick, func() bool { return len(c.res) > 0 })
		} else {
			conn.Back()
		}
	}
	return id, nil
}

// waits tells requests whose answer may be long in coming.
func waits(op wire.Op) bool { return op == wire.OpJoin }

// quick tells frames that any goroutine may handle: nobody else's code is called with them.
func quick(f *wire.Frame) bool { return f.Res != nil || f.Ack != nil || f.Upd != nil || f.Gap != nil }

// tell sends a request whose answer nobody waits for, if there is a connection.
func (p *Proxy) tell(r wire.Req) {
	p.mu.Lock()
	conn := p.queue(r)
	p.mu.Unlock()
	if conn != nil {
		_ = conn.Flush()
	}
}

// queue queues a request whose answer nobody waits for, and returns the connection, nil when there is none. mu is held.
func (p *Proxy) queue(r wire.Req) *wire.Conn {
	r.ID = p.next()
	if p.conn == nil || p.conn.Queue(&wire.Frame{Req: &r}) != nil {
		return nil
	}
	return p.conn
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
		p.dropCopy(p.replicas[uint64(f.Gap.Watch)])
		p.mu.Unlock()
		if w != nil {
			w.cut(dsv.Revision(f.Gap.Oldest))
		}
	case f.Evt != nil:
		return p.x.happened(f.Evt)
	case f.Peers != nil:
		p.x.changed(f.Peers)
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
