package adapter_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/eve-emulation/eve/dsv"
	"github.com/eve-emulation/eve/evekernel/egs"
	"github.com/eve-emulation/eve/fase/adapt"
	"github.com/eve-emulation/eve/fase/runs/runstest"
	"github.com/eve-emulation/eve/fase/scenario"
	"github.com/eve-emulation/eve/fase/service"
	"github.com/eve-emulation/eve/fase/sim"
	"github.com/eve-emulation/eve/modules/adapter"
)

// answers is a program of the shell's that answers the tick in $line with some fields, `, "value": 3`.
const answers = `answer() { n=${line#*\"n\":}; n=${n%%[,\}]*}; printf '{"act": {"n": %s%s}}\n' "$n" "$1"; }
`

// steered is a scenario whose controller is a program of the shell's, which sets crowd.rate once a tenth of a second.
func steered(t *testing.T, script string) *scenario.Plan {
	t.Helper()
	b, err := json.Marshal([]string{"sh", "-c", answers + script})
	if err != nil {
		t.Fatal(err)
	}
	return load(t, `eve: 1
name: steered
duration: 3s
seed: 2
requests: |
  request page { call web { cpu 1ms  reply 1KiB } }
servers:
  one: {run: hold}
  two: {run: hold}
services:
  web: {on: [one, two], replicas: 1}
clients:
  crowd: {request: page, arrive: poisson, rate: 100/s, patience: 1s}
control:
  - {name: steer, kind: program, exec: `+string(b)+`, every: 100ms, bound: 50s, set: crowd.rate, most: 90/s}
`)
}

// mishaps is a program that says something else each time, and what becomes of it.
const mishaps = `
read -r line; answer ', "value": 40, "why": "to begin with"'
read -r line; echo oops; answer ', "value": 41'
read -r line; echo oops again; answer ', "value": 42, "actions": ["launch web to mars"]'
read -r line; answer ', "value": 43, "actions": ["launch web to mars"]'
read -r line; answer ', "actions": ["set crowd.rate = crowd.rate * 2"]'
read -r line; answer ', "actions": ["set nothing 3"]'
read -r line; answer ', "actions": ["degrade web to lite"], "why": "by\u001b\nan action"'
read -r line; answer ', "value": 1e6'
read -r line; echo tired of it >&2; exit 7
`

func wantMishaps() []string {
	return []string{
		`failed: wrote "oops", which is no frame`,
		`failed: asked for launch web to mars: no such action "launch"`,
		`failed: asked for set crowd.rate = crowd.rate * 2: a program reckons by itself`,
		`failed: asked for set nothing 3: nothing cannot be set`,
		`decided: program: by  an action`,
		`done: `,
		`lost: exited with status 7; it printed: tired of it`,
	}
}

// said is a decision in short.
func said(d adapt.Decision) string {
	if d.Phase == "decided" {
		return "decided: " + d.When
	}
	return d.Phase + ": " + d.Cause
}

func compare(t *testing.T, got []string, want []string) {
	t.Helper()
	for i, w := range want {
		if i >= len(got) || !strings.HasPrefix(got[i], w) {
			t.Fatalf("decisions:\n\t%s\nwant\n\t%s", strings.Join(got, "\n\t"), strings.Join(want, "\n\t"))
		}
	}
	if len(got) > len(want) {
		t.Errorf("decisions beyond those: %q", got[len(want):])
	}
}

// For real: what a program says is done, what is wrong with it is told once, and its last word stands when it has died.
func TestProgram(t *testing.T) {
	in := beginWith(t, steered(t, mishaps))
	in.check(in.kernel.Hub().Expect(egs.StartBarrier, "adapt"))
	for svc, m := range in.plan.Mappings() {
		_, err := in.kernel.Space().Write(t.Context(), service.MapName(in.plan.Topology.Services[svc]), dsv.TextValue(m.Encode()))
		in.check(err)
	}
	in.start(adapter.Spec, "adapt", nil)
	var got []string
	in.until(string(adapt.DecisionsName), func(u dsv.Update) bool {
		var d adapt.Decision
		in.check(json.Unmarshal(u.Reading.Value.Bytes, &d))
		got = append(got, said(d))
		return d.Phase == adapt.Lost
	})
	compare(t, got, wantMishaps())
	r, err := in.kernel.Space().Read(t.Context(), "crowd.rate")
	if err != nil || r.Value.Float != 90 {
		t.Errorf("crowd.rate: got %v (%v), want 90, the most", r.Value, err)
	}
	in.check(in.kernel.Stop(t.Context(), "adapt"))
	select {
	case e := <-in.failed:
		t.Errorf("module %s: %s", e.Name, e.Status)
	default:
	}
}

