package dsvbolt

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"syscall"
	"time"

	bolt "go.etcd.io/bbolt"

	"github.com/eve-emulation/eve/dsv"
)

// A commit is several transactions, so that none takes long: each writes so many bytes, where an entry and a new
// declaration count for the pages that they touch.
const (
	transactionBytes = 640 << 10
	entryCost        = 1000
	declarationCost  = 1000
	examined         = 4096 // series under one hold of the mutex
)

// A chunk that takes more changes is written again once it has grown to the double, or when so many commits passed it
// over, or when someone waits for it.
const passedOver = 4

// entry is what one transaction writes of one series.
type entry struct {
	s       *series
	name    dsv.Name
	decl    []byte // nil unless it is new
	last    lastEntry
	chunks  []chunk
	opened  bool // the last of chunks takes more changes
	unsaved int
}

// batch is what one transaction writes.
type batch struct {
	entries  []entry
	bytes    int
	revision dsv.Revision
	gaps     []byte // nil unless they changed
}

// Flush implements [dsv.Recorder].
func (db *DB) Flush() error {
	db.mu.Lock()
	closed := db.closed
	db.mu.Unlock()
	if closed {
		return fmt.Errorf("flush %s: %w", db.path, dsv.ErrClosed)
	}
	if db.readOnly {
		return fmt.Errorf("flush %s: %w", db.path, ErrReadOnly)
	}
	return db.commit(true, true)
}

// commit writes what was recorded before, all of it or what is due. While a Store lives, revisions may rise by a lease
// until the next transaction.
func (db *DB) commit(lives, all bool) error {
	db.flushing.Lock()
	defer db.flushing.Unlock()
	db.mu.Lock()
	err, left := db.err, len(db.dirty)
	db.mu.Unlock()
	if err != nil {
		return fmt.Errorf("write %s: %w", db.path, err)
	}
	for first := true; first || left > 0; first = false {
		n, err := db.transact(left, lives, all)
		if err != nil {
			return fmt.Errorf("write %s: %w", db.path, err)
		}
		left -= n
	}
	db.mu.Lock()
	db.floor = db.buffered
	db.room.Broadcast()
	db.mu.Unlock()
	return nil
}

// transact runs one transaction for some of the first left dirty series, and returns of how many.
func (db *DB) transact(left int, lives, all bool) (int, error) {
	db.committing.Lock()
	defer db.committing.Unlock()
	b, n := db.collect(left, all)
	if lives {
		if len(b.entries) == 0 && b.gaps == nil {
			return n, nil
		}
		b.revision += revisionLease
	}
	before, began := db.bolt.Stats().TxStats, time.Now()
	err := db.update(b.write)
	took, after := time.Since(began), db.bolt.Stats().TxStats
	db.wrote(b, err)
	if err == nil {
		db.trim(after.PageAlloc - before.PageAlloc)
		db.mu.Lock()
		db.stats.add(after.PageAlloc-before.PageAlloc, took, took-(after.WriteTime-before.WriteTime))
		db.mu.Unlock()
	}
	return n, err
}

// collect takes what one transaction writes from the first left dirty series, and returns how many it looked at. Callers
// hold committing.
func (db *DB) collect(left int, all bool) (*batch, int) {
	db.mu.Lock()
	defer db.mu.Unlock()
	b := &batch{revision: db.revision}
	if db.gapsNew {
		b.gaps, db.gapsNew = encodeGaps(db.gaps), false
	}
	n := 0
	for n < min(left, examined) && b.bytes < transactionBytes {
		s := db.dirty[n]
		n++
		if !all && !s.due() {
			s.waits++
			db.dirty = append(db.dirty, s) // still dirty, behind the others
			continue
		}
		e, rest := s.collect(transactionBytes - b.bytes)
		db.buffered -= e.unsaved
		b.bytes += e.cost()
		b.entries = append(b.entries, e)
		if rest {
			n-- // it is the first of the next transaction
			break
		}
	}
	clear(db.dirty[:n])
	db.dirty = db.dirty[n:]
	return b, n
}

// due says whether a commit that nobody waits for writes the series.
func (s *series) due() bool {
	fresh := len(s.open.b) - s.open.saved
	return !s.declared || !s.keeps() || len(s.full) > 0 || fresh >= s.open.saved-chunkHead || s.waits >= passedOver
}

