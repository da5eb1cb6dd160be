// Package dsv holds Eve's distributed shared variables: named, typed values that every participant of a run
// reaches by name, wherever they live.
//
// The nouns, in the order in which a reader meets them:
//
//   - [Instant]: a moment of a run, nanoseconds since its T0.
//   - [Name], [Kind], [Value]: what a variable is called, what it may hold, what it holds.
//   - [Declaration]: what its author promises about it: kind, unit, help, merge rule, retention, durability.
//   - [Delta]: what one writer adds to it since its last synchronisation; the declared [Merge] rule folds deltas.
//   - [Space]: what a participant can do with variables. [Store] keeps them in memory; a proxy speaks to a distant
//     Store. Every implementation passes dsvtest.
//   - [Update]: one change as watchers and the [Recorder] see it.
//
// No consistency is enforced: a read may be slightly old. A [Revision] lets a reader that needs more ask for it.
package dsv

import (
	"context"
	"errors"
	"math"
	"time"
)

// An Instant is a moment of a run: nanoseconds since T0, which all participants agree on. Cores are handed instants
// and never ask a clock.
type Instant int64

// Never is later than every instant of a run: a core that waits for input only.
const Never Instant = math.MaxInt64

// At converts a duration since T0.
func At(d time.Duration) Instant { return Instant(d) }

// Add returns the instant d later; Never stays Never.
func (t Instant) Add(d time.Duration) Instant {
	if t == Never {
		return Never
	}
	return t + Instant(d)
}

// Sub returns the time from u to t.
func (t Instant) Sub(u Instant) time.Duration { return time.Duration(t - u) }

// Seconds returns the time since T0 in seconds.
func (t Instant) Seconds() float64 { return float64(t) / 1e9 }

// A Revision orders all changes of one Space. Revisions rise strictly and are never reused, also across restarts.
// Zero means "never written".
type Revision uint64

// A Name is a dotted variable name: parts of [a-z][a-z0-9_]* joined by dots, at most 200 bytes.
type Name string

// Kind says what a variable holds.
type Kind uint8

// The kinds.
const (
	Float     Kind = iota + 1 // a float64, finite
	Int                       // an int64
	Text                      // UTF-8, at most MaxBytes
	Bytes                     // at most MaxBytes
	Histogram                 // a Hist
)

// MaxBytes bounds one Text or Bytes value.
const MaxBytes = 512 << 10

// A Value is what a variable holds. The zero Value has no kind and is held by nothing. Values are immutable: whoever
// makes one gives up its Bytes and its Hist, and whoever receives one must not change them.
type Value struct {
	Kind  Kind
	Float float64
	Int   int64
	Text  string
	Bytes []byte
	Hist  *Hist
}

// Merge says how deltas of several writers become one value.
type Merge uint8

// The merge rules. Sum, Min, Max hold for Float and Int; Mean for Float; Hists for Histogram; Append for Bytes;
// Last for every kind.
const (
	Last   Merge = iota // the latest by (T1, arrival)
	Sum                 // added up
	Min                 // the least
	Max                 // the greatest
	Mean                // deltas carry (sum, weight); the value is sum/weight
	Hists               // bucket by bucket
	Append              // records: the value is the latest chunk, the history is all of them
)

// A Declaration is what the creator of a variable promises about it.
type Declaration struct {
	Name    Name
	Kind    Kind
	Unit    string // as SI writes it: "s", "1", "B", "1/s"; empty for text
	Help    string // one sentence
	Merge   Merge
	History bool // every delta is kept by the Recorder; otherwise only the last value is
	Durable bool // an acknowledged write is on disk
	// Resolution, with History, folds deltas to windows of this length, multiples since T0, before they are kept; 0 keeps
	// every delta. Whole writes, and the records of Append, are always kept.
	Resolution time.Duration
}

// A WriterID names one writer of variables: a process's substrate. It is unique within a run.
type WriterID uint32

