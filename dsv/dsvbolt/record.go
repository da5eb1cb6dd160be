package dsvbolt

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
	"math"
	"slices"

	bolt "go.etcd.io/bbolt"

	"github.com/eve-emulation/eve/dsv"
)

// chunkBytes is the size at which a chunk is complete. Until then it is written again, with what came since, by each
// commit.
const chunkBytes = 8 << 10

// chunkHead is what precedes a chunk's changes: CRC32C, length, least and greatest T1, kind.
const chunkHead = 8 + 8 + 8 + 1

// series is what the DB knows of one variable.
type series struct {
	decl  dsv.Declaration
	last  dsv.Update // its Delta is nil; of Append it has no value
	seen  []dsv.Progress
	dirty bool

	open    chunk // takes more changes
	full    []chunk
	predict predictor
}

// chunk is a stretch of history in memory.
type chunk struct {
	first  dsv.Revision
	b      []byte // with chunkHead bytes for the head
	lo, hi int64  // T1s
	clean  bool   // the file has it as it is
}

// Declare implements [dsv.Recorder].
func (db *DB) Declare(d dsv.Declaration) error {
	db.mu.Lock()
	defer db.mu.Unlock()
	if err := db.writable(); err != nil {
		return fmt.Errorf("declare %s: %w", d.Name, err)
	}
	s := db.series[d.Name]
	if s == nil {
		s = &series{}
		db.series[d.Name] = s
	}
	if s.decl == d && !s.last.Deleted {
		return nil
	}
	s.finish() // the chunk may be of another kind
	if s.last.Deleted {
		s.last, s.seen = dsv.Update{Name: d.Name}, nil
		db.touch(s)
	}
	s.decl = d
	db.declare = append(db.declare, d)
	return nil
}

// writable returns why nothing is recorded any more. Callers hold mu.
func (db *DB) writable() error {
	switch {
	case db.readOnly:
		return ErrReadOnly
	case db.closed:
		return dsv.ErrClosed
	}
	return db.err
}

// Record implements [dsv.Recorder]. It waits only when the disk is so slow that 64 MiB are buffered.
func (db *DB) Record(u dsv.Update) error {
	db.mu.Lock()
	defer db.mu.Unlock()
	for db.buffered > bufferBytes && db.writable() == nil {
		db.nudge()
		db.room.Wait()
	}
	if err := db.writable(); err != nil {
		return fmt.Errorf("record %s: %w", u.Name, err)
	}
	s := db.series[u.Name]
	if s == nil {
		return fmt.Errorf("record %s: %w", u.Name, dsv.ErrNotFound)
	}
	db.revision = max(db.revision, u.Revision)
	db.touch(s)
	s.note(&u)
	if s.decl.History || s.decl.Merge == dsv.Append {
		db.buffered += s.extend(&u)
	}
	if db.buffered > commitBytes {
		db.nudge()
	}
	return nil
}

// touch has the next commit write the series. Callers hold mu.
func (db *DB) touch(s *series) {
	if !s.dirty {
		s.dirty = true
		db.dirty = append(db.dirty, s)
	}
}

// nudge asks for a commit.
func (db *DB) nudge() {
	select {
	case db.kick <- struct{}{}:
	default:
	}
}

// note keeps the last value and its writer's progress.
func (s *series) note(u *dsv.Update) {
	s.last = *u
	s.last.Delta = nil
	if s.decl.Merge == dsv.Append {
		s.last.Reading.Value = dsv.Value{} // the history has it
	}
	if u.Delta == nil {
		return
	}
	now := dsv.Progress{Writer: u.Delta.Writer, Epoch: u.Delta.Epoch, Seq: u.Delta.Seq}
	for i := range s.seen {
		if s.seen[i].Writer == now.Writer {
			s.seen[i] = now
			return
		}
	}
	s.seen = append(s.seen, now)
}

// extend appends a change to the open chunk and returns the bytes that it took.
func (s *series) extend(u *dsv.Update) int {
	c := &s.open
	if len(c.b) >= chunkBytes {
		s.finish()
	}
	if len(c.b) == 0 {
		b := c.b
		if b == nil {
			b = make([]byte, 0, 1<<10)
		}
		*c = chunk{first: u.Revision, b: b[:0], lo: math.MaxInt64, hi: math.MinInt64}
		c.b = append(c.b, make([]byte, chunkHead)...)
		s.predict = predictor{rev: uint64(u.Revision)}
	}
	t1 := int64(u.Reading.T1)
	if u.Delta != nil {
		t1 = int64(u.Delta.T1)
	}
	c.lo, c.hi = min(c.lo, t1), max(c.hi, t1)
	before := len(c.b)
	c.b = appendChange(c.b, &s.predict, s.decl.Kind, u)
	c.clean = false
	return len(c.b) - before
}

