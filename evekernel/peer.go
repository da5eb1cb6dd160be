package evekernel

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/eve-emulation/eve/dsv"
	"github.com/eve-emulation/eve/evekernel/egs"
	"github.com/eve-emulation/eve/evekernel/wire"
	"github.com/eve-emulation/eve/internal/mono"
)

// maxWaiting bounds the requests of one connection that wait at the same time; maxFollowed its watches and
// subscriptions; maxFaults the errors that one ack carries.
const (
	maxWaiting  = 256
	maxFollowed = 4096
	maxFaults   = 64
)

// errLeft ends a connection whose participant said bye.
var errLeft = errors.New("said bye")

// A peer is one participant on one connection. handle is called from the connection's goroutine, which owns watches and
// subs.
type peer struct {
	k      *Kernel
	s      *session
	conn   *wire.Conn
	over   int             // which of the session's connections it is
	ctx    context.Context // ends with the connection; a field because handle is a callback
	member egs.Service

	watches pumps
	began   *pump           // the watch that the present request opened: it waits for the answer to be sent
	subs    map[uint64]bool // of the session's sinks those that were subscribed on this connection
	sources map[dsv.Name]*attached
	opened  chan struct{} // of what the present request opened: its pump waits for the answer to be sent
	slots   chan struct{} // one for each request that waits
	why     error         // the reason of its bye, when that is an error
	work    sync.WaitGroup
	prompt  dsv.Prompt // what the reader changes, it does not settle itself
	settler settler
	merger  merger
}

// end closes what the connection opened and waits for its goroutines; its context has ended.
func (p *peer) end() {
	for _, w := range p.watches.byID {
		_ = w.close()
	}
	p.settler.end()
	p.work.Wait()
}

func (p *peer) handle(f *wire.Frame) error {
	switch {
	case f.Batch != nil:
		return p.merge(f.Batch)
	case f.Req != nil:
		return p.request(f.Req)
	case f.Evt != nil:
		p.event(f.Evt)
		return nil
	case f.Bye != nil:
		if f.Bye.Code != "" {
			p.k.log(p.s.name, "ends: "+f.Bye.Msg)
			p.why = errors.New(printable(f.Bye.Msg))
		}
		return errLeft
	case f.Tick != nil:
		return nil
	}
	return fmt.Errorf("%s to a kernel: %w", f.Type(), wire.ErrProtocol)
}

// event takes an event that wants no answer, or a log line.
func (p *peer) event(e *wire.Evt) {
	if e.Channel == wire.LogChannel {
		p.k.log(p.s.name, string(e.Data))
		return
	}
	if _, err := p.happen(e); err != nil {
		p.k.log(p.s.name, err.Error())
	}
}

// request answers a request: at once, in order, or from a goroutine of its own if it has to wait.
func (p *peer) request(r *wire.Req) error {
	if r.ID == 0 {
		return fmt.Errorf("request without id: %w", wire.ErrProtocol)
	}
	if r.Op == wire.OpSubscribe || r.Op == wire.OpDescribe || r.Op == wire.OpFilter {
		return p.membership(r)
	}
	if r.Op != wire.OpJoin && r.Op != wire.OpHistory {
		err := p.atOnce(r)
		if p.began != nil {
			p.began.begin()
			p.began = nil
		}
		if p.opened != nil {
			close(p.opened)
			p.opened = nil
		}
		return err
	}
	select {
	case p.slots <- struct{}{}:
	default:
		return p.respond(&wire.Res{ID: r.ID}, p.conn.Answer, fmt.Errorf("%s: more than %d requests wait", r.Op, maxWaiting))
	}
	p.work.Go(func() {
		defer func() { <-p.slots }()
		res := &wire.Res{ID: r.ID}
		_ = p.respond(res, p.conn.Send, p.do(r, res)) // a connection that is lost ends its own reading
	})
	return nil
}

// atOnce does a request and answers it, once the disk has what it changed of durable variables.
func (p *peer) atOnce(r *wire.Req) error {
	res := &wire.Res{ID: r.ID}
	err := p.do(r, res)
	if !p.prompt.Owes() {
		return p.respond(res, p.conn.Answer, err)
	}
	p.settler.add(debt{req: r, res: res, err: err})
	return nil
}

// A sender is how an answer goes out: Answer of the connection from its reader, Send from elsewhere.
type sender func(*wire.Frame) error

