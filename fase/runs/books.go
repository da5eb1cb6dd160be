package runs

import (
	"cmp"
	"fmt"
	"maps"
	"slices"

	"github.com/eve-emulation/eve/dsv"
	"github.com/eve-emulation/eve/fase/scenario"
	"github.com/eve-emulation/eve/fase/service"
	"github.com/eve-emulation/eve/fase/stat"
)

// The bounds of the books.
const (
	// MaxLittleError is up to where Little's law holds of a log: both of its sides are sums of the same instants.
	MaxLittleError = 1e-9
	// MaxBusyError is up to where the utilisation law holds of a CPU whose demands are of 1 ms in the mean, or more.
	MaxBusyError = 0.01
	// MaxBusyEach is by how many seconds each shorter demand may be off.
	MaxBusyEach = 3e-6
)

// Bookkeeping is what must hold of any run, whatever it measured: where each request, call and message went, and laws whose two sides
// were counted apart. It covers the whole run, warm-up included. An entry is inconclusive where one of its sides is not known: of what
// was killed, or is recorded in part.
type Bookkeeping struct {
	Verdict     stat.Verdict `json:"verdict"` // of all entries: fail when one fails, pass when at least one passes and none fails
	Clients     []Flow       `json:"clients"`
	Edges       []EdgeFlow   `json:"edges"`    // calls, by caller and service
	Services    []Delivery   `json:"services"` // of the calls of a service, what its servers received
	Little      []LogLaw     `json:"little"`
	Utilisation []BusyLaw    `json:"utilisation"`
	Once        []OnceLaw    `json:"once"`
}

// A Flow is where the requests of a client group went: issued = ok + errors + in flight, and due = issued + dropped.
type Flow struct {
	Of       string       `json:"of"`
	Issued   int64        `json:"issued"`
	OK       int64        `json:"ok"`
	Errors   int64        `json:"errors"`
	Dropped  int64        `json:"dropped"`
	InFlight int64        `json:"in_flight"`
	Verdict  stat.Verdict `json:"verdict"`
	Words    string       `json:"words,omitempty"`
}

// An EdgeFlow is where the calls of one participant of one service went: calls = ok + errors + in flight, and the messages that they
// sent: sent = answered + failed + given up + outstanding.
type EdgeFlow struct {
	service.Edge
	Verdict stat.Verdict `json:"verdict"`
	Words   string       `json:"words,omitempty"`
}

// A Delivery compares both ends of the calls of a service: what servers received is at least what was answered, and at most what was sent.
type Delivery struct {
	Of       string       `json:"of"`
	Sent     int64        `json:"sent"`
	Answered int64        `json:"answered"` // as the callers saw it
	Resent   int64        `json:"resent"`   // by the generator's connections, unasked: servers may have received each twice
	Received int64        `json:"received"`
	Replied  int64        `json:"replied"`
	Lost     int64        `json:"lost"` // at servers that crashed
	InFlight int64        `json:"in_flight"`
	Verdict  stat.Verdict `json:"verdict"`
	Words    string       `json:"words,omitempty"`
}

// ledgers are the pages of all participants.
type ledgers struct {
	edges  map[[2]string]*service.Edge
	served map[string][]service.Served // by service
	groups map[string]*service.Issued
	spared map[string]float64 // CPU demand that was withdrawn, s, by server
	parts  map[string]int     // pages of each group
	told   map[string]bool    // participants whose pages are there
}

// ledgers reads the pages of every participant.
func (t *totals) ledgers(names []string) *ledgers {
	l := &ledgers{
		edges: map[[2]string]*service.Edge{}, served: map[string][]service.Served{}, groups: map[string]*service.Issued{},
		spared: map[string]float64{}, parts: map[string]int{}, told: map[string]bool{},
	}
	for _, name := range names {
		n := service.LedgerName(name)
		if _, ok := t.declarations[n]; !ok {
			continue
		}
		err := recordsOf(t.history, n, func(b []byte) error {
			page, err := service.ParseLedger(b)
			if err == nil {
				l.told[name] = true
				l.add(page)
			}
			return err
		})
		if err != nil {
			t.broken[n] = err
		}
	}
	return l
}

