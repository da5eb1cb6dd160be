package netpoll

import (
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"unsafe"

	"golang.org/x/sys/unix"
)

// A Ring is an io_uring: operations are queued, carried out by one system call for many, and reported by completions that bring
// their data along. Nothing is ever asked whether it is ready.
//
// An event is registered with [Ring.On]: a handler and a priority. An operation names its event, and its completions are
// handed to the handler. [Ring.Wait] submits what is queued and waits; [Ring.Dispatch] calls the handlers for what Wait found,
// all completions of a more urgent priority before any of a lesser one, and those of one priority in the order in which they happened.
//
// NewRing may be called anywhere; the thread that calls Start owns the ring from then on, and all other methods but Wake are its alone.
// It must stay locked to its goroutine until Close, which it calls too.
type Ring struct {
	fd       int // -1 once closed
	enterFd  int // fd, or its number among the registered ones
	enterOpt uintptr
	absolute bool // waits end at instants
	started  bool
	closing  bool
	light    bool
	spin     int64
	quiet    int64 // ns of light waits since something was found
	awake    bool  // it was woken
	err      error // of a submission; Wait tells it

	rings, entries []byte // mappings of the rings and of the submission entries
	sq             submissions
	cq             completions
	inflight       int // operations that will report their end

	memory  []byte // what the kernel reads and writes: header, buffers, arena
	header  *ringHeader
	receive buffers
	arena   arena
	blocks  blocks

	handlers []handler
	ready    [ringPriorities][]Completion // by priority
	short    []Completion                 // of Send
	found    int                          // completions in ready and short

	wake  int // an eventfd
	woken atomic.Bool
}

// RingConfig sizes a Ring. The zero value works.
type RingConfig struct {
	Entries     int  // operations that can be queued between two submissions; 1024 if 0, at most 32768. More are submitted early
	Completions int  // that the kernel can report at once; 4 times Entries if 0. More are kept back until the next Wait
	Buffers     int  // for what is received; 32 if 0, at most 32768; a power of two
	BufferBytes int  // of each; 64 KiB if 0
	SendBytes   int  // that Send can take between two Waits; 256 KiB if 0
	WholeOnly   bool // a completion uses a buffer up, as on kernels before 6.12, instead of the bytes that it needs
}

// A ringHeader is what the kernel needs to find in one place.
type ringHeader struct {
	wake uint64 // what was read from the eventfd
	_    [7]uint64
	arg  waitArg
	ts   unix.Timespec
}

type submissions struct {
	head, tail *uint32
	flags      *uint32
	mask       uint32
	entries    []sqe
	next       uint32 // tail with what is queued and not yet published
}

type completions struct {
	head, tail *uint32
	mask       uint32
	entries    []cqe
}

const headerBytes = 4096

func (c RingConfig) withDefaults() (RingConfig, error) {
	for _, f := range []struct {
		p *int
		n int
	}{{&c.Entries, 1024}, {&c.Completions, 4 * max(c.Entries, 1)}, {&c.Buffers, 32}, {&c.BufferBytes, 64 << 10}, {&c.SendBytes, 256 << 10}} {
		if *f.p == 0 {
			*f.p = f.n
		}
	}
	switch {
	case c.Entries < 1 || c.Entries > 32768:
		return c, fmt.Errorf("open ring: %d entries; there can be 1 to 32768", c.Entries)
	case c.Buffers < 1 || c.Buffers > 32768 || c.Buffers&(c.Buffers-1) != 0:
		return c, fmt.Errorf("open ring: %d buffers; it takes a power of two up to 32768", c.Buffers)
	case c.Completions < 1 || c.BufferBytes < 1 || c.SendBytes < 1:
		return c, errors.New("open ring: a size is negative")
	}
	return c, nil
}

