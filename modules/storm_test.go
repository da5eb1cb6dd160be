package modules_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/eve-emulation/eve/dsv"
	"github.com/eve-emulation/eve/evekernel"
	"github.com/eve-emulation/eve/modules"
)

// TestStorm has hundreds of participants lose their kernel at once: all are back soon after another one has taken its
// place, each as the writer that it was, and what they were about to write is written, once.
func TestStorm(t *testing.T) {
	const n = 500
	former, _ := open(t, evekernel.Config{})
	next, _ := open(t, evekernel.Config{Token: former.Token()})
	decl := dsv.Declaration{Name: "x", Kind: dsv.Int, Merge: dsv.Sum}
	for _, k := range []*evekernel.Kernel{former, next} {
		if err := k.Space().Create(t.Context(), decl); err != nil {
			t.Fatal(err)
		}
	}
	var mu sync.Mutex // guards what follows
	to := former.Addr().String()
	var conns []net.Conn
	dial := func(ctx context.Context) (net.Conn, error) {
		mu.Lock()
		addr := to
		mu.Unlock()
		if addr == "" {
			return nil, errors.New("nobody is there")
		}
		c, err := new(net.Dialer).DialContext(ctx, "tcp", addr)
		if err == nil {
			mu.Lock()
			conns = append(conns, c)
			mu.Unlock()
		}
		return c, err
	}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	var proxies []*modules.Proxy
	for i := range n {
		link := linkTo(former, 0)
		link.Name, link.Dial = fmt.Sprintf("m%d", i), dial
		proxies = append(proxies, connect(t, link))
	}
	write := func(seq uint64) *sync.WaitGroup {
		var wg sync.WaitGroup
		for _, p := range proxies {
			wg.Go(func() {
				w, err := p.Welcome(ctx)
				if err == nil {
					d := dsv.Delta{Name: "x", Writer: dsv.WriterID(w.Writer), Epoch: uint32(w.Epoch), Seq: seq, Value: dsv.IntValue(1), Weight: 1}
					err = p.Sync(ctx, []dsv.Delta{d})
				}
				if err != nil {
					t.Error(err)
				}
			})
		}
		return &wg
	}
	write(1).Wait()
	mu.Lock()
	to = ""
	for _, c := range conns {
		_ = c.Close()
	}
	mu.Unlock()
	pending := write(2)
	time.AfterFunc(time.Second, func() {
		mu.Lock()
		to = next.Addr().String()
		mu.Unlock()
	})
	start := time.Now()
	pending.Wait()
	t.Logf("all are back after %v, of which 1 s nobody was there", time.Since(start).Round(time.Millisecond))
	r, err := next.Space().Read(ctx, "x")
	if err != nil || r.Value.Int != n {
		t.Errorf("x is %d (error %v), want %d", r.Value.Int, err, n)
	}
	write(3).Wait()
	if r, err := next.Space().Read(ctx, "x"); err != nil || r.Value.Int != 2*n {
		t.Errorf("x is %d (error %v), want %d", r.Value.Int, err, 2*n)
	}
}
