package service

import (
	"encoding/json"
	"fmt"

	"github.com/eve-emulation/eve/dmm"
	"github.com/eve-emulation/eve/dsv"
)

// LedgerName is the variable that holds the ledgers of a participant: records, each the JSON of a [Ledger], written when its part of the
// run has ended.
func LedgerName(participant string) dsv.Name { return dsv.Name(participant + ".ledger") }

// A Ledger is a page of what a participant counted over the whole run. One of its parts is set.
type Ledger struct {
	Edge   *Edge   `json:"edge,omitempty"`
	Served *Served `json:"served,omitempty"`
	Group  *Issued `json:"group,omitempty"`
	Spared *Spared `json:"spared,omitempty"`
}

// An Edge is what one participant counted of its calls of one service. Each figure is counted by itself, where it happens; InFlight and
// Outstanding are found at the end. So they can disagree.
type Edge struct {
	From    string `json:"from"`
	To      string `json:"to"`
	Servers bool   `json:"servers,omitempty"` // the caller is a server

	Calls    int64 `json:"calls"` // begun, those that were forwarded included
	OK       int64 `json:"ok"`
	Errors   int64 `json:"errors"`
	InFlight int64 `json:"in_flight"` // begun and not ended

	Sent        int64 `json:"sent"`        // messages: a call may be sent again, or never
	Answered    int64 `json:"answered"`    // by a response, whatever its status
	Failed      int64 `json:"failed"`      // by an error of the connection
	GivenUp     int64 `json:"given_up"`    // nobody waited for the answer any more
	Outstanding int64 `json:"outstanding"` // unanswered at the end
	Again       int64 `json:"again"`       // answered that the server does not hold the service, and sent again
}

// A Served is what one server counted of the requests for one service.
type Served struct {
	Server  string `json:"server"`
	Service string `json:"service"`

	Received int64 `json:"received"`
	Replied  int64 `json:"replied"`   // answered, whatever the status
	Lost     int64 `json:"lost"`      // gone without an answer: the server crashed
	InFlight int64 `json:"in_flight"` // unanswered at the end
}

// An Issued is what a client group found at the end of its run.
type Issued struct {
	Name     string  `json:"name"`
	InFlight int64   `json:"in_flight"`   // requests under way
	Age      float64 `json:"age_seconds"` // how long they have been, in all
}

// A Spared is what was asked of a server and withdrawn before it was done: of time-outs, and of callers who had gone. What such a
// demand had got by then counts as served.
type Spared struct {
	Server string  `json:"server"`
	CPU    float64 `json:"cpu_seconds"` // of demand
}

// Append writes a page.
func (l Ledger) Append(at dsv.Instant, v *dmm.Var) {
	b, err := json.Marshal(l)
	if err != nil {
		panic(fmt.Sprintf("a ledger has no JSON: %v", err)) // it has numbers and strings alone
	}
	v.Append(at, b)
}

// ParseLedger reads a page.
func ParseLedger(b []byte) (Ledger, error) {
	var l Ledger
	if err := json.Unmarshal(b, &l); err != nil {
		return l, fmt.Errorf("read a ledger: %w", err)
	}
	return l, nil
}

// Edges hands over what this caller counted of each service that it called, called name.
func (c *Caller) Edges(name string, show func(Edge)) {
	alive, waiting := make([]int64, len(c.edges)), make([]int64, len(c.edges))
	for _, k := range c.calls {
		switch {
		case !k.live:
		case k.sent:
			alive[k.req.Service]++
			waiting[k.req.Service]++
		default:
			alive[k.req.Service]++
		}
	}
	for i := range c.edges {
		e := c.edges[i]
		if e == (Edge{}) && alive[i] == 0 {
			continue
		}
		e.From, e.To, e.Servers = name, c.topology.Services[i], c.node >= 0
		e.InFlight, e.Outstanding = alive[i], waiting[i]
		show(e)
	}
}

// served is what a host counts of the requests for a service.
type served struct{ received, replied, lost int64 }

// book returns the counts of a service; of requests that name none, the last.
func (h *Host) book(svc int) *served {
	if svc < 0 {
		svc = len(h.books) - 1
	}
	return &h.books[svc]
}

// WriteLedger writes what this host has counted, and measured since it last did: once, when its part of the run has ended.
func (h *Host) WriteLedger(at dsv.Instant) {
	h.accrue(at)
	h.run.Calls.Edges(h.name, func(e Edge) { Ledger{Edge: &e}.Append(at, h.ledger) })
	if h.spared > 0 {
		Ledger{Spared: &Spared{Server: h.name, CPU: float64(h.spared) / 1e9}}.Append(at, h.ledger)
	}
	inside := make([]int64, len(h.books))
	for x := range h.visits {
		if v := &h.visits[x]; h.run.tasks[x].live && (v.status == 0 || v.replying) {
			i := v.req.Service
			if i < 0 {
				i = len(inside) - 1
			}
			inside[i]++
		}
	}
	for i, s := range h.cfg.Topology.Services {
		b := h.books[i]
		if h.quick != nil {
			n := h.quick.here[i].answered.Load()
			b.received, b.replied = b.received+n, b.replied+n
		}
		if b == (served{}) && inside[i] == 0 {
			continue
		}
		p := Served{Server: h.name, Service: s, Received: b.received, Replied: b.replied, Lost: b.lost, InFlight: inside[i]}
		Ledger{Served: &p}.Append(at, h.ledger)
	}
}
