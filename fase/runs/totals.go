package runs

import (
	"errors"
	"time"

	"github.com/eve-emulation/eve/dmm"
	"github.com/eve-emulation/eve/dsv"
)

// totals reads and sums the variables of a History, each once. It is the Reader of `expect`: window 0 is the measured
// window, another one is the last so long of it.
type totals struct {
	history      History
	declarations map[dsv.Name]dsv.Declaration
	windows      map[dsv.Name]*dmm.Window
	from, to     dsv.Instant
	warnings     []string
	broken       map[dsv.Name]error // histories that could not be read whole
	lost         bool               // measurements of modules are known to be missing
	virtual      bool
}

func newTotals(h History) *totals {
	t := &totals{
		history: h, declarations: map[dsv.Name]dsv.Declaration{}, windows: map[dsv.Name]*dmm.Window{},
		broken: map[dsv.Name]error{},
	}
	for _, d := range h.Declarations() {
		t.declarations[d.Name] = d
	}
	return t
}

// window reads the whole history of a variable; nil when it does not exist. What cannot be read is told once, and what
// could be read counts.
func (t *totals) window(n dsv.Name) *dmm.Window {
	if w, ok := t.windows[n]; ok {
		return w
	}
	d, ok := t.declarations[n]
	if !ok {
		return nil
	}
	w := dmm.NewWindow(d, 0)
	err := t.history.History(n, -1, dsv.Never, func(u dsv.Update) error {
		if u.Delta != nil {
			w.Add(*u.Delta)
		} else if !u.Deleted && d.Merge == dsv.Last {
			w.Add(dsv.Delta{Name: n, T0: u.Reading.T1, T1: u.Reading.T1, Value: u.Reading.Value, Weight: 1})
		}
		return nil
	})
	if err != nil {
		t.broken[n] = err
	}
	t.windows[n] = w
	return w
}

// newest returns the latest instant of variables that are written all the time.
func (t *totals) newest(ns ...dsv.Name) dsv.Instant {
	latest := dsv.Instant(0)
	for _, n := range ns {
		t.passing(n, func(w *dmm.Window) {
			if w != nil {
				latest = max(latest, w.Newest())
			}
		})
	}
	return latest
}

// measured sums a variable over the measured window; without the variable an empty Total.
func (t *totals) measured(n dsv.Name) dmm.Total { return t.sum(n, t.from, t.to) }

// whole sums a variable over all of the run.
func (t *totals) whole(n dsv.Name) dmm.Total { return t.sum(n, -1, dsv.Never) }

func (t *totals) sum(n dsv.Name, from, to dsv.Instant) dmm.Total {
	w := t.window(n)
	if w == nil {
		return dmm.Total{}
	}
	return w.Sum(from, to)
}

// count returns what a counter added up to in the measured window.
func (t *totals) count(n dsv.Name) int64 {
	x, _ := t.measured(n).Value.Number()
	return int64(x)
}

// countAll returns what a counter added up to in all of the run.
func (t *totals) countAll(n dsv.Name) int64 {
	x, _ := t.whole(n).Value.Number()
	return int64(x)
}

// hist returns the histogram of the measured window; nil when nothing was written.
func (t *totals) hist(n dsv.Name) *dsv.Hist { return t.measured(n).Value.Hist }

// Total implements expr.Reader.
func (t *totals) Total(n dsv.Name, window time.Duration) (dmm.Total, error) {
	w := t.window(n)
	switch {
	case w == nil:
		return dmm.Total{}, dsv.ErrNotFound
	case w.Len() == 0:
		return dmm.Total{}, dsv.ErrUnset
	}
	from := t.from
	if window > 0 {
		from = max(from, t.to.Add(-window))
	}
	return w.Sum(from, t.to), nil
}

// Text implements expr.Reader: the last text of the measured window.
func (t *totals) Text(n dsv.Name) (string, error) {
	total, err := t.Total(n, 0)
	if err != nil {
		return "", err
	}
	if total.Value.Kind != dsv.Text {
		return "", dsv.ErrUnset
	}
	return total.Value.Text, nil
}

// errStop ends a History early.
var errStop = errors.New("stop")

// blobs calls fn for each value of a Bytes variable, oldest first, and returns what went wrong.
func blobs(h History, n dsv.Name, fn func(b []byte) error) error {
	err := h.History(n, -1, dsv.Never, func(u dsv.Update) error {
		v := u.Reading.Value
		if u.Delta != nil {
			v = u.Delta.Value
		}
		if u.Deleted || v.Kind != dsv.Bytes {
			return nil
		}
		return fn(v.Bytes)
	})
	if errors.Is(err, errStop) {
		return nil
	}
	return err
}
