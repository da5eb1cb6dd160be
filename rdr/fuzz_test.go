package rdr_test

import (
	"bytes"
	"errors"
	"testing"

	"github.com/eve-emulation/eve/rdr"
)

// seeds are the texts of testdata, faulty ones included.
func seeds(f *testing.F) {
	for _, file := range []string{"testdata/requests.rdr", "testdata/operations.rdr"} {
		for _, chunk := range chunks(f, file) {
			f.Add([]byte(chunk))
		}
	}
	for _, text := range blocks {
		f.Add([]byte(text))
	}
}

// blocks are bodies that between them use everything.
var blocks = []string{
	"", "cpu 5ms reply 10KiB", "cpu exp(5ms) disk read uniform(1KiB, 2KiB) disk write 5MB sync",
	"par { call a send 1KB { cpu 1.5us } { cpu erlang(3, 1ms) wait 0 } } # end",
	"fork { memory lognormal(1MiB, 0.5) { cpu 1ns } } reply pareto(1KiB, 1.5)",
	"choose { 0.25: { reply 1B } 0.75: { fail 0.125 } } priority 3 deadline normal(1s, 0.1s)",
	"repeat exp(3) { retry 2 backoff 1ms { timeout 5s { lock a { cpu 1ms } } } }",
	"file web reply file", "choose { 0.5: { file a } 0.5: { timeout 1s { file a } } } cpu 1ms reply file fork { file b }",
	"repeat uniform(0, 3) { file a } par { { file b cpu 1ms } cpu 1ms } reply file repeat 2 { file c } disk read 1KiB",
	"level full { cpu 5ms }\nlevel lite { }\n\n# tail\ncall web { call web { reply 1B } }",
}

func FuzzParseBlock(f *testing.F) {
	seeds(f)
	f.Fuzz(func(t *testing.T, text []byte) {
		b, err := rdr.ParseBlock("fuzz", text, rdr.Limits{})
		var errs rdr.Errors
		switch {
		case err != nil && (!errors.As(err, &errs) || len(errs) == 0 || len(errs) > 10):
			t.Fatalf("error %v of type %T", err, err)
		case err != nil:
			_ = errs.Pretty()
			return
		}
		roundTrip(t, b)
		exhaust(t, b)
	})
}

func FuzzParseFile(f *testing.F) {
	seeds(f)
	f.Fuzz(func(t *testing.T, text []byte) {
		for _, start := range []rdr.Start{rdr.StartRequest, rdr.StartBlock} {
			file, err := rdr.ParseFile("fuzz", text, start)
			if err != nil {
				_ = err.(rdr.Errors).Pretty()
				continue
			}
			op := func(_, op string) (*rdr.Block, bool) { return file.Request(op) }
			if err := rdr.Link(file, op, nil); err != nil {
				continue
			}
			for _, name := range file.Names() {
				b, _ := file.Request(name)
				roundTrip(t, b)
				exhaust(t, b)
			}
		}
	})
}

func FuzzDecodeBlock(f *testing.F) {
	for _, text := range blocks {
		b, err := rdr.ParseBlock("seed", []byte(text), rdr.Limits{})
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b.Compact())
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		b, err := rdr.DecodeBlock(data, rdr.Limits{})
		if err == nil {
			roundTrip(t, b)
			exhaust(t, b)
		}
	})
}

func FuzzFormat(f *testing.F) {
	seeds(f)
	f.Fuzz(func(t *testing.T, text []byte) {
		if once, err := rdr.Format("fuzz", text); err == nil {
			twice, err := rdr.Format("fuzz", once)
			if err != nil || !bytes.Equal(once, twice) {
				t.Fatalf("formatted twice: %v\n%s\nonce:\n%s", err, twice, once)
			}
			sameFile(t, text, once)
		}
		once, err := rdr.FormatBlock("fuzz", text)
		if err != nil {
			return
		}
		twice, err := rdr.FormatBlock("fuzz", once)
		if err != nil || !bytes.Equal(once, twice) {
			t.Fatalf("formatted twice: %v\n%s\nonce:\n%s", err, twice, once)
		}
		a, err1 := rdr.ParseBlock("fuzz", text, rdr.Limits{})
		b, err2 := rdr.ParseBlock("fuzz", once, rdr.Limits{})
		if (err1 == nil) != (err2 == nil) {
			t.Fatalf("before: %v, after: %v", err1, err2)
		}
		if err1 == nil && !bytes.Equal(a.Compact(), b.Compact()) {
			t.Fatalf("formatting changed the block:\n%s\nto:\n%s", text, once)
		}
	})
}

// sameFile checks that formatting changed no request.
func sameFile(t *testing.T, text, formatted []byte) {
	t.Helper()
	a, err1 := rdr.ParseFile("fuzz", text, rdr.StartRequest)
	b, err2 := rdr.ParseFile("fuzz", formatted, rdr.StartRequest)
	if (err1 == nil) != (err2 == nil) {
		t.Fatalf("before: %v, after: %v", err1, err2)
	}
	if err1 != nil {
		return
	}
	for _, f := range []*rdr.File{a, b} {
		if rdr.Link(f, func(_, op string) (*rdr.Block, bool) { return f.Request(op) }, nil) != nil {
			return
		}
	}
	for _, name := range a.Names() {
		x, _ := a.Request(name)
		y, ok := b.Request(name)
		if !ok || !bytes.Equal(x.Compact(), y.Compact()) {
			t.Fatalf("formatting changed request %s:\n%s\nto:\n%s", name, text, formatted)
		}
	}
}

// roundTrip encodes a block, and decodes and encodes it again.
func roundTrip(t *testing.T, b *rdr.Block) {
	t.Helper()
	data := b.AppendCompact(nil)
	if n := rdr.CompactLen(data); n != len(data) || !rdr.IsCompact(data) {
		t.Fatalf("CompactLen %d of %d bytes", n, len(data))
	}
	again, err := rdr.DecodeBlock(data, rdr.Limits{})
	if err != nil {
		if errors.Is(err, rdr.ErrLimit) && len(data) > 60_000 {
			return
		}
		t.Fatalf("decode of what was encoded: %v", err)
	}
	if got := again.AppendCompact(nil); !bytes.Equal(got, data) {
		t.Fatalf("encoded again: %x, want %x", got, data)
	}
}

// exhaust runs a block to its end, or 10000 demands.
func exhaust(t *testing.T, b *rdr.Block) {
	t.Helper()
	var task rdr.Task
	var d rdr.Demand
	task.Start(b, rdr.Root(1, 2, 3, 4), "full")
	n := 0
	for ; n < 10_000 && task.Next(&d); n++ {
		if d.N < 0 {
			t.Fatalf("demand %+v", d)
		}
		if d.Op != rdr.OpTimer {
			task.Met(d.ID, rdr.OK)
		}
	}
	if n < 10_000 && !task.Done() {
		t.Fatalf("not done after %d demands", n)
	}
	if _, err := b.Mean(); err != nil {
		_ = err.Error()
	}
}