// NewRing opens a ring. On a kernel that has no io_uring, forbids it or lacks what a Ring needs, the error wraps
// errors.ErrUnsupported and says what is missing.
func NewRing(cfg RingConfig) (*Ring, error) {
	cfg, err := cfg.withDefaults()
	if err != nil {
		return nil, err
	}
	p := ringParams{
		flags:     setupCQSize | setupClamp | setupRDisabled | setupSubmitAll | setupSingleIssuer | setupDeferTaskrun,
		cqEntries: uint32(max(cfg.Completions, cfg.Entries)),
	}
	fd, errno := ringSetup(uint32(cfg.Entries), &p)
	if errno != 0 {
		return nil, unsupported(errno)
	}
	r := &Ring{fd: fd, enterFd: fd, wake: -1}
	if err := r.open(cfg, &p); err != nil {
		return nil, errors.Join(err, r.Close())
	}
	return r, nil
}

func (r *Ring) open(cfg RingConfig, p *ringParams) error {
	unix.CloseOnExec(r.fd)
	if lacks := lacking(p.features); lacks != "" {
		return fmt.Errorf("open ring: the kernel's io_uring lacks %s: %w", lacks, errors.ErrUnsupported)
	}
	r.absolute = p.features&featMinTimeout != 0
	r.enterOpt = enterGetEvents | enterExtArg
	if r.absolute {
		r.enterOpt |= enterAbsTimer
	}
	if p.features&featNoIowait != 0 {
		r.enterOpt |= enterNoIowait // else an idle loop shows as a processor that waits for a disk
	}
	if err := r.mapRings(p); err != nil {
		return fmt.Errorf("open ring: map: %w", err)
	}
	if err := r.provide(cfg); err != nil {
		return err
	}
	var err error
	if r.wake, err = unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK); err != nil {
		return fmt.Errorf("open ring: %w", err)
	}
	return nil
}

// unsupported says why the kernel gave no ring.
func unsupported(errno unix.Errno) error {
	why := ""
	switch errno {
	case unix.ENOSYS:
		why = "the kernel has no io_uring"
	case unix.EPERM:
		why = "io_uring is forbidden, by kernel.io_uring_disabled or by a sandbox"
	case unix.EINVAL:
		why = "the kernel's io_uring lacks SINGLE_ISSUER with DEFER_TASKRUN (Linux 6.1)"
	default:
		return fmt.Errorf("open ring: %w", errno)
	}
	return fmt.Errorf("open ring: %s: %w", why, errors.ErrUnsupported)
}

// lacking names the features that a Ring needs and that are not among those given.
func lacking(features uint32) string {
	var names []string
	for _, f := range []struct {
		bit  uint32
		name string
	}{
		{featSingleMmap, "SINGLE_MMAP (Linux 5.4)"},
		{featNoDrop, "NODROP (Linux 5.5)"},
		{featSubmitStable, "SUBMIT_STABLE (Linux 5.5)"},
		{featFastPoll, "FAST_POLL (Linux 5.7)"},
		{featExtArg, "EXT_ARG (Linux 5.11)"},
		{featCQESkip, "CQE_SKIP (Linux 5.17)"},
	} {
		if features&f.bit == 0 {
			names = append(names, f.name)
		}
	}
	return strings.Join(names, ", ")
}

func (r *Ring) mapRings(p *ringParams) error {
	const prot, flags = unix.PROT_READ | unix.PROT_WRITE, unix.MAP_SHARED | unix.MAP_POPULATE
	size := max(p.sqOff.array+4*p.sqEntries, p.cqOff.cqes+uint32(unsafe.Sizeof(cqe{}))*p.cqEntries)
	var err error
	if r.rings, err = unix.Mmap(r.fd, offSQRing, int(size), prot, flags); err != nil {
		return err
	}
	if r.entries, err = unix.Mmap(r.fd, offSQEs, int(sqeBytes*p.sqEntries), prot, flags); err != nil {
		return err
	}
	r.sq = submissions{
		head: view[uint32](r.rings, p.sqOff.head), tail: view[uint32](r.rings, p.sqOff.tail),
		flags: view[uint32](r.rings, p.sqOff.flags), mask: p.sqEntries - 1,
		entries: views[sqe](r.entries, 0, p.sqEntries),
	}
	r.cq = completions{
		head: view[uint32](r.rings, p.cqOff.head), tail: view[uint32](r.rings, p.cqOff.tail),
		mask: p.cqEntries - 1, entries: views[cqe](r.rings, p.cqOff.cqes, p.cqEntries),
	}
	for i, a := 0, views[uint32](r.rings, p.sqOff.array, p.sqEntries); i < len(a); i++ {
		a[i] = uint32(i) // entries are submitted in their order, always
	}
	return nil
}

