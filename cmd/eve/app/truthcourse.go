package app

import (
	"cmp"
	"slices"

	"github.com/eve-emulation/eve/dsv"
	"github.com/eve-emulation/eve/fase/exact"
	"github.com/eve-emulation/eve/fase/runs"
	"github.com/eve-emulation/eve/fase/scenario"
	"github.com/eve-emulation/eve/fase/service"
	"github.com/eve-emulation/eve/fase/user"
	"github.com/eve-emulation/eve/rdr"
)

// An asked is one request of a system, and the calls that it makes.
type asked struct {
	group int
	key   rdr.Key
	due   dsv.Instant
	calls []calledAt // of the course's
}

// A calledAt is a call: what it demands, and where its server had read it.
type calledAt struct {
	key    rdr.Key
	demand int64
	at     dsv.Instant // of its arrival; 0: not known
	done   dsv.Instant // at its server
	took   int64       // ns that its server measured
	server int
}

// A course is the requests of a system, in order of due, on the way to their exact path. Where the instants at which servers read requests
// are known, they are the arrivals; else requests arrive when they are due, and a next call when the one before has departed.
type course struct {
	asked []asked
	calls []calledAt // of requests, one after the other
	read  bool
	// refused are the requests that the path turns away, where it can.
	refused []bool

	// What is used again for the next station and the next path.
	demands  drawer
	order    []int
	arrivals []dsv.Instant
	jobs     []exact.Job
}

// reset makes room for another path of about n requests of k calls each.
func (c *course) reset(n, k int) {
	c.asked, c.calls, c.read, c.refused = slices.Grow(c.asked[:0], n), slices.Grow(c.calls[:0], n*k), false, nil
}

// add appends a request with what its calls demand.
func (c *course) add(group int, b *rdr.Block, key rdr.Key, due dsv.Instant) {
	from := len(c.calls)
	c.demands.draw(b, key, func(d *rdr.Demand) {
		if d.Op == rdr.OpCall {
			c.calls = append(c.calls, calledAt{key: d.Key, demand: c.demands.cpu(d.Block, d.Key)})
		}
	})
	n := len(c.calls) // where there is no more room, those of earlier requests stay where they are
	c.asked = append(c.asked, asked{group: group, key: key, due: due, calls: c.calls[from:n:n]})
}

// planned adds what the open groups of a plan ask until an instant.
func (c *course) planned(groups []user.Config, end dsv.Instant) {
	for i := range groups {
		g := &groups[i]
		for key, due := range until(g, end) {
			c.add(i, g.Request, key, due)
		}
	}
	c.sort()
}

// rounds adds what the users of a closed group ask of one station until an instant.
func (c *course) rounds(g *user.Config, cores int, end dsv.Instant) {
	for _, r := range exact.ClosedFCFS(cores, g.Users, g.Start, end,
		func(u int, n uint64) int64 { return int64(g.ThinkTime(uint64(u), n)) },
		func(u int, n uint64) int64 { return c.demands.cpu(g.Request, g.Key(uint64(u), n)) }) {
		c.add(0, g.Request, g.Key(uint64(r.User), r.N), r.Arrival)
	}
	c.sort()
}

func (c *course) sort() {
	earlier := func(a, b asked) int { return cmp.Compare(a.due, b.due) }
	if !slices.IsSortedFunc(c.asked, earlier) {
		slices.SortStableFunc(c.asked, earlier)
	}
}

// observe learns what the servers recorded of each call. Requests that have a call which was not recorded are left out: they failed, or were
// under way when the run ended. It returns how many of them were answered nevertheless.
func (c *course) observe(h runs.History, services []string, answered func(rdr.Key) bool) (missing int, err error) {
	visits := map[rdr.Key]runs.Visit{}
	for _, s := range services {
		if err := runs.Visits(h, s, func(v runs.Visit) error {
			visits[rdr.Key(v.Key)] = v
			return nil
		}); err != nil {
			return 0, err
		}
	}
	c.read = true
	whole := c.asked[:0]
	for _, a := range c.asked {
		found := true
		for i := range a.calls {
			k := &a.calls[i]
			v, ok := visits[k.key]
			found = found && ok
			k.at, k.done, k.server, k.took = v.Arrived, v.Done, v.Server, int64(v.Service)
		}
		if !found {
			if answered(a.key) {
				missing++
			}
			continue
		}
		whole = append(whole, a)
	}
	c.asked = whole
	return missing, nil
}

