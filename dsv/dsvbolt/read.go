package dsvbolt

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"math"
	"slices"

	bolt "go.etcd.io/bbolt"

	"github.com/eve-emulation/eve/dsv"
)

// encode writes a last value and the progress of its writers.
func (e *lastEntry) encode() []byte {
	b := make([]byte, 8, 64)
	flags := byte(0)
	if e.last.Deleted {
		flags = flagDeleted
	}
	held := e.last.Reading.Value.Kind
	b = append(b, flags, byte(held))
	b = binary.AppendUvarint(b, uint64(e.last.Revision))
	b = binary.AppendVarint(b, int64(e.last.Reading.T1))
	b = binary.LittleEndian.AppendUint64(b, math.Float64bits(e.last.Reading.Weight))
	b = binary.AppendUvarint(b, uint64(len(e.seen)))
	for _, p := range e.seen {
		b = binary.AppendUvarint(b, uint64(p.Writer))
		b = binary.AppendUvarint(b, uint64(p.Epoch))
		b = binary.AppendUvarint(b, p.Seq)
	}
	var none predictor
	b, same := none.appendValue(b, held, e.last.Reading.Value)
	if same {
		b[8] |= flagValue
	}
	seal(b)
	return b
}

func decodeLast(n dsv.Name, value []byte) (*lastEntry, error) {
	b, err := unframe(value)
	if err != nil {
		return nil, err
	}
	r := &reader{b: b}
	flags, held := r.byte(), dsv.Kind(r.byte())
	e := &lastEntry{name: n, kind: held, last: dsv.Update{Name: n, Deleted: flags&flagDeleted != 0}}
	e.last.Revision = dsv.Revision(r.uvarint())
	e.last.Reading.Revision = e.last.Revision
	e.last.Reading.T1 = dsv.Instant(r.varint())
	if w := r.take(8); len(w) == 8 {
		e.last.Reading.Weight = math.Float64frombits(binary.LittleEndian.Uint64(w))
	}
	for range min(r.uvarint(), uint64(len(r.b))) {
		e.seen = append(e.seen, dsv.Progress{Writer: dsv.WriterID(r.uvarint()), Epoch: uint32(r.uvarint()), Seq: r.uvarint()})
	}
	if held != 0 {
		var none predictor
		if e.last.Reading.Value, err = none.readValue(r, held, flags&flagValue != 0); err != nil {
			return nil, err
		}
	}
	return e, r.err()
}

// loadSeries reads declarations, last values and progress.
func (db *DB) loadSeries(tx *bolt.Tx) error {
	return tx.Bucket([]byte(bucketDeclarations)).ForEach(func(k, v []byte) error {
		s := &series{}
		text, err := unframe(v)
		if err == nil {
			err = json.Unmarshal(text, &s.decl)
		}
		if err != nil {
			return fmt.Errorf("declaration of %s: %w", k, err)
		}
		n := dsv.Name(k)
		if value := tx.Bucket([]byte(bucketLast)).Get(k); value != nil {
			e, err := decodeLast(n, value)
			if err != nil {
				return fmt.Errorf("last value of %s: %w", n, err)
			}
			s.last, s.seen = e.last, e.seen
		}
		db.series[n] = s
		return nil
	})
}

// Declarations lists what was ever declared, by name, deleted variables included.
func (db *DB) Declarations() []dsv.Declaration {
	db.mu.Lock()
	defer db.mu.Unlock()
	ds := make([]dsv.Declaration, 0, len(db.series))
	for _, s := range db.series {
		ds = append(ds, s.decl)
	}
	slices.SortFunc(ds, func(a, b dsv.Declaration) int { return cmp.Compare(a.Name, b.Name) })
	return ds
}

// Last returns the last change of a variable with the reading after it, but no delta; of variables merged by Append the
// reading has no value, since the history has. ErrNotFound, or ErrUnset when it never changed.
func (db *DB) Last(n dsv.Name) (dsv.Update, error) {
	db.mu.Lock()
	defer db.mu.Unlock()
	s := db.series[n]
	switch {
	case s == nil:
		return dsv.Update{}, fmt.Errorf("last %s: %w", n, dsv.ErrNotFound)
	case s.last.Revision == 0:
		return dsv.Update{}, fmt.Errorf("last %s: %w", n, dsv.ErrUnset)
	}
	u := s.last
	u.Reading.Value = u.Reading.Value.Clone()
	return u, nil
}

