package modules

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/eve-emulation/eve/dsv"
	"github.com/eve-emulation/eve/evekernel/wire"
)

// window is how many updates the kernel may send ahead of the reader of a watch. When it is used up, the Store holds
// the rest: mode Latest coalesces there, mode All is cut off there.
const window = 256

// A watch is the reader's end of a Watch at the Store.
type watch struct {
	p  *Proxy
	id uint64
	r  dsv.WatchRequest

	mu    sync.Mutex // guards what follows
	queue []dsv.Update
	owed  int                       // updates read that the kernel was not told of
	last  dsv.Revision              // the latest in the queue or read
	seen  map[dsv.Name]dsv.Revision // mode Latest: what need not come again after a loss
	lost  dsv.Revision              // mode Latest: the latest when the connection was lost
	over  error                     // why nothing more comes

	wake chan struct{} // capacity 1
}

// Watch implements dsv.Space.
func (p *Proxy) Watch(ctx context.Context, r dsv.WatchRequest) (dsv.Watch, error) {
	w := &watch{p: p, r: r, last: r.From, seen: map[dsv.Name]dsv.Revision{}, wake: make(chan struct{}, 1)}
	p.mu.Lock()
	p.last++
	w.id = p.last
	p.mu.Unlock()
	c := &call{req: w.request(r.From, window), repeat: true}
	c.onRes = func(res *wire.Res) {
		if res.Err() == nil {
			p.watches[w.id] = w
			w.began(res)
		}
	}
	if _, err := p.wait(ctx, c); err != nil {
		p.mu.Lock()
		delete(p.watches, w.id) // the answer may have come while ctx ended
		p.mu.Unlock()
		p.tell(wire.Req{Op: wire.OpUnwatch, Watch: wire.Uint(w.id)})
		return nil, err
	}
	return w, nil
}

func (w *watch) request(from dsv.Revision, credit int) wire.Req {
	return wire.Req{
		Op: wire.OpWatch, Watch: wire.Uint(w.id), Pattern: w.r.Pattern, Mode: wire.FromMode(w.r.Mode),
		From: wire.Uint(from), Credit: credit, Window: wire.Int(w.r.Window), Every: wire.Int(w.r.Every),
	}
}

// began notes, for a watch of all changes that began without present values, after which revision it did: from there it
// goes on after a loss.
func (w *watch) began(res *wire.Res) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.last = max(w.last, dsv.Revision(res.Rev))
}

// again is the request that goes on after a lost connection.
func (w *watch) again() wire.Req {
	w.mu.Lock()
	defer w.mu.Unlock()
	from := w.last
	if w.r.Mode == dsv.Latest {
		from = 0 // the present values; those that were seen are skipped
		if len(w.seen) > 0 {
			from, w.lost = 1, w.last // and all deletions; those of what was not seen are skipped
		}
	}
	w.owed = 0
	return w.request(from, max(1, window-len(w.queue)))
}

// forget has the watch see present values again: those of a kernel that succeeds another may be older than what was seen.
func (w *watch) forget() {
	w.mu.Lock()
	defer w.mu.Unlock()
	for n := range w.seen {
		w.seen[n] = 0
	}
}

// put queues an update. The kernel never sends more than it may, so the queue is bounded.
func (w *watch) put(u dsv.Update) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.queue) >= 2*window {
		return fmt.Errorf("more updates than credit: %w", wire.ErrProtocol)
	}
	if w.r.Mode == dsv.Latest {
		if at, seen := w.seen[u.Name]; u.Revision <= at || u.Deleted && !seen && u.Revision <= w.lost {
			w.owed++ // it took credit, too
			if w.owed >= window/2 {
				w.signal() // the reader gives it back
			}
			return nil
		}
		w.seen[u.Name] = u.Revision
	}
	w.last = max(w.last, u.Revision)
	w.queue = append(w.queue, u)
	w.signal()
	return nil
}

func (w *watch) signal() {
	select {
	case w.wake <- struct{}{}:
	default:
	}
}

// cut ends the watch with a gap.
func (w *watch) cut(oldest dsv.Revision) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.over == nil {
		w.queue = append(w.queue, dsv.Update{Gap: oldest})
		w.over = dsv.ErrGap
		w.signal()
	}
}

// end ends the watch: what is queued can still be read.
func (w *watch) end(why error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.over == nil {
		w.over = why
		w.signal()
	}
}

// Next implements dsv.Watch.
func (w *watch) Next(ctx context.Context) (dsv.Update, error) {
	for {
		u, owed, err := w.take()
		if owed > 0 {
			w.p.tell(wire.Req{Op: wire.OpMore, Watch: wire.Uint(w.id), Credit: owed})
		}
		if err != nil {
			return dsv.Update{}, fmt.Errorf("watch %s: %w", w.r.Pattern, err)
		}
		if u != nil {
			return *u, nil
		}
		select {
		case <-w.wake:
		case <-ctx.Done():
			return dsv.Update{}, fmt.Errorf("watch %s: %w", w.r.Pattern, context.Cause(ctx))
		}
	}
}

// take returns the first update in the queue, nil when there is none yet, and the credit to be given.
func (w *watch) take() (u *dsv.Update, owed int, err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.queue) == 0 {
		if w.over != nil {
			w.signal() // for the next call
		}
		return nil, w.owes(), w.over
	}
	first := w.queue[0]
	w.queue[0] = dsv.Update{}
	w.queue = w.queue[1:]
	if first.Gap == 0 {
		w.owed++
	}
	return &first, w.owes(), nil
}

// owes returns the credit to be given now: much at once, or none. mu is held.
func (w *watch) owes() int {
	if w.owed < window/2 || w.over != nil {
		return 0
	}
	owed := w.owed
	w.owed = 0
	return owed
}

// Close implements dsv.Watch.
func (w *watch) Close() error {
	w.mu.Lock()
	again, cut := w.over == dsv.ErrClosed, w.over == dsv.ErrGap //nolint:errorlint // our own marks
	w.over = dsv.ErrClosed
	w.queue = nil
	w.signal()
	w.mu.Unlock()
	if again {
		return nil
	}
	w.p.mu.Lock()
	_, live := w.p.watches[w.id]
	delete(w.p.watches, w.id)
	w.p.mu.Unlock()
	if live || cut { // the kernel keeps the number of a watch that was cut off
		w.p.tell(wire.Req{Op: wire.OpUnwatch, Watch: wire.Uint(w.id)})
	}
	return nil
}

// updated takes an update from the kernel.
func (p *Proxy) updated(f *wire.Upd) error {
	u, err := f.Update()
	if err != nil {
		return fmt.Errorf("update: %w: %w", err, wire.ErrProtocol)
	}
	p.mu.Lock()
	w, l := p.watches[uint64(f.Watch)], p.replicas[uint64(f.Watch)]
	p.mu.Unlock()
	switch {
	case w != nil:
		return w.put(u)
	case l != nil:
		l.put(u)
		p.sweepCopies(time.Now())
	}
	return nil // closed meanwhile
}
