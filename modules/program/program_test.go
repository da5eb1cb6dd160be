package program_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/eve-emulation/eve/evekernel/wire"
	"github.com/eve-emulation/eve/modules/program"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// patience bounds what is awaited; nothing takes nearly as long.
const patience = 20 * time.Second

// shell starts a program of the shell's; said are the lines that it logged.
func shell(t *testing.T, script string) (p *program.Program, said func() []string) {
	t.Helper()
	var mu sync.Mutex
	var lines []string
	p, err := program.Start(program.Config{
		Name: "steer", Run: "test", Seed: 7, Argv: []string{"sh", "-c", script},
		Log: func(line string) {
			mu.Lock()
			defer mu.Unlock()
			lines = append(lines, line)
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := p.Close(); err != nil {
			t.Error(err)
		}
	})
	return p, func() []string {
		mu.Lock()
		defer mu.Unlock()
		return slices.Clone(lines)
	}
}

func next(t *testing.T, p *program.Program) program.Event {
	t.Helper()
	select {
	case e, ok := <-p.Events():
		if !ok {
			t.Fatal("the events are over")
		}
		return e
	case <-time.After(patience):
		t.Fatal("no event")
	}
	return program.Event{}
}

func tick(n uint64) *wire.Tick {
	return &wire.Tick{At: wire.Int(n) * 1e9, N: wire.Uint(n), Readings: map[string]*float64{"load": new(0.5), "unknown": nil}}
}

// A program answers tick after tick, reads what it is told, and ends in order at bye.
func TestAnswers(t *testing.T) {
	p, said := shell(t, `
n=0
while read -r line; do
  case "$line" in
  *'"bye"'*) echo "bye after $n" >&2; exit 0;;
  '{"tick":{"at":'*'"readings":{"load":0.5,"unknown":null}}}')
    n=$((n+1))
    echo "{\"act\": {\"n\": $n, \"actions\": [\"scale app to $n\"], \"why\": \"$EVE_CONTROLLER of $EVE_RUN, seed $EVE_SEED\"}}";;
  esac
done`)
	for n := uint64(1); n <= 3; n++ {
		if err := p.Tick(tick(n)); err != nil {
			t.Fatal(err)
		}
		e := next(t, p)
		if e.Act == nil || uint64(e.Act.N) != n || len(e.Act.Actions) != 1 || e.Act.Actions[0] != fmt.Sprintf("scale app to %d", n) {
			t.Fatalf("tick %d: got %+v", n, e)
		}
		if got, want := e.Act.Why, "steer of test, seed 7"; got != want {
			t.Errorf("why: got %q, want %q", got, want)
		}
	}
	if err := p.Close(); err != nil {
		t.Fatal(err)
	}
	if got := said(); len(got) != 1 || got[0] != "bye after 3" {
		t.Errorf("log: got %q, want that it said bye", got)
	}
	if err := syscall.Kill(p.PID(), 0); !errors.Is(err, syscall.ESRCH) {
		t.Errorf("after Close: got %v, want no such process", err)
	}
}

// What is wrong with lines is named, and the next answer counts all the same.
func TestNonsense(t *testing.T) {
	for _, tt := range []struct{ name, line, want string }{
		{"text", `hello`, `wrote "hello", which is no frame`},
		{"half a frame", `{"act": {"n": 1`, `wrote "{\"act\": {\"n\": 1", which is no frame`},
		{"no number", `{"act": {"n": 1, "value": NaN}}`, `which is no frame`},
		{"infinite", `{"act": {"n": 1, "value": 1e999}}`, `which is no frame`},
		{"another frame", `{"tick": {"at": 1}}`, `wrote a tick frame, not an act`},
		{"two frames", `{"act": {"n": 1}, "bye": {}}`, `which is no frame`},
		{"no tick of that number", `{"act": {"n": 2}}`, `answered tick 2, which it was not told`},
		{"tick 0", `{"act": {}}`, `answered tick 0 twice, or after a later one`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p, _ := shell(t, `read -r line; echo '`+tt.line+`'; echo '{"act": {"n": 1, "value": 3}}'; read -r line`)
			if err := p.Tick(tick(1)); err != nil {
				t.Fatal(err)
			}
			if e := next(t, p); !errors.Is(e.Err, program.ErrNonsense) || !strings.Contains(e.Err.Error(), tt.want) {
				t.Errorf("got %v, want %s", e.Err, tt.want)
			}
			if e := next(t, p); e.Act == nil || *e.Act.Value != 3 {
				t.Errorf("then: got %+v, want its answer", e)
			}
		})
	}
}

