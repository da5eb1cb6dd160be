package service

import (
	"github.com/eve-emulation/eve/dsv"
	"github.com/eve-emulation/eve/fase/step"
	"github.com/eve-emulation/eve/rdr"
)

// op is an outstanding demand of an execution, or what it holds.
type op struct {
	gen  uint32
	live bool
	x    uint32
	id   uint32 // the demand's name within its task
	kind rdr.Op
	name string
	n    int64
	call step.Ref
	// since is when it was asked for or, of what is held, when it was had.
	since dsv.Instant
	had   bool // what is held was had
	next  uint32
}

func (r *Runner) newOp(at dsv.Instant, x uint32, t *execution, d *rdr.Demand) uint32 {
	var o uint32
	if n := len(r.freeOp); n > 0 {
		o = r.freeOp[n-1]
		r.freeOp = r.freeOp[:n-1]
	} else {
		o = uint32(len(r.ops))
		r.ops = append(r.ops, op{})
	}
	p := &r.ops[o]
	p.gen++ // one by one, for a composite would be made elsewhere first and then copied
	p.live, p.had = true, false
	p.x, p.id, p.kind, p.name, p.n = x, d.ID, d.Op, d.Name, d.N
	p.call, p.since, p.next = 0, at, t.first
	t.first = o
	return o
}

func (r *Runner) ref(o uint32) step.Ref { return step.NewRef(o, r.ops[o].gen) }

// find returns the op of a task's demand. A task has few at a time.
func (r *Runner) find(t *execution, id uint32) uint32 {
	for o := t.first; o != 0; o = r.ops[o].next {
		if r.ops[o].id == id {
			return o
		}
	}
	return 0
}

func (r *Runner) drop(t *execution, o uint32) {
	for p := &t.first; *p != 0; p = &r.ops[*p].next {
		if *p == o {
			*p = r.ops[o].next
			break
		}
	}
	r.ops[o].live = false
	r.freeOp = append(r.freeOp, o)
}

// Execution returns the slot of the execution that an op belongs to; false when the op has ended.
func (r *Runner) Execution(ref step.Ref) (x uint32, ok bool) {
	if p := r.lookup(ref); p != nil {
		return p.x, true
	}
	return 0, false
}

func (r *Runner) lookup(ref step.Ref) *op {
	if o := ref.Slot(); int(o) < len(r.ops) && r.ops[o].live && r.ops[o].gen == ref.Gen() {
		return &r.ops[o]
	}
	return nil
}