// Restore puts what the file has into an empty Store, and lets its revisions continue where they cannot have been used:
// for a kernel that was started again.
func (db *DB) Restore(store *dsv.Store) error {
	db.mu.Lock()
	defer db.mu.Unlock()
	for n, s := range db.series {
		if s.last.Deleted {
			continue
		}
		last := s.last
		if s.decl.Merge == dsv.Append {
			last.Reading.Value = dsv.BytesValue(nil)
		}
		if err := store.Restore(s.decl, last, s.seen); err != nil {
			return fmt.Errorf("restore %s from %s: %w", n, db.path, err)
		}
	}
	store.SetRevision(db.revision)
	return nil
}

// History calls fn for each recorded change of a variable with T1 in (from, to], in the order of T1 and then of
// revision, until fn returns an error, which it returns. Changes have their delta, or, where they were written whole,
// the reading. What was recorded before the call is included. A variable that keeps no history has none; one that was
// never declared is ErrNotFound.
func (db *DB) History(n dsv.Name, from, to dsv.Instant, fn func(dsv.Update) error) error {
	db.mu.Lock()
	known := db.series[n] != nil
	db.mu.Unlock()
	if !known {
		return fmt.Errorf("history of %s: %w", n, dsv.ErrNotFound)
	}
	if !db.readOnly {
		if err := db.Flush(); err != nil {
			return fmt.Errorf("history of %s: %w", n, err)
		}
	}
	err := db.view(func(tx *bolt.Tx) error {
		b := tx.Bucket([]byte(bucketHistory)).Bucket([]byte(n))
		if b == nil {
			return nil
		}
		h := history{name: n, from: from, to: to, fn: fn}
		return h.read(b)
	})
	if err != nil {
		return fmt.Errorf("history of %s in %s: %w", n, db.path, err)
	}
	return nil
}

// history merges chunks, which overlap where several writers took turns, in the order of time.
type history struct {
	name     dsv.Name
	from, to dsv.Instant
	fn       func(dsv.Update) error
	pending  []dsv.Update
}

// span is one chunk that matters.
type span struct {
	key   []byte
	later int64 // the least T1 of all chunks behind this one
}

func (h *history) read(b *bolt.Bucket) error {
	spans, err := h.choose(b)
	if err != nil {
		return err
	}
	for _, s := range spans {
		if err := h.decode(binary.BigEndian.Uint64(s.key), b.Get(s.key)); err != nil {
			return fmt.Errorf("chunk %d: %w", binary.BigEndian.Uint64(s.key), err)
		}
		if err := h.emit(s.later); err != nil {
			return err
		}
	}
	return nil
}

// choose lists the chunks with changes in (from, to].
func (h *history) choose(b *bolt.Bucket) ([]span, error) {
	var spans []span
	var los []int64
	err := b.ForEach(func(k, v []byte) error {
		if len(v) < chunkHead || len(k) != 8 {
			return fmt.Errorf("chunk of %d bytes: %w", len(v), ErrDamaged)
		}
		if _, err := unframe(v); err != nil {
			return fmt.Errorf("chunk %d: %w", binary.BigEndian.Uint64(k), err)
		}
		lo, hi := int64(binary.LittleEndian.Uint64(v[8:])), int64(binary.LittleEndian.Uint64(v[16:]))
		if hi > int64(h.from) && lo <= int64(h.to) {
			spans = append(spans, span{key: bytes.Clone(k)})
			los = append(los, lo)
		}
		return nil
	})
	later := int64(math.MaxInt64)
	for i := len(spans) - 1; i >= 0; i-- {
		spans[i].later = later
		later = min(later, los[i])
	}
	return spans, err
}

// decode appends a chunk's changes to those that wait.
func (h *history) decode(first uint64, value []byte) error {
	b, err := unframe(value)
	if err != nil {
		return err
	}
	kind := dsv.Kind(b[chunkHead-9])
	r := &reader{b: b[chunkHead-8:]}
	p := predictor{rev: first}
	for len(r.b) > 0 {
		u, err := readChange(r, &p, h.name, kind)
		if err != nil {
			return err
		}
		if u.Reading.T1 > h.from && u.Reading.T1 <= h.to {
			h.pending = append(h.pending, u)
		}
	}
	return nil
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
