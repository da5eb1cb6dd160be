package scenario

import (
	"fmt"
	"math"
	"slices"

	"github.com/eve-emulation/eve/dmm"
	filesets "github.com/eve-emulation/eve/fase/files"
	"github.com/eve-emulation/eve/fase/machine"
	"github.com/eve-emulation/eve/fase/service"
	"github.com/eve-emulation/eve/rdr"
)

// rawFiles is one entry of `files:`.
type rawFiles struct {
	classes     spot[string]
	directories spot[int]
	zipf        spot[float64]
	limit       spot[float64]
	keep        spot[bool]
}

func fileFields(f *rawFiles) []field {
	return []field{
		{key: "classes", value: choice(&f.classes, filesets.SPECweb99), def: filesets.SPECweb99, help: "which files a directory has, and how often each is asked for"},
		{key: "directories", value: whole(&f.directories, 1, 10_000), def: "100", help: "directories of 36 files and 4.9 MiB each"},
		{key: "zipf", value: amount(&f.zipf, plainUnit(), bounds{0, 10, "from 0 to 10"}), def: "1", help: "exponent of the popularity of the directories; 0: all alike"},
		{key: "limit", value: amount(&f.limit, sizeUnit(), bounds{1, 1 << 50, "at least 1B"}), def: "2GiB", help: "a larger set is a mistake: under `run: burn` it is written to the disk"},
		{key: "keep", value: truth(&f.keep), def: "false", help: "under `run: burn`, leave the files on the disk for the next run"},
	}
}

// truth is true or false.
func truth(dst *spot[bool]) value {
	return value{shape{name: "true · false", json: map[string]any{"type": "boolean"}}, func(r *reader, n *node) {
		t, ok := r.scalar(n, "true or false")
		switch {
		case !ok:
		case t == "true" || t == "false":
			put(dst, n, t == "true")
		default:
			r.at(n, fmt.Sprintf("%q is neither true nor false", clip(t)), "")
		}
	}}
}

// fileSets makes the sets, and gives them to all servers.
func (c *compiler) fileSets() {
	var sets []*filesets.Set
	for _, n := range c.raw.files {
		if !validName(n.name) {
			c.at(n.at, fmt.Sprintf("%q is not a name", clip(n.name)), "write small letters, digits and _")
			continue
		}
		s, err := filesets.NewSet(filesets.Config{Name: n.name, Classes: n.v.classes.v, Directories: n.v.directories.v, Zipf: n.v.zipf.v, Keep: n.v.keep.v})
		if err != nil { // told already
			continue
		}
		if float64(s.Bytes()) > n.v.limit.v {
			at := n.v.directories.at
			if at == nil {
				at = n.at
			}
			c.at(at, fmt.Sprintf("file set %s has %.2f GiB, more than its limit", n.name, float64(s.Bytes())/(1<<30)),
				fmt.Sprintf("write limit: %dGiB, or fewer directories", s.Bytes()>>30+1))
			continue
		}
		sets = append(sets, s)
	}
	c.plan.Files = sets
	for i, n := range c.raw.servers {
		c.plan.Servers[i].Files = sets
		c.plan.Servers[i].Cache = machine.Bytes(n.v.cache.v)
		if n.v.cache.written() && len(c.raw.files) == 0 {
			c.at(n.v.cache.at, "there are no files to cache", "add `files: {web: {}}`, which `file web` in a request asks for")
		}
		if n.v.direct.written() && n.v.direct.v && n.v.run.v != "burn" {
			c.at(n.v.direct.at, "only a real disk is read directly", "write run: burn too")
		}
	}
}

// fileNames are the names of the sets.
func (c *compiler) fileNames() []string {
	var names []string
	for _, n := range c.raw.files {
		names = append(names, n.name)
	}
	return names
}

// depth is how many accesses to a real disk the threads of an engine can wait for at once.
func (e *rawEngine) depth() int {
	switch {
	case e.kind.v == "amped":
		return e.helpers.v
	case slices.Contains(threaded(), e.kind.v):
		return math.MaxInt
	}
	return 0 // the default
}

// fileDemand is what a service's files take of a server's disk and link, in seconds, with a cache that is full: the misses
// are those of the long run. Of several sets each counts as if it had the cache to itself.
func (p *Plan) fileDemand(server int, service string, m *rdr.Mean) (disk, link float64) {
	s := &p.Servers[server]
	for _, set := range p.Files {
		u := m.Files[rdr.FilesAt{Service: service, Set: set.Name()}]
		if u == (rdr.FileUse{}) {
			continue
		}
		hit := set.HitRatio(int64(s.Cache))
		mean := set.Mean()
		disk += u.Gets * ((1-hit.Requests)*s.Machine.Disk.Seek.Seconds() + (1-hit.Bytes)*mean/float64(s.Machine.Disk.Rate))
		if s.Machine.Link.Rate > 0 {
			link += u.Replies * mean * 8 / float64(s.Machine.Link.Rate)
		}
	}
	return disk, link
}

// FileUse is what a service gets and sends of files, in the mean of one request: how many, and how many bytes.
func (p *Plan) FileUse(m *rdr.Mean, service string) (got rdr.FileUse, bytes rdr.FileUse) {
	for _, set := range p.Files {
		u := m.Files[rdr.FilesAt{Service: service, Set: set.Name()}]
		got.Gets, got.Replies = got.Gets+u.Gets, got.Replies+u.Replies
		bytes.Gets, bytes.Replies = bytes.Gets+u.Gets*set.Mean(), bytes.Replies+u.Replies*set.Mean()
	}
	return got, bytes
}

// cache lists what is measured of a server's cache and of its real disk.
func (s *standard) cache(x string) {
	if len(s.plan.Files) == 0 {
		return
	}
	own := []string{x}
	s.add(own, "count", string(service.CacheName(x, "hits")), "1", "files that were in the cache when they were asked for")
	s.add(own, "count", string(service.CacheName(x, "misses")), "1", "files that were not")
	s.add(own, "mean", string(service.CacheName(x, "bytes")), "B", "files in the cache, weighted by time")
	s.put(own, dmm.Spec{
		Name: service.DirectName(x), Manipulator: "last", Sync: dmm.Trigger{Change: 1e-9},
	}, "1", "1 when files are read past the kernel's page cache, 0 when not")
}
