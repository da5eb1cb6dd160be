package rdr_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/eve-emulation/eve/rdr"
)

// TestLimits gives each limit a text that just keeps it, and the same text one
// lower, as text and in compact form.
func TestLimits(t *testing.T) {
	nest := func(n int) string { return strings.Repeat("call a { ", n) + strings.Repeat("} ", n) }
	tests := []struct {
		name, text string
		at, below  rdr.Limits
	}{
		{"depth", nest(4), rdr.Limits{Depth: 5}, rdr.Limits{Depth: 4}},
		{"depth of choose", "choose { 1: { cpu 1ms } }", rdr.Limits{Depth: 2}, rdr.Limits{Depth: 1}},
		{"fanout of par", "par { cpu 1ms cpu 1ms cpu 1ms }", rdr.Limits{Fanout: 3}, rdr.Limits{Fanout: 2}},
		{"fanout of forks", "fork { cpu 1ms } fork { cpu 1ms } cpu 1ms", rdr.Limits{Fanout: 3}, rdr.Limits{Fanout: 2}},
		{"fanout of repeated forks", "repeat 7 { fork { cpu 1ms } }", rdr.Limits{Fanout: 8}, rdr.Limits{Fanout: 7}},
		{"fanout of a called block", "call a { par { cpu 1ms cpu 1ms } }", rdr.Limits{Fanout: 2}, rdr.Limits{Fanout: 1}},
		{"steps", "repeat 10 { cpu 1ns wait 1ns } cpu 1ns", rdr.Limits{Steps: 22}, rdr.Limits{Steps: 21}},
		{"steps of retries", "retry 4 { cpu 1ns }", rdr.Limits{Steps: 6}, rdr.Limits{Steps: 5}},
		{"demand", "cpu 1ms repeat 3 { call a { cpu exp(2ms) } wait 1ms }", rdr.Limits{Demand: 10 * time.Millisecond}, rdr.Limits{Demand: 10*time.Millisecond - 1}},
		{"demand of the larger branch", "choose { 0.5: { cpu 2ms } 0.5: { cpu 5ms } }", rdr.Limits{Demand: 5 * time.Millisecond}, rdr.Limits{Demand: 4 * time.Millisecond}},
		{"demand without a mean", "cpu pareto(1ms, 0.5)", rdr.Limits{Demand: 4 * time.Millisecond}, rdr.Limits{Demand: 3 * time.Millisecond}},
		{"bytes", "disk read 1B disk write 2B memory 3B { call a send 4B { } } reply 5B", rdr.Limits{Bytes: 15}, rdr.Limits{Bytes: 14}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			b, err := rdr.ParseBlock("test", []byte(tt.text), tt.at)
			if err != nil {
				t.Fatalf("at the limit: %v", err)
			}
			if _, err := rdr.DecodeBlock(b.Compact(), tt.at); err != nil {
				t.Errorf("compact, at the limit: %v", err)
			}
			if _, err := rdr.ParseBlock("test", []byte(tt.text), tt.below); !errors.Is(err, rdr.ErrLimit) {
				t.Errorf("below: got %v, want ErrLimit", err)
			}
			if _, err := rdr.DecodeBlock(b.Compact(), tt.below); !errors.Is(err, rdr.ErrLimit) {
				t.Errorf("compact, below: got %v, want ErrLimit", err)
			}
		})
	}
}

func TestSizeLimit(t *testing.T) {
	text := "cpu 1ms reply 5KiB"
	b := block(t, text)
	tests := []struct {
		name string
		size int
		over bool
		read func(rdr.Limits) error
	}{
		{"text", len(text), false, func(l rdr.Limits) error { _, err := rdr.ParseBlock("", []byte(text), l); return err }},
		{"text", len(text) - 1, true, func(l rdr.Limits) error { _, err := rdr.ParseBlock("", []byte(text), l); return err }},
		{"compact", len(b.Compact()), false, func(l rdr.Limits) error { _, err := rdr.DecodeBlock(b.Compact(), l); return err }},
		{"compact", len(b.Compact()) - 1, true, func(l rdr.Limits) error { _, err := rdr.DecodeBlock(b.Compact(), l); return err }},
	}
	for _, tt := range tests {
		err := tt.read(rdr.Limits{Size: tt.size})
		if got := errors.Is(err, rdr.ErrLimit); got != tt.over || !tt.over && err != nil {
			t.Errorf("%s, size %d: %v, want over the limit: %v", tt.name, tt.size, err, tt.over)
		}
	}
}

