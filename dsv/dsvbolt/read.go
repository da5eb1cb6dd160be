package dsvbolt

import (
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
	if e.born > 0 || e.stored.n > 0 {
		b = binary.AppendUvarint(b, uint64(e.born))
		b = binary.AppendUvarint(b, e.stored.n)
		if !e.stored.unsummed {
			b = binary.AppendUvarint(b, e.stored.firsts)
		}
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
	if len(r.b) > 0 {
		e.born, e.stored.n = dsv.Revision(r.uvarint()), r.uvarint()
		if len(r.b) > 0 {
			e.stored.firsts = r.uvarint()
		} else {
			e.stored.unsummed = e.stored.n > 0
		}
	}
	return e, r.err()
}

// lastEntry is what the file has of a variable beside its history.
type lastEntry struct {
	name dsv.Name
	last dsv.Update
	seen []dsv.Progress
	kind dsv.Kind
	born dsv.Revision // that of the former variable's deletion

	stored chunkSum // of the chunks in the file, those of formatOld apart
}

// loadSeries reads declarations, last values and progress.
func (db *DB) loadSeries(tx *bolt.Tx) error {
	lasts := 0
	if err := tx.Bucket([]byte(bucketLast)).ForEach(func([]byte, []byte) error { lasts++; return nil }); err != nil {
		return err
	}
	err := tx.Bucket([]byte(bucketDeclarations)).ForEach(func(k, v []byte) error {
		s := &series{declared: true}
		text, err := unframe(v)
		if err == nil {
			err = json.Unmarshal(text, &s.decl)
		}
		n := dsv.Name(k)
		if err == nil && s.decl.Name != n {
			err = fmt.Errorf("it is of %s: %w", s.decl.Name, ErrDamaged)
		}
		if err != nil {
			return fmt.Errorf("declaration of %s: %w", k, err)
		}
		e, err := decodeLast(n, tx.Bucket([]byte(bucketLast)).Get(k))
		if err != nil {
			return fmt.Errorf("last value of %s: %w", n, err)
		}
		s.last, s.seen, s.born, s.stored = e.last, e.seen, e.born, e.stored
		if s.keeps() {
			db.histories++
		}
		db.series[n] = s
		return nil
	})
	if err == nil && lasts != len(db.series) {
		err = fmt.Errorf("%d last values of %d variables: %w", lasts, len(db.series), ErrDamaged)
	}
	return err
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
	if err := db.restoreDeletions(store); err != nil {
		return err
	}
	for n, s := range db.series {
		last := s.last
		if last.Deleted {
			continue
		}
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

// restoreDeletions tells the Store the latest deletion of each name, in their order. Callers hold mu.
func (db *DB) restoreDeletions(store *dsv.Store) error {
	var dead []dsv.Update
	for n, s := range db.series {
		if s.last.Deleted {
			dead = append(dead, s.last)
		} else if s.born > 0 {
			dead = append(dead, dsv.Update{Name: n, Revision: s.born, Deleted: true})
		}
	}
	slices.SortFunc(dead, func(a, b dsv.Update) int { return cmp.Compare(a.Revision, b.Revision) })
	for _, u := range dead {
		if err := store.Restore(db.series[u.Name].decl, u, nil); err != nil {
			return fmt.Errorf("restore the deletion of %s from %s: %w", u.Name, db.path, err)
		}
	}
	return nil
}
