package service

import (
	"math"

	"github.com/eve-emulation/eve/dmm/expr"
	"github.com/eve-emulation/eve/rdr"
)

// Balance says how a caller picks among the serving replicas of a service.
type Balance uint8

// The balancers. Ties are settled by the call's key.
const (
	Random     Balance = iota // by weight; drawn from the call's key
	Least                     // least load per weight: the outstanding calls of this caller, or what Config.View tells
	First                     // the first one: the others get what it forwards
	RoundRobin                // in turn, by weight, in the order of the caller's calls (smooth weighted round robin, as nginx 1.3 has it)
	Power                     // draws Config.Choices replicas from the call's key, and picks that of least load per weight
	Hash                      // by who asks: weighted rendezvous hashing (Thaler and Ravishankar 1998; Schindelhauer and Schomaker 2005)
	Local                     // the caller's own server; where it does not serve, as Config.Else says
	Custom                    // the least Config.Score
)

// MaxChoices is the most replicas that Power draws.
const MaxChoices = 16

// A View is a figure of servers that balancers read: a variable SERVER.Leaf, which callers know as it was synchronised last, or
// facts.
type View struct {
	Leaf  string
	Facts []float64 // by server, known from the start; nil for a variable
}

// A Score is the expression of a Custom balancer, evaluated for each candidate; the least is picked. One that is unknown is
// picked last.
type Score struct {
	Formula *expr.Formula
	Inputs  []ScoreInput // of the formula, in its order
}

// ScoreInput says what an input of a Score is: the index of a View, or one of the figures below, which are of the caller's own.
type ScoreInput int

// What a caller knows of a candidate without being told.
const (
	ScoreWeight      ScoreInput = -1 - iota // its weight
	ScoreOutstanding                        // calls of this caller under way there
	ScoreLocal                              // 1 for the caller's own server, else 0
)

// Weight is that of the replica at a server when one is placed there: at least 1.
func (c *Config) Weight(server int) int {
	if server < len(c.Weights) {
		return max(c.Weights[server], 1)
	}
	return 1
}

// Places are the servers that may hold the service, in the order in which they are taken.
func (c *Config) Places() []int {
	if c.Candidates != nil {
		return c.Candidates
	}
	return c.On
}

// balanceNode sets the draws of balancers apart from those of statements.
const balanceNode = 0xba1a

// pick returns the server that a call goes to, or -1 when no replica serves.
func (c *Caller) pick(r *route, req *Request) int {
	if len(r.serving) == 0 {
		return -1
	}
	cfg := &c.services[req.Service]
	if len(r.serving) == 1 {
		return r.serving[0].node
	}
	switch balance := cfg.Balance; balance {
	case Local:
		for _, t := range r.serving {
			if t.node == c.node {
				return t.node
			}
		}
		return c.pickBy(cfg.Else, cfg, r, req)
	default:
		return c.pickBy(balance, cfg, r, req)
	}
}

func (c *Caller) pickBy(balance Balance, cfg *Config, r *route, req *Request) int {
	key := req.Key.Mix(balanceNode)
	switch balance {
	case First:
		return r.serving[0].node
	case RoundRobin:
		return r.turn()
	case Least:
		return c.least(cfg, r, key.Uniform())
	case Power:
		return c.power(cfg, r, key)
	case Hash:
		return r.hash(req)
	case Custom:
		return c.custom(cfg.Score, r, key.Uniform())
	default:
		return r.random(key.Uniform())
	}
}

func (r *route) random(u float64) int {
	x := u * float64(r.weight)
	if !r.mapping.placed.heavy {
		return r.serving[min(int(x), len(r.serving)-1)].node
	}
	for _, t := range r.serving {
		if x -= float64(t.weight); x < 0 {
			return t.node
		}
	}
	return r.serving[len(r.serving)-1].node
}

// turn is whose turn it is. Who has waited longest for its share goes next; over any weight-sum of turns each has its weight of
// them.
func (r *route) turn() int {
	best := -1
	for _, t := range r.serving {
		r.turns[t.node] += t.weight
		if best < 0 || r.turns[t.node] > r.turns[best] {
			best = t.node
		}
	}
	r.turns[best] -= r.weight
	return best
}

// unknownLoad is that of a server of which nothing was told yet: others go before it.
var unknownLoad = math.Inf(1)

