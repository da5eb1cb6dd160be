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
	case kReplyFile:
		t.replied = true
		t.ask(i, OpReply, n, 0, d)
		d.File = true
		return i, true
	case kFile:
		t.ask(i, OpFile, n, 0, d)
		d.Key = t.keyOf(&t.frames[i], n)
		return i, true
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
	d.ID, d.Op, d.Sync, d.File = id(i, f.gen), op, n.sync, false // one by one, for a composite would be copied
	d.Node, d.N, d.Name = n.num, amount, n.name
	d.Method, d.Path, d.HTTP, d.Block = "", "", nil, nil
	d.Key, d.Priority, d.Deadline = 0, 0, 0
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
		d.Method, d.Path, d.HTTP = n.op, n.path, n.http
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
		return chosen(n, t.keyOf(f, n))
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

// Draw executes the block under key, meeting every demand at once, and shows
// each to visit, notices included: what the block asks for when nothing but
// `fail` fails.
func (b *Block) Draw(key Key, level string, visit func(*Demand)) {
	var t Task
	t.Draw(b, key, level, visit)
}

// Draw is Block.Draw on a Task that is used again.
func (t *Task) Draw(b *Block, key Key, level string, visit func(*Demand)) Outcome {
	t.Start(b, key, level)
	d := &t.shown
	for t.Next(d) {
		ident, op := d.ID, d.Op
		visit(d)
		if op != OpTimer {
			t.Met(ident, OK)
		}
	}
	return t.outcome
}
