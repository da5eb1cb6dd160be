package service

import (
	"slices"

	"github.com/eve-emulation/eve/dmm"
	"github.com/eve-emulation/eve/dsv"
	"github.com/eve-emulation/eve/fase/files"
	"github.com/eve-emulation/eve/fase/machine"
	"github.com/eve-emulation/eve/fase/step"
	"github.com/eve-emulation/eve/rdr"
)

// library is the files of one server: the sets, the cache, and the reads under way.
//
// A file that is asked for while it is being read is not read twice: whoever wants it waits for that read. A read belongs
// to the file and not to a request, so it goes on when those who wait have gone, and the file is then in the cache.
type library struct {
	sets    []*files.Set
	cache   *files.Cache
	reads   []read
	free    []uint32
	reading map[files.Object]uint32
	// pins counts, under run: burn, the executions that may still send a file: its bytes are kept until then.
	pins map[files.Object]int32

	hits, misses, bytes *dmm.Var
}

// read is one file on its way from the disk.
type read struct {
	object  files.Object
	gen     uint32
	live    bool
	lost    bool       // the disk did not bring it
	waiting []step.Ref // ops
}

// readBit sets the slot of a read apart from that of an op.
const readBit = 1 << 31

func newLibrary(cfg *HostConfig, server string, vars Vars) library {
	l := library{sets: cfg.Files, cache: files.NewCache(int64(cfg.Cache)), reading: map[files.Object]uint32{}}
	if len(cfg.Files) == 0 {
		return l
	}
	if cfg.Machine.Run == machine.Burn {
		l.pins = map[files.Object]int32{}
	}
	l.hits, l.misses, l.bytes = vars(CacheName(server, "hits")), vars(CacheName(server, "misses")), vars(CacheName(server, "bytes"))
	return l
}

// CacheName is a variable of a server's cache: hits, misses or bytes.
func CacheName(server, what string) dsv.Name { return dsv.Name(server + ".cache." + what) }

// DirectName is the variable that tells whether a server reads files past the page cache.
func DirectName(server string) dsv.Name { return dsv.Name(server + ".disk.direct") }

// set finds a set by its name; -1 when the server has none of that name.
func (l *library) set(name string) int {
	return slices.IndexFunc(l.sets, func(s *files.Set) bool { return s.Name() == name })
}

func (l *library) size(o files.Object) int64 { return l.sets[o.Set()].Size(o.File()) }

// begin notes a read and returns its name.
func (l *library) begin(o files.Object, op step.Ref) step.Ref {
	var i uint32
	if n := len(l.free); n > 0 {
		i, l.free = l.free[n-1], l.free[:n-1]
	} else {
		i = uint32(len(l.reads))
		l.reads = append(l.reads, read{})
	}
	r := &l.reads[i]
	r.object, r.live, r.lost, r.waiting = o, true, false, append(r.waiting[:0], op)
	r.gen++
	l.reading[o] = i
	return step.NewRef(i|readBit, r.gen)
}

// find returns the read of a name, nil when it is none or has ended.
func (l *library) find(ref step.Ref) *read {
	i := ref.Slot() &^ readBit
	if ref.Slot()&readBit == 0 || int(i) >= len(l.reads) || !l.reads[i].live || l.reads[i].gen != ref.Gen() {
		return nil
	}
	return &l.reads[i]
}

// Object is the first file that a request's block will get at a quality level, if nothing before it fails; 0 for none.
func (h *Host) Object(r *Request, level string) files.Object {
	if r.Block == nil || len(h.lib.sets) == 0 || r.Object != 0 {
		return r.Object
	}
	name, key, ok := r.Block.File(r.Key, level)
	if !ok {
		return 0
	}
	if s := h.lib.set(name); s >= 0 {
		return files.NewObject(s, h.lib.sets[s].Draw(key))
	}
	return 0
}

// Cached reports whether a file is in the cache.
func (h *Host) Cached(o files.Object) bool { return h.lib.cache.Has(o) }

