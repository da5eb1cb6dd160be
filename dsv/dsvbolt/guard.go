package dsvbolt

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"hash/fnv"
	"io"
	"os"
	"runtime/debug"

	bolt "go.etcd.io/bbolt"
)

// update runs a writing transaction; faults and panics on damaged pages become ErrDamaged.
func (db *DB) update(fn func(*bolt.Tx) error) (err error) {
	defer guard(&err)()
	return db.bolt.Update(func(tx *bolt.Tx) error {
		db.bolt.AllocSize = min(max(int(tx.Size()/8), growLeast), growMost) // read when this is committed
		return fn(tx)
	})
}

// view runs a reading transaction, likewise.
func (db *DB) view(fn func(*bolt.Tx) error) (err error) {
	defer guard(&err)()
	return db.bolt.View(fn)
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

// checkSize compares the file's length with what its newest intact meta page says: bbolt maps the file, and reading
// past its end would end the process.
func checkSize(path string) error {
	f, err := os.Open(path)
	if err != nil {
		var pe *os.PathError
		if errors.As(err, &pe) {
			return pe.Err
		}
		return err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return err
	}
	if !info.Mode().IsRegular() {
		return fmt.Errorf("not a file")
	}
	need, err := highWater(f)
	if err != nil {
		return err
	}
	if info.Size() < need {
		return fmt.Errorf("%w: %d bytes, its pages need %d", ErrDamaged, info.Size(), need)
	}
	return nil
}

// The layout of bbolt's two meta pages: a page header, then magic, version, page size, flags, root (page, sequence),
// free list, high-water page, transaction, and the FNV-1a of those.
const (
	pageHeader  = 16
	metaBytes   = 64
	metaMagic   = 0xED0CDAED
	maxPageSize = 64 << 10
)

// highWater returns how long the file must be, by the newer of its intact meta pages.
func highWater(f io.ReaderAt) (int64, error) {
	var need int64
	var newest uint64
	found := false
	for at := int64(0); at <= maxPageSize; at = max(1024, 2*at) {
		var b [metaBytes]byte
		if _, err := f.ReadAt(b[:], at+pageHeader); err != nil {
			break
		}
		sum := fnv.New64a()
		_, _ = sum.Write(b[:56])
		if binary.NativeEndian.Uint32(b[:]) != metaMagic || binary.NativeEndian.Uint64(b[56:]) != sum.Sum64() {
			continue
		}
		pageSize, pages := int64(binary.NativeEndian.Uint32(b[8:])), binary.NativeEndian.Uint64(b[40:])
		if at != 0 && at != pageSize || pages > 1<<40 {
			continue
		}
		if tx := binary.NativeEndian.Uint64(b[48:]); !found || tx > newest {
			found, newest, need = true, tx, int64(pages)*pageSize
		}
	}
	if !found {
		return 0, fmt.Errorf("%w: no intact meta page", ErrDamaged)
	}
	return need, nil
}
