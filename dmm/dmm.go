// Package dmm manipulates measurements on their way from where they are written to where they are read.
//
// The nouns, in the order in which a reader meets them:
//
//   - [Manipulator]: what becomes of samples: last, count, sum, mean, ewma, min, max, rate, histogram, records. A
//     [Registry] lists them.
//   - [Trigger]: when what was written is synchronised: every so often, every so many writes, on a change, above or
//     below a threshold; several combine by "any".
//   - [Spec]: one manipulated variable: its name, its manipulator, its trigger.
//   - [Var]: the shadow of one variable at one participant, which many goroutines write.
//   - [Set]: all of a participant's Vars; it turns what was written into deltas for a [dsv.Space].
//   - [Window]: the reader's side: it keeps the deltas of one variable and sums those of any stretch of time to a [Total].
//
// A window of a variable that is synchronised every period ends at exact multiples of the period since T0, whoever
// wrote first or last: each sample is counted in the window (T0, T1] that holds its instant, unless that window was
// handed out before the sample was written. A Set therefore should be advanced a little after the windows' ends.
package dmm

import (
	"errors"
	"fmt"
	"math"
	"strings"
	"time"

	"github.com/eve-emulation/eve/dsv"
)

// A Trigger says when a variable is synchronised; any of its conditions suffices. The zero Trigger synchronises only
// when its Set closes, which always synchronises.
type Trigger struct {
	// Every synchronises at the multiples of this period since T0.
	Every time.Duration `json:"every,omitempty"`
	// Count synchronises after so many writes since the last synchronisation.
	Count int `json:"count,omitempty"`
	// Change synchronises once the level differs from what it was at the last synchronisation by at least this much;
	// ChangeRelative, by at least this fraction of what it was. The first write always does. The level is the
	// variable's shadow where that is a running value (last, count, sum, ewma, min, max), else the written sample.
	Change         float64 `json:"change,omitempty"`
	ChangeRelative float64 `json:"change_relative,omitempty"`
	// Above and Below synchronise when the level comes to be above, or below, the threshold, and was not before.
	Above *float64 `json:"above,omitempty"`
	Below *float64 `json:"below,omitempty"`
}

// String tells the trigger in words, such as "every 100ms or 500 writes": how much a writer that dies can have lost.
// The zero Trigger is "its end".
func (t Trigger) String() string {
	var any []string
	if t.Every > 0 {
		any = append(any, "every "+t.Every.String())
	}
	if t.Count > 0 {
		any = append(any, fmt.Sprintf("%d writes", t.Count))
	}
	if t.Change > 0 {
		any = append(any, fmt.Sprintf("a change by %g", t.Change))
	}
	if t.ChangeRelative > 0 {
		any = append(any, fmt.Sprintf("a change by %g%%", 100*t.ChangeRelative))
	}
	if t.Above != nil {
		any = append(any, fmt.Sprintf("above %g", *t.Above))
	}
	if t.Below != nil {
		any = append(any, fmt.Sprintf("below %g", *t.Below))
	}
	if len(any) == 0 {
		return "its end"
	}
	return strings.Join(any, " or ")
}

// levels says whether the trigger looks at what is written.
func (t Trigger) levels() bool {
	return t.Change > 0 || t.ChangeRelative > 0 || t.Above != nil || t.Below != nil
}

// Check returns nil for a trigger that can be kept.
func (t Trigger) Check() error {
	if t.Every < 0 || t.Every > 0 && t.Every < time.Millisecond {
		return fmt.Errorf("every %v: at least 1ms", t.Every)
	}
	if t.Count < 0 {
		return fmt.Errorf("count %d: at least 1", t.Count)
	}
	for _, x := range []float64{t.Change, t.ChangeRelative} {
		if !(x >= 0) || math.IsInf(x, 0) {
			return fmt.Errorf("change %v: a positive number", x)
		}
	}
	for _, x := range []*float64{t.Above, t.Below} {
		if x != nil && (math.IsNaN(*x) || math.IsInf(*x, 0)) {
			return fmt.Errorf("threshold %v: a number", *x)
		}
	}
	return nil
}

// A Spec says how one variable is manipulated.
type Spec struct {
	Name        dsv.Name
	Manipulator string       // as the Registry names it
	Custom      *Manipulator // a manipulator of one's own; nil: Manipulator is one that Eve has
	Kind        dsv.Kind     // last: what is held; zero means Float. Every other manipulator has its own kind.
	Param       float64      // what the manipulator says of it: of ewma alpha, of window seconds, of sample how many
	Sync        Trigger
	// OnFault is told, once, why a manipulator failed for good (see [Faulter]); the variable goes on without it, as a
	// last. It is called where the variable is synchronised, never by a write, and must not block. It may be nil.
	OnFault func(name dsv.Name, err error)
}

// manipulator returns what Custom or Manipulator says.
func (s Spec) manipulator() (Manipulator, error) {
	if s.Custom != nil {
		return *s.Custom, s.Custom.Check()
	}
	return shipped.Lookup(s.Manipulator)
}

// shipped is never changed.
var shipped = Shipped()

// Declaration returns the declaration of the manipulated variable; kind and merge rule follow from the manipulator. An
// unknown manipulator gives a declaration without a kind, which no Space accepts; NewSet says what is wrong.
func (s Spec) Declaration(unit, help string, history bool) dsv.Declaration {
	m, _ := s.manipulator()
	d := dsv.Declaration{Name: s.Name, Kind: m.Kind, Merge: m.Merge, Unit: unit, Help: help, History: history}
	if m.AnyKind && s.Kind != 0 {
		d.Kind = s.Kind
	}
	return d
}

// Check returns nil for a spec of which a Set can make a Var.
func (s Spec) Check() error {
	if _, err := dsv.ParseName(string(s.Name)); err != nil {
		return err
	}
	m, err := s.manipulator()
	if err != nil {
		return fmt.Errorf("measure %s: %w", s.Name, err)
	}
	if s.Kind != 0 && s.Kind != m.Kind && !m.AnyKind {
		return fmt.Errorf("measure %s: %s holds %v, not %v: %w", s.Name, m.Name, m.Kind, s.Kind, dsv.ErrKind)
	}
	if m.AnyKind && s.Kind == dsv.Histogram {
		return fmt.Errorf("measure %s: %s holds no histograms: %w", s.Name, m.Name, dsv.ErrKind)
	}
	if err := m.CheckParam(s.Param); err != nil {
		return fmt.Errorf("measure %s: %w", s.Name, err)
	}
	if kind := s.Declaration("", "", false).Kind; s.Sync.levels() && (kind == dsv.Text || kind == dsv.Bytes) {
		return fmt.Errorf("measure %s: change, above and below need numbers, not %v: %w", s.Name, kind, dsv.ErrKind)
	}
	if err := s.Sync.Check(); err != nil {
		return fmt.Errorf("measure %s: synchronise %w", s.Name, err)
	}
	return nil
}

// ErrManipulator reports a manipulator that does not exist.
var ErrManipulator = errors.New("no such manipulator")
