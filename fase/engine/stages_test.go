package engine_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/eve-emulation/eve/fase/admit"
	"github.com/eve-emulation/eve/fase/engine"
	"github.com/eve-emulation/eve/fase/engine/stage"
	"github.com/eve-emulation/eve/internal/mono"
)

// patience bounds every wait of a test that succeeds much sooner.
const patience = 20 * time.Second

// placer answers "/" at once, "/cpu…" after work of the CPU and "/disk…" after work of the disk, both of which is what the test says,
// and "/hold" never.
type placer struct {
	engine engine.Engine
	gate   *gate // that during waits at, if it does
	during func(path string, t *engine.Thread)
	seen   func(path string) // told of each request, under the handler's lock; may be nil
}

func (h *placer) Request(l engine.Loop, ref engine.Ref, r *engine.Request) {
	path := string(r.Path())
	if h.seen != nil {
		h.seen(path)
	}
	kind := engine.CPU
	switch {
	case path == "/hold":
		return
	case strings.HasPrefix(path, "/disk"):
		kind = engine.Disk
	case !strings.HasPrefix(path, "/cpu"):
		l.Respond(ref, engine.Response{Body: []byte(path)})
		return
	}
	placed := l.Work(ref, kind, func(t *engine.Thread) {
		h.during(path, t)
		h.engine.Post(0, func(l engine.Loop) { l.Respond(ref, engine.Response{Body: []byte(path)}) })
	})
	if !placed {
		l.Respond(ref, engine.Response{Status: 500})
	}
}

func (h *placer) Closed(engine.Loop, engine.Ref)                     {}
func (h *placer) Answer(engine.Loop, engine.CallRef, *engine.Answer) {}
func (h *placer) Next() int64                                        { return mono.Never }
func (h *placer) Advance(engine.Loop, int64)                         {}

// A gate holds who passes until it is opened, which the end of a test does too.
type gate struct {
	ch   chan struct{}
	once sync.Once
}

func newGate() *gate { return &gate{ch: make(chan struct{})} }

func (g *gate) pass() { <-g.ch }

func (g *gate) open() { g.once.Do(func() { close(g.ch) }) }

// start runs an engine with h until the test ends.
func start(t testing.TB, cfg engine.Config, h *placer) engine.Staged {
	t.Helper()
	cfg.Listen = "127.0.0.1:0"
	e, err := engine.Shipped().Listen(cfg, func(int) engine.Handler { return h })
	if err != nil {
		t.Fatal(err)
	}
	h.engine = e
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	wg.Go(func() {
		if err := e.Run(ctx); err != nil {
			t.Errorf("run: %v", err)
		}
	})
	t.Cleanup(func() {
		cancel()
		if h.gate != nil {
			h.gate.open()
		}
		wg.Wait()
	})
	return e.(engine.Staged)
}

// figures returns those of a stage.
func figures(t testing.TB, e engine.Staged, name string) engine.StageStats {
	t.Helper()
	for _, s := range e.Stages() {
		if s.Name == name {
			return s
		}
	}
	t.Fatalf("stages: none is called %s", name)
	return engine.StageStats{}
}

// until waits for a condition.
func until(t testing.TB, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(patience); !ok(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("%s: has not happened", what)
		}
	}
}

// A peer is a client with one connection.
type peer struct {
	net.Conn
	t testing.TB
	r *bufio.Reader
}

