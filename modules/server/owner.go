package server

import (
	"context"
	"errors"
	"fmt"
	"strconv"

	"github.com/eve-emulation/eve/dmm"
	"github.com/eve-emulation/eve/dsv"
	"github.com/eve-emulation/eve/fase/burn"
	"github.com/eve-emulation/eve/fase/engine"
	"github.com/eve-emulation/eve/fase/files"
	"github.com/eve-emulation/eve/fase/load"
	"github.com/eve-emulation/eve/fase/machine"
	"github.com/eve-emulation/eve/fase/service"
	"github.com/eve-emulation/eve/fase/step"
	"github.com/eve-emulation/eve/internal/mono"
	"github.com/eve-emulation/eve/rdr"
)

// owner is the handler of the loop that the host belongs to. Everything in it happens on that loop's thread.
type owner struct {
	front
	host   *service.Host
	driver *step.Driver
	loop   engine.Loop  // of the call under way
	burner *burn.Burner // nil unless demands are burned on the loop
	crew   *crew        // nil unless demands are burned on threads of their own
	kind   engine.Kind
	proto  *burn.Burner // twins of which the engine's threads have; nil where it has none
	jobs   []*job       // free
	pages  *pages
	burns  []step.Effect // granted, to be consumed
	choose bool          // the host is to choose who is served next
	held   map[step.Ref]burn.Memory
	addrs  []string // by server
	lag    *dmm.Var
	buf    []byte
}

func newOwner(ctx context.Context, s *Server) (*owner, error) {
	o := &owner{
		front: front{s: s, blocks: rdr.Cache{Limits: s.cfg.Limits}},
		host:  service.NewHost(s.cfg.Host, s.cfg.Vars),
		addrs: make([]string, len(s.cfg.Host.Topology.Servers)),
		lag:   s.cfg.Vars(dsv.Name(s.cfg.Host.Topology.Servers[s.cfg.Host.Node] + ".lag")),
	}
	o.driver = step.NewDriver(o, o.host)
	o.held = map[step.Ref]burn.Memory{}
	var err error
	if o.pages, err = openPages(ctx, &s.cfg.Host, s.cfg.Sets); err != nil {
		return nil, err
	}
	o.kind, _ = engine.Shipped().Kind(s.cfg.Engine.Name)
	switch m := s.cfg.Host.Machine; {
	case m.Run != machine.Burn:
	case o.kind.Threads:
		o.proto, err = burn.New(burn.Config{Dir: s.cfg.Scratch})
	case m.CPU.Discipline == machine.OS:
		err = fmt.Errorf("emulate: discipline os: engine %s has no threads", o.kind.Name)
	case m.CPU.Cores > 1:
		o.crew, err = newCrew(m, s.cfg.Scratch, o.pages, o.deliver)
	default:
		o.burner, err = burn.New(burn.Config{Dir: s.cfg.Scratch})
	}
	if err == nil && o.kind.Helpers && s.cfg.Host.Machine.Run == machine.Burn {
		o.proto, err = burn.New(burn.Config{Dir: s.cfg.Scratch})
	}
	if err != nil {
		err = errors.Join(err, o.pages.close())
	}
	return o, err
}

// deliver takes what a thread of the crew has burned.
func (o *owner) deliver(e step.Effect, delivered int64) {
	o.s.engine.Post(0, func(l engine.Loop) {
		o.loop = l
		o.burned(e, delivered)
	})
}

func (o *owner) close() {
	if o.crew != nil {
		o.crew.close()
	}
	if o.burner != nil {
		_ = o.burner.Close() // a scratch file that stays is no reason to fail
	}
	_ = o.pages.close()
}

// Request implements engine.Handler.
func (o *owner) Request(l engine.Loop, ref engine.Ref, r *engine.Request) {
	if o.simple(l, ref, r) {
		return
	}
	at, ok := o.s.instant(l.Now())
	if !ok {
		l.Respond(ref, engine.Response{Status: 503, Body: []byte("not started\n")})
		return
	}
	req, res := o.decode(r)
	if res.Status != 0 {
		l.Respond(ref, res)
		return
	}
	if q := o.s.quick; q != nil {
		if n, ok := q.Answer(at, &req, &o.record); ok {
			l.Respond(ref, engine.Response{Filler: n})
			return
		}
	}
	o.enter(l, at)
	o.host.Arrive(at, &req, uint64(ref))
	o.settle()
}

