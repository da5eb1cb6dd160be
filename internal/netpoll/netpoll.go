// Package netpoll holds the sockets and the poller that an event loop stands on: non-blocking TCP by system calls,
// waiting by epoll, poll or select with absolute instants, and a wake-up from other threads. It keeps no state between calls but that of a [Poller].
//
// A socket is a file descriptor, an int, that its owner closes with [Close]. [Read], [Write], [Writev] and [Accept] enter
// the kernel without telling Go's scheduler, which is cheap and right because these sockets never block; they are meant
// for goroutines that are locked to their thread. All of them retry what a signal interrupted and return [ErrAgain]
// where the socket would block.
//
// A Poller belongs to one goroutine; only its Wake may be called by others.
package netpoll

import (
	"errors"
	"syscall"
)

// ErrAgain reports that a call would have blocked: wait for the poller, then call again.
var ErrAgain = errors.New("resource temporarily unavailable")

// Events is a set of conditions of a file descriptor: what to wait for, and what was met.
type Events uint32

// The conditions. Err and Hup are always reported, asked for or not, but by Select. Edge asks for edges instead of levels; only
// Epoll knows it.
const (
	In    Events = syscall.EPOLLIN
	Out   Events = syscall.EPOLLOUT
	RdHup Events = syscall.EPOLLRDHUP // the peer has sent its end of stream
	Pri   Events = syscall.EPOLLPRI   // urgent data has come, before which reads stop short; Select does not know it
	Err   Events = syscall.EPOLLERR
	Hup   Events = syscall.EPOLLHUP
	Edge  Events = 1 << 31 // EPOLLET
)

// An Event says which conditions the descriptor added under Tag met.
type Event struct {
	Tag    uint64
	Events Events
}

// Refused reports whether err says that nobody listens at the address.
func Refused(err error) bool { return errors.Is(err, syscall.ECONNREFUSED) }

// Reset reports whether err says that the peer broke the connection off.
func Reset(err error) bool {
	return errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE) || errors.Is(err, syscall.ECONNABORTED)
}

// TimedOut reports whether err says that the kernel gave the connection up.
func TimedOut(err error) bool { return errors.Is(err, syscall.ETIMEDOUT) }

// Unreachable reports whether err says that the network has no way to the address.
func Unreachable(err error) bool {
	return errors.Is(err, syscall.ENETUNREACH) || errors.Is(err, syscall.EHOSTUNREACH)
}

// Exhausted reports whether err says that the process or the host has no more descriptors, ports or socket memory, so that a
// later try may succeed.
func Exhausted(err error) bool {
	for _, e := range []error{syscall.EMFILE, syscall.ENFILE, syscall.ENOBUFS, syscall.ENOMEM, syscall.EADDRNOTAVAIL} {
		if errors.Is(err, e) {
			return true
		}
	}
	return false
}
