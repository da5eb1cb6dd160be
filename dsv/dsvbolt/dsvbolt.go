// Package dsvbolt keeps variables on disk, in one bbolt file: a [dsv.Recorder] that also reads.
//
// A [DB] keeps declarations, last values with the progress of each writer, and the history of variables that ask for it,
// record chunks included. History is buffered in memory and written in compact chunks, every second or once there is
// much of it, in transactions that take some milliseconds each; a chunk that grows slowly waits for up to five seconds.
// [DB.Flush] writes everything at once, and all who wait share it.
//
// A full disk ends nothing: while nothing can be written, [DB.Flush] fails, so durable writes do, and the rest is
// buffered up to a bound; once there is room again, writing goes on by itself. [DB.Gaps] lists the revisions of changes
// that had to be dropped meanwhile. Any other failure of a write is final.
//
// bbolt checks only its two meta pages, and a file that is shorter than they say ends the process by a signal. So every
// value here carries its length and CRC32C, the length of the file is checked before it is opened, and faults on
// damaged pages become errors ([ErrDamaged]).
package dsvbolt

import (
	"cmp"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	bolt "go.etcd.io/bbolt"
	bolterrors "go.etcd.io/bbolt/errors"

	"github.com/eve-emulation/eve/dsv"
)

var (
	// ErrDamaged reports a file that is not what was written.
	ErrDamaged = errors.New("file is damaged")
	// ErrInUse reports a file that another process has open.
	ErrInUse = errors.New("in use by another process")
	// ErrReadOnly reports a write to a file that was opened for reading.
	ErrReadOnly = errors.New("opened for reading only")
)

const (
	// formatVersion is what this package writes and reads.
	formatVersion = 2
	// formatOld had each variable's chunks in a bucket of its own; it can be read.
	formatOld = 1
	// mapped is the address space for a file: mapping a file that has outgrown it takes long, and waits for all readers.
	mapped = 1 << 30
	// A file that is full becomes longer by an eighth, within these bounds.
	growLeast = 64 << 10
	growMost  = 4 << 20
	// lockTimeout bounds the wait for a file that another process has open.
	lockTimeout = 2 * time.Second
	// commitEvery is how long history may wait in memory.
	commitEvery = time.Second
	// commitBytes of buffered history are written without waiting so long.
	commitBytes = 4 << 20
	// commitEach is how many of them each variable may have, where there are many.
	commitEach = 256
	// bufferBytes bounds what is buffered: Record waits when the disk is slower than that.
	bufferBytes = 64 << 20
	// trimEvery is how much is written before the mapped pages are given back.
	trimEvery = 16 << 20
	// revisionLease is how far revisions may rise between two commits.
	revisionLease = 1 << 30
)

// The buckets of a file, and the keys of its meta bucket.
const (
	bucketMeta         = "meta"
	bucketDeclarations = "declarations" // name → Declaration as JSON
	bucketLast         = "last"         // name → last Update and progress
	bucketChunks       = "chunks"       // name, 0, first revision → chunk
	bucketHistory      = "history"      // of formatOld: name → bucket of first revision → chunk
	keyFormat          = "format"
	keyGaps            = "gaps"
	keyRevision        = "revision"
)

// A DB is one file. Its methods may be called from several goroutines at once.
type DB struct {
	path     string
	bolt     *bolt.DB
	readOnly bool
	broken   atomic.Bool // by a fault: bolt is of no more use
	stop     chan struct{}
	kick     chan struct{} // cap 1: much is buffered
	ended    sync.WaitGroup

	flushing   sync.Mutex // held through a commit; taken before committing
	committing sync.Mutex // held through one of its transactions; taken before mu
	untrimmed  int64      // guarded by committing, as size is: bytes written since the last trim
	size       int64      // of the file's pages

	mu       sync.Mutex // guards what follows
	room     sync.Cond  // signalled when a commit took the buffers
	series   map[dsv.Name]*series
	dirty    []*series // in the order in which they became so
	buffered int       // bytes of history that the file does not have
	floor    int       // of which the last commit left so many
	revision dsv.Revision
	failing  error // why the last transaction failed, while the disk is full
	err      error // the first failure that is final; nothing is written after it
	gaps     []Gap
	gapsNew  bool // the file does not have gaps as they are
	losing   bool // the last gap grows
	closed   bool
	stats    Stats

	histories int // variables whose history is kept
}