// However a program ends, its last event says how, and with what it printed last.
func TestEnds(t *testing.T) {
	for _, tt := range []struct{ name, script, want string }{
		{"at once", `exit 0`, "exited with status 0"},
		{"with an error", `echo broken >&2; exit 3`, "exited with status 3; it printed: broken"},
		{"in colour", `printf '\033[31mred\007\n' >&2; exit 3`, "exited with status 3; it printed:  [31mred "},
		{"killed", `kill -9 $$`, "was killed by signal 9 (killed)"},
		{"without output", `exec >&-; sleep 100`, "closed its standard output: it was ended"},
		{"in the middle of a line", `printf '{"act"'; exit 1`, "exited with status 1"},
		{"with a child that holds its output", `sleep 100 & exit 1`, "exited with status 1"},
		{"with an endless line", `head -c 100000 /dev/zero | tr '\0' x; sleep 100`, "wrote a line of more than 65536 bytes: it was ended"},
		{"with a flood", `while :; do echo flood; done`, `wrote 1001 lines that answer nothing, the last "flood": it was ended`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p, _ := shell(t, tt.script)
			for {
				e := next(t, p)
				if !errors.Is(e.Err, program.ErrEnded) {
					continue
				}
				if got := e.Err.Error(); got != tt.want {
					t.Errorf("got %q, want %q", got, tt.want)
				}
				break
			}
			if _, more := <-p.Events(); more {
				t.Error("an event after the end")
			}
			if err := p.Tick(tick(1)); err != nil {
				t.Errorf("tick after the end: got %v, want none", err)
			}
		})
	}
}

// A program that hangs does not hold its caller up, neither while it is told ticks nor at the end.
func TestHangs(t *testing.T) {
	p, _ := shell(t, `trap '' TERM; while :; do sleep 100; done`)
	n := uint64(0)
	for !p.Busy() {
		n++
		if err := p.Tick(tick(n)); err != nil {
			t.Fatal(err)
		}
	}
	if n != program.MaxAhead {
		t.Errorf("told %d ticks, want %d", n, program.MaxAhead)
	}
	begun := time.Now()
	if err := p.Close(); err != nil {
		t.Fatal(err)
	}
	if took := time.Since(begun); took > patience {
		t.Errorf("Close took %v", took)
	}
}

// Behind is who has so many ticks to answer, whatever their numbers: those that it was not told do not count.
func TestBehind(t *testing.T) {
	p, _ := shell(t, `while read -r line; do n=${line#*\"n\":}; n=${n%%,*}; echo "{\"act\": {\"n\": 60}}"; echo "{\"act\": {\"n\": $n}}"; done`)
	for _, n := range []uint64{1, 50, 100} {
		if p.Busy() {
			t.Errorf("before tick %d: got that it is behind", n)
		}
		if err := p.Tick(tick(n)); err != nil {
			t.Fatal(err)
		}
		if e := next(t, p); !errors.Is(e.Err, program.ErrNonsense) || e.Err.Error() != "answered tick 60, which it was not told" {
			t.Errorf("tick %d: got %+v, want that it answered one that it was not told", n, e)
		}
		if e := next(t, p); e.Act == nil || uint64(e.Act.N) != n {
			t.Fatalf("tick %d: got %+v, want its answer", n, e)
		}
	}
}

// One that reads nothing is ended once its pipe is full.
func TestReadsNothing(t *testing.T) {
	p, _ := shell(t, `sleep 100`)
	big := &wire.Tick{Readings: map[string]*float64{}}
	for i := range 3000 {
		big.Readings[fmt.Sprintf("reading_%020d", i)] = new(float64(i))
	}
	for n := uint64(1); n <= 2; n++ {
		big.N = wire.Uint(n)
		if err := p.Tick(big); err != nil {
			t.Fatal(err)
		}
	}
	if e := next(t, p); !errors.Is(e.Err, program.ErrEnded) || e.Err.Error() != "reads nothing: it was ended" {
		t.Errorf("got %+v, want that it was ended", e)
	}
}

// In virtual time a tick waits for its answer; late ones are passed over, and one that never comes ends the program.
func TestStep(t *testing.T) {
	p, _ := shell(t, `read -r l; echo oops; echo '{"act": {"n": 1}}'; read -r l; sleep 100`)
	var odd []string
	nonsense := func(err error) { odd = append(odd, err.Error()) }
	if act, err := p.Step(t.Context(), tick(1), patience, nonsense); err != nil || act.N != 1 {
		t.Fatalf("got %+v, %v", act, err)
	}
	if len(odd) != 1 || !strings.Contains(odd[0], "oops") {
		t.Errorf("nonsense: got %q", odd)
	}
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := p.Step(gone, tick(2), patience, nonsense); !errors.Is(err, context.Canceled) {
		t.Errorf("after its context has ended: got %v", err)
	}
	_, err := p.Step(t.Context(), tick(3), time.Millisecond, nonsense)
	if !errors.Is(err, program.ErrEnded) || err.Error() != "did not answer within 1ms: it was ended" {
		t.Errorf("a program without an answer: got %v", err)
	}
}

// Nothing of Eve's own reaches a program by its environment but what it needs.
func TestEnvironment(t *testing.T) {
	t.Setenv("EVE_TOKEN", "secret")
	p, said := shell(t, `env | grep ^EVE_ | sort >&2; read -r l`)
	_ = p.Close()
	if got, want := strings.Join(said(), " "), "EVE_CONTROLLER=steer EVE_RUN=test EVE_SEED=7"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

// What is no program is told at once.
func TestNoProgram(t *testing.T) {
	for _, argv := range [][]string{nil, {"/nowhere/at/all"}, {os.DevNull}} {
		p, err := program.Start(program.Config{Name: "steer", Argv: argv})
		if err == nil {
			_ = p.Close()
			t.Errorf("%q: started", argv)
			continue
		}
		if !strings.HasPrefix(err.Error(), "start controller steer: ") {
			t.Errorf("%q: got %q, want who it is", argv, err)
		}
	}
}
