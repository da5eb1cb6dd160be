package service_test

import (
	"fmt"
	"math"
	"testing"
	"time"

	"github.com/eve-emulation/eve/dmm"
	"github.com/eve-emulation/eve/dsv"
	"github.com/eve-emulation/eve/fase/files"
	"github.com/eve-emulation/eve/fase/machine"
	"github.com/eve-emulation/eve/fase/service"
	"github.com/eve-emulation/eve/fase/step"
	"github.com/eve-emulation/eve/rdr"
)

// shelf is one server with files, stepped by a test.
type shelf struct {
	t       *testing.T
	set     *files.Set
	host    *service.Host
	driver  *step.Driver
	vars    *dmm.Set
	replies []step.Effect
	burns   []step.Effect
	tag     uint64
}

// Route implements step.Router.
func (s *shelf) Route(_ int, e step.Effect) {
	switch e.Kind {
	case step.Reply:
		s.replies = append(s.replies, e)
	case step.Burn:
		s.burns = append(s.burns, e)
	}
}

func newShelf(t *testing.T, m machine.Config, cache machine.Bytes) *shelf {
	t.Helper()
	s := &shelf{t: t}
	var err error
	if s.set, err = files.NewSet(files.Config{Name: "web", Directories: 10, Zipf: 1}); err != nil {
		t.Fatal(err)
	}
	var specs []dmm.Spec
	for n, man := range map[dsv.Name]string{
		service.CacheName("x", "hits"): "count", service.CacheName("x", "misses"): "count", service.CacheName("x", "bytes"): "mean",
		"x.disk.requested": "sum", "x.disk.delivered": "sum", "x.disk.utilisation": "mean",
	} {
		specs = append(specs, dmm.Spec{Name: n, Manipulator: man})
	}
	if s.vars, err = dmm.NewSet(1, 1, specs); err != nil {
		t.Fatal(err)
	}
	s.host = service.NewHost(service.HostConfig{
		Machine: m, Topology: &service.Topology{Servers: []string{"x"}}, Files: []*files.Set{s.set}, Cache: cache,
	}, s.vars.Var)
	s.driver = step.NewDriver(s, s.host)
	return s
}

// ask has a request arrive with a key, and returns the file that it draws first.
func (s *shelf) ask(at dsv.Instant, key rdr.Key, text string) files.Object {
	s.t.Helper()
	b, err := rdr.ParseBlock("test", []byte(text), rdr.Limits{})
	if err != nil {
		s.t.Fatal(err)
	}
	s.tag++
	r := service.Request{Service: -1, Block: b, Key: key}
	s.driver.Run(at)
	o := files.Object(s.host.Object(&r, ""))
	s.host.Arrive(at, &r, s.tag)
	s.driver.Flush()
	return o
}

// met reports the burns from the n-th on as done, one a millisecond.
func (s *shelf) met(at dsv.Instant, burns ...step.Effect) {
	for _, e := range burns {
		if e.Code != service.BurnDrop {
			s.host.Met(at, e.Ref, 1000)
			s.driver.Flush()
		}
	}
}

func (s *shelf) number(n dsv.Name) float64 {
	x, _ := s.vars.Var(n).Read().Number()
	return x
}

// differing returns n keys whose files differ and are at least least bytes long.
func (s *shelf) differing(n int, least int64) []rdr.Key {
	var keys []rdr.Key
	seen := map[int]bool{}
	b, err := rdr.ParseBlock("test", []byte("file web reply file"), rdr.Limits{})
	if err != nil {
		s.t.Fatal(err)
	}
	for i := uint64(0); len(keys) < n; i++ {
		key := rdr.Root(1, 2, 3, i)
		_, draw, _ := b.File(key, "")
		if f := s.set.Draw(draw); !seen[f] && s.set.Size(f) >= least {
			seen[f] = true
			keys = append(keys, key)
		}
	}
	return keys
}

