package load_test

import (
	"os"
	"os/exec"
	"slices"
	"testing"
	"time"

	"github.com/eve-emulation/eve/dsv"
	"github.com/eve-emulation/eve/fase/load"
)

// TestReadiness runs the package's tests once more in a process whose loops wait by epoll, as they do where the kernel has no
// io_uring.
func TestReadiness(t *testing.T) {
	if testing.Short() || os.Getenv(onReadiness) != "" {
		t.Skip("all tests once more")
	}
	cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.short", "-test.timeout=2m")
	cmd.Env = append(os.Environ(), onReadiness+"=1")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("tests on epoll: %v\n%s", err, out)
	}
}

// TestBurst has many calls due at once: the loop looks at its sockets between connects, so that calls take over connections which
// answers have left, and none waits for ever.
func TestBurst(t *testing.T) {
	const calls = 400
	c := &crowd{t: t, due: burst(calls)}
	c.request.Service = -1
	s := carry(t, start(load.Config{Groups: []load.Group{c}, Address: to(reactor(t))}))
	if s.Answered != calls || s.Opened == 0 || s.Opened > calls {
		t.Errorf("got %d answers over %d connections, want %d over fewer", s.Answered, s.Opened, calls)
	}
	for n := range c.samples {
		if x := &c.samples[n]; x.sent < x.due || x.first < x.sent || x.done < x.first {
			t.Errorf("call %d: due %d, sent %d, first byte %d, done %d", n, x.due, x.sent, x.first, x.done)
		}
	}
}

// TestSentOneByOne has calls due at once over connections that stand: each has left at an instant of its own, in order.
func TestSentOneByOne(t *testing.T) {
	const calls = 12
	c := &crowd{t: t, due: append(burst(calls), slices.Repeat([]dsv.Instant{dsv.At(200 * time.Millisecond)}, calls)...)}
	c.request.Service = -1
	carry(t, start(load.Config{Groups: []load.Group{c}, Address: to(reactor(t))}))
	for n := calls + 1; n < 2*calls; n++ {
		if a, b := c.samples[n-1].sent, c.samples[n].sent; b <= a {
			t.Errorf("call %d: sent at %d, want later than the one before, at %d", n, b, a)
		}
	}
}
