package files_test

import (
	"errors"
	"math"
	"strings"
	"testing"

	"github.com/eve-emulation/eve/fase/files"
	"github.com/eve-emulation/eve/rdr"
)

func newSet(t testing.TB, cfg files.Config) *files.Set {
	t.Helper()
	s, err := files.NewSet(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestSet(t *testing.T) {
	s := newSet(t, files.Config{Name: "web", Directories: 3, Zipf: 1})
	if got, want := s.Len(), 108; got != want {
		t.Errorf("files: got %d, want %d", got, want)
	}
	for _, tt := range []struct {
		file int
		size int64
		path string
	}{
		{0, 102, "dir00000/class0_0"},
		{1, 205, "dir00000/class0_1"},
		{8, 922, "dir00000/class0_8"},
		{9, 1024, "dir00000/class1_0"},
		{17, 9216, "dir00000/class1_8"},
		{18, 10240, "dir00000/class2_0"},
		{35, 921600, "dir00000/class3_8"},
		{107, 921600, "dir00002/class3_8"},
	} {
		if got := s.Size(tt.file); got != tt.size {
			t.Errorf("size of file %d: got %d, want %d", tt.file, got, tt.size)
		}
		if got := s.Path(tt.file); got != tt.path {
			t.Errorf("path of file %d: got %q, want %q", tt.file, got, tt.path)
		}
		if got := s.Find(tt.path); got != tt.file {
			t.Errorf("find %q: got %d, want %d", tt.path, got, tt.file)
		}
	}
	for _, path := range []string{"", "dir0/class0_0", "dir00003/class0_0", "dir00000/class0_9", "dir-0001/class0_0", "dir00000/class0_0 ", "dir00000/class1_0/", "a"} {
		if got := s.Find(path); got != -1 {
			t.Errorf("find %q: got %d, want -1", path, got)
		}
	}
	for i, want := range []float64{0.039, 0.059, 0.088, 0.177, 0.353, 0.118, 0.071, 0.05, 0.044} { // of genspec99sesslogs.c
		class := 0.0
		for k := range 9 {
			class += s.Probability(9 + k)
		}
		if got := s.Probability(9+i) / class; math.Abs(got-want) > 0.0006 {
			t.Errorf("file %d of a class: got %.4f, want %g", i, got, want)
		}
	}
	sum, mean, bytes := 0.0, 0.0, int64(0)
	for i := range s.Len() {
		sum += s.Probability(i)
		mean += s.Probability(i) * float64(s.Size(i))
		bytes += s.Size(i)
	}
	if math.Abs(sum-1) > 1e-12 || math.Abs(mean-s.Mean()) > 1e-6 || bytes != s.Bytes() {
		t.Errorf("probabilities sum to %g, mean %g (%g), %d bytes (%d)", sum, mean, s.Mean(), bytes, s.Bytes())
	}
	if got := s.Mean() / 1024; got < 14 || got > 15 { // "roughly 14 KB"
		t.Errorf("mean size: got %.2f KiB, want 14 to 15", got)
	}
	if got, want := s.Probability(0)/s.Probability(36), 2.0; math.Abs(got-want) > 1e-9 {
		t.Errorf("first directory against the second: got %g, want %g", got, want)
	}
}

func TestSetErrors(t *testing.T) {
	for _, tt := range []struct {
		cfg  files.Config
		want string
	}{
		{files.Config{Name: "a", Classes: "web2005"}, `file set a: classes "web2005"`},
		{files.Config{Name: "a", Directories: -1}, "-1 directories"},
		{files.Config{Name: "a", Directories: 1 << 30}, "directories, not 1 to"},
		{files.Config{Name: "a", Zipf: -1}, "exponent -1"},
		{files.Config{Name: "a", Zipf: math.NaN()}, "exponent NaN"},
	} {
		if _, err := files.NewSet(tt.cfg); !errors.Is(err, files.ErrConfig) || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%+v: got %v, want %q", tt.cfg, err, tt.want)
		}
	}
}

// TestDraw compares how often each directory, class and file is drawn with how likely that is: a χ² test of 60 000 draws.
func TestDraw(t *testing.T) {
	const n = 60_000
	s := newSet(t, files.Config{Directories: 10, Zipf: 0.8})
	folders, kinds := make([]float64, 10), make([]float64, 36)
	for i := range n {
		f := s.Draw(rdr.Root(7, 1, 2, uint64(i)))
		folders[f/36]++
		kinds[f%36]++
		if again := s.Draw(rdr.Root(7, 1, 2, uint64(i))); again != f {
			t.Fatalf("draw %d: got %d and then %d", i, f, again)
		}
	}
	chi := func(got []float64, p func(i int) float64) float64 {
		sum := 0.0
		for i, x := range got {
			sum += (x - n*p(i)) * (x - n*p(i)) / (n * p(i))
		}
		return sum
	}
	in := func(i int) (p float64) {
		for d := range 10 {
			p += s.Probability(36*d + i)
		}
		return p
	}
	of := func(d int) (p float64) {
		for i := range 36 {
			p += s.Probability(36*d + i)
		}
		return p
	}
	// The 99.9 % points of χ² with 9 and 35 degrees of freedom.
	if got := chi(folders, of); got > 27.9 {
		t.Errorf("directories: χ² %.1f, want at most 27.9", got)
	}
	if got := chi(kinds, in); got > 66.6 {
		t.Errorf("files: χ² %.1f, want at most 66.6", got)
	}
	allocs := testing.AllocsPerRun(100, func() { s.Draw(17) })
	if allocs != 0 {
		t.Errorf("a draw allocates %g times, want 0", allocs)
	}
}

func TestCache(t *testing.T) {
	c := files.NewCache(100)
	a, b, d, e := files.NewObject(0, 0), files.NewObject(0, 7), files.NewObject(3, 2), files.NewObject(1, 1)
	if c.Use(a) || c.Has(a) || c.Use(0) {
		t.Error("an empty cache has a file")
	}
	for _, tt := range []struct {
		name  string
		put   files.Object
		size  int64
		use   files.Object // before
		gone  []files.Object
		bytes int64
		len   int
	}{
		{"first", a, 40, 0, nil, 40, 1},
		{"second", b, 40, 0, nil, 80, 2},
		{"again", a, 40, 0, nil, 80, 2},
		{"the oldest goes", d, 20, 0, nil, 100, 3},
		{"which is the one not used", e, 30, b, []files.Object{a}, 90, 3},
		{"all go", a, 100, 0, []files.Object{d, b, e}, 100, 1},
		{"too large", b, 101, 0, nil, 100, 1},
		{"no file", 0, 1, 0, nil, 100, 1},
		{"nothing long", b, 0, 0, nil, 100, 2},
	} {
		if tt.use != 0 && !c.Use(tt.use) {
			t.Errorf("%s: %d is not there", tt.name, tt.use)
		}
		gone := c.Put(tt.put, tt.size)
		if len(gone) != len(tt.gone) {
			t.Errorf("%s: forgot %v, want %v", tt.name, gone, tt.gone)
			continue
		}
		for i := range gone {
			if gone[i] != tt.gone[i] || c.Has(gone[i]) {
				t.Errorf("%s: forgot %v, want %v", tt.name, gone, tt.gone)
			}
		}
		if c.Bytes() != tt.bytes || c.Len() != tt.len {
			t.Errorf("%s: keeps %d bytes of %d files, want %d of %d", tt.name, c.Bytes(), c.Len(), tt.bytes, tt.len)
		}
	}
	var none files.Cache
	if none.Put(a, 1); none.Has(a) || none.Len() != 0 {
		t.Error("a cache of 0 bytes keeps a file")
	}
}

// TestCacheModel compares the cache with a list, over 20 000 draws.
func TestCacheModel(t *testing.T) {
	s := newSet(t, files.Config{Directories: 20, Zipf: 1})
	c := files.NewCache(3 << 20)
	var model []files.Object // newest last
	for i := range 20_000 {
		f := s.Draw(rdr.Root(1, 2, 3, uint64(i)))
		o := files.NewObject(i%2, f)
		at := -1
		for k, m := range model {
			if m == o {
				at = k
			}
		}
		if got := c.Use(o); got != (at >= 0) {
			t.Fatalf("use %d: got %t, want %t", i, got, at >= 0)
		}
		if at >= 0 {
			model = append(model[:at], model[at+1:]...)
		} else {
			c.Put(o, s.Size(f))
		}
		model = append(model, o)
		sum := int64(0)
		for k := len(model) - 1; k >= 0; k-- {
			if sum += s.Size(model[k].File()); sum > c.Limit() {
				sum -= s.Size(model[k].File())
				model = append(model[:0], model[k+1:]...)
				break
			}
		}
		if c.Bytes() != sum || c.Len() != len(model) {
			t.Fatalf("after %d: %d bytes of %d files, want %d of %d", i, c.Bytes(), c.Len(), sum, len(model))
		}
	}
	i := uint64(0)
	allocs := testing.AllocsPerRun(2000, func() {
		i++
		f := s.Draw(rdr.Root(4, 2, 3, i))
		if o := files.NewObject(0, f); !c.Use(o) {
			c.Put(o, s.Size(f))
		}
	})
	if allocs != 0 {
		t.Errorf("a request allocates %g times, want 0", allocs)
	}
}

// TestHitRatio compares the approximation with a cache that answers 200 000 draws, after as many to fill it.
func TestHitRatio(t *testing.T) {
	s := newSet(t, files.Config{Directories: 50, Zipf: 1})
	for _, limit := range []int64{0, 64 << 10, 4 << 20, 40 << 20, 1 << 30} {
		c := files.NewCache(limit)
		hits, bytes, all := 0, 0.0, 0.0
		const n = 200_000
		for i := range 2 * n {
			f := s.Draw(rdr.Root(1, 2, 3, uint64(i)))
			o := files.NewObject(0, f)
			hit := c.Use(o)
			if !hit {
				c.Put(o, s.Size(f))
			}
			if i < n {
				continue
			}
			all += float64(s.Size(f))
			if hit {
				hits++
				bytes += float64(s.Size(f))
			}
		}
		want := s.HitRatio(limit)
		if got := float64(hits) / n; math.Abs(got-want.Requests) > 0.01 {
			t.Errorf("cache of %d bytes: %.4f of the requests hit, want %.4f", limit, got, want.Requests)
		}
		if got := bytes / all; math.Abs(got-want.Bytes) > 0.02 {
			t.Errorf("cache of %d bytes: %.4f of the bytes hit, want %.4f", limit, got, want.Bytes)
		}
	}
}

func BenchmarkCache(b *testing.B) {
	s := newSet(b, files.Config{Directories: 600, Zipf: 1})
	c := files.NewCache(200 << 20)
	b.ReportAllocs()
	for i := uint64(0); b.Loop(); i++ {
		f := s.Draw(rdr.Root(1, 2, 3, i))
		if o := files.NewObject(0, f); !c.Use(o) {
			c.Put(o, s.Size(f))
		}
	}
}