// load is that of a replica per weight.
func (c *Caller) load(cfg *Config, r *route, t *target) float64 {
	if cfg.View > 0 {
		x := c.seen[cfg.View-1][t.node]
		if math.IsNaN(x) {
			return unknownLoad
		}
		return x / float64(t.weight)
	}
	return r.busy(t.node) / float64(t.weight)
}

// least returns the replica of least load; u settles ties.
func (c *Caller) least(cfg *Config, r *route, u float64) int {
	s := c.scores[:0]
	for i := range r.serving {
		s = append(s, c.load(cfg, r, &r.serving[i]))
	}
	c.scores = s
	return r.serving[leastOf(s, u)].node
}

// custom returns the replica of least score; u settles ties.
func (c *Caller) custom(score *Score, r *route, u float64) int {
	s := c.scores[:0]
	for i := range r.serving {
		t := &r.serving[i]
		for k, in := range score.Inputs {
			c.inputs[k].Num = c.input(in, r, t)
		}
		x := score.Formula.Eval(c.inputs[:len(score.Inputs)])
		if math.IsNaN(x) {
			x = unknownLoad
		}
		s = append(s, x)
	}
	c.scores = s
	return r.serving[leastOf(s, u)].node
}

func (c *Caller) input(in ScoreInput, r *route, t *target) float64 {
	switch in {
	case ScoreWeight:
		return float64(t.weight)
	case ScoreOutstanding:
		return r.busy(t.node)
	case ScoreLocal:
		if t.node == c.node {
			return 1
		}
		return 0
	}
	return c.seen[in][t.node]
}

// leastOf returns the index of the least of xs; u settles ties.
func leastOf(xs []float64, u float64) int {
	least, ties := xs[0], 0
	for _, x := range xs {
		switch {
		case x < least:
			least, ties = x, 1
		case x == least:
			ties++
		}
	}
	nth := int(u * float64(ties))
	for i, x := range xs {
		if x != least {
			continue
		}
		if nth == 0 {
			return i
		}
		nth--
	}
	return 0
}

// power draws replicas, each set of them with the same probability, and returns that of least load; of several the one that
// was drawn first.
func (c *Caller) power(cfg *Config, r *route, key rdr.Key) int {
	n, best, load := len(r.serving), -1, 0.0
	var drawn [MaxChoices]int // in order
	for k := range min(max(cfg.Choices, 1), MaxChoices, n) {
		i := min(int(key.Mix(uint64(k)).Uniform()*float64(n-k)), n-k-1)
		at := 0
		for at < k && drawn[at] <= i { // the i-th of those that were not drawn before
			i++
			at++
		}
		copy(drawn[at+1:k+1], drawn[at:k])
		drawn[at] = i
		t := &r.serving[i]
		if x := c.load(cfg, r, t); best < 0 || x < load {
			best, load = t.node, x
		}
	}
	return best
}

// hash returns the replica of who asks: the same for as long as it serves. When replicas come or go, only those who ask
// move that must: what a new one takes it takes from each by weight.
func (r *route) hash(req *Request) int {
	who := rdr.Key(req.Client)
	if who == 0 {
		who = req.Key // nobody in particular
	}
	best, least := -1, 0.0
	for _, t := range r.serving {
		u := who.Mix(balanceNode).Mix(uint64(t.node)).Uniform()
		if x := -math.Log1p(-u) / float64(t.weight); best < 0 || x < least {
			best, least = t.node, x
		}
	}
	return best
}

// See hands in a figure of a server, as it was synchronised, for the balancers that read it. Views and servers are numbered as in
// the topology.
func (c *Caller) See(view, server int, x float64) {
	if view >= 0 && view < len(c.seen) && server >= 0 && server < len(c.seen[view]) && c.topology.Views[view].Facts == nil {
		c.seen[view][server] = x
	}
}

// newViews is what is known at the start.
func (c *Caller) newViews() {
	for _, v := range c.topology.Views {
		seen := make([]float64, len(c.topology.Servers))
		for i := range seen {
			if seen[i] = math.NaN(); i < len(v.Facts) {
				seen[i] = v.Facts[i]
			}
		}
		c.seen = append(c.seen, seen)
	}
	for i := range c.services {
		if c.services[i].Balance == Custom {
			c.inputs = append(c.inputs, make([]expr.Scalar, max(0, len(c.services[i].Score.Inputs)-len(c.inputs)))...)
		}
		if b := &c.services[i]; b.Balance == RoundRobin || b.Balance == Local && b.Else == RoundRobin {
			c.routes[i].turns = make([]int, len(c.topology.Servers))
		}
	}
}