// add takes a page; those of the parts of a group add up.
func (l *ledgers) add(p service.Ledger) {
	switch {
	case p.Edge != nil:
		k := [2]string{p.Edge.From, p.Edge.To}
		e := l.edges[k]
		if e == nil {
			l.edges[k] = p.Edge
			return
		}
		e.Calls, e.OK, e.Errors, e.InFlight = e.Calls+p.Edge.Calls, e.OK+p.Edge.OK, e.Errors+p.Edge.Errors, e.InFlight+p.Edge.InFlight
		e.Sent, e.Answered, e.Failed = e.Sent+p.Edge.Sent, e.Answered+p.Edge.Answered, e.Failed+p.Edge.Failed
		e.GivenUp, e.Outstanding, e.Again = e.GivenUp+p.Edge.GivenUp, e.Outstanding+p.Edge.Outstanding, e.Again+p.Edge.Again
	case p.Served != nil:
		l.served[p.Served.Service] = append(l.served[p.Served.Service], *p.Served)
	case p.Spared != nil:
		l.spared[p.Spared.Server] += p.Spared.CPU
	case p.Group != nil:
		l.parts[p.Group.Name]++
		if g := l.groups[p.Group.Name]; g != nil {
			g.InFlight, g.Age = g.InFlight+p.Group.InFlight, g.Age+p.Group.Age
			return
		}
		l.groups[p.Group.Name] = p.Group
	}
}

// bookkeeping makes the books of the run.
func (t *totals) bookkeeping(plan *scenario.Plan, s *Summary) *Bookkeeping {
	emulated := plan.Topology.Servers[:min(len(plan.Servers), len(plan.Topology.Servers))]
	l := t.ledgers(slices.Concat(s.Groups(), emulated))
	b := &Bookkeeping{Clients: []Flow{}, Edges: []EdgeFlow{}, Services: []Delivery{}, Little: []LogLaw{}, Utilisation: []BusyLaw{}}
	for _, name := range s.Groups() {
		b.Clients = append(b.Clients, t.flow(s.Clients[name], name))
	}
	for _, k := range slices.SortedFunc(maps.Keys(l.edges), func(a, b [2]string) int {
		return cmp.Or(CompareNames(a[0], b[0]), CompareNames(a[1], b[1]))
	}) {
		b.Edges = append(b.Edges, edgeFlow(*l.edges[k]))
	}
	for i, name := range plan.Topology.Services {
		if i < len(plan.Services)-len(plan.Targets) {
			if d, ok := t.delivery(plan, s, l, name); ok {
				b.Services = append(b.Services, d)
			}
		}
	}
	for i := range plan.Clients {
		if x, ok := t.logLaw(&plan.Clients[i], l); ok {
			b.Little = append(b.Little, x)
		}
	}
	b.Utilisation = t.busyLaws(plan, l)
	b.Once = t.onceLaws(plan, s, l)
	b.Verdict = b.verdict()
	return b
}

// verdict sums up.
func (b *Bookkeeping) verdict() stat.Verdict {
	v := stat.Inconclusive
	b.each(func(of stat.Verdict) {
		switch {
		case of == stat.Fail:
			v = stat.Fail
		case of == stat.Pass && v == stat.Inconclusive:
			v = stat.Pass
		}
	})
	return v
}

// each shows the verdict of every entry.
func (b *Bookkeeping) each(show func(stat.Verdict)) {
	for i := range b.Clients {
		show(b.Clients[i].Verdict)
	}
	for i := range b.Edges {
		show(b.Edges[i].Verdict)
	}
	for i := range b.Services {
		show(b.Services[i].Verdict)
	}
	for i := range b.Little {
		show(b.Little[i].Verdict)
	}
	for i := range b.Utilisation {
		show(b.Utilisation[i].Verdict)
	}
	for i := range b.Once {
		show(b.Once[i].Verdict)
	}
}

// flow is that of a group: its accounting.
func (t *totals) flow(c Client, name string) Flow {
	a := c.Accounting
	f := Flow{Of: name, Issued: a.Issued, OK: a.OK, Errors: a.Errors, InFlight: a.InFlight, Dropped: t.countAll(dsv.Name(name + ".dropped")), Verdict: stat.Pass}
	if !a.Balanced {
		f.Verdict, f.Words = stat.Fail, a.Broken
		if t.lost {
			f.Verdict = stat.Inconclusive
		}
	}
	return f
}

