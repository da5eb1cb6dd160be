package dsv

import "fmt"

// A Poller is a Watch that needs no goroutine of its own to be followed: those of a Store are. It is read by Next or by
// Poll, not by both.
type Poller interface {
	Watch
	// Poll returns the next update, if there is one. Its errors are those of Next. One goroutine at a time may call it.
	Poll() (u Update, ok bool, err error)
	// Notify has fn called whenever there may be something to poll, and at once. fn is called by writers, which hold locks
	// of the Space: it must be quick, and must not call the Space or the Watch.
	Notify(fn func())
}

var _ Poller = (*watch)(nil)

// Poll implements Poller.
func (w *watch) Poll() (Update, bool, error) {
	u, ok, err := w.poll()
	if err != nil {
		return Update{}, false, fmt.Errorf("watch %s: %w", w.pattern, err)
	}
	return u, ok, nil
}

// Notify implements Poller.
func (w *watch) Notify(fn func()) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.notify = fn
	fn()
}
