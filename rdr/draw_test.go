package rdr_test

import (
	"fmt"
	"slices"
	"sort"
	"testing"
	"time"

	"github.com/eve-emulation/eve/rdr"
)

const varied = `repeat 3 { cpu exp(5ms) choose { 0.5: { disk read exp(4KiB) } 0.5: { wait erlang(3, 1ms) } }
	par { cpu normal(5ms, 1ms) { wait exp(1ms) cpu exp(2ms) } call app send exp(1KiB) { cpu 1ms } }
	fork { repeat 2 { cpu uniform(1ms, 2ms) } } retry 2 { cpu exp(1ms) fail 0.5 call db { } } } reply exp(8KiB)`

// draws runs a block and returns everything that it asks for, sorted. Of
// several outstanding demands, pick chooses which is met next.
func draws(b *rdr.Block, key rdr.Key, pick func(n int) int) []string {
	var task rdr.Task
	var d rdr.Demand
	var out []string
	var open []uint32
	task.Start(b, key, "")
	for {
		for task.Next(&d) {
			out = append(out, fmt.Sprintf("%d %v %d %x", d.Node, d.Op, d.N, d.Key))
			open = append(open, d.ID)
		}
		if len(open) == 0 {
			sort.Strings(out)
			return out
		}
		i := pick(len(open))
		id := open[i]
		open = slices.Delete(open, i, i+1)
		task.Met(id, rdr.OK)
	}
}

