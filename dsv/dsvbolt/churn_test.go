package dsvbolt_test

import (
	"fmt"
	"path/filepath"
	"runtime"
	"testing"
	"time"

	"github.com/eve-emulation/eve/dsv"
)

// TestChurnHoldsMemory creates, records and deletes variables, each with a name of its own, and one name again and
// again: neither keeps what it has recorded in memory.
func TestChurnHoldsMemory(t *testing.T) {
	db := create(t, filepath.Join(t.TempDir(), "run.db"))
	s := dsv.NewStore(db)
	life := func(n dsv.Name) {
		must(t, s.Create(t.Context(), dsv.Declaration{Name: n, Kind: dsv.Text, History: true}))
		_, err := s.Write(t.Context(), n, dsv.TextValue(fmt.Sprintf("%06000d", 1)))
		must(t, err)
		must(t, s.Delete(t.Context(), n))
	}
	life("same")
	must(t, db.Flush())
	before := heap()
	const names = 2000
	for i := range names {
		life(dsv.Name(fmt.Sprintf("module_%d.state", i)))
		life("same")
	}
	must(t, db.Flush())
	if each := (int64(heap()) - int64(before)) / names; each > 2500 {
		t.Errorf("a deleted variable takes %d bytes of memory", each)
	}
	runtime.KeepAlive(s)
	again := reopen(t, db, false)
	began := time.Now()
	must(t, again.Restore(dsv.NewStore(again)))
	if took := time.Since(began); took > time.Second {
		t.Errorf("restoring takes %v", took)
	}
	must(t, again.Close())
}

// TestDeletionIsToldAfterARestart deletes a variable and creates it again; the Store that succeeds tells a watch that
// goes on from before that what it knew is no more.
func TestDeletionIsToldAfterARestart(t *testing.T) {
	db := create(t, filepath.Join(t.TempDir(), "run.db"))
	s := dsv.NewStore(db)
	d := dsv.Declaration{Name: "x", Kind: dsv.Int, History: true}
	must(t, s.Create(t.Context(), d))
	rev, err := s.Write(t.Context(), "x", dsv.IntValue(1))
	must(t, err)
	must(t, s.Delete(t.Context(), "x"))
	must(t, s.Create(t.Context(), d))
	for restart := range 2 {
		w, err := s.Watch(t.Context(), dsv.WatchRequest{Pattern: "*", From: rev})
		must(t, err)
		p := w.(dsv.Poller)
		if u, ok, err := p.Poll(); !ok || err != nil || !u.Deleted || u.Name != "x" {
			t.Errorf("restart %d: got %+v, %v, %v, want the deletion", restart, u, ok, err)
		}
		must(t, w.Close())
		must(t, s.Close())
		db = reopen(t, db, false)
		s = dsv.NewStore(db)
		must(t, db.Restore(s))
	}
	must(t, db.Close())
}
