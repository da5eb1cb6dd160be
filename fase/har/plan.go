package har

import "time"

// A stop is a page of an archive with its requests, as a scenario has it.
type stop struct {
	title   string
	entries []int // of the archive, by when they were sent
	start   time.Time
	end     time.Time
}

// gap divides entries that belong to no page: what begins so long after everything before has ended is another page.
const gap = time.Second

// stops divides the entries into pages, in their order. Entries without a page belong to the one that began last before
// them; without any pages, a page ends where nothing happens for a while.
func (a *Archive) stops(keep []int) []stop {
	known := map[string]int{}
	for i, p := range a.Pages {
		known[p.ID] = i
	}
	var out []stop
	at := map[int]int{} // by page
	for _, i := range keep {
		e := &a.Entries[i]
		page, ok := known[e.Page]
		if !ok {
			page = a.pageAt(e.Start)
		}
		n := len(out) - 1
		switch k, seen := at[page]; {
		case page >= 0 && seen:
			n = k
		case page < 0 && n >= 0 && e.Sent.Sub(out[n].end) < gap:
		default:
			n = len(out)
			s := stop{start: e.Sent, end: e.End}
			if page >= 0 {
				s.title, at[page] = a.Pages[page].Title, n
			}
			out = append(out, s)
		}
		s := &out[n]
		s.entries = append(s.entries, i)
		if e.End.After(s.end) {
			s.end = e.End
		}
	}
	return out
}

// pageAt is the page under way at a time, or -1.
func (a *Archive) pageAt(t time.Time) int {
	at := -1
	for i, p := range a.Pages {
		if !p.Start.After(t) || at < 0 {
			at = i
		}
	}
	return at
}

// A phase is requests that overlap, directly or by way of others, as lanes: the requests of one lane follow one another.
type phase struct {
	wait  time.Duration // before it
	lanes []lane
}

type lane []turn

type turn struct {
	wait  time.Duration // before it, since the phase began or the one before in the lane ended
	entry int
}

// least is the shortest wait within a page that is worth writing.
const least = 10 * time.Millisecond

func worth(d time.Duration) time.Duration {
	if d < least {
		return 0
	}
	return d.Round(time.Millisecond)
}

// phases orders the requests of a page: one after the other where they did not overlap, else in as few lanes as there were
// requests at the same time, as a browser's connections are.
func (a *Archive) phases(s stop) []phase {
	var out []phase
	var busy []time.Time // until when each lane of the last phase is
	var began, end time.Time
	for _, i := range s.entries {
		e := &a.Entries[i]
		if len(out) == 0 || !e.Sent.Before(end) {
			wait := time.Duration(0)
			if len(out) > 0 {
				wait = worth(e.Sent.Sub(end))
			}
			out = append(out, phase{wait: wait, lanes: []lane{{{entry: i}}}})
			began, end, busy = e.Sent, e.End, []time.Time{e.End}
			continue
		}
		p := &out[len(out)-1]
		best := -1 // the lane that has been free for the shortest time
		for l, until := range busy {
			if !until.After(e.Sent) && (best < 0 || until.After(busy[best])) {
				best = l
			}
		}
		if best < 0 {
			p.lanes = append(p.lanes, lane{{wait: worth(e.Sent.Sub(began)), entry: i}})
			busy = append(busy, e.End)
		} else {
			p.lanes[best] = append(p.lanes[best], turn{wait: worth(e.Sent.Sub(busy[best])), entry: i})
			busy[best] = e.End
		}
		if e.End.After(end) {
			end = e.End
		}
	}
	return out
}