// TestFileHitsAndMisses gets a file twice, and one that is larger than the cache twice.
func TestFileHitsAndMisses(t *testing.T) {
	disk := machine.DiskConfig{Seek: 4e6, Rate: 1 << 20} // 4 ms and 1 MiB/s
	s := newShelf(t, machine.Config{Disk: disk}, 1<<20)
	k := s.differing(2, 1024)
	o := s.ask(0, k[0], "file web reply file")
	n := s.set.Size(o.File())
	read := 4*ms + dsv.Instant(math.Round(float64(n)/(1<<20)*1e9))
	if s.host.Cached(o) {
		t.Error("cached before it was read")
	}
	s.driver.Run(read)
	if !s.host.Cached(o) {
		t.Error("not cached after it was read")
	}
	s.ask(read, k[0], "file web cpu 1ms reply file")
	s.driver.Run(read + ms)
	for i, want := range []dsv.Instant{read, read + ms} {
		if len(s.replies) <= i || s.replies[i].At != want || s.replies[i].N != n || files.Object(s.replies[i].Ref) != o || s.replies[i].Code != 200 {
			t.Fatalf("replies: got %+v, want number %d at %v with %d bytes", s.replies, i+1, want, n)
		}
	}
	s.host.Settle(read + 2*ms)
	for name, want := range map[dsv.Name]float64{"x.cache.hits": 1, "x.cache.misses": 1, "x.disk.requested": read.Seconds(), "x.disk.delivered": read.Seconds()} {
		if got := s.number(name); math.Abs(got-want) > 1e-9 {
			t.Errorf("%s: got %v, want %v", name, got, want)
		}
	}
	if err := s.host.Idle(); err != nil {
		t.Error(err)
	}
}

// TestFileIsReadOnce has three requests for one file at once, and one that gives up before the file is there.
func TestFileIsReadOnce(t *testing.T) {
	for _, cache := range []machine.Bytes{0, 1 << 20} {
		t.Run(fmt.Sprintf("cache %d", cache), func(t *testing.T) {
			s := newShelf(t, machine.Config{Disk: machine.DiskConfig{Seek: 10e6, Rate: 1e12}}, cache)
			k := s.differing(1, 100)[0]
			s.ask(0, k, "file web reply file")
			s.ask(ms, k, "file web cpu 1ms reply file")
			s.ask(2*ms, k, "timeout 1ms { file web } reply file")
			s.driver.Run(20 * ms)
			var got []string
			for _, r := range s.replies {
				got = append(got, fmt.Sprintf("%d %d %d", r.Key, r.Code, r.At/ms))
			}
			if want := "[3 500 3 1 200 10 2 200 11]"; fmt.Sprint(got) != want {
				t.Errorf("replies: got %v, want %s", got, want)
			}
			s.ask(30*ms, k, "file web reply file")
			s.driver.Run(50 * ms)
			if hit := s.replies[3].At == 30*ms; hit != (cache > 0) {
				t.Errorf("asked again: answered at %v with a cache of %d", s.replies[3].At, cache)
			}
			s.host.Settle(50 * ms)
			want := 4.0
			if cache > 0 {
				want = 3
			}
			if got := s.number("x.cache.misses"); got != want {
				t.Errorf("misses: got %v, want %v", got, want)
			}
			if err := s.host.Idle(); err != nil {
				t.Error(err)
			}
		})
	}
}

// TestFileReadGoesOn has everybody give up who waits for a file: it is cached all the same.
func TestFileReadGoesOn(t *testing.T) {
	s := newShelf(t, machine.Config{Disk: machine.DiskConfig{Seek: 10e6}}, 1<<20)
	k := s.differing(1, 100)[0]
	o := s.ask(0, k, "timeout 1ms { file web }")
	s.driver.Run(20 * ms)
	if !s.host.Cached(o) || len(s.replies) != 1 || s.replies[0].Code != 500 {
		t.Errorf("cached %t, replies %+v, want it cached and a 500", s.host.Cached(o), s.replies)
	}
	if err := s.host.Idle(); err != nil {
		t.Error(err)
	}
}

func TestFileOfNoSet(t *testing.T) {
	s := newShelf(t, machine.Config{}, 0)
	if o := s.ask(0, 1, "file img reply file"); o != 0 {
		t.Errorf("foresees file %d of a set that is not there", o)
	}
	s.driver.Run(ms)
	if len(s.replies) != 1 || s.replies[0].Code != 500 {
		t.Errorf("replies: got %+v, want a 500", s.replies)
	}
}

