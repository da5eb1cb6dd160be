package modules_test

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/eve-emulation/eve/dsv"
	"github.com/eve-emulation/eve/evekernel"
	"github.com/eve-emulation/eve/evekernel/egs"
	"github.com/eve-emulation/eve/modules"
)

// asReader follows the variable x in both modes and the channel news, and says when it has begun, when it was told of a
// gap or of lost events, and when it has seen the last value.
func asReader() int {
	ctx := context.Background()
	p := modules.NewProxy(modules.Link{URL: os.Getenv("EVE_KERNEL"), Token: os.Getenv("EVE_TOKEN")}, nil)
	var work sync.WaitGroup
	work.Go(func() { fmt.Println("ended", p.Run(ctx)) })
	all, err := p.Watch(ctx, dsv.WatchRequest{Pattern: "x", Mode: dsv.All})
	if err != nil {
		fmt.Println(err)
		return 1
	}
	latest, err := p.Watch(ctx, dsv.WatchRequest{Pattern: "x"})
	if err != nil {
		fmt.Println(err)
		return 1
	}
	news, err := p.Subscribe(ctx, egs.SubscribeRequest{Channel: "news"})
	if err != nil {
		fmt.Println(err)
		return 1
	}
	work.Go(func() {
		for {
			u, err := all.Next(ctx)
			if err != nil {
				return
			}
			if u.Gap != 0 {
				fmt.Println("gap")
			}
		}
	})
	work.Go(func() {
		for {
			u, err := latest.Next(ctx)
			if err != nil {
				return
			}
			if strings.HasPrefix(u.Reading.Value.Text, "last") {
				fmt.Println("last")
			}
		}
	})
	work.Go(func() {
		for {
			e, err := news.Next(ctx)
			if err != nil {
				return
			}
			if e.Lost > 0 {
				fmt.Println("lost")
			}
		}
	})
	fmt.Println("ready")
	work.Wait()
	return 0
}

// frozenBytes bounds what one reader that reads nothing costs the kernel in memory: 16 MiB for its watch of all changes,
// 4 MiB for its events, 4 MiB for its connection, and as much again for what is not payload.
const frozenBytes = 2 * (16 + 4 + 4) << 20

// TestFrozenReader stops a process that watches and subscribes: the kernel's memory stays within a bound, and others get
// their updates as soon as before. When the process goes on, it is told what it has missed.
func TestFrozenReader(t *testing.T) {
	const payload = 16 << 10
	k, _ := open(t, evekernel.Config{})
	ctx := t.Context()
	if err := k.Space().Create(ctx, dsv.Declaration{Name: "x", Kind: dsv.Text}); err != nil {
		t.Fatal(err)
	}
	publisher := k.Hub().Member("publisher")
	if err := publisher.Open(ctx, egs.Channel{Name: "news"}); err != nil {
		t.Fatal(err)
	}
	cmd, said := readerProcess(t, k)
	await(t, said, "ready")
	healthy, err := connect(t, linkTo(k, 0)).Watch(ctx, dsv.WatchRequest{Pattern: "x", Mode: dsv.All})
	if err != nil {
		t.Fatal(err)
	}
	// round writes more than all bounds together, and returns the median time until the healthy watcher sees a change.
	round := func(last string) time.Duration {
		t.Helper()
		var took []time.Duration
		for i := range 6000 {
			text := fmt.Sprintf("%s%06d", last, i) + strings.Repeat("x", payload)
			began := time.Now()
			if _, err := k.Space().Write(ctx, "x", dsv.TextValue(text)); err != nil {
				t.Fatal(err)
			}
			if u, err := healthy.Next(ctx); err != nil || u.Reading.Value.Text != text {
				t.Fatalf("the healthy watcher: %v", err)
			}
			took = append(took, time.Since(began))
			if i%2 == 0 {
				if err := publisher.Publish(ctx, egs.Event{Channel: "news", Data: make([]byte, payload)}); err != nil {
					t.Fatal(err)
				}
			}
		}
		slices.Sort(took)
		return took[len(took)/2]
	}
	round("value") // fills what all readers share
	before := round("value")
	base := heap()
	if err := cmd.Process.Signal(syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	during := round("value")
	if got := heap() - base; got > frozenBytes {
		t.Errorf("a frozen reader cost %d MiB of memory, at most %d are allowed", got>>20, frozenBytes>>20)
	} else {
		t.Logf("a frozen reader cost %.1f MiB; an update took %v before, %v with it", float64(got)/(1<<20), before, during)
	}
	if during > 3*before {
		t.Errorf("an update takes %v with a frozen reader, %v without", during, before)
	}
	if err := cmd.Process.Signal(syscall.SIGCONT); err != nil {
		t.Fatal(err)
	}
	if _, err := k.Space().Write(ctx, "x", dsv.TextValue("last")); err != nil {
		t.Fatal(err)
	}
	await(t, said, "gap", "last")
}

func heap() int64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

// readerProcess starts a reader; what it says comes line by line.
func readerProcess(t *testing.T, k *evekernel.Kernel) (*exec.Cmd, <-chan string) {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(exe)
	cmd.Env = append(os.Environ(), "EVE_TEST_ROLE=reader", "EVE_KERNEL="+k.URL(), "EVE_TOKEN="+k.Token())
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	said := make(chan string, 1000)
	var read sync.WaitGroup
	read.Go(func() {
		defer close(said)
		for lines := bufio.NewScanner(out); lines.Scan(); {
			select {
			case said <- lines.Text():
			default:
			}
		}
	})
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		read.Wait()
		_ = cmd.Wait()
	})
	return cmd, said
}

// await waits until a process has said all of these lines.
func await(t *testing.T, said <-chan string, lines ...string) {
	t.Helper()
	late := time.After(patience)
	for len(lines) > 0 {
		select {
		case line, ok := <-said:
			if !ok {
				t.Fatalf("the process ended before it said %q", lines)
			}
			lines = slices.DeleteFunc(lines, func(l string) bool { return l == line })
		case <-late:
			t.Fatalf("the process does not say %q", lines)
		}
	}
}
