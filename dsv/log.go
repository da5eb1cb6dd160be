package dsv

// The bounds of what the Store keeps for watchers in mode All, each in changes and in bytes.
const (
	queueChanges = 16 << 10
	queueBytes   = 16 << 20
	logChanges   = 64 << 10
	logBytes     = 64 << 20
)

// event is one change, shared by the log and all watches.
type event struct {
	v    *variable
	u    Update // its Delta, where not nil, is d
	d    Delta
	size int
}

// bytes estimates the memory that an event keeps alive.
func (e *event) bytes() int {
	n := 400 + len(e.u.Reading.Value.Text) + len(e.u.Reading.Value.Bytes)
	if h := e.d.Value.Hist; h != nil {
		n += 64 + 2*len(h.list)
		if f := h.flat.Load(); f != nil {
			n += 12 * len(f.buckets)
		}
	}
	if h := e.u.Reading.Value.Hist; h != nil && len(h.parts) > 0 {
		if f := h.parts[0].flat.Load(); f != nil { // shared by those that came before the next merge
			n += 12 * len(f.buckets) / mergeAfter
		}
	}
	return n
}

// copied returns the update with memory of its own.
func (e *event) copied() Update {
	u := e.u
	u.Reading.Value = u.Reading.Value.Clone().apart()
	if u.Delta != nil {
		d := e.d
		d.Value = d.Value.Clone()
		u.Delta = &d
	}
	return u
}

// changeLog is the bounded log from which watches resume. It is kept once a watch in mode All was opened.
type changeLog struct {
	on     bool
	events []*event // a ring
	head   int
	n      int
	bytes  int
	lost   Revision // the newest change of a variable that exists no more which the log does not have
}

func (l *changeLog) push(e *event) {
	if !l.on {
		return
	}
	if l.events == nil {
		l.events = make([]*event, logChanges)
	}
	for l.n == logChanges || l.n > 0 && l.bytes+e.size > logBytes {
		l.drop()
	}
	l.events[(l.head+l.n)%logChanges] = e
	l.n++
	l.bytes += e.size
}

func (l *changeLog) drop() {
	e := l.events[l.head]
	l.events[l.head] = nil
	l.head = (l.head + 1) % logChanges
	l.n--
	l.bytes -= e.size
	if e.v.deleted {
		l.lost = max(l.lost, e.u.Revision)
	} else {
		e.v.forgot = e.u.Revision
	}
}

// since calls fn for the changes after r, in order.
func (l *changeLog) since(r Revision, fn func(*event)) {
	for i := range l.n {
		if e := l.events[(l.head+i)%logChanges]; e.u.Revision > r {
			fn(e)
		}
	}
}

// oldest returns the least revision after which the log has every change that the pattern matches. Callers hold mu.
func (s *Store) oldest(pattern string) Revision {
	r := s.log.lost
	s.matching(pattern, func(v *variable) { r = max(r, v.forgot) })
	return r
}

// startLog begins the log. Callers hold mu.
func (s *Store) startLog() {
	if s.log.on {
		return
	}
	s.log.on = true
	s.log.lost = s.revision
	for _, v := range s.vars {
		v.forgot = v.revision
	}
}
