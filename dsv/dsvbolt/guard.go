package dsvbolt

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"runtime/debug"
	"syscall"

	bolt "go.etcd.io/bbolt"
)

// update runs a writing transaction; faults and panics on damaged pages become ErrDamaged.
func (db *DB) update(fn func(*bolt.Tx) error) (err error) {
	if db.broken.Load() {
		return ErrDamaged
	}
	defer db.breaks(&err)
	defer guard(&err)()
	return db.bolt.Update(func(tx *bolt.Tx) error {
		db.size = tx.Size()
		db.bolt.AllocSize = min(max(int(tx.Size()/8), growLeast), growMost) // read when this is committed
		return fn(tx)
	})
}

// trim gives the memory of mapped pages back from time to time, else that of the process grows with the file; who needs
// one finds it in the system's cache. Callers hold committing, so the file is not mapped elsewhere meanwhile.
func (db *DB) trim(wrote int64) {
	if db.untrimmed += wrote; db.untrimmed < trimEvery {
		return
	}
	db.untrimmed = 0
	// Where it fails the pages stay, which does no harm.
	_, _, _ = syscall.Syscall(syscall.SYS_MADVISE, db.bolt.Info().Data, uintptr(db.size), syscall.MADV_DONTNEED)
}

// begin begins a reading transaction, likewise.
func (db *DB) begin() (tx *bolt.Tx, err error) {
	if db.broken.Load() {
		return nil, ErrDamaged
	}
	defer db.breaks(&err)
	defer guard(&err)()
	return db.bolt.Begin(false)
}

// breaks notes that a fault left bbolt with its locks held: whatever used it again would wait for ever.
func (db *DB) breaks(err *error) {
	if errors.Is(*err, ErrDamaged) {
		db.broken.Store(true)
	}
}

// release closes bbolt's file. One that broke stays open until the process ends.
func (db *DB) release() error {
	if db.broken.Load() {
		return nil
	}
	return db.bolt.Close()
}

// view runs a reading transaction, likewise.
func (db *DB) view(fn func(*bolt.Tx) error) error {
	tx, err := db.begin()
	if err != nil {
		return err
	}
	defer func() { _ = tx.Rollback() }()
	return guarded(tx, fn)
}

// guarded reads within a transaction that was begun, likewise.
func guarded(tx *bolt.Tx, fn func(*bolt.Tx) error) (err error) {
	defer guard(&err)()
	return fn(tx)
}

// guard makes faults on this goroutine recoverable; what it returns recovers and must be deferred.
func guard(err *error) func() {
	before := debug.SetPanicOnFault(true)
	return func() {
		debug.SetPanicOnFault(before)
		if p := recover(); p != nil {
			*err = fmt.Errorf("%w: %v", ErrDamaged, p)
		}
	}
}

// frame puts CRC32C and length before a value.
func frame(payload []byte) []byte {
	b := make([]byte, 8, 8+len(payload))
	b = append(b, payload...)
	seal(b)
	return b
}

// seal fills in the first eight bytes of a value.
func seal(b []byte) {
	binary.LittleEndian.PutUint32(b[4:], uint32(len(b)-8))
	binary.LittleEndian.PutUint32(b, crc32.Checksum(b[4:], crc32.MakeTable(crc32.Castagnoli)))
}

// unframe checks a value and returns what is behind CRC32C and length; it is a part of the value.
func unframe(b []byte) ([]byte, error) {
	switch {
	case len(b) < 8:
		return nil, fmt.Errorf("value of %d bytes: %w", len(b), ErrDamaged)
	case int(binary.LittleEndian.Uint32(b[4:])) != len(b)-8:
		return nil, fmt.Errorf("value has not its length: %w", ErrDamaged)
	case binary.LittleEndian.Uint32(b) != crc32.Checksum(b[4:], crc32.MakeTable(crc32.Castagnoli)):
		return nil, fmt.Errorf("value has not its checksum: %w", ErrDamaged)
	}
	return b[8:], nil
}
