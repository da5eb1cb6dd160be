package evekernel_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/eve-emulation/eve/dsv"
	"github.com/eve-emulation/eve/evekernel"
	"github.com/eve-emulation/eve/evekernel/egs"
	"github.com/eve-emulation/eve/evekernel/wire"
)

const patience = 30 * time.Second

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// open starts a kernel that ends with the test.
func open(t *testing.T, cfg evekernel.Config) *evekernel.Kernel {
	t.Helper()
	k, err := evekernel.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	if err := k.Listen(); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- k.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("run: %v", err)
		}
		if err := errors.Join(k.Close(), k.Close()); err != nil {
			t.Errorf("close: %v", err)
		}
	})
	return k
}

// A talker is one end of a connection that says frames and hears answers, one after the other.
type talker struct {
	t     *testing.T
	conn  *wire.Conn
	w     wire.Welcome
	heard chan *wire.Frame
	ended chan error
}

func dial(t *testing.T, k *evekernel.Kernel, h wire.Hello) *talker {
	t.Helper()
	conn, w, err := wire.Dialer{Coding: wire.JSON}.Dial(t.Context(), k.URL(), k.Token(), h)
	if err != nil {
		t.Fatal(err)
	}
	p := &talker{t: t, conn: conn, w: w, heard: make(chan *wire.Frame, 1000), ended: make(chan error, 1)}
	go func() {
		p.ended <- conn.Run(context.Background(), func(f *wire.Frame) error {
			p.heard <- f
			return nil
		})
	}()
	t.Cleanup(p.leave)
	return p
}

func (p *talker) leave() {
	_ = p.conn.Close()
	select {
	case p.ended <- <-p.ended:
	case <-time.After(patience):
		p.t.Error("the connection does not end")
	}
}

func (p *talker) say(f *wire.Frame) {
	p.t.Helper()
	if err := p.conn.Send(f); err != nil {
		p.t.Fatal(err)
	}
}

func (p *talker) hear() *wire.Frame {
	p.t.Helper()
	select {
	case f := <-p.heard:
		return f
	case <-time.After(patience):
		p.t.Fatal("nothing comes")
		return nil
	}
}

// ask sends a request and returns what comes next.
func (p *talker) ask(r wire.Req) *wire.Res {
	p.t.Helper()
	p.say(&wire.Frame{Req: &r})
	f := p.hear()
	if f.Res == nil || f.Res.ID != r.ID {
		p.t.Fatalf("answer to %+v is %+v", r, f)
	}
	return f.Res
}

func TestListen(t *testing.T) {
	for _, c := range []struct {
		listen string
		remote bool
		ok     bool
	}{
		{"", false, true},
		{"127.0.0.1:0", false, true},
		{"localhost:0", false, true},
		{"[::1]:0", false, true},
		{"0.0.0.0:0", false, false},
		{":0", false, false},
		{"[::]:0", false, false},
		{"192.0.2.1:0", false, false},
		{"example.com:0", false, false},
		{"0.0.0.0:0", true, true},
		{"127.0.0.1", false, false},
	} {
		k, err := evekernel.New(evekernel.Config{Listen: c.listen, AllowRemote: c.remote})
		if (err == nil) != c.ok {
			t.Errorf("listen %q, remote %v: %v", c.listen, c.remote, err)
		}
		if err == nil {
			if err := k.Close(); err != nil {
				t.Error(err)
			}
		}
	}
}

func TestTakenPort(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	k, err := evekernel.New(evekernel.Config{Listen: l.Addr().String()})
	if err != nil {
		t.Fatal(err)
	}
	want := "start kernel: listen tcp " + l.Addr().String() + ": bind: address already in use"
	if err := k.Listen(); err == nil || err.Error() != want {
		t.Errorf("listen: %v, want %q", err, want)
	}
	if err := k.Run(t.Context()); err == nil {
		t.Error("runs without a socket")
	}
	if err := k.Close(); err != nil {
		t.Error(err)
	}
}

