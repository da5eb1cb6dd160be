package adapt

import "github.com/eve-emulation/eve/dsv"

// arrival is when the Loop learns of an update: at once, or once a partition has healed that lies between it and who
// wrote it. Updates of one variable stay in order: those behind one that is kept back arrive with it, as on one connection.
func (l *Loop) arrival(at dsv.Instant, t *topic, n dsv.Name) dsv.Instant {
	if l.cfg.Arrives == nil {
		return at
	}
	if t.due <= at {
		t.due = l.cfg.Arrives(at, n)
	}
	return t.due
}

// await keeps an update back until it arrives.
func (l *Loop) await(due dsv.Instant, u dsv.Update) {
	if due != dsv.Never {
		l.held.Push(due, u)
	}
}

// release takes the updates that have arrived.
func (l *Loop) release(to dsv.Instant) {
	for due, u, ok := l.held.Peek(); ok && due <= to; due, u, ok = l.held.Peek() {
		l.held.Pop()
		l.learn(due, l.topics[u.Name], u)
	}
}
