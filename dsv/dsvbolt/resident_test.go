package dsvbolt_test

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/eve-emulation/eve/dsv"
)

// resident returns how many bytes of mapped files the process holds in memory.
func resident(t *testing.T) int64 {
	t.Helper()
	b, err := os.ReadFile("/proc/self/status")
	must(t, err)
	for line := range strings.Lines(string(b)) {
		var kilobytes int64
		if _, err := fmt.Sscanf(line, "RssFile: %d kB", &kilobytes); err == nil {
			return kilobytes << 10
		}
	}
	t.Skip("the system does not tell what of files is in memory")
	return 0
}

// TestFilesDoNotFillMemory records 100 MiB into many variables, so that each part of the file is looked at.
func TestFilesDoNotFillMemory(t *testing.T) {
	if testing.Short() {
		t.Skip("a large file: long under the race detector, which learns nothing from it")
	}
	db := create(t, filepath.Join(t.TempDir(), "run.db"))
	s := dsv.NewStore(db)
	const vars, rounds, size = 40, 50, 50 << 10
	noise := make([]byte, size)
	for i := range noise {
		noise[i] = byte(rand.Uint32())
	}
	before := resident(t)
	for i := range vars * rounds {
		n := dsv.Name(fmt.Sprintf("v_%d", i%vars))
		must(t, s.Create(t.Context(), dsv.Declaration{Name: n, Kind: dsv.Bytes, History: true}))
		_, err := s.Write(t.Context(), n, dsv.BytesValue(noise))
		must(t, err)
		if i%vars == vars-1 {
			must(t, db.Flush())
		}
	}
	if grown := resident(t) - before; grown > 40<<20 {
		t.Errorf("%d MiB of the file are in memory, of %d", grown>>20, onDisk(t, db.Path())>>20)
	}
	n := 0
	must(t, db.History("v_7", -1, dsv.Never, func(dsv.Update) error { n++; return nil }))
	if n != rounds {
		t.Errorf("%d changes, want %d", n, rounds)
	}
	must(t, s.Close())
}
