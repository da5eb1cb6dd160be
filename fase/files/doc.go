// Package files is what a server of static files has: which files there are, how often each is asked for, and which of
// them are in memory.
//
// A [Set] is a set of files with the popularity of each, after the SPECweb99 workload; a request draws one by its key. An
// [Object] names one file of one set. A [Cache] keeps whole files up to a number of bytes and forgets the one that was used
// least recently; it is a core: it holds no bytes itself, reads no clock, and starts nothing. [HitRatio] says what share of
// the requests such a cache answers.
package files

import (
	"errors"
	"fmt"
	"math"
	"sort"

	"github.com/eve-emulation/eve/rdr"
)

// An Object names one file: the number of its set, from 0, in the upper 32 bits, and its index in the set plus 1 in the
// lower. 0 is no file.
type Object uint64

// NewObject names file i of a set.
func NewObject(set, i int) Object { return Object(uint64(set)<<32 | uint64(i+1)) }

// Set is the number of the set.
func (o Object) Set() int { return int(o >> 32) }

// File is the index of the file in its set; -1 for no file.
func (o Object) File() int { return int(uint32(o)) - 1 }

// SPECweb99 is the only kind of file set so far.
const SPECweb99 = "specweb99"

// The workload of static files that SPECweb99 took over from SPECweb96: each directory has four classes of nine files, of
// which a request asks for class 0 to 3 with these probabilities, and the files of a class are multiples of its smallest.
// Sizes and classes are those of https://www.spec.org/osg/web96/workload.html, tables 1 and 2; the choice of directories by
// Zipf's law is described by Ruan and Pai, "Understanding and addressing blocking-induced network server latency", USENIX
// 2006, section 2.3. Within a class SPECweb99 ranks the middle file first: its files are asked for with the probabilities
// of Zipf's law at the ranks below, which makes 3.9, 5.9, 8.8, 17.7, 35.3, 11.8, 7.1, 5.0 and 4.4 %, as in the table of
// genspec99sesslogs.c, by which Brecht's userver generates this load. Its sizes cut fractions off, those here are rounded.
const (
	classes     = 4
	perClass    = 9
	perFolder   = classes * perClass
	maxFolders  = 10_000
	maxExponent = 10
)

var (
	classShare = [classes]float64{0.35, 0.50, 0.14, 0.01}
	classUnit  = [classes]float64{102.4, 1024, 10240, 102400}
	fileRank   = [perClass]float64{9, 6, 4, 2, 1, 3, 5, 7, 8}
)

// Config describes a file set.
type Config struct {
	Name        string
	Classes     string  // SPECweb99 if empty
	Directories int     // of 36 files and 4.8 MiB each; 100 if 0
	Zipf        float64 // exponent of the popularity of directories, 0: all alike
	Keep        bool    // where the files are really written, they stay when nobody uses them any more
}

// A Set is a set of files. It is immutable and may be shared.
type Set struct {
	cfg    Config
	folder []float64 // cumulative probability of the directories
	class  [classes]float64
	file   [perClass]float64
	sizes  [perFolder]int64
}

// ErrConfig reports a file set that cannot be.
var ErrConfig = errors.New("no such file set")

// NewSet makes a set. An error wraps ErrConfig.
func NewSet(cfg Config) (*Set, error) {
	if cfg.Classes == "" {
		cfg.Classes = SPECweb99
	}
	if cfg.Directories == 0 {
		cfg.Directories = 100
	}
	switch {
	case cfg.Classes != SPECweb99:
		return nil, fmt.Errorf("file set %s: classes %q: %w", cfg.Name, cfg.Classes, ErrConfig)
	case cfg.Directories < 1 || cfg.Directories > maxFolders:
		return nil, fmt.Errorf("file set %s: %d directories, not 1 to %d: %w", cfg.Name, cfg.Directories, maxFolders, ErrConfig)
	case !(cfg.Zipf >= 0 && cfg.Zipf <= maxExponent):
		return nil, fmt.Errorf("file set %s: exponent %g, not 0 to %d: %w", cfg.Name, cfg.Zipf, maxExponent, ErrConfig)
	}
	s := &Set{cfg: cfg, folder: make([]float64, cfg.Directories)}
	for i := range s.folder {
		s.folder[i] = math.Pow(float64(i+1), -cfg.Zipf)
	}
	copy(s.class[:], classShare[:])
	for i, r := range fileRank {
		s.file[i] = 1 / r
	}
	cumulate(s.folder)
	cumulate(s.class[:])
	cumulate(s.file[:])
	for i := range s.sizes {
		s.sizes[i] = int64(math.Round(classUnit[i/perClass] * float64(i%perClass+1)))
	}
	return s, nil
}

// cumulate makes weights to cumulative probabilities.
func cumulate(w []float64) {
	sum := 0.0
	for i, x := range w {
		sum += x
		w[i] = sum
	}
	for i := range w {
		w[i] /= sum
	}
	w[len(w)-1] = 1
}

// Config is what the set was made of, defaults filled in.
func (s *Set) Config() Config { return s.cfg }

// Name is the name of the set.
func (s *Set) Name() string { return s.cfg.Name }

// Len is how many files there are.
func (s *Set) Len() int { return perFolder * len(s.folder) }

// Size is the size of file i in bytes.
func (s *Set) Size(i int) int64 { return s.sizes[i%perFolder] }

// Path is the path of file i below the folder of the set: dir00017/class2_4.
func (s *Set) Path(i int) string {
	return fmt.Sprintf("dir%05d/class%d_%d", i/perFolder, i%perFolder/perClass, i%perClass)
}

// Find returns the index of the file with a path; -1 when there is none.
func (s *Set) Find(path string) int {
	var d, c, f int
	if _, err := fmt.Sscanf(path, "dir%d/class%d_%d", &d, &c, &f); err != nil {
		return -1
	}
	i := d*perFolder + c*perClass + f
	if i < 0 || i >= s.Len() || s.Path(i) != path {
		return -1
	}
	return i
}

// Bytes is the size of all files together.
func (s *Set) Bytes() int64 {
	sum := int64(0)
	for _, n := range s.sizes {
		sum += n
	}
	return sum * int64(len(s.folder))
}

// Mean is the mean size of what is asked for, in bytes.
func (s *Set) Mean() float64 {
	sum := 0.0
	for i, n := range s.sizes {
		sum += s.inFolder(i) * float64(n)
	}
	return sum
}

// Probability is how likely a request is to ask for file i.
func (s *Set) Probability(i int) float64 {
	return part(s.folder, i/perFolder) * s.inFolder(i%perFolder)
}

func (s *Set) inFolder(i int) float64 {
	return part(s.class[:], i/perClass) * part(s.file[:], i%perClass)
}

func part(cumulative []float64, i int) float64 {
	if i == 0 {
		return cumulative[0]
	}
	return cumulative[i] - cumulative[i-1]
}

// The parts of the key that the draws of a file follow from.
const (
	keyFolder = 0xf11e0 + iota
	keyClass
	keyFile
)

// Draw returns the index of the file that a key asks for. It does not allocate.
func (s *Set) Draw(key rdr.Key) int {
	d := draw(s.folder, key.Mix(keyFolder).Uniform())
	c := draw(s.class[:], key.Mix(keyClass).Uniform())
	f := draw(s.file[:], key.Mix(keyFile).Uniform())
	return d*perFolder + c*perClass + f
}

// draw is the first index whose cumulative probability is above u.
func draw(cumulative []float64, u float64) int {
	i := sort.Search(len(cumulative), func(i int) bool { return cumulative[i] > u })
	return min(i, len(cumulative)-1)
}
