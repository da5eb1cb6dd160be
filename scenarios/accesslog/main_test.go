package main

import (
	"bytes"
	"compress/gzip"
	"io"
	"io/fs"
	"testing"

	"github.com/eve-emulation/eve/scenarios"
)

// The shipped log is what the program writes.
func TestShippedLog(t *testing.T) {
	var b bytes.Buffer
	if err := write(&b); err != nil {
		t.Fatal(err)
	}
	shipped, err := fs.ReadFile(scenarios.FS(), "replay-log.log.gz")
	if err != nil {
		t.Fatal(err)
	}
	if got, want := inflate(t, shipped), inflate(t, b.Bytes()); !bytes.Equal(got, want) {
		t.Errorf("scenarios/replay-log.log.gz: got %d bytes of text, want the %d that go run ./scenarios/accesslog writes", len(got), len(want))
	}
}

func inflate(t *testing.T, b []byte) []byte {
	t.Helper()
	z, err := gzip.NewReader(bytes.NewReader(b))
	if err != nil {
		t.Fatal(err)
	}
	text, err := io.ReadAll(z)
	if err != nil {
		t.Fatal(err)
	}
	return text
}
