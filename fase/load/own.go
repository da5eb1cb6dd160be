package load

import "slices"

// idlers is the list that a connection is in while it is idle.
func (l *Loop) idlers(c *conn) *list[conn, *conn] {
	if !l.cfg.Own {
		return &c.pool.idle
	}
	return l.ownersTo(c.owner)
}

// ownersTo returns the idle connections of an owner; valid until the next call.
func (l *Loop) ownersTo(owner uint32) *list[conn, *conn] {
	if n := int(owner) + 1; n > len(l.owners) {
		l.owners = slices.Grow(l.owners, n-len(l.owners))[:n]
	}
	return &l.owners[owner]
}

// assignOwn gives a call the idle connection of its owner to where it goes, or a new one. An owner has few.
func (l *Loop) assignOwn(k *call) {
	q := l.ownersTo(k.owner)
	for c := q.first; c != nil; c = c.next {
		if c.pool == k.pool {
			q.remove(c)
			l.begin(c, k)
			return
		}
	}
	l.connect(k)
}

// leave closes what an owner has kept.
func (l *Loop) leave(owner uint32) {
	if int(owner) >= len(l.owners) {
		return
	}
	for c := l.owners[owner].first; c != nil; c = l.owners[owner].first {
		l.closeConn(c)
	}
}
