package dsvbolt_test

import (
	"compress/gzip"
	"io"
	"math"
	"os"
	"path/filepath"
	"testing"

	"github.com/eve-emulation/eve/dsv"
	"github.com/eve-emulation/eve/dsv/dsvbolt"
)

// TestOldFilesAreRead reads a file that was written in format 1, and goes on writing to it.
func TestOldFilesAreRead(t *testing.T) {
	packed, err := os.Open(filepath.Join("testdata", "format1.db.gz"))
	must(t, err)
	defer packed.Close()
	z, err := gzip.NewReader(packed)
	must(t, err)
	b, err := io.ReadAll(z)
	must(t, err)
	path := filepath.Join(t.TempDir(), "run.db")
	must(t, os.WriteFile(path, b, 0o600))
	db, err := dsvbolt.Open(path, true)
	must(t, err)
	check := func(want int) {
		t.Helper()
		n := 0
		must(t, db.History("x", 0, dsv.Never, func(u dsv.Update) error {
			n++
			if u.Delta.Seq != uint64(n) || u.Delta.Value.Float != math.Sqrt(float64(n)) {
				t.Fatalf("change %d is %+v", n, u.Delta)
			}
			return nil
		}))
		if n != want {
			t.Fatalf("%d changes, want %d", n, want)
		}
	}
	check(4000)
	must(t, db.Close())

	db, err = dsvbolt.Open(path, false)
	must(t, err)
	s := dsv.NewStore(db)
	must(t, db.Restore(s))
	for i := 4001; i <= 9000; i++ {
		at := dsv.Instant(i) * 1e6
		must(t, s.Sync(t.Context(), []dsv.Delta{{Name: "x", Writer: 1, Seq: uint64(i), T0: at - 1e6, T1: at, Value: dsv.FloatValue(math.Sqrt(float64(i))), Weight: 1}}))
	}
	check(9000)
	p, err := s.History(t.Context(), dsv.HistoryRequest{Name: "x", From: dsv.Instant(3990) * 1e6, Limit: 20})
	if err != nil || len(p.Deltas) != 20 || p.Deltas[19].Seq != 4010 {
		t.Errorf("a page across the formats has %d deltas, %v", len(p.Deltas), err)
	}
	must(t, s.Close())
	must(t, db.Close())
	db, err = dsvbolt.Open(path, true)
	must(t, err)
	defer db.Close()
	check(9000)
}
