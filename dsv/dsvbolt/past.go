package dsvbolt

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"fmt"
	"math"
	"slices"

	bolt "go.etcd.io/bbolt"

	"github.com/eve-emulation/eve/dsv"
)

var _ dsv.Historian = (*DB)(nil)

// History calls fn for each recorded change of a variable with T1 in (from, to], in the order of T1 and then of
// revision, until fn returns an error, which it returns. Changes have their delta, or, where they were written whole,
// the reading; under a resolution a delta covers a window. Former variables of the name are included, and so is what was
// recorded before the call. A variable that keeps no history has none; one that was never declared is ErrNotFound.
func (db *DB) History(n dsv.Name, from, to dsv.Instant, fn func(dsv.Update) error) error {
	return db.past(&history{name: n, from: from, to: to, fn: fn}, false)
}

// Past implements [dsv.Historian].
func (db *DB) Past(n dsv.Name, from, to dsv.Instant, after dsv.Revision, fn func(dsv.Update) error) error {
	return db.past(&history{name: n, from: from, to: to, after: after, fn: fn}, true)
}

func (db *DB) past(h *history, present bool) error {
	if db.readOnly {
		db.mu.Lock()
		s := db.series[h.name]
		if s != nil {
			h.stored = s.stored
		}
		db.mu.Unlock()
		return db.tell(h, s, present, nil)
	}
	// A transaction and what is not in the file yet, of one moment: no commit comes between.
	db.committing.Lock()
	tx, err := db.begin()
	db.mu.Lock()
	s := db.series[h.name]
	if s != nil && err == nil && present {
		db.freeze(s)
	}
	if s != nil && err == nil {
		h.memory, h.stored = s.recent(), s.stored
	}
	closed := db.closed
	db.mu.Unlock()
	db.committing.Unlock()
	if closed {
		err = cmp.Or(err, dsv.ErrClosed)
	}
	if err != nil {
		if tx != nil {
			_ = tx.Rollback()
		}
		return fmt.Errorf("history of %s: %w", h.name, err)
	}
	defer func() { _ = tx.Rollback() }()
	return db.tell(h, s, present, tx)
}

// tell reads within tx, or, where it is nil, in a transaction of its own.
func (db *DB) tell(h *history, s *series, present bool, tx *bolt.Tx) error {
	if s == nil {
		return fmt.Errorf("history of %s: %w", h.name, dsv.ErrNotFound)
	}
	if present {
		h.born = db.birth(s)
	}
	var err error
	if tx == nil {
		err = db.view(h.read)
	} else {
		err = guarded(tx, h.read)
	}
	if err != nil {
		return fmt.Errorf("history of %s in %s: %w", h.name, db.path, err)
	}
	return nil
}

// freeze closes the windows of a series that will be told of: what comes later for them makes others, so that who goes on
// behind a change gets what it has not got, no more and no less. Callers hold mu.
func (db *DB) freeze(s *series) {
	if len(s.windows) == 0 || db.failing != nil && db.buffered > bufferBytes {
		return
	}
	s.limit = db.limit()
	n := s.settle(len(s.windows))
	s.unsaved += n
	db.buffered += n
	db.touch(s)
}

func (db *DB) birth(s *series) dsv.Revision {
	db.mu.Lock()
	defer db.mu.Unlock()
	return s.born
}

// recent returns the chunks that the file does not have as they are. Callers hold the DB's mu.
func (s *series) recent() []chunk {
	cs := slices.Clone(s.full)
	if c, some := s.snapshot(); some {
		cs = append(cs, c)
	}
	return cs
}

// history merges chunks, which overlap where several writers took turns, in the order of time.
type history struct {
	name     dsv.Name
	from, to dsv.Instant
	after    dsv.Revision // 0, or behind which change it begins
	born     dsv.Revision // changes up to here are not told
	fn       func(dsv.Update) error
	memory   []chunk  // not in the file, or newer than there
	stored   chunkSum // which chunks the file has

	since   dsv.Instant // the T1 of the change after
	spans   []span
	pending []dsv.Update
}

// span is one chunk that matters.
type span struct {
	first  uint64
	value  []byte
	lo, hi int64 // T1s
	later  int64 // the least T1 of all chunks behind this one
}

func (h *history) read(tx *bolt.Tx) error {
	if err := h.gather(tx); err != nil {
		return err
	}
	if h.after > 0 {
		if err := h.locate(); err != nil {
			return err
		}
	}
	h.choose()
	for _, s := range h.spans {
		if err := h.decode(s, h.take); err != nil {
			return err
		}
		if err := h.emit(s.later); err != nil {
			return err
		}
	}
	return nil
}

