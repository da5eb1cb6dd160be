package modules

import (
	"context"
	"errors"
	"fmt"

	"github.com/eve-emulation/eve/dmm"
	"github.com/eve-emulation/eve/dsv"
	"github.com/eve-emulation/eve/evekernel/wire"
)

// Create implements dsv.Space.
func (p *Proxy) Create(ctx context.Context, d dsv.Declaration) error { return p.measures(ctx, d, "") }

// measures creates a variable of which this participant sends deltas, by a trigger that sync tells in words: where it
// ends without its last synchronisation, that says how much is lost.
func (p *Proxy) measures(ctx context.Context, d dsv.Declaration, sync string) error {
	c := &call{req: wire.Req{Op: wire.OpCreate, Decl: wire.FromDecl(d), Sync: sync}, repeat: true}
	_, err := p.wait(ctx, c)
	return local(err, "create", d.Name)
}

// Read implements dsv.Space. What this process reads often is answered from a copy that a watch keeps up to date: it is
// older than the kernel's by the time that a message takes, yet never older than what this process wrote.
func (p *Proxy) Read(ctx context.Context, n dsv.Name) (dsv.Reading, error) {
	if l := p.copies.find(n); l != nil && ctx.Err() == nil {
		if r, ok := l.read(); ok {
			return r, nil
		}
	}
	r, err := p.ReadFresh(ctx, n)
	if _, _, derived := dmm.Derived(n); err == nil && !derived { // that would be told once a second only
		p.keep(n)
	}
	return r, err
}

// ReadFresh asks the kernel for the value, whatever is known here.
func (p *Proxy) ReadFresh(ctx context.Context, n dsv.Name) (dsv.Reading, error) {
	l := p.copies.find(n)
	own := l.asks()
	res, err := p.do(ctx, wire.Req{Op: wire.OpRead, Name: n}, true)
	if err != nil {
		return dsv.Reading{}, local(err, "read", n)
	}
	r, err := res.Reading.Reading()
	if err == nil {
		l.told(r, own)
	}
	return r, local(err, "read", n)
}

// Write implements dsv.Space. After a lost connection the value is written again.
func (p *Proxy) Write(ctx context.Context, n dsv.Name, v dsv.Value) (dsv.Revision, error) {
	w, err := wire.FromValue(v)
	if err != nil {
		return 0, local(err, "write", n)
	}
	res, err := p.do(ctx, wire.Req{Op: wire.OpWrite, Name: n, Value: w}, true)
	p.copies.find(n).wrote()
	return revision(res), local(err, "write", n)
}

// TestAndSet implements dsv.Space; ErrLost when the connection was lost before the answer.
func (p *Proxy) TestAndSet(ctx context.Context, n dsv.Name, old dsv.Revision, v dsv.Value) (dsv.Revision, error) {
	w, err := wire.FromValue(v)
	if err != nil {
		return 0, local(err, "test and set", n)
	}
	res, err := p.do(ctx, wire.Req{Op: wire.OpTestAndSet, Name: n, Old: wire.Uint(old), Value: w}, false)
	p.copies.find(n).wrote()
	return revision(res), local(err, "test and set", n)
}

// Info implements dsv.Space. Its Age is that of the copy here, which a Read is answered from; 0 when there is none.
func (p *Proxy) Info(ctx context.Context, n dsv.Name) (dsv.Info, error) {
	res, err := p.do(ctx, wire.Req{Op: wire.OpInfo, Name: n}, true)
	if err != nil {
		return dsv.Info{}, local(err, "info", n)
	}
	i, err := res.Info.Info()
	i.Age = p.copies.find(n).age()
	return i, local(err, "info", n)
}

// Delete implements dsv.Space; ErrLost when the connection was lost before the answer.
func (p *Proxy) Delete(ctx context.Context, n dsv.Name) error {
	p.mu.Lock()
	delete(p.stands.created, n)
	delete(p.nums, n)
	p.mu.Unlock()
	_, err := p.do(ctx, wire.Req{Op: wire.OpDelete, Name: n}, false)
	p.copies.find(n).wrote()
	return local(err, "delete", n)
}

// History implements dsv.Space.
func (p *Proxy) History(ctx context.Context, r dsv.HistoryRequest) (dsv.HistoryPage, error) {
	res, err := p.do(ctx, wire.FromHistory(r), true)
	if err != nil {
		return dsv.HistoryPage{}, local(err, "history of", r.Name)
	}
	page, err := res.Page(r.Name)
	return page, local(err, "history of", r.Name)
}

func revision(res *wire.Res) dsv.Revision {
	if res == nil {
		return 0
	}
	return dsv.Revision(res.Rev)
}

// local names operation and subject in an error that arose at this end; the kernel has named them in its own.
func local(err error, op string, n dsv.Name) error {
	if err == nil {
		return nil
	}
	if _, ok := errors.AsType[*wire.Error](err); ok {
		return err
	}
	return fmt.Errorf("%s %.80s: %w", op, n, err)
}
