package rdr

import "time"

// Budgets of one task, whatever was drawn: a task that exceeds one ends as
// Exceeded.
const (
	maxSteps  = 1 << 22
	maxFrames = 1 << 16
)

// Task is one execution of a block. The zero value is ready for Start, and a
// Task that is used again allocates nothing once it has been as large before. A
// Task belongs to one goroutine.
//
// The driver calls Next until it returns false, meets the demands in whatever
// time that takes, and reports each with Met, after which Next may have more. A
// demand that the task withdraws by OpCancel needs no Met, and a late one is
// ignored.
type Task struct {
	block    *Block
	key      Key
	level    string
	priority int
	deadline time.Duration

	frames  []frame
	free    []uint16
	ready   []uint32 // ids of frames to run; ready[head:] are left
	head    int
	notices []notice // notices[told:] are left
	told    int
	live    int
	steps   int
	shown   Demand // by Draw

	replied bool
	ended   bool
	outcome Outcome
}

// frame executes one sequence of statements, or holds one scope. Its parent
// waits for it.
type frame struct {
	node      *node // the statement that this frame is the body of, or whose scope it holds; nil for the main strand
	body      []node
	pc        int
	count     int64 // repeat: passes; retry: attempts; memory: bytes
	i         int64 // the current one of them
	iteration uint64
	attempt   uint64
	parent    int32 // -1: the main strand or a fork
	kids      int32 // par: branches that run
	gen       uint16
	state     state
	scope     bool    // holds a par, timeout, lock or memory, and runs no statements
	op        Op      // the outstanding demand
	fail      Outcome // state failing: why; a par: the first failure
}

type state uint8

const (
	idle     state = iota // the slot is free
	running               // in the ready queue, or being run
	waiting               // for Met
	met                   // the demand was met
	failing               // the demand failed
	holding               // a frame below runs, and this one waits for it
	timing                // a timeout whose timer and body run
	expired               // a timeout whose timer has passed
	pausing               // a retry that is about to wait before its next attempt
	backoff               // a retry that waits
	replying              // the main strand sends its empty reply
	replied               // and has sent it
)

type notice struct {
	op   Op
	id   uint32
	name string
	n    int64
}

// Start begins an execution of b under key, abandoning any before. Level is the
// quality level that `level` statements pick; the first of them if none has
// that name. An unlinked block panics.
func (t *Task) Start(b *Block, key Key, level string) {
	if b.refs && !b.linked {
		panic("rdr: start of a block whose calls are not linked")
	}
	t.reset()
	t.block, t.key, t.level = b, key, level
	t.priority, _ = b.Priority(key)
	t.deadline, _ = b.Deadline(key)
	i := t.push(nil, b.body, -1)
	t.enqueue(i)
}

func (t *Task) reset() {
	if t.live > 0 { // else all frames are free already
		t.free = t.free[:0]
		for i := len(t.frames) - 1; i >= 0; i-- {
			f := &t.frames[i]
			*f = frame{gen: f.gen + 1}
			t.free = append(t.free, uint16(i))
		}
	}
	t.ready, t.head = t.ready[:0], 0
	t.notices, t.told = t.notices[:0], 0
	t.live, t.steps = 0, 0
	t.replied, t.ended, t.outcome = false, false, OK
}

// SetPriority sets the priority that calls inherit when their blocks have none:
// that of the request this task executes. Start sets it to the block's own.
func (t *Task) SetPriority(p int) { t.priority = p }

// SetDeadline sets the deadline that calls inherit; see SetPriority.
func (t *Task) SetDeadline(d time.Duration) { t.deadline = d }

// Done reports whether every strand, forks included, has ended and every
// notice was told.
func (t *Task) Done() bool { return t.live == 0 && t.told == len(t.notices) }

// Ended reports whether the main strand has ended. A server whose task has
// ended with a failure before it Replied answers 500.
func (t *Task) Ended() bool { return t.ended }

// Replied reports whether an OpReply was yielded.
func (t *Task) Replied() bool { return t.replied }

// Outcome returns why the main strand failed; OK when it did not, or has not
// ended.
func (t *Task) Outcome() Outcome { return t.outcome }

// Steps returns how many statements were executed.
func (t *Task) Steps() int { return t.steps }

func id(i int, gen uint16) uint32 { return uint32(gen)<<16 | uint32(i) }

// lookup returns the frame that an id names, or -1 if it has moved on.
func (t *Task) lookup(ident uint32) int {
	i := int(ident & 0xffff)
	if i >= len(t.frames) || t.frames[i].gen != uint16(ident>>16) || t.frames[i].state == idle {
		return -1
	}
	return i
}

// push makes a frame below parent, which inherits its iteration and attempt; -1
// when there are too many.
func (t *Task) push(n *node, body []node, parent int) int {
	var i int
	if last := len(t.free) - 1; last >= 0 {
		i = int(t.free[last])
		t.free = t.free[:last]
	} else {
		if len(t.frames) == maxFrames {
			return -1
		}
		i = len(t.frames)
		t.frames = append(t.frames, frame{})
	}
	f := &t.frames[i]
	f.node, f.body, f.parent, f.gen, f.state = n, body, int32(parent), f.gen+1, running // one by one: it is not copied
	f.pc, f.count, f.i, f.iteration, f.attempt = 0, 0, 0, 0, 0
	f.kids, f.scope, f.op, f.fail = 0, false, 0, OK
	if parent >= 0 {
		p := &t.frames[parent]
		f.iteration, f.attempt = p.iteration, p.attempt
	}
	t.live++
	return i
}

func (t *Task) pop(i int) {
	f := &t.frames[i]
	f.state = idle
	f.gen++
	f.node, f.body = nil, nil
	t.free = append(t.free, uint16(i))
	t.live--
}

func (t *Task) enqueue(i int) {
	t.ready = append(t.ready, id(i, t.frames[i].gen))
}

func (t *Task) notify(op Op, ident uint32, name string, n int64) {
	t.notices = append(t.notices, notice{op, ident, name, n})
}

// Next stores the next demand that is due now and returns true; false when
// every strand waits, or the task is done.
func (t *Task) Next(d *Demand) bool {
	for {
		if t.told < len(t.notices) {
			n := &t.notices[t.told]
			t.told++
			*d = Demand{Op: n.op, ID: n.id, Name: n.name, N: n.n}
			if t.told == len(t.notices) {
				t.notices, t.told = t.notices[:0], 0
			}
			return true
		}
		if t.head == len(t.ready) {
			t.ready, t.head = t.ready[:0], 0
			return false
		}
		i := t.lookup(t.ready[t.head])
		t.head++
		if i >= 0 && t.run(i, d) {
			return true
		}
	}
}

// Met reports that a demand was met, or why not. A demand that is no longer
// outstanding is ignored.
func (t *Task) Met(ident uint32, o Outcome) {
	i := t.lookup(ident)
	if i < 0 {
		return
	}
	f := &t.frames[i]
	switch f.state {
	case waiting:
		f.state = met
		if o != OK {
			f.state, f.fail = failing, o
		}
	case timing:
		f.state = expired
	case backoff:
		f.state = running
	case replying:
		f.state = replied
	default:
		return
	}
	t.enqueue(i)
}

// Cancel withdraws everything, forks included: Next yields an OpCancel for each
// outstanding demand and releases what is held. The task ends with o, unless
// the main strand has ended.
func (t *Task) Cancel(o Outcome) {
	for i := range t.frames {
		if f := &t.frames[i]; f.state != idle && f.parent < 0 {
			t.withdraw(i)
		}
	}
	if !t.ended {
		t.ended, t.outcome = true, o
	}
}
