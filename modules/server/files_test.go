package server_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/eve-emulation/eve/dmm"
	"github.com/eve-emulation/eve/dsv"
	"github.com/eve-emulation/eve/fase/burn"
	"github.com/eve-emulation/eve/fase/engine"
	"github.com/eve-emulation/eve/fase/files"
	"github.com/eve-emulation/eve/fase/machine"
	"github.com/eve-emulation/eve/fase/scenario"
	"github.com/eve-emulation/eve/fase/service"
	"github.com/eve-emulation/eve/internal/mono"
	"github.com/eve-emulation/eve/modules/server"
	"github.com/eve-emulation/eve/rdr"
)

// shelved gives a server two directories of files and a cache.
func shelved(t *testing.T, m machine.Config, cache machine.Bytes, set *files.Set, vars *dmm.Set) func(*server.Config) {
	dir := t.TempDir()
	return func(c *server.Config) {
		c.Host.Machine, c.Host.Cache, c.Host.Files, c.Sets = m, cache, []*files.Set{set}, filepath.Join(dir, "sets")
		c.Vars = vars.Var
	}
}

func newSet(t *testing.T) *files.Set {
	t.Helper()
	set, err := files.NewSet(files.Config{Name: "web", Directories: 2, Zipf: 1})
	if err != nil {
		t.Fatal(err)
	}
	return set
}

func newVars(t *testing.T) *dmm.Set {
	t.Helper()
	vars, err := dmm.NewSet(1, 1, []dmm.Spec{
		{Name: service.CacheName("here", "hits"), Manipulator: "count"},
		{Name: service.CacheName("here", "misses"), Manipulator: "count"},
		{Name: service.DirectName("here"), Manipulator: "last"},
	})
	if err != nil {
		t.Fatal(err)
	}
	return vars
}

func number(vars *dmm.Set, n dsv.Name) float64 {
	x, _ := vars.Var(n).Read().Number()
	return x
}

// TestFiles asks for files over real sockets, by their paths and by keys, from every engine: under burn the bytes of the real
// files come back, under hold as many of filler.
func TestFiles(t *testing.T) {
	block := "file web cpu 10us reply file"
	sets, set := filepath.Join(t.TempDir(), "sets"), newSet(t)
	held := burn.FilesConfig{Name: set.Name(), Dir: sets} // so that not every server writes them anew
	for i := range set.Len() {
		held.Files = append(held.Files, burn.File{Path: set.Path(i), Size: set.Size(i)})
	}
	contents := make([]string, set.Len())
	for i := range contents {
		contents[i] = string(burn.Content(nil, i, set.Size(i)))
	}
	hold, err := burn.OpenFiles(t.Context(), held)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := hold.Close(); err != nil {
			t.Error(err)
		}
		if _, err := os.Stat(sets); !os.IsNotExist(err) { // all servers have ended
			t.Errorf("files are left in %s: %v", sets, err)
		}
	})
	type way struct {
		run   machine.Run
		cache machine.Bytes
	}
	ways := []way{{machine.Burn, 600_000}, {machine.Burn, 0}, {machine.Burn, 1 << 30}, {machine.Hold, 600_000}}
	for i, name := range engine.Shipped().Names() {
		if testing.Short() && i > 0 {
			ways = ways[:1] // hits and misses on every engine; the others on the first only
		}
		for _, how := range ways {
			t.Run(fmt.Sprintf("%s/%v-%d", name, how.run, how.cache), func(t *testing.T) {
				if how.cache != 600_000 && !slices.Contains([]string{"reactors", "amped", "threads"}, name) {
					t.Skip("one of each kind is enough")
				}
				vars := newVars(t)
				change := shelved(t, machine.Config{Run: how.run, Disk: machine.DiskConfig{Direct: true, Depth: 4}}, how.cache, set, vars)
				s := listen(t, func(c *server.Config) {
					change(c)
					c.Engine.Name, c.Sets = name, sets
				})
				url := serve(t, s)
				s.Start(mono.Now())
				check := func(f int, body string) {
					t.Helper()
					switch {
					case int64(len(body)) != set.Size(f):
						t.Errorf("file %d: got %d bytes, want %d", f, len(body), set.Size(f))
					case how.run == machine.Burn && body != contents[f]:
						t.Errorf("file %d: other bytes than it holds", f)
					}
				}
				for range 2 {
					for _, f := range []int{0, 8, 9, 30, 35, 40, 71} {
						res, body := ask(t, "GET", url+"/files/web/"+set.Path(f), "")
						if res.StatusCode != 200 {
							t.Fatalf("file %d: got status %d", f, res.StatusCode)
						}
						check(f, body)
					}
				}
				var wg sync.WaitGroup
				for i := range uint64(6) {
					wg.Go(func() {
						for k := range uint64(8) {
							key := rdr.Root(3, i%3, 0, k)
							b, err := rdr.ParseBlock("test", []byte(block), rdr.Limits{})
							if err != nil {
								t.Error(err)
								return
							}
							_, draw, _ := b.File(key, "")
							_, body := ask(t, "POST", url+"/rdr", block, "Eve-Key", fmt.Sprintf("%x", uint64(key)))
							check(set.Draw(draw), body)
						}
					})
				}
				wg.Wait()
				hits, misses := number(vars, service.CacheName("here", "hits")), number(vars, service.CacheName("here", "misses"))
				if hits+misses != 2*7+6*8 || how.cache == 0 && hits > 0 || how.cache == 1<<30 && hits < 7 {
					t.Errorf("%v hits and %v misses of %d requests", hits, misses, 2*7+6*8)
				}
			})
		}
	}
}

