package netpoll

import "syscall"

// Unsupported and Lacking are what NewRing says of kernels that we do not have.
func Unsupported(errno syscall.Errno) error { return unsupported(errno) }
func Lacking(features uint32) string        { return lacking(features) }

// Relative has a ring wait as kernels before 6.12 do.
func (r *Ring) Relative() {
	r.absolute = false
	r.enterOpt &^= enterAbsTimer
}
