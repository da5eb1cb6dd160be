package service

import (
	"github.com/eve-emulation/eve/dsv"
	"github.com/eve-emulation/eve/fase/machine"
	"github.com/eve-emulation/eve/fase/step"
)

// workers is the pool of a service at one server: nil without a bound.
type workers struct {
	cfg   PoolConfig
	pool  *machine.Pool
	meter stationMeter
}

// PoolName is a variable of the pool of a service: utilisation, queue, wait or service.
func PoolName(service, what string) dsv.Name {
	n := dsv.Name(service + ".pool")
	if what != "" {
		n += dsv.Name("." + what)
	}
	return n
}

func newWorkers(s *Config, vars Vars) *workers {
	if s.Pool.Threads <= 0 {
		return nil
	}
	return &workers{s.Pool, machine.NewPool(int64(s.Pool.Threads)), newStationMeter(string(PoolName(s.Name, "")), vars)}
}

// resize puts a number of workers in force. What they did so far is measured by the former one.
func (h *Host) resize(at dsv.Instant, svc, threads int) {
	h.accrue(at)
	w := h.here[svc].workers
	w.cfg.Threads = threads
	w.pool.Resize(at, int64(threads))
	h.pools(at)
}

// replaced is the pool with all of its workers free, and what was held or waited for forgotten: the server has crashed.
func (w *workers) replaced() *workers {
	if w == nil {
		return nil
	}
	return &workers{w.cfg, machine.NewPool(int64(w.cfg.Threads)), w.meter}
}

// workersOf is the pool that a request needs a worker of; nil for none.
func (h *Host) workersOf(v *visit) *workers {
	if v.req.Service < 0 {
		return nil
	}
	return h.here[v.req.Service].workers
}

// enlist gets a worker for a request, or has it wait for one, or turns it away. True: it has one.
func (h *Host) enlist(at dsv.Instant, x uint32, w *workers) bool {
	v := &h.visits[x]
	v.since = at
	if w.cfg.Queue > 0 && w.pool.Waiting() >= w.cfg.Queue {
		h.here[v.req.Service].rejected.Write(at, 1)
		v.shed, v.retry = true, 1
		h.leaveService(at, x)
		h.turnAway(at, x, 503)
		return false
	}
	held, _ := w.pool.Acquire(at, h.ref(x), 1)
	if v.enlisted = !held; held {
		h.employ(at, v, w)
	}
	return held
}

// employ notes that a request has got its worker.
func (h *Host) employ(at dsv.Instant, v *visit, w *workers) {
	v.wait += int64(at - v.since)
	w.meter.wait.Write(at, at.Sub(v.since).Seconds())
	v.since, v.working = at, true
}

// dismiss takes a request that waits for a worker out of the line.
func (h *Host) dismiss(at dsv.Instant, x uint32) {
	v := &h.visits[x]
	w := h.workersOf(v)
	v.enlisted, v.shed = false, true
	if !w.pool.Withdraw(at, h.ref(x)) {
		w.pool.Release(at, 1) // it was its turn in this very instant
	}
	h.run.Agenda.Push(at, Event{Kind: eventPools})
	h.leaveService(at, x)
}

// leaveWorker frees the worker of a request whose execution has ended.
func (h *Host) leaveWorker(at dsv.Instant, x uint32) {
	v := &h.visits[x]
	if !v.working {
		return
	}
	v.working = false
	w := h.workersOf(v)
	w.meter.service.Write(at, at.Sub(v.since).Seconds())
	w.pool.Release(at, 1)
	h.run.Agenda.Push(at, Event{Kind: eventPools})
}

// employed lets those begin whose turn it is.
func (h *Host) employed(at dsv.Instant) {
	for svc := range h.here {
		w := h.here[svc].workers
		if w == nil {
			continue
		}
		for _, ref := range w.pool.Departed() {
			x := ref.Slot()
			if !h.run.Alive(x, ref.Gen()) || !h.visits[x].enlisted {
				continue
			}
			h.visits[x].enlisted = false
			h.employ(at, &h.visits[x], w)
			h.begin(at, x)
		}
	}
}

// disband turns those away who wait for a worker of a service that is not served here any more: their callers resolve again.
func (h *Host) disband(at dsv.Instant, svc int) {
	w := h.here[svc].workers
	if w == nil {
		return
	}
	var line []step.Ref
	w.pool.Line(func(ref machine.Job) { line = append(line, ref) })
	for _, ref := range line {
		h.dismiss(at, ref.Slot())
		h.turnAway(at, ref.Slot(), 421)
	}
}

// unworked tells of workers that are held or waited for; "" for none.
func (h *Host) unworked() string {
	for svc := range h.here {
		if w := h.here[svc].workers; w != nil && !w.pool.Idle() {
			return "workers of " + h.cfg.Topology.Services[svc] + " are in use"
		}
	}
	return ""
}

// accrueWorkers writes what was measured over the last d seconds of the pools of the services that are here.
func (h *Host) accrueWorkers(at dsv.Instant, d float64) {
	for svc := range h.here {
		p := &h.here[svc]
		if p.workers == nil {
			continue
		}
		held, present := p.workers.pool.Use(at)
		if p.state != "" || present > 0 {
			p.workers.meter.write(at, min(held/float64(p.workers.cfg.Threads), d), present, d) // those that are let go may be at work still
		}
	}
}
