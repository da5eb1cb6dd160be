package server_test

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/eve-emulation/eve/fase/burn"
	"github.com/eve-emulation/eve/fase/engine"
	"github.com/eve-emulation/eve/fase/machine"
	"github.com/eve-emulation/eve/fase/service"
	"github.com/eve-emulation/eve/internal/mono"
	"github.com/eve-emulation/eve/modules/server"
)

// Each model shows its nature by who is answered first: the request that came first and takes long, or the one that came after it.
func TestModelsUnderBurn(t *testing.T) {
	const (
		cpu  = "cpu 400ms"
		wait = "wait 400ms"
	)
	disk := slowRead(t, time.Second)
	short := request{"short", "reply 1KiB", "", ""}
	little := request{"little", "cpu 20ms", "", ""} // who is answered in the same instant may be read first
	for _, tt := range []struct {
		engine     string
		threads    int
		discipline machine.Discipline
		first      string
		then       request
		overtakes  bool
		why        string
	}{
		{"sped-epoll-lt", 0, machine.FCFS, cpu, little, false, "the loop computes"},
		{"sped-epoll-lt", 0, machine.FCFS, disk, little, false, "the loop waits for the disk"},
		{"sped-epoll-lt", 0, machine.FCFS, wait, short, true, "the loop waits for nobody"},
		{"amped", 0, machine.FCFS, cpu, little, false, "the loop computes"},
		{"amped", 0, machine.FCFS, disk, short, true, "a helper waits for the disk"},
		{"threads", 0, machine.FCFS, cpu, short, true, "another thread answers"},
		{"threads", 0, machine.FCFS, cpu, little, false, "one processor, first come first served"},
		{"threads", 0, machine.OS, cpu, little, true, "the threads share the processor"},
		{"threads-1to1", 0, machine.FCFS, disk, short, true, "another thread answers"},
		{"threads-1to1", 0, machine.FCFS, cpu, little, false, "one processor, first come first served"},
		{"threads-1to1", 0, machine.OS, cpu, little, true, "the threads share the processor"},
		{"pool", 1, machine.FCFS, wait, little, false, "the only thread waits"},
		{"pool", 1, machine.OS, cpu, little, false, "the only thread computes"},
		{"pool", 2, machine.FCFS, wait, short, true, "the second thread answers"},
		{"pool", 2, machine.OS, cpu, little, true, "two threads share the processor"},
	} {
		t.Run(fmt.Sprint(tt.engine, tt.threads, " ", tt.discipline, " ", strings.Fields(tt.first)[0], " ", tt.then.body), func(t *testing.T) {
			if testing.Short() && tt.engine == "threads-1to1" {
				t.Skip("threads shows the same")
			}
			s := listen(t, func(c *server.Config) {
				c.Engine.Name, c.Engine.Threads = tt.engine, tt.threads
				c.Host.Machine = machine.Config{Run: machine.Burn, CPU: machine.CPUConfig{Discipline: tt.discipline}}
			})
			serve(t, s)
			s.Start(mono.Now())
			want := []string{"first", tt.then.name}
			if tt.overtakes {
				slices.Reverse(want)
			}
			got := answered(t, s, []request{{"first", tt.first, "", ""}, tt.then})
			for i := 0; i < 3 && !slices.Equal(got, want); i++ { // a busy host may be late by as much as the first takes
				if tt.first == disk { // and its disk faster than it was
					disk = slowRead(t, time.Second)
					tt.first = disk
				}
				got = answered(t, s, []request{{"first", tt.first, "", ""}, tt.then})
			}
			if !slices.Equal(got, want) {
				t.Errorf("answered in order: got %v, want %v: %s", got, want, tt.why)
			}
		})
	}
}

