package modules

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"github.com/eve-emulation/eve/dsv"
	"github.com/eve-emulation/eve/evekernel/egs"
	"github.com/eve-emulation/eve/evekernel/wire"
)

// GiveUpAfter is how long a Proxy tries to reach its kernel before it ends, unless its Link says otherwise.
const GiveUpAfter = 30 * time.Second

const (
	backoffLeast = 50 * time.Millisecond
	backoffMost  = 2 * time.Second
)

// ErrLost reports that the connection was lost before the answer to a request came that must not be sent twice: whether
// it was done is unknown.
var ErrLost = errors.New("connection lost, outcome unknown")

// A Proxy is a kernel's variables, barriers, groups and channels over one connection. It connects, and connects again
// after a loss, while Run runs; calls wait meanwhile. Deltas without an acknowledgement are sent again, and the Store
// discards those that it has; watches in mode All go on after the last revision that they saw, those in mode Latest
// skip what they have seen.
type Proxy struct {
	link  Link
	onBye func(wire.Bye)

	x       *exchange
	copies  copies
	batches sync.Pool // of *batch, which are used again

	// mu guards what follows, and orders what is sent: what is numbered under it is queued under it, also across
	// connections; it is written without.
	mu       sync.Mutex
	conn     *wire.Conn    // nil while there is none
	cut      chan struct{} // closed when conn is forgotten
	welcome  wire.Welcome
	last     uint64 // the latest number given to a call, a batch, a watch or a subscription
	calls    map[uint64]*call
	sent     []*batch // without acknowledgement, by their sequence numbers
	watches  map[uint64]*watch
	replicas map[uint64]*replica // copies by the numbers of their watches
	stands   standing            // what was made here: repeated to a kernel that may have lost it
	nums     map[dsv.Name]uint64 // valid in this session
	packs    bool                // this connection takes packed deltas
	fresh    bool                // the session is new: what was made has to be made again
	other    bool                // the kernel is: what was seen may not be there
	leaving  bool

	ready chan struct{} // closed with the first welcome
	done  chan struct{} // closed when Run has ended
	why   error         // set before done is closed
}

var (
	_ dsv.Space   = (*Proxy)(nil)
	_ egs.Service = (*Proxy)(nil)
)

// NewProxy returns a proxy for the kernel at the other end of link. Nothing happens before Run. When the kernel says
// bye, onBye is called once from Run and the connection stays until Close; without onBye Run ends.
func NewProxy(link Link, onBye func(wire.Bye)) *Proxy {
	p := &Proxy{
		link: link, onBye: onBye,
		calls: map[uint64]*call{}, watches: map[uint64]*watch{}, replicas: map[uint64]*replica{},
		stands: newStanding(), nums: map[dsv.Name]uint64{},
		ready: make(chan struct{}), done: make(chan struct{}),
	}
	p.x = newExchange(p)
	return p
}

// A call is a request that waits for its answer.
type call struct {
	req    wire.Req
	repeat bool // may be sent again when the connection was lost
	sent   bool
	onRes  func(*wire.Res) // called under the proxy's mutex with the answer
	res    chan *wire.Res  // closed without an answer: lost
}

// Run connects to the kernel and keeps the connection until Close, the kernel's bye, or ctx ends; those are no errors.
// It ends with an error when the kernel refuses, or cannot be reached for GiveUpAfter. It is called once.
func (p *Proxy) Run(ctx context.Context) error {
	err := p.run(ctx)
	p.mu.Lock()
	p.why = err
	close(p.done)
	for _, w := range p.watches {
		w.end(dsv.ErrClosed)
	}
	p.mu.Unlock()
	p.x.end()
	return err
}

func (p *Proxy) run(ctx context.Context) error {
	wait, lost := backoffLeast, time.Now()
	giveUp := cmp.Or(p.link.GiveUp, GiveUpAfter)
	for !p.ending() {
		conn, w, err := p.dial(ctx)
		if err == nil {
			wait = backoffLeast
			err = p.serve(ctx, conn, w)
			lost = time.Now()
		}
		switch {
		case p.ending() || ctx.Err() != nil:
			return nil
		case errors.Is(err, wire.ErrUnauthorized) || errors.Is(err, wire.ErrProtocol):
			return err
		case time.Since(lost) > giveUp:
			return fmt.Errorf("kernel not reached for %v: %w", giveUp, err)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(wait/2 + rand.N(wait/2)):
		}
		wait = min(2*wait, backoffMost)
	}
	return nil
}

func (p *Proxy) ending() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.leaving
}

func (p *Proxy) dial(ctx context.Context) (*wire.Conn, wire.Welcome, error) {
	p.mu.Lock()
	h := wire.Hello{
		Module: p.link.Name, Resume: p.welcome.Session, Writer: p.welcome.Writer, Epoch: p.welcome.Epoch,
	}
	p.mu.Unlock()
	d := wire.Dialer{Coding: p.link.Coding, Net: p.link.Dial}
	return d.Dial(ctx, p.link.URL, p.link.Token, h)
}

