package rdr

// run executes frame i and the frames that it makes room for, until one yields
// a demand into d (true) or its strand can go no further (false).
func (t *Task) run(i int, d *Demand) bool {
	for i >= 0 {
		if t.told < len(t.notices) {
			// What was released on the way is told first: it must be free
			// again when the next demand arrives.
			t.head--
			t.ready[t.head] = id(i, t.frames[i].gen)
			return false
		}
		f := &t.frames[i]
		yield := false
		switch f.state {
		case running:
			if f.pc < len(f.body) {
				i, yield = t.exec(i, d)
			} else {
				i, yield = t.pass(i, d)
			}
		case met:
			if f.scope {
				i = t.enter(i)
			} else {
				f.state = running
				f.pc++
			}
		case failing:
			i = t.end(i, f.fail)
		case expired:
			t.withdrawBelow(i)
			i = t.end(i, TimedOut)
		case pausing:
			yield = t.pause(i, d)
		case replied:
			i = t.end(i, OK)
		default:
			return false
		}
		if yield {
			return true
		}
	}
	return false
}

// exec executes the next statement of frame i and returns the frame to go on
// with, or -1.
func (t *Task) exec(i int, d *Demand) (next int, yield bool) {
	if t.steps++; t.steps > maxSteps {
		return t.exceed(), false
	}
	f := &t.frames[i]
	n := &f.body[f.pc]
	switch n.kind {
	case kCPU:
		return t.leaf(i, OpCPU, d)
	case kDiskRead:
		return t.leaf(i, OpDiskRead, d)
	case kDiskWrite:
		return t.leaf(i, OpDiskWrite, d)
	case kWait:
		return t.leaf(i, OpWait, d)
	case kReply:
		return t.leaf(i, OpReply, d)
	case kCall, kHTTP:
		t.call(i, d)
		return i, true
	case kFail:
		if t.keyOf(f, n).Uniform() < n.prob {
			return t.end(i, Failed), false
		}
	case kPar:
		return t.fanOut(i), false
	case kFork:
		return t.detach(i), false
	case kMemory, kLock, kTimeout:
		return t.scope(i, d)
	case kSeq:
		return t.descend(i, n.body), false
	case kRepeat, kRetry:
		return t.loop(i), false
	case kChoose, kLevel:
		return t.descend(i, t.arm(f, n)), false
	}
	f.pc++
	return i, false
}

// keyOf returns the key of what frame f draws at n.
func (t *Task) keyOf(f *frame, n *node) Key { return t.key.node(n.num, f.iteration, f.attempt) }

// draw returns the amount of n in frame f.
func (t *Task) draw(f *frame, n *node) int64 {
	if n.amt.dist == distConst {
		return n.amt.n
	}
	return n.amt.draw(t.keyOf(f, n))
}

// ask makes frame i wait for a demand, which gets a fresh id.
func (t *Task) ask(i int, op Op, n *node, amount int64, d *Demand) {
	f := &t.frames[i]
	f.state, f.op = waiting, op
	f.gen++
	*d = Demand{ID: id(i, f.gen), Op: op, Sync: n.sync, Node: n.num, N: amount, Name: n.name}
}

// leaf yields a demand without a body; nothing at all when it is for 0.
func (t *Task) leaf(i int, op Op, d *Demand) (int, bool) {
	f := &t.frames[i]
	n := &f.body[f.pc]
	amount := t.draw(f, n)
	if amount == 0 && op != OpReply {
		f.pc++
		return i, false
	}
	if op == OpReply {
		t.replied = true
	}
	t.ask(i, op, n, amount, d)
	return i, true
}

func (t *Task) call(i int, d *Demand) {
	f := &t.frames[i]
	n := &f.body[f.pc]
	t.ask(i, OpCall, n, t.draw(f, n), d)
	d.Key = t.key.call(n.num, f.iteration, f.attempt)
	d.Priority, d.Deadline = t.priority, t.deadline
	if n.kind == kHTTP {
		f.op, d.Op = OpHTTP, OpHTTP
		d.Method, d.Path = n.op, n.path
		return
	}
	d.Block = n.block
	if p, ok := n.block.Priority(d.Key); ok {
		d.Priority = p
	}
	if dl, ok := n.block.Deadline(d.Key); ok {
		d.Deadline = dl
	}
}

