package campaign

import (
	"context"
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/eve-emulation/eve/dsv"
)

var nan = math.NaN()

// A Memory is the history of one simulation, which has one writer. Unlike a Store its [Memory.Space] merges nothing and wakes
// nobody, so it costs little. It belongs to one goroutine while it is written; then any number may read it.
type Memory struct {
	keep     func(dsv.Name) bool
	declared map[dsv.Name]dsv.Declaration
	kept     map[dsv.Name]*[]dsv.Delta
	clock    func() dsv.Instant
	revision dsv.Revision
}

// NewMemory returns an empty one that keeps the variables that keep names; nil keeps all.
func NewMemory(keep func(dsv.Name) bool) *Memory {
	return &Memory{keep: keep, declared: map[dsv.Name]dsv.Declaration{}, kept: map[dsv.Name]*[]dsv.Delta{}}
}

// Space is where the simulation writes: it creates, writes and synchronises, no more.
func (m *Memory) Space() dsv.Space { return &filing{m: m} }

type filing struct {
	dsv.Space // nil
	m         *Memory
}

// SetClock has whole writes stamped, as a Store does.
func (f *filing) SetClock(now func() dsv.Instant) { f.m.clock = now }

// Create implements dsv.Space. What is not kept has no declaration either: nobody looks for it then.
func (f *filing) Create(_ context.Context, d dsv.Declaration) error {
	old, ok := f.m.declared[d.Name]
	switch {
	case ok && old != d:
		return fmt.Errorf("create %s: %w", d.Name, dsv.ErrExists)
	case ok || f.m.keep != nil && !f.m.keep(d.Name):
		return nil
	}
	f.m.declared[d.Name] = d
	if d.History {
		f.m.kept[d.Name] = &[]dsv.Delta{}
	}
	return nil
}

// whole marks a delta that was written whole: no simulation has such a writer.
const whole = dsv.WriterID(math.MaxUint32)

// Write implements dsv.Space.
func (f *filing) Write(_ context.Context, n dsv.Name, v dsv.Value) (dsv.Revision, error) {
	f.m.revision++
	if ds := f.m.kept[n]; ds != nil {
		at := dsv.Instant(0)
		if f.m.clock != nil {
			at = f.m.clock()
		}
		*ds = append(*ds, dsv.Delta{Name: n, Writer: whole, T0: at, T1: at, Value: v.Clone(), Weight: 1, Seq: uint64(f.m.revision)})
	}
	return f.m.revision, nil
}

// Sync implements dsv.Space.
func (f *filing) Sync(_ context.Context, deltas []dsv.Delta) error {
	for i := range deltas {
		f.m.revision++
		if ds := f.m.kept[deltas[i].Name]; ds != nil {
			d := deltas[i]
			d.Value = d.Value.Clone()
			*ds = append(*ds, d)
		}
	}
	return nil
}

// Declarations implements runs.History.
func (m *Memory) Declarations() []dsv.Declaration {
	ds := make([]dsv.Declaration, 0, len(m.declared))
	for _, d := range m.declared {
		ds = append(ds, d)
	}
	slices.SortFunc(ds, func(a, b dsv.Declaration) int { return strings.Compare(string(a.Name), string(b.Name)) })
	return ds
}

// History implements runs.History.
func (m *Memory) History(n dsv.Name, from, to dsv.Instant, fn func(dsv.Update) error) error {
	if _, ok := m.declared[n]; !ok {
		return fmt.Errorf("history of %s: %w", n, dsv.ErrNotFound)
	}
	ds := m.kept[n]
	if ds == nil {
		return nil
	}
	for i := range *ds {
		d := (*ds)[i]
		if d.T1 <= from || d.T1 > to {
			continue
		}
		u := dsv.Update{Name: n, Reading: dsv.Reading{Value: d.Value, Weight: d.Weight, T1: d.T1}, Delta: &d}
		if d.Writer == whole {
			u.Delta = nil
		}
		if err := fn(u); err != nil {
			return err
		}
	}
	return nil
}

// nowhere is a space that keeps nothing.
type nowhere struct {
	dsv.Space
	revision dsv.Revision
}

func (*nowhere) Create(context.Context, dsv.Declaration) error { return nil }

func (n *nowhere) Write(context.Context, dsv.Name, dsv.Value) (dsv.Revision, error) {
	n.revision++
	return n.revision, nil
}

func (*nowhere) Sync(context.Context, []dsv.Delta) error { return nil }

// tapped is a space that shows what is synchronised before it is kept.
type tapped struct {
	dsv.Space
	see func([]dsv.Delta)
}

// SetClock hands the clock on, where the space takes one.
func (t *tapped) SetClock(now func() dsv.Instant) {
	if c, ok := t.Space.(interface{ SetClock(func() dsv.Instant) }); ok {
		c.SetClock(now)
	}
}

func (t *tapped) Sync(ctx context.Context, deltas []dsv.Delta) error {
	t.see(deltas)
	return t.Space.Sync(ctx, deltas)
}