// finish completes the open chunk.
func (s *series) finish() {
	if len(s.open.b) > 0 {
		if !s.open.clean {
			s.full = append(s.full, s.open.sealed(s.decl.Kind))
		}
		s.open = chunk{}
	}
}

// sealed fills the chunk's head in.
func (c chunk) sealed(k dsv.Kind) chunk {
	binary.LittleEndian.PutUint64(c.b[8:], uint64(c.lo))
	binary.LittleEndian.PutUint64(c.b[16:], uint64(c.hi))
	c.b[24] = byte(k)
	seal(c.b)
	return c
}

// batch is what one commit writes.
type batch struct {
	declare  []dsv.Declaration
	last     []lastEntry
	chunks   []chunkEntry
	revision dsv.Revision
}

type lastEntry struct {
	name dsv.Name
	last dsv.Update
	seen []dsv.Progress
	kind dsv.Kind
}

type chunkEntry struct {
	name dsv.Name
	chunk
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
	return db.commit(true)
}

// commit writes everything that was recorded, in one transaction. While a Store lives, revisions may rise by a lease
// until the next one.
func (db *DB) commit(lives bool) error {
	db.committing.Lock()
	defer db.committing.Unlock()
	if err := db.failure("write"); err != nil {
		return err
	}
	b := db.collect()
	if lives {
		if len(b.declare)+len(b.last)+len(b.chunks) == 0 {
			return nil
		}
		b.revision += revisionLease
	}
	err := db.update(b.write)
	if err == nil {
		return nil
	}
	db.mu.Lock()
	db.err = err
	db.room.Broadcast()
	db.mu.Unlock()
	return fmt.Errorf("write %s: %w", db.path, err)
}

// collect takes what is buffered. Callers hold committing.
func (db *DB) collect() *batch {
	db.mu.Lock()
	defer db.mu.Unlock()
	b := &batch{declare: db.declare, revision: db.revision}
	for _, s := range db.dirty {
		n := s.decl.Name
		b.last = append(b.last, lastEntry{n, s.last, slices.Clone(s.seen), s.decl.Kind})
		for _, c := range s.full {
			b.chunks = append(b.chunks, chunkEntry{n, c})
		}
		if len(s.open.b) > 0 && !s.open.clean {
			c := s.open.sealed(s.decl.Kind)
			c.b = slices.Clone(c.b) // more is appended while this is written
			b.chunks = append(b.chunks, chunkEntry{n, c})
			s.open.clean = true
		}
		s.full, s.dirty = nil, false
	}
	db.dirty, db.declare, db.buffered = nil, nil, 0
	db.room.Broadcast()
	return b
}

// write is the transaction.
func (b *batch) write(tx *bolt.Tx) error {
	declarations, last := tx.Bucket([]byte(bucketDeclarations)), tx.Bucket([]byte(bucketLast))
	for _, d := range b.declare {
		text, err := json.Marshal(d)
		if err != nil {
			return err
		}
		if err := declarations.Put([]byte(d.Name), frame(text)); err != nil {
			return err
		}
	}
	for i := range b.last {
		if err := last.Put([]byte(b.last[i].name), b.last[i].encode()); err != nil {
			return err
		}
	}
	if err := b.writeChunks(tx.Bucket([]byte(bucketHistory))); err != nil {
		return err
	}
	return putRevision(tx, b.revision)
}

func (b *batch) writeChunks(history *bolt.Bucket) error {
	for _, c := range b.chunks {
		series, err := history.CreateBucketIfNotExists([]byte(c.name))
		if err != nil {
			return err
		}
		series.FillPercent = 1 // keys only ever rise
		if err := series.Put(binary.BigEndian.AppendUint64(nil, uint64(c.first)), c.b); err != nil {
			return err
		}
	}
	return nil
}

func putRevision(tx *bolt.Tx, r dsv.Revision) error {
	return tx.Bucket([]byte(bucketMeta)).Put([]byte(keyRevision), frame(binary.BigEndian.AppendUint64(nil, uint64(r))))
}
