package burn

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/fnv"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"syscall"
	"time"
)

// A File is one file of a set.
type File struct {
	Path string // below the folder of the set, with slashes
	Size int64
}

// FilesConfig says which files there are and where they lie.
type FilesConfig struct {
	Name   string // of the set, a plain file name
	Files  []File
	Dir    string // where sets lie; eve-files-UID in the system's temporary folder if empty
	Direct bool   // read past the kernel's page cache, where the file system takes it
	Keep   bool   // leave the files there on Close
}

// Files is a set of real files, written once and shared by all processes of the host that open the same set. Its contents are
// Content. Any goroutine may use it.
type Files struct {
	cfg    FilesConfig
	folder string
	lock   *os.File
	flags  int // of open
}

// ErrNoRoom reports a file system without room for a set.
var ErrNoRoom = errors.New("not enough room")

// OpenFiles writes the files of a set, or takes them as they are when they are there and whole. What was begun and
// not finished is written anew. It waits while another process writes them, until ctx ends. An error wraps ErrNoRoom when the
// file system has too little room, which is looked at first; then nothing stays behind.
func OpenFiles(ctx context.Context, cfg FilesConfig) (*Files, error) {
	if cfg.Dir == "" {
		cfg.Dir = filepath.Join(os.TempDir(), "eve-files-"+strconv.Itoa(os.Getuid()))
	}
	f := &Files{cfg: cfg}
	f.folder = filepath.Join(cfg.Dir, fmt.Sprintf("%s-%016x", cfg.Name, f.sum()))
	if err := f.open(ctx); err != nil {
		if f.lock != nil {
			_ = f.lock.Close()
		}
		return nil, fmt.Errorf("file set %s in %s: %w", cfg.Name, f.folder, err)
	}
	if cfg.Direct {
		f.flags = f.direct()
	}
	return f, nil
}

// sum tells sets of different files apart.
func (f *Files) sum() uint64 {
	h := fnv.New64a()
	for _, x := range f.cfg.Files {
		fmt.Fprintf(h, "%s %d\n", x.Path, x.Size)
	}
	return h.Sum64()
}

// Folder is where the files lie.
func (f *Files) Folder() string { return f.folder }

// Direct reports whether reads go past the page cache.
func (f *Files) Direct() bool { return f.flags != 0 }

// open takes or writes the files, and leaves the lock shared.
func (f *Files) open(ctx context.Context) error {
	for {
		if err := f.acquire(ctx, syscall.LOCK_SH); err != nil {
			return err
		}
		if f.whole() {
			return nil
		}
		// Upgrading a lock gives it up for a moment: somebody else may have written the files then.
		if err := f.acquire(ctx, syscall.LOCK_EX); err != nil {
			return err
		}
		if f.whole() {
			continue
		}
		if err := f.write(ctx); err != nil {
			return errors.Join(err, f.clear())
		}
	}
}

// acquire takes the lock of the set, which all who use it share.
func (f *Files) acquire(ctx context.Context, how int) error {
	path := f.folder + ".lock"
	for {
		if f.lock == nil {
			if err := os.MkdirAll(f.cfg.Dir, 0o755); err != nil {
				return err
			}
			lock, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o644)
			if errors.Is(err, fs.ErrNotExist) && ctx.Err() == nil {
				continue // whoever used the last set has removed the folder
			}
			if err != nil {
				return err
			}
			f.lock = lock
		}
		err := syscall.Flock(int(f.lock.Fd()), how|syscall.LOCK_NB)
		switch {
		case err == nil && f.current(path):
			return nil
		case err == nil: // whoever used the set last has removed it
			_ = f.lock.Close()
			f.lock = nil
			continue
		case !errors.Is(err, syscall.EWOULDBLOCK) && !errors.Is(err, syscall.EINTR):
			return fmt.Errorf("lock: %w", err)
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("wait for another process that writes it: %w", ctx.Err())
		case <-time.After(10 * time.Millisecond):
		}
	}
}

// current reports whether the lock is still the one that others would open.
func (f *Files) current(path string) bool {
	mine, err := f.lock.Stat()
	if err != nil {
		return false
	}
	theirs, err := os.Stat(path)
	return err == nil && os.SameFile(mine, theirs)
}

// done is the file that is written last.
func (f *Files) done() string { return filepath.Join(f.folder, "whole") }