var _ dsv.Recorder = (*DB)(nil)

// Create makes a new file, which must not exist, and opens it. Close ends the goroutine that writes.
func Create(path string) (*DB, error) {
	if _, err := os.Stat(path); err == nil {
		return nil, fmt.Errorf("create %s: %w", path, fs.ErrExist)
	}
	db, err := create(path)
	if err != nil {
		return nil, fmt.Errorf("create %s: %w", path, err)
	}
	db.start()
	return db, nil
}

func create(path string) (*DB, error) {
	b, err := openBolt(path, false)
	if errors.Is(err, ErrInUse) {
		return nil, err // it is another's
	}
	if err != nil {
		_ = os.Remove(path)
		return nil, err
	}
	db := newDB(path, b, false)
	err = db.format()
	if err == nil {
		err = syncFolder(filepath.Dir(path)) // else a power failure may lose the file's name
	}
	if err != nil {
		_ = db.release()
		_ = os.Remove(path)
		return nil, err
	}
	return db, nil
}

func syncFolder(path string) error {
	d, err := os.Open(path)
	if err != nil {
		return err
	}
	defer d.Close()
	return d.Sync()
}

// Open opens a file that Create made. One process may have it open for writing, or several for reading; whoever comes
// too late waits two seconds and gets ErrInUse. A file that was cut short or damaged is ErrDamaged.
func Open(path string, readOnly bool) (*DB, error) {
	m, err := checkFile(path)
	if err != nil {
		return nil, fmt.Errorf("open %s: %w", path, err)
	}
	b, err := openBolt(path, readOnly)
	if err != nil {
		return nil, fmt.Errorf("open %s: %w", path, err)
	}
	db := newDB(path, b, readOnly)
	if err = checkBuckets(path); err == nil {
		err = db.load()
	}
	if err == nil && m.behind {
		db.loseLast()
	}
	if err == nil && !readOnly { // what a Store hands out before its first commit
		err = db.update(func(tx *bolt.Tx) error { return db.takeUp(tx) })
	}
	if err != nil {
		_ = db.release()
		return nil, fmt.Errorf("open %s: %w", path, err)
	}
	if !readOnly {
		db.start()
	}
	return db, nil
}

func openBolt(path string, readOnly bool) (b *bolt.DB, err error) {
	defer guard(&err)()
	b, err = bolt.Open(path, 0o644, &bolt.Options{
		Timeout: lockTimeout, ReadOnly: readOnly, FreelistType: bolt.FreelistMapType, InitialMmapSize: mapped,
	})
	switch {
	case errors.Is(err, bolterrors.ErrTimeout):
		return nil, ErrInUse
	case errors.Is(err, bolterrors.ErrInvalid), errors.Is(err, bolterrors.ErrChecksum), errors.Is(err, bolterrors.ErrVersionMismatch):
		return nil, fmt.Errorf("%w: %w", ErrDamaged, err)
	}
	if b != nil {
		b.AllocSize = growLeast
	}
	return b, err
}

func newDB(path string, b *bolt.DB, readOnly bool) *DB {
	db := &DB{
		path: path, bolt: b, readOnly: readOnly,
		stop: make(chan struct{}), kick: make(chan struct{}, 1), series: map[dsv.Name]*series{},
	}
	db.room.L = &db.mu
	return db
}

// start begins the goroutine that writes what is buffered; Close waits for it.
func (db *DB) start() {
	db.ended.Go(func() {
		tick := time.NewTicker(commitEvery)
		defer tick.Stop()
		for {
			select {
			case <-db.stop:
				return
			case <-tick.C:
			case <-db.kick:
			}
			_ = db.commit(true, false) // Flush and Close tell; a full disk is tried again
		}
	})
}

