package dsvbolt_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/eve-emulation/eve/dsv"
	"github.com/eve-emulation/eve/dsv/dsvbolt"
)

// contents tells everything that a file says, or the errors of those parts that it cannot tell.
func contents(path string) (string, error) {
	db, err := dsvbolt.Open(path, true)
	if err != nil {
		return "", err
	}
	defer db.Close()
	var errs []error
	if gaps := db.Gaps(); len(gaps) > 0 {
		return "", fmt.Errorf("changes are missing: %v", gaps)
	}
	var text strings.Builder
	fmt.Fprintln(&text, db.Revision())
	for _, d := range db.Declarations() {
		last, err := db.Last(d.Name)
		if !errors.Is(err, dsv.ErrUnset) {
			errs = append(errs, err)
		}
		fmt.Fprintln(&text, d, last)
		for _, from := range []dsv.Instant{-1, 1500} {
			errs = append(errs, db.History(d.Name, from, dsv.Never, func(u dsv.Update) error {
				fmt.Fprintln(&text, u.Revision, u.Reading.T1, u.Reading.Value.Text, u.Deleted)
				return nil
			}))
		}
	}
	return text.String(), errors.Join(errs...)
}

// TestAnyFlippedBitIsTold flips bits all over a file: what it tells is what was written, or an error.
func TestAnyFlippedBitIsTold(t *testing.T) {
	if testing.Short() {
		t.Skip("a whole file bit by bit, by one goroutine: long under the race detector, which learns nothing from it")
	}
	db := create(t, filepath.Join(t.TempDir(), "run.db"))
	for v := range 6 {
		n := dsv.Name(fmt.Sprintf("v_%d", v))
		must(t, db.Declare(dsv.Declaration{Name: n, Kind: dsv.Text, Help: "for a test", History: v%2 == 0}))
		for i := range 120 {
			u := dsv.Update{Name: n, Revision: dsv.Revision(v*1000 + i + 1)}
			u.Reading.Value, u.Reading.Revision, u.Reading.T1 = dsv.TextValue(fmt.Sprintf("%0150d", i)), u.Revision, dsv.Instant(20*i)
			must(t, db.Record(u))
		}
		must(t, db.Flush())
	}
	must(t, db.Close())
	whole, err := os.ReadFile(db.Path())
	must(t, err)
	want, err := contents(db.Path())
	must(t, err)
	path, told := filepath.Join(t.TempDir(), "damaged.db"), 0
	for at := 0; at < len(whole); at += stride(at) {
		b := append([]byte{}, whole...)
		b[at] ^= 1 << (at % 8)
		must(t, os.WriteFile(path, b, 0o600))
		got, err := contents(path)
		switch {
		case err != nil:
			told++
		case got != want:
			t.Errorf("bit %d of byte %d of page %d: what the file says was not written", at%8, at%4096, at/4096)
		}
	}
	if told < 100 {
		t.Errorf("%d flips were told, of a file of %d bytes", told, len(whole))
	}
}

// stride tries the headers of pages and what follows them more often than what is checksummed.
func stride(at int) int {
	switch {
	case at < 8192 && at%4096 >= 80:
		return 500
	case at%4096 < 200:
		return 7
	}
	return 211
}