// TestDrawsDoNotDependOnOrder meets demands first in, last in and mixed.
func TestDrawsDoNotDependOnOrder(t *testing.T) {
	b := block(t, varied)
	again, err := rdr.DecodeBlock(b.Compact(), rdr.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	formatted, err := rdr.FormatBlock("test", []byte(varied))
	if err != nil {
		t.Fatal(err)
	}
	different, demands := map[string]bool{}, 0
	for i := range uint64(50) {
		key := rdr.Root(1, 2, 3, i)
		want := draws(b, key, func(int) int { return 0 })
		different[fmt.Sprint(want)] = true
		demands += len(want)
		for name, got := range map[string][]string{
			"last first": draws(b, key, func(n int) int { return n - 1 }),
			"mixed":      draws(b, key, func(n int) int { return n * 7 / 13 }),
			"compact":    draws(again, key, func(int) int { return 0 }),
			"formatted":  draws(block(t, string(formatted)), key, func(int) int { return 0 }),
		} {
			if !slices.Equal(got, want) {
				t.Fatalf("%s, key %d:\n got %v\nwant %v", name, i, got, want)
			}
		}
	}
	if demands < 50*20 {
		t.Errorf("only %d demands of 50 executions", demands)
	}
	if len(different) != 50 {
		t.Errorf("%d different executions of 50 keys, want 50", len(different))
	}
}

// TestKeys pins how keys chain, which records and other programs rely on.
func TestKeys(t *testing.T) {
	key := rdr.Root(1, 2, 3, 4)
	b := block(t, "par { repeat 2 { cpu exp(5ms) } retry 2 { call app send exp(1KiB) { wait exp(1ms) } } }")
	var task rdr.Task
	var d rdr.Demand
	task.Start(b, key, "")
	var cpu, send []int64
	var calls []rdr.Key
	for task.Next(&d) {
		o := rdr.OK
		switch d.Op {
		case rdr.OpCPU:
			cpu = append(cpu, d.N)
		case rdr.OpCall:
			calls = append(calls, d.Key)
			send = append(send, d.N)
			if len(calls) < 3 {
				o = rdr.Lost
			}
		}
		task.Met(d.ID, o)
	}
	// Pre-order: par 0, repeat 1, cpu 2, retry 3, call 4.
	exp := func(k rdr.Key, mean float64) int64 { return int64(mean*k.Exp() + 0.5) }
	if want := []int64{exp(key.Mix(2).Mix(0), 5e6), exp(key.Mix(2).Mix(1), 5e6)}; !slices.Equal(cpu, want) {
		t.Errorf("cpu %v, want mix(key, node, iteration): %v", cpu, want)
	}
	at := key.Mix(4).Mix(0)
	if want := []rdr.Key{at.Mix(0), at.Mix(1), at.Mix(2)}; !slices.Equal(calls, want) {
		t.Errorf("calls %x, want mix(key, node, iteration, attempt): %x", calls, want)
	}
	if want := []int64{exp(at, 1024), exp(at.Mix(1), 1024), exp(at.Mix(2), 1024)}; !slices.Equal(send, want) {
		t.Errorf("sent %v, want %v", send, want)
	}
}

// TestForksDrawTheirIteration tells the forks of a loop apart.
func TestForksDrawTheirIteration(t *testing.T) {
	seen := map[int64]bool{}
	block(t, "repeat 5 { fork { wait exp(1s) } }").Draw(rdr.Root(1, 1, 1, 1), "", func(d *rdr.Demand) {
		if d.Op == rdr.OpWait {
			seen[d.N] = true
		}
	})
	if len(seen) != 5 {
		t.Errorf("%d different waits of 5 forks", len(seen))
	}
}

// TestRetryDrawsAnew would fail for ever if attempts drew alike.
func TestRetryDrawsAnew(t *testing.T) {
	b := block(t, "retry 60 { fail 0.5 }")
	var task rdr.Task
	for i := range uint64(100) {
		if got := task.Draw(b, rdr.Root(1, 0, 0, i), "", func(*rdr.Demand) {}); got != rdr.OK {
			t.Fatalf("key %d: %v after 61 attempts", i, got)
		}
	}
}

func TestAttributes(t *testing.T) {
	b := block(t, `priority 3 deadline exp(1s) par { call a { } call b { priority 7 deadline 5ms }
		call c { deadline exp(1s) } }`)
	key := rdr.Root(1, 1, 1, 1)
	if got, ok := b.Priority(key); got != 3 || !ok {
		t.Errorf("priority %d, %v", got, ok)
	}
	want := time.Duration(1e9*key.Mix(1).Mix(0).Exp() + 0.5)
	if got, ok := b.Deadline(key); got != want || !ok {
		t.Errorf("deadline %v, %v, want %v", got, ok, want)
	}
	if _, ok := block(t, "cpu 1ms").Deadline(key); ok {
		t.Error("a deadline where there is none")
	}
	var task rdr.Task
	var d rdr.Demand
	task.Start(b, key, "")
	got := map[string]string{}
	for task.Next(&d) {
		got[d.Name] = fmt.Sprint(d.Priority, d.Deadline)
		if d.Name == "c" {
			if dl, _ := d.Block.Deadline(d.Key); d.Deadline != dl {
				t.Errorf("deadline of c %v, want that of its block under its key, %v", d.Deadline, dl)
			}
			delete(got, "c")
		}
	}
	if want := map[string]string{"a": fmt.Sprint(3, want), "b": "7 5ms"}; fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("calls carry %v, want %v", got, want)
	}
	task.Start(block(t, "call a { }"), key, "")
	task.SetPriority(9)
	task.SetDeadline(time.Second)
	if !task.Next(&d) || d.Priority != 9 || d.Deadline != time.Second {
		t.Errorf("inherited %d, %v; want 9, 1s", d.Priority, d.Deadline)
	}
}

