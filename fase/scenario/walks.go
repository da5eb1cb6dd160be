package scenario

import (
	"fmt"
	"math"
	"strings"

	"github.com/eve-emulation/eve/dmm/expr"
	"github.com/eve-emulation/eve/fase/session"
	"github.com/eve-emulation/eve/fase/user"
	"github.com/eve-emulation/eve/rdr"
)

// exitPage is the page that a session ends at.
const exitPage = "exit"

// sum1 is how far probabilities may be from adding up to 1.
const sum1 = 1e-6

// asks reads what a group asks for: one request, a mix of them, or sessions.
func (c *compiler) asks(g *user.Config, n named[rawClient]) {
	v := &n.v
	var said []string
	for _, key := range []string{"request", "mix", "sessions"} {
		if n.node.get(key) != nil {
			said = append(said, key)
		}
	}
	if c.replays(g, n, said) {
		return
	}
	switch {
	case len(said) > 1:
		c.at(n.at, fmt.Sprintf("client group %s has both %s", n.name, strings.Join(said, " and ")), "a group asks one request, a mix of requests, or sessions of pages")
		return
	case len(said) == 0:
		c.at(n.node, fmt.Sprintf("client group %s has no request", n.name), "add `request:` (the name of a request in `requests:`), `mix:` or `sessions:`")
		return
	case v.request.written():
		g.Request = c.request(v.request)
	case v.mixAt != nil:
		g.Sessions = c.mix(v)
	case v.session != nil:
		g.Sessions = c.session(n.name, v.session)
	case v.sessions.written():
		g.Sessions = c.sessionOf(v.sessions)
	}
}

// request finds a request of the clients; nil with a mistake told when there is none.
func (c *compiler) request(s spot[string]) *rdr.Block {
	b := c.files[s.v]
	if b == nil && len(c.errs) == 0 {
		c.at(s.at, fmt.Sprintf("there is no request %q", clip(s.v)), c.whatRequests(s.v))
	}
	return b
}

func (c *compiler) mix(v *rawClient) *user.Sessions {
	s := &user.Sessions{Mix: true}
	var names []string
	var weights []float64
	total := 0.0
	for _, w := range v.mix {
		names, weights, total = append(names, w.request.v), append(weights, w.weight), total+w.weight
		s.Pages = append(s.Pages, user.Page{Name: w.request.v, Request: c.request(w.request), Weight: w.weight})
	}
	if v.mixAt.kind != mappingNode {
		return nil
	}
	if !(total > 0) {
		c.at(v.mixAt, "no request of the mix has a weight above 0", "write {browse: 0.9, buy: 0.1}")
		return nil
	}
	s.Chain = session.Mix(names, weights)
	return s
}

// sessionOf finds a session of `sessions:`, each of which is compiled once.
func (c *compiler) sessionOf(name spot[string]) *user.Sessions {
	if s, ok := c.sessions[name.v]; ok {
		return s
	}
	var known []string
	for _, s := range c.raw.sessions {
		known = append(known, s.name)
	}
	fix := didYouMean(name.v, known)
	if len(known) == 0 {
		fix = "define it in `sessions:`"
	}
	c.at(name.at, fmt.Sprintf("there is no session %q", clip(name.v)), fix)
	return nil
}

// walks compiles `sessions:`.
func (c *compiler) walks() {
	c.sessions = map[string]*user.Sessions{}
	for i := range c.raw.sessions {
		n := &c.raw.sessions[i]
		n.v.at = n.at
		if !validName(n.name) {
			c.at(n.at, fmt.Sprintf("%q is not a name", clip(n.name)), fmt.Sprintf("a name is at most %d small letters, digits and _, and begins with a letter", maxName))
		}
		c.sessions[n.name] = c.session(n.name, &n.v)
	}
}

// session compiles one; nil with mistakes told when it cannot be walked.
func (c *compiler) session(name string, raw *rawSession) *user.Sessions {
	before := len(c.errs)
	w := walker{c: c, raw: raw, out: &user.Sessions{Name: name, Leave: raw.onError.v == "leave"}, index: map[string]int{}}
	w.state()
	w.pages()
	if len(c.errs) > before || len(raw.pages) == 0 {
		return nil
	}
	chain, mistakes := w.graph.Unfold()
	for _, m := range mistakes {
		at := raw.at
		switch {
		case m.Page >= 0 && m.Way >= 0:
			at = raw.pages[m.Page].v.next[m.Way].at
		case m.Page >= 0:
			at = raw.pages[m.Page].at
		}
		c.at(at, m.Msg, m.Fix)
	}
	w.out.Chain = chain
	if chain == nil {
		return nil
	}
	return w.out
}

// walker compiles one session.
type walker struct {
	c     *compiler
	raw   *rawSession
	out   *user.Sessions
	graph session.Graph
	index map[string]int // of pages
}