// get meets the demand for a file: from the cache at once, or from the disk.
func (h *Host) get(at dsv.Instant, ref step.Ref, d *rdr.Demand) {
	s := h.lib.set(d.Name)
	if s < 0 { // checked when the scenario was loaded; a foreign block may name anything
		h.run.Met(at, ref, rdr.Refused)
		return
	}
	x, _ := h.run.Execution(ref)
	o := h.visits[x].req.Object
	if o == 0 {
		o = files.NewObject(s, h.lib.sets[s].Draw(d.Key))
	}
	if h.lib.cache.Use(o) {
		h.lib.hits.Write(at, 1)
		h.got(at, x, o)
		h.run.Met(at, ref, rdr.OK)
		return
	}
	h.lib.misses.Write(at, 1)
	if i, ok := h.lib.reading[o]; ok {
		h.lib.reads[i].waiting = append(h.lib.reads[i].waiting, ref)
		return
	}
	n := h.lib.size(o)
	h.access(at, h.lib.begin(o, ref), rdr.Demand{Op: rdr.OpFile, N: n, Key: rdr.Key(o)})
}

// leaveRead takes a demand that was withdrawn from those that wait for a read.
func (h *Host) leaveRead(ref step.Ref) {
	for i := range h.lib.reads {
		r := &h.lib.reads[i]
		if k := slices.Index(r.waiting, ref); r.live && k >= 0 {
			r.waiting = slices.Delete(r.waiting, k, k+1)
			return
		}
	}
}

// read ends the read of a file: it is cached, and those go on that wait for it. One that the disk did not bring is not cached,
// and fails those who wait, so that the next one reads it again.
func (h *Host) read(at dsv.Instant, ref step.Ref) {
	r := h.lib.find(ref)
	if r == nil {
		return
	}
	o, waiting, outcome := r.object, r.waiting, rdr.OK
	r.live, r.waiting = false, nil
	delete(h.lib.reading, o)
	if r.lost {
		outcome = rdr.Failed
	} else {
		h.keep(at, o, waiting)
	}
	for _, w := range waiting {
		h.run.Met(at, w, outcome)
	}
	i := ref.Slot() &^ readBit
	h.lib.reads[i].waiting = waiting[:0]
	h.lib.free = append(h.lib.free, i)
}

// keep caches a file that has come, and gives it to those who wait: to all of them before one goes on, and may be done with it.
func (h *Host) keep(at dsv.Instant, o files.Object, waiting []step.Ref) {
	for _, gone := range h.lib.cache.Put(o, h.lib.size(o)) {
		h.drop(at, gone)
	}
	for _, w := range waiting {
		if x, ok := h.run.Execution(w); ok {
			h.got(at, x, o)
		}
	}
	h.drop(at, o)
}

// got makes a file the one that an execution has got last.
func (h *Host) got(at dsv.Instant, x uint32, o files.Object) {
	before := h.visits[x].object
	h.visits[x].object = o
	if before != o {
		h.pin(o)
		h.unpin(at, before)
	}
}

// pin keeps the bytes of a file that may be sent.
func (h *Host) pin(o files.Object) {
	if h.lib.pins != nil && o != 0 {
		h.lib.pins[o]++
	}
}

// unpin tells that an execution or a reply needs a file no more.
func (h *Host) unpin(at dsv.Instant, o files.Object) {
	if h.lib.pins == nil || o == 0 {
		return
	}
	if h.lib.pins[o]--; h.lib.pins[o] == 0 {
		delete(h.lib.pins, o)
		h.drop(at, o)
	}
}

// drop has the bytes of a file forgotten that is neither cached nor to be sent.
func (h *Host) drop(at dsv.Instant, o files.Object) {
	if _, reading := h.lib.reading[o]; h.lib.pins == nil || reading || h.lib.pins[o] > 0 || h.lib.cache.Has(o) {
		return
	}
	h.effect(step.Effect{At: at, Kind: step.Burn, Code: BurnDrop, Node: -1, Key: uint64(o)})
}