// enter does what is due before an input.
func (o *owner) enter(l engine.Loop, at dsv.Instant) {
	o.loop = l
	o.driver.Run(at)
}

// Closed implements engine.Handler.
func (o *owner) Closed(l engine.Loop, ref engine.Ref) {
	if at, ok := o.s.instant(l.Now()); ok {
		o.enter(l, at)
		o.host.Close(at, uint64(ref))
		o.settle()
	}
}

// Answer implements engine.Handler.
func (o *owner) Answer(l engine.Loop, ref engine.CallRef, a *engine.Answer) {
	at, _ := o.s.instant(l.Now())
	ans := service.Answer{Status: a.Status, Bytes: a.Bytes, Cause: cause(a.Err)}
	switch {
	case a.Status == 421:
		if h, ok := a.Header("eve-epoch"); ok {
			n, _ := strconv.ParseUint(string(h), 10, 32)
			ans.Epoch = uint32(n)
		}
	case a.Status >= 500:
		if h, ok := a.Header("eve-cause"); ok {
			ans.Cause = service.ParseCause(string(h))
		}
	}
	o.enter(l, at)
	o.host.Answer(at, step.Ref(ref), ans)
	o.settle()
}

func cause(err error) service.Cause {
	switch {
	case err == nil:
		return service.OK
	case errors.Is(err, engine.ErrRefused):
		return service.Refused
	case errors.Is(err, engine.ErrReset):
		return service.Reset
	case errors.Is(err, engine.ErrClosed):
		return service.Closed
	case errors.Is(err, engine.ErrMalformed):
		return service.Malformed
	case errors.Is(err, engine.ErrTimedOut):
		return service.TimedOut
	}
	return service.Other
}

func (o *owner) changed(l engine.Loop, svc int, m service.Mapping) {
	for _, r := range m.Replicas {
		if i := o.s.cfg.Host.Topology.Server(r.Server); i >= 0 && r.Address != "" {
			o.addrs[i] = r.Address
		}
	}
	at, ok := o.s.instant(l.Now())
	if !ok {
		at = 0
	}
	o.enter(l, at)
	o.host.Changed(at, svc, m)
	o.settle()
}

func (o *owner) told(l engine.Loop, server int, load float64) {
	if at, ok := o.s.instant(l.Now()); ok {
		o.enter(l, at)
		o.host.Told(at, server, load)
		o.settle()
	}
}

func (o *owner) set(l engine.Loop, setting string, x float64) {
	at, ok := o.s.instant(l.Now())
	if !ok {
		at = 0
	}
	o.enter(l, at)
	o.host.Set(at, setting, x)
	o.settle()
}

func (o *owner) employ(l engine.Loop, svc int, threads float64) {
	at, ok := o.s.instant(l.Now())
	if !ok {
		at = 0
	}
	o.enter(l, at)
	o.host.Employ(at, svc, threads)
	o.settle()
}

func (o *owner) see(l engine.Loop, view, server int, x float64) {
	at, ok := o.s.instant(l.Now())
	if !ok {
		at = 0
	}
	o.enter(l, at)
	o.host.See(at, view, server, x)
	o.settle()
}

// Next implements engine.Handler.
func (o *owner) Next() int64 {
	t0 := o.s.t0.Load()
	switch next := o.driver.Next(); {
	case t0 == 0:
		return mono.Never
	case len(o.burns) > 0 || o.choose:
		return 0
	case next == dsv.Never:
		return mono.Never
	default:
		return t0 + int64(next)
	}
}

// Advance implements engine.Handler. At most one slice is burned before the sockets are looked at again: a loop that
// burns blocks everyone for that long, as it would.
func (o *owner) Advance(l engine.Loop, now int64) {
	at, ok := o.s.instant(now)
	if !ok {
		return
	}
	if next := o.driver.Next(); next <= at {
		o.lag.Write(at, at.Sub(next).Seconds())
	}
	o.enter(l, at)
	o.settle()
	if o.choose { // the sockets have been looked at
		o.choose = false
		o.host.Choose(at)
		o.settle()
	}
	if len(o.burns) > 0 {
		e := o.burns[0]
		o.burns = append(o.burns[:0], o.burns[1:]...)
		o.burn(e)
	}
}