// arm returns the branch that a choose draws, or the one of the level.
func (t *Task) arm(f *frame, n *node) []node {
	if n.kind == kChoose {
		u := t.keyOf(f, n).Uniform()
		for j := range n.arms {
			if u < n.arms[j].upto {
				return n.arms[j].body
			}
		}
	}
	return levelArm(n, t.level)
}

// levelArm returns the branch of a level, the first if none has its name.
func levelArm(n *node, level string) []node {
	for j := range n.arms {
		if n.arms[j].name == level {
			return n.arms[j].body
		}
	}
	return n.arms[0].body
}

// descend runs body in a frame below i, which goes on when that has ended.
func (t *Task) descend(i int, body []node) int {
	f := &t.frames[i]
	if len(body) == 0 {
		f.pc++
		return i
	}
	below := t.push(&f.body[f.pc], body, i)
	if below < 0 {
		return t.exceed()
	}
	t.frames[i].state = holding
	return below
}

// loop begins a repeat or a retry.
func (t *Task) loop(i int) int {
	f := &t.frames[i]
	n := &f.body[f.pc]
	count := int64(n.count)
	if n.kind == kRepeat {
		count = t.draw(f, n)
	}
	if len(n.body) == 0 || n.kind == kRepeat && count == 0 {
		f.pc++
		return i
	}
	below := t.push(n, n.body, i)
	if below < 0 {
		return t.exceed()
	}
	t.frames[i].state = holding
	b := &t.frames[below]
	b.count = count
	t.turn(b)
	return below
}

// stride makes one number of the counters of nested loops. It is odd and above
// the largest count, so that different passes have different numbers.
const stride = 1_000_003

// turn sets the iteration or attempt of a loop's frame from its counter.
func (t *Task) turn(f *frame) {
	p := &t.frames[f.parent]
	if f.node.kind == kRepeat {
		f.iteration = p.iteration*stride + uint64(f.i)
	} else {
		f.attempt = p.attempt*stride + uint64(f.i)
	}
	f.pc = 0
}

// pass ends a pass over the body of frame i: the next pass of a repeat, the
// empty reply of a main strand that sent none, or the end of the frame.
func (t *Task) pass(i int, d *Demand) (int, bool) {
	f := &t.frames[i]
	switch {
	case f.node == nil:
		if !t.replied && t.block.start == StartBlock {
			t.replied = true
			t.ask(i, OpReply, &node{}, 0, d)
			f.state = replying
			return i, true
		}
	case f.node.kind == kRepeat && !f.scope && f.i+1 < f.count:
		f.i++
		t.turn(f)
		return i, false
	}
	return t.end(i, OK), false
}

// fanOut starts the branches of a par.
func (t *Task) fanOut(i int) int {
	f := &t.frames[i]
	n := &f.body[f.pc]
	if len(n.body) == 0 {
		f.pc++
		return i
	}
	s := t.push(n, nil, i)
	if s < 0 {
		return t.exceed()
	}
	t.frames[i].state = holding
	t.frames[s].state, t.frames[s].scope = holding, true
	t.frames[s].kids = int32(len(n.body))
	for j := range n.body {
		b := t.push(n, n.body[j:j+1:j+1], s)
		if b < 0 {
			return t.exceed()
		}
		t.enqueue(b)
	}
	return -1
}

// detach starts a fork.
func (t *Task) detach(i int) int {
	f := &t.frames[i]
	n := &f.body[f.pc]
	f.pc++
	if len(n.body) == 0 {
		return i
	}
	iteration, attempt := f.iteration, f.attempt
	b := t.push(n, n.body, -1)
	if b < 0 {
		return t.exceed()
	}
	t.frames[b].iteration, t.frames[b].attempt = iteration, attempt
	t.enqueue(b)
	return i
}

