package rdr

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