// TestClosed checks what is left after the end.
func TestClosed(t *testing.T) {
	k, err := evekernel.New(evekernel.Config{})
	if err != nil {
		t.Fatal(err)
	}
	if err := k.Listen(); err != nil {
		t.Fatal(err)
	}
	url := k.URL()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := k.Run(ctx); err != nil {
		t.Fatal(err)
	}
	if err := k.Space().Create(t.Context(), dsv.Declaration{Name: "x", Kind: dsv.Int}); err != nil {
		t.Errorf("variables end before Close: %v", err)
	}
	if err := k.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := k.Space().Read(t.Context(), "x"); !errors.Is(err, dsv.ErrClosed) {
		t.Errorf("read: %v, want %v", err, dsv.ErrClosed)
	}
	if err := k.Start(t.Context(), evekernel.ModuleSpec{Name: "x", Argv: []string{"true"}}); !errors.Is(err, dsv.ErrClosed) {
		t.Errorf("start: %v, want %v", err, dsv.ErrClosed)
	}
	if _, _, err := wire.Dial(t.Context(), url, k.Token(), wire.Hello{}); err == nil {
		t.Error("still listens")
	}
}

// TestRoutes asks for everything that is served, and for what is not, without a token and from foreign places.
func TestRoutes(t *testing.T) {
	k := open(t, evekernel.Config{})
	for _, c := range []struct {
		path, host, origin string
		want               int
	}{
		{"/", "", "", 404},
		{"/eve", "", "", 400},
		{"/", "evil.example", "", 421},
		{"/eve", "evil.example", "", 421},
		{"/", "", "http://evil.example", 403},
		{"/eve", "", "http://evil.example", 403},
		{"/eve/../x", "", "null", 403},
	} {
		req, err := http.NewRequest("GET", "http://"+k.Addr().String()+c.path, nil)
		if err != nil {
			t.Fatal(err)
		}
		req.Host = c.host
		if c.origin != "" {
			req.Header.Set("Origin", c.origin)
		}
		cl := http.Client{Transport: &http.Transport{DisableKeepAlives: true}, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
		res, err := cl.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		b, _ := io.ReadAll(res.Body)
		_ = res.Body.Close()
		if res.StatusCode != c.want || strings.Contains(string(b), k.Token()) {
			t.Errorf("%+v: status %d %q, want %d", c, res.StatusCode, b, c.want)
		}
	}
}

func TestTokens(t *testing.T) {
	a, b := open(t, evekernel.Config{}), open(t, evekernel.Config{})
	if len(a.Token()) != 64 || a.Token() == b.Token() {
		t.Errorf("tokens %q and %q, want 256 random bits each", a.Token(), b.Token())
	}
	if _, _, err := wire.Dial(t.Context(), a.URL(), b.Token(), wire.Hello{}); !errors.Is(err, wire.ErrUnauthorized) {
		t.Errorf("dial: %v, want %v", err, wire.ErrUnauthorized)
	}
}

// TestSessions checks who writes as whom: guests, modules, modules that resume, and those that begin again.
func TestSessions(t *testing.T) {
	k := open(t, evekernel.Config{Run: "test"})
	guest, other := dial(t, k, wire.Hello{}), dial(t, k, wire.Hello{})
	one := dial(t, k, wire.Hello{Module: "one"})
	if guest.w.Writer == other.w.Writer || guest.w.Writer == one.w.Writer || one.w.Run != "test" || one.w.Boot == "" {
		t.Errorf("welcomes are %+v, %+v, %+v", guest.w, other.w, one.w)
	}
	if res := one.ask(wire.Req{ID: 1, Op: wire.OpCreate, Decl: wire.FromDecl(dsv.Declaration{Name: "x", Kind: dsv.Int, Merge: dsv.Sum})}); res.Var != 1 {
		t.Errorf("number %d, want 1", res.Var)
	}
	again := dial(t, k, wire.Hello{Module: "one", Resume: one.w.Session, Writer: one.w.Writer, Epoch: one.w.Epoch})
	if again.w != one.w {
		t.Errorf("resumed as %+v, was %+v", again.w, one.w)
	}
	if err := <-one.ended; err == nil {
		t.Error("the connection that was taken over goes on")
	} else {
		one.ended <- err
	}
	// The number is still valid, and a repeat is still one.
	for range 2 {
		d, err := wire.FromDelta(dsv.Delta{Writer: dsv.WriterID(one.w.Writer), Epoch: 1, Seq: 5, Value: dsv.IntValue(7)}, wire.VarRef{Num: 1})
		if err != nil {
			t.Fatal(err)
		}
		again.say(&wire.Frame{Batch: &wire.Batch{Seq: 3, Deltas: []wire.Delta{d, {Var: wire.VarRef{Num: 9}}}}})
		a := again.hear().Ack
		if a == nil || a.Seq != 3 || len(a.Errors) != 1 || a.Errors[0].Code != wire.CodeNotFound {
			t.Errorf("ack is %+v, want seq 3 and one error", a)
		}
	}
	if r, err := k.Space().Read(t.Context(), "x"); err != nil || r.Value.Int != 7 {
		t.Errorf("x is %v (error %v), want 7", r.Value, err)
	}
	fresh := dial(t, k, wire.Hello{Module: "one"})
	if fresh.w.Writer != one.w.Writer || fresh.w.Epoch != one.w.Epoch+1 || fresh.w.Session == one.w.Session {
		t.Errorf("began again as %+v, was %+v", fresh.w, one.w)
	}
	// A session of another kernel: the module keeps writer and epoch, and nobody else is given them.
	far := dial(t, k, wire.Hello{Module: "far", Resume: "unknown", Writer: 77, Epoch: 3})
	next := dial(t, k, wire.Hello{})
	if far.w.Writer != 77 || far.w.Epoch != 3 || next.w.Writer <= 77 {
		t.Errorf("welcomes are %+v and %+v", far.w, next.w)
	}
	for _, h := range []wire.Hello{{Module: "thief", Resume: "x", Writer: 77, Epoch: 3}, {Module: "No"}, {Module: "x", Resume: "x", Writer: 1 << 40}} {
		if _, _, err := wire.Dial(t.Context(), k.URL(), k.Token(), h); err == nil {
			t.Errorf("let in %+v", h)
		}
	}
}

// TestFenced checks that a module which begins again ends its former life: that one's connection is cut, and it cannot
// come back to take the name.
func TestFenced(t *testing.T) {
	k := open(t, evekernel.Config{})
	old := dial(t, k, wire.Hello{Module: "one"})
	now := dial(t, k, wire.Hello{Module: "one"})
	select {
	case err := <-old.ended:
		old.ended <- err
	case <-time.After(5 * time.Second):
		t.Error("the former connection goes on")
	}
	h := wire.Hello{Module: "one", Resume: old.w.Session, Writer: old.w.Writer, Epoch: old.w.Epoch}
	if _, _, err := wire.Dial(t.Context(), k.URL(), k.Token(), h); !errors.Is(err, wire.ErrProtocol) {
		t.Errorf("the former life came back: %v, want %v", err, wire.ErrProtocol)
	}
	if again := dial(t, k, wire.Hello{Module: "one"}); again.w.Epoch <= now.w.Epoch {
		t.Errorf("epoch %d after %d", again.w.Epoch, now.w.Epoch)
	}
}

// TestBackSoon checks that a module which comes back at once, before its loss was told, is not held for lost.
func TestBackSoon(t *testing.T) {
	states := make(chan evekernel.State, 10)
	k := open(t, evekernel.Config{OnModule: func(e evekernel.ModuleEvent) { states <- e.State }})
	over := make(chan struct{})
	t.Cleanup(func() { close(over) })
	err := k.Start(t.Context(), evekernel.ModuleSpec{Name: "one", ReadyTimeout: -1, Func: func(context.Context, evekernel.Reach) error {
		<-over
		return nil
	}})
	if err != nil {
		t.Fatal(err)
	}
	old := dial(t, k, wire.Hello{Module: "one"})
	if err := old.conn.Close(); err != nil {
		t.Fatal(err)
	}
	time.Sleep(10 * time.Millisecond) // the kernel notices, but waits whether the module ends
	dial(t, k, wire.Hello{Module: "one", Resume: old.w.Session, Writer: old.w.Writer, Epoch: old.w.Epoch})
	for _, want := range []evekernel.State{evekernel.Started, evekernel.Lost, evekernel.Back} {
		select {
		case got := <-states:
			if got != want {
				t.Errorf("state is %s, want %s", got, want)
			}
		case <-time.After(5 * time.Second):
			t.Fatalf("%s is not told", want)
		}
	}
}

// TestNewWriters checks that who is new to a kernel with restored variables is not taken for one that they know.
func TestNewWriters(t *testing.T) {
	k := open(t, evekernel.Config{})
	d := dsv.Declaration{Name: "x", Kind: dsv.Int, Merge: dsv.Sum}
	last := dsv.Update{Name: "x", Revision: 3, Reading: dsv.Reading{Value: dsv.IntValue(1)}}
	if err := k.Store().Restore(d, last, []dsv.Progress{{Writer: 1, Epoch: 1, Seq: 9}, {Writer: 2, Epoch: 1, Seq: 9}}); err != nil {
		t.Fatal(err)
	}
	if got := dial(t, k, wire.Hello{Module: "one"}).w.Writer; got <= 2 {
		t.Errorf("writer %d, want one that is not known", got)
	}
}

// TestTokenIsNotLogged checks that a program which prints its environment tells nobody the token.
func TestTokenIsNotLogged(t *testing.T) {
	var mu sync.Mutex
	var lines []string
	ended := make(chan evekernel.ModuleEvent, 10)
	k := open(t, evekernel.Config{Log: func(l evekernel.Line) {
		mu.Lock()
		defer mu.Unlock()
		lines = append(lines, l.Text)
	}, OnModule: func(e evekernel.ModuleEvent) { ended <- e }})
	err := k.Start(t.Context(), evekernel.ModuleSpec{
		Name: "one", Argv: []string{"/bin/sh", "-c", "echo token is $EVE_TOKEN; exit 1"}, ReadyTimeout: -1,
	})
	if err != nil {
		t.Fatal(err)
	}
	e := <-ended
	for e.State != evekernel.Failed {
		e = <-ended
	}
	mu.Lock()
	defer mu.Unlock()
	said := strings.Join(append(lines, e.Status), "\n")
	if strings.Contains(said, k.Token()) || !strings.Contains(said, "token is ") {
		t.Errorf("the log says\n%s", said)
	}
}

// TestViolations checks that what a participant must not send ends its connection, with a reason, and no other's.
func TestViolations(t *testing.T) {
	k := open(t, evekernel.Config{})
	witness := dial(t, k, wire.Hello{})
	for _, f := range []*wire.Frame{
		{Req: &wire.Req{Op: wire.OpRead, Name: "x"}},
		{Hello: &wire.Hello{Proto: 1}},
		{Res: &wire.Res{ID: 1}},
	} {
		p := dial(t, k, wire.Hello{})
		p.say(f)
		if got := p.hear(); got.Bye == nil || got.Bye.Code != wire.CodeProtocol || got.Bye.Msg == "" {
			t.Errorf("after %s: %+v, want bye", f.Type(), got)
		}
	}
	for i, r := range []wire.Req{
		{Op: "dance"},
		{Op: wire.OpCreate},
		{Op: wire.OpCreate, Decl: &wire.Decl{Name: "x", Kind: "complex"}},
		{Op: wire.OpWatch, Watch: 1, Pattern: "*", Mode: "some"},
		{Op: wire.OpWatch, Pattern: "*"},
		{Op: wire.OpWatch, Watch: 1, Pattern: "*", Credit: -1},
		{Op: wire.OpSubscribe, Sub: 1, Name: "nothing"},
		{Op: wire.OpOpen},
		{Op: wire.OpPublish},
		{Op: wire.OpWrite, Name: "x"},
		{Op: wire.OpJoin, Name: "X"},
	} {
		r.ID = wire.Uint(i + 1)
		if res := witness.ask(r); res.Code == "" || res.Msg == "" {
			t.Errorf("%+v went well: %+v", r, res)
		}
	}
	for _, op := range []wire.Op{wire.OpMore, wire.OpUnwatch, wire.OpUnsubscribe} {
		if res := witness.ask(wire.Req{ID: 99, Op: op, Watch: 5, Sub: 5, Credit: 1}); res.Code != "" {
			t.Errorf("%s of what is over: %+v", op, res)
		}
	}
}

// TestOvertake checks that a request which waits holds up no other.
func TestOvertake(t *testing.T) {
	k := open(t, evekernel.Config{})
	if err := k.Hub().Expect("gate", "one", "two"); err != nil {
		t.Fatal(err)
	}
	p := dial(t, k, wire.Hello{Module: "one"})
	p.say(&wire.Frame{Req: &wire.Req{ID: 1, Op: wire.OpJoin, Name: "gate"}})
	if res := p.ask(wire.Req{ID: 2, Op: wire.OpClock}); res.Now == 0 {
		t.Errorf("clock is %+v", res)
	}
	if _, err := k.Hub().Member("two").Join(t.Context(), "gate"); err != nil {
		t.Fatal(err)
	}
	if f := p.hear(); f.Res == nil || f.Res.ID != 1 || f.Res.Start == nil {
		t.Errorf("answer to join is %+v", f)
	}
}

// TestCredit checks that a watch with credit is sent that many updates, and no more before it asks.
func TestCredit(t *testing.T) {
	k := open(t, evekernel.Config{})
	if err := k.Space().Create(t.Context(), dsv.Declaration{Name: "x", Kind: dsv.Int}); err != nil {
		t.Fatal(err)
	}
	p := dial(t, k, wire.Hello{})
	write := func(n int) {
		for i := range n {
			if _, err := k.Space().Write(t.Context(), "x", dsv.IntValue(int64(i))); err != nil {
				t.Fatal(err)
			}
		}
	}
	if res := p.ask(wire.Req{ID: 1, Op: wire.OpWatch, Watch: 4, Pattern: "x", Mode: "all", Credit: 2}); res.Code != "" {
		t.Fatalf("watch: %+v", res)
	}
	write(10)
	for range 2 {
		if f := p.hear(); f.Upd == nil || f.Upd.Watch != 4 {
			t.Fatalf("%+v instead of an update", f)
		}
	}
	p.ask(wire.Req{ID: 2, Op: wire.OpClock}) // nothing came before the answer
	p.say(&wire.Frame{Req: &wire.Req{ID: 3, Op: wire.OpMore, Watch: 4, Credit: 3}})
	answered, updates := false, 0
	for !answered || updates < 3 { // which of them comes first is nobody's promise
		if f := p.hear(); f.Upd != nil {
			updates++
		} else {
			answered = f.Res != nil && f.Res.ID == 3
		}
	}
	for p.ask(wire.Req{ID: 4, Op: wire.OpUnwatch, Watch: 4}); len(p.heard) > 0; {
		t.Errorf("after the end of the watch: %+v", p.hear())
	}
	write(10)
	p.ask(wire.Req{ID: 5, Op: wire.OpClock})
	// The number is free again.
	if res := p.ask(wire.Req{ID: 6, Op: wire.OpWatch, Watch: 4, Pattern: "x"}); res.Code != "" {
		t.Errorf("watch again: %+v", res)
	}
	if f := p.hear(); f.Upd == nil || f.Upd.Reading == nil || *f.Upd.Reading.Value.Int != 9 {
		t.Errorf("%+v instead of the present value", f)
	}
}

// TestDeafWatcher checks that a participant which reads nothing is cut off, and costs another no update.
func TestDeafWatcher(t *testing.T) {
	var mu sync.Mutex
	var lines []string
	k := open(t, evekernel.Config{Log: func(l evekernel.Line) {
		mu.Lock()
		defer mu.Unlock()
		lines = append(lines, l.Text)
	}})
	if err := k.Space().Create(t.Context(), dsv.Declaration{Name: "x", Kind: dsv.Bytes}); err != nil {
		t.Fatal(err)
	}
	deaf, _, err := wire.Dial(t.Context(), k.URL(), k.Token(), wire.Hello{})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = deaf.Close() }()
	if err := deaf.Send(&wire.Frame{Req: &wire.Req{ID: 1, Op: wire.OpWatch, Watch: 1, Pattern: "x", Mode: "all"}}); err != nil {
		t.Fatal(err)
	}
	p := dial(t, k, wire.Hello{})
	p.ask(wire.Req{ID: 1, Op: wire.OpWatch, Watch: 1, Pattern: "x"})
	value := make([]byte, 100<<10)
	for late := time.Now().Add(patience); ; {
		if _, err := k.Space().Write(t.Context(), "x", dsv.BytesValue(value)); err != nil {
			t.Fatal(err)
		}
		if f := p.hear(); f.Upd == nil {
			t.Fatalf("%+v instead of an update", f)
		}
		mu.Lock()
		log := strings.Join(lines, "\n")
		mu.Unlock()
		if strings.Contains(log, "connection of a guest: ") {
			break
		}
		if time.Now().After(late) {
			t.Fatalf("the deaf one is not cut off; log:\n%s", log)
		}
	}
}