// collect takes what the file does not have, of complete chunks only about so many bytes; rest says that this was not
// all.
func (s *series) collect(most int) (e entry, rest bool) {
	e = entry{s: s, name: s.decl.Name, unsaved: s.unsaved}
	if !s.declared {
		e.decl, _ = json.Marshal(s.decl) // it has no errors
	}
	if e.chunks, s.full = s.complete(most); len(s.full) > 0 {
		rest, e.unsaved = true, 0
		for _, c := range e.chunks {
			e.unsaved += len(c.b) - c.saved
		}
		e.unsaved = min(max(e.unsaved, 0), s.unsaved)
	} else if !s.open.clean() || len(s.open.b) == 0 && len(s.windows) > 0 {
		if c, some := s.snapshot(); some {
			e.chunks, e.opened = append(e.chunks, c), true
			s.open.saved, s.open.stale, s.open.stored, s.open.extra = c.saved, false, true, len(s.windows) > 0
		}
	}
	for _, c := range e.chunks {
		if !c.stored {
			s.stored.add(c.first)
		}
	}
	e.last = lastEntry{
		name: e.name, last: s.last, seen: slices.Clone(s.seen), kind: s.decl.Kind, born: s.born, stored: s.stored,
	}
	s.unsaved -= e.unsaved
	s.dirty, s.declared, s.waits = rest, true, 0
	return e, rest
}

// complete divides the complete chunks into the first ones, of about so many bytes but one at least, and the others.
func (s *series) complete(most int) (first, others []chunk) {
	n := 0
	for i, c := range s.full {
		if n > most {
			return slices.Clip(s.full[:i]), s.full[i:]
		}
		n += len(c.b)
	}
	return s.full, nil
}

// cost estimates what writing the entry takes.
func (e *entry) cost() int {
	n := entryCost + declarationCost*min(1, len(e.decl)) + len(e.last.last.Reading.Value.Text) + len(e.last.last.Reading.Value.Bytes) + 16*len(e.last.seen)
	for _, c := range e.chunks {
		n += len(c.b)
	}
	return n
}

// wrote ends a transaction: what failed is put back, to be written again.
func (db *DB) wrote(b *batch, err error) {
	db.mu.Lock()
	defer db.mu.Unlock()
	defer db.room.Broadcast()
	if err == nil {
		db.failing, db.losing = nil, false
		return
	}
	for i := range b.entries {
		e := &b.entries[i]
		e.s.putBack(e)
		db.touch(e.s)
		db.buffered += e.unsaved
	}
	db.gapsNew = db.gapsNew || b.gaps != nil
	db.failing = err
	if !errors.Is(err, syscall.ENOSPC) && !errors.Is(err, syscall.EDQUOT) {
		db.err = err // what the file has is unknown
	}
}

// putBack takes an entry back that could not be written.
func (s *series) putBack(e *entry) {
	s.declared = s.declared && e.decl == nil
	s.unsaved += e.unsaved
	chunks := e.chunks
	for _, c := range chunks {
		if !c.stored {
			s.stored.remove(c.first)
		}
	}
	if e.opened {
		c := chunks[len(chunks)-1]
		if grown := s.find(c.first); grown != nil { // it has all that c has
			grown.saved, grown.stale, grown.stored = chunkHead, true, c.stored
			chunks = chunks[:len(chunks)-1]
		}
	}
	s.full = slices.Concat(chunks, s.full)
}

// find returns the chunk in memory that begins at first, nil when there is none.
func (s *series) find(first dsv.Revision) *chunk {
	if len(s.open.b) > 0 && s.open.first == first {
		return &s.open
	}
	for i := range s.full {
		if s.full[i].first == first {
			return &s.full[i]
		}
	}
	return nil
}

// write is the transaction.
func (b *batch) write(tx *bolt.Tx) error {
	declarations, last := tx.Bucket([]byte(bucketDeclarations)), tx.Bucket([]byte(bucketLast))
	chunks := tx.Bucket([]byte(bucketChunks))
	chunks.FillPercent = 1
	for i := range b.entries {
		e := &b.entries[i]
		if e.decl != nil {
			if err := declarations.Put([]byte(e.name), frame(e.decl)); err != nil {
				return err
			}
		}
		if err := last.Put([]byte(e.name), e.last.encode()); err != nil {
			return err
		}
		for _, c := range e.chunks {
			if err := chunks.Put(chunkKey(e.name, c.first), c.b); err != nil {
				return err
			}
		}
	}
	if b.gaps != nil {
		if err := tx.Bucket([]byte(bucketMeta)).Put([]byte(keyGaps), b.gaps); err != nil {
			return err
		}
	}
	return putRevision(tx, b.revision)
}

// chunkKey orders chunks by name, then by revision.
func chunkKey(n dsv.Name, first dsv.Revision) []byte {
	b := make([]byte, 0, len(n)+9)
	b = append(append(b, n...), 0)
	return binary.BigEndian.AppendUint64(b, uint64(first))
}

func putRevision(tx *bolt.Tx, r dsv.Revision) error {
	return tx.Bucket([]byte(bucketMeta)).Put([]byte(keyRevision), frame(binary.BigEndian.AppendUint64(nil, uint64(r))))
}
