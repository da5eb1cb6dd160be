package server

import (
	"github.com/eve-emulation/eve/fase/burn"
	"github.com/eve-emulation/eve/fase/engine"
	"github.com/eve-emulation/eve/fase/service"
	"github.com/eve-emulation/eve/fase/step"
)

// A job is a granted demand that a thread of the engine consumes: that of its request, or a helper for the disk. It is used again.
type job struct {
	o         *owner
	e         step.Effect
	delivered int64
	memory    burn.Memory
	run       func(*engine.Thread)
	report    func(engine.Loop)
}

// settle routes what an input has led to, and hands what is granted to threads that consume it, where the engine has them.
func (o *owner) settle() {
	o.driver.Flush()
	for o.choose && o.kind.Threads { // there is no loop that would look at its sockets first
		o.choose = false
		at, _ := o.s.instant(o.loop.Now())
		o.host.Choose(at)
		o.driver.Flush()
	}
	if o.proto == nil {
		return
	}
	kept := 0
	for _, e := range o.burns {
		if !o.place(e) {
			o.burns[kept] = e
			kept++
		}
	}
	o.burns = o.burns[:kept]
}

// place hands an effect to a thread of the engine. False: it is consumed on the loop, or by the crew.
func (o *owner) place(e step.Effect) bool {
	kind := engine.Disk
	switch e.Code {
	case service.BurnCPU, service.BurnTouch:
		kind = engine.CPU
	case service.BurnFree:
		o.burn(e)
		return true
	}
	if kind == engine.CPU && !o.kind.Threads {
		return false
	}
	at, _ := o.s.instant(o.loop.Now())
	e, wanted := o.host.Begin(at, e)
	tag, ok := o.host.Tag(e.Ref)
	if !wanted || !ok {
		return true // withdrawn meanwhile
	}
	var j *job
	if n := len(o.jobs); n > 0 {
		j, o.jobs = o.jobs[n-1], o.jobs[:n-1]
	} else {
		j = &job{o: o}
		j.run, j.report = j.consume, j.tell
	}
	j.e = e
	if o.loop.Work(engine.Ref(tag), kind, j.run) {
		return true
	}
	o.jobs = append(o.jobs, j)
	return false
}

// consume is the job's work, on its thread.
func (j *job) consume(t *engine.Thread) {
	b, ok := t.Local.(*burn.Burner)
	if !ok {
		b = j.o.proto.Twin()
		t.Local = b
		t.OnExit(func() { _ = b.Close() }) // a scratch file that stays is no reason to fail
	}
	switch {
	case t.Ending(): // nobody waits for it
		j.delivered = 0
	case j.e.Code == service.BurnTouch:
		j.memory, _ = burn.Hold(j.e.N) // what is not to be had is not held
		j.delivered = j.e.N
	default:
		j.delivered = consume(b, j.o.pages, j.e)
	}
	j.o.s.engine.Post(0, j.report)
}

// tell reports to the host, under the handler's lock or on the loop.
func (j *job) tell(l engine.Loop) {
	o, e, delivered := j.o, j.e, j.delivered
	if e.Code == service.BurnTouch {
		if o.host.Wants(e.Ref) {
			o.held[e.Ref] = j.memory
		} else {
			_ = j.memory.Release()
		}
		j.memory = burn.Memory{}
	}
	o.jobs = append(o.jobs, j)
	o.loop = l
	o.burned(e, delivered)
}