// A Delta is what one writer adds to a variable since its last synchronisation. The window is (T0, T1].
//
// Seq rises by one with each delta of the same writer, epoch and variable; a Space discards what it has merged before,
// so a delta may be sent twice. Epoch rises when a writer starts again and has lost its count.
type Delta struct {
	Name   Name
	Writer WriterID
	Epoch  uint32
	Seq    uint64
	T0, T1 Instant
	// Value is the sum, the least, the greatest, the buckets, the records or the latest value, by the merge rule. For
	// Mean it is the sum of weight × sample.
	Value Value
	// Weight is the number of samples folded in; for Mean the sum of weights, which may be seconds.
	Weight float64
}

// A Reading is a variable's value as a reader finds it.
type Reading struct {
	Value    Value   // cumulative since the variable was created; for Mean the mean
	Weight   float64 // samples, or weights, behind it
	Revision Revision
	T1       Instant // the latest instant that the value covers
}

// An Update is one change of one variable, as watchers and the Recorder see it.
type Update struct {
	Name     Name
	Revision Revision
	Reading  Reading
	// Delta is what was merged; nil when the variable was written whole. Under Watch mode Latest it covers all changes
	// since the watcher's last update, with the newest change's writer, epoch and seq; of Append it is the newest chunk.
	// It is nil when one of those changes was a whole write.
	Delta   *Delta
	Deleted bool
	// Skipped counts the changes that Latest folded into this one.
	Skipped int
	// Gap, where not zero, says that a watcher in mode All was too slow: it was cut off, and Gap is the oldest revision
	// from which it can resume. It is the last update of its Watch.
	Gap Revision
}

// Info is what a Space knows about a variable.
type Info struct {
	Declaration Declaration
	Revision    Revision
	Writers     int           // writers whose deltas were merged
	Watchers    int           // live watches that match it
	Age         time.Duration // of the copy that answered: 0 at the Store itself
	Manipulated string        // how what is written is folded at the Store, in words; empty when it is not
	Losses      []Loss        // writers that ended without their last synchronisation, oldest first
}

// A Loss says what a variable may miss: Writer ended without a last synchronisation, and what it folded since the
// instant Since is lost. That is at most what its trigger Sync, as a scenario writes it, lets a writer hold back.
type Loss struct {
	Module string
	Writer WriterID
	Since  Instant
	Sync   string
}

// A HistoryRequest asks for a stretch of a variable's history.
type HistoryRequest struct {
	Name       Name
	From, To   Instant       // changes with T1 in (From, To]; To 0 is no bound. A negative From includes what was written before T0
	Resolution time.Duration // folds to windows of this length, multiples since T0; 0 folds nothing
	Limit      int           // of one page; 0, and more than MaxPage, mean MaxPage
	Cursor     uint64        // of the page before; 0 begins
}

// MaxPage bounds the deltas of one HistoryPage. Large deltas fill a page sooner, so that a frame carries it.
const MaxPage = 4096

// A HistoryPage is what one History call returns: deltas in the order of T1, then of arrival. Whole writes come as
// deltas of writer 0, whose Seq is the revision and whose window is empty, of weight 1 (a histogram's is its count).
// Under a Resolution a delta covers one window, with the newest change's writer, epoch and seq; whole writes of
// variables merged otherwise than by Last, and records of Append, stand alone.
//
// While More is set, the next page is asked for by the same request with this Cursor. A delta that arrives meanwhile
// with a T1 before the page's end is in none of the pages.
type HistoryPage struct {
	Deltas []Delta
	Cursor uint64
	More   bool
}

// Mode says what a Watch must not lose.
type Mode uint8

// The modes of a Watch.
const (
	Latest Mode = iota // coalesced; never slows a writer; skips are counted
	All                // every change once and in order, or an explicit gap
)

// A WatchRequest says what to watch.
type WatchRequest struct {
	// Pattern is a name, a prefix that ends in ".*", "*" for everything, or one with '*' for single parts
	// ("*.cpu.utilisation").
	Pattern string
	Mode    Mode
	// From resumes after a revision (mode All); zero starts with the present values. In mode Latest a watch always starts
	// with them, and, where From is not zero, with the deletions since, as far as they are remembered: of the last 8192
	// at least.
	From Revision
	// Window and Every are of a derived value (Pattern is a name such as app.latency.p95): it is computed over the last
	// Window, 0 for all since the variable was created, and told at the multiples of Every since T0, 0 for 1 s. A Space
	// that derives nothing ignores them.
	Window, Every time.Duration
}