func TestTooMany(t *testing.T) {
	k := open(t, evekernel.Config{MaxConns: 2})
	dial(t, k, wire.Hello{})
	second := dial(t, k, wire.Hello{})
	if _, _, err := wire.Dial(t.Context(), k.URL(), k.Token(), wire.Hello{}); err == nil || !strings.Contains(err.Error(), "too many connections") {
		t.Errorf("a third: %v, want a refusal", err)
	}
	second.leave()
	for late := time.Now().Add(patience); ; { // its place becomes free
		conn, _, err := wire.Dial(t.Context(), k.URL(), k.Token(), wire.Hello{})
		if err == nil {
			_ = conn.Close()
			return
		}
		if time.Now().After(late) {
			t.Fatal(err)
		}
	}
}

// TestStart checks that the welcome tells T0 once it is announced.
func TestStart(t *testing.T) {
	k := open(t, evekernel.Config{Lead: time.Hour})
	if w := dial(t, k, wire.Hello{}).w; w.T0 != 0 {
		t.Errorf("T0 is %d before the start", w.T0)
	}
	if err := k.Hub().Expect(egs.StartBarrier, "app"); err != nil {
		t.Fatal(err)
	}
	s, err := k.Hub().Member("app").Join(t.Context(), egs.StartBarrier)
	if err != nil {
		t.Fatal(err)
	}
	if w := dial(t, k, wire.Hello{}).w; int64(w.T0) != s.T0 || w.Boot != s.Boot {
		t.Errorf("welcome is %+v, want %+v", w, s)
	}
}

