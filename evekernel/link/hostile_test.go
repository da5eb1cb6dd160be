package link_test

import (
	"encoding/binary"
	"net"
	"testing"
	"time"

	"github.com/eve-emulation/eve/evekernel/egs"
	"github.com/eve-emulation/eve/evekernel/link"
)

// greeting is the hello of a process that knows the secret.
func greeting(node uint64) []byte {
	b := append([]byte("EVE1"), 6, 0)
	b = append(b, "secret"...)
	b = binary.LittleEndian.AppendUint64(b, node)
	return append(append(b, 1, 0), 'x')
}

// TestHostileCallers has thousands of connections that say nothing, and some that say hello and then nonsense: a process
// that means it is served soon, and those who break the protocol are hung up on.
func TestHostileCallers(t *testing.T) {
	came := make(chan uint64, 10)
	p := start(t, 1, func(e egs.Event) { came <- e.Seq })
	var silent []net.Conn
	defer func() {
		for _, c := range silent {
			_ = c.Close()
		}
	}()
	for range 5000 {
		c, err := net.Dial("tcp", p.addr)
		if err != nil {
			break // no descriptors are left
		}
		silent = append(silent, c)
	}
	if len(silent) < 1000 {
		t.Skipf("only %d connections can be made here", len(silent))
	}
	for name, frame := range map[string][]byte{
		"huge":         binary.LittleEndian.AppendUint32(nil, link.MaxFrame+1),
		"empty":        {0, 0, 0, 0},
		"no type":      {1, 0, 0, 0, 9},
		"sinks":        {6, 0, 0, 0, 1, 255, 255, 255, 255, 15},
		"no body":      {4, 0, 0, 0, 1, 1, 0, 1},
		"odd priority": {10, 0, 0, 0, 1, 1, 0, 1, 0, 255, 255, 3, 0, 0},
	} {
		c, err := net.Dial("tcp", p.addr)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := c.Write(append(greeting(99), frame...)); err != nil {
			t.Fatal(err)
		}
		_ = c.SetReadDeadline(time.Now().Add(patience))
		for err = nil; err == nil; {
			_, err = c.Read(make([]byte, 100))
		}
		if e, ok := err.(net.Error); ok && e.Timeout() {
			t.Errorf("%s: is not hung up on", name)
		}
		_ = c.Close()
	}
	src := start(t, 2)
	began := time.Now()
	l, err := src.Dial(t.Context(), 1, p.addr)
	if err != nil {
		t.Fatalf("after %v: %v", time.Since(began), err)
	}
	put(t, l, 0, 1, 0, 10)
	select {
	case <-came:
	case <-time.After(patience):
		t.Error("the event did not come")
	}
}