func TestFileSizeLimit(t *testing.T) {
	text := "request a { wait 1ms }"
	for size, over := range map[int]bool{len(text)/16 + 1: false, len(text)/16 - 1: true} {
		_, err := rdr.Config{Limits: rdr.Limits{Size: max(size, 1)}}.ParseFile("", []byte(text+strings.Repeat(" ", 16-len(text)%16)), rdr.StartRequest)
		if got := errors.Is(err, rdr.ErrLimit); got != over {
			t.Errorf("size %d: %v, want over the limit: %v", size, err, over)
		}
	}
}

// TestLimitsOfLinkedOperations doubles at each operation: 2^20 calls.
func TestLimitsOfLinkedOperations(t *testing.T) {
	var ops strings.Builder
	for i := range 20 {
		ops.WriteString("request op_" + string(rune('a'+i)) + " { ")
		if i < 19 {
			op := "op_" + string(rune('a'+i+1))
			ops.WriteString("choose { 0.5: { call s." + op + " } 0.5: { call s." + op + " } } ")
		}
		ops.WriteString("}\n")
	}
	f, err := rdr.ParseFile("ops", []byte(ops.String()), rdr.StartBlock)
	if err != nil {
		t.Fatal(err)
	}
	err = rdr.Link(f, func(_, op string) (*rdr.Block, bool) { return f.Request(op) }, nil)
	if !errors.Is(err, rdr.ErrLimit) {
		t.Errorf("got %v, want ErrLimit", err)
	}
}

// TestBudget lets a task run into the bounds that hold whatever was drawn.
func TestBudget(t *testing.T) {
	lim := rdr.Limits{Steps: 1 << 50, Fanout: 1 << 30}
	for _, text := range []string{
		"repeat 1000000 { repeat 1000000 { cpu 0 } }",
		"lock a { repeat 100000 { fork { wait 1ns } } }",
	} {
		b, err := rdr.ParseBlock("test", []byte(text), lim)
		if err != nil {
			t.Fatal(err)
		}
		var task rdr.Task
		var d rdr.Demand
		held := 0
		task.Start(b, 1, "")
		for task.Next(&d) {
			switch d.Op {
			case rdr.OpLock:
				held++
				task.Met(d.ID, rdr.OK)
			case rdr.OpUnlock:
				held--
			}
		}
		if task.Outcome() != rdr.Exceeded || !task.Done() || held != 0 {
			t.Errorf("%s: outcome %v, done %v, %d locks held; want exceeded, true, 0", text, task.Outcome(), task.Done(), held)
		}
	}
}

