package dsvbolt_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/eve-emulation/eve/dsv"
	"github.com/eve-emulation/eve/dsv/dsvbolt"
)

// snapshot copies a file as it is on disk.
func snapshot(t testing.TB, path string) string {
	t.Helper()
	b, err := os.ReadFile(path)
	must(t, err)
	copied := filepath.Join(t.TempDir(), "copy.db")
	must(t, os.WriteFile(copied, b, 0o600))
	return copied
}

// fill writes a file of some size, whose history can be checked, and closes it.
func fill(t *testing.T) string {
	t.Helper()
	db := create(t, filepath.Join(t.TempDir(), "run.db"))
	for v := range 20 {
		n := dsv.Name(fmt.Sprintf("v%d.text", v))
		n = dsv.Name(strings.ReplaceAll(string(n), "v", "v_"))
		must(t, db.Declare(dsv.Declaration{Name: n, Kind: dsv.Text, Help: "for a test", History: true}))
		for i := range 400 {
			u := dsv.Update{Name: n, Revision: dsv.Revision(v*1000 + i + 1)}
			u.Reading.Value, u.Reading.Revision, u.Reading.T1 = dsv.TextValue(expected(n, i)), u.Revision, dsv.Instant(i)
			must(t, db.Record(u))
		}
		must(t, db.Flush())
	}
	must(t, db.Close())
	return db.Path()
}

func expected(n dsv.Name, i int) string {
	return fmt.Sprintf("%s is %d, and that is what it is", n, i*i)
}

// readAll reads everything that the file has; it fails the test where what is read was not written, or is not all there
// and no error says so.
func readAll(t *testing.T, path string) error {
	t.Helper()
	db, err := dsvbolt.Open(path, true)
	if err != nil {
		return err
	}
	defer db.Close()
	return readOpen(t, db)
}

