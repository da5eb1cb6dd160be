package engine

import "sync"

// An actor is what a session has in the engine of actors. The session's lock guards the mailbox, the handler's lock guards the ledger; the rest
// of the session is only touched in its turns. One that is idle has neither letters nor a ledger, so that many cost little.
type actor struct {
	box       *mailbox // nil while no letter waits
	ledger    *ledger  // nil while the handler has no request of it
	first     uint64   // serial of the connection's first request
	signals   signals  // that wait
	alive     bool
	scheduled bool // in the run queue, or having its turn
	more      bool // the actor has something to go on with at its next turn
}

// A mailbox holds the letters that wait.
type mailbox struct {
	letters []letter
	taken   int // of letters
}

// A ledger is what of an actor's requests the handler has, the oldest first.
type ledger struct {
	due    []dueness
	oldest uint64 // serial of due[0]
}

// spares are mailboxes and ledgers that no actor has.
type spares struct {
	mu      sync.Mutex // guards boxes
	boxes   []*mailbox
	ledgers []*ledger // guarded by the handler's lock
}

// signals are the messages that say the same however often they come, and so need no more room than a bit each.
type signals uint16

const (
	readable signals = 1 << iota
	writable
	halfClosed // the peer has sent its end of stream
	broken
	tooLate // and the next bits: has waited too long, for timeout 0, 1, …
)

// A letter is a message with content: a response, or work. A mailbox has no more letters than the connection has requests unanswered, which
// Config.Pipeline bounds, but for the work of those.
type letter struct {
	work   func(*Thread)
	serial uint64
	filler int64
	buf    []byte // header and body; pooled
	header int    // bytes
	status int
	close  bool
}

// dueness says how a request stands between handler and actor.
type dueness uint8

const (
	isDue      dueness = iota
	isAnswered         // the response is in the mailbox, or was
	isOrphan           // the handler was told that the peer has gone
)

// born begins the life of an actor.
func (c *session) born() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.alive, c.scheduled, c.signals, c.more = true, false, 0, false
	c.first = c.serial
}

func (c *session) living() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.alive
}

// post adds signals, under the lock, and reports whether the actor is to be put into the run queue.
func (c *session) post(s signals) bool {
	c.signals |= s
	if c.scheduled {
		return false
	}
	c.scheduled = true
	return true
}

// put adds a letter to the mailbox of c, whose lock is held.
func (s *spares) put(c *session, l letter) {
	if c.box == nil {
		s.mu.Lock()
		if n := len(s.boxes); n > 0 {
			c.box, s.boxes = s.boxes[n-1], s.boxes[:n-1]
		} else {
			c.box = new(mailbox)
		}
		s.mu.Unlock()
	}
	c.box.letters = append(c.box.letters, l)
}

// take takes the first letter of c.
func (s *spares) take(c *session) (letter, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	b := c.box
	if b == nil {
		return letter{}, false
	}
	l := b.letters[b.taken]
	b.letters[b.taken] = letter{}
	if b.taken++; b.taken == len(b.letters) {
		c.box = nil
		b.letters, b.taken = b.letters[:0], 0
		s.mu.Lock()
		s.boxes = append(s.boxes, b)
		s.mu.Unlock()
	}
	return l, true
}

// takeSignals takes all signals.
func (c *session) takeSignals() signals {
	c.mu.Lock()
	defer c.mu.Unlock()
	s := c.signals
	c.signals = 0
	return s
}

// rests ends a turn and reports whether the actor has nothing left to do, so that it leaves the run queue.
func (c *session) rests() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.more || c.signals != 0 || c.box != nil {
		return false
	}
	c.scheduled = false
	return true
}

// awaits reports whether the handler may answer a request of c still, and notes that it does. Under the handler's lock.
func (s *spares) awaits(c *session, serial uint64) bool {
	g := c.ledger
	if g == nil {
		return false
	}
	i := (serial - g.oldest) & serialMask
	if i >= uint64(len(g.due)) || g.due[i] == isAnswered {
		return false
	}
	g.due[i] = isAnswered
	n := 0
	for n < len(g.due) && g.due[n] == isAnswered {
		n++
	}
	g.due = g.due[:copy(g.due, g.due[n:])]
	g.oldest += uint64(n)
	if len(g.due) == 0 {
		s.settled(c)
	}
	return true
}

// awaited notes that the handler gets the request of c with that serial. Under the handler's lock.
func (s *spares) awaited(c *session, serial uint64) {
	if c.ledger == nil {
		if n := len(s.ledgers); n > 0 {
			c.ledger, s.ledgers = s.ledgers[n-1], s.ledgers[:n-1]
		} else {
			c.ledger = new(ledger)
		}
		c.ledger.oldest = serial
	}
	c.ledger.due = append(c.ledger.due, isDue)
}

// settled notes that no response is awaited of c any more. Under the handler's lock.
func (s *spares) settled(c *session) {
	if g := c.ledger; g != nil {
		c.ledger = nil
		g.due = g.due[:0]
		s.ledgers = append(s.ledgers, g)
	}
}
