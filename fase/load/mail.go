package load

import (
	"sync"

	"github.com/eve-emulation/eve/dsv"
)

// A mailbox takes functions from other goroutines to the loop's thread. It holds a bounded number.
type mailbox struct {
	mu     sync.Mutex
	room   sync.Cond // signalled when the loop has taken the letters, and when it ends
	size   int
	closed bool
	poller waker // nil outside Run
	mail   []func(dsv.Instant)
	taken  []func(dsv.Instant) // the loop's own
}

// A waker is what the loop waits by.
type waker interface{ Wake() }

func newMailbox(size int) *mailbox {
	if size <= 0 {
		size = 1024
	}
	m := &mailbox{size: size}
	m.room.L = &m.mu
	return m
}

// post waits for room. It reports false if the loop has ended.
func (m *mailbox) post(fn func(dsv.Instant)) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	for len(m.mail) >= m.size && !m.closed {
		m.room.Wait()
	}
	if m.closed {
		return false
	}
	m.mail = append(m.mail, fn)
	m.wakeLocked()
	return true
}

// wake makes the loop turn once.
func (m *mailbox) wake() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.wakeLocked()
}

func (m *mailbox) wakeLocked() {
	if m.poller != nil {
		m.poller.Wake()
	}
}

// attach makes post wake the poller; it must not be closed before close returns.
func (m *mailbox) attach(p waker) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.poller = p
}

// take returns the letters, in order, valid until the next take. Only the loop calls it.
func (m *mailbox) take() []func(dsv.Instant) {
	m.mu.Lock()
	defer m.mu.Unlock()
	clear(m.taken)
	m.taken, m.mail = m.mail, m.taken[:0]
	if len(m.taken) > 0 {
		m.room.Broadcast()
	}
	return m.taken
}

// close refuses further letters, if there are none left to take, and reports whether it did.
func (m *mailbox) close() bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	if len(m.mail) > 0 {
		return false
	}
	m.closed, m.poller = true, nil
	m.room.Broadcast()
	return true
}
