package service_test

import (
	"fmt"
	"runtime"
	"testing"
	"time"

	"github.com/eve-emulation/eve/dmm"
	"github.com/eve-emulation/eve/dsv"
	"github.com/eve-emulation/eve/fase/machine"
	"github.com/eve-emulation/eve/fase/service"
	"github.com/eve-emulation/eve/fase/step"
	"github.com/eve-emulation/eve/rdr"
)

// lone is one host, stepped by hand, and what it has replied.
type lone struct {
	t       *testing.T
	host    *service.Host
	set     *dmm.Set
	replies map[uint64]int
	last    map[uint64]dsv.Instant
}

func newLone(t *testing.T, cfg service.HostConfig, specs ...dmm.Spec) *lone {
	t.Helper()
	set, err := dmm.NewSet(1, 1, specs)
	if err != nil {
		t.Fatal(err)
	}
	cfg.Topology = &service.Topology{Servers: []string{"server_1"}, Services: []string{"app", "log"}}
	cfg.Services = []service.Config{{Name: "app"}, {Name: "log"}}
	l := &lone{t: t, set: set, host: service.NewHost(cfg, set.Var), replies: map[uint64]int{}, last: map[uint64]dsv.Instant{}}
	l.host.Changed(0, 0, on(1, service.Serving))
	l.host.Changed(0, 1, on(1, service.Serving))
	l.run(0)
	return l
}

// run steps the host to an instant and notes the replies.
func (l *lone) run(to dsv.Instant) {
	for l.host.Next() <= to {
		l.host.Advance(l.host.Next())
		l.note()
	}
	l.note()
}

func (l *lone) note() {
	for _, e := range l.host.Effects() {
		if e.Kind == step.Reply {
			l.replies[e.Key]++
			l.last[e.Key] = e.At
		}
	}
}

func (l *lone) arrive(at dsv.Instant, epoch uint32, tag uint64, src string) {
	l.t.Helper()
	b, err := rdr.ParseBlock("test", []byte(src), rdr.Limits{})
	if err != nil {
		l.t.Fatal(err)
	}
	l.run(at)
	l.host.Arrive(at, &service.Request{Block: b, Key: rdr.Key(tag), Epoch: epoch}, tag)
	l.note()
}

func (l *lone) close(at dsv.Instant, tag uint64) {
	l.run(at)
	l.host.Close(at, tag)
	l.note()
}

// once checks that each tag was answered once, and that nothing is left.
func (l *lone) once(tags ...uint64) {
	l.t.Helper()
	for _, tag := range tags {
		if n := l.replies[tag]; n != 1 {
			l.t.Errorf("request %d: got %d replies, want 1", tag, n)
		}
	}
	if err := l.host.Idle(); err != nil {
		l.t.Error(err)
	}
}

func last(n dsv.Name) dmm.Spec {
	return dmm.Spec{Name: n, Manipulator: "last", Sync: dmm.Trigger{Change: 1}}
}

// drained moves the service away and checks that the host says so.
func (l *lone) drained(at dsv.Instant, epoch uint32) {
	l.t.Helper()
	l.host.Changed(at, 0, on(epoch, service.Draining))
	l.run(at)
	if x, _ := l.set.Var(service.DrainedName("server_1", "app")).Read().Number(); x != float64(epoch) {
		l.t.Errorf("drained with nothing in flight: got epoch %v, want %d", x, epoch)
	}
}

func TestCloseWhileCrossingTheLink(t *testing.T) {
	l := newLone(t, service.HostConfig{CancelOnClose: true, Machine: machine.Config{Link: machine.LinkConfig{Delay: 5 * time.Millisecond}}},
		last(service.DrainedName("server_1", "app")), dmm.Spec{Name: "app.residence", Manipulator: "mean"})
	l.arrive(0, 1, 1, "cpu 1ms")
	l.close(2*ms, 1)
	l.arrive(3*ms, 1, 2, "cpu 1ms")
	l.run(100 * ms)
	l.once(1, 2)
	if got := l.last[2]; got != 14*ms {
		t.Errorf("the other request: answered at %v, want 14 ms", got)
	}
	if x, _ := l.set.Var("app.residence").Read().Number(); x != 0.001 {
		t.Errorf("residence: got %v s, want 0.001: who never arrived did not stay", x)
	}
	l.drained(200*ms, 2)
}

func TestCloseWhileWaitingForAMapping(t *testing.T) {
	for _, cancel := range []bool{false, true} {
		l := newLone(t, service.HostConfig{CancelOnClose: cancel}, last(service.DrainedName("server_1", "app")))
		l.arrive(0, 2, 1, "cpu 1ms")
		l.close(ms, 1)
		l.arrive(2*ms, 1, 2, "cpu 9ms") // may have the slot of the first
		l.host.Changed(3*ms, 0, on(2, service.Serving))
		l.run(100 * ms)
		l.once(1, 2)
		if l.last[2] != 11*ms {
			t.Errorf("withdraw %v: the other request was answered at %v, want 11 ms", cancel, l.last[2])
		}
		l.drained(200*ms, 3)
	}
}

