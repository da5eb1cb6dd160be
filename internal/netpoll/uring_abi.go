package netpoll

import (
	"unsafe"

	"golang.org/x/sys/unix"
)

// What follows is the kernel's interface, <linux/io_uring.h>, as far as a Ring uses it.

// A sqe is a submission queue entry.
type sqe struct {
	opcode   uint8
	flags    uint8
	ioprio   uint16
	fd       int32
	off      uint64
	addr     uint64
	len      uint32
	opFlags  uint32 // of the operation: msg_flags, accept_flags, cancel_flags
	userData uint64
	bufGroup uint16
	_        uint16
	_        uint32
	_        [2]uint64
}

// A cqe is a completion queue entry.
type cqe struct {
	userData uint64
	res      int32
	flags    uint32
}

// A sqOffsets says where the fields of the submission ring lie in its mapping.
type sqOffsets struct {
	head, tail, ringMask, ringEntries, flags, dropped, array, _ uint32
	_                                                           uint64
}

// A cqOffsets does so for the completion ring.
type cqOffsets struct {
	head, tail, ringMask, ringEntries, overflow, cqes, flags, _ uint32
	_                                                           uint64
}

type ringParams struct {
	sqEntries, cqEntries, flags, sqThreadCPU, sqThreadIdle, features, wqFd uint32
	_                                                                      [3]uint32
	sqOff                                                                  sqOffsets
	cqOff                                                                  cqOffsets
}

// A bufferEntry is a place of a provided-buffer ring; the last two bytes of the first one are the ring's tail.
type bufferEntry struct {
	addr uint64
	len  uint32
	id   uint16
	tail uint16
}

type bufferReg struct {
	ringAddr    uint64
	ringEntries uint32
	group       uint16
	flags       uint16
	_           [3]uint64
}

type ringFdUpdate struct {
	offset uint32
	_      uint32
	data   uint64
}

// A waitArg is struct io_uring_getevents_arg.
type waitArg struct {
	sigmask   uint64
	sigmaskSz uint32
	minWait   uint32
	ts        uint64
}

const (
	sqeBytes = 64

	offSQRing = 0
	offSQEs   = 0x10000000

	setupCQSize       = 1 << 3
	setupClamp        = 1 << 4
	setupRDisabled    = 1 << 6
	setupSubmitAll    = 1 << 7
	setupSingleIssuer = 1 << 12
	setupDeferTaskrun = 1 << 13

	featSingleMmap   = 1 << 0
	featNoDrop       = 1 << 1
	featSubmitStable = 1 << 2
	featFastPoll     = 1 << 5
	featExtArg       = 1 << 8
	featCQESkip      = 1 << 11
	featMinTimeout   = 1 << 15 // came with absolute time-outs of the wait
	featNoIowait     = 1 << 17

	enterGetEvents      = 1 << 0
	enterExtArg         = 1 << 3
	enterRegisteredRing = 1 << 4
	enterAbsTimer       = 1 << 5
	enterNoIowait       = 1 << 7

	registerEnableRings = 12
	registerRingFds     = 20
	unregisterRingFds   = 21
	registerPbufRing    = 22
	pbufIncremental     = 2

	opcodePollAdd     = 6
	opcodeAccept      = 13
	opcodeAsyncCancel = 14
	opcodeConnect     = 16
	opcodeClose       = 19
	opcodeRead        = 22
	opcodeSend        = 26
	opcodeRecv        = 27

	sqeBufferSelect = 1 << 5
	sqeSkipSuccess  = 1 << 6

	recvMultishot   = 1 << 1
	acceptMultishot = 1 << 0

	cancelAll = 1 << 0
	cancelFd  = 1 << 1
	cancelAny = 1 << 2

	cqeBuffer     = 1 << 0
	cqeMore       = 1 << 1
	cqeBufferMore = 1 << 4
	cqeIDShift    = 16

	sqOverflow = 1 << 1 // completions wait in the kernel for room in the ring
)

func ringSetup(entries uint32, p *ringParams) (int, unix.Errno) {
	fd, _, errno := unix.RawSyscall(unix.SYS_IO_URING_SETUP, uintptr(entries), uintptr(unsafe.Pointer(p)), 0)
	return int(fd), errno
}

func ringRegister(fd int, op uintptr, arg unsafe.Pointer, n int) unix.Errno {
	_, _, errno := unix.RawSyscall6(unix.SYS_IO_URING_REGISTER, uintptr(fd), op, uintptr(arg), uintptr(n), 0, 0)
	return errno
}

// mapped returns n bytes of zeroed memory outside Go's heap, which stays where it is until it is unmapped. The kernel may hold
// addresses of it between calls.
func mapped(n int) ([]byte, error) {
	return unix.Mmap(-1, 0, n, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANONYMOUS)
}

// view returns a T that lies at off in mapped memory.
func view[T any](mem []byte, off uint32) *T {
	return (*T)(unsafe.Pointer(&mem[off : off+uint32(unsafe.Sizeof(*new(T)))][0]))
}

// views returns n of them in a row.
func views[T any](mem []byte, off, n uint32) []T {
	return unsafe.Slice(view[T](mem, off), n)[:n:n]
}

// address returns where p begins. p must be mapped or pinned, and outlive the kernel's use of it.
func addressOf(p []byte) uint64 { return uint64(uintptr(unsafe.Pointer(unsafe.SliceData(p)))) }
