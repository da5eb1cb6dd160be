package engine

// An actor is what a session has in the engine of actors. The session's lock guards the mailbox, the handler's lock guards due; the rest
// of the session is only touched in its turns.
type actor struct {
	alive     bool
	scheduled bool      // in the run queue, or having its turn
	signals   signals   // that wait
	first     uint64    // serial of the connection's first request
	letters   []letter  // that wait, from taken on
	taken     int       // of letters
	more      bool      // the actor has something to go on with at its next turn
	due       []dueness // requests that the handler has, the oldest first
	oldest    uint64    // serial of due[0]
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

// take takes the first letter.
func (c *session) take() (letter, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.taken == len(c.letters) {
		return letter{}, false
	}
	l := c.letters[c.taken]
	c.letters[c.taken] = letter{}
	if c.taken++; c.taken == len(c.letters) {
		c.letters, c.taken = c.letters[:0], 0
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
	if c.more || c.signals != 0 || c.taken < len(c.letters) {
		return false
	}
	c.scheduled = false
	return true
}

// awaits reports whether the handler may answer a request still, and notes that it does. Under the handler's lock.
func (c *session) awaits(serial uint64) bool {
	i := (serial - c.oldest) & serialMask
	if i >= uint64(len(c.due)) || c.due[i] == isAnswered {
		return false
	}
	c.due[i] = isAnswered
	n := 0
	for n < len(c.due) && c.due[n] == isAnswered {
		n++
	}
	c.due = c.due[:copy(c.due, c.due[n:])]
	c.oldest += uint64(n)
	return true
}

// awaited notes that the handler gets the request with that serial. Under the handler's lock.
func (c *session) awaited(serial uint64) {
	if len(c.due) == 0 {
		c.oldest = serial
	}
	c.due = append(c.due, isDue)
}
