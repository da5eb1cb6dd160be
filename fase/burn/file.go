package burn

import (
	"errors"
	"fmt"
	"io"
	"os"
	"syscall"
	"unsafe"
)

// align is what transfers past the page cache are multiples of, in memory and in the file: a page, which suits every device.
const align = 4096

// large is the size from which a file is read to where it stays; what its alignment takes is then little beside it.
const large = 64 << 10

// File reads file i of a set, the whole of it, and returns its bytes, which are the caller's.
func (b *Burner) File(f *Files, i int) ([]byte, error) {
	x := f.cfg.Files[i]
	var buf []byte
	switch {
	case x.Size >= large:
		buf = aligned(x.Size)
	case b.pages == nil:
		b.pages = aligned(large)
		fallthrough
	default:
		buf = b.pages
	}
	n, err := f.read(f.path(x), buf)
	switch {
	case err != nil:
		return nil, fmt.Errorf("read %s: %w", x.Path, err)
	case int64(n) != x.Size:
		return nil, fmt.Errorf("read %s: %d bytes of %d: %w", x.Path, n, x.Size, io.ErrUnexpectedEOF)
	case x.Size >= large:
		return buf[:n:n], nil
	}
	return append([]byte(nil), buf[:n]...), nil
}

// read fills buf from the beginning of a file, up to its end.
func (f *Files) read(path string, buf []byte) (n int, err error) {
	fd, err := open(path, syscall.O_RDONLY|syscall.O_CLOEXEC|f.flags)
	if err != nil {
		return 0, &os.PathError{Op: "open", Path: path, Err: err}
	}
	defer func() { err = errors.Join(err, syscall.Close(fd)) }()
	for n < len(buf) {
		k, err := syscall.Pread(fd, buf[n:], int64(n))
		switch {
		case errors.Is(err, syscall.EINTR):
			continue
		case err != nil:
			return n, &os.PathError{Op: "pread", Path: path, Err: err}
		case k == 0:
			return n, nil
		}
		n += k
		if f.flags != 0 && n%align != 0 { // only the end of the file is not a multiple
			return n, nil
		}
	}
	return n, nil
}

func open(path string, flags int) (int, error) {
	for {
		fd, err := syscall.Open(path, flags, 0)
		if !errors.Is(err, syscall.EINTR) {
			return fd, err
		}
	}
}

// aligned returns a buffer for n bytes and the end of the file, aligned and of an aligned length.
func aligned(n int64) []byte {
	need := int(n+align) / align * align
	raw := make([]byte, need+align)
	skip := -uintptr(unsafe.Pointer(unsafe.SliceData(raw))) % align
	return raw[skip:][:need]
}
