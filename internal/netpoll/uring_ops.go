package netpoll

import (
	"encoding/binary"
	"net/netip"
	"sync/atomic"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// A Completion is an operation that has ended or, as long as More says that further ones come, one result of it.
type Completion struct {
	ID   uint64        // as the operation was queued with
	Data []byte        // what was received; of a Send what was not sent. Valid while the handler runs
	N    int           // bytes, or the new descriptor
	Err  syscall.Errno // 0 if it went well
	More bool          // the operation goes on

	op    uint8
	event RingEvent
}

// A RingEvent is a kind of completion that was registered with On.
type RingEvent uint8

type handler struct {
	fn       func(*Completion)
	priority int
}

const (
	ringPriorities = 8
	maxEvents      = 16
)

// MaxID is the highest ID of an operation.
const MaxID = 1<<56 - 1

// What stands in the highest four bits of a completion's user data. The next four are the event, the rest is the ID; of opSend and
// opWhole all is an index.
const (
	opCancel = uint8(iota + 1) // also closes: silent unless they fail, and nobody is told
	opWake
	opAccept
	opReceive
	opSend
	opWhole
	opStable
	opAwait
)

const opShift, eventShift = 60, 56

// On registers a handler for an event; a lower priority, from 0 to 7, is the more urgent. It is called by Dispatch.
func (r *Ring) On(priority int, fn func(*Completion)) RingEvent {
	if priority < 0 || priority >= ringPriorities || len(r.handlers) == maxEvents {
		panic("ring: an event too many, or of no priority")
	}
	r.handlers = append(r.handlers, handler{fn, priority})
	return RingEvent(len(r.handlers) - 1)
}

// queue returns the next submission entry, emptied but for its user data. If all are taken they are submitted.
func (r *Ring) queue(op uint8, low uint64) *sqe {
	if r.queued() == uint32(len(r.sq.entries)) {
		r.submit()
		if r.err != nil {
			return new(sqe) // Wait tells
		}
	}
	e := &r.sq.entries[r.sq.next&r.sq.mask]
	*e = sqe{userData: uint64(op)<<opShift | low}
	r.sq.next++
	return e
}

// queued returns how many operations the kernel has not yet taken.
func (r *Ring) queued() uint32 { return r.sq.next - atomic.LoadUint32(r.sq.head) }

func tagged(ev RingEvent, id uint64) uint64 { return uint64(ev)<<eventShift | id&MaxID }

// Accept takes connections of the listening socket fd until a completion says that there are no More: one completion for each, with its
// descriptor, non-blocking and closed on exec.
func (r *Ring) Accept(fd int, ev RingEvent, id uint64) {
	e := r.queue(opAccept, tagged(ev, id))
	e.opcode, e.fd, e.ioprio, e.opFlags = opcodeAccept, int32(fd), acceptMultishot, unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC
	r.inflight++
}

// Receive reads from fd until a completion says that there is no More: one completion for all that has come, with the bytes.
// N is 0 without Err at the end of the stream. Err is ENOBUFS when no buffer was left: Receive again, there are buffers after
// Dispatch.
func (r *Ring) Receive(fd int, ev RingEvent, id uint64) {
	e := r.queue(opReceive, tagged(ev, id))
	e.opcode, e.fd, e.ioprio = opcodeRecv, int32(fd), recvMultishot
	e.flags, e.bufGroup = sqeBufferSelect, bufferGroup
	r.inflight++
}

// Await tells once that the descriptor fd meets one of the conditions ev, or that it is broken; N of its completion is the Events that it
// met.
func (r *Ring) Await(fd int, want Events, ev RingEvent, id uint64) {
	e := r.queue(opAwait, tagged(ev, id))
	e.opcode, e.fd, e.opFlags = opcodePollAdd, int32(fd), uint32(want&(In|Out|RdHup))
	r.inflight++
}

// Submit has the kernel carry out what is queued, without a look at what has happened.
func (r *Ring) Submit() {
	if r.queued() > 0 {
		r.submit()
	}
}

// StopAccept ends an Accept as StopReceive does a Receive.
func (r *Ring) StopAccept(ev RingEvent, id uint64) { r.stop(opAccept, ev, id) }

// StopReceive ends a Receive: its last completion comes soon, with ECANCELED unless another end was quicker.
func (r *Ring) StopReceive(ev RingEvent, id uint64) { r.stop(opReceive, ev, id) }

// StopAwait ends an Await that has not told yet, as StopReceive does a Receive.
func (r *Ring) StopAwait(ev RingEvent, id uint64) { r.stop(opAwait, ev, id) }

func (r *Ring) stop(op uint8, ev RingEvent, id uint64) {
	e := r.queue(opCancel, 0)
	e.opcode, e.fd, e.addr, e.flags = opcodeAsyncCancel, -1, uint64(op)<<opShift|tagged(ev, id), sqeSkipSuccess
}

// Send writes the pieces, of which it keeps a copy, as far as the socket takes them at once, with the next submission. It is silent if
// all was taken; else a completion brings what was not, and Unsent hands it over before any other. There must be one Send at most of a
// socket from one Unsent to the next. It reports false if there is no room for the pieces until then.
func (r *Ring) Send(fd int, ev RingEvent, id uint64, pieces [][]byte) bool {
	k, q, ok := r.arena.put(tagged(ev, id), pieces)
	if !ok {
		return false
	}
	e := r.queue(opSend, uint64(k))
	e.opcode, e.fd, e.addr, e.len = opcodeSend, int32(fd), addressOf(q), uint32(len(q))
	e.opFlags, e.flags = unix.MSG_NOSIGNAL|unix.MSG_DONTWAIT|unix.MSG_WAITALL, sqeSkipSuccess
	r.arena.mark = r.sq.next
	return true
}

// SendWhole writes the beginning of p, of which it keeps a copy, and waits for room as long as it takes. It returns how much of p it
// took. Its completion says how much was sent, less only if the connection broke or the operation was cancelled.
func (r *Ring) SendWhole(fd int, ev RingEvent, id uint64, p []byte) (int, error) {
	k, err := r.blocks.take()
	if err != nil {
		return 0, err
	}
	b := r.blocks.at(k)
	n := copy(b[blockHeader:], p)
	binary.NativeEndian.PutUint64(b, tagged(ev, id))
	r.sendAll(r.queue(opWhole, uint64(k)), fd, b[blockHeader:blockHeader+n])
	return n, nil
}

// SendStable is SendWhole of all of p, without a copy: p must be pinned or outside the heap, and stay as it is until the completion.
func (r *Ring) SendStable(fd int, ev RingEvent, id uint64, p []byte) {
	r.sendAll(r.queue(opStable, tagged(ev, id)), fd, p)
}

func (r *Ring) sendAll(e *sqe, fd int, p []byte) {
	e.opcode, e.fd, e.addr, e.len = opcodeSend, int32(fd), addressOf(p), uint32(len(p))
	e.opFlags = unix.MSG_NOSIGNAL | unix.MSG_WAITALL
	r.inflight++
}

// blockHeader is where a block says what its operation was queued with.
const blockHeader = 8

// Connect connects the socket fd to an address; the completion tells how that ended.
func (r *Ring) Connect(fd int, ev RingEvent, id uint64, to netip.AddrPort) error {
	k, err := r.blocks.take()
	if err != nil {
		return err
	}
	b := r.blocks.at(k)
	binary.NativeEndian.PutUint64(b, tagged(ev, id))
	n := putSockaddr(b[blockHeader:], to)
	e := r.queue(opWhole, uint64(k))
	e.opcode, e.fd, e.addr, e.off = opcodeConnect, int32(fd), addressOf(b[blockHeader:]), uint64(n)
	r.inflight++
	return nil
}

// putSockaddr writes the kernel's form of an address to b and returns its length.
func putSockaddr(b []byte, a netip.AddrPort) int {
	ip := a.Addr().Unmap()
	clear(b[:unix.SizeofSockaddrInet6])
	binary.BigEndian.PutUint16(b[2:], a.Port())
	if ip.Is4() {
		binary.NativeEndian.PutUint16(b, unix.AF_INET)
		v := ip.As4()
		copy(b[4:], v[:])
		return unix.SizeofSockaddrInet4
	}
	binary.NativeEndian.PutUint16(b, unix.AF_INET6)
	v := ip.As16()
	copy(b[8:], v[:])
	return unix.SizeofSockaddrInet6
}

// CloseFile closes fd, after what was queued for it before. With busy, operations under way on it are ended; their last
// completions still come.
func (r *Ring) CloseFile(fd int, busy bool) {
	if busy {
		e := r.queue(opCancel, 0)
		e.opcode, e.fd, e.opFlags, e.flags = opcodeAsyncCancel, int32(fd), cancelFd|cancelAll, sqeSkipSuccess
	}
	e := r.queue(opCancel, 0)
	e.opcode, e.fd, e.flags = opcodeClose, int32(fd), sqeSkipSuccess
}

// Wake ends the current Wait, or the next one if none is under way. Any goroutine may call it at any time before Close;
// calls between two Waits count as one.
func (r *Ring) Wake() {
	if r.woken.Swap(true) {
		return
	}
	one := uint64(1) // it can fail only if the counter is full, and then the loop is awake
	_, _, _ = unix.RawSyscall(unix.SYS_WRITE, uintptr(r.wake), uintptr(unsafe.Pointer(&one)), unsafe.Sizeof(one))
}

// listenWake has the next Wake end a Wait.
func (r *Ring) listenWake() {
	e := r.queue(opWake, 0)
	e.opcode, e.fd, e.addr, e.len = opcodeRead, int32(r.wake), uint64(uintptr(unsafe.Pointer(&r.header.wake))), 8
	r.inflight++
}