// slowRead is a demand for the disk that takes about as long as said here and now, from the page cache.
func slowRead(t *testing.T, want time.Duration) string {
	t.Helper()
	const probe = 32 << 20
	b, err := burn.New(burn.Config{Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	var took time.Duration
	for range 3 { // the first two write the file, which the third reads from its start again
		start := time.Now()
		if _, err := b.Read(probe); err != nil {
			t.Fatal(err)
		}
		took = time.Since(start)
	}
	if err := b.Close(); err != nil {
		t.Error(err)
	}
	return fmt.Sprintf("disk read %dB", int64(probe*want.Seconds()/took.Seconds()))
}

// TestEveryEngineBurns has every engine meet every kind of demand, several requests at once, with work left after the reply.
func TestEveryEngineBurns(t *testing.T) {
	for _, kind := range engine.Shipped() {
		for _, cpus := range []int{1, 2} {
			t.Run(fmt.Sprintf("%s, %d cpus", kind.Name, cpus), func(t *testing.T) {
				s := listen(t, func(c *server.Config) {
					c.Engine.Name = kind.Name
					c.Host.Machine = machine.Config{Run: machine.Burn, CPU: machine.CPUConfig{Cores: cpus}}
				})
				url := serve(t, s)
				s.Start(mono.Now())
				mapped(s)
				const body = "cpu 200us par { cpu 100us disk read 4KiB disk write 1KiB call web { cpu 100us } } " +
					"memory 64KiB { cpu 100us } fork { cpu 100us } reply 3KiB cpu 100us"
				var wg sync.WaitGroup
				for range 8 {
					wg.Go(func() {
						for range 5 {
							res, err := http.Post(url+"/rdr", "", strings.NewReader(body))
							if err != nil {
								t.Error(err)
								return
							}
							_ = res.Body.Close()
							if res.StatusCode != 200 || res.ContentLength != 3<<10 {
								t.Errorf("response: got %d with %d bytes, want 200 with 3072", res.StatusCode, res.ContentLength)
							}
						}
					})
				}
				wg.Wait()
			})
		}
	}
}

// TestPoolRefuses fills a pool of one thread, and its queue.
func TestPoolRefuses(t *testing.T) {
	s := listen(t, func(c *server.Config) {
		c.Engine.Name, c.Engine.Threads, c.Engine.Queue = "pool", 1, 1
	})
	url := serve(t, s)
	s.Start(mono.Now())
	first := make(chan string, 1)
	post(t, s, request{"first", "wait 500ms", "", ""}, first)
	for s.Stats().Requests == 0 {
		time.Sleep(time.Millisecond)
	}
	second := make(chan string, 1)
	post(t, s, request{"second", "reply 1KiB", "", ""}, second) // waits in the queue
	for s.Stats().Accepted < 2 {
		time.Sleep(time.Millisecond)
	}
	refused := 0
	for len(first) == 0 {
		res, _ := ask(t, "GET", url, "")
		if res.StatusCode == 503 {
			refused++
			if got := res.Header.Get("Retry-After"); got != "1" {
				t.Errorf("Retry-After: got %q, want 1", got)
			}
		}
	}
	if refused == 0 {
		t.Error("requests beyond the queue: got none refused")
	}
	<-second // what was queued is answered
	if res, _ := ask(t, "GET", url, ""); res.StatusCode != 200 {
		t.Errorf("response afterwards: got %d, want 200", res.StatusCode)
	}
}

// TestOSNeedsThreads refuses the operating system's discipline where it would have nothing to schedule.
func TestOSNeedsThreads(t *testing.T) {
	_, err := server.Listen(server.Config{
		Host: service.HostConfig{
			Topology: &service.Topology{Servers: []string{"here"}},
			Machine:  machine.Config{Run: machine.Burn, CPU: machine.CPUConfig{Discipline: machine.OS}},
		},
		Engine: engine.Config{Listen: "127.0.0.1:0", Name: "sped-poll"},
	})
	if err == nil || !strings.Contains(err.Error(), "sped-poll") {
		t.Errorf("listen: got %v, want an error that names the engine", err)
	}
}
