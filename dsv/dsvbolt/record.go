package dsvbolt

import (
	"encoding/binary"
	"fmt"
	"math"

	"github.com/eve-emulation/eve/dsv"
)

// The bytes of a chunk, unless one change alone is larger. Two of the greatest, with their keys, fill four pages. Where
// many variables have a history their chunks are smaller, so that those which take more changes, and are held in memory,
// stay within openBytes.
const (
	chunkMost  = 7900
	chunkLeast = 1 << 10
	openBytes  = 64 << 20
)

// chunkHead is what precedes a chunk's changes: CRC32C, length, least and greatest T1, kind.
const chunkHead = 8 + 8 + 8 + 1

// series is what the DB knows of one variable.
type series struct {
	decl     dsv.Declaration
	declared bool         // the file has decl
	born     dsv.Revision // that of the former variable's deletion
	last     dsv.Update   // its Delta is nil; of Append it has no value
	seen     []dsv.Progress
	dirty    bool

	open    chunk // takes more changes
	full    []chunk
	predict predictor
	windows []window // under a resolution: what is not in open yet
	limit   int      // of a chunk's bytes
	stored  chunkSum // of the chunks in the file
	unsaved int      // bytes of history that the file does not have
	waits   int      // commits that passed this series over
}

// chunk is a stretch of history in memory.
type chunk struct {
	first  dsv.Revision // no change in it is older
	b      []byte       // with chunkHead bytes for the head
	lo, hi int64        // T1s
	saved  int          // so many bytes of it are in the file
	stored bool         // the file has it, or a part of it
	stale  bool         // windows have changed since
	extra  bool         // the file's has windows at its end
}

// chunkSum tells whether the chunks that are found are those that were stored.
type chunkSum struct {
	n        uint64
	firsts   uint64 // the sum of their first revisions, since their keys have no checksum
	unsummed bool   // the file was begun without
}

func (c *chunkSum) add(first dsv.Revision) {
	c.n++
	if !c.unsummed {
		c.firsts += uint64(first)
	}
}

func (c *chunkSum) remove(first dsv.Revision) {
	c.n--
	if !c.unsummed {
		c.firsts -= uint64(first)
	}
}

// clean says that the file has the chunk as it is.
func (c *chunk) clean() bool { return len(c.b) == c.saved && !c.stale }

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
	s.settle(len(s.windows))
	s.finish() // the chunk may be of another kind
	if s.last.Deleted {
		s.born = s.last.Revision
		s.last, s.seen = dsv.Update{Name: d.Name}, nil
	}
	kept := s.keeps()
	s.decl, s.declared = d, false
	db.histories += count(s.keeps()) - count(kept)
	db.touch(s)
	return nil
}

// keeps says that changes of the variable are kept, not only the last.
func (s *series) keeps() bool { return s.decl.History || s.decl.Merge == dsv.Append }

func count(b bool) int {
	if b {
		return 1
	}
	return 0
}

// limit is the bytes of a chunk. Callers hold mu.
func (db *DB) limit() int { return min(max(openBytes/max(1, db.histories), chunkLeast), chunkMost) }

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

// Record implements [dsv.Recorder]. It waits only when the disk is so slow that 64 MiB are buffered. While the disk
// takes nothing, as a full one, it does not wait: beyond that bound history is dropped, and [DB.Gaps] tells it.
func (db *DB) Record(u dsv.Update) error {
	db.mu.Lock()
	defer db.mu.Unlock()
	for db.buffered > bufferBytes && db.failing == nil && db.writable() == nil {
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
	if !s.keeps() {
		return nil
	}
	if db.buffered > bufferBytes {
		db.lose(u.Revision)
		return nil
	}
	s.limit = db.limit()
	n := s.keep(&u)
	if u.Deleted {
		s.finish() // it is not held in memory for another change
	}
	s.unsaved += n
	db.buffered += n
	if db.buffered > db.floor+max(commitBytes, commitEach*db.histories) && db.failing == nil {
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
	if len(s.open.b) >= s.limit {
		s.finish()
	}
	if len(s.open.b) == 0 {
		s.begin(u.Revision)
	}
	c := &s.open
	before, predict := len(c.b), s.predict
	c.b = appendChange(c.b, &s.predict, s.decl.Kind, u)
	if len(c.b) > s.limit && before > chunkHead {
		c.b, s.predict = c.b[:before], predict
		s.finish()
		return s.extend(u)
	}
	t1 := int64(u.Reading.T1)
	if u.Delta != nil {
		t1 = int64(u.Delta.T1)
	}
	c.lo, c.hi = min(c.lo, t1), max(c.hi, t1)
	return len(c.b) - before
}

// begin makes an open chunk for changes from first on.
func (s *series) begin(first dsv.Revision) {
	s.open = chunk{first: first, b: make([]byte, chunkHead, 256), lo: math.MaxInt64, hi: math.MinInt64, saved: chunkHead}
	s.predict = predictor{rev: uint64(first)}
}

// finish completes the open chunk.
func (s *series) finish() {
	if len(s.open.b) > chunkHead && (!s.open.clean() || s.open.extra) {
		s.full = append(s.full, s.open.sealed(s.decl.Kind))
	}
	s.open = chunk{}
}

// sealed fills the chunk's head in.
func (c chunk) sealed(k dsv.Kind) chunk {
	binary.LittleEndian.PutUint64(c.b[8:], uint64(c.lo))
	binary.LittleEndian.PutUint64(c.b[16:], uint64(c.hi))
	c.b[24] = byte(k)
	seal(c.b)
	return c
}

// snapshot returns the open chunk with what is folded for it, apart from what is appended later; false when it is
// empty.
func (s *series) snapshot() (chunk, bool) {
	if len(s.open.b) == 0 && len(s.windows) > 0 {
		s.begin(oldest(s.windows))
		s.open.stale = true
	}
	s.deal()
	if len(s.open.b) == chunkHead && len(s.windows) == 0 || len(s.open.b) == 0 {
		return chunk{}, false
	}
	c := s.open
	c.b = append(make([]byte, 0, len(c.b)+32*len(s.windows)), c.b...)
	c.saved = len(s.open.b)
	p := s.predict
	for _, w := range s.windows {
		u := w.update(s.decl.Name)
		c.b = appendChange(c.b, &p, s.decl.Kind, &u)
		c.lo, c.hi = min(c.lo, int64(u.Reading.T1)), max(c.hi, int64(u.Reading.T1))
	}
	return c.sealed(s.decl.Kind), true
}
