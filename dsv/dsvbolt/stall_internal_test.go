package dsvbolt

import (
	"path/filepath"
	"testing"
	"time"

	"github.com/eve-emulation/eve/dsv"
)

// TestCommitsStallNobody has a transaction that does not end, as on a slow disk: reads, writes and syncs go on.
func TestCommitsStallNobody(t *testing.T) {
	db, err := Create(filepath.Join(t.TempDir(), "run.db"))
	if err != nil {
		t.Fatal(err)
	}
	s, ctx := dsv.NewStore(db), t.Context()
	if err := s.Create(ctx, dsv.Declaration{Name: "x", Kind: dsv.Int, Merge: dsv.Sum, History: true}); err != nil {
		t.Fatal(err)
	}
	slow, err := db.bolt.Begin(true)
	if err != nil {
		t.Fatal(err)
	}
	flushed, gone := make(chan error), make(chan error)
	go func() { flushed <- db.Flush() }()
	for db.committing.TryLock() {
		db.committing.Unlock()
		time.Sleep(time.Millisecond)
	}
	go func() {
		for i := range 10_000 {
			d := dsv.Delta{Name: "x", Writer: 1, Seq: uint64(i + 1), T1: dsv.Instant(i), Value: dsv.IntValue(1), Weight: 1}
			if err := s.Sync(ctx, []dsv.Delta{d}); err != nil {
				gone <- err
				return
			}
		}
		_, err := s.Read(ctx, "x")
		gone <- err
	}()
	select {
	case err := <-gone:
		if err != nil {
			t.Error(err)
		}
	case <-time.After(10 * time.Second):
		t.Error("a write waits for a transaction")
	}
	if err := slow.Rollback(); err != nil {
		t.Error(err)
	}
	if err := <-flushed; err != nil {
		t.Error(err)
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	if err := db.Close(); err != nil {
		t.Error(err)
	}
}