func (w *walker) state() {
	for _, v := range w.raw.state {
		switch {
		case !validName(v.name):
			w.c.at(v.at, fmt.Sprintf("%q is not a name", clip(v.name)), fmt.Sprintf("a name is at most %d small letters, digits and _, and begins with a letter", maxName))
		case isReserved(v.name):
			w.c.at(v.at, fmt.Sprintf("the name %q is reserved", v.name), "choose another one")
		}
		w.graph.State = append(w.graph.State, session.Var{Name: v.name, From: v.from, Least: v.least, Most: v.most, Truth: v.truth})
	}
}

// isReserved reports whether a name is a word of the expression language.
func isReserved(name string) bool {
	switch name {
	case "and", "or", "not", "in", "true", "false", "nil", "shadow", "sample":
		return true
	}
	return false
}

func (w *walker) pages() {
	c, known := w.c, []string{}
	for i, p := range w.raw.pages {
		switch {
		case p.name == exitPage:
			c.at(p.at, "a page cannot be called exit: that is where sessions end", "choose another name")
		case !validName(p.name):
			c.at(p.at, fmt.Sprintf("%q is not a name", clip(p.name)), fmt.Sprintf("a name is at most %d small letters, digits and _, and begins with a letter", maxName))
		}
		w.index[p.name] = i
		known = append(known, p.name)
	}
	if s := w.raw.start; s.written() {
		i, ok := w.index[s.v]
		if !ok {
			c.at(s.at, fmt.Sprintf("there is no page %q", clip(s.v)), didYouMean(s.v, known))
		}
		w.graph.Start = i
	}
	known = append(known, exitPage)
	for i := range w.raw.pages {
		w.page(&w.raw.pages[i], known)
	}
}

func (w *walker) page(p *named[rawPage], known []string) {
	request := p.v.request
	if !request.written() {
		request = spot[string]{p.name, p.at}
	}
	out := user.Page{Name: p.name, Request: w.c.request(request), Think: thinkOf(p.v.think)}
	if out.Think == nil && !p.v.think.written() {
		out.Think = thinkOf(w.raw.think)
	}
	w.out.Pages = append(w.out.Pages, out)
	page := session.Page{Name: p.name}
	for _, d := range p.v.do {
		if u, ok := w.update(d); ok {
			page.Do = append(page.Do, u)
		}
	}
	for i, way := range p.v.next {
		to := session.Way{When: w.condition(way.when)}
		if to.When == nil && !way.when.written() && i < len(p.v.next)-1 {
			w.c.at(p.v.next[i+1].at, "no session comes here: the alternative before has no condition", "put it last")
		}
		to.To = w.edges(p.name, way, known)
		page.Next = append(page.Next, to)
	}
	w.graph.Pages = append(w.graph.Pages, page)
}

// thinkOf is a think time as written; nil for none.
func thinkOf(s spot[think]) *user.Think {
	if !s.written() || s.v.mean == 0 {
		return nil
	}
	return &user.Think{Mean: s.v.mean, Exponential: s.v.exponential}
}

// edges checks where a page leads.
func (w *walker) edges(page string, way rawWay, known []string) []session.Edge {
	var out []session.Edge
	sum, has, bad := 0.0, false, false
	for _, e := range way.to {
		to, ok := session.Exit, true
		if e.page.v != exitPage {
			to, ok = w.index[e.page.v]
		}
		if !ok {
			w.c.at(e.page.at, fmt.Sprintf("there is no page %q", clip(e.page.v)), didYouMean(e.page.v, known))
			bad = true
		}
		has = has || e.page.v == exitPage
		sum += e.p
		out = append(out, session.Edge{To: to, P: e.p})
	}
	if bad || len(way.to) == 0 || math.Abs(sum-1) <= sum1 {
		return out
	}
	short := fmt.Sprintf("%.6g", 1-sum)
	fix := "add " + exitPage + ": " + short + ", or raise one by as much"
	switch {
	case sum > 1:
		fix = fmt.Sprintf("lower one by %.6g", sum-1)
	case has:
		fix = "raise one by " + short
	}
	w.c.at(way.at, fmt.Sprintf("the probabilities behind page %s add up to %.6g, not 1", page, sum), fix)
	return out
}

// condition compiles one over the state; nil without one, or with a mistake told.
func (w *walker) condition(s spot[string]) *expr.Formula {
	if !s.written() {
		return nil
	}
	f, err := expr.CompileFormula(s.v, w.graph.Inputs())
	if err != nil {
		w.c.expression(s.at, err)
		return nil
	}
	if !f.IsCondition() {
		w.c.at(s.at, "this is a number, not a condition", "compare it, as in cart > 0")
		return nil
	}
	return f
}