// gather lists all chunks of the variable, by revision.
func (h *history) gather(tx *bolt.Tx) error {
	if old := tx.Bucket([]byte(bucketHistory)); old != nil {
		if b := old.Bucket([]byte(h.name)); b != nil {
			if err := b.ForEach(h.list); err != nil {
				return err
			}
		}
	}
	if b := tx.Bucket([]byte(bucketChunks)); b != nil {
		prefix, before := append([]byte(h.name), 0), len(h.spans)
		c := b.Cursor()
		for k, v := c.Seek(prefix); bytes.HasPrefix(k, prefix); k, v = c.Next() {
			if err := h.list(k[len(prefix):], v); err != nil {
				return err
			}
		}
		found := chunkSum{unsummed: h.stored.unsummed}
		for _, s := range h.spans[before:] {
			found.add(dsv.Revision(s.first))
		}
		if found != h.stored {
			return fmt.Errorf("%d chunks of %d: %w", found.n, h.stored.n, ErrDamaged)
		}
	}
	for _, c := range h.memory { // newer than what the file has of it
		i, found := slices.BinarySearchFunc(h.spans, uint64(c.first), func(s span, r uint64) int { return cmp.Compare(s.first, r) })
		if !found {
			h.spans = slices.Insert(h.spans, i, span{})
		}
		h.spans[i] = span{first: uint64(c.first), value: c.b, lo: c.lo, hi: c.hi}
	}
	return nil
}

// list adds one chunk of the file.
func (h *history) list(k, v []byte) error {
	if len(v) < chunkHead || len(k) != 8 {
		return fmt.Errorf("chunk of %d bytes: %w", len(v), ErrDamaged)
	}
	if _, err := unframe(v); err != nil { // before its T1s decide whether it matters
		return fmt.Errorf("chunk %d: %w", binary.BigEndian.Uint64(k), err)
	}
	h.spans = append(h.spans, span{
		first: binary.BigEndian.Uint64(k), value: v,
		lo: int64(binary.LittleEndian.Uint64(v[8:])), hi: int64(binary.LittleEndian.Uint64(v[16:])),
	})
	return nil
}

// locate finds when the change after was; where it is none of this history, the one before it counts.
func (h *history) locate() error {
	h.since = math.MinInt64
	for i := len(h.spans) - 1; i >= 0 && h.since == math.MinInt64; i-- {
		if h.spans[i].first > uint64(h.after) {
			continue
		}
		err := h.decode(h.spans[i], func(u dsv.Update) {
			if u.Revision <= h.after {
				h.since = u.Reading.T1
			}
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// choose keeps the chunks with changes that are told.
func (h *history) choose() {
	h.spans = slices.DeleteFunc(h.spans, func(s span) bool {
		return s.hi <= int64(h.from) || s.lo > int64(h.to) || s.hi < int64(h.since) && h.after > 0
	})
	later := int64(math.MaxInt64)
	for i := len(h.spans) - 1; i >= 0; i-- {
		h.spans[i].later = later
		later = min(later, h.spans[i].lo)
	}
}

// decode calls fn for a chunk's changes.
func (h *history) decode(s span, fn func(dsv.Update)) error {
	kind := dsv.Kind(s.value[chunkHead-1])
	r := &reader{b: s.value[chunkHead:]}
	p := predictor{rev: s.first}
	for len(r.b) > 0 {
		u, err := readChange(r, &p, h.name, kind)
		if err != nil {
			return fmt.Errorf("chunk %d: %w", s.first, err)
		}
		fn(u)
	}
	return nil
}

// take has a change wait for its turn, if it is one to be told.
func (h *history) take(u dsv.Update) {
	t1 := u.Reading.T1
	if t1 <= h.from || t1 > h.to || u.Revision <= h.born {
		return
	}
	if h.after > 0 && (t1 < h.since || t1 == h.since && u.Revision <= h.after) {
		return
	}
	h.pending = append(h.pending, u)
}

// emit hands out what no later chunk can precede.
func (h *history) emit(later int64) error {
	slices.SortStableFunc(h.pending, func(a, b dsv.Update) int { return cmp.Compare(a.Reading.T1, b.Reading.T1) })
	n := 0
	for n < len(h.pending) && int64(h.pending[n].Reading.T1) < later {
		if err := h.fn(h.pending[n]); err != nil {
			return err
		}
		n++
	}
	rest := copy(h.pending, h.pending[n:])
	clear(h.pending[rest:])
	h.pending = h.pending[:rest]
	return nil
}