// format lays out a new file.
func (db *DB) format() error {
	return db.update(func(tx *bolt.Tx) error {
		for _, name := range []string{bucketMeta, bucketDeclarations, bucketLast, bucketChunks} {
			if _, err := tx.CreateBucket([]byte(name)); err != nil {
				return err
			}
		}
		if err := tx.Bucket([]byte(bucketMeta)).Put([]byte(keyFormat), frame([]byte{formatVersion})); err != nil {
			return err
		}
		return putRevision(tx, revisionLease)
	})
}

// takeUp readies an old file for writing.
func (db *DB) takeUp(tx *bolt.Tx) error {
	if _, err := tx.CreateBucketIfNotExists([]byte(bucketChunks)); err != nil {
		return err
	}
	if err := tx.Bucket([]byte(bucketMeta)).Put([]byte(keyFormat), frame([]byte{formatVersion})); err != nil {
		return err
	}
	return putRevision(tx, db.revision+revisionLease)
}

// load reads what writing needs to go on, and checks that this is one of our files.
func (db *DB) load() error {
	return db.view(func(tx *bolt.Tx) error {
		for _, name := range []string{bucketMeta, bucketDeclarations, bucketLast} {
			if tx.Bucket([]byte(name)) == nil {
				return fmt.Errorf("no bucket %s: %w", name, ErrDamaged)
			}
		}
		meta := tx.Bucket([]byte(bucketMeta))
		version, err := unframe(meta.Get([]byte(keyFormat)))
		if err != nil {
			return fmt.Errorf("format: %w", err)
		}
		if len(version) != 1 || version[0] != formatVersion && version[0] != formatOld {
			return fmt.Errorf("format %v, %d and %d are known", version, formatOld, formatVersion)
		}
		if version[0] == formatVersion && tx.Bucket([]byte(bucketChunks)) == nil {
			return fmt.Errorf("no bucket %s: %w", bucketChunks, ErrDamaged)
		}
		if gaps := meta.Get([]byte(keyGaps)); gaps != nil {
			if db.gaps, err = decodeGaps(gaps); err != nil {
				return fmt.Errorf("gaps: %w", err)
			}
		}
		rev, err := unframe(meta.Get([]byte(keyRevision)))
		if err == nil && len(rev) != 8 {
			err = ErrDamaged
		}
		if err != nil {
			return fmt.Errorf("revision: %w", err)
		}
		db.revision = dsv.Revision(binary.BigEndian.Uint64(rev))
		return db.loadSeries(tx)
	})
}

// Revision returns a revision that is at least that of every change which was ever handed out by a Store on this file,
// recorded or not: what [dsv.Store.SetRevision] continues after.
func (db *DB) Revision() dsv.Revision {
	db.mu.Lock()
	defer db.mu.Unlock()
	return db.revision
}

// Path returns the file's path, as it was opened.
func (db *DB) Path() string { return db.path }

// Close writes what is buffered and closes the file. It may be called twice; then it returns the first error again.
func (db *DB) Close() error {
	db.mu.Lock()
	was := db.closed
	db.closed = true
	db.room.Broadcast()
	db.mu.Unlock()
	if was {
		db.ended.Wait()
		return db.failure("close")
	}
	close(db.stop)
	db.ended.Wait()
	var err error
	if !db.readOnly {
		err = db.commit(false, true)
	}
	db.committing.Lock()
	defer db.committing.Unlock()
	if e := db.release(); err == nil && e != nil {
		err = fmt.Errorf("close %s: %w", db.path, e)
	}
	return err
}

// failure returns the error that ended writing.
func (db *DB) failure(operation string) error {
	db.mu.Lock()
	defer db.mu.Unlock()
	if err := cmp.Or(db.err, db.failing); err != nil {
		return fmt.Errorf("%s %s: %w", operation, db.path, err)
	}
	return nil
}
