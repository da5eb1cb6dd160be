package user

import (
	"github.com/eve-emulation/eve/dmm"
	"github.com/eve-emulation/eve/dsv"
	"github.com/eve-emulation/eve/fase/service"
	"github.com/eve-emulation/eve/fase/session"
	"github.com/eve-emulation/eve/fase/step"
	"github.com/eve-emulation/eve/rdr"
)

// A walk is one session under way.
type walk struct {
	key     rdr.Key
	user, n uint64
	began   dsv.Instant
	step    int32 // of the chain: where it is, or where it goes next
	nth     int32 // page of the session, from 0
	live    int32 // slots of executions that its requests hold
	state   walkState
}

type walkState uint8

const (
	free    walkState = iota
	visits            // a page is under way
	pauses            // the next page is chosen and not yet due
	departs           // it is over; something that a page has forked is still under way
)

// walks are the sessions of a group, and what it measures of them.
type walks struct {
	all   []walk
	free  []uint32
	first []session.Edge // where sessions begin: as the chain says, until it is set
	left  [][]float64    // as in session.Visits; nil of a mix
	pages []pageMeters

	begun, ended, time *dmm.Var
}

// pageMeters are the variables of one page.
type pageMeters struct {
	visits, latency, errors, cut *dmm.Var
}

// newWalks returns what the sessions of a group need; nothing without them.
func newWalks(c *Config, vars service.Vars) walks {
	s := c.Sessions
	if s == nil {
		return walks{}
	}
	v := func(name string) *dmm.Var { return vars(dsv.Name(c.Name + "." + name)) }
	ws := walks{first: s.Chain.Start, pages: make([]pageMeters, len(s.Pages))}
	for i, p := range s.Pages {
		m := pageMeters{visits: v("visits." + p.Name), latency: v("page." + p.Name + ".latency"), errors: v("page." + p.Name + ".errors")}
		if !s.Mix {
			m.cut = v("page." + p.Name + ".cut")
		}
		ws.pages[i] = m
	}
	if s.Mix {
		return ws
	}
	if e, err := s.Chain.Visits(); err == nil { // a chain without an exit has been refused by whoever loaded it
		ws.left = e.Left
	}
	ws.begun, ws.ended, ws.time = v("sessions_begun"), v("sessions"), v("session_time")
	return ws
}

// enter begins a session.
func (g *Group) enter(at dsv.Instant, key rdr.Key, user, n uint64) {
	ws := &g.walks
	var w uint32
	if k := len(ws.free); k > 0 {
		w = ws.free[k-1]
		ws.free = ws.free[:k-1]
	} else {
		w = uint32(len(ws.all))
		ws.all = append(ws.all, walk{})
	}
	first := session.First(ws.first, key.Mix(firstNode).Uniform())
	ws.all[w] = walk{key: key, user: user, n: n, began: at, step: int32(first)}
	if !g.cfg.Sessions.Mix {
		ws.begun.Write(at, 1)
	}
	g.visit(at, w)
}

// visit asks for the page that a session has come to.
func (g *Group) visit(at dsv.Instant, w uint32) {
	k := &g.walks.all[w]
	k.state = visits
	g.walks.pages[g.page(k)].visits.Write(at, 1)
	g.ask(request{key: PageKey(k.key, int(k.nth)), user: k.user, n: k.n, due: at, sent: unsent, walk: w})
}

// page is the page that a session is at, or goes to.
func (g *Group) page(k *walk) int { return g.cfg.Sessions.Chain.Steps[k.step].Page }

// block is what a request of the group asks.
func (g *Group) block(s *request) *rdr.Block {
	if g.cfg.Sessions == nil {
		return g.asked(s.user)
	}
	return g.cfg.Sessions.Pages[g.page(&g.walks.all[s.walk])].Request
}

// onward measures a page that has come to its end and lets its session go on, or end. Where the next page is is drawn now:
// a session that the end of the run meets in the pause before it has chosen. The next page is an event even when it is due
// at once, so that sessions of pages that take no time do not pile up calls.
func (g *Group) onward(at dsv.Instant, s *request) {
	w := s.walk
	k, cfg := &g.walks.all[w], g.cfg.Sessions
	page, m := g.page(k), &g.walks.pages[g.page(k)]
	m.latency.Write(at, at.Sub(s.due).Seconds())
	failed := s.cause != service.OK
	if failed {
		m.errors.Write(at, 1)
	}
	next := session.Exit
	if failed && cfg.Leave {
		g.cut(at, int(k.step))
	} else {
		next = cfg.Chain.After(int(k.step), s.key.Mix(nextNode).Uniform())
	}
	if next == session.Exit {
		g.exit(at, w)
		return
	}
	k.step, k.nth, k.state = int32(next), k.nth+1, pauses
	if due := at + cfg.Pages[page].pause(s.key); due < g.cfg.End {
		g.run.Agenda.Push(due, service.Event{Kind: eventPage, Ref: step.Ref(w)})
	}
}

// exit ends a session.
func (g *Group) exit(at dsv.Instant, w uint32) {
	k := &g.walks.all[w]
	k.state = departs
	if !g.cfg.Sessions.Mix {
		g.walks.ended.Write(at, 1)
		g.walks.time.Write(at, at.Sub(k.began).Seconds())
	}
	g.rest(at, k.began, k.user, k.n)
}

// leave frees the place of a session that is over and that nothing is under way of.
func (g *Group) leave(at dsv.Instant, w uint32) {
	k := &g.walks.all[w]
	if k.live--; k.live > 0 || k.state != departs {
		return
	}
	k.state = free
	g.walks.free = append(g.walks.free, w)
	if g.cfg.Open() && g.cfg.Connections.Own {
		g.effect(step.Effect{At: at, Kind: step.Leave, Node: -1, N: int64(w)})
	}
}

// cut counts the visits that a session at a step would still have made, in the mean, where it is cut short.
func (g *Group) cut(at dsv.Instant, i int) {
	if g.walks.left == nil {
		return
	}
	for page, x := range g.walks.left[i] {
		if x > 0 {
			g.walks.pages[page].cut.Write(at, x)
		}
	}
}

// cutAll counts the visits that sessions under way would still have made, at the end of the run.
func (g *Group) cutAll(at dsv.Instant) {
	for i := range g.walks.all {
		switch k := &g.walks.all[i]; k.state {
		case visits:
			g.cut(at, int(k.step))
		case pauses:
			g.cut(at, int(k.step))
			if g.walks.left != nil {
				g.walks.pages[g.page(k)].cut.Write(at, 1)
			}
		}
	}
}
