package dsv

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// pageBytes bounds a HistoryPage of more than one delta, in bytes as either coding of the wire would carry it.
const pageBytes = 400 << 10

// Window returns the end of the window of length resolution, a multiple since T0, in which a delta that ends at t falls.
func (t Instant) Window(resolution time.Duration) Instant {
	r := Instant(resolution)
	past := t % r
	if past > 0 {
		past -= r
	}
	return t - past
}

// History implements Space.
func (s *Store) History(ctx context.Context, r HistoryRequest) (HistoryPage, error) {
	page, err := s.history(ctx, r)
	if err != nil {
		return HistoryPage{}, fmt.Errorf("history of %s: %w", clip(string(r.Name)), err)
	}
	return page, nil
}

func (s *Store) history(ctx context.Context, r HistoryRequest) (HistoryPage, error) {
	s.mu.RLock()
	v, err := s.find(r.Name)
	var d Declaration
	if err == nil {
		d = v.decl
	}
	s.mu.RUnlock()
	if err != nil {
		return HistoryPage{}, err
	}
	past, ok := s.rec.(Historian)
	if !ok || !d.History && d.Merge != Append {
		return HistoryPage{}, ErrNoHistory
	}
	if r.To == 0 {
		r.To = Never
	}
	if r.Limit <= 0 || r.Limit > MaxPage {
		r.Limit = MaxPage
	}
	p := pager{ctx: ctx, decl: d, req: r, fold: NewFold(d.Kind, d.Merge)}
	p.page.Cursor = r.Cursor
	err = past.Past(r.Name, r.From, r.To, Revision(r.Cursor), p.add)
	if errors.Is(err, errFull) {
		return p.page, nil
	}
	if err != nil {
		return HistoryPage{}, err
	}
	p.close()
	return p.page, nil
}

// errFull ends the reading of a page.
var errFull = errors.New("page is full")

// pager makes a page of changes.
type pager struct {
	ctx    context.Context // of the call; a field because add is a callback
	decl   Declaration
	req    HistoryRequest
	page   HistoryPage
	bytes  int
	fold   *Fold
	window Instant // the end of what is in fold
	newest Delta   // the newest change in fold
	seen   Revision
	code   []byte // to measure histograms
}

// add takes one change.
func (p *pager) add(u Update) error {
	if err := p.ctx.Err(); err != nil {
		return context.Cause(p.ctx)
	}
	if u.Deleted {
		return nil
	}
	whole := u.Delta == nil
	var d Delta
	if whole {
		d = wholeDelta(u)
	} else {
		d = *u.Delta
	}
	if d.Value.Kind != p.decl.Kind {
		return nil
	}
	alone := p.req.Resolution <= 0 || p.decl.Merge == Append || whole && p.decl.Merge != Last
	if alone || p.fold.Empty() || d.T1.Window(p.req.Resolution) != p.window {
		p.close()
		if len(p.page.Deltas) > 0 && (len(p.page.Deltas) >= p.req.Limit || p.bytes+p.size(&d) > pageBytes) {
			p.page.More = true
			return errFull
		}
	}
	p.seen = u.Revision
	if alone {
		p.emit(d)
		return nil
	}
	p.window = d.T1.Window(p.req.Resolution)
	p.fold.Add(&d)
	if p.newest.Name == "" || d.T1 >= p.newest.T1 {
		p.newest = d
	}
	return nil
}

// close appends what is folded.
func (p *pager) close() {
	if p.fold.Empty() {
		return
	}
	d := p.newest
	d.Value, d.Weight = p.fold.Raw(), p.fold.Weight()
	d.T0, d.T1 = p.fold.Span()
	p.fold.Reset()
	p.newest = Delta{}
	p.emit(d)
}

func (p *pager) emit(d Delta) {
	p.bytes += p.size(&d)
	p.page.Deltas = append(p.page.Deltas, d)
	p.page.Cursor = uint64(p.seen)
}

// size is about how many bytes a delta takes on the wire.
func (p *pager) size(d *Delta) int {
	n := len(d.Value.Bytes)
	if d.Value.Kind == Histogram {
		p.code, _ = d.Value.Hist.AppendBinary(p.code[:0]) // it has no errors
		n = len(p.code)
	}
	return 96 + len(d.Value.Text) + 4*n/3
}

// wholeDelta is a whole write as History tells it.
func wholeDelta(u Update) Delta {
	weight := 1.0
	if u.Reading.Value.Kind == Histogram {
		weight = float64(u.Reading.Value.Hist.Count())
	}
	at := u.Reading.T1
	return Delta{Name: u.Name, Seq: uint64(u.Revision), T0: at, T1: at, Value: u.Reading.Value, Weight: weight}
}
