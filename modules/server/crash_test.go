package server_test

import (
	"context"
	"errors"
	"net"
	"net/http"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/eve-emulation/eve/dsv"
	"github.com/eve-emulation/eve/fase/machine"
	"github.com/eve-emulation/eve/fase/service"
	"github.com/eve-emulation/eve/internal/mono"
	"github.com/eve-emulation/eve/modules/server"
)

// TestCrash has one of two servers of a process crash: who waits for it loses his connection, who comes is refused, the other
// answers, and once it is up again it serves at the same address.
func TestCrash(t *testing.T) {
	burn := "memory 1MiB { wait 100s } reply 1KiB" // a loop that burns would notice a crash after it has burned
	for _, c := range []struct {
		kind string
		run  machine.Run
		long string
	}{
		{"reactors", machine.Hold, "cpu 100s reply 1KiB"},
		{"pool", machine.Burn, burn},
		{"sped-poll", machine.Hold, "cpu 100s"},
		{"uring", machine.Hold, "cpu 100s"},
		{"amped", machine.Burn, burn},
		{"threads", machine.Hold, "cpu 100s"},
		{"seda", machine.Hold, "cpu 100s"},
		{"actors", machine.Burn, burn},
	} {
		t.Run(c.kind, func(t *testing.T) {
			if testing.Short() && c.kind != "reactors" && c.kind != "pool" {
				t.Skip("the others are crashed for real in long tests")
			}
			crash(t, c.kind, c.run, c.long)
		})
	}
}

func crash(t *testing.T, kind string, run machine.Run, long string) {
	const at, lasts = 300 * time.Millisecond, 500 * time.Millisecond
	config := func(faults ...service.Fault) func(*server.Config) {
		return func(c *server.Config) {
			c.Engine.Name, c.Engine.Drain = kind, 20*time.Millisecond
			c.Host.Machine.Run, c.Host.Faults, c.Host.Boot = run, faults, 20*time.Millisecond
		}
	}
	defer goleak.VerifyNone(t)
	s := listen(t, config(service.Fault{Kind: service.Crash, At: dsv.At(at), Until: dsv.At(at + lasts)}))
	other := listen(t, config())
	var wg sync.WaitGroup
	running, stop := context.WithCancel(t.Context())
	for _, s := range []*server.Server{s, other} {
		wg.Go(func() {
			if err := s.Run(running); err != nil {
				t.Errorf("run: %v", err)
			}
		})
	}
	defer wg.Wait()
	defer stop()
	url, beside := "http://"+s.Addr().String(), "http://"+other.Addr().String()
	client := &http.Client{Transport: &http.Transport{}}
	defer client.CloseIdleConnections()
	post := func(ctx context.Context, url, block string) error {
		req, err := http.NewRequestWithContext(ctx, http.MethodPost, url+"/rdr/web", strings.NewReader(compact(t, block)))
		if err != nil {
			return err
		}
		res, err := client.Do(req)
		if err != nil {
			return err
		}
		_ = res.Body.Close()
		if res.StatusCode != http.StatusOK {
			return errors.New(res.Status)
		}
		return nil
	}
	mapped(s)
	mapped(other)
	s.Start(mono.Now())
	other.Start(mono.Now())
	answered := make(chan error, 1)
	go func() { answered <- post(t.Context(), beside, "wait 600ms reply 1KiB") }()
	if err := post(t.Context(), url, long); !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("request under way at a server that crashes: got %v, want a reset", err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	refused := false
	for ctx.Err() == nil {
		conn, err := net.Dial("tcp", s.Addr().String())
		if err == nil {
			_ = conn.Close()
			if refused {
				break
			}
			continue
		}
		refused = refused || errors.Is(err, syscall.ECONNREFUSED)
		time.Sleep(time.Millisecond) // leaves the processor to the servers
	}
	if err := post(ctx, url, "memory 1MiB { cpu 1ms } reply 1KiB"); err != nil || !refused {
		t.Errorf("request after the repair: got %v, want an answer; a connection was refused before: got %v, want true", err, refused)
	}
	if err := <-answered; err != nil {
		t.Errorf("request to the other server: got %v, want an answer", err)
	}
}
