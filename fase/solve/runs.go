package solve

// A request that comes to a server several times in a row, as by two calls of services that are there, or two demands one after the other,
// does not find at each of them what Poisson arrivals of such demands would: most of what the first of them waited for has gone when the second comes.
// Such a run is treated as one visit of all its demands, of which the law is each demand's own: of exponential demands of one mean that is
// what a product form has, and of one demand that is M/G/1. Each visit of the run waits for its share.

// runs finds the runs of all requests.
func (b *builder) runs() {
	called := map[*entry]int{}
	for _, e := range b.net.entries {
		e.root.each(func(a *act) {
			if a.verb == doCall {
				called[a.entry]++
			}
		})
	}
	f := finder{net: &b.net, called: called}
	for _, e := range b.net.entries {
		f.end()
		if called[e] != 1 { // one that is called from one place is part of its caller's
			f.walk(e, e.root)
		}
	}
	f.end()
}

// each calls f for an act and those within it.
func (a *act) each(f func(*act)) {
	f(a)
	for _, x := range a.body {
		x.each(f)
	}
}

// finder follows a request and keeps the run that it is in.
type finder struct {
	net    *network
	called map[*entry]int
	run    []*visit
	in     *entry // of the last visit
}

// end ends a run.
func (f *finder) end() {
	n := float64(len(f.run))
	if n > 1 {
		sum, rest, own := 0.0, 0.0, 0.0
		for _, v := range f.run {
			sum, rest, own = sum+v.m1, rest+v.m2/v.m1, own+v.m2
		}
		for _, v := range f.run {
			v.run, v.more = n, (sum*rest-own)/n
		}
	}
	f.run = f.run[:0]
}

func (f *finder) walk(e *entry, a *act) {
	switch a.verb {
	case doDemand:
		f.demand(e, a)
	case doSeq:
		for _, x := range a.body {
			f.walk(e, x)
		}
	case doReply, doFail:
	case doCall:
		through := f.called[a.entry] == 1 && len(a.entry.hold) == 0 && len(a.visits) == 0 && a.amount.m1 == 0
		if !through {
			f.end()
		}
		if f.called[a.entry] == 1 {
			f.walk(a.entry, a.entry.root)
		}
		if !through {
			f.end()
		}
	default:
		for _, x := range a.body {
			f.end()
			f.walk(e, x)
		}
		f.end()
	}
}

// demand adds a demand to the run, where it is at the station of the one before, and surely at the same copy of it.
func (f *finder) demand(e *entry, a *act) {
	if len(a.visits) != 1 || a.visits[0].share < 1-1e-9 || a.visits[0].m1 == 0 {
		f.end()
		return
	}
	v := &a.visits[0]
	st := &f.net.stations[v.station]
	if st.servers != 1 || st.order != fcfs || st.room > 0 {
		f.end()
		return
	}
	if n := len(f.run); n > 0 && (f.run[n-1].station != v.station || f.in != e && len(st.names) > 1) {
		f.end()
	}
	f.run, f.in = append(f.run, v), e
}