func TestFilesRefused(t *testing.T) {
	set, vars := newSet(t), newVars(t)
	s := listen(t, shelved(t, machine.Config{}, 0, set, vars))
	url := serve(t, s)
	s.Start(mono.Now())
	for _, c := range []struct {
		method, path, body string
		status             int
		says               string
	}{
		{"GET", "/files/img", "", 404, "no file set img"},
		{"GET", "/files/web/dir00002/class0_0", "", 404, "no file dir00002/class0_0 in web"},
		{"GET", "/files/web/../../etc/passwd", "", 404, "no file"},
		{"GET", "/files/web/dir00000/../dir00000/class0_0", "", 404, "no file"},
		{"GET", "/files/web/%2e%2e/%2e%2e/etc/passwd", "", 404, "no file %2e%2e"},
		{"GET", "/files/web//etc/passwd", "", 404, "no file /etc/passwd in web"},
		{"GET", "/files/web/dir00000/class0_0/", "", 404, "no file"},
		{"GET", "/files/web/DIR00000/class0_0", "", 404, "no file"},
		{"GET", "/files/web/dir99999999999999999999/class0_0", "", 404, "no file"},
		{"GET", "/files/web/dir00000/class9223372036854775807_0", "", 404, "no file"},
		{"GET", "/files/web/" + strings.Repeat("x", 4000), "", 404, "xx… in web"},
		{"GET", "/files/web/dir00000/class0_0?version=2", "", 200, ""},
		{"GET", "/files/", "", 404, "no file set"},
		{"HEAD", "/files/img", "", 404, ""},
		{"POST", "/files/web", "", 404, "POST goes to /rdr"},
		{"DELETE", "/files/web/dir00000/class0_0", "", 405, "GET, HEAD or POST"},
		{"GET", "/files", "", 200, "POST a resource demand"},
		{"GET", "/files/web", "", 200, ""},
		{"POST", "/rdr", "file img reply file", 400, "file img: this server has no file set"},
		{"POST", "/rdr", "reply file", 400, "has no file to send"},
	} {
		res, body := ask(t, c.method, url+c.path, c.body)
		if res.StatusCode != c.status || !strings.Contains(body, c.says) {
			t.Errorf("%s %s: got %d %q, want %d %q", c.method, c.path, res.StatusCode, body[:min(len(body), 80)], c.status, c.says)
		}
	}
	res, body := ask(t, "HEAD", url+"/files/web/"+set.Path(30), "")
	if res.StatusCode != 200 || res.ContentLength != set.Size(30) || body != "" {
		t.Errorf("HEAD: got %d, length %d and %d bytes, want 200, length %d and no byte", res.StatusCode, res.ContentLength, len(body), set.Size(30))
	}
}

