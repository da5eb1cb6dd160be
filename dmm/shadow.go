package dmm

import (
	"fmt"
	"slices"
	"strings"

	"github.com/eve-emulation/eve/dsv"
)

// A Shadow folds what one shard of a Var was told during one window. It belongs to one goroutine at a time.
type Shadow interface {
	// Write folds one sample in, which is finite. Of mean, x is the sum of weight × sample; elsewhere the weight is 1.
	Write(x, weight float64)
	// WriteValue folds a whole value in, which is immutable; a record, for records.
	WriteValue(v dsv.Value)
	// Take returns what a delta carries of it, and empties it for the next window.
	Take() (v dsv.Value, weight float64)
}

// A Leveler is a Shadow that knows what triggers look at after a write; it comes before a manipulator's Level.
type Leveler interface {
	Shadow
	Level() float64
}

// A Faulter is a Shadow that can fail, as a guest can. After a fault it folds as last does.
type Faulter interface {
	Shadow
	// Fault returns why it failed; nil as long as it did not.
	Fault() error
}

// A Merger is a Shadow that also folds what a delta carries, not as one sample but as all those that are in it.
type Merger interface {
	Shadow
	Merge(v dsv.Value, weight float64)
}

// A Timed is a Shadow that is told the time: before each write, at the end of each window, and when it is synchronised.
// The manipulator has one writer. Instants may come again, and a little late.
type Timed interface {
	Shadow
	Now(at dsv.Instant)
}

// A Manipulator is one way to fold samples. A Shadow that is also an io.Closer is closed with its Set; nothing is written
// to it afterwards.
type Manipulator struct {
	Name  string
	Kind  dsv.Kind
	Merge dsv.Merge
	Help  string // one sentence
	New   func(Spec) Shadow
	// Level is what triggers look at after a write of x, given what they looked at before (NaN: nothing); nil means x.
	Level func(before, x, param float64) float64

	AnyKind    bool    // the Spec chooses the kind
	NeedsParam bool    // the Spec's Param is used
	MaxParam   float64 // it is above 0 and at most this; 0 stands for 1
	OneWriter  bool    // the fold depends on the order of writes, so they are not sharded
	PerSecond  bool    // the weight of a delta is the length of its window in seconds
	Silence    Silence // what becomes of a window without writes
}

// Check returns nil for a manipulator that can be used.
func (m Manipulator) Check() error {
	if _, err := dsv.ParseName(m.Name); err != nil {
		return fmt.Errorf("manipulator: %w", err)
	}
	switch {
	case m.New == nil:
		return fmt.Errorf("manipulator %s: it makes no shadows", m.Name)
	case !m.Merge.Holds(m.Kind):
		return fmt.Errorf("manipulator %s: merge rule %v does not hold for %v: %w", m.Name, m.Merge, m.Kind, dsv.ErrKind)
	case !m.OneWriter && m.Merge == dsv.Last:
		return fmt.Errorf("manipulator %s: the latest value depends on the order of writes: it has one writer", m.Name)
	}
	return nil
}

// CheckParam returns nil for a parameter that the manipulator takes, and for every one when it takes none.
func (m Manipulator) CheckParam(x float64) error {
	most := m.MaxParam
	if most == 0 {
		most = 1
	}
	if m.NeedsParam && !(x > 0 && x <= most) {
		return fmt.Errorf("%s needs a parameter in (0, %v], not %v", m.Name, most, x)
	}
	return nil
}

// Silence says whether a time trigger makes a delta of a window in which nothing was written. Readers take a missing
// delta for an empty one.
type Silence uint8

// What becomes of silent windows.
const (
	Quiet   Silence = iota // never a delta
	Once                   // one, after a window in which something was written, so that readers learn of the silence
	Always                 // one each, since the time itself is measured
	Sliding                // one each, of what the shadow still holds, until that is nothing; of those with one writer
)

// A Registry lists manipulators.
type Registry []Manipulator

// Shipped returns the manipulators that Eve has.
func Shipped() Registry {
	f, i := dsv.Float, dsv.Int
	return Registry{
		{Name: "last", Kind: f, Merge: dsv.Last, New: newLast, AnyKind: true, OneWriter: true, Help: "the latest value"},
		{Name: "count", Kind: i, Merge: dsv.Sum, New: newCount, Level: levelCount, Silence: Once, Help: "how many were written"},
		{Name: "sum", Kind: f, Merge: dsv.Sum, New: newSum, Level: levelSum, Silence: Once, Help: "all added up"},
		{Name: "mean", Kind: f, Merge: dsv.Mean, New: newMean, Silence: Once, Help: "the mean, weighted where weights are given"},
		{
			Name: "ewma", Kind: f, Merge: dsv.Last, New: newEWMA, Level: levelEWMA, NeedsParam: true, OneWriter: true,
			Help: "the exponentially weighted moving average; the parameter is the weight of the newest sample",
		},
		{Name: "min", Kind: f, Merge: dsv.Min, New: newMin, Level: levelMin, Help: "the least"},
		{Name: "max", Kind: f, Merge: dsv.Max, New: newMax, Level: levelMax, Help: "the greatest"},
		{
			Name: "rate", Kind: f, Merge: dsv.Mean, New: newRate, PerSecond: true, Silence: Always,
			Help: "writes per second over the window, of one participant",
		},
		{
			Name: "histogram", Kind: dsv.Histogram, Merge: dsv.Hists, New: newHistogram, Silence: Once,
			Help: "all samples, to three significant digits",
		},
		{
			Name: "window", Kind: dsv.Histogram, Merge: dsv.Last, New: newWindow, NeedsParam: true, MaxParam: maxWindow, OneWriter: true,
			Silence: Sliding, Help: "all samples of the last seconds, to three significant digits; the parameter says how many",
		},
		{
			Name: "sample", Kind: f, Merge: dsv.Last, New: newSample, NeedsParam: true, MaxParam: 1e9, OneWriter: true,
			Help: "one write in so many; the parameter says in how many",
		},
		{Name: "records", Kind: dsv.Bytes, Merge: dsv.Append, New: newRecords, Help: "every record, in chunks"},
	}
}

// Lookup returns the manipulator of that name; ErrManipulator, listing those that exist.
func (r Registry) Lookup(name string) (Manipulator, error) {
	i := slices.IndexFunc(r, func(m Manipulator) bool { return m.Name == name })
	if i < 0 {
		return Manipulator{}, fmt.Errorf("%q: %w (there are %s)", name, ErrManipulator, strings.Join(r.Names(), ", "))
	}
	return r[i], nil
}

// Names lists the manipulators' names.
func (r Registry) Names() []string {
	names := make([]string, len(r))
	for i, m := range r {
		names[i] = m.Name
	}
	return names
}
