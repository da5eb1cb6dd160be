package service

import (
	"math"

	"github.com/eve-emulation/eve/dsv"
	"github.com/eve-emulation/eve/fase/step"
)

// The settings of a server, as they stand behind SERVER: how many requests are in service at once, and which share is rejected
// at once, by their keys; and one of a service with a pool, as it stands behind SERVICE: its workers at each of its servers.
const (
	LimitSetting   = "admit.limit"
	ShedSetting    = "admit.shed"
	ThreadsSetting = "pool.threads"
)

// MostThreads is the most workers of a service at a server.
const MostThreads = 1_000_000

// settings is what a host was told of its settings, so that what a partition held up does not undo what was told later.
type settings struct {
	told    uint32 // how many, the latest included
	inForce map[setting]uint32
	limit   int // of admission, since it was set; 0: as configured
}

// setting names one: by the kind of its event, and its service, if it is one of a service.
type setting struct {
	kind uint8
	svc  uint32
}

// Set changes a setting of a server that has a gate, when it hears of it. Requests in service stay there.
func (h *Host) Set(at dsv.Instant, name string, x float64) {
	h.Advance(at)
	if h.adm.gate == nil || math.IsNaN(x) {
		return
	}
	switch name {
	case LimitSetting:
		h.set(at, setting{kind: eventLimit}, int64(min(max(math.Round(x), 1), math.MaxInt32)))
	case ShedSetting:
		h.set(at, setting{kind: eventShed}, int64(math.Float64bits(min(max(x, 0), 1))))
	}
}

// Employ changes how many workers a service that has a pool has here, from 1 to MostThreads, when the host hears of it. Those that are
// let go end their requests first.
func (h *Host) Employ(at dsv.Instant, svc int, threads float64) {
	h.Advance(at)
	if svc < 0 || svc >= len(h.here) || h.here[svc].workers == nil || math.IsNaN(threads) {
		return
	}
	h.set(at, setting{eventThreads, uint32(svc)}, int64(min(max(math.Round(threads), 1), MostThreads)))
}

// set puts in force what the kernel tells at an instant: then, or after the partition between them. What is set at the start is known
// before.
func (h *Host) set(at dsv.Instant, s setting, n int64) {
	h.settings.told++
	e := Event{Kind: s.kind, Ref: step.NewRef(s.svc, h.settings.told), N: n}
	if told := h.run.Told(at); at > 0 && told > at {
		h.run.Agenda.Push(told, e)
		return
	}
	h.change(at, e)
}

// change puts a setting in force, unless a later one of the same is already.
func (h *Host) change(at dsv.Instant, e Event) {
	s := setting{e.Kind, e.Ref.Slot()}
	if e.Ref.Gen() < h.settings.inForce[s] {
		return
	}
	h.settings.inForce[s] = e.Ref.Gen()
	switch e.Kind {
	case eventThreads:
		h.resize(at, int(s.svc), int(e.N))
	case eventLimit:
		h.settings.limit = int(e.N)
		h.adm.gate.SetLimit(h.settings.limit)
		h.choose(at)
	case eventShed:
		h.adm.share = math.Float64frombits(uint64(e.N))
	}
}
