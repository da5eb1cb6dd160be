package server_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/eve-emulation/eve/dmm"
	"github.com/eve-emulation/eve/dsv"
	"github.com/eve-emulation/eve/fase/admit"
	"github.com/eve-emulation/eve/fase/engine"
	"github.com/eve-emulation/eve/fase/engine/stage"
	"github.com/eve-emulation/eve/fase/machine"
	"github.com/eve-emulation/eve/fase/scenario"
	"github.com/eve-emulation/eve/fase/service"
	"github.com/eve-emulation/eve/internal/mono"
	"github.com/eve-emulation/eve/modules/server"
)

// TestStageNames holds the stages whose figures a scenario declares to those that the engines have.
func TestStageNames(t *testing.T) {
	for _, kind := range engine.Shipped() {
		e, err := kind.Listen(engine.Config{Listen: "127.0.0.1:0", Name: kind.Name}, func(int) engine.Handler { return nil })
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		if s, ok := e.(engine.Staged); ok {
			for _, st := range s.Stages() {
				got = append(got, st.Name)
			}
		}
		if err := e.Close(); err != nil {
			t.Error(err)
		}
		if want := scenario.StageNames(kind.Name); !slices.Equal(got, want) {
			t.Errorf("stages of %s: got %v, a scenario has %v", kind.Name, got, want)
		}
	}
}

// TestStagesAreMeasured overloads the stages of a server and looks at the variables.
func TestStagesAreMeasured(t *testing.T) {
	plan, err := scenario.Load("seda.yaml", []byte(`
eve: 1
duration: 1s
servers:
  here: {run: burn, engine: {kind: seda, queue: 2, threads: 1}}
services:
  web: {on: [here]}
requests: |
  request r { call web { cpu 1ms } }
clients:
  c: {request: r, rate: 1/s}
`), scenario.Options{})
	if err != nil {
		t.Fatal(err)
	}
	var specs []dmm.Spec
	for _, m := range plan.Measures {
		specs = append(specs, m.Spec)
	}
	set, err := dmm.NewSet(1, 1, specs)
	if err != nil {
		t.Fatal(err)
	}
	s := listen(t, func(c *server.Config) {
		c.Engine.Name, c.Engine.Threads, c.Engine.Queue = "seda", 1, 2
		c.Host.Machine = machine.Config{Run: machine.Burn}
		c.Vars = func(n dsv.Name) *dmm.Var { return set.Var(n) }
	})
	url := serve(t, s)
	s.Start(mono.Now())
	mapped(s)
	answers := make(chan string, 20)
	for range 20 {
		post(t, s, request{"one", "cpu 20ms", "", ""}, answers)
	}
	read := func(name dsv.Name) float64 {
		v := set.Var("here.stage." + name)
		if v == nil {
			t.Fatalf("here.stage.%s is not measured", name)
		}
		x, _ := v.Read().Number()
		return x
	}
	refused := func() float64 { return read("parse.refused") + read("handle.refused") }
	for end := time.Now().Add(20 * time.Second); read("handle.served") == 0 || refused() == 0; time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("got %v served and %v refused, want some of each", read("handle.served"), refused())
		}
	}
	for _, stage := range []dsv.Name{"parse", "handle", "write", "file"} {
		if got := read(stage + ".threads"); got != 1 {
			t.Errorf("threads of %s: got %v, want 1", stage, got)
		}
		if got := read(stage + ".batch"); got < 1 || got > 1000 {
			t.Errorf("batch of %s: got %v, want from 1 to 1000", stage, got)
		}
	}
	for end := time.Now().Add(20 * time.Second); ; time.Sleep(time.Millisecond) { // what still waits fills the queue
		res, _ := ask(t, "GET", url, "")
		if res.StatusCode == 200 {
			break
		}
		if time.Now().After(end) {
			t.Fatalf("response afterwards: got %d, want 200", res.StatusCode)
		}
	}
}

// TestStagesGrant has requests that compute wait in the queue of the handle stage, which gets no more threads than there are
// processors, unless the operating system is to share those among them.
func TestStagesGrant(t *testing.T) {
	for _, tt := range []struct {
		discipline machine.Discipline
		cpus, want int // processors, and the most threads of the stage
	}{
		{machine.FCFS, 1, 1},
		{machine.FCFS, 2, 2},
		{machine.OS, 1, 4},
	} {
		t.Run(fmt.Sprint(tt.discipline, tt.cpus), func(t *testing.T) {
			s := listen(t, func(c *server.Config) {
				c.Engine.Name, c.Engine.Threads = "seda", 4
				c.Engine.Stages.Threads = stage.ThreadsConfig{Sample: time.Millisecond, Threshold: 1, Idle: time.Hour}
				c.Host.Machine = machine.Config{Run: machine.Burn, CPU: machine.CPUConfig{Cores: tt.cpus, Discipline: tt.discipline}}
			})
			serve(t, s)
			s.Start(mono.Now())
			mapped(s)
			const n = 16
			answers := make(chan string, n)
			for i := range n {
				post(t, s, request{fmt.Sprint(i), "cpu 60ms reply 1KiB", "", ""}, answers)
			}
			threads, waiting := 0, 0
			for len(answers) < n {
				h := s.Stages()[1]
				threads, waiting = max(threads, h.Threads), max(waiting, h.Queue)
				time.Sleep(time.Millisecond)
			}
			if threads != tt.want {
				t.Errorf("most threads of the stage: got %d, want %d", threads, tt.want)
			}
			if waiting < n/4 {
				t.Errorf("most requests that waited for the stage, of %d: got %d, want at least %d", n, waiting, n/4)
			}
		})
	}
}

// TestStagesChoose has a discipline and an admission that choose among those that wait do so, while the only processor computes.
func TestStagesChoose(t *testing.T) {
	rs := []request{{"first", "cpu 400ms", "", ""}, {"long", "cpu 60ms", "", ""}, {"short", "cpu 5ms", "", ""}}
	want := []string{"first", "short", "long"}
	for name, change := range map[string]func(*service.HostConfig){
		"discipline": func(c *service.HostConfig) { c.Machine.CPU.Discipline = machine.SJF },
		"admission":  func(c *service.HostConfig) { c.Admit = admit.Config{Policy: admit.SJF, Limit: 1} },
	} {
		t.Run(name, func(t *testing.T) {
			s := listen(t, func(c *server.Config) {
				c.Engine.Name = "seda"
				c.Host.Machine.Run = machine.Burn
				change(&c.Host)
			})
			serve(t, s)
			s.Start(mono.Now())
			got := answered(t, s, rs)
			for i := 0; i < 3 && !slices.Equal(got, want); i++ { // a busy host may be late by as much as the first takes
				got = answered(t, s, rs)
			}
			if !slices.Equal(got, want) {
				t.Errorf("answered in order: got %v, want %v", got, want)
			}
		})
	}
}