// respond sends an answer.
func (p *peer) respond(res *wire.Res, send sender, err error) error {
	if err != nil {
		f := wire.FaultOf(err)
		res.Code, res.Msg = f.Code, f.Msg
	}
	serr := send(&wire.Frame{Res: res})
	if errors.Is(serr, dsv.ErrTooLarge) || errors.Is(serr, dsv.ErrKind) {
		f := wire.FaultOf(serr)
		return send(&wire.Frame{Res: &wire.Res{ID: res.ID, Code: f.Code, Msg: f.Msg}})
	}
	return serr
}

// do does what a request asks for and fills in the answer.
func (p *peer) do(r *wire.Req, res *wire.Res) error {
	switch r.Op {
	case wire.OpCreate, wire.OpRead, wire.OpWrite, wire.OpTestAndSet, wire.OpInfo, wire.OpDelete, wire.OpHistory:
		return p.variable(r, res)
	case wire.OpWatch:
		return p.watch(r, res)
	case wire.OpMore:
		if w := p.watches.byID[uint64(r.Watch)]; w != nil {
			w.more(r.Credit)
		}
		return nil
	case wire.OpUnwatch:
		if w := p.watches.byID[uint64(r.Watch)]; w != nil {
			return w.close()
		}
		return nil
	case wire.OpList:
		return p.list(r, res)
	case wire.OpClock:
		res.Now = wire.Int(mono.Now())
		return nil
	}
	return p.service(r, res)
}

// variable does the operations of dsv.Space.
func (p *peer) variable(r *wire.Req, res *wire.Res) error {
	space := &p.prompt
	switch r.Op {
	case wire.OpCreate:
		d, err := p.create(r)
		if err == nil {
			res.Var = wire.Uint(p.s.number(d.Name))
			if r.Sync != "" {
				p.s.measures(d.Name, r.Sync, p.k.Now())
			}
		}
		return err
	case wire.OpRead:
		got, err := p.k.ReadOver(p.ctx, r.Name, time.Duration(r.Window))
		if err == nil {
			res.Reading, err = wire.FromReading(got)
		}
		return err
	case wire.OpWrite, wire.OpTestAndSet:
		v, err := r.Value.Value()
		if err != nil {
			return fmt.Errorf("write %.80s: %w", r.Name, err)
		}
		var rev dsv.Revision
		if r.Op == wire.OpWrite && p.k.manip.has(r.Name) && p.repeated(r.ID) {
			res.Rev = wire.Uint(p.k.store.Revision())
			return nil
		}
		if r.Op == wire.OpWrite {
			rev, err = space.Write(p.ctx, r.Name, v)
		} else {
			rev, err = space.TestAndSet(p.ctx, r.Name, dsv.Revision(r.Old), v)
		}
		res.Rev = wire.Uint(rev)
		return err
	case wire.OpInfo:
		i, err := p.k.Space().Info(p.ctx, r.Name)
		if err == nil {
			res.Info = wire.FromInfo(i)
		}
		return err
	case wire.OpHistory:
		page, err := p.k.store.History(p.ctx, r.History())
		if err == nil {
			err = res.SetPage(page)
		}
		return err
	default:
		return space.Delete(p.ctx, r.Name)
	}
}

// service does the operations of egs.Service.
func (p *peer) service(r *wire.Req, res *wire.Res) error {
	switch r.Op {
	case wire.OpJoin:
		return p.join(r, res)
	case wire.OpEnter:
		return p.member.Enter(p.ctx, r.Name)
	case wire.OpLeave:
		return p.member.Leave(p.ctx, r.Name)
	case wire.OpMembers:
		ms, err := p.member.Members(p.ctx, r.Name)
		res.Members = ms
		return err
	case wire.OpOpen, wire.OpChannel, wire.OpAttach, wire.OpDetach, wire.OpSeen, wire.OpPublish, wire.OpUnsubscribe:
		return p.channel(r, res)
	}
	return fmt.Errorf("operation %.40q: unknown", r.Op)
}

func (p *peer) join(r *wire.Req, res *wire.Res) error {
	s, err := p.k.hub.Join(p.ctx, p.s.name, r.Name, func() {
		if m := p.k.module(p.s.name); m != nil && r.Name == egs.StartBarrier {
			m.becameReady()
		}
	})
	if err == nil {
		res.Start = &wire.Start{T0: wire.Int(s.T0), Boot: s.Boot}
	}
	return err
}