// provide maps the memory that operations use and registers the buffers.
func (r *Ring) provide(cfg RingConfig) error {
	ring := (cfg.Buffers*int(unsafe.Sizeof(bufferEntry{})) + 4095) &^ 4095
	receive, send := cfg.Buffers*cfg.BufferBytes, cfg.SendBytes
	mem, err := mapped(headerBytes + ring + receive + send)
	if err != nil {
		return fmt.Errorf("open ring: map buffers: %w", err)
	}
	r.memory = mem
	r.header = view[ringHeader](mem, 0)
	r.header.arg.ts = uint64(uintptr(unsafe.Pointer(&r.header.ts)))
	mem = mem[headerBytes:]
	if err := r.receive.init(r.fd, cfg, mem[:ring:ring], mem[ring:ring+receive:ring+receive]); err != nil {
		return err
	}
	r.arena.mem = mem[ring+receive:]
	return nil
}

// Start makes the calling thread the ring's owner. Its goroutine must be locked to it.
func (r *Ring) Start() error {
	if errno := ringRegister(r.fd, registerEnableRings, nil, 0); errno != 0 {
		return fmt.Errorf("start ring: %w", errno)
	}
	r.started = true
	// The kernel finds a registered ring quicker. It is no matter if it has no place for one.
	u := ringFdUpdate{offset: ^uint32(0), data: uint64(r.fd)}
	if ringRegister(r.fd, registerRingFds, unsafe.Pointer(&u), 1) == 0 {
		r.enterFd = int(u.offset)
		r.enterOpt |= enterRegisteredRing
	}
	r.listenWake()
	return nil
}

// Close ends the operations under way, without a word to their handlers, and frees the ring. The owner calls it, or anyone
// if it was never started. Nobody may Wake it any more. It may be called twice.
func (r *Ring) Close() error {
	if r.fd < 0 {
		return nil
	}
	var errs []error
	if r.started {
		errs = append(errs, r.quiesce())
	}
	if r.enterOpt&enterRegisteredRing != 0 {
		u := ringFdUpdate{offset: uint32(r.enterFd)}
		_ = ringRegister(r.fd, unregisterRingFds, unsafe.Pointer(&u), 1)
	}
	errs = append(errs, unix.Close(r.fd))
	if r.wake >= 0 {
		errs = append(errs, unix.Close(r.wake))
	}
	r.fd, r.wake = -1, -1
	if r.inflight > 0 {
		// The kernel may still write to it, so that it is left mapped for the life of the process rather than unmapped.
		return errors.Join(errs...)
	}
	for _, m := range append(r.blocks.slabs, r.rings, r.entries, r.memory) {
		if m != nil {
			errs = append(errs, unix.Munmap(m))
		}
	}
	r.rings, r.entries, r.memory, r.blocks.slabs = nil, nil, nil, nil
	return errors.Join(errs...)
}

// quiesce cancels what is under way and waits until all of it has ended, so that the kernel uses no memory of the ring any more.
func (r *Ring) quiesce() error {
	r.closing = true
	e := r.queue(opCancel, 0)
	e.opcode, e.fd, e.opFlags, e.flags = opcodeAsyncCancel, -1, cancelAny|cancelAll, sqeSkipSuccess
	for range 1000 { // a send to a peer who takes nothing is cancelled too: some turns do
		r.drop()
		if r.inflight == 0 && r.queued() == 0 {
			return nil
		}
		err := r.enter(1, 10_000_000)
		if r.harvest(&err); err != nil {
			return fmt.Errorf("close ring: %w", err)
		}
	}
	return fmt.Errorf("close ring: %d operations have not ended", r.inflight)
}

// drop forgets the completions that were found and not yet dispatched. Connections among them are closed.
func (r *Ring) drop() {
	for i := range r.ready {
		for _, c := range r.ready[i] {
			if c.op == opAccept && c.Err == 0 {
				_ = Close(c.N)
			}
		}
		r.ready[i] = r.ready[i][:0]
	}
	r.short, r.found = r.short[:0], 0
	r.receive.recycle()
}
