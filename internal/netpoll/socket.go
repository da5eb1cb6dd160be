package netpoll

import (
	"errors"
	"fmt"
	"io"
	"net/netip"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Listen returns a non-blocking listening socket on addr; port 0 takes a free one, which Local tells. With shared, several
// sockets of the same user may listen on one address and the kernel spreads connections over them (SO_REUSEPORT); without,
// a taken address is an error.
func Listen(addr netip.AddrPort, backlog int, shared bool) (int, error) {
	fd, err := open(addr.Addr())
	if err != nil {
		return -1, fmt.Errorf("listen %s: %w", addr, err)
	}
	err = unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_REUSEADDR, 1)
	if err == nil && shared {
		err = unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_REUSEPORT, 1)
	}
	noDelay(fd)
	if err == nil {
		err = unix.Bind(fd, sockaddr(addr))
	}
	if err == nil {
		err = unix.Listen(fd, backlog)
	}
	if err != nil {
		_ = unix.Close(fd)
		return -1, fmt.Errorf("listen %s: %w", addr, err)
	}
	return fd, nil
}

// Accept returns the next waiting connection of ln, non-blocking and with Nagle's algorithm off, or ErrAgain if none waits.
// A connection that was broken off before it was accepted is skipped.
func Accept(ln int) (int, error) {
	for {
		fd, _, errno := unix.RawSyscall6(unix.SYS_ACCEPT4, uintptr(ln), 0, 0, unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0, 0)
		switch errno {
		case 0:
			return int(fd), nil // Nagle's algorithm is off as on the listener
		case unix.EINTR, unix.ECONNABORTED:
		case unix.EAGAIN:
			return -1, ErrAgain
		default:
			return -1, errno
		}
	}
}

// Connect begins a connection from local to remote and returns its socket, with Nagle's algorithm off. An invalid (zero) local lets
// the kernel choose. The connection stands when the socket becomes writable and ConnectError returns nil.
func Connect(local netip.Addr, remote netip.AddrPort) (int, error) {
	fd, err := open(remote.Addr())
	if err != nil {
		return -1, fmt.Errorf("connect %s: %w", remote, err)
	}
	noDelay(fd)
	if local.IsValid() {
		// The port is chosen at connect, so that one source address serves 28 000 connections to each destination.
		_ = unix.SetsockoptInt(fd, unix.IPPROTO_IP, unix.IP_BIND_ADDRESS_NO_PORT, 1)
		if err := unix.Bind(fd, sockaddr(netip.AddrPortFrom(local, 0))); err != nil {
			_ = unix.Close(fd)
			return -1, &SourceError{Local: local, Remote: remote, Err: err}
		}
	}
	// An interrupted connect goes on by itself.
	err = unix.Connect(fd, sockaddr(remote))
	if err != nil && !errors.Is(err, unix.EINPROGRESS) && !errors.Is(err, unix.EINTR) {
		_ = unix.Close(fd)
		return -1, fmt.Errorf("connect %s: %w", remote, err)
	}
	return fd, nil
}

// A SourceError is an address that connections cannot come from.
type SourceError struct {
	Local  netip.Addr
	Remote netip.AddrPort
	Err    error
}

func (e *SourceError) Error() string {
	return fmt.Sprintf("connect %s from %s: %v", e.Remote, e.Local, e.Err)
}

// Unwrap returns what the kernel said.
func (e *SourceError) Unwrap() error { return e.Err }

// ConnectError returns, and clears, the pending error of a socket: how a connect ended.
func ConnectError(fd int) error {
	n, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_ERROR)
	if err != nil {
		return err
	}
	if n != 0 {
		return unix.Errno(n)
	}
	return nil
}

// Local returns the address that fd is bound to.
func Local(fd int) (netip.AddrPort, error) { return address(unix.Getsockname(fd)) }

// Peer returns the address that fd is connected to.
func Peer(fd int) (netip.AddrPort, error) { return address(unix.Getpeername(fd)) }

// Read reads what is there of a socket, at most len(p) bytes: io.EOF at the end of the stream, ErrAgain if nothing has come.
func Read(fd int, p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	for {
		n, _, errno := unix.RawSyscall6(unix.SYS_RECVFROM, uintptr(fd), uintptr(unsafe.Pointer(&p[0])), uintptr(len(p)), 0, 0, 0)
		switch {
		case errno == 0 && n == 0:
			return 0, io.EOF
		case errno == 0:
			return int(n), nil
		case errno == unix.EAGAIN:
			return 0, ErrAgain
		case errno != unix.EINTR:
			return 0, errno
		}
	}
}

// Write writes what fits, perhaps less than p; ErrAgain if nothing does. A broken connection is an error, never a signal.
func Write(fd int, p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	for {
		n, _, errno := unix.RawSyscall6(unix.SYS_SENDTO, uintptr(fd), uintptr(unsafe.Pointer(&p[0])), uintptr(len(p)),
			unix.MSG_NOSIGNAL, 0, 0)
		switch errno {
		case 0:
			return int(n), nil
		case unix.EAGAIN:
			return 0, ErrAgain
		case unix.EINTR:
		default:
			return 0, errno
		}
	}
}

// MaxVec is the most pieces that Writev takes.
const MaxVec = 64