// TestFileThatCannotBeRead takes a file away under a server, and brings it back: that it was not there is not kept.
func TestFileThatCannotBeRead(t *testing.T) {
	set, vars := newSet(t), newVars(t)
	var sets string
	change := shelved(t, machine.Config{Run: machine.Burn}, 1<<20, set, vars)
	s := listen(t, func(c *server.Config) {
		change(c)
		sets = c.Sets
	})
	url := serve(t, s)
	s.Start(mono.Now())
	gone, err := filepath.Glob(filepath.Join(sets, "*", set.Path(7)))
	if err != nil || len(gone) != 1 {
		t.Fatalf("the file: got %v, %v", gone, err)
	}
	if err := os.Rename(gone[0], gone[0]+"~"); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if res, body := ask(t, "GET", url+"/files/web/"+set.Path(7), ""); res.StatusCode != 500 {
			t.Errorf("got %d with %d bytes, want 500", res.StatusCode, len(body))
		}
	}
	if err := os.Rename(gone[0]+"~", gone[0]); err != nil {
		t.Fatal(err)
	}
	res, body := ask(t, "GET", url+"/files/web/"+set.Path(7), "")
	if res.StatusCode != 200 || body != string(burn.Content(nil, 7, set.Size(7))) {
		t.Errorf("back again: got %d with %d bytes, want 200 with its content", res.StatusCode, len(body))
	}
	if got := number(vars, service.DirectName("here")); got != 0 {
		t.Errorf("direct: got %v, want 0", got)
	}
}

// TestFilesAreWaitedFor has another process write the files for ever: the server gives up when it is told to.
func TestFilesAreWaitedFor(t *testing.T) {
	set, dir := newSet(t), t.TempDir()
	whole := burn.FilesConfig{Name: set.Name(), Dir: dir}
	for i := range set.Len() {
		whole.Files = append(whole.Files, burn.File{Path: set.Path(i), Size: set.Size(i)})
	}
	f, err := burn.OpenFiles(t.Context(), whole)
	if err != nil {
		t.Fatal(err)
	}
	lock, err := os.OpenFile(f.Folder()+".lock", os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer lock.Close()
	if err := errors.Join(os.Remove(filepath.Join(f.Folder(), "whole")), syscall.Flock(int(lock.Fd()), syscall.LOCK_SH), f.Close()); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	_, err = server.ListenContext(ctx, server.Config{
		Host: service.HostConfig{
			Topology: &service.Topology{Servers: []string{"here"}}, Machine: machine.Config{Run: machine.Burn}, Files: []*files.Set{set},
		},
		Engine: engine.Config{Listen: "127.0.0.1:0"}, Sets: dir,
	})
	if !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), "file set web") {
		t.Errorf("got %v, want %v", err, context.DeadlineExceeded)
	}
}

func TestWriteFiles(t *testing.T) {
	t.Setenv("TMPDIR", t.TempDir())
	set := newSet(t)
	plan := &scenario.Plan{Servers: []scenario.Server{{HostConfig: service.HostConfig{Files: []*files.Set{set}}}}}
	count := func() int {
		names, err := filepath.Glob(filepath.Join(os.TempDir(), "eve-files-*", "web-*", "dir*", "class*"))
		if err != nil {
			t.Fatal(err)
		}
		return len(names)
	}
	done, err := server.WriteFiles(t.Context(), plan)
	if err != nil || count() != 0 || done() != nil {
		t.Errorf("nothing is burned: %v, and %d files", err, count())
	}
	plan.Servers[0].Machine.Run = machine.Burn
	if done, err = server.WriteFiles(t.Context(), plan); err != nil {
		t.Fatal(err)
	}
	if got := count(); got != set.Len() {
		t.Errorf("got %d files, want %d", got, set.Len())
	}
	if err := done(); err != nil || count() != 0 {
		t.Errorf("done: %v, and %d files are left", err, count())
	}
}
