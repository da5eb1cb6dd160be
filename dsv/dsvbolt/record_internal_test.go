package dsvbolt

import (
	"path/filepath"
	"testing"

	"github.com/eve-emulation/eve/dsv"
)

// TestBufferedIsWhatWaits checks that records which fill a chunk each are counted, since the count bounds the memory.
func TestBufferedIsWhatWaits(t *testing.T) {
	db, err := Create(filepath.Join(t.TempDir(), "run.db"))
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if err := db.Declare(dsv.Declaration{Name: "x", Kind: dsv.Bytes, Merge: dsv.Append}); err != nil {
		t.Fatal(err)
	}
	db.committing.Lock() // the disk hangs
	defer db.committing.Unlock()
	const size, records = 256 << 10, 20
	for i := range records {
		u := dsv.Update{Name: "x", Revision: dsv.Revision(i + 1), Reading: dsv.Reading{Value: dsv.BytesValue(make([]byte, size))}}
		if err := db.Record(u); err != nil {
			t.Fatal(err)
		}
	}
	db.mu.Lock()
	defer db.mu.Unlock()
	if db.buffered < records*size {
		t.Errorf("%d bytes are counted, want at least %d", db.buffered, records*size)
	}
}
