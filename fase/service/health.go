package service

import (
	"slices"
	"time"

	"github.com/eve-emulation/eve/dmm"
	"github.com/eve-emulation/eve/dsv"
)

// HealthConfig is how callers stop to call replicas that fail: outlier detection as Envoy has it, by consecutive failures
// (https://www.envoyproxy.io/docs/envoy/latest/intro/arch_overview/upstream/outlier), whose names stand beside the fields. Each
// participant that calls the service judges by its own calls, as each Envoy does. The zero value ejects nobody.
type HealthConfig struct {
	Failures int           // consecutive_5xx: calls in a row that failed, by a 5xx or without an answer, eject a replica
	Every    time.Duration // interval: how often ejected replicas are looked at, since T0
	Ejection time.Duration // base_ejection_time: times how often it has been ejected, less the intervals since in which it was not
	Longest  time.Duration // max_ejection_time
	Most     float64       // max_ejection_percent: share of the replicas; one may always be ejected
}

// The defaults are Envoy's.
const (
	healthFailures = 5
	healthEvery    = 10 * time.Second
	healthEjection = 30 * time.Second
	healthLongest  = 300 * time.Second
)

// HealthDefaults is what Envoy does unless told otherwise.
func HealthDefaults() HealthConfig {
	return HealthConfig{healthFailures, healthEvery, healthEjection, healthLongest, 0.1}
}

// EjectionsName is the variable that counts how often callers ejected a replica of a service.
func EjectionsName(service string) dsv.Name { return dsv.Name(service + ".ejections") }

// health is what a caller thinks of the replicas of one service.
type health struct {
	cfg       HealthConfig
	nodes     []nodeHealth // by server
	sweeping  bool         // a sweep is on the agenda
	ejections *dmm.Var
}

type nodeHealth struct {
	failures int // in a row
	times    int // ejected so far, less the intervals since in which it was not
	out      bool
	until    dsv.Instant
}

func newHealth(s *Config, servers int, vars Vars) *health {
	if s.Health.Failures <= 0 {
		return nil
	}
	return &health{cfg: s.Health, nodes: make([]nodeHealth, servers), ejections: vars(EjectionsName(s.Name))}
}

// judge takes note of how a call ended.
func (c *Caller) judge(at dsv.Instant, svc int, node int32, failed bool) {
	h := c.routes[svc].health
	if h == nil {
		return
	}
	n := &h.nodes[node]
	if !failed {
		n.failures = 0
		return
	}
	if n.failures++; n.failures >= h.cfg.Failures && !n.out {
		c.eject(at, svc, int(node))
	}
}

// eject stops the calls of a replica for some time, if not too many are ejected already.
func (c *Caller) eject(at dsv.Instant, svc, node int) {
	r := &c.routes[svc]
	h := r.health
	out := 0
	for _, t := range r.all {
		if h.nodes[t.node].out {
			out++
		}
	}
	if out > 0 && float64(out+1) > h.cfg.Most*float64(len(r.all)) {
		return
	}
	n := &h.nodes[node]
	n.times++
	n.out, n.failures = true, 0
	n.until = at.Add(min(time.Duration(n.times)*h.cfg.Ejection, h.cfg.Longest))
	h.ejections.Write(at, 1)
	r.sift()
	c.sweepLater(at, svc)
}

// sweepLater puts the next sweep on the agenda, at a multiple of the interval.
func (c *Caller) sweepLater(at dsv.Instant, svc int) {
	h := c.routes[svc].health
	if !h.sweeping {
		h.sweeping = true
		every := dsv.At(h.cfg.Every)
		c.later((at/every+1)*every, Event{Kind: eventSweep, N: int64(svc)})
	}
}

// sweep lets those be called again whose time is over, as long as there is anything to look at.
func (c *Caller) sweep(at dsv.Instant, svc int) {
	r := &c.routes[svc]
	h := r.health
	h.sweeping = false
	rest := false
	for i := range h.nodes {
		n := &h.nodes[i]
		switch {
		case n.out && n.until <= at:
			n.out, n.failures = false, 0
		case !n.out && n.times > 0:
			n.times--
		}
		rest = rest || n.out || n.times > 0
	}
	r.sift()
	if rest {
		c.sweepLater(at, svc)
	}
}

// sift leaves out who is ejected. Where all are, all are called: that is better than nobody.
func (r *route) sift() {
	h := r.health
	if h == nil {
		return
	}
	r.serving, r.weight = r.serving[:0], 0
	for _, all := range []bool{false, true} {
		for _, t := range r.all {
			if all || !h.nodes[t.node].out {
				r.serving = append(r.serving, t)
				r.weight += t.weight
			}
		}
		if len(r.serving) > 0 {
			return
		}
	}
}

// mapped forgets what was thought of replicas that have left: one that comes back is a new one, as Envoy's hosts are.
func (h *health) mapped(t *Topology, m *Mapping) {
	for i := range h.nodes {
		if h.nodes[i] != (nodeHealth{}) && !slices.ContainsFunc(m.Replicas, func(r Replica) bool { return r.Server == t.Servers[i] }) {
			h.nodes[i] = nodeHealth{}
		}
	}
}

// Ejected reports whether this caller has ejected the replica of a service at a server.
func (c *Caller) Ejected(svc, server int) bool {
	h := c.routes[svc].health
	return h != nil && h.nodes[server].out
}

// faulty reports whether a failure speaks against the server that was called: one of the caller's own does not.
func (c Cause) faulty(status int) bool {
	switch c {
	case OK, Status:
		return status >= 500
	case NoRoute, Exhausted, Other, Unavailable:
		return false
	}
	return true
}

// forgetHealth is what a caller does that has crashed.
func (c *Caller) forgetHealth() {
	for i := range c.routes {
		r := &c.routes[i]
		if r.health == nil {
			continue
		}
		clear(r.health.nodes)
		r.sift()
	}
}
