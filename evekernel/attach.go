package evekernel

import (
	"context"
	"fmt"
	"sync"

	"github.com/eve-emulation/eve/dsv"
	"github.com/eve-emulation/eve/evekernel/egs"
	"github.com/eve-emulation/eve/evekernel/wire"
)

// An attached is a source of the participant's: it is told of the members of its channel.
type attached struct {
	watcher *egs.Watcher
	stop    context.CancelFunc
	wake    chan struct{} // capacity 1

	mu      sync.Mutex // guards what follows
	changed map[egs.SinkID]egs.Change
	version uint64
}

// attach makes the participant a source.
func (p *peer) attach(r *wire.Req, res *wire.Res) error {
	if a := p.sources[r.Name]; a != nil {
		a.close() // asked twice
	}
	if len(p.sources) >= maxFollowed {
		return fmt.Errorf("attach: more than %d by one participant", maxFollowed)
	}
	a := &attached{wake: make(chan struct{}, 1), changed: map[egs.SinkID]egs.Change{}}
	w, peers, version, err := p.k.hub.Watch(r.Name, a.note)
	if err != nil {
		return err
	}
	list := &wire.Peers{Channel: r.Name, Version: wire.Uint(version)}
	for _, peer := range peers {
		wp, err := wire.FromPeer(peer)
		if err != nil {
			w.Close()
			return err
		}
		list.List = append(list.List, wp)
	}
	frames := split(list)
	res.Peers = frames[0]
	ctx, stop := context.WithCancel(p.ctx)
	a.watcher, a.stop = w, stop
	p.sources[r.Name] = a
	ready := make(chan struct{})
	p.opened = ready
	p.work.Go(func() {
		defer w.Close()
		select {
		case <-ready:
		case <-ctx.Done():
			return
		}
		for _, f := range frames[1:] {
			if p.conn.Send(&wire.Frame{Peers: f}) != nil {
				return
			}
		}
		a.run(ctx, p, r.Name)
	})
	return nil
}

// note notes a change. The hub is locked.
func (a *attached) note(c egs.Change) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.changed[c.Peer.Sink.ID] = c
	a.version = c.Version
	select {
	case a.wake <- struct{}{}:
	default:
	}
}

// run tells of changes, several at once when they come fast.
func (a *attached) run(ctx context.Context, p *peer, channel dsv.Name) {
	for {
		select {
		case <-a.wake:
		case <-ctx.Done():
			return
		}
		a.mu.Lock()
		changed, version := a.changed, a.version
		a.changed = map[egs.SinkID]egs.Change{}
		a.mu.Unlock()
		f := &wire.Peers{Channel: channel, Version: wire.Uint(version)}
		for _, c := range changed {
			if wp, err := wire.FromChange(c); err == nil {
				f.List = append(f.List, wp)
			}
		}
		for _, f := range split(f) {
			if p.conn.Send(&wire.Frame{Peers: f}) != nil {
				return
			}
		}
	}
}

// maxPeers bounds about the bytes of one list of members.
const maxPeers = 256 << 10

// split makes lists that fit a message: the last one carries the version, for only then all is told.
func split(all *wire.Peers) []*wire.Peers {
	var lists []*wire.Peers
	list, size := &wire.Peers{Channel: all.Channel}, 0
	for _, p := range all.List {
		n := 128 + len(p.Member) + len(p.Link)
		if p.Filter != nil {
			n += len(p.Filter.Expr) + 4*len(p.Filter.Wasm)/3
		}
		for name, v := range p.Facts {
			n += 64 + len(name)
			if v.Text != nil {
				n += len(*v.Text)
			}
		}
		if size += n; size > maxPeers && len(list.List) > 0 {
			lists = append(lists, list)
			list, size = &wire.Peers{Channel: all.Channel}, n
		}
		list.List = append(list.List, p)
	}
	list.Version = all.Version
	return append(lists, list)
}

func (a *attached) close() {
	a.stop()
	a.watcher.Close()
}
