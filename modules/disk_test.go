package modules_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/eve-emulation/eve/dsv"
	"github.com/eve-emulation/eve/evekernel/wire"
)

// says waits until the kernel has said something.
func (m *mortal) says(text string) {
	m.t.Helper()
	for late := time.Now().Add(patience); ; time.Sleep(time.Millisecond) {
		m.mu.Lock()
		all := strings.Join(m.log, "\n")
		m.mu.Unlock()
		if strings.Contains(all, text) {
			return
		}
		if time.Now().After(late) {
			m.t.Fatalf("the kernel says\n%s\nwant %q", all, text)
		}
	}
}

// TestFullDisk fills the disk under a kernel: durable writes fail and say why, everything else goes on, the kernel tells
// so, and once there is room it goes on as before. It needs a file system of its own, and with it the right to mount one.
func TestFullDisk(t *testing.T) {
	dir := t.TempDir()
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "size=24m"); err != nil {
		t.Skipf("mount a small file system: %v", err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(dir, syscall.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
	m := newMortalAt(t, filepath.Join(dir, "run.db"))
	p := connect(t, m.link("writer"))
	ctx := t.Context()
	for _, d := range []dsv.Declaration{
		{Name: "kept", Kind: dsv.Int, Durable: true}, {Name: "loose", Kind: dsv.Int}, {Name: "bulk", Kind: dsv.Bytes, Merge: dsv.Append},
	} {
		if err := p.Create(ctx, d); err != nil {
			t.Fatal(err)
		}
	}
	put := func(n dsv.Name, v dsv.Value) error {
		_, err := p.Write(ctx, n, v)
		return err
	}
	if err := put("kept", dsv.IntValue(1)); err != nil {
		t.Fatal(err)
	}
	filler := filepath.Join(dir, "filler")
	f, err := os.Create(filler)
	if err != nil {
		t.Fatal(err)
	}
	for err == nil {
		_, err = f.Write(make([]byte, 4096))
	}
	if err := errors.Join(f.Close()); err != nil {
		t.Fatal(err)
	}
	if !errors.Is(err, syscall.ENOSPC) {
		t.Fatalf("fill the disk: %v", err)
	}
	acked := int64(1)
	var full error
	for i := int64(2); i < 200 && full == nil; i++ { // the file may have room to spare
		if err := put("bulk", dsv.BytesValue(make([]byte, 400<<10))); err != nil {
			t.Fatalf("a write that need not be durable: %v", err)
		}
		if full = put("kept", dsv.IntValue(i)); full == nil {
			acked = i
		}
	}
	var we *wire.Error
	if !errors.As(full, &we) || !strings.Contains(full.Error(), "write kept: ") || !strings.Contains(full.Error(), "no space left on device") {
		t.Fatalf("a durable write on a full disk: %v, want that there is no space left", full)
	}
	m.says("nothing is kept on disk: ")
	for i := range int64(100) {
		if err := put("loose", dsv.IntValue(i)); err != nil {
			t.Fatalf("a write that need not be durable: %v", err)
		}
	}
	if r, err := p.ReadFresh(ctx, "loose"); err != nil || r.Value.Int != 99 {
		t.Errorf("loose is %v (error %v), want 99", r.Value, err)
	}
	if err := os.Remove(filler); err != nil {
		t.Fatal(err)
	}
	for late := time.Now().Add(patience); put("kept", dsv.IntValue(1000)) != nil; time.Sleep(10 * time.Millisecond) {
		if time.Now().After(late) {
			t.Fatal("durable writes fail although there is room again")
		}
	}
	m.says("variables are kept on disk again")
	m.kill()
	m.start()
	if r, err := p.ReadFresh(ctx, "kept"); err != nil || r.Value.Int != 1000 {
		t.Errorf("kept is %v (error %v), want 1000; %d was written before the disk was full", r.Value, err, acked)
	}
}