// A Watch delivers updates until it is closed, cut off, or its Space closes.
type Watch interface {
	// Next waits for the next update. It returns ErrClosed after Close, the context's error when ctx ends, and after an
	// update with a Gap it returns ErrGap. One goroutine at a time may call it.
	Next(ctx context.Context) (Update, error)
	// Close ends the watch; it may be called twice and from any goroutine.
	Close() error
}

// A Space is what a participant can do with variables, wherever they live. Every method may be called from several
// goroutines at once. Implementations never share memory with the caller.
type Space interface {
	// Create declares a variable. Creating it again with an equal declaration is no error; with another one it is
	// ErrExists.
	Create(ctx context.Context, d Declaration) error
	// Read returns the value as known here; ErrNotFound, or ErrUnset when it was never written.
	Read(ctx context.Context, n Name) (Reading, error)
	// Write replaces the value: ErrNotFound, ErrKind. For Durable variables it returns once the value is on disk.
	Write(ctx context.Context, n Name, v Value) (Revision, error)
	// TestAndSet writes v if the variable's revision is still old (0: never written); else ErrStale and the present
	// revision.
	TestAndSet(ctx context.Context, n Name, old Revision, v Value) (Revision, error)
	// Sync merges deltas by their declared rules, in order. Repeats are discarded silently. A delta that cannot be
	// merged does not stop the others; the errors are joined.
	Sync(ctx context.Context, deltas []Delta) error
	Info(ctx context.Context, n Name) (Info, error)
	Delete(ctx context.Context, n Name) error
	Watch(ctx context.Context, r WatchRequest) (Watch, error)
	// History returns a page of a variable's past: ErrNotFound, or ErrNoHistory when none is kept.
	History(ctx context.Context, r HistoryRequest) (HistoryPage, error)
}

// Progress is the last delta of one writer that was merged into a variable: what came before is a repeat.
type Progress struct {
	Writer WriterID
	Epoch  uint32
	Seq    uint64
	T1     Instant // the latest instant that its deltas cover; 0 when that is not known
}

// A Recorder keeps declarations, last values and history. The Store calls Declare and Record in revision order from one
// goroutine at a time, holding its lock, so both must be quick: implementations buffer. Flush, which may run beside
// them and beside itself, returns once everything that was recorded before it began is durable.
type Recorder interface {
	Declare(d Declaration) error
	// Record keeps one change. The Update's Delta is valid only during the call; the values are immutable.
	Record(u Update) error
	Flush() error
	Close() error
}

// A Historian is a Recorder that can be asked about the past while it records.
type Historian interface {
	Recorder
	// Past calls fn for each change that was kept of the present variable called n, as it was created last, with T1 in
	// (from, to], in the order of T1 and then of revision, until fn returns an error, which it returns. Where after is not
	// 0, it begins behind the change of this revision. What was recorded before the call is included. Changes have their
	// delta, or, where they were written whole, the reading.
	Past(n Name, from, to Instant, after Revision, fn func(Update) error) error
}

// The errors of a Space. Implementations wrap them with operation and name.
var (
	ErrNotFound = errors.New("no such variable")
	ErrUnset    = errors.New("never written")
	ErrExists   = errors.New("exists with another declaration")
	ErrStale    = errors.New("written since")
	ErrKind     = errors.New("wrong kind of value")
	ErrName     = errors.New("not a variable name")
	ErrTooLarge = errors.New("value too large")
	ErrGap      = errors.New("watch was cut off: reader too slow")
	ErrClosed   = errors.New("closed")
	// ErrNoHistory reports a variable whose declaration keeps no history, or a Space without a Recorder that tells it.
	ErrNoHistory = errors.New("no history is kept")
)
