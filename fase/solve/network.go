package solve

import (
	"github.com/eve-emulation/eve/fase/admit"
	"github.com/eve-emulation/eve/rdr"
)

// network is a scenario at one instant as numbers: populations that ask, what is done for each request in which order, and the stations at
// which that is done. It is made by a builder and immutable then.
type network struct {
	stations []station
	classes  []class
	groups   []population
	entries  []*entry // callees before callers
	services []string
	acts     int
	layers   []layer // callees before callers
}

// order is who is served next.
type order uint8

const (
	fcfs     order = iota
	sharing        // processor sharing
	shortest       // the least demand
	urgent         // the greatest priority
)

// A station serves or is held. Stations that are alike are one with several copies, among which visits are spread evenly.
type station struct {
	names   []string // of its copies
	kind    Kind
	tier    string
	server  int // the kind of servers that it is part of
	servers int // of each copy; 0: as many as it takes
	order   order
	preempt bool
	room    int // of each copy: who waits at most; beyond is turned away. 0: no bound
	// choices is between how many copies a balancer picks the shortest line, 0 or 1: it draws one. callers is how many participants do so,
	// each by what it knows itself. turns says that they take turns.
	choices, callers int
	turns            bool
	where            string
}

// A class is the requests of one group at one priority.
type class struct {
	group    int
	priority float64
}

// A population is one client group.
type population struct {
	name     string
	rate     float64 // open: arrivals per second, sessions where there are
	users    float64 // closed
	think    float64 // closed: s a round, pauses within sessions included
	scv      float64 // of the gaps between arrivals
	patience float64 // s; 0: endless
	retries  int
	backoff  float64 // s, mean of the first
	asks     []ask   // one round
}

// An ask is one kind of request of a round.
type ask struct {
	times float64 // in a round
	entry *entry
}

// An entry is a block where it runs: at a service on behalf of one class, or, at a client, the request itself.
type entry struct {
	service int // -1: a client
	class   int
	root    *act
	hold    []hold // what is held from its start to its end, the outermost first
	delay   float64
	local   bool // it is at the server of its caller
	id      int
}

// A hold is a visit to a station that is held while something else is done.
type hold struct {
	visits []visit
}

// verb is what an act does.
type verb uint8

const (
	doSeq    verb = iota
	doDemand      // visits
	doWait        // amount, s
	doReply       // visits of links
	doPar
	doFork
	doChoose // p by arm
	doRepeat // amount: how often
	doRetry  // count further attempts; amount: back-off, s
	doTimeout
	doLock // visits, body
	doFail // p of the first
	doCall // visits: of the caller's link; amount: what the links' delays take; entry
)

// An act is one statement, with its branches in body.
type act struct {
	verb   verb
	visits []visit
	amount moments
	p      []float64
	count  int
	body   []*act
	entry  *entry
	ties   []tie   // par
	inv    float64 // 1 over how many can be here at once, 0 for as many as there are
	id     int     // place of its span in an evaluation
}

// A visit is a way to a station: which share of the times it is taken, and what is asked there.
type visit struct {
	station int
	share   float64
	moments
	size *rdr.Amount // the law, where shortest jobs go first; nil elsewhere
	unit float64     // s by unit of size
	// run is how many visits in a row this one is of, 0 for itself alone, and more its share of what their second moment is beyond the sum of theirs.
	run, more float64
}

// moments are those of a time in s, and what it is at least.
type moments struct{ m1, m2, m3, least float64 }

func constant(x float64) moments { return moments{x, x * x, x * x * x, x} }

// of is the moments of an amount times a factor, and a constant more.
func of(a rdr.Amount, times, more float64) moments {
	m1, m2, m3 := a.Mean*times, a.Second*times*times, a.Third*times*times*times
	return moments{m1 + more, m2 + 2*more*m1 + more*more, m3 + 3*more*m2 + 3*more*more*m1 + more*more*more, a.Least*times + more}
}

// orderOf is the order of an admission's pool as a station has it.
func orderOf(p admit.Policy) order {
	switch p {
	case admit.SJF:
		return shortest
	case admit.Priority:
		return urgent
	}
	return fcfs
}