func TestDecodeMalformed(t *testing.T) {
	whole := block(t, `choose { 0.25: { cpu exp(5ms) } 0.75: { call a send 1KiB { reply 5B } } } level full { } lock x { }`).Compact()
	if _, err := rdr.DecodeBlock(whole, rdr.Limits{}); err != nil {
		t.Fatal(err)
	}
	for n := range whole {
		if _, err := rdr.DecodeBlock(whole[:n], rdr.Limits{}); err == nil || errors.Is(err, rdr.ErrLimit) {
			t.Errorf("cut off after %d bytes: got %v, want malformed", n, err)
		}
	}
	more := append(append([]byte(nil), whole...), 0)
	if _, err := rdr.DecodeBlock(more, rdr.Limits{}); err == nil {
		t.Error("a byte after the end: no error")
	}
	if b, n, err := rdr.DecodePrefix(more, rdr.Limits{}); err != nil || n != len(whole) || b == nil {
		t.Errorf("prefix: %d bytes, %v; want %d", n, err, len(whole))
	}
	bodies := map[string][]byte{
		"unknown statement":     {99, 0},
		"unknown distribution":  {1, 77, 0},
		"reply inside par":      {9, 5, 0, 0, 0, 0},
		"two replies":           {5, 0, 0, 5, 0, 0, 0},
		"method with a space":   {8, 1, 'a', 3, 'G', ' ', 'T', 1, '/', 0},
		"field without a line":  {23, 1, 'a', 1, 'G', 1, '/', 4, 'A', ':', ' ', 'b', 0, 0, 0, 0},
		"field with a length":   {23, 1, 'a', 1, 'G', 1, '/', 21, 'C', 'o', 'n', 't', 'e', 'n', 't', '-', 'L', 'e', 'n', 'g', 't', 'h', ':', ' ', '1', '\r', '\n', 0, 0, 0, 0},
		"http without more":     {23, 1, 'a', 1, 'G', 1, '/', 0, 0, 0, 0, 0},
		"body cut off":          {23, 1, 'a', 1, 'G', 1, '/', 0, 9, 'x', 0, 0, 0},
		"http in a block":       {8, 1, 'a', 3, 'G', 'E', 'T', 1, '/', 0},
		"name of a lock":        {15, 1, 'A', 0, 0},
		"fail above 1":          {16, 4, 0},
		"no branches":           {12, 0, 0},
		"one branch of 0":       {12, 1, 0, 0, 0},
		"retry 0":               {18, 0, 0, 0, 0, 0},
		"empty table":           {1, 7, 0, 0},
		"braces without par":    {11, 0, 0},
		"erlang without stages": {1, 6, 0, 2, 0},
		"NaN":                   {1, 1, 1, 1, 0, 0, 0, 0, 0, 0xf8, 0x7f, 0},
	}
	for name, body := range bodies {
		data := append([]byte{0x9e, 0x81, byte(len(body))}, body...)
		if _, err := rdr.DecodeBlock(data, rdr.Limits{}); err == nil || errors.Is(err, rdr.ErrLimit) && name != "NaN" {
			t.Errorf("%s: got %v, want malformed", name, err)
		}
	}
}

func TestCache(t *testing.T) {
	var c rdr.Cache
	compact := block(t, "cpu 5ms reply 10KiB").Compact()
	padded := append(append([]byte(nil), compact...), make([]byte, 1000)...)
	first, n, err := c.Block(padded)
	if err != nil || n != len(compact) {
		t.Fatalf("%d bytes, %v; want %d", n, err, len(compact))
	}
	if again, n, _ := c.Block(compact); again != first || n != len(compact) {
		t.Error("the same block was read twice")
	}
	text := []byte("cpu 5ms reply 10KiB")
	b, n, err := c.Block(text)
	if err != nil || n != len(text) || string(b.Compact()) != string(compact) {
		t.Errorf("text: %d bytes, %v", n, err)
	}
	if got := testing.AllocsPerRun(100, func() { _, _, _ = c.Block(text); _, _, _ = c.Block(padded) }); got != 0 {
		t.Errorf("%v allocations for known bodies, want 0", got)
	}
	for i := range 300_000 / 1000 {
		_, _, _ = c.Block(fmt.Appendf(nil, "cpu %dns #%s", i+1, strings.Repeat(" ", 1000)))
	}
	if again, _, err := c.Block(compact); err != nil || again == first {
		t.Errorf("a body is kept after 300 kB of others; %v", err)
	}
	for name, body := range map[string][]byte{
		"request": request(t, "wait 1ms").Compact(), "text": []byte("cpu 5"), "cut off": compact[:4], "header": compact[:2],
	} {
		if _, _, err := c.Block(body); err == nil || errors.Is(err, rdr.ErrLimit) {
			t.Errorf("%s: got %v, want malformed", name, err)
		}
	}
	if _, _, err := c.Block(make([]byte, 100_000)); !errors.Is(err, rdr.ErrLimit) {
		t.Errorf("too long: got %v, want ErrLimit", err)
	}
}
