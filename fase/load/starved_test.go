package load_test

import (
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
	"unsafe"

	"github.com/eve-emulation/eve/dsv"
	"github.com/eve-emulation/eve/fase/load"
	"github.com/eve-emulation/eve/fase/service"
	"github.com/eve-emulation/eve/internal/netpoll"
)

// unaccepted returns an address whose connections stand and are never accepted, as long as its queue has room.
func unaccepted(t *testing.T, backlog int) string {
	t.Helper()
	ln, err := netpoll.Listen(netip.MustParseAddrPort("127.0.0.1:0"), backlog, false)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = netpoll.Close(ln) })
	at, err := netpoll.Local(ln)
	if err != nil {
		t.Fatal(err)
	}
	return at.String()
}

// A full queue of connections swallows further ones, as a black hole does: calls that wait for one fail after the time allowed, and
// those that had been given up before are abandoned.
func TestBlackHole(t *testing.T) {
	const allowed = 40 * time.Millisecond
	tests := []struct {
		name     string
		patience time.Duration
		limit    int // of connections
		tls      bool
		want     map[service.Cause]int // of 12, with the first connection taken
	}{
		{"no connection", 0, 0, false, map[service.Cause]int{service.ConnectTimeout: 12}},
		{"none over TLS either", 0, 0, true, map[service.Cause]int{service.ConnectTimeout: 12}},
		{"users who lose patience first", allowed / 4, 0, false, map[service.Cause]int{service.Abandoned: 12}},
		{"calls in line", 0, 4, false, map[service.Cause]int{service.ConnectTimeout: 12}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			address := unaccepted(t, 0)
			fill(t, address)
			c := &crowd{t: t, request: service.Request{Service: -1}, due: burst(6), again: true, limit: 12, patience: test.patience}
			cfg := load.Config{Groups: []load.Group{c}, Address: to(address), ConnectTimeout: allowed, Connections: test.limit}
			if test.tls {
				cfg.Sites = site(t, load.TLS{Insecure: true})
			}
			s := carry(t, start(cfg))
			if got, want := describe(c.causes()), describe(test.want); got != want {
				t.Errorf("causes: got %s, want %s", got, want)
			}
			if s.Opened != 0 || len(s.Messages) != 0 {
				t.Errorf("got %d opened, messages %v; want none", s.Opened, s.Messages)
			}
			for i, x := range c.samples {
				if test.patience == 0 && x.done.Sub(x.sent) < allowed {
					t.Errorf("call %d failed after %v, before the %v that are allowed", i, x.done.Sub(x.sent), allowed)
				}
			}
		})
	}
}

// fill takes the room that the queue of an address has.
func fill(t *testing.T, address string) {
	t.Helper()
	fd, err := netpoll.Connect(netip.Addr{}, netip.MustParseAddrPort(address))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = netpoll.Close(fd) })
}

