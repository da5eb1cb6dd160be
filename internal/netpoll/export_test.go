package netpoll

import (
	"syscall"
	"unsafe"
)

// Unsupported and Lacking are what NewRing says of kernels that we do not have.
func Unsupported(errno syscall.Errno) error { return unsupported(errno) }
func Lacking(features uint32) string        { return lacking(features) }

// Relative has a ring wait as kernels before 6.12 do.
func (r *Ring) Relative() {
	r.absolute = false
	r.enterOpt &^= enterAbsTimer
}

// Resident returns how many bytes of memory the blocks of long sends take.
func (r *Ring) Resident() int {
	n := 0
	for _, slab := range r.blocks.slabs {
		pages := make([]byte, len(slab)/4096)
		_, _, _ = syscall.RawSyscall(syscall.SYS_MINCORE, uintptr(unsafe.Pointer(&slab[0])), uintptr(len(slab)), uintptr(unsafe.Pointer(&pages[0])))
		for _, p := range pages {
			n += int(p&1) * 4096
		}
	}
	return n
}
