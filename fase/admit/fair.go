package admit

// fair is start-time fair queueing (Goyal, Vin and Cheng, "Start-time Fair Queuing", SIGCOMM 1996): a request is tagged with
// the virtual time, or where its client's last one is to end in it, whichever is later, and the least tag is served. Virtual
// time is the tag of what was served last, and where nothing is left to serve the latest end. So clients that want more than their share get equal service, in demand, whatever
// each one asks for, and one that was away is owed nothing.
type fair struct {
	now    int64
	latest int64            // end of all
	ends   map[uint64]int64 // by client; one that is absent ends now
	sweep  int              // how many there may be before those that have ended are forgotten
}

// start tags a request, and books its demand. One without a demand counts as a nanosecond, so that requests still take turns.
func (f *fair) start(client uint64, demand int64) int64 {
	if f.ends == nil {
		f.ends, f.sweep = map[uint64]int64{}, 64
	}
	if len(f.ends) >= f.sweep {
		f.forget()
	}
	tag := max(f.now, f.ends[client])
	end := tag + max(demand, 1)
	f.ends[client] = end
	f.latest = max(f.latest, end)
	return tag
}

func (f *fair) served(tag int64) { f.now = max(f.now, tag) }

// rest tells that nobody waits or is served: everybody begins anew together.
func (f *fair) rest() { f.now = f.latest }

// forget drops clients that would begin now anyway.
func (f *fair) forget() {
	for c, end := range f.ends {
		if end <= f.now {
			delete(f.ends, c)
		}
	}
	f.sweep = max(64, 2*len(f.ends))
}
