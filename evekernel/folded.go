package evekernel

import "github.com/eve-emulation/eve/evekernel/wire"

// maxFolded bounds how many requests are remembered: more than wait for their answers at one time.
const maxFolded = 4096

// A foldedSet is the latest requests of one session that wrote to manipulated variables, and over which of its
// connections. Its zero value is empty.
type foldedSet struct {
	over map[wire.Uint]int
	ring []wire.Uint // the oldest at next, once it is full
	next int
}

// add notes a request, and says whether it came over another connection before.
func (f *foldedSet) add(id wire.Uint, over int) bool {
	before, known := f.over[id]
	if f.over == nil {
		f.over = map[wire.Uint]int{}
	}
	f.over[id] = over
	switch {
	case known:
		return before != over
	case len(f.ring) < maxFolded:
		f.ring = append(f.ring, id)
		return false
	}
	delete(f.over, f.ring[f.next])
	f.ring[f.next] = id
	f.next = (f.next + 1) % maxFolded
	return false
}

// repeated says whether a write to a manipulated variable came before, on a connection that was lost: it was folded, so
// it must not be again. On one connection no request is a repeat, whatever its number.
func (p *peer) repeated(id wire.Uint) bool {
	p.s.mu.Lock()
	defer p.s.mu.Unlock()
	return p.s.folded.add(id, p.over)
}

// begins counts the session's connections.
func (s *session) begins() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.conns++
	return s.conns
}