// serve runs one connection to its end.
func (p *Proxy) serve(ctx context.Context, conn *wire.Conn, w wire.Welcome) error {
	defer func() { _ = conn.Close() }()
	if err := p.attach(conn, w); err != nil {
		return err
	}
	err := conn.Run(ctx, p.handle)
	p.detach(conn)
	return err
}

// attach makes conn the connection, and queues first what has to be repeated on it. The kernel answers while it is told,
// so that is written by the connection's own goroutine while the other one reads.
func (p *Proxy) attach(conn *wire.Conn, w wire.Welcome) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.leaving {
		return dsv.ErrClosed // while the connection was made
	}
	if p.welcome.Session == "" {
		close(p.ready)
	} else if p.welcome.Writer != w.Writer || p.welcome.Epoch != w.Epoch {
		return fmt.Errorf("resume %s: the kernel gave another writer: %w", p.link.Name, wire.ErrProtocol)
	}
	if p.welcome.Session != w.Session {
		clear(p.nums) // another kernel, or one that forgot
		p.fresh = true
	}
	p.other = p.welcome.Kernel != w.Kernel
	p.conn, p.welcome, p.cut = conn, w, make(chan struct{})
	p.packs = conn.Coding() == wire.CBOR
	p.repeat(conn)
	conn.Kick()
	return nil
}

// detach forgets the connection, and tells callers whose requests must not be repeated.
func (p *Proxy) detach(conn *wire.Conn) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.conn == conn {
		p.conn = nil
		close(p.cut)
	}
	for id, c := range p.calls {
		if c.sent && !c.repeat {
			delete(p.calls, id)
			close(c.res)
		}
	}
	p.dropCopies()
}

// repeat queues, on a new connection, all that has no answer. An error ends the connection, which Run notices. mu is
// held.
func (p *Proxy) repeat(conn *wire.Conn) {
	var frames []*wire.Frame
	unanswered := slices.Sorted(maps.Keys(p.calls))
	again := func(r wire.Req, onRes func(*wire.Res)) { // nobody waits for the answer
		r.ID = p.next()
		c := &call{req: r, sent: true, onRes: onRes, res: make(chan *wire.Res, 1)}
		p.calls[p.last] = c
		frames = append(frames, &wire.Frame{Req: &c.req})
	}
	if p.fresh {
		for _, r := range p.stands.again() {
			again(r, nil)
		}
		p.fresh = false
	}
	if p.other {
		for _, w := range p.watches {
			w.forget()
		}
	}
	for _, id := range slices.Sorted(maps.Keys(p.watches)) {
		w := p.watches[id]
		again(w.again(), func(res *wire.Res) {
			if err := res.Err(); err != nil {
				delete(p.watches, w.id)
				w.end(err)
				return
			}
			w.began(res)
		})
	}
	for _, c := range p.x.again(p.other) {
		again(c.req, c.onRes)
	}
	for _, id := range unanswered {
		if c := p.calls[id]; !c.sent || c.repeat {
			c.sent = true
			frames = append(frames, &wire.Frame{Req: &c.req})
		}
	}
	for _, b := range p.sent {
		frames = append(frames, p.frame(b))
	}
	for _, f := range frames {
		if err := conn.Queue(f); err != nil && !unsendable(err) {
			return
		}
	}
}

// next gives the next number; mu is held.
func (p *Proxy) next() wire.Uint {
	p.last++
	return wire.Uint(p.last)
}

// Welcome waits for the first connection and returns what the kernel said.
func (p *Proxy) Welcome(ctx context.Context) (wire.Welcome, error) {
	select {
	case <-p.ready:
		p.mu.Lock()
		defer p.mu.Unlock()
		return p.welcome, nil
	case <-p.done:
		return wire.Welcome{}, p.closed()
	case <-ctx.Done():
		return wire.Welcome{}, context.Cause(ctx)
	}
}

// closed is the error of calls after Run has ended.
func (p *Proxy) closed() error {
	if p.why != nil {
		return fmt.Errorf("%w: %w", dsv.ErrClosed, p.why)
	}
	return dsv.ErrClosed
}

// farewell bounds the wait for the kernel to take a bye. It then ends the connection: if this end did, while the kernel
// writes, the kernel might see that first and take the participant for lost.
const farewell = time.Second

// Close says bye, with the reason when the participant ends because of an error, and lets Run end. It may be called
// twice and from any goroutine but Run's.
func (p *Proxy) Close(reason error) error {
	p.mu.Lock()
	conn, cut, again := p.conn, p.cut, p.leaving
	p.leaving = true
	p.mu.Unlock()
	if conn == nil || again {
		return nil
	}
	f := wire.FaultOf(reason)
	if conn.Send(&wire.Frame{Bye: &wire.Bye{Code: f.Code, Msg: f.Msg}}) == nil {
		late := time.NewTimer(farewell)
		defer late.Stop()
		select {
		case <-cut:
		case <-late.C:
		}
	}
	return conn.Close()
}