// scope begins a memory, lock or timeout: it asks for what the scope needs, and
// a timeout starts its body at once.
func (t *Task) scope(i int, d *Demand) (int, bool) {
	f := &t.frames[i]
	n := &f.body[f.pc]
	amount := t.draw(f, n)
	if len(n.body) == 0 && n.kind == kTimeout {
		f.pc++
		return i, false
	}
	if n.kind == kMemory && amount == 0 {
		return t.descend(i, n.body), false
	}
	s := t.push(n, nil, i)
	if s < 0 {
		return t.exceed(), false
	}
	t.frames[i].state = holding
	t.frames[s].scope = true
	t.frames[s].count = amount
	op := OpMemory
	switch n.kind {
	case kLock:
		op = OpLock
	case kTimeout:
		op = OpTimer
	}
	t.ask(s, op, n, amount, d)
	if n.kind == kTimeout {
		t.frames[s].state = timing
		b := t.push(n, n.body, s)
		if b < 0 {
			return t.exceed(), false
		}
		t.enqueue(b)
	}
	return s, true
}

// enter runs the body of a scope that got what it asked for.
func (t *Task) enter(s int) int {
	t.frames[s].state = holding
	n := t.frames[s].node
	b := t.push(n, n.body, s)
	if b < 0 {
		return t.exceed()
	}
	return b
}

// pause waits before the next attempt of a retry.
func (t *Task) pause(i int, d *Demand) bool {
	f := &t.frames[i]
	f.state = running
	amount := t.draw(f, f.node)
	if amount == 0 {
		return false
	}
	t.ask(i, OpWait, f.node, amount, d)
	f.state = backoff
	return true
}

// end ends frame i with an outcome, and those above that end with it. It
// returns the frame that goes on, or -1.
func (t *Task) end(i int, o Outcome) int {
	for {
		f := &t.frames[i]
		n := f.node
		if o != OK && n != nil && n.kind == kRetry && f.i < f.count {
			f.i++
			t.turn(f)
			f.state = pausing
			return i
		}
		if f.scope {
			t.release(i)
		}
		above := int(f.parent)
		t.pop(i)
		if above < 0 {
			if n == nil {
				t.ended, t.outcome = true, o
			}
			return -1
		}
		p := &t.frames[above]
		if p.scope && p.node.kind == kPar {
			if p.kids--; p.fail == OK {
				p.fail = o
			}
			if p.kids > 0 {
				return -1
			}
			o = p.fail
		} else if o == OK && !p.scope {
			p.state = running
			p.pc++
			return above
		}
		i = above
	}
}

// release gives back what scope i holds, or stops its timer.
func (t *Task) release(i int) {
	f := &t.frames[i]
	ident := id(i, f.gen)
	switch {
	case f.state == timing:
		t.notify(OpCancel, ident, "", 0)
	case f.state != holding && f.state != met:
	case f.node.kind == kLock:
		t.notify(OpUnlock, ident, f.node.name, 0)
	case f.node.kind == kMemory:
		t.notify(OpFree, ident, "", f.count)
	}
}

// withdraw ends frame i and all below it without an outcome.
func (t *Task) withdraw(i int) {
	t.withdrawBelow(i)
	f := &t.frames[i]
	switch {
	case f.state == waiting && f.op != OpReply, f.state == backoff:
		t.notify(OpCancel, id(i, f.gen), "", 0)
	case f.scope:
		t.release(i)
	}
	t.pop(i)
}

func (t *Task) withdrawBelow(i int) {
	if s := t.frames[i].state; s != holding && s != timing && s != expired {
		return // nothing runs below
	}
	for j := range t.frames {
		if f := &t.frames[j]; f.state != idle && f.parent == int32(i) {
			t.withdraw(j)
		}
	}
}

// exceed ends the task because it used up a budget.
func (t *Task) exceed() int {
	t.Cancel(Exceeded)
	return -1
}

// Draw executes the block under key, meeting every demand at once, and shows
// each to visit: what the block asks for when nothing fails or times out. Notices are shown too.
func (b *Block) Draw(key Key, level string, visit func(*Demand)) {
	var t Task
	t.Draw(b, key, level, visit)
}

// Draw is Block.Draw on a Task that is used again.
func (t *Task) Draw(b *Block, key Key, level string, visit func(*Demand)) Outcome {
	t.Start(b, key, level)
	var d Demand
	for t.Next(&d) {
		ident, op := d.ID, d.Op
		visit(&d)
		if op != OpTimer {
			t.Met(ident, OK)
		}
	}
	return t.outcome
}