// TestCancel withdraws everything that is outstanding or held.
func TestCancel(t *testing.T) {
	b := block(t, "fork { lock b { wait 5ns } } timeout 9ns { lock a { memory 5B { par { cpu 1ns call c { } } } } }")
	var task rdr.Task
	var d rdr.Demand
	open := map[uint32]rdr.Op{}
	held := map[uint32]rdr.Op{}
	task.Start(b, 1, "")
	for task.Next(&d) {
		open[d.ID] = d.Op
		if d.Op == rdr.OpLock || d.Op == rdr.OpMemory {
			held[d.ID] = d.Op
			delete(open, d.ID)
			task.Met(d.ID, rdr.OK)
		}
	}
	if len(open) != 4 || len(held) != 3 {
		t.Fatalf("open %v, held %v", open, held)
	}
	late := rdr.Demand{}
	for id := range open {
		late.ID = id
	}
	task.Cancel(rdr.Canceled)
	if task.Done() {
		t.Error("done before the notices were told")
	}
	for task.Next(&d) {
		from := held
		if d.Op == rdr.OpCancel {
			from = open
		}
		if _, ok := from[d.ID]; !ok || !d.Op.Notice() {
			t.Errorf("unexpected %v of %d", d.Op, d.ID)
		}
		delete(from, d.ID)
	}
	if len(open) != 0 || len(held) != 0 || !task.Done() || task.Outcome() != rdr.Canceled {
		t.Errorf("left open %v, held %v, done %v, %v", open, held, task.Done(), task.Outcome())
	}
	task.Met(late.ID, rdr.OK)
	if task.Next(&d) {
		t.Errorf("%v after the end", d.Op)
	}
}

// TestLateMet answers demands of an earlier execution on the same Task.
func TestLateMet(t *testing.T) {
	var task rdr.Task
	var d rdr.Demand
	b := block(t, "cpu 1ns cpu 2ns")
	task.Start(b, 1, "")
	task.Next(&d)
	old := d.ID
	task.Start(b, 2, "")
	task.Next(&d)
	if d.N != 1 || d.ID == old {
		t.Fatalf("%+v after Start", d)
	}
	task.Met(old, rdr.OK)
	if id := d.ID; task.Next(&d) {
		t.Fatalf("a late answer resumed the task: %+v", d)
	} else {
		task.Met(id, rdr.OK)
		task.Met(id, rdr.OK)
	}
	if !task.Next(&d) || d.N != 2 || task.Next(&d) || task.Steps() != 2 {
		t.Errorf("got %+v, want cpu 2 once", d)
	}
}

const busy = `cpu exp(2ms) par { call app { cpu 1ms reply 8KiB } call static { cpu 200us } }
	fork { call log send 1KiB { disk write 1KiB } } lock a { memory 1MiB { disk read 16KiB } }
	retry 2 backoff 1ms { timeout 1s { call db { } } } choose { 0.9: { cpu 1us } 0.1: { cpu 2us } }
	repeat 3 { wait 1us } level full { reply 20KiB } level lite { reply 1KiB } cpu 100us`

func TestTaskDoesNotAllocate(t *testing.T) {
	b := block(t, busy)
	var task rdr.Task
	demands := 0
	visit := func(*rdr.Demand) { demands++ }
	n := uint64(0)
	run := func() {
		n++
		task.Draw(b, rdr.Root(1, 1, 1, n), "lite", visit)
	}
	run()
	if got := testing.AllocsPerRun(1000, run); got != 0 {
		t.Errorf("%v allocations per execution, want 0", got)
	}
	if demands < 15_000 {
		t.Errorf("%d demands in 1000 executions", demands)
	}
}

func BenchmarkTask(b *testing.B) {
	for name, text := range map[string]string{"one": "cpu exp(5ms) reply 10KiB", "busy": busy} {
		bl := block(b, text)
		b.Run(name, func(b *testing.B) {
			var task rdr.Task
			visit := func(*rdr.Demand) {}
			b.ReportAllocs()
			for i := range b.N {
				task.Draw(bl, rdr.Root(1, 1, 1, uint64(i)), "lite", visit)
			}
		})
	}
}

func BenchmarkRead(b *testing.B) {
	text := []byte(busy)
	compact := block(b, busy).Compact()
	b.Run("text", func(b *testing.B) {
		for range b.N {
			_, _ = rdr.ParseBlock("", text, rdr.Limits{})
		}
	})
	b.Run("compact", func(b *testing.B) {
		for range b.N {
			_, _ = rdr.DecodeBlock(compact, rdr.Limits{})
		}
	})
	b.Run("cached", func(b *testing.B) {
		var c rdr.Cache
		for range b.N {
			_, _, _ = c.Block(compact)
		}
	})
}
