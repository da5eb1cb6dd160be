package dsvbolt

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/fnv"
	"io"
	"os"
)

// The layout of bbolt's two meta pages: a page header, then magic, version, page size, flags, root (page, sequence),
// free list, high-water page, transaction, and the FNV-1a of those.
const (
	pageHeader  = 16
	metaBytes   = 64
	metaMagic   = 0xED0CDAED
	maxPageSize = 64 << 10
)

// The layout of its other pages: a header of number (8 bytes), flags and count (2 each), and how many pages follow (4);
// then elements of 16 bytes each. Those of branches are offset and size of the key (4 each) and a page (8), those of
// leaves flags, offset, size of the key and size of the value (4 each); offsets count from the element. The value of a
// bucket begins with its root (8) and sequence (8); a small one has root 0, and its page follows.
const (
	elementBytes = 16
	bucketHead   = 16
	flagBranch   = 1
	flagLeaf     = 2
	flagBucket   = 1
	deepest      = 64
)

// meta is what a meta page says.
type meta struct {
	pageSize, root, pages, tx uint64
	// behind says that the other meta page is broken, and may have been the newer one: then a transaction is lost.
	behind bool
}

// checkFile checks what bbolt takes on trust, and what would end the process: the length of the file, since it is mapped
// and reading past its end is a fault, and the buckets, since bbolt copies small ones to the heap and follows the offsets
// in them wherever they lead.
func checkFile(path string) (meta, error) {
	f, err := os.Open(path)
	if err != nil {
		var pe *os.PathError
		if errors.As(err, &pe) {
			return meta{}, pe.Err
		}
		return meta{}, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return meta{}, err
	}
	if !info.Mode().IsRegular() {
		return meta{}, fmt.Errorf("not a file")
	}
	m, err := readMeta(f)
	if err != nil {
		return meta{}, err
	}
	if need := int64(m.pages * m.pageSize); info.Size() < need {
		return meta{}, fmt.Errorf("%w: %d bytes, its pages need %d", ErrDamaged, info.Size(), need)
	}
	return m, nil
}

// checkBuckets checks the buckets; the file must be locked.
func checkBuckets(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	m, err := readMeta(f)
	if err != nil {
		return err
	}
	return m.checkTree(f, m.root, deepest)
}

// readMeta returns the newer of the intact meta pages.
func readMeta(f io.ReaderAt) (meta, error) {
	var newest meta
	found, broken := 0, uint64(0)
	for at := int64(0); at <= maxPageSize; at = max(1024, 2*at) {
		var b [metaBytes]byte
		if _, err := f.ReadAt(b[:], at+pageHeader); err != nil {
			break
		}
		sum := fnv.New64a()
		_, _ = sum.Write(b[:56])
		m := meta{
			pageSize: uint64(binary.NativeEndian.Uint32(b[8:])), root: binary.NativeEndian.Uint64(b[16:]),
			pages: binary.NativeEndian.Uint64(b[40:]), tx: binary.NativeEndian.Uint64(b[48:]),
		}
		intact := binary.NativeEndian.Uint32(b[:]) == metaMagic && binary.NativeEndian.Uint64(b[56:]) == sum.Sum64()
		if !intact || at != 0 && at != int64(m.pageSize) || m.pages > 1<<40 || m.pageSize < 1024 || m.pageSize > maxPageSize {
			if at == 0 || at == int64(os.Getpagesize()) {
				broken = m.tx
			}
			continue
		}
		if found++; found == 1 || m.tx > newest.tx {
			newest = m
		}
	}
	if found == 0 {
		return meta{}, fmt.Errorf("%w: no intact meta page", ErrDamaged)
	}
	newest.behind = found == 1 && broken+1 != newest.tx
	return newest, nil
}

// checkTree checks the buckets in the tree at a page.
func (m *meta) checkTree(f io.ReaderAt, page uint64, depth int) error {
	b, err := m.page(f, page)
	if err != nil {
		return err
	}
	flags, count := binary.NativeEndian.Uint16(b[8:]), int(binary.NativeEndian.Uint16(b[10:]))
	if flags != flagLeaf && flags != flagBranch || pageHeader+count*elementBytes > len(b) || depth == 0 {
		return fmt.Errorf("%w: page %d is none of buckets", ErrDamaged, page)
	}
	for i := range count {
		e := b[pageHeader+i*elementBytes:]
		if flags == flagBranch {
			err = m.checkTree(f, binary.NativeEndian.Uint64(e[8:]), depth-1)
		} else {
			err = m.checkBucket(f, e, depth)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// page reads a page with those that belong to it.
func (m *meta) page(f io.ReaderAt, page uint64) ([]byte, error) {
	b := make([]byte, m.pageSize)
	if page < 2 || page >= m.pages {
		return nil, fmt.Errorf("%w: page %d of %d", ErrDamaged, page, m.pages)
	}
	if _, err := f.ReadAt(b, int64(page*m.pageSize)); err != nil {
		return nil, err
	}
	more := uint64(binary.NativeEndian.Uint32(b[12:]))
	if binary.NativeEndian.Uint64(b) != page || more >= m.pages-page {
		return nil, fmt.Errorf("%w: page %d is another", ErrDamaged, page)
	}
	rest := make([]byte, more*m.pageSize)
	if _, err := f.ReadAt(rest, int64((page+1)*m.pageSize)); err != nil {
		return nil, err
	}
	return append(b, rest...), nil
}

// checkBucket checks the bucket of a leaf's element, which e begins with; the rest of the page follows.
func (m *meta) checkBucket(f io.ReaderAt, e []byte, depth int) error {
	key, value, err := element(e)
	if err != nil {
		return err
	}
	if binary.NativeEndian.Uint32(e) != flagBucket || len(value) < bucketHead {
		return fmt.Errorf("%w: %q is no bucket", ErrDamaged, key)
	}
	root := binary.NativeEndian.Uint64(value)
	if root != 0 {
		if string(key) == bucketHistory {
			return m.checkTree(f, root, depth-1)
		}
		_, err := m.page(f, root)
		return err
	}
	b := value[bucketHead:]
	if len(b) < pageHeader || binary.NativeEndian.Uint16(b[8:]) != flagLeaf {
		return fmt.Errorf("%w: bucket %q has no page", ErrDamaged, key)
	}
	count := int(binary.NativeEndian.Uint16(b[10:]))
	if pageHeader+count*elementBytes > len(b) {
		return fmt.Errorf("%w: bucket %q ends too early", ErrDamaged, key)
	}
	for i := range count {
		e := b[pageHeader+i*elementBytes:]
		if _, _, err := element(e); err != nil {
			return err
		}
		if binary.NativeEndian.Uint32(e) == 0 {
			continue
		}
		if err := m.checkBucket(f, e, depth); err != nil {
			return err
		}
	}
	return nil
}

// element returns key and value of a leaf's element, which e begins with.
func element(e []byte) (key, value []byte, err error) {
	at, k, v := uint64(binary.NativeEndian.Uint32(e[4:])), uint64(binary.NativeEndian.Uint32(e[8:])), uint64(binary.NativeEndian.Uint32(e[12:]))
	if at < elementBytes || at+k+v > uint64(len(e)) {
		return nil, nil, fmt.Errorf("%w: an entry is not within its page", ErrDamaged)
	}
	return e[at : at+k], e[at+k : at+k+v], nil
}