func dial(t testing.TB, e engine.Engine) *peer {
	t.Helper()
	c, err := net.Dial("tcp", e.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	_ = c.SetDeadline(time.Now().Add(patience))
	return &peer{c, t, bufio.NewReader(c)}
}

func (p *peer) ask(paths ...string) {
	p.t.Helper()
	var b strings.Builder
	for _, path := range paths {
		fmt.Fprintf(&b, "GET %s HTTP/1.1\r\nHost: eve\r\n\r\n", path)
	}
	if _, err := io.WriteString(p, b.String()); err != nil {
		p.t.Fatal(err)
	}
}

// expect reads the next response and checks its status.
func (p *peer) expect(status int) *http.Response {
	p.t.Helper()
	res, err := http.ReadResponse(p.r, nil)
	if err != nil {
		p.t.Fatalf("read response: %v", err)
	}
	if _, err := io.Copy(io.Discard, res.Body); err != nil {
		p.t.Fatalf("read body: %v", err)
	}
	if res.StatusCode != status {
		p.t.Errorf("status: got %d, want %d", res.StatusCode, status)
	}
	return res
}

// TestSedaRefuses has one thread of the handle stage held, its queue filled, and more come.
func TestSedaRefuses(t *testing.T) {
	gate := newGate()
	h := &placer{gate: gate, during: func(string, *engine.Thread) { gate.pass() }}
	e := start(t, engine.Config{Name: "seda", Threads: 1, Queue: 4}, h)
	first := dial(t, e)
	first.ask("/cpu")
	until(t, "a thread is held", func() bool { s := figures(t, e, "handle"); return s.Offered == 1 && s.Idle == 0 && s.Queue == 0 })
	var waiting []*peer
	for i := range 4 {
		p := dial(t, e)
		p.ask("/")
		waiting = append(waiting, p)
		until(t, "it waits", func() bool { return figures(t, e, "handle").Queue == i+1 })
	}
	beyond := dial(t, e)
	for range 3 {
		beyond.ask("/")
		if got := beyond.expect(503).Header.Get("Retry-After"); got != "1" {
			t.Errorf("Retry-After: got %q, want 1", got)
		}
	}
	if got := figures(t, e, "handle").Refused; got != 3 {
		t.Errorf("refused at the stage: got %d, want 3", got)
	}
	if got := e.Stats().Refused; got != 3 {
		t.Errorf("refused: got %d, want 3", got)
	}
	gate.open()
	first.expect(200)
	for _, p := range waiting {
		p.expect(200)
	}
	beyond.ask("/") // its connection is as good as before
	beyond.expect(200)
}

// TestSedaPipelineRefused has refusals and answers of one connection come in the order of its requests.
func TestSedaPipelineRefused(t *testing.T) {
	gate := newGate()
	h := &placer{gate: gate, during: func(string, *engine.Thread) { gate.pass() }}
	e := start(t, engine.Config{Name: "seda", Threads: 1, Queue: 2}, h)
	p := dial(t, e)
	p.ask("/cpu")
	until(t, "a thread is held", func() bool { s := figures(t, e, "handle"); return s.Offered == 1 && s.Idle == 0 && s.Queue == 0 })
	p.ask("/", "/", "/", "/")
	until(t, "two are refused", func() bool { return figures(t, e, "handle").Refused == 2 })
	gate.open()
	for _, status := range []int{200, 200, 200, 503, 503} {
		p.expect(status)
	}
}

// TestSedaThreads blocks the file stage, which gets threads, and frees it, which loses them again.
func TestSedaThreads(t *testing.T) {
	gate := newGate()
	var inside, left atomic.Int32
	h := &placer{gate: gate, during: func(_ string, th *engine.Thread) {
		if th.Local == nil {
			th.Local = "seen"
			th.OnExit(func() { left.Add(1) })
		}
		inside.Add(1)
		gate.pass()
	}}
	e := start(t, engine.Config{Name: "seda", Threads: 3, Stages: engine.StagesConfig{
		Threads: stage.ThreadsConfig{Sample: 5 * time.Millisecond, Threshold: 2, Idle: 30 * time.Millisecond},
	}}, h)
	var peers []*peer
	for range 12 {
		p := dial(t, e)
		p.ask("/disk")
		peers = append(peers, p)
	}
	until(t, "three threads wait for the disk", func() bool { return inside.Load() == 3 && figures(t, e, "file").Threads == 3 })
	other := dial(t, e)
	other.ask("/") // the other stages go on
	other.expect(200)
	gate.open()
	for _, p := range peers {
		p.expect(200)
	}
	until(t, "one thread is left", func() bool { return figures(t, e, "file").Threads == 1 })
	until(t, "two threads have ended", func() bool { return left.Load() == 2 })
}

// TestSedaBurns has what comes in one batch with a request that computes be served by another thread meanwhile.
func TestSedaBurns(t *testing.T) {
	gate := newGate()
	h := &placer{gate: gate, during: func(string, *engine.Thread) { gate.pass() }}
	e := start(t, engine.Config{Name: "seda", Stages: engine.StagesConfig{Threads: stage.ThreadsConfig{Least: 2}}}, h)
	p := dial(t, e)
	p.ask("/cpu", "/", "/", "/")
	other := dial(t, e)
	other.ask("/")
	other.expect(200)
	until(t, "the others of its connection are answered", func() bool { return e.Stats().Responses == 4 })
	gate.open()
	for range 4 {
		p.expect(200)
	}
}

// TestSedaBatches keeps an engine busy until the batching controllers have settled on less than they began with.
func TestSedaBatches(t *testing.T) {
	e := start(t, engine.Config{Name: "seda", Stages: engine.StagesConfig{
		Batching: stage.BatchingConfig{Most: 100, Window: time.Millisecond},
	}}, &placer{})
	c := newCrowd(t, e.Addr(), 10)
	least := 100
	until(t, "a batch has become smaller", func() bool {
		c.exchange(100, request("/"))
		least = min(least, figures(t, e, "handle").Batch)
		return least < 50
	})
	for _, s := range e.Stages() {
		if s.Batch < 1 || s.Batch > 100 {
			t.Errorf("batch of %s: got %d, want from 1 to 100", s.Name, s.Batch)
		}
	}
}

// TestSedaControl has the controller of the handle stage refuse what its bucket has no token for.
func TestSedaControl(t *testing.T) {
	e := start(t, engine.Config{Name: "seda", Stages: engine.StagesConfig{
		Control: admit.ControlConfig{Kind: admit.RateControl, Target: time.Second, Initial: 0.05, Depth: 3},
	}}, &placer{})
	p := dial(t, e)
	var got []int
	for range 10 {
		p.ask("/")
		res, err := http.ReadResponse(p.r, nil)
		if err != nil {
			t.Fatal(err)
		}
		_, _ = io.Copy(io.Discard, res.Body)
		got = append(got, res.StatusCode)
	}
	served := strings.Count(fmt.Sprint(got), "200")
	if served < 3 || figures(t, e, "handle").Refused != uint64(10-served) || fmt.Sprint(got[:3]) != "[200 200 200]" {
		t.Errorf("statuses: got %v, %d refused at the stage; want the 3 tokens served and what was refused counted", got, figures(t, e, "handle").Refused)
	}
	if served == 10 {
		t.Error("nothing was refused")
	}
	_, err := engine.Shipped().Listen(engine.Config{Listen: "127.0.0.1:0", Name: "seda", Stages: engine.StagesConfig{
		Control: admit.ControlConfig{Kind: admit.ThresholdControl},
	}}, func(int) engine.Handler { return &placer{} })
	if err == nil || !strings.Contains(err.Error(), "target") {
		t.Errorf("a controller without a target: got %v, want an error that says so", err)
	}
}

// TestActorBurns has an actor compute while others go on, on another scheduler.
func TestActorBurns(t *testing.T) {
	gate := newGate()
	h := &placer{gate: gate, during: func(string, *engine.Thread) { gate.pass() }}
	e := start(t, engine.Config{Name: "actors", Threads: 2}, h)
	busy := dial(t, e)
	busy.ask("/cpu", "/")
	until(t, "a scheduler is held", func() bool { return figures(t, e, "schedulers").Idle == 1 && e.Stats().Requests >= 1 })
	other := dial(t, e)
	for range 10 {
		other.ask("/")
		other.expect(200)
	}
	gate.open()
	busy.expect(200)
	busy.expect(200)
}

// TestActorBurnsAlone has an actor compute on the only scheduler: nobody else is served before it is done.
func TestActorBurnsAlone(t *testing.T) {
	gate := newGate()
	var done atomic.Bool
	h := &placer{gate: gate, during: func(string, *engine.Thread) {
		gate.pass()
		done.Store(true)
	}}
	var early atomic.Bool
	h.seen = func(path string) {
		if path == "/late" && !done.Load() {
			early.Store(true)
		}
	}
	e := start(t, engine.Config{Name: "actors", Threads: 1}, h)
	busy, other := dial(t, e), dial(t, e)
	other.ask("/")
	other.expect(200)
	busy.ask("/cpu")
	until(t, "the scheduler is held", func() bool { return figures(t, e, "schedulers").Idle == 0 && e.Stats().Requests == 2 })
	other.ask("/late")
	until(t, "the other actor stands in the run queue", func() bool { return figures(t, e, "schedulers").Queue == 1 })
	gate.open()
	other.expect(200)
	busy.expect(200)
	if early.Load() {
		t.Error("another actor was served while the only scheduler computed")
	}
}

// TestActorTurns has an actor with very many messages share the only scheduler with one that has one.
func TestActorTurns(t *testing.T) {
	gate := newGate()
	h := &placer{gate: gate, during: func(string, *engine.Thread) { gate.pass() }}
	var many, before atomic.Int64
	h.seen = func(path string) {
		switch path {
		case "/many":
			many.Add(1)
		case "/one":
			before.Store(many.Load())
		}
	}
	e := start(t, engine.Config{Name: "actors", Threads: 1, Pipeline: 10_000}, h)
	held, flood, one := dial(t, e), dial(t, e), dial(t, e)
	for _, p := range []*peer{flood, one} {
		p.ask("/")
		p.expect(200)
	}
	held.ask("/cpu")
	until(t, "the scheduler is held", func() bool { return figures(t, e, "schedulers").Idle == 0 && e.Stats().Requests == 3 })
	const n = 1000
	paths := make([]string, n)
	for i := range paths {
		paths[i] = "/many"
	}
	queued := func(n int) func() bool { return func() bool { return figures(t, e, "schedulers").Queue == n } }
	flood.ask(paths...)
	until(t, "the flood stands in the run queue", queued(1))
	one.ask("/one")
	until(t, "the other stands behind it", queued(2))
	gate.open()
	one.expect(200)
	for range n {
		flood.expect(200)
	}
	if got := before.Load(); got < 1 || got > n/2 {
		t.Errorf("requests of the flood before the other's: got %d, want a turn's worth of %d", got, n)
	}
}

// TestActorBound asks more than a connection may have unanswered: what is beyond stays in the socket.
func TestActorBound(t *testing.T) {
	h := &placer{}
	asked := make(chan string, 1000)
	h.seen = func(path string) { asked <- path }
	e := start(t, engine.Config{Name: "actors", Pipeline: 4}, h)
	p := dial(t, e)
	p.ask("/hold", "/", "/", "/", "/", "/", "/")
	for range 4 {
		<-asked
	}
	other := dial(t, e)
	other.ask("/other")
	other.expect(200)
	if got := <-asked; got != "/other" {
		t.Errorf("a fifth request of one connection with 4 unanswered reached the handler: %s", got)
	}
}

// TestEndingBeginsNothing ends engines whose only thread is busy, with requests waiting: those are not begun, and the work learns of it.
func TestEndingBeginsNothing(t *testing.T) {
	for _, name := range []string{"seda", "actors"} {
		t.Run(name, func(t *testing.T) {
			var began atomic.Int32
			h := &placer{during: func(_ string, th *engine.Thread) {
				began.Add(1)
				for !th.Ending() {
					runtime.Gosched()
				}
			}}
			e, err := engine.Shipped().Listen(engine.Config{
				Listen: "127.0.0.1:0", Name: name, Threads: 1, Drain: 20 * time.Millisecond,
			}, func(int) engine.Handler { return h })
			if err != nil {
				t.Fatal(err)
			}
			h.engine = e
			ctx, cancel := context.WithCancel(context.Background())
			defer cancel()
			var wg sync.WaitGroup
			wg.Go(func() {
				if err := e.Run(ctx); err != nil {
					t.Errorf("run: %v", err)
				}
			})
			for range 5 {
				dial(t, e).ask("/cpu")
			}
			until(t, "the thread is busy", func() bool { return began.Load() == 1 })
			cancel()
			wg.Wait() // it returns at all
			if got := began.Load(); got != 1 {
				t.Errorf("works begun: got %d, want 1", got)
			}
		})
	}
}

// TestSharedNoAllocations is TestNoAllocations for the engines whose threads share connections.
func TestSharedNoAllocations(t *testing.T) {
	for _, name := range []string{"seda", "actors"} {
		for _, path := range []string{"/", "/later"} {
			t.Run(name+path, func(t *testing.T) {
				runtime.LockOSThread()
				defer runtime.UnlockOSThread()
				c := newCrowd(t, serve(t, name, 1).Addr(), 6)
				req := request(path)
				c.exchange(2000, req)
				if got := testing.AllocsPerRun(20, func() { c.exchange(100, req) }); got > 10 {
					t.Errorf("allocations for 100 requests: got %v, want next to none", got)
				}
			})
		}
	}
}