func edgeFlow(e service.Edge) EdgeFlow {
	f := EdgeFlow{Edge: e, Verdict: stat.Pass}
	switch {
	case e.Calls != e.OK+e.Errors+e.InFlight:
		f.Verdict, f.Words = stat.Fail, fmt.Sprintf("%d calls, where %d ended well, %d failed and %d were under way", e.Calls, e.OK, e.Errors, e.InFlight)
	case e.Sent != e.Answered+e.Failed+e.GivenUp+e.Outstanding:
		f.Verdict, f.Words = stat.Fail, fmt.Sprintf("%d messages, where %d were answered, %d failed, %d were given up and %d unanswered",
			e.Sent, e.Answered, e.Failed, e.GivenUp, e.Outstanding)
	}
	return f
}

// delivery compares both ends of a service's calls; false where nobody called it.
func (t *totals) delivery(plan *scenario.Plan, s *Summary, l *ledgers, name string) (Delivery, bool) {
	d := Delivery{Of: name, Verdict: stat.Pass}
	for k, e := range l.edges {
		if k[1] == name {
			d.Sent, d.Answered = d.Sent+e.Sent, d.Answered+e.Answered
			if g := s.Clients[k[0]].Generator; g != nil {
				d.Resent += int64(g.Retried)
			}
		}
	}
	inside := true
	for _, x := range l.served[name] {
		d.Received, d.Replied, d.Lost, d.InFlight = d.Received+x.Received, d.Replied+x.Replied, d.Lost+x.Lost, d.InFlight+x.InFlight
		inside = inside && x.Received == x.Replied+x.Lost+x.InFlight
	}
	if d.Sent == 0 && d.Received == 0 {
		return d, false
	}
	known := true
	for i := range plan.Clients {
		known = known && t.allTold(&plan.Clients[i], l)
	}
	switch {
	case !inside:
		d.Verdict, d.Words = stat.Fail, fmt.Sprintf("servers received %d, where they answered %d, lost %d and had %d", d.Received, d.Replied, d.Lost, d.InFlight)
	case !known || t.lost:
		d.Verdict, d.Words = stat.Inconclusive, "not everybody told what it counted"
	case d.Answered > d.Replied:
		d.Verdict, d.Words = stat.Fail, fmt.Sprintf("callers saw %d answers, where servers gave %d", d.Answered, d.Replied)
	case d.Received > d.Sent+d.Resent:
		d.Verdict, d.Words = stat.Fail, fmt.Sprintf("servers received %d, where %d were sent", d.Received, d.Sent+d.Resent)
	}
	return d, true
}

// unbalanced reports whether requests, calls or messages are unaccounted for, or Little's law does not hold of a log: then the run is wrong.
// That a CPU was busy for longer or shorter than it should have been is told as a warning alone.
func (b *Bookkeeping) unbalanced() bool {
	if b == nil {
		return false
	}
	c := *b
	c.Utilisation = nil
	return c.verdict() == stat.Fail
}

// warnings tells what fails, but for the accounting of groups, which their gates tell.
func (b *Bookkeeping) warnings() []string {
	var ws []string
	tell := func(v stat.Verdict, format string, args ...any) {
		if v == stat.Fail {
			ws = append(ws, fmt.Sprintf(format, args...))
		}
	}
	for _, e := range b.Edges {
		tell(e.Verdict, "the books of %s → %s do not balance: %s", e.From, e.To, e.Words)
	}
	for _, d := range b.Services {
		tell(d.Verdict, "the books of service %s do not balance: %s", d.Of, d.Words)
	}
	for _, x := range b.Little {
		tell(x.Verdict, "Little's law does not hold of the log of %s: %s", x.Of, x.Words)
	}
	for _, x := range b.Utilisation {
		tell(x.Verdict, "the utilisation law does not hold of %s: %s", x.Of, x.Words)
	}
	for _, x := range b.Once {
		tell(x.Verdict, "by keys, calls of %s were lost or executed twice: %s", x.Of, x.Words)
	}
	return ws
}
