package service

import "github.com/eve-emulation/eve/rdr"

// balanceNode sets the draws of balancers apart from those of statements.
const balanceNode = 0xba1a

// pick returns the server that a call of a key goes to, or -1 when no replica serves.
func (c *Caller) pick(r *route, key rdr.Key, svc int) int {
	switch {
	case len(r.serving) == 0:
		return -1
	case len(r.serving) == 1 || c.services[svc].Balance == First:
		return r.serving[0].node
	}
	u := key.Mix(balanceNode).Uniform()
	if c.services[svc].Balance == Least {
		return r.least(u)
	}
	x := u * float64(r.weight)
	for _, t := range r.serving {
		if x -= float64(t.weight); x < 0 {
			return t.node
		}
	}
	return r.serving[len(r.serving)-1].node
}

// least returns the replica with the fewest outstanding calls per weight; u settles ties.
func (r *route) least(u float64) int {
	least, ties := r.load(0), 0
	for i := range r.serving {
		switch l := r.load(i); {
		case l < least:
			least, ties = l, 1
		case l == least:
			ties++
		}
	}
	nth := int(u * float64(ties))
	for i, t := range r.serving {
		if r.load(i) != least {
			continue
		}
		if nth == 0 {
			return t.node
		}
		nth--
	}
	return r.serving[0].node
}

// load is the outstanding calls per weight of a replica.
func (r *route) load(i int) float64 {
	t := &r.serving[i]
	return float64(r.outstanding[t.node]) / float64(t.weight)
}
