package netpoll_test

import (
	"errors"
	"net/netip"
	"syscall"
	"testing"
	"time"

	"github.com/eve-emulation/eve/internal/mono"
	"github.com/eve-emulation/eve/internal/netpoll"
)

// onEach runs test on every mechanism.
func onEach(t *testing.T, test func(*testing.T, netpoll.Mechanism)) {
	for _, tt := range []struct {
		name string
		m    netpoll.Mechanism
	}{{"epoll", netpoll.Epoll}, {"poll", netpoll.Poll}, {"select", netpoll.Select}} {
		t.Run(tt.name, func(t *testing.T) { test(t, tt.m) })
	}
}

func TestUnknownMechanism(t *testing.T) {
	if _, err := netpoll.NewPollerOn(99, 0); err == nil {
		t.Error("open: got no error")
	}
}

func TestMistakes(t *testing.T) {
	onEach(t, func(t *testing.T, m netpoll.Mechanism) {
		p := pollerOn(t, m)
		a, _ := pair(t, netip.Addr{})
		for name, got := range map[string]error{
			"add a negative descriptor":           p.Add(-1, 1, netpoll.In),
			"modify what is not watched":          p.Modify(a, 1, netpoll.In),
			"delete what is not watched":          p.Delete(a),
			"delete far beyond what was ever met": p.Delete(1 << 19),
		} {
			if got == nil {
				t.Errorf("%s: got no error", name)
			}
		}
		if m == netpoll.Epoll {
			return
		}
		if err := p.Add(a, 1, netpoll.In|netpoll.Edge); !errors.Is(err, syscall.EINVAL) {
			t.Errorf("add for edges: got %v, want %v", err, syscall.EINVAL)
		}
		if err := p.Add(a, 1, netpoll.In); err != nil {
			t.Error(err)
		}
		if err := p.Modify(a, 1, netpoll.In|netpoll.Edge); !errors.Is(err, syscall.EINVAL) {
			t.Errorf("modify for edges: got %v, want %v", err, syscall.EINVAL)
		}
	})
}

// TestEdge checks that epoll tells an edge once, and again when more has come.
func TestEdge(t *testing.T) {
	a, b := pair(t, netip.Addr{})
	p := poller(t)
	if err := p.Add(b, 1, netpoll.In|netpoll.RdHup|netpoll.Edge); err != nil {
		t.Fatal(err)
	}
	for _, step := range []struct {
		name string
		do   func() error
		want netpoll.Events
	}{
		{"first byte", func() error { _, err := netpoll.Write(a, []byte("x")); return err }, netpoll.In},
		{"second byte", func() error { _, err := netpoll.Write(a, []byte("y")); return err }, netpoll.In},
		{"end of stream", func() error { return netpoll.CloseWrite(a) }, netpoll.In | netpoll.RdHup},
	} {
		if err := step.do(); err != nil {
			t.Fatal(err)
		}
		evs := must(p.Wait(mono.Never))(t)
		if len(evs) != 1 || evs[0].Events != step.want {
			t.Errorf("%s: got %v, want %x", step.name, evs, step.want)
		}
		if evs := must(p.Wait(0))(t); len(evs) != 0 {
			t.Errorf("%s: got %v a second time, want nothing", step.name, evs)
		}
	}
}

// TestMany watches more descriptors than the C library's select takes, of which a few are ready, and closes and opens some so that
// numbers are used again.
func TestMany(t *testing.T) {
	onEach(t, func(t *testing.T, m netpoll.Mechanism) {
		p := pollerOn(t, m)
		const n = 1100
		var ends [n][2]int
		for i := range ends {
			fds, err := syscall.Socketpair(syscall.AF_UNIX, syscall.SOCK_STREAM|syscall.SOCK_NONBLOCK|syscall.SOCK_CLOEXEC, 0)
			if err != nil {
				t.Fatal(err)
			}
			ends[i] = fds
			closing(t, fds[0])
			if err := p.Add(fds[1], uint64(i), netpoll.In); err != nil {
				t.Fatal(err)
			}
		}
		if highest := ends[n-1][1]; highest < 2*n {
			t.Errorf("highest descriptor: got %d, want at least %d", highest, 2*n)
		}
		expect := func(want ...int) {
			t.Helper()
			for _, i := range want {
				must(netpoll.Write(ends[i][0], []byte("x")))(t)
			}
			got := map[uint64]bool{}
			for _, ev := range must(p.Wait(mono.Now() + 1e10))(t) {
				got[ev.Tag] = ev.Events == netpoll.In
				if _, err := netpoll.Read(ends[ev.Tag][1], make([]byte, 8)); err != nil {
					t.Errorf("read of %d: %v", ev.Tag, err)
				}
			}
			if len(got) != len(want) {
				t.Errorf("ready: got %v, want %v", got, want)
			}
			for _, i := range want {
				if !got[uint64(i)] {
					t.Errorf("ready: got %v, want %v", got, want)
				}
			}
		}
		expect(0, 63, 64, 500, n-1)
		for _, i := range []int{n - 1, 10, n - 2} { // the highest twice, and one in the middle
			if err := p.CloseWatched(ends[i][1]); err != nil {
				t.Fatal(err)
			}
		}
		expect(0, 9, 11, n-3)
		for i := range ends { // the numbers that were closed are free
			if i == 10 {
				fd, err := syscall.Dup(ends[500][0])
				if err != nil {
					t.Fatal(err)
				}
				if err := p.Add(closing(t, fd), n+1, netpoll.Out); err != nil {
					t.Errorf("add a number that was closed: %v", err)
				}
				if evs := must(p.Wait(mono.Never))(t); len(evs) != 1 || evs[0] != (netpoll.Event{Tag: n + 1, Events: netpoll.Out}) {
					t.Errorf("ready: got %v, want Out of %d", evs, n+1)
				}
			}
			if i != 10 && i != n-1 && i != n-2 {
				if err := errors.Join(p.Delete(ends[i][1]), netpoll.Close(ends[i][1])); err != nil {
					t.Fatal(err)
				}
			}
		}
	})
}

// TestLightWake has something happen, after which waits are light for a second, and expects that a Wake ends one all the same, after the first
// light wait as well as within it.
func TestLightWake(t *testing.T) {
	type waiter interface {
		Light(on bool)
		Wake()
	}
	test := func(t *testing.T, w waiter, wait func()) {
		w.Light(true)
		for _, after := range []time.Duration{0, time.Millisecond, 30 * time.Millisecond} {
			w.Wake()
			wait()
			start := mono.Now()
			woken := make(chan struct{})
			time.AfterFunc(after, func() {
				w.Wake()
				close(woken)
			})
			wait()
			if got := time.Duration(mono.Now() - start); got < after || got > after+5*time.Second {
				t.Errorf("a wait that is woken after %v: took %v", after, got)
			}
			<-woken
		}
	}
	t.Run("poller", func(t *testing.T) {
		p, err := netpoll.NewPoller(0)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = p.Close() }()
		end := mono.Now() + int64(20*time.Second)
		test(t, p, func() {
			if _, err := p.Wait(end); err != nil {
				t.Error(err)
			}
		})
	})
	t.Run("ring", func(t *testing.T) {
		r := newRing(t, netpoll.RingConfig{})
		end := mono.Now() + int64(20*time.Second)
		test(t, r, func() { turn(t, r, end) })
	})
}