// TestFilesLikeTheCache compares hits in virtual time with the approximation of a full cache.
func TestFilesLikeTheCache(t *testing.T) {
	s := newShelf(t, machine.Config{}, 8<<20)
	const n = 40_000
	var hits, misses float64
	for i := range uint64(2 * n) {
		if i == n { // the cache is full
			hits, misses = s.number("x.cache.hits"), s.number("x.cache.misses")
		}
		s.ask(dsv.Instant(i)*10*ms, rdr.Root(5, 6, 7, i), "file web reply file")
	}
	s.driver.Run(2*n*10*ms + 1e9)
	want := s.set.HitRatio(8 << 20).Requests
	hits, misses = s.number("x.cache.hits")-hits, s.number("x.cache.misses")-misses
	if got := hits / (hits + misses); !(math.Abs(got-want) <= 0.01) {
		t.Errorf("hit ratio: got %.4f, want %.4f", got, want)
	}
	// It filled within the first hundredth of the time, and then lacks less than the mean file.
	s.host.Settle(2*n*10*ms + 1e9)
	if got := s.number("x.cache.bytes") / (8 << 20); !(got > 0.95 && got <= 1) {
		t.Errorf("the cache was filled to %.3f of its size in the mean, want 0.95 to 1", got)
	}
	bytes := 0.0
	for _, r := range s.replies {
		bytes += float64(r.N)
	}
	if got := bytes / float64(len(s.replies)); math.Abs(got/s.set.Mean()-1) > 0.03 {
		t.Errorf("mean reply: got %.0f B, want %.0f", got, s.set.Mean())
	}
}

// bytesHeld follows the effects: what is read is held until it is dropped.
func bytesHeld(burns []step.Effect) map[files.Object]bool {
	held := map[files.Object]bool{}
	for _, e := range burns {
		switch e.Code {
		case service.BurnFile:
			held[files.Object(e.Key)] = true
		case service.BurnDrop:
			delete(held, files.Object(e.Key))
		}
	}
	return held
}

// TestBurnedFiles follows the bytes of files under run: burn: they are held from their read until they are neither cached nor
// to be sent.
func TestBurnedFiles(t *testing.T) {
	s := newShelf(t, machine.Config{Run: machine.Burn, Disk: machine.DiskConfig{Depth: 2}}, 0)
	k := s.differing(3, 100)
	var o [3]files.Object
	for i := range o {
		o[i] = s.ask(dsv.Instant(i), k[i], "file web cpu 1ms reply file")
	}
	if len(s.burns) != 2 || s.burns[0].Code != service.BurnFile || files.Object(s.burns[0].Key) != o[0] || s.burns[0].N != s.set.Size(o[0].File()) {
		t.Fatalf("burns: got %+v, want to read two files at once", s.burns)
	}
	s.met(ms, s.burns[1])
	if len(s.burns) != 4 || files.Object(s.burns[3].Key) != o[2] && files.Object(s.burns[2].Key) != o[2] {
		t.Fatalf("burns: got %+v, want the third read and 1 ms of CPU", s.burns)
	}
	if held := bytesHeld(s.burns); len(held) != 3 {
		t.Errorf("held: %v, want all", held)
	}
	for i := 0; i < len(s.burns); i++ {
		s.met(dsv.Instant(i+2)*ms, s.burns[i]) // one is met already, and ignored
	}
	if len(s.replies) != 3 {
		t.Fatalf("replies: got %+v, want three", s.replies)
	}
	if held := bytesHeld(s.burns); len(held) != 0 {
		t.Errorf("held without a cache after the last reply: %v", held)
	}
	if err := s.host.Idle(); err != nil {
		t.Error(err)
	}
}

// TestBurnedFileIsSentLate has a reply cross a slow link while its block gets another file: the bytes are held until it is out.
func TestBurnedFileIsSentLate(t *testing.T) {
	s := newShelf(t, machine.Config{Run: machine.Burn, Link: machine.LinkConfig{Delay: 5 * time.Millisecond}}, 0)
	s.ask(0, 1, "file web reply file file web cpu 1us")
	s.driver.Run(5 * ms)
	for i := 0; i < len(s.burns); i++ {
		s.met(dsv.Instant(6+i)*ms, s.burns[i])
		if held := bytesHeld(s.burns); len(s.replies) == 0 && len(held) == 0 {
			t.Fatalf("nothing is held after %d burns, and the reply is not out", i+1)
		}
	}
	s.driver.Run(30 * ms)
	if len(s.replies) != 1 || len(s.burns) != 5 {
		t.Fatalf("got %d replies and %d burns, want 1 reply and two files read and dropped, and CPU", len(s.replies), len(s.burns))
	}
	sent := files.Object(s.replies[0].Ref)
	for _, e := range s.burns {
		if e.Code == service.BurnDrop && files.Object(e.Key) == sent && e.At < s.replies[0].At {
			t.Errorf("file %d dropped at %v, sent at %v", sent, e.At, s.replies[0].At)
		}
	}
	if held := bytesHeld(s.burns); len(held) != 0 {
		t.Errorf("held after the reply: %v", held)
	}
	if err := s.host.Idle(); err != nil {
		t.Error(err)
	}
}

