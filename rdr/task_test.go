package rdr_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/eve-emulation/eve/rdr"
)

func block(t testing.TB, text string) *rdr.Block {
	t.Helper()
	b, err := rdr.ParseBlock("test", []byte(text), rdr.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// request parses the body of a request.
func request(t testing.TB, body string) *rdr.Block {
	t.Helper()
	f, err := rdr.ParseFile("test", []byte("request r { "+body+" }"), rdr.StartRequest)
	if err != nil {
		t.Fatal(err)
	}
	b, _ := f.Request("r")
	return b
}

// script steps a task by hand: it writes down what Next yields and answers by
// name, so that a test reads as a dialogue.
type script struct {
	t    *testing.T
	task rdr.Task
	ids  map[string]uint32
}

// due drains Next. A demand is written as `cpu 5`, `call web`, `lock a`; a
// notice as `cancel cpu 5`, `unlock a`, `free 64`.
func (s *script) due() string {
	var out []string
	var d rdr.Demand
	for s.task.Next(&d) {
		name := fmt.Sprintf("%s %d", d.Op, d.N)
		switch d.Op {
		case rdr.OpCall, rdr.OpLock, rdr.OpUnlock:
			name = fmt.Sprintf("%s %s", d.Op, d.Name)
		case rdr.OpHTTP:
			name = fmt.Sprintf("%s %s %s %s", d.Op, d.Name, d.Method, d.Path)
		}
		if d.Op.Notice() {
			for known, id := range s.ids {
				if id == d.ID && d.Op == rdr.OpCancel {
					name = "cancel " + known
				}
			}
		} else {
			s.ids[name] = d.ID
		}
		out = append(out, name)
	}
	return strings.Join(out, ", ")
}

func (s *script) met(name string, o rdr.Outcome) {
	id, ok := s.ids[name]
	if !ok {
		s.t.Fatalf("met %q: never asked for", name)
	}
	s.task.Met(id, o)
}

// TestTask plays dialogues: each step is `what to meet[=outcome]` on the left of
// the arrow, and what becomes due on the right.
func TestTask(t *testing.T) {
	tests := []struct {
		name, text string
		request    bool
		level      string
		steps      []string
		end        rdr.Outcome
	}{
		{
			name: "sequence", text: "cpu 5ns disk read 2B disk write 3B sync wait 4ns reply 6B cpu 7ns",
			steps: []string{
				"-> cpu 5", "cpu 5 -> disk read 2", "disk read 2 -> disk write 3", "disk write 3 -> wait 4",
				"wait 4 -> reply 6", "reply 6 -> cpu 7", "cpu 7 ->",
			},
		},
		{name: "empty", text: "", steps: []string{"-> reply 0", "reply 0 ->"}},
		{name: "nothing for 0", text: "cpu 0 wait 0 disk read 0 memory 0 { }", steps: []string{"-> reply 0", "reply 0 ->"}},
		{name: "request has no reply", text: "wait 3ns", request: true, steps: []string{"-> wait 3", "wait 3 ->"}},
		{
			name: "http", text: `http site GET "/a"`, request: true,
			steps: []string{"-> http site GET /a", "http site GET /a=refused ->"}, end: rdr.Refused,
		},
		{
			name: "par joins", text: "par { cpu 1ns call web { } { cpu 2ns cpu 3ns } } cpu 4ns",
			steps: []string{
				"-> cpu 1, call web, cpu 2", "cpu 2 -> cpu 3", "cpu 1 ->", "cpu 3 ->", "call web -> cpu 4",
				"cpu 4 -> reply 0", "reply 0 ->",
			},
		},
		{
			name: "par waits for all and fails with the first", text: "par { call a { } call b { } call c { } } cpu 1ns",
			steps: []string{"-> call a, call b, call c", "call b=timed out ->", "call a=failed ->", "call c ->"},
			end:   rdr.TimedOut,
		},
		{
			name: "fork does not wait", text: "fork { cpu 1ns cpu 2ns } cpu 3ns reply 4B",
			steps: []string{
				"-> cpu 3, cpu 1", "cpu 3 -> reply 4", "reply 4 ->", "cpu 1 -> cpu 2", "cpu 2 ->",
			},
		},
		{
			name: "fork fails alone", text: "fork { fail 1 } fork { call a { } cpu 1ns } cpu 3ns",
			steps: []string{"-> cpu 3, call a", "call a=lost ->", "cpu 3 -> reply 0", "reply 0 ->"},
		},
		{
			name: "choose", text: "choose { 0: { cpu 1ns } 1: { cpu 2ns } 0: { cpu 3ns } }",
			steps: []string{"-> cpu 2", "cpu 2 -> reply 0", "reply 0 ->"},
		},
		{
			name: "repeat", text: "repeat 3 { cpu 1ns wait 2ns }",
			steps: []string{
				"-> cpu 1", "cpu 1 -> wait 2", "wait 2 -> cpu 1", "cpu 1 -> wait 2", "wait 2 -> cpu 1",
				"cpu 1 -> wait 2", "wait 2 -> reply 0", "reply 0 ->",
			},
		},
		{name: "repeat 0", text: "repeat 0 { cpu 1ns } repeat 5 { }", steps: []string{"-> reply 0", "reply 0 ->"}},
		{
			name: "first level", text: "level full { cpu 1ns } level lite { cpu 2ns }",
			steps: []string{"-> cpu 1", "cpu 1 -> reply 0", "reply 0 ->"},
		},
		{
			name: "named level", text: "level full { cpu 1ns } level lite { cpu 2ns }", level: "lite",
			steps: []string{"-> cpu 2", "cpu 2 -> reply 0", "reply 0 ->"},
		},
		{
			name: "lock", text: "lock a { cpu 1ns } cpu 2ns",
			steps: []string{"-> lock a", "lock a -> cpu 1", "cpu 1 -> unlock a, cpu 2", "cpu 2 -> reply 0", "reply 0 ->"},
		},
		{
			name: "lock refused", text: "lock a { cpu 1ns }",
			steps: []string{"-> lock a", "lock a=rejected ->"}, end: rdr.Rejected,
		},
		{
			name: "memory freed on failure", text: "memory 64B { lock a { fail 1 } }",
			steps: []string{"-> memory 64", "memory 64 -> lock a", "lock a -> unlock a, free 64"}, end: rdr.Failed,
		},
		{
			name: "body before timeout", text: "timeout 9ns { cpu 1ns } cpu 2ns",
			steps: []string{"-> timer 9, cpu 1", "cpu 1 -> cancel timer 9, cpu 2", "timer 9 ->", "cpu 2 -> reply 0", "reply 0 ->"},
		},
		{
			name: "timeout before body", text: "timeout 9ns { lock a { memory 5B { par { cpu 1ns call b { } lock c { } } } } } cpu 2ns",
			steps: []string{
				"-> timer 9, lock a", "lock a -> memory 5", "memory 5 -> cpu 1, call b, lock c",
				"timer 9 -> cancel cpu 1, cancel call b, cancel lock c, free 5, unlock a", "cpu 1 ->", "call b ->",
			},
			end: rdr.TimedOut,
		},
		{
			name: "a lock granted as the timeout passes is given back", text: "timeout 9ns { lock a { cpu 1ns } }",
			steps: []string{"-> timer 9, lock a", "lock a & timer 9 -> cpu 1, cancel cpu 1, unlock a"},
			end:   rdr.TimedOut,
		},
		{
			name: "a lock granted after the timeout passed is given back", text: "timeout 9ns { lock a { cpu 1ns } }",
			steps: []string{"-> timer 9, lock a", "timer 9 & lock a -> unlock a"},
			end:   rdr.TimedOut,
		},
		{
			name: "timeout leaves forks", text: "timeout 9ns { fork { cpu 1ns } cpu 2ns }",
			steps: []string{"-> timer 9, cpu 2, cpu 1", "timer 9 -> cancel cpu 2", "cpu 1 ->"}, end: rdr.TimedOut,
		},
		{
			name: "a reply is not cancelled", text: "timeout 9ns { reply 5B }",
			steps: []string{"-> timer 9, reply 5", "timer 9 ->"}, end: rdr.TimedOut,
		},
		{
			name: "nested timeouts", text: "timeout 9ns { timeout 8ns { cpu 1ns } }",
			steps: []string{"-> timer 9, timer 8, cpu 1", "timer 9 -> cancel cpu 1, cancel timer 8"}, end: rdr.TimedOut,
		},
		{
			name: "retry", text: "retry 2 { call a { } } cpu 1ns",
			steps: []string{"-> call a", "call a=failed -> call a", "call a=lost -> call a", "call a -> cpu 1", "cpu 1 -> reply 0", "reply 0 ->"},
		},
		{
			name: "retry gives up", text: "retry 1 backoff 7ns { timeout 9ns { call a { } } }",
			steps: []string{
				"-> timer 9, call a", "timer 9 -> cancel call a, wait 7", "wait 7 -> timer 9, call a",
				"call a=refused -> cancel timer 9",
			},
			end: rdr.Refused,
		},
		{
			name: "backoff is cancelled", text: "timeout 9ns { retry 1 backoff 7ns { call a { } } }",
			steps: []string{"-> timer 9, call a", "call a=lost -> wait 7", "timer 9 -> cancel wait 7"}, end: rdr.TimedOut,
		},
		{name: "fail", text: "reply 5B fail 1 cpu 1ns", steps: []string{"-> reply 5", "reply 5 ->"}, end: rdr.Failed},
		{
			name: "tail after the reply", text: "reply 5B call log send 7B { }",
			steps: []string{"-> reply 5", "reply 5 -> call log", "call log ->"},
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			parse := block
			if tt.request {
				parse = request
			}
			b := parse(t, tt.text)
			s := script{t: t, ids: map[string]uint32{}}
			s.task.Start(b, rdr.Root(1, 2, 3, 4), tt.level)
			replied := false
			for _, step := range tt.steps {
				left, want, _ := strings.Cut(step, "->")
				for what := range strings.SplitSeq(strings.TrimSpace(left), " & ") {
					if what != "" {
						name, outcome, _ := strings.Cut(what, "=")
						s.met(name, outcomeOf(t, outcome))
					}
				}
				if got := s.due(); got != strings.TrimSpace(want) {
					t.Fatalf("after %q: got %q, want %q", left, got, strings.TrimSpace(want))
				}
				replied = replied || strings.Contains(want, "reply ")
				if got := s.task.Replied(); got != replied {
					t.Fatalf("after %q: replied %v, want %v", left, got, replied)
				}
			}
			if !s.task.Done() || !s.task.Ended() {
				t.Errorf("done %v, ended %v, want both", s.task.Done(), s.task.Ended())
			}
			if got := s.task.Outcome(); got != tt.end {
				t.Errorf("outcome %v, want %v", got, tt.end)
			}
		})
	}
}

func outcomeOf(t *testing.T, name string) rdr.Outcome {
	if name == "" {
		return rdr.OK
	}
	for o := rdr.OK; o <= rdr.Canceled; o++ {
		if o.String() == name {
			return o
		}
	}
	t.Fatalf("no outcome %q", name)
	return 0
}
