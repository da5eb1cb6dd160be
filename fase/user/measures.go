package user

import (
	"encoding/binary"

	"github.com/eve-emulation/eve/dmm"
	"github.com/eve-emulation/eve/dsv"
	"github.com/eve-emulation/eve/fase/service"
	"github.com/eve-emulation/eve/rdr"
)

// meters are the variables that a group writes.
type meters struct {
	latency, requests, errors, lag, issued, late, inFlight, target, records *dmm.Var
	retries, refused, abandoned, unfinished                                 *dmm.Var
	connect, firstByte, ledger                                              *dmm.Var
	causes                                                                  []*dmm.Var
}

func newMeters(group string, vars service.Vars) meters {
	v := func(s string) *dmm.Var { return vars(dsv.Name(group + "." + s)) }
	m := meters{
		latency: v("latency"), requests: v("requests"), errors: v("errors"), lag: v("send_lag"), issued: v("issued"),
		late: v("late"), inFlight: v("in_flight"), target: v("target"), records: v("records"),
		retries: v("retries"), refused: v("retries_refused"), abandoned: v("abandoned"), unfinished: v("unfinished"),
		connect: v("connect"), firstByte: v("first_byte"),
		ledger: vars(service.LedgerName(group)), causes: make([]*dmm.Var, len(service.Causes())+1),
	}
	for _, c := range service.Causes() {
		m.causes[c] = v("errors_" + c.String())
	}
	return m
}

func (g *Group) accrue(at dsv.Instant) {
	d := at.Sub(g.accrued).Seconds()
	if d <= 0 {
		return
	}
	g.accrued = at
	// The parts are merged by adding both up: each is a part of the time.
	parts := float64(g.cfg.parts())
	g.meters.inFlight.WriteWeighted(at, g.run.Load(at), d/parts)
	if !g.cfg.open() {
		return
	}
	sum := g.planned(min(at, g.cfg.End))
	if sum > g.target {
		g.meters.target.Write(at, (sum-g.target)/parts)
		g.target = sum
	}
}

// planned is how many arrivals the plan has up to an instant: the integral of the rate, or what a trace has.
func (g *Group) planned(at dsv.Instant) float64 {
	if t := g.cfg.Trace; t != nil {
		return float64(t.until(at))
	}
	return g.offered.to(at)
}

func (g *Group) keep(at dsv.Instant, s *request) {
	if !service.Recorded(s.key, g.cfg.RecordShare) {
		return
	}
	r := Record{Key: s.key, Due: s.due, Sent: s.sent, Done: at, Cause: s.cause}
	g.meters.records.Append(at, r.append(g.record[:0]))
}

func (r Record) append(b []byte) []byte {
	b = binary.LittleEndian.AppendUint64(b, uint64(r.Key))
	b = binary.LittleEndian.AppendUint64(b, uint64(r.Due))
	b = binary.LittleEndian.AppendUint64(b, uint64(r.Sent))
	b = binary.LittleEndian.AppendUint64(b, uint64(r.Done))
	return binary.LittleEndian.AppendUint64(b, uint64(r.Cause))
}

// DecodeRecord reads what a group wrote; b holds at least RecordSize bytes.
func DecodeRecord(b []byte) Record {
	u := binary.LittleEndian.Uint64
	return Record{
		Key: rdr.Key(u(b)), Due: dsv.Instant(u(b[8:])), Sent: dsv.Instant(u(b[16:])), Done: dsv.Instant(u(b[24:])),
		Cause: service.Cause(u(b[32:])),
	}
}

// writeLedger writes what this group has counted: once, when its part of the run has ended.
func (g *Group) writeLedger(at dsv.Instant) {
	g.run.Calls.Edges(g.cfg.Name, func(e service.Edge) { service.Ledger{Edge: &e}.Append(at, g.meters.ledger) })
	found := service.Issued{Name: g.cfg.Name}
	for x := range g.requests {
		if g.run.Live(uint32(x)) && !g.requests[x].measured {
			found.InFlight++
			found.Age += at.Sub(g.requests[x].due).Seconds()
		}
	}
	service.Ledger{Group: &found}.Append(at, g.meters.ledger)
}