// whole reports whether every file is there with its size.
func (f *Files) whole() bool {
	if _, err := os.Stat(f.done()); err != nil {
		return false
	}
	for _, x := range f.cfg.Files {
		info, err := os.Stat(f.path(x))
		if err != nil || info.Size() != x.Size || !info.Mode().IsRegular() {
			return false
		}
	}
	return true
}

func (f *Files) path(x File) string { return filepath.Join(f.folder, filepath.FromSlash(x.Path)) }

// write makes all files.
func (f *Files) write(ctx context.Context) error {
	if err := os.RemoveAll(f.folder); err != nil {
		return err
	}
	if err := f.room(); err != nil {
		return err
	}
	made := map[string]bool{} // folders
	var buf []byte
	for i, x := range f.cfg.Files {
		if err := ctx.Err(); err != nil {
			return err
		}
		path := f.path(x)
		if dir := filepath.Dir(path); !made[dir] {
			if err := os.MkdirAll(dir, 0o755); err != nil {
				return noRoom(err)
			}
			made[dir] = true
		}
		buf = Content(buf[:0], i, x.Size)
		if err := writeFile(path, buf); err != nil {
			return noRoom(err)
		}
	}
	return noRoom(os.WriteFile(f.done(), nil, 0o600))
}

// writeFile writes a file and starts to bring it to the device, for reads that go there.
func writeFile(path string, data []byte) error {
	const start = 2 // SYNC_FILE_RANGE_WRITE
	file, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o644)
	if err != nil {
		return err
	}
	_, err = file.Write(data)
	_ = syscall.SyncFileRange(int(file.Fd()), 0, 0, start) // a hint
	return errors.Join(err, file.Close())
}

func noRoom(err error) error {
	if errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) {
		return fmt.Errorf("%w: %w", ErrNoRoom, err)
	}
	return err
}

// room looks whether the file system has room for all files, each in blocks of its own.
func (f *Files) room() error {
	var disk syscall.Statfs_t
	if err := syscall.Statfs(f.cfg.Dir, &disk); err != nil {
		return err
	}
	block := int64(max(disk.Bsize, 512))
	need := int64(0)
	for _, x := range f.cfg.Files {
		need += (x.Size + block - 1) / block * block
	}
	if free := int64(disk.Bavail) * block; free < need {
		return fmt.Errorf("%w: it takes %d MiB, and %d MiB are free", ErrNoRoom, need>>20+1, free>>20)
	}
	return nil
}

// Content appends what file i of a set holds, n bytes, to dst.
func Content(dst []byte, i int, n int64) []byte {
	at := len(dst)
	x := uint64(i)<<32 | 1
	for left := n; left > 0; left -= 8 {
		x += 0x9e3779b97f4a7c15
		dst = binary.LittleEndian.AppendUint64(dst, (x^x>>30)*0xbf58476d1ce4e5b9)
	}
	return dst[:at+int(n)]
}

// direct returns the flag by which reads go past the page cache, or 0 where the file system does not take it.
func (f *Files) direct() int {
	for i := range f.cfg.Files {
		if f.cfg.Files[i].Size == 0 {
			continue
		}
		g := Files{cfg: f.cfg, folder: f.folder, flags: syscall.O_DIRECT}
		var b Burner
		got, err := b.File(&g, i)
		if err != nil || !bytes.Equal(got, Content(nil, i, f.cfg.Files[i].Size)) {
			return 0
		}
		return syscall.O_DIRECT
	}
	return 0
}

// Close gives the set up. Whoever does so last on this host removes the files, unless they are to be kept. It may be called
// twice.
func (f *Files) Close() error {
	if f.lock == nil {
		return nil
	}
	lock := f.lock
	f.lock = nil
	var err error
	if !f.cfg.Keep && syscall.Flock(int(lock.Fd()), syscall.LOCK_EX|syscall.LOCK_NB) == nil {
		err = f.clear()
	}
	if err = errors.Join(err, lock.Close()); err != nil {
		return fmt.Errorf("close file set %s: %w", f.cfg.Name, err)
	}
	return nil
}

// clear removes everything, under the lock that nobody shares.
func (f *Files) clear() error {
	err := os.RemoveAll(f.folder)
	if e := os.Remove(f.folder + ".lock"); !errors.Is(e, fs.ErrNotExist) {
		err = errors.Join(err, e)
	}
	_ = os.Remove(f.cfg.Dir) // when it is empty
	return err
}