// update compiles `NAME = VALUE`, `NAME += VALUE` or `NAME -= VALUE`.
func (w *walker) update(s spot[string]) (session.Update, bool) {
	name, op, rest := splitUpdate(s.v)
	if op == "" {
		w.c.at(s.at, fmt.Sprintf("%q is not an update", clip(s.v)), "write cart += 1, or login = true")
		return session.Update{}, false
	}
	u := session.Update{Var: -1}
	var known []string
	for i, v := range w.graph.State {
		known = append(known, v.Name)
		if v.Name == name {
			u.Var = i
		}
	}
	if u.Var < 0 {
		fix := didYouMean(name, known)
		if len(known) == 0 {
			fix = "declare it in `state:`"
		}
		w.c.at(s.at, fmt.Sprintf("the state has no %q", clip(name)), fix)
		return u, false
	}
	f, err := expr.CompileFormula(rest, w.graph.Inputs())
	if err != nil {
		w.c.shifted(s.at, err, len([]rune(s.v))-len([]rune(rest)))
		return u, false
	}
	truth := w.graph.State[u.Var].Truth
	switch {
	case truth && (op != "=" || !f.IsCondition()):
		w.c.at(s.at, fmt.Sprintf("%s is true or false", name), fmt.Sprintf("write %s = true", name))
		return u, false
	case !truth && f.IsCondition():
		w.c.at(s.at, fmt.Sprintf("%s is a number", name), fmt.Sprintf("write %s = 1", name))
		return u, false
	case op != "=":
		f, err = expr.CompileFormula(fmt.Sprintf("%s %s (%s)", name, op[:1], rest), w.graph.Inputs())
		if err != nil {
			w.c.at(s.at, fmt.Sprintf("%q is not an update", clip(s.v)), "write "+name+" "+op+" 1")
			return u, false
		}
	}
	u.Value = f
	return u, true
}

// splitUpdate divides an update; op is empty where there is none.
func splitUpdate(s string) (name, op, rest string) {
	name, rest, ok := strings.Cut(s, "=")
	if !ok {
		return "", "", ""
	}
	op = "="
	if n := strings.TrimRight(name, "+-"); len(n) == len(name)-1 {
		op, name = name[len(n):]+"=", n
	}
	return strings.TrimSpace(name), op, strings.TrimLeft(rest, " ")
}

// shifted tells the mistakes of an expression that begins within a text.
func (f *faults) shifted(n *node, err error, by int) {
	several, ok := err.(expr.Errors)
	if !ok {
		f.at(n, err.Error(), "")
		return
	}
	for _, e := range several {
		f.within(n, 1, e.Col+by, e.Msg, e.Fix)
	}
}

// A round is what one arrival, or one round of a user, comes to in the mean: its request, or all the pages of its session.
type round struct {
	demand   rdr.Mean
	requests float64
	pauses   float64 // seconds between the pages
}

// roundOf adds a group's rounds up. What has no mean is left out, and the error is that of the first such request.
func roundOf(g *user.Config) (round, error) {
	v, err := g.Visits()
	if err != nil {
		return round{}, err
	}
	r := round{requests: v.Length}
	if g.Trace != nil && len(g.Trace.Asks) > 0 && g.Trace.Asks[0].Request != nil {
		r.demand, err = g.Trace.Mean()
		return r, err
	}
	if g.Sessions == nil {
		r.demand, err = g.Request.Mean()
		return r, err
	}
	for i, p := range g.Sessions.Pages {
		m, e := p.Request.Mean()
		if e != nil && err == nil {
			err = e
		}
		r.demand.Add(m, v.Mean[i])
		if p.Think != nil {
			r.pauses += (v.Mean[i] - v.Last[i]) * p.Think.Mean.Seconds() // none comes before the exit
		}
	}
	return r, err
}

// rate is the most that a population can ask for, in rounds per second: each user thinks, and is answered after its mean
// demand without any queue.
func (r *round) rate(g *user.Config) float64 {
	const least = 100e-6 // seconds that the shortest request takes
	d := 0.0
	for _, u := range r.demand.Use {
		d += u.CPU + u.Wait
	}
	if g.Think != nil {
		d += g.Think.Mean.Seconds()
	}
	return float64(g.Users) / math.Max(d+r.pauses, least*r.requests)
}

// visited declares what is measured of the sessions of a group.
func (s *standard) visited(c *user.Config, own []string) {
	if c.Sessions == nil {
		return
	}
	g, what := c.Name, "visits of page "
	if c.Sessions.Mix {
		what = "requests of kind "
	} else {
		s.add(own, "count", g+".sessions_begun", "1", "sessions that began")
		s.add(own, "count", g+".sessions", "1", "sessions that ended")
		s.add(own, "histogram", g+".session_time", "s", "time of a session, from its first request's due instant to its last answer")
	}
	for _, p := range c.Sessions.Pages {
		s.add(own, "count", g+".visits."+p.Name, "1", what+p.Name+" that were sent")
		s.add(own, "histogram", g+".page."+p.Name+".latency", "s", "response time of "+p.Name+", from due to the last byte; time-outs at their bound")
		s.add(own, "count", g+".page."+p.Name+".errors", "1", "requests of "+p.Name+" that failed")
		if !c.Sessions.Mix {
			s.add(own, "sum", g+".page."+p.Name+".cut", "1", "visits of "+p.Name+" that sessions cut short, by the end of the run or an error, would still have made in the mean")
		}
	}
}