// Of 30 calls as many get a connection as there are descriptors; the others fail at once, and the run goes on.
func TestDescriptorsRunOutExactly(t *testing.T) {
	const room = 7
	c := &crowd{t: t, request: service.Request{Service: -1}, due: []dsv.Instant{dsv.At(20 * time.Millisecond)}, again: true, limit: 30, patience: 300 * time.Millisecond}
	for range 29 {
		c.due = append(c.due, c.due[0])
	}
	c.again = false
	w := &watcher{do: func() { leaveDescriptors(t, room) }} // once the loop has its own
	cfg := start(load.Config{Groups: []load.Group{w, c}, Address: to(unaccepted(t, 64))})
	s, err := open(t, cfg).Run(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	audit(t, load.Config{Groups: []load.Group{c}}, s)
	if got, want := describe(c.causes()), describe(map[service.Cause]int{service.Exhausted: 30 - room, service.Abandoned: room}); got != want {
		t.Errorf("causes: got %s, want %s; messages %v", got, want, s.Messages)
	}
	if len(s.Messages) != 1 || s.Messages[0].Count != 30-room || !strings.HasSuffix(s.Messages[0].Text, "too many open files") {
		t.Errorf("messages: got %+v, want %d of one", s.Messages, 30-room)
	}
}

// leaveDescriptors takes all descriptors but n, until the test ends.
func leaveDescriptors(t *testing.T, n int) {
	var old syscall.Rlimit
	highest, err := netpoll.Spare()
	if err == nil {
		_ = netpoll.Close(highest)
		err = syscall.Getrlimit(syscall.RLIMIT_NOFILE, &old)
	}
	if err == nil {
		err = syscall.Setrlimit(syscall.RLIMIT_NOFILE, &syscall.Rlimit{Cur: uint64(highest) + 64, Max: old.Max})
	}
	if err != nil {
		t.Error(err)
		return
	}
	var taken []int
	for {
		fd, err := netpoll.Spare()
		if err != nil {
			break
		}
		taken = append(taken, fd)
	}
	t.Cleanup(func() {
		for _, fd := range taken[n:] {
			_ = netpoll.Close(fd)
		}
		_ = syscall.Setrlimit(syscall.RLIMIT_NOFILE, &old)
	})
	for _, fd := range taken[:n] {
		_ = netpoll.Close(fd)
	}
}

// starvedKey tells the test binary that it runs in a network of its own.
const starvedKey = "EVE_TEST_OWN_NETWORK"

// In a network of its own, with eight ports and no way out, calls fail for want of a port and of a route.
func TestPortsRunOut(t *testing.T) {
	if os.Getenv(starvedKey) != "" {
		testStarved(t)
		return
	}
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), exe, "-test.run", "^TestPortsRunOut$", "-test.v")
	cmd.Env = append(os.Environ(), starvedKey+"=1")
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags:  syscall.CLONE_NEWUSER | syscall.CLONE_NEWNET,
		UidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getuid(), Size: 1}},
		GidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getgid(), Size: 1}},
	}
	out, err := cmd.CombinedOutput()
	text := string(out)
	switch {
	case len(out) == 0 && err != nil:
		t.Skipf("this host allows no network of one's own: %v", err)
	case strings.Contains(text, "--- SKIP"):
		t.Skip(text)
	case err != nil || !strings.Contains(text, "--- PASS: TestPortsRunOut"):
		t.Errorf("in a network of its own: %v\n%s", err, text)
	}
}

func testStarved(t *testing.T) {
	const ports = 8
	if err := loopbackUp(); err != nil {
		t.Skipf("loopback: %v", err)
	}
	limits := filepath.Join("/proc/sys/net/ipv4", "ip_local_port_range")
	if err := os.WriteFile(limits, fmt.Appendf(nil, "40000 %d", 40000+ports-1), 0o644); err != nil {
		t.Skipf("ports: %v", err)
	}
	address := unaccepted(t, 64) // takes one of them
	t.Run("ports", func(t *testing.T) {
		c := &crowd{t: t, request: service.Request{Service: -1}, due: burst(30), patience: 300 * time.Millisecond}
		s := carry(t, start(load.Config{Groups: []load.Group{c}, Address: to(address)}))
		got := c.causes()
		if got[service.Exhausted] < 30-ports || got[service.Exhausted]+got[service.Abandoned] != 30 || got[service.Abandoned] == 0 {
			t.Errorf("causes: got %v, want at least %d without a port, and the others abandoned", got, 30-ports)
		}
		if len(s.Messages) != 1 || !strings.HasSuffix(s.Messages[0].Text, "cannot assign requested address") {
			t.Errorf("messages: got %+v, want one", s.Messages)
		}
	})
	t.Run("route", func(t *testing.T) {
		c := &crowd{t: t, request: service.Request{Service: -1}, due: burst(3), again: true, limit: 9}
		s := carry(t, start(load.Config{Groups: []load.Group{c}, Address: to("192.0.2.1:80")}))
		if got, want := describe(c.causes()), describe(map[service.Cause]int{service.NoRoute: 9}); got != want {
			t.Errorf("causes: got %s, want %s; messages %v", got, want, s.Messages)
		}
	})
}

// loopbackUp brings the loopback interface up (netdevice(7)).
func loopbackUp() error {
	fd, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_DGRAM|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer func() { _ = syscall.Close(fd) }()
	req := struct {
		name  [16]byte
		flags uint16
		_     [22]byte
	}{flags: syscall.IFF_UP | syscall.IFF_RUNNING}
	copy(req.name[:], "lo")
	if _, _, errno := syscall.Syscall(syscall.SYS_IOCTL, uintptr(fd), syscall.SIOCSIFFLAGS, uintptr(unsafe.Pointer(&req))); errno != 0 {
		return errno
	}
	return nil
}
