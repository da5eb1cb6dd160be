package dsv

import "sync"

// flusher shares flushes of a Recorder: whoever waits is served by the first flush that began after it asked.
type flusher struct {
	rec Recorder
	run chan struct{} // cap 1; full while someone flushes

	mu   sync.Mutex // guards next
	next *flight
}

// flight is one flush and those who wait for it.
type flight struct {
	done bool // belongs to who flushes
	err  error
}

// wait returns when all that was recorded before is durable.
func (f *flusher) wait() error {
	f.mu.Lock()
	if f.next == nil {
		f.next = &flight{}
	}
	fl := f.next
	f.mu.Unlock()

	f.run <- struct{}{}
	defer func() { <-f.run }()
	if fl.done {
		return fl.err
	}
	f.mu.Lock()
	f.next = nil // who comes now needs a later flush
	f.mu.Unlock()
	fl.err = f.rec.Flush()
	fl.done = true
	return fl.err
}
