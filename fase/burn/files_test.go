package burn_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/eve-emulation/eve/fase/burn"
)

// someFiles are of sizes around those that direct reads are aligned to.
func someFiles() []burn.File {
	var fs []burn.File
	for i, n := range []int64{0, 1, 102, 511, 512, 4095, 4096, 4097, 8192, 100_000, 921_600} {
		fs = append(fs, burn.File{Path: fmt.Sprintf("dir%d/file%d", i%3, i), Size: n})
	}
	return fs
}

func openFiles(t *testing.T, cfg burn.FilesConfig) *burn.Files {
	t.Helper()
	f, err := burn.OpenFiles(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := f.Close(); err != nil {
			t.Error(err)
		}
	})
	return f
}

func readAll(t *testing.T, f *burn.Files, files []burn.File) {
	t.Helper()
	b := newBurner(t, burn.Config{})
	for i, x := range files {
		got, err := b.File(f, i)
		if err != nil {
			t.Error(err)
		}
		if !bytes.Equal(got, burn.Content(nil, i, x.Size)) || int64(len(got)) != x.Size {
			t.Errorf("file %d: got %d bytes, want %d that are its content", i, len(got), x.Size)
		}
	}
}

func TestFiles(t *testing.T) {
	for _, direct := range []bool{false, true} {
		t.Run(fmt.Sprintf("direct %t", direct), func(t *testing.T) {
			dir := filepath.Join(t.TempDir(), "sets")
			cfg := burn.FilesConfig{Name: "web", Files: someFiles(), Dir: dir, Direct: direct}
			f := openFiles(t, cfg)
			t.Logf("direct: asked %t, got %t", direct, f.Direct())
			if f.Direct() && !direct {
				t.Error("direct reads that were not asked for")
			}
			readAll(t, f, cfg.Files)
			if err := f.Close(); err != nil {
				t.Error(err)
			}
			if _, err := os.Stat(dir); !os.IsNotExist(err) {
				t.Errorf("after the last close: got %v, want nothing there", err)
			}
		})
	}
}

// TestFilesAreShared opens a set three times: the second and third take what the first wrote, and the last removes it.
func TestFilesAreShared(t *testing.T) {
	cfg := burn.FilesConfig{Name: "web", Files: someFiles(), Dir: t.TempDir()}
	a := openFiles(t, cfg)
	mark := filepath.Join(a.Folder(), "mark")
	if err := os.WriteFile(mark, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	b := openFiles(t, cfg)
	if err := a.Close(); err != nil {
		t.Fatal(err)
	}
	c := openFiles(t, cfg)
	if err := errors.Join(b.Close(), b.Close()); err != nil {
		t.Fatal(err)
	}
	readAll(t, c, cfg.Files)
	if _, err := os.Stat(mark); err != nil {
		t.Errorf("the files were written again: %v", err)
	}
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}
	if left, _ := os.ReadDir(cfg.Dir); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
	other := cfg
	other.Files = other.Files[:3]
	if d := openFiles(t, other); d.Folder() == c.Folder() {
		t.Errorf("different files share the folder %s", d.Folder())
	}
}

// TestFilesAreMended damages a set that was kept.
func TestFilesAreMended(t *testing.T) {
	cfg := burn.FilesConfig{Name: "web", Files: someFiles(), Dir: t.TempDir(), Keep: true}
	for name, damage := range map[string]func(folder string) error{
		"none":      func(string) error { return nil },
		"gone":      func(folder string) error { return os.Remove(filepath.Join(folder, cfg.Files[3].Path)) },
		"cut off":   func(folder string) error { return os.Truncate(filepath.Join(folder, cfg.Files[9].Path), 7) },
		"not whole": func(folder string) error { return os.Remove(filepath.Join(folder, "whole")) },
		"a folder": func(folder string) error {
			path := filepath.Join(folder, cfg.Files[0].Path)
			return errors.Join(os.Remove(path), os.Mkdir(path, 0o700))
		},
	} {
		t.Run(name, func(t *testing.T) {
			f := openFiles(t, cfg)
			if err := errors.Join(f.Close(), damage(f.Folder())); err != nil {
				t.Fatal(err)
			}
			readAll(t, openFiles(t, cfg), cfg.Files)
		})
	}
}

func TestFilesTogether(t *testing.T) {
	cfg := burn.FilesConfig{Name: "web", Files: someFiles(), Dir: t.TempDir()}
	var wg sync.WaitGroup
	for range 6 {
		wg.Go(func() {
			for range 5 {
				f, err := burn.OpenFiles(context.Background(), cfg)
				if err != nil {
					t.Error(err)
					return
				}
				var b burn.Burner
				for i, x := range cfg.Files {
					if got, err := b.File(f, i); err != nil || int64(len(got)) != x.Size {
						t.Errorf("file %d: got %d bytes, %v", i, len(got), err)
					}
				}
				if err := f.Close(); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
}

func TestFilesErrors(t *testing.T) {
	big := burn.FilesConfig{Name: "web", Dir: t.TempDir()}
	for i := range 64 {
		big.Files = append(big.Files, burn.File{Path: fmt.Sprint("f", i), Size: 1 << 50})
	}
	_, err := burn.OpenFiles(t.Context(), big)
	if !errors.Is(err, burn.ErrNoRoom) || !strings.Contains(err.Error(), "file set web in "+big.Dir) || !strings.Contains(err.Error(), "MiB are free") {
		t.Errorf("64 PiB: got %v, want %v with how much is free", err, burn.ErrNoRoom)
	}
	cfg := burn.FilesConfig{Name: "web", Files: someFiles(), Dir: t.TempDir()}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := burn.OpenFiles(ctx, cfg); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: got %v, want %v", err, context.Canceled)
	}
	for _, dir := range []string{big.Dir, cfg.Dir} {
		if left, _ := os.ReadDir(dir); len(left) > 0 {
			t.Errorf("left behind: %v", left)
		}
	}
	f := openFiles(t, cfg)
	if err := os.Truncate(filepath.Join(f.Folder(), cfg.Files[9].Path), 7); err != nil {
		t.Fatal(err)
	}
	b := newBurner(t, burn.Config{})
	if got, err := b.File(f, 9); err == nil || !strings.Contains(err.Error(), "7 bytes of 100000") {
		t.Errorf("a file that was cut off: got %d bytes, %v", len(got), err)
	}
}

func BenchmarkFile(b *testing.B) {
	for _, direct := range []bool{false, true} {
		for _, size := range []int64{512, 5 << 10, 50 << 10, 500 << 10} {
			b.Run(fmt.Sprintf("direct=%t/%d", direct, size), func(b *testing.B) {
				f, err := burn.OpenFiles(b.Context(), burn.FilesConfig{
					Name: "web", Files: []burn.File{{Path: "a", Size: size}}, Dir: b.TempDir(), Direct: direct,
				})
				if err != nil {
					b.Fatal(err)
				}
				defer f.Close()
				if direct != f.Direct() {
					b.Skip("the file system takes no direct reads")
				}
				burner := newBurner(b, burn.Config{})
				b.SetBytes(size)
				for b.Loop() {
					if _, err := burner.File(f, 0); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
	}
}