// TestBurnedFileIsLost has the disk fail: whoever waits fails too, and the next one reads the file again.
func TestBurnedFileIsLost(t *testing.T) {
	s := newShelf(t, machine.Config{Run: machine.Burn}, 1<<20)
	k := s.differing(1, 100)[0]
	o := s.ask(0, k, "file web reply file")
	s.ask(ms, k, "file web reply file")
	s.host.Lost(2*ms, s.burns[0].Ref, 1000)
	s.driver.Flush()
	if len(s.replies) != 2 || s.replies[0].Code != 500 || s.replies[1].Code != 500 || s.host.Cached(o) {
		t.Fatalf("replies %+v, cached %t; want two of 500, and nothing cached", s.replies, s.host.Cached(o))
	}
	s.ask(2*ms, k, "file web reply file")
	if len(s.burns) != 2 || s.burns[1].Code != service.BurnFile || files.Object(s.burns[1].Key) != o {
		t.Fatalf("burns: got %+v, want another read", s.burns)
	}
	s.met(3*ms, s.burns[1])
	if len(s.replies) != 3 || s.replies[2].Code != 200 || !s.host.Cached(o) {
		t.Errorf("replies %+v, cached %t; want a 200 and the file cached", s.replies, s.host.Cached(o))
	}
	if err := s.host.Idle(); err != nil {
		t.Error(err)
	}
}

// TestBurnedFilesAreThoseCached asks for 3000 files with a small cache: what is held at the end is what the cache keeps.
func TestBurnedFilesAreThoseCached(t *testing.T) {
	s := newShelf(t, machine.Config{Run: machine.Burn, Disk: machine.DiskConfig{Depth: 3}}, 300_000)
	done := 0
	for i := range uint64(3000) {
		s.ask(dsv.Instant(i)*ms, rdr.Root(5, 6, 7, i), []string{"file web reply file", "file web cpu 1us file web reply file", "timeout 2ms { file web file web } reply file"}[i%3])
		if i%4 == 3 {
			for ; done < len(s.burns)-int(i%3); done++ {
				s.met(dsv.Instant(i)*ms, s.burns[done])
			}
		}
	}
	for ; done < len(s.burns); done++ {
		s.met(4000*ms, s.burns[done])
	}
	s.driver.Run(5000 * ms)
	if len(s.replies) != 3000 {
		t.Errorf("got %d replies, want 3000", len(s.replies))
	}
	held, sum := bytesHeld(s.burns), int64(0)
	for o := range held {
		sum += s.set.Size(o.File())
		if !s.host.Cached(o) {
			t.Errorf("file %d is held and not cached", o)
		}
	}
	for f := range s.set.Len() {
		if o := files.NewObject(0, f); s.host.Cached(o) && !held[o] {
			t.Errorf("file %d is cached and not held", f)
		}
	}
	if sum == 0 || sum > 300_000 {
		t.Errorf("held: %d bytes, want at most 300000", sum)
	}
	if err := s.host.Idle(); err != nil {
		t.Error(err)
	}
}

// TestFilesDoNotAllocate asks for files again and again, most of which the cache has and some of which are read.
func TestFilesDoNotAllocate(t *testing.T) {
	s := newShelf(t, machine.Config{Disk: machine.DiskConfig{Seek: 1000, Rate: 1e12}}, 4<<20)
	b, err := rdr.ParseBlock("test", []byte("file web cpu 1us reply file"), rdr.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	at, i := dsv.Instant(0), uint64(0)
	one := func() {
		at, i = at+ms, i+1
		s.driver.Run(at)
		s.replies = s.replies[:0]
		s.host.Arrive(at, &service.Request{Service: -1, Block: b, Key: rdr.Root(1, 2, 3, i)}, i)
		s.driver.Flush()
	}
	for range 5000 {
		one()
	}
	misses := s.number("x.cache.misses")
	if got := testing.AllocsPerRun(5000, one); got != 0 {
		t.Errorf("a request allocates %g times, want 0", got)
	}
	if got := s.number("x.cache.misses") - misses; got < 100 {
		t.Errorf("%v files were read, want some", got)
	}
}