// Route implements step.Router.
func (o *owner) Route(_ int, e step.Effect) {
	switch e.Kind {
	case step.Reply:
		o.reply(e)
	case step.Call:
		o.call(e)
	case step.Reset: // a thread may wait for the response
		o.loop.HangUp(engine.Ref(e.Key))
		o.loop.Respond(engine.Ref(e.Key), engine.Response{Status: 503, Close: true})
	case step.Down:
		o.crash()
	case step.Up:
		o.loop.Restore()
	case step.Withdraw:
		o.loop.Cancel(engine.CallRef(e.Ref))
	case step.Burn:
		switch e.Code {
		case service.BurnChoose:
			o.choose = true
		case service.BurnDrop:
			o.pages.drop(files.Object(e.Key))
		default:
			o.burns = append(o.burns, e)
		}
	}
}

func (o *owner) reply(e step.Effect) {
	res := engine.Response{Status: int(e.Code), Filler: e.N}
	switch e.Code {
	case 200:
		if e.Ref != 0 && len(o.pages.sets) > 0 {
			res = o.file(files.Object(e.Ref))
		}
	case 421:
		o.buf = append(o.buf[:0], "Eve-Epoch: "...)
		o.buf = append(strconv.AppendInt(o.buf, e.N, 10), "\r\n"...)
		res = engine.Response{Status: 421, Header: o.buf}
	case 503:
		o.buf = append(o.buf[:0], "Retry-After: "...)
		o.buf = append(strconv.AppendInt(o.buf, e.N, 10), "\r\n"...)
		res = engine.Response{Status: 503, Header: o.because(e)}
	case 500:
		o.buf = o.buf[:0]
		res.Header = o.because(e)
	}
	o.loop.Respond(engine.Ref(e.Key), res)
}

// because adds to the header, which is in buf, why a request failed.
func (o *owner) because(e step.Effect) []byte {
	if c := service.Cause(e.Ref); c != service.OK {
		o.buf = append(o.buf, "Eve-Cause: "...)
		o.buf = append(append(o.buf, c.String()...), "\r\n"...)
	}
	return o.buf
}

// file answers with a file that the host holds.
func (o *owner) file(f files.Object) engine.Response {
	data := o.pages.get(f)
	if data == nil {
		return engine.Response{Status: 500, Body: []byte("the file could not be read\n")}
	}
	return engine.Response{Status: 200, Body: data}
}

func (o *owner) call(e step.Effect) {
	r := o.host.Request(e.Ref)
	if r == nil {
		return
	}
	addr := o.addrs[e.Node]
	msg, err := load.AppendCall(o.buf[:0], r, o.s.cfg.Host.Topology.Services, addr)
	if addr == "" || err != nil {
		// No address: as good as a refused connection.
		o.host.Answer(e.At, e.Ref, service.Answer{Cause: service.NoRoute})
		return
	}
	for n := r.Send; n > 0; {
		k := min(n, int64(len(padding)))
		msg = append(msg, padding[:k]...)
		n -= k
	}
	o.buf = msg
	o.loop.Call(addr, msg, o.loop.Now()+int64(callPatience), engine.CallRef(e.Ref))
}

// padding is what calls send beyond their block; it is only read.
var padding [4096]byte

// burn consumes what an effect asks for, and tells the host. Memory is taken and given back here; what takes time goes to
// the crew, where there is one.
func (o *owner) burn(e step.Effect) {
	at, _ := o.s.instant(o.loop.Touch())
	e, wanted := o.host.Begin(at, e)
	switch {
	case !wanted: // withdrawn while it waited here
	case e.Code == service.BurnFree:
		m := o.held[e.Ref]
		delete(o.held, e.Ref)
		_ = m.Release()
	case e.Code == service.BurnTouch:
		if m, err := burn.Hold(e.N); err == nil {
			o.held[e.Ref] = m
		}
		o.burned(e, e.N)
	case o.crew != nil:
		o.crew.work <- e
	default:
		if o.burner == nil { // the engine's threads have ended
			o.burner = o.proto.Twin()
		}
		o.burned(e, consume(o.burner, o.pages, e))
	}
}

// crash breaks every connection, and gives back what memory the server had taken.
func (o *owner) crash() {
	o.loop.Break()
	for _, m := range o.held {
		_ = m.Release()
	}
	clear(o.held)
}

// burned tells the host what was delivered.
func (o *owner) burned(e step.Effect, delivered int64) {
	if at, ok := o.s.instant(o.loop.Touch()); ok {
		o.driver.Run(at)
		if e.Code == service.BurnFile && !o.pages.has(files.Object(e.Key)) {
			o.host.Lost(at, e.Ref, delivered)
		} else {
			o.host.Met(at, e.Ref, delivered)
		}
		o.settle()
	}
}