// from is when a request is taken to have begun: when its first call was read, or when it was due.
func (c *course) from(i int) dsv.Instant {
	a := &c.asked[i]
	if !c.read {
		return a.due
	}
	first := a.calls[0].at
	for _, k := range a.calls[1:] {
		first = min(first, k.at)
	}
	return first
}

// station passes the k-th call of all requests through a station: at tells when each arrives.
func (c *course) station(k int, at func(i int) dsv.Instant, serve func(order []int, jobs []exact.Job) []dsv.Instant) []dsv.Instant {
	c.order, c.arrivals = slices.Grow(c.order[:0], len(c.asked))[:len(c.asked)], slices.Grow(c.arrivals[:0], len(c.asked))[:len(c.asked)]
	order, arrivals := c.order, c.arrivals
	for i := range order {
		order[i], arrivals[i] = i, at(i)
	}
	// Requests that a loop read at one instant are in no order but that in which the server took them.
	before := func(a, b int) int {
		return cmp.Or(cmp.Compare(arrivals[a], arrivals[b]), cmp.Compare(c.asked[a].calls[k].done, c.asked[b].calls[k].done))
	}
	if !slices.IsSortedFunc(order, before) {
		slices.SortStableFunc(order, before)
	}
	c.jobs = c.jobs[:0]
	for _, i := range order {
		c.jobs = append(c.jobs, exact.Job{Arrival: arrivals[i], Demand: c.asked[i].calls[k].demand})
	}
	out := make([]dsv.Instant, len(order))
	for n, d := range serve(order, c.jobs) {
		out[order[n]] = d
	}
	return out
}

// arrival is when the k-th call arrives at its station.
func (c *course) arrival(k int) func(i int) dsv.Instant {
	return func(i int) dsv.Instant {
		if c.read {
			return c.asked[i].calls[k].at
		}
		return c.asked[i].due
	}
}

// single is the path through one station.
func (c *course) single(path func([]exact.Job) []dsv.Instant) []dsv.Instant {
	return c.station(0, c.arrival(0), func(_ []int, jobs []exact.Job) []dsv.Instant { return path(jobs) })
}

// byGroup is the path through one station at which a group of a lower number goes first.
func (c *course) byGroup() []dsv.Instant {
	return c.station(0, c.arrival(0), func(order []int, jobs []exact.Job) []dsv.Instant {
		return exact.NonPreemptive(1, jobs, func(n int) int64 { return int64(c.asked[order[n]].group) })
	})
}

// tandem is the path through stations one after the other. Where arrivals are those that servers read, each station has its own, and a request
// departs when it has been at each of them for as long as it had to be: what lies between is the clients' and the network's.
func (c *course) tandem() []dsv.Instant {
	at := c.arrival(0)
	var out []dsv.Instant
	if c.read {
		out = make([]dsv.Instant, len(c.asked))
		for i := range out {
			out[i] = c.from(i)
		}
		for k := range c.asked[0].calls {
			for i, d := range c.station(k, c.arrival(k), func(_ []int, jobs []exact.Job) []dsv.Instant { return exact.FCFS(1, jobs) }) {
				out[i] += d - c.asked[i].calls[k].at
			}
		}
		return out
	}
	for k := range c.asked[0].calls {
		out = c.station(k, at, func(_ []int, jobs []exact.Job) []dsv.Instant { return exact.FCFS(1, jobs) })
		departed := out
		at = func(i int) dsv.Instant { return departed[i] }
	}
	return out
}

// forkJoin is the path through stations that are asked at once.
func (c *course) forkJoin() []dsv.Instant {
	out := make([]dsv.Instant, len(c.asked))
	for k := range c.asked[0].calls {
		for i, d := range c.station(k, c.arrival(k), func(_ []int, jobs []exact.Job) []dsv.Instant { return exact.FCFS(1, jobs) }) {
			out[i] = max(out[i], d)
		}
	}
	return out
}