// recorder is a Recorder whose flushes wait until they may.
type recorder struct{ gate chan struct{} }

func (r recorder) Declare(dsv.Declaration) error { return nil }
func (r recorder) Record(dsv.Update) error       { return nil }
func (r recorder) Close() error                  { return nil }
func (r recorder) Flush() error {
	<-r.gate
	return nil
}

// TestDurable checks that a durable write is acknowledged when it is on disk, and holds up nothing meanwhile.
func TestDurable(t *testing.T) {
	r := recorder{gate: make(chan struct{})}
	k := open(t, evekernel.Config{Recorder: r})
	p := dial(t, k, wire.Hello{})
	p.say(&wire.Frame{Req: &wire.Req{ID: 1, Op: wire.OpCreate, Decl: wire.FromDecl(dsv.Declaration{Name: "x", Kind: dsv.Int, Durable: true})}})
	p.ask(wire.Req{ID: 2, Op: wire.OpClock})
	close(r.gate)
	if f := p.hear(); f.Res == nil || f.Res.ID != 1 || f.Res.Code != "" {
		t.Errorf("answer to create is %+v", f)
	}
	one := wire.Int(1)
	if res := p.ask(wire.Req{ID: 3, Op: wire.OpWrite, Name: "x", Value: &wire.Value{Int: &one}}); res.Rev == 0 || res.Code != "" {
		t.Errorf("write: %+v", res)
	}
}

func Example() {
	k, err := evekernel.New(evekernel.Config{})
	if err != nil {
		fmt.Println(err)
		return
	}
	if err := k.Listen(); err != nil {
		fmt.Println(err)
		return
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- k.Run(ctx) }()
	err = k.Start(ctx, evekernel.ModuleSpec{Name: "hello", Argv: []string{"/bin/true"}, Env: os.Environ(), ReadyTimeout: -1})
	fmt.Println(err)
	fmt.Println(k.Stop(ctx))
	fmt.Println(k.Modules()[0].State)
	cancel()
	fmt.Println(<-done, k.Close())
	// Output:
	// <nil>
	// <nil>
	// exited
	// <nil> <nil>
}