func readOpen(t *testing.T, db *dsvbolt.DB) error {
	t.Helper()
	ds := db.Declarations()
	if len(ds) != 20 {
		t.Errorf("%d declarations without an error, want 20", len(ds))
	}
	var errs []error
	for _, d := range ds {
		if d.Help != "for a test" {
			t.Errorf("%s: help %q was not written", d.Name, d.Help)
		}
		i := 0
		err := db.History(d.Name, -1, dsv.Never, func(u dsv.Update) error {
			if got, want := u.Reading.Value.Text, expected(d.Name, i); got != want {
				t.Errorf("%s: %q was not written, want %q", d.Name, got, want)
			}
			i++
			return nil
		})
		if err == nil && i != 400 {
			t.Errorf("%s: %d changes without an error, want 400", d.Name, i)
		}
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

func TestDamageIsTold(t *testing.T) {
	path := fill(t)
	must(t, readAll(t, path))
	whole, err := os.ReadFile(path)
	must(t, err)
	rng := rand.New(rand.NewPCG(1, 2))
	flips, zeroed := 0, 0
	for trial := range 120 {
		b := append([]byte{}, whole...)
		if trial%2 == 0 {
			b[rng.IntN(len(b))] ^= 1 << rng.IntN(8)
		} else {
			page := rng.IntN(len(b) / 4096)
			clear(b[page*4096 : (page+1)*4096])
		}
		damaged := filepath.Join(t.TempDir(), "damaged.db")
		must(t, os.WriteFile(damaged, b, 0o600))
		if err := readAll(t, damaged); err != nil {
			if trial%2 == 0 {
				flips++
			} else {
				zeroed++
			}
		}
	}
	// Free pages and the ends of pages hold nothing, so not all damage shows.
	if flips == 0 || zeroed == 0 {
		t.Errorf("of 60 each, %d flipped bits and %d zeroed pages were noticed", flips, zeroed)
	}
}

// TestFlippedHistoryIsTold flips a bit within a recorded text.
func TestFlippedHistoryIsTold(t *testing.T) {
	path := fill(t)
	b, err := os.ReadFile(path)
	must(t, err)
	text := []byte(expected("v_7.text", 200))
	if !bytes.Contains(b, text) {
		t.Fatal("text not found in the file")
	}
	b = bytes.ReplaceAll(b, text, []byte(strings.Replace(string(text), "what", "whit", 1)))
	must(t, os.WriteFile(path, b, 0o600))
	if err := readAll(t, path); !errors.Is(err, dsvbolt.ErrDamaged) {
		t.Errorf("error is %v, want %v", err, dsvbolt.ErrDamaged)
	}
}

func TestShortFileIsTold(t *testing.T) {
	path := fill(t)
	info, err := os.Stat(path)
	must(t, err)
	for _, size := range []int64{0, 1, 100, 4096, 8191, 8192, 16384, info.Size() / 4} {
		short := snapshot(t, path)
		must(t, os.Truncate(short, size))
		_, err := dsvbolt.Open(short, false)
		if !errors.Is(err, dsvbolt.ErrDamaged) || !strings.Contains(err.Error(), short) {
			t.Errorf("cut to %d bytes: error is %v, want %v and the file's name", size, err, dsvbolt.ErrDamaged)
		}
	}
	must(t, os.WriteFile(path, []byte(strings.Repeat("not a database ", 5000)), 0o600))
	if _, err := dsvbolt.Open(path, true); !errors.Is(err, dsvbolt.ErrDamaged) {
		t.Errorf("another file: error is %v, want %v", err, dsvbolt.ErrDamaged)
	}
}

// TestFileCutWhileOpen would end the process by SIGBUS, were faults not caught.
func TestFileCutWhileOpen(t *testing.T) {
	path := fill(t)
	db, err := dsvbolt.Open(path, true)
	must(t, err)
	defer db.Close()
	must(t, os.Truncate(path, 8192))
	if err := readOpen(t, db); !errors.Is(err, dsvbolt.ErrDamaged) {
		t.Errorf("error is %v, want %v", err, dsvbolt.ErrDamaged)
	}
}

// TestOneMetaPageLost checks that the file opens from the other one.
func TestOneMetaPageLost(t *testing.T) {
	path := fill(t)
	for page := range 2 {
		b, err := os.ReadFile(path)
		must(t, err)
		clear(b[page*4096 : page*4096+128])
		one := filepath.Join(t.TempDir(), "one.db")
		must(t, os.WriteFile(one, b, 0o600))
		db, err := dsvbolt.Open(one, true)
		if err != nil {
			t.Errorf("without meta page %d: %v", page, err)
			continue
		}
		must(t, db.Close())
	}
}

// TestDiskFull fills a small file system; what was acknowledged stays, and the error says what is wrong.
func TestDiskFull(t *testing.T) {
	dir := t.TempDir()
	if err := syscall.Mount("eve-test", dir, "tmpfs", 0, "size=6m"); err != nil {
		t.Skipf("mount a small file system: %v", err)
	}
	defer func() { _ = syscall.Unmount(dir, syscall.MNT_DETACH) }()
	path := filepath.Join(dir, "run.db")
	db := create(t, path)
	s := dsv.NewStore(db)
	must(t, s.Create(t.Context(), dsv.Declaration{Name: "x", Kind: dsv.Bytes, History: true, Durable: true}))
	acked := 0
	var err error
	for range 10_000 {
		if _, err = s.Write(t.Context(), "x", dsv.BytesValue(make([]byte, 16<<10))); err != nil {
			break
		}
		acked++
	}
	if !errors.Is(err, syscall.ENOSPC) || !strings.Contains(err.Error(), path) {
		t.Fatalf("after %d writes: error is %v, want %v and the file's name", acked, err, syscall.ENOSPC)
	}
	if err := db.Close(); !errors.Is(err, syscall.ENOSPC) {
		t.Errorf("close: %v, want %v", err, syscall.ENOSPC)
	}
	again, err := dsvbolt.Open(path, true)
	must(t, err)
	defer again.Close()
	n := 0
	must(t, again.History("x", -1, dsv.Never, func(dsv.Update) error { n++; return nil }))
	if n < acked || acked == 0 {
		t.Errorf("%d writes are there, %d were acknowledged", n, acked)
	}
	// A file cannot be made where there is no room, and nothing is left of it.
	rest, err := os.Create(filepath.Join(dir, "rest"))
	must(t, err)
	_, _ = io.CopyN(rest, zeros{}, 6<<20)
	must(t, rest.Close())
	other := filepath.Join(dir, "other.db")
	if _, err := dsvbolt.Create(other); !errors.Is(err, syscall.ENOSPC) {
		t.Errorf("create on a full disk: %v, want %v", err, syscall.ENOSPC)
	}
	if _, err := os.Stat(other); err == nil {
		t.Error("a broken file was left behind")
	}
}

type zeros struct{}

func (zeros) Read(b []byte) (int, error) { return len(b), nil }
