package adapt

import (
	"time"

	"github.com/eve-emulation/eve/dmm"
	"github.com/eve-emulation/eve/dmm/expr"
	"github.com/eve-emulation/eve/dsv"
)

// The windows of conditions that name none.
const (
	DefaultWindow = 5 * time.Second
	MeanWindow    = time.Second // of variables that keep a mean, such as utilisation
)

// rule is a Rule in progress.
type rule struct {
	*Rule
	armed bool
	since dsv.Instant // the first evaluation of those, without a gap, at which the condition held; Never if it does not
	fired dsv.Instant // the last decision
	task  *task       // what it does just now
}

// evaluate looks at every rule, in order.
func (l *Loop) evaluate(at dsv.Instant) {
	for _, t := range l.topics {
		if t.series != nil {
			t.series.settle(at)
		}
	}
	view := view{l, at.Add(-Settle)}
	for _, r := range l.rules {
		if !r.holds(at, view) || r.task != nil {
			continue
		}
		r.task = &task{by: r.Name, when: r.WhenText, reading: r.When.Readings(view), do: r.Do, rule: r, deadline: dsv.Never}
		l.tasks = append(l.tasks, r.task)
		l.progress(at)
	}
	l.follow(at, view)
}

// holds reports whether a rule may act: its condition has held for long enough, and it is armed. What is unknown does not
// hold, and re-arms like a false condition.
func (r *rule) holds(at dsv.Instant, view view) bool {
	v, err := r.When.Eval(view)
	rested := at.Sub(r.fired) >= r.Cooldown
	if err != nil || !v.True() {
		r.since, r.armed = dsv.Never, r.armed || rested
		return false
	}
	if r.since == dsv.Never {
		r.since = at
	}
	if r.Cooldown > 0 && rested {
		r.armed = true
	}
	return r.armed && at.Sub(r.since) >= r.For
}

// decided notes that a rule has acted.
func (r *rule) decided(at dsv.Instant) { r.armed, r.fired = false, at }

// view is an expr.Reader of what the Loop knew at an instant.
type view struct {
	loop *Loop
	to   dsv.Instant
}

// Total sums the deltas that ended in the last window, or in the default one, and not before the run began.
func (v view) Total(n dsv.Name, window time.Duration) (dmm.Total, error) {
	t := v.loop.topics[n]
	if t == nil || t.series == nil {
		return dmm.Total{}, dsv.ErrNotFound
	}
	if window == 0 {
		window = defaultWindow(t.series.declaration)
	}
	return t.series.sum(max(0, v.to.Add(-window)), max(0, v.to)), nil
}

// Text returns the latest text.
func (v view) Text(n dsv.Name) (string, error) {
	t := v.loop.topics[n]
	if t == nil || t.series == nil || t.series.last.value.Kind != dsv.Text {
		return "", dsv.ErrUnset
	}
	return t.series.last.value.Text, nil
}

func defaultWindow(d dsv.Declaration) time.Duration {
	if d.Merge == dsv.Mean {
		return MeanWindow
	}
	return DefaultWindow
}

// series is the history of one variable, as far back as the rules look.
type series struct {
	declaration dsv.Declaration
	keep        time.Duration
	window      *dmm.Window // nil for variables that keep their last value:
	last        stamped     // the latest that has settled
	fresh       []stamped   // those that have not, oldest first
}

type stamped struct {
	at    dsv.Instant
	value dsv.Value
}

// read watches a variable that a condition reads.
func (l *Loop) read(r expr.Read) {
	t := l.topic(r.Name)
	keep := max(r.Window, defaultWindow(r.Declaration)) + time.Second // for deltas that come late
	if t.series != nil {
		keep = max(keep, t.series.keep)
	}
	t.series = &series{declaration: r.Declaration, keep: keep}
	if r.Declaration.Merge != dsv.Last {
		t.series.window = dmm.NewWindow(r.Declaration, keep)
	}
}

// add files an update.
func (s *series) add(at dsv.Instant, u dsv.Update) {
	if s.window != nil {
		if d := u.Delta; d != nil && d.T0 >= 0 && !u.Deleted {
			s.window.Add(*d)
		}
		return
	}
	v := stamped{u.Reading.T1, u.Reading.Value}
	if u.Delta != nil {
		v = stamped{u.Delta.T1, u.Delta.Value}
	}
	if v.at == 0 {
		v.at = at // written whole
	}
	i := len(s.fresh)
	for i > 0 && s.fresh[i-1].at > v.at {
		i--
	}
	s.fresh = append(s.fresh, stamped{})
	copy(s.fresh[i+1:], s.fresh[i:])
	s.fresh[i] = v
}

// settle takes over the values that may be used at an instant.
func (s *series) settle(at dsv.Instant) {
	n := 0
	for n < len(s.fresh) && s.fresh[n].at <= at.Add(-Settle) {
		if s.fresh[n].at >= s.last.at {
			s.last = s.fresh[n]
		}
		n++
	}
	s.fresh = s.fresh[:copy(s.fresh, s.fresh[n:])]
}

func (s *series) sum(from, to dsv.Instant) dmm.Total {
	if s.window != nil {
		return s.window.Sum(from, to)
	}
	return dmm.Total{Kind: s.declaration.Kind, Merge: dsv.Last, Value: s.last.value, Weight: 1, T0: from, T1: to}
}
