package bench

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"time"

	"github.com/eve-emulation/eve/internal/mono"
	"github.com/eve-emulation/eve/internal/netpoll"
)

// A holding is connections that were opened and do nothing. It belongs to one goroutine, locked to its thread.
type holding struct{ fds []int }

// wanted says how many connections are wanted where, and from which source addresses.
type wanted struct {
	Address string
	Sources []netip.Addr // taken in turn; none lets the kernel choose
	Number  int          // in all
	Request string       // of ask
}

// held is how many there are, and what kept it from having more.
type held struct {
	Number int
	Limit  string // the error of the first that did not come about; empty for none
}

// holdTogether is how many connects are under way at once: fewer than servers queue.
const holdTogether = 100

// open opens connections until there are so many; the first that does not come about ends it, without an error.
func (h *holding) open(ctx context.Context, w wanted) (held, error) {
	to, err := netip.ParseAddrPort(w.Address)
	if err != nil {
		return held{}, err
	}
	for len(h.fds) < w.Number && ctx.Err() == nil {
		if err := h.some(w.Sources, to, min(holdTogether, w.Number-len(h.fds))); err != nil {
			return held{Number: len(h.fds), Limit: err.Error()}, nil
		}
	}
	return held{Number: len(h.fds)}, ctx.Err()
}

// some opens n more.
func (h *holding) some(sources []netip.Addr, to netip.AddrPort, n int) error {
	p, err := netpoll.NewPoller(0)
	if err != nil {
		return err
	}
	defer func() { _ = p.Close() }()
	begun := len(h.fds)
	for i := range n {
		var from netip.Addr
		if len(sources) > 0 {
			from = sources[i%len(sources)]
		}
		fd, err := netpoll.Connect(from, to)
		if err != nil {
			return errors.Join(err, h.stand(p, begun))
		}
		h.fds = append(h.fds, fd)
		if err := p.Add(fd, uint64(len(h.fds)-1), netpoll.Out|netpoll.Edge); err != nil {
			return err
		}
	}
	return h.stand(p, begun)
}

// stand waits until those from begun on stand, closes those that fail, and stops to watch them.
func (h *holding) stand(p *netpoll.Poller, begun int) error {
	var failed error
	end := mono.Now() + int64(10*time.Second)
	waiting := map[uint64]bool{}
	for i := begun; i < len(h.fds); i++ {
		waiting[uint64(i)] = true
	}
	for len(waiting) > 0 && mono.Now() < end {
		events, err := p.Wait(end)
		if err != nil {
			return err
		}
		for _, e := range events {
			delete(waiting, e.Tag)
			if err := netpoll.ConnectError(h.fds[e.Tag]); err != nil {
				failed = err
				_ = netpoll.Abort(h.fds[e.Tag])
				h.fds[e.Tag] = -1
			}
		}
	}
	if len(waiting) > 0 {
		failed = fmt.Errorf("%d of %d connections did not stand within 10 s", len(waiting), len(h.fds)-begun)
	}
	kept := h.fds[:begun]
	for i := begun; i < len(h.fds); i++ {
		switch fd := h.fds[i]; {
		case fd < 0:
		case waiting[uint64(i)]:
			_ = netpoll.Abort(fd)
		default:
			_ = p.Delete(fd)
			kept = append(kept, fd)
		}
	}
	h.fds = kept
	return failed
}

// ask sends a request over some of the connections, one after the other, spread over all, and counts the answers.
func (h *holding) ask(w wanted) (held, error) {
	p, err := netpoll.NewPoller(0)
	if err != nil {
		return held{}, err
	}
	defer func() { _ = p.Close() }()
	var answered held
	in := make([]byte, 4096)
	for i := range min(w.Number, len(h.fds)) {
		fd := h.fds[i*len(h.fds)/min(w.Number, len(h.fds))]
		if _, err := netpoll.Write(fd, []byte(w.Request)); err != nil {
			answered.Limit = err.Error()
			continue
		}
		if err := p.Add(fd, 0, netpoll.In); err != nil {
			return answered, err
		}
		_, err := p.Wait(mono.Now() + int64(5*time.Second))
		_ = p.Delete(fd)
		if err != nil {
			return answered, err
		}
		if n, err := netpoll.Read(fd, in); n > 0 {
			answered.Number++
		} else if err != nil {
			answered.Limit = err.Error()
		}
	}
	return answered, nil
}

// alive counts the connections that the server has not closed, and over which nothing has come unasked.
func (h *holding) alive() held {
	var open held
	in := make([]byte, 1)
	for _, fd := range h.fds {
		n, err := netpoll.Read(fd, in)
		switch {
		case errors.Is(err, netpoll.ErrAgain):
			open.Number++
		case err != nil:
			open.Limit = err.Error()
		case n > 0:
			open.Limit = "the server spoke unasked"
		}
	}
	return open
}

// release closes all; no port waits.
func (h *holding) release() error {
	for _, fd := range h.fds {
		_ = netpoll.Abort(fd)
	}
	h.fds = nil
	return nil
}
