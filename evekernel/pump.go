package evekernel

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/eve-emulation/eve/dsv"
	"github.com/eve-emulation/eve/evekernel/wire"
)

// A pump carries the updates of one watch to one participant.
type pump struct {
	id     wire.Uint
	watch  dsv.Watch
	credit credit
	stop   context.CancelFunc
	ready  chan struct{} // closed once the watch's own request is answered
	done   chan struct{} // closed when no update follows any more
}

// watch opens a watch and pumps it.
func (p *peer) watch(r *wire.Req, res *wire.Res) error {
	id := uint64(r.Watch)
	mode, err := wire.ParseMode(r.Mode)
	switch {
	case err != nil:
		return fmt.Errorf("watch: %w", err)
	case p.watches[id] != nil || id == 0:
		return fmt.Errorf("watch: number %d is taken: %w", id, dsv.ErrExists)
	case len(p.watches) >= maxFollowed:
		return fmt.Errorf("watch: more than %d on one connection", maxFollowed)
	case r.Credit < 0:
		return fmt.Errorf("watch: credit %d: %w", r.Credit, wire.ErrProtocol)
	}
	began := p.k.store.Revision()
	w, err := p.k.Space().Watch(p.ctx, dsv.WatchRequest{
		Pattern: r.Pattern, Mode: mode, From: dsv.Revision(r.From), Window: time.Duration(r.Window), Every: time.Duration(r.Every),
	})
	if err != nil {
		return err
	}
	pu := &pump{id: r.Watch, watch: w, done: make(chan struct{}), ready: make(chan struct{})}
	pu.credit.init(r.Credit)
	p.watches[id] = pu
	p.opened = pu.ready
	if mode == dsv.All && !p.k.store.Written(r.Pattern, began) {
		res.Rev = wire.Uint(began)
	}
	ctx, stop := context.WithCancel(p.ctx)
	pu.stop = stop
	p.work.Go(func() {
		defer close(pu.done)
		select {
		case <-pu.ready:
		case <-ctx.Done():
			return
		}
		pu.run(ctx, p)
	})
	return nil
}

func (pu *pump) run(ctx context.Context, p *peer) {
	for pu.credit.take(ctx) {
		u, err := pu.watch.Next(ctx)
		if err != nil {
			return // closed, cut off and told so, or the connection ended
		}
		f, err := wire.FromUpdate(pu.id, u)
		if err == nil {
			err = p.conn.Send(f)
		}
		if errors.Is(err, dsv.ErrTooLarge) || errors.Is(err, dsv.ErrKind) {
			p.k.log(p.s.name, fmt.Sprintf("update of %s: %v", u.Name, err))
			f := &wire.Frame{Gap: &wire.Gap{Watch: pu.id, Oldest: wire.Uint(u.Revision)}}
			_ = pu.watch.Close()
			err = p.conn.Send(f)
		}
		if err != nil || u.Gap != 0 {
			return
		}
	}
}

// close ends the pump: no update follows.
func (pu *pump) close() error {
	pu.stop()
	err := pu.watch.Close()
	<-pu.done
	return err
}

// credit is how many updates a participant is ready to take.
type credit struct {
	mu        sync.Mutex // guards n
	n         int
	unlimited bool
	wake      chan struct{} // capacity 1
}

func (c *credit) init(n int) {
	c.n, c.unlimited = n, n == 0
	c.wake = make(chan struct{}, 1)
}

func (c *credit) add(n int) {
	if n <= 0 {
		return
	}
	c.mu.Lock()
	c.n = min(c.n+n, 1<<30)
	c.mu.Unlock()
	select {
	case c.wake <- struct{}{}:
	default:
	}
}

// take waits for credit for one update; false when ctx ends.
func (c *credit) take(ctx context.Context) bool {
	if c.unlimited {
		return ctx.Err() == nil
	}
	for {
		c.mu.Lock()
		ok := c.n > 0
		if ok {
			c.n--
		}
		c.mu.Unlock()
		if ok {
			return true
		}
		select {
		case <-c.wake:
		case <-ctx.Done():
			return false
		}
	}
}
