package modules_test

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/exec"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/eve-emulation/eve/dsv"
	"github.com/eve-emulation/eve/evekernel"
	"github.com/eve-emulation/eve/evekernel/egs"
	"github.com/eve-emulation/eve/evekernel/wire"
	"github.com/eve-emulation/eve/modules"
)

// asSink follows the channel alarms, and says for each event whose level is 1 what it counts.
func asSink() int {
	ctx := context.Background()
	p := modules.NewProxy(modules.Link{URL: os.Getenv("EVE_KERNEL"), Token: os.Getenv("EVE_TOKEN"), Name: os.Getenv("EVE_MODULE")}, nil)
	var work sync.WaitGroup
	work.Go(func() { fmt.Println("ended", p.Run(ctx)) })
	var s atomic.Pointer[egs.Subscription]
	sub, err := p.Subscribe(ctx, egs.SubscribeRequest{Channel: "alarms", Handler: func(e egs.Event) {
		if e.Values[0].Float == 1 {
			st := (*s.Load()).Stats()
			fmt.Println("at", e.Values[2].Int, e.Seq, st.Delivered, st.Lost, st.Late)
		}
	}})
	if err != nil {
		fmt.Println(err)
		return 1
	}
	s.Store(&sub)
	fmt.Println("ready")
	work.Wait()
	return 0
}

// A remote is a sink that is a process of its own.
type remote struct {
	t     *testing.T
	cmd   *exec.Cmd
	lines chan string
}

func remoteSink(t *testing.T, k *evekernel.Kernel, name string) *remote {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	r := &remote{t: t, cmd: exec.Command(exe), lines: make(chan string, 10_000)}
	r.cmd.Env = append(os.Environ(), "EVE_TEST_ROLE=sink", "EVE_MODULE="+name, "EVE_KERNEL="+k.URL(), "EVE_TOKEN="+k.Token())
	r.cmd.Stderr = os.Stderr
	out, err := r.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := r.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	var read sync.WaitGroup
	read.Go(func() {
		defer close(r.lines)
		for lines := bufio.NewScanner(out); lines.Scan(); {
			r.lines <- lines.Text()
		}
	})
	t.Cleanup(func() {
		_ = r.cmd.Process.Kill()
		read.Wait()
		_ = r.cmd.Wait()
	})
	if line := <-r.lines; line != "ready" {
		t.Fatalf("%s says %q", name, line)
	}
	return r
}

func (r *remote) signal(s os.Signal) {
	r.t.Helper()
	if err := r.cmd.Process.Signal(s); err != nil {
		r.t.Fatal(err)
	}
}

// A tally is what a remote sink says at an event.
type tally struct {
	n                          int64
	seq, delivered, lost, late uint64
}

// said returns the next tally; ok is false when none comes for a while.
func (r *remote) said(d time.Duration) (c tally, ok bool) {
	r.t.Helper()
	select {
	case line := <-r.lines:
		if _, err := fmt.Sscan(line[len("at"):], &c.n, &c.seq, &c.delivered, &c.lost, &c.late); err != nil {
			r.t.Fatalf("a sink says %q: %v", line, err)
		}
		return c, true
	case <-time.After(d):
		return c, false
	}
}

// TestFrozenAndKilledSinks has a source whose sinks are processes of their own, of which one is stopped for longer than a
// link lasts, goes on, and is killed: the source's memory stays within a bound, no submission takes long, the other sink
// misses nothing, and the one that was stopped accounts for every event.
func TestFrozenAndKilledSinks(t *testing.T) {
	const bytes = 4 << 10
	k, _ := opened(t)
	ctx := within(t)
	l := linkTo(k, wire.CBOR)
	l.Name = "source"
	src, err := connect(t, l).Attach(ctx, "alarms")
	if err != nil {
		t.Fatal(err)
	}
	sound, odd := remoteSink(t, k, "sound"), remoteSink(t, k, "odd")
	data := make([]byte, bytes)
	n := int64(0)
	var worst time.Duration
	submit := func(level float64) int {
		t.Helper()
		n++
		began := time.Now()
		to, err := src.Submit(ctx, egs.Event{Data: data, Values: []dsv.Value{dsv.FloatValue(level), {}, dsv.IntValue(n)}})
		if err != nil {
			t.Fatal(err)
		}
		worst = max(worst, time.Since(began))
		return to
	}
	even := func(r *remote) tally {
		t.Helper()
		for {
			submit(1)
			for {
				c, ok := r.said(20 * time.Millisecond)
				if ok && c.n == n && c.seq == c.delivered+c.lost {
					return c
				}
				if !ok {
					break
				}
			}
			if ctx.Err() != nil {
				t.Fatalf("a sink does not account for all events; counts of the source: %+v", src.Stats())
			}
		}
	}
	for range 100 {
		if to := submit(0); to != 2 {
			t.Fatalf("event %d went to %d, want 2", n, to)
		}
	}
	if c := even(odd); c.lost != 0 {
		t.Errorf("before anything happens: %+v", c)
	}
	before := heap()
	odd.signal(syscall.SIGSTOP)
	for until := time.Now().Add(7 * time.Second); time.Now().Before(until); time.Sleep(time.Millisecond) {
		for range 5 {
			submit(0)
		}
	}
	if grown := heap() - before; grown > frozenBytes {
		t.Errorf("a stopped sink costs %d bytes, want at most %d", grown, frozenBytes)
	}
	if worst > time.Second {
		t.Errorf("a submission took %v", worst)
	}
	if c := even(sound); c.lost != 0 || c.late != 0 {
		t.Errorf("the sink beside it counts %+v", c)
	}
	odd.signal(syscall.SIGCONT)
	c := even(odd)
	if c.lost == 0 {
		t.Errorf("nothing is lost in %d events: %+v; the test needs more", n, c)
	}
	t.Logf("%d events; the sink that was stopped counts %+v; the slowest submission took %v", n, c, worst)
	odd.signal(syscall.SIGKILL)
	for range 1000 {
		submit(0)
	}
	if c := even(sound); c.lost != 0 || c.late != 0 {
		t.Errorf("after the other one was killed the sink counts %+v", c)
	}
}
