package server_test

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/eve-emulation/eve/fase/machine"
	"github.com/eve-emulation/eve/internal/mono"
	"github.com/eve-emulation/eve/modules/server"
)

// request is one that is told by its name when it has been answered.
type request struct{ name, body, header, value string }

// post writes a request, and tells done when its answer comes.
func post(t *testing.T, s *server.Server, r request, done chan<- string) {
	t.Helper()
	c, err := net.Dial("tcp", s.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	head := fmt.Sprintf("POST /rdr HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n", len(r.body))
	if r.header != "" {
		head += r.header + ": " + r.value + "\r\n"
	}
	if _, err := io.WriteString(c, head+"\r\n"+r.body); err != nil {
		t.Fatal(err)
	}
	go func() { // ends with the connection
		if line, _ := bufio.NewReader(c).ReadString('\n'); strings.HasPrefix(line, "HTTP/1.1 200 ") {
			done <- r.name
		}
	}()
}

// answered is the order in which requests are answered of which the first is served while the others come.
func answered(t *testing.T, s *server.Server, rs []request) []string {
	t.Helper()
	done := make(chan string, len(rs))
	for i, r := range rs {
		post(t, s, r, done)
		if i == 0 {
			time.Sleep(150 * time.Millisecond) // a server that burns on its loop tells nobody that it has begun
		}
	}
	var got []string
	for range rs {
		select {
		case name := <-done:
			got = append(got, name)
		case <-time.After(10 * time.Second):
			t.Fatalf("answered: got %v only", got)
		}
	}
	return got
}

// Whoever waits is served in the order of the discipline, which goes by what the requests say on the wire. A server that burns
// on its loop reads them after the first has burned, and chooses all the same.
func TestDisciplinesOnTheWire(t *testing.T) {
	busy := request{"busy", "cpu 400ms", "", ""}
	for _, tt := range []struct {
		discipline machine.Discipline
		requests   []request
		want       []string
	}{
		{machine.SJF, []request{
			busy, {"long", "cpu 100ms", "", ""}, {"short", "cpu 30ms", "", ""}, {"middle", "cpu 60ms", "", ""},
		}, []string{"busy", "short", "middle", "long"}},
		{machine.Priority, []request{
			busy, {"none", "cpu 30ms", "", ""}, {"second", "priority 3 cpu 50ms", "", ""}, {"first", "cpu 50ms", "Eve-Priority", "4"},
		}, []string{"busy", "first", "second", "none"}},
		{machine.EDF, []request{
			busy,
			{"none", "cpu 30ms", "", ""},
			{"second", "deadline 1h cpu 50ms", "", ""},
			{"first", "deadline 2h cpu 50ms", "Eve-Deadline", "5000000000"},
		}, []string{"busy", "first", "second", "none"}},
	} {
		for _, run := range []machine.Run{machine.Hold, machine.Burn} {
			t.Run(fmt.Sprint(tt.discipline, ", run ", run), func(t *testing.T) {
				s := listen(t, func(c *server.Config) {
					c.Host.Machine = machine.Config{Run: run, CPU: machine.CPUConfig{Discipline: tt.discipline}}
				})
				serve(t, s)
				s.Start(mono.Now())
				got := answered(t, s, tt.requests)
				for i := 0; i < 2 && !slices.Equal(got, tt.want); i++ { // on a busy host those that wait may come first
					got = answered(t, s, tt.requests)
				}
				if !slices.Equal(got, tt.want) {
					t.Errorf("answered in order: got %v, want %v", got, tt.want)
				}
			})
		}
	}
}