func TestMappingThatNeverComes(t *testing.T) {
	l := newLone(t, service.HostConfig{})
	l.arrive(0, 99, 1, "cpu 1ms") // a caller of another run, or a wrong header
	l.run(dsv.At(time.Minute))
	l.once(1)
}

func TestLocalCallsAreWithdrawnToo(t *testing.T) {
	l := newLone(t, service.HostConfig{CancelOnClose: true})
	l.arrive(0, 1, 1, "retry 1 { timeout 2ms { call log { cpu 10ms } } }")
	l.arrive(4*ms, 1, 2, "cpu 1ms")
	l.run(100 * ms)
	l.once(1, 2)
	if got := l.last[2]; got != 5*ms {
		t.Errorf("after the withdrawn calls: got an answer at %v, want 5 ms", got)
	}
}

func TestManyGrantsAtOneInstant(t *testing.T) {
	// Each lock is had at once; a grant inside a grant inside a grant would use up the stack.
	l := newLone(t, service.HostConfig{Machine: machine.Config{Memory: 10}})
	l.arrive(0, 1, 1, "repeat 450000 { lock a { } }")
	l.arrive(0, 1, 2, "repeat 450000 { memory 1B { } }")
	l.run(ms)
	l.once(1, 2)
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	if m.StackInuse > 32<<20 {
		t.Errorf("stacks: got %d MiB, want few", m.StackInuse>>20)
	}
}

func TestLocksOfManyNames(t *testing.T) {
	l := newLone(t, service.HostConfig{})
	tags := []uint64{}
	for i := range uint64(2000) {
		l.arrive(dsv.Instant(i)*ms, 1, i, fmt.Sprintf("lock l%d { wait 5ms }", i))
		tags = append(tags, i)
	}
	l.run(3000 * ms)
	l.once(tags...)
	if n := l.host.Locks(); n > 10 {
		t.Errorf("locks kept when at most six were used at a time: got %d", n)
	}
}

func TestManyMappings(t *testing.T) {
	l := newLone(t, service.HostConfig{})
	for i := range 10_000 {
		m := on(uint32(i+2), service.Serving)
		m.At = dsv.Instant(i+3) * ms
		l.host.Changed(dsv.Instant(i)*ms, 0, m)
		l.run(dsv.Instant(i) * ms)
	}
	if n := l.host.Pending(); n > 20 {
		t.Errorf("mappings kept when at most four are pending: got %d", n)
	}
}

func TestAmountsBeyondTime(t *testing.T) {
	slow := machine.Config{
		Link: machine.LinkConfig{Rate: 1}, Disk: machine.DiskConfig{Rate: 1}, CPU: machine.CPUConfig{Speed: 1e-9},
	}
	for _, src := range []string{"reply 900GiB", "disk read 900GiB", "cpu 50m"} {
		for _, ps := range []machine.Discipline{machine.FCFS, machine.PS} {
			slow.CPU.Discipline = ps
			l := newLone(t, service.HostConfig{Machine: slow})
			l.arrive(0, 1, 1, src)
			l.arrive(0, 1, 2, src)
			l.run(dsv.At(time.Hour))
			if l.replies[1]+l.replies[2] != 0 {
				t.Errorf("%s on a machine that needs centuries: answered within an hour", src)
			}
		}
	}
}

func TestRecordShare(t *testing.T) {
	const n = 2000
	for _, tt := range []struct{ share, low, high float64 }{{0, n, n}, {1, n, n}, {0.25, 0.2 * n, 0.3 * n}} {
		l := newLone(t, service.HostConfig{RecordShare: tt.share}, dmm.Spec{Name: "app.records", Manipulator: "records"})
		for i := range uint64(n) {
			l.arrive(dsv.Instant(i), 1, i, "reply 1B")
		}
		l.set.Close(ms)
		got := 0.0
		for _, d := range l.set.Take(nil) {
			for range dmm.Records(d.Value.Bytes) {
				got++
			}
		}
		if got < tt.low || got > tt.high {
			t.Errorf("share %v of %d requests: got %v records", tt.share, n, got)
		}
	}
}

func TestMappingToldTwice(t *testing.T) {
	size := machine.Bytes(1_000_000)
	services := []service.Config{{Name: "app", On: []int{0}, Size: size}}
	link := machine.Config{Link: machine.LinkConfig{Rate: 80_000_000}} // 100 ms for the copy
	c := newCluster(t, services, link, link)
	c.remap(0, 0, on(2, service.Serving, service.Copying))
	c.remap(50*ms, 0, on(2, service.Serving, service.Copying)) // again, as after a lost connection
	c.driver.Run(99 * ms)
	if got := c.number("server_1.app.copied"); got != 0 {
		t.Errorf("copied before its time: got epoch %v", got)
	}
	c.driver.Run(101 * ms)
	if got := c.number("server_1.app.copied"); got != 2 {
		t.Errorf("copied: got epoch %v, want 2", got)
	}
}