// shortest is the path through n stations of which each request joins the shortest of d that are drawn by its key.
func (c *course) shortest(n, d int) []dsv.Instant {
	return c.station(0, c.arrival(0), func(order []int, jobs []exact.Job) []dsv.Instant {
		return exact.Shortest(n, jobs, func(job int, list []int) []int {
			key := c.asked[order[job]].key
			for draw := uint64(1); len(list) < d; draw++ {
				if s := int(key.Mix(draw).Uniform() * float64(n)); !slices.Contains(list, s) {
					list = append(list, s)
				}
			}
			return list
		})
	})
}

// perServer is the path through many stations, each request at the one that it was sent to: which that is must have been observed.
func (c *course) perServer() []dsv.Instant {
	return c.station(0, c.arrival(0), func(order []int, jobs []exact.Job) []dsv.Instant {
		free := map[int]dsv.Instant{}
		out := make([]dsv.Instant, len(jobs))
		for n, j := range jobs {
			s := c.asked[order[n]].calls[0].server
			free[s] = max(free[s], j.Arrival) + dsv.Instant(j.Demand)
			out[n] = free[s]
		}
		return out
	})
}

// measured is the path through one station with the service times that it measured itself.
func (c *course) measured() []dsv.Instant {
	return c.station(0, c.arrival(0), func(order []int, jobs []exact.Job) []dsv.Instant {
		for n := range jobs {
			jobs[n].Demand = c.asked[order[n]].calls[0].took
		}
		return exact.FCFS(1, jobs)
	})
}

// pairUp pairs the requests of a system with what a run recorded of them. Those of groups that do not count are left out. For real, requests
// count from when their server had read them.
func (s *system) pairUp(plan *scenario.Plan, o *outcome, virtual bool) (*pairing, error) {
	folder, err := runs.Open(o.dir)
	if err != nil {
		return nil, err
	}
	defer folder.Close()
	h := folder.History()
	groups, services := s.parts(plan)
	c, strange := &course{}, 0
	got := map[rdr.Key]user.Record{}
	for i := range groups {
		g := &groups[i]
		err := runs.Requests(h, g.Name, func(r user.Record) error {
			if _, twice := got[r.Key]; twice {
				strange++
			}
			got[r.Key] = r
			if !virtual {
				c.add(i, g.Request, r.Key, r.Due)
			}
			return nil
		})
		if err != nil {
			return nil, err
		}
	}
	missing, unserved := 0, 0
	switch {
	case !virtual:
		c.sort()
		missing, err = c.observe(h, services, func(k rdr.Key) bool {
			if got[k].Cause != service.OK {
				unserved++
			}
			return got[k].Cause == service.OK
		})
	case s.closed:
		s.ask(c, &groups[0], groups[0].End)
	default:
		c.planned(groups, dsv.At(plan.Duration))
		if s.runs != nil {
			_, err = c.observe(h, services, func(rdr.Key) bool { return false })
			c.read = false
		}
	}
	p := &pairing{from: dsv.At(plan.Warmup), to: dsv.At(plan.Duration), noise: o.noise, strange: strange, client: o.summary.Clients[groups[0].Name]}
	p.missing, p.unserved = missing, unserved
	if err != nil || len(c.asked) == 0 {
		return p, err
	}
	path := s.path
	if s.runs != nil {
		path = s.runs
	}
	for i, want := range path(c) {
		a := &c.asked[i]
		if s.of != nil && !s.of(a.group) {
			continue
		}
		r := got[a.key]
		if r.Done != 0 && r.Due != a.due {
			p.strange++
		}
		p.requests = append(p.requests, paired{due: c.from(i), want: want, got: r.Done, cause: r.Cause, refused: c.refused != nil && c.refused[i]})
	}
	slices.SortStableFunc(p.requests, func(a, b paired) int { return cmp.Compare(a.due, b.due) })
	return p, nil
}

// parts are the groups and services of a plan that are of this system, by its tag.
func (s *system) parts(plan *scenario.Plan) (groups []user.Config, services []string) {
	own := func(name string) bool { return len(name) > len(s.tag) && name[:len(s.tag)] == s.tag }
	for i := range plan.Clients {
		if own(plan.Clients[i].Name) {
			groups = append(groups, plan.Clients[i])
		}
	}
	for _, name := range plan.Topology.Services {
		if own(name) {
			services = append(services, name)
		}
	}
	return groups, services
}
