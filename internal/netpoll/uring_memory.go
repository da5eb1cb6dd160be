package netpoll

import (
	"encoding/binary"
	"errors"
	"fmt"
	"sync/atomic"
	"unsafe"

	"golang.org/x/sys/unix"
)

// buffers is a ring of provided buffers: the kernel takes the first when something arrives for any connection, so that no
// connection holds one while it waits. Where the kernel can (6.12) it takes only the bytes that it needs of a buffer.
type buffers struct {
	ring  []bufferEntry
	mem   []byte
	bytes int      // of each
	used  []uint32 // bytes of each buffer that earlier completions took
	full  []uint16 // buffers that are used up, to be given back
	tail  uint16
}

// bufferGroup is the number under which they are registered.
const bufferGroup = 0

func (b *buffers) init(fd int, cfg RingConfig, ring, mem []byte) error {
	b.ring = views[bufferEntry](ring, 0, uint32(cfg.Buffers))
	b.mem, b.bytes, b.used = mem, cfg.BufferBytes, make([]uint32, cfg.Buffers)
	b.full = make([]uint16, 0, cfg.Buffers)
	reg := bufferReg{ringAddr: addressOf(ring), ringEntries: uint32(cfg.Buffers), group: bufferGroup, flags: pbufIncremental}
	errno := unix.EINVAL
	if !cfg.WholeOnly {
		errno = ringRegister(fd, registerPbufRing, unsafe.Pointer(&reg), 1)
	}
	if errno == unix.EINVAL {
		reg.flags = 0
		errno = ringRegister(fd, registerPbufRing, unsafe.Pointer(&reg), 1)
	}
	if errno == unix.EINVAL {
		return fmt.Errorf("open ring: the kernel's io_uring lacks rings of provided buffers (Linux 5.19): %w", errors.ErrUnsupported)
	} else if errno != 0 {
		return fmt.Errorf("open ring: register buffers: %w", errno)
	}
	for i := range cfg.Buffers {
		b.full = append(b.full, uint16(i))
	}
	b.recycle()
	return nil
}

// take returns the n bytes that a completion with these flags brought.
func (b *buffers) take(n int, flags uint32) []byte {
	id := uint16(flags >> cqeIDShift)
	at := int(id)*b.bytes + int(b.used[id])
	if flags&cqeBufferMore != 0 {
		b.used[id] += uint32(n)
	} else {
		b.used[id] = 0
		b.full = append(b.full, id)
	}
	return b.mem[at : at+n : at+n]
}

// recycle gives the kernel back what was used up.
func (b *buffers) recycle() {
	if len(b.full) == 0 {
		return
	}
	for _, id := range b.full {
		e := &b.ring[int(b.tail)&(len(b.ring)-1)]
		e.addr, e.len = addressOf(b.mem[int(id)*b.bytes:]), uint32(b.bytes)
		if e != &b.ring[0] { // whose id is published with the tail, in the same word
			e.id = id
		} else {
			b.publish(id, b.ring[0].tail)
		}
		b.tail++
	}
	b.full = b.full[:0]
	b.publish(b.ring[0].id, b.tail)
}

// publish stores the first buffer's id and the tail, in one word because there is no atomic store of less. Nobody else writes to it.
func (b *buffers) publish(id, tail uint16) {
	var w [4]byte
	binary.NativeEndian.PutUint16(w[:2], id)
	binary.NativeEndian.PutUint16(w[2:], tail)
	atomic.StoreUint32((*uint32)(unsafe.Pointer(&b.ring[0].id)), binary.NativeEndian.Uint32(w[:]))
}

// An arena holds what was queued by Send until the kernel has taken it, which is when the next Wait returns. It is short
// and used from its start again and again, so that it stays in the processor's cache.
type arena struct {
	mem  []byte
	used int
	sent []sending
	mark uint32 // the submission after the last of sent
	done bool   // all in it was submitted, and what fell short was found
	old  bool   // and was handed over
}

// A sending is where the bytes of a Send lie.
type sending struct {
	tag     uint64
	off, to int
}

// put copies pieces in and returns their number and where they lie; false if they do not fit.
func (a *arena) put(tag uint64, pieces [][]byte) (int, []byte, bool) {
	if a.old {
		a.used, a.sent = 0, a.sent[:0]
	}
	a.done, a.old = false, false
	start := a.used
	for _, p := range pieces {
		if len(p) > len(a.mem)-a.used {
			a.used = start
			return 0, nil, false
		}
		a.used += copy(a.mem[a.used:], p)
	}
	a.sent = append(a.sent, sending{tag, start, a.used})
	return len(a.sent) - 1, a.mem[start:a.used], true
}

// blocks are pieces of memory that operations keep until they end. They are mapped by slabs and used again.
type blocks struct {
	slabs [][]byte
	free  []uint32 // numbers
}

const (
	blockBytes = 64 << 10
	slabBlocks = 16
	blocksKept = 256 // free ones that keep their memory: 16 MiB
)

// take returns the number of a block.
func (b *blocks) take() (uint32, error) {
	if len(b.free) == 0 {
		slab, err := mapped(slabBlocks * blockBytes)
		if err != nil {
			return 0, fmt.Errorf("map block: %w", err)
		}
		for i := range slabBlocks {
			b.free = append(b.free, uint32(len(b.slabs)*slabBlocks+slabBlocks-1-i))
		}
		b.slabs = append(b.slabs, slab)
	}
	k := b.free[len(b.free)-1]
	b.free = b.free[:len(b.free)-1]
	return k, nil
}

// put takes a block back. Beyond blocksKept free ones the kernel gets its memory back, and brings zeroed memory when it is used again.
func (b *blocks) put(k uint32) {
	if len(b.free) >= blocksKept {
		_ = unix.Madvise(b.at(k), unix.MADV_DONTNEED) // it can fail only on what is not mapped
	}
	b.free = append(b.free, k)
}

func (b *blocks) at(k uint32) []byte {
	off := int(k%slabBlocks) * blockBytes
	return b.slabs[k/slabBlocks][off : off+blockBytes : off+blockBytes]
}
