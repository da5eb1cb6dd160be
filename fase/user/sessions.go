package user

import (
	"hash"
	"math"

	"github.com/eve-emulation/eve/dsv"
	"github.com/eve-emulation/eve/fase/session"
	"github.com/eve-emulation/eve/rdr"
)

// Sessions is what a group does in place of one request over and over: each arrival of an open group, each round of a closed
// one, is a walk over pages. The walk of a session is a function of its key: which pages, in which order, with which pauses.
type Sessions struct {
	Name  string // "" of a mix
	Pages []Page // by page of Chain
	Chain *session.Chain
	// Mix says that each session is one page, drawn by weight: requests of several kinds rather than visits.
	Mix bool
	// Leave says that a page which fails, or outlasts the user's patience, ends its session. Otherwise the session goes on as
	// if it had been answered.
	Leave bool
}

// A Page is one kind of step of a session.
type Page struct {
	Name    string
	Request *rdr.Block
	Think   *Think  // the pause between its answer and the next page of the session; nil is none
	Weight  float64 // of a mix: how often it is drawn, beside the others
}

// Nodes of a session's key, and of a page's, beside those of arrivals.go.
const (
	firstNode = 0x6673 // of the session: where it begins
	pageNode  = 0x7067 // of the session: its further pages
	nextNode  = 0x6e78 // of the page: what follows
	pauseNode = 0x7061 // of the page: the pause behind it
)

// PageKey is the root of the draws of the n-th page of a session, from 0. That of the first is the session's own.
func PageKey(session rdr.Key, n int) rdr.Key {
	if n == 0 {
		return session
	}
	return session.Mix(pageNode).Mix(uint64(n))
}

// pause is how long a user pauses after a page, of this key.
func (p *Page) pause(k rdr.Key) dsv.Instant { return p.Think.draw(k.Mix(pauseNode)) }

// draw is one think time: nil is none.
func (t *Think) draw(k rdr.Key) dsv.Instant {
	if t == nil {
		return 0
	}
	x := float64(t.Mean)
	if t.Exponential {
		x *= k.Exp()
	}
	return dsv.Instant(math.Round(x))
}

// Requests are what the group may ask: its request, or those of its pages.
func (c *Config) Requests() []*rdr.Block {
	if all := c.Trace.requests(); all != nil {
		return all
	}
	if c.Sessions == nil {
		return []*rdr.Block{c.Request}
	}
	var all []*rdr.Block
	for i := range c.Sessions.Pages {
		all = append(all, c.Sessions.Pages[i].Request)
	}
	return all
}

// Visits is what is to be expected of a session of the group; without sessions, one visit of the one request.
func (c *Config) Visits() (*session.Visits, error) {
	if c.Sessions == nil {
		return &session.Visits{Mean: []float64{1}, Variance: []float64{0}, Once: []bool{true}, Last: []float64{1}, Length: 1, Left: [][]float64{{0}}}, nil
	}
	return c.Sessions.Chain.Visits()
}

// Begun is the variable that counts arrivals, or rounds of users: sessions that began, or requests.
func (c *Config) Begun() dsv.Name {
	if c.Sessions == nil || c.Sessions.Mix {
		return dsv.Name(c.Name + ".issued")
	}
	return dsv.Name(c.Name + ".sessions_begun")
}

// Arrived picks, of the records of a run, those of arrivals: of sessions, the first page's. begun is how many there were; the
// order stays.
func (c *Config) Arrived(records []Record, begun int64) []Record {
	if c.Sessions == nil || c.Sessions.Mix || !c.Open() {
		return records
	}
	first := make(map[rdr.Key]bool, begun)
	for n := range uint64(begun) + 10*c.parts() { // of some parts more may have begun than of others
		first[c.Key(n, 0)] = true
	}
	var out []Record
	for _, r := range records {
		if first[r.Key] {
			out = append(out, r)
		}
	}
	return out
}

// Walk calls visit for the pages of the session of a key, in order, with the key of each page and the pause behind it (0
// behind the last), until visit returns false.
func (s *Sessions) Walk(key rdr.Key, visit func(n, page int, k rdr.Key, pause dsv.Instant) bool) {
	step := s.Chain.First(key.Mix(firstNode).Uniform())
	for n := 0; step != session.Exit; n++ {
		k, page := PageKey(key, n), s.Chain.Steps[step].Page
		step = s.Chain.After(step, k.Mix(nextNode).Uniform())
		pause := dsv.Instant(0)
		if step != session.Exit {
			pause = s.Pages[page].pause(k)
		}
		if !visit(n, page, k, pause) {
			return
		}
	}
}

// hashPages is how many pages of a session a plan's hash covers.
const hashPages = 100

// hashWalk adds the session of a key to a plan's hash; nothing without sessions.
func (c *Config) hashWalk(h hash.Hash, key rdr.Key) {
	if c.Sessions == nil {
		return
	}
	c.Sessions.Walk(key, func(n, page int, k rdr.Key, pause dsv.Instant) bool {
		hashDraw(h, uint64(page)<<48^uint64(pause), k)
		return n+1 < hashPages
	})
}
