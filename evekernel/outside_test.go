package evekernel_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/eve-emulation/eve/evekernel"
	"github.com/eve-emulation/eve/evekernel/egs"
	"github.com/eve-emulation/eve/evekernel/wire"
)

// outside opens a kernel that awaits modules a and b, and returns what it tells of modules.
func outside(t *testing.T, cfg evekernel.Config) (*evekernel.Kernel, chan evekernel.ModuleEvent) {
	t.Helper()
	events := make(chan evekernel.ModuleEvent, 100)
	cfg.OnModule = func(e evekernel.ModuleEvent) { events <- e }
	k := open(t, cfg)
	if err := k.Hub().Expect(egs.StartBarrier, "a", "b"); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"a", "b"} {
		spec := evekernel.ModuleSpec{Name: name, Outside: true, Config: []byte(`{}`)}
		if err := k.Start(t.Context(), spec); err != nil {
			t.Fatal(err)
		}
		told(t, events, name, evekernel.Awaited, "module "+name+" is awaited")
	}
	return k, events
}

// told checks what is told of a module next.
func told(t *testing.T, events <-chan evekernel.ModuleEvent, name string, s evekernel.State, status string) {
	t.Helper()
	select {
	case e := <-events:
		if e.Name != name || e.State != s || !strings.HasPrefix(e.Status, status) {
			t.Errorf("got %s %s: %s, want %s %s: %s", e.Name, e.State, e.Status, name, s, status)
		}
	case <-time.After(patience):
		t.Fatalf("nothing is told, want %s %s", name, s)
	}
}

func join(p *talker) {
	p.t.Helper()
	p.say(&wire.Frame{Req: &wire.Req{ID: 100, Op: wire.OpJoin, Name: egs.StartBarrier}})
}

// TestOutside takes modules that somebody else starts through the ends that they may come to.
func TestOutside(t *testing.T) {
	for _, c := range []struct {
		name  string
		end   func(a *talker)
		state evekernel.State
		want  string
	}{
		{"said bye", func(a *talker) { a.say(&wire.Frame{Bye: &wire.Bye{}}) }, evekernel.Exited, "module a ended"},
		{"said why", func(a *talker) {
			a.say(&wire.Frame{Bye: &wire.Bye{Code: wire.CodeError, Msg: "no more\x1b[2J"}})
		}, evekernel.Failed, "module a no more\uFFFD[2J"},
		{"lost for too long", func(a *talker) { a.leave() }, evekernel.Failed, "module a lost its connection, and did not come back within 50ms"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel() // each closes a kernel in whose module nobody answers any more, which takes the grace of that
			k, events := outside(t, evekernel.Config{Absence: 50 * time.Millisecond})
			a := dial(t, k, wire.Hello{Module: "a"})
			told(t, events, "a", evekernel.Started, "module a is here")
			join(a)
			told(t, events, "a", evekernel.Ready, "module a is ready")
			b := dial(t, k, wire.Hello{Module: "b"})
			told(t, events, "b", evekernel.Started, "module b is here")
			join(b)
			told(t, events, "b", evekernel.Ready, "module b is ready")
			if f := a.hear(); f.Res == nil || f.Res.Start == nil {
				t.Fatalf("a heard %+v, want the start", f)
			}
			c.end(a)
			if c.state == evekernel.Failed && strings.Contains(c.want, "lost") {
				told(t, events, "a", evekernel.Lost, "module a lost its connection")
			}
			told(t, events, "a", c.state, c.want)
		})
	}
}

// TestAwaitedAgain checks that a module which goes before the start is awaited again, whatever it went for, and that the
// start waits for it.
func TestAwaitedAgain(t *testing.T) {
	k, events := outside(t, evekernel.Config{})
	for _, c := range []struct {
		why string
		end func(a *talker)
	}{
		{"module a left; it is awaited again", func(a *talker) { a.say(&wire.Frame{Bye: &wire.Bye{}}) }},
		{"module a left: broken; it is awaited again", func(a *talker) {
			a.say(&wire.Frame{Bye: &wire.Bye{Code: wire.CodeError, Msg: "broken"}})
		}},
		{"module a lost its connection: ", func(a *talker) { a.leave() }},
	} {
		a := dial(t, k, wire.Hello{Module: "a"})
		told(t, events, "a", evekernel.Started, "module a is here")
		join(a)
		told(t, events, "a", evekernel.Ready, "module a is ready")
		if got := fmt.Sprint(k.Hub().Missing(egs.StartBarrier)); got != "[b]" {
			t.Errorf("missing are %s, want [b]", got)
		}
		c.end(a)
		told(t, events, "a", evekernel.Awaited, c.why)
		if got := fmt.Sprint(k.Hub().Missing(egs.StartBarrier)); got != "[a b]" {
			t.Errorf("missing are %s, want [a b]", got)
		}
	}
}

// TestOutsideWaits checks that modules can be awaited before Run, that their configuration is there by then, and that a
// kernel that never ran ends without them.
func TestOutsideWaits(t *testing.T) {
	k, err := evekernel.New(evekernel.Config{})
	if err != nil {
		t.Fatal(err)
	}
	if err := k.Start(t.Context(), evekernel.ModuleSpec{Name: "a", Outside: true, Config: []byte(`{"x": 1}`)}); err != nil {
		t.Fatal(err)
	}
	if r, err := k.Space().Read(t.Context(), "config.a"); err != nil || r.Value.Text != `{"x": 1}` {
		t.Errorf("the configuration is %q (error %v)", r.Value.Text, err)
	}
	if err := k.Close(); err != nil {
		t.Error(err)
	}
	got := k.Modules()
	if len(got) != 1 || got[0].State != evekernel.Exited || got[0].Status != "module a did not come" {
		t.Errorf("the modules are %+v, want one that did not come", got)
	}
	if err := k.Start(t.Context(), evekernel.ModuleSpec{Name: "b", Outside: true}); err == nil {
		t.Error("a kernel that is closed awaits a module")
	}
	if err := k.Start(t.Context(), evekernel.ModuleSpec{Name: "b", Outside: true, Argv: []string{"true"}}); err == nil || !strings.Contains(err.Error(), "one of them") {
		t.Errorf("outside and a program: %v", err)
	}
}