// In virtual time: the same, and the same twice.
func TestProgramInVirtualTime(t *testing.T) {
	first := ""
	for range 2 {
		plan := steered(t, mishaps)
		m := runstest.NewMemory()
		s, err := sim.New(t.Context(), plan, dsv.NewStore(m))
		if err != nil {
			t.Fatal(err)
		}
		if err := s.Run(t.Context(), nil); !errors.Is(err, sim.ErrReal) {
			t.Errorf("without its program: got %v, want ErrReal", err)
		}
		programs, err := adapter.Programs(plan, func(string) {})
		if err != nil {
			t.Fatal(err)
		}
		for _, p := range programs {
			s.Connect(p.Control, p)
		}
		if err := errors.Join(s.Run(t.Context(), nil), adapter.Close(programs)); err != nil {
			t.Fatal(err)
		}
		if err := adapter.Lost(programs); err == nil || err.Error() != "controller steer exited with status 7; it printed: tired of it" {
			t.Errorf("lost: got %v", err)
		}
		var got []string
		var when []dsv.Instant
		err = m.History(adapt.DecisionsName, -1, dsv.Never, func(u dsv.Update) error {
			var d adapt.Decision
			if err := json.Unmarshal(u.Reading.Value.Bytes, &d); err != nil {
				return err
			}
			got, when = append(got, said(d)), append(when, d.At)
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		compare(t, got, wantMishaps())
		if last, want := when[len(when)-1], dsv.At(900*time.Millisecond); last != want {
			t.Errorf("it ended at %v, want %v", last, want)
		}
		if all := fmt.Sprint(got, when); first != "" && all != first {
			t.Errorf("the second time\n%s\nthe first\n%s", all, first)
		} else {
			first = all
		}
	}
}

// One that is stopped in its tracks delays a simulation no longer than its end does, when that is interrupted.
func TestProgramHangsInVirtualTime(t *testing.T) {
	plan := steered(t, `read -r line; sleep 1000`)
	s, err := sim.New(t.Context(), plan, dsv.NewStore(nil))
	if err != nil {
		t.Fatal(err)
	}
	programs, err := adapter.Programs(plan, func(string) {})
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range programs {
		s.Connect(p.Control, p)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if err := s.Run(ctx, nil); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("run: got %v, want that its context ended it", err)
	}
	if err := adapter.Lost(programs); err != nil {
		t.Errorf("one that was going on: got %v", err)
	}
	if err := adapter.Close(programs); err != nil {
		t.Error(err)
	}
}

// A program that ends before the run begins keeps it from beginning, with what it said last.
func TestProgramThatEndsAtOnce(t *testing.T) {
	in := beginWith(t, steered(t, `echo no such file >&2; exit 2`))
	in.check(in.kernel.Hub().Expect(egs.StartBarrier, "adapt", "somebody else"))
	in.start(adapter.Spec, "adapt", nil)
	select {
	case e := <-in.failed:
		if want := "controller steer exited with status 2; it printed: no such file"; !strings.Contains(e.Status, want) {
			t.Errorf("got %q, want %q", e.Status, want)
		}
	case <-time.After(20 * time.Second):
		t.Error("the module did not fail")
	}
}

// Programs that do not end by themselves are ended side by side: together they take no longer than one, else the module that
// waits for them would be killed.
func TestCloseEndsProgramsTogether(t *testing.T) {
	if testing.Short() {
		t.Skip("3 s")
	}
	plan := steered(t, `trap '' TERM; while :; do sleep 100; done`)
	one := plan.Adapt.Controls[0]
	for range 3 {
		plan.Adapt.Controls = append(plan.Adapt.Controls, one)
	}
	programs, err := adapter.Programs(plan, func(string) {})
	if err != nil {
		t.Fatal(err)
	}
	begun := time.Now()
	if err := adapter.Close(programs); err != nil {
		t.Fatal(err)
	}
	if took := time.Since(begun); len(programs) != 4 || took > 10*time.Second {
		t.Errorf("%d programs took %v; one after another 4 take 12 s", len(programs), took)
	}
}