// Writev writes several pieces in one call, in order, as Write does; at most MaxVec of them, further ones are left.
func Writev(fd int, pieces [][]byte) (int, error) {
	var vec [MaxVec]unix.Iovec
	n := 0
	for _, p := range pieces {
		if len(p) == 0 {
			continue
		}
		if n == MaxVec {
			break
		}
		vec[n].Base = &p[0]
		vec[n].SetLen(len(p))
		n++
	}
	if n == 0 {
		return 0, nil
	}
	msg := unix.Msghdr{Iov: &vec[0]}
	msg.SetIovlen(n)
	for {
		w, _, errno := unix.RawSyscall(unix.SYS_SENDMSG, uintptr(fd), uintptr(unsafe.Pointer(&msg)), unix.MSG_NOSIGNAL)
		switch errno {
		case 0:
			return int(w), nil
		case unix.EAGAIN:
			return 0, ErrAgain
		case unix.EINTR:
		default:
			return 0, errno
		}
	}
}

// CloseWrite sends the end of stream; the other direction stays open.
func CloseWrite(fd int) error { return unix.Shutdown(fd, unix.SHUT_WR) }

// ShutBoth ends both directions of fd, which stays open.
func ShutBoth(fd int) error { return unix.Shutdown(fd, unix.SHUT_RDWR) }

// Abort closes fd so that the peer sees a reset and the port is free at once.
func Abort(fd int) error {
	_ = unix.SetsockoptLinger(fd, unix.SOL_SOCKET, unix.SO_LINGER, &unix.Linger{Onoff: 1})
	return Close(fd)
}

// Disconnect breaks the TCP connection of a socket with a reset, or has a listening socket refuse connections, those included that
// wait to be accepted (connect with AF_UNSPEC). The descriptor stays open: a poller tells of an error, and reads and writes fail.
func Disconnect(fd int) error {
	to := unix.RawSockaddr{Family: unix.AF_UNSPEC}
	_, _, errno := unix.RawSyscall(unix.SYS_CONNECT, uintptr(fd), uintptr(unsafe.Pointer(&to)), unix.SizeofSockaddrInet4)
	if errno != 0 {
		return fmt.Errorf("disconnect: %w", errno)
	}
	return nil
}

// Keep keeps the address of a listening socket that was disconnected: the kernel takes back a port that it had chosen itself.
func Keep(fd int, addr netip.AddrPort) error {
	if err := unix.Bind(fd, sockaddr(addr)); err != nil && !errors.Is(err, unix.EINVAL) { // EINVAL: it has it still
		return fmt.Errorf("bind %s: %w", addr, err)
	}
	return nil
}

// Relisten has a socket listen again that was disconnected.
func Relisten(fd, backlog int) error { return unix.Listen(fd, backlog) }

// Close closes a descriptor.
func Close(fd int) error {
	_, _, errno := unix.RawSyscall(unix.SYS_CLOSE, uintptr(fd), 0, 0)
	if errno != 0 && errno != unix.EINTR { // on Linux an interrupted close has closed
		return errno
	}
	return nil
}

// Spare opens a descriptor that holds a place in the process's table, to be closed when a connection needs one.
func Spare() (int, error) { return unix.Open("/dev/null", unix.O_RDONLY|unix.O_CLOEXEC, 0) }

// Buffers sets the kernel's buffers of fd in bytes; 0 leaves one alone.
func Buffers(fd, receive, send int) error {
	var err error
	if receive > 0 {
		err = unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUF, receive)
	}
	if send > 0 {
		err = errors.Join(err, unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_SNDBUF, send))
	}
	return err
}

// Socket returns a non-blocking TCP socket for the family of addr, with Nagle's algorithm off.
func Socket(addr netip.Addr) (int, error) {
	fd, err := open(addr)
	if err == nil {
		noDelay(fd)
	}
	return fd, err
}

func open(a netip.Addr) (int, error) {
	family := unix.AF_INET
	if a.Is6() && !a.Is4In6() {
		family = unix.AF_INET6
	}
	return unix.Socket(family, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
}

// noDelay turns Nagle's algorithm off; it can fail only on what is no TCP socket.
func noDelay(fd int) {
	one := int32(1)
	_, _, _ = unix.RawSyscall6(unix.SYS_SETSOCKOPT, uintptr(fd), unix.IPPROTO_TCP, unix.TCP_NODELAY,
		uintptr(unsafe.Pointer(&one)), unsafe.Sizeof(one), 0)
}

func sockaddr(a netip.AddrPort) unix.Sockaddr {
	ip := a.Addr().Unmap()
	if ip.Is4() {
		return &unix.SockaddrInet4{Port: int(a.Port()), Addr: ip.As4()}
	}
	return &unix.SockaddrInet6{Port: int(a.Port()), Addr: ip.As16()}
}

func address(sa unix.Sockaddr, err error) (netip.AddrPort, error) {
	if err != nil {
		return netip.AddrPort{}, err
	}
	switch s := sa.(type) {
	case *unix.SockaddrInet4:
		return netip.AddrPortFrom(netip.AddrFrom4(s.Addr), uint16(s.Port)), nil
	case *unix.SockaddrInet6:
		return netip.AddrPortFrom(netip.AddrFrom16(s.Addr), uint16(s.Port)), nil
	default:
		return netip.AddrPort{}, unix.EAFNOSUPPORT
	}
}
