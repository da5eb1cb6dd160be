package rdr_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/eve-emulation/eve/rdr"
)

// world is a scenario's services with their operations.
type world map[string]*rdr.File

func newWorld(t *testing.T, services map[string]string) world {
	t.Helper()
	w := world{}
	for s, text := range services {
		f, err := rdr.ParseFile(s, []byte(text), rdr.StartBlock)
		if err != nil {
			t.Fatal(err)
		}
		w[s] = f
	}
	return w
}

func (w world) linker() rdr.Linker {
	l := rdr.Linker{
		Op: func(service, op string) (*rdr.Block, bool) {
			if f := w[service]; f != nil {
				return f.Request(op)
			}
			return nil, false
		},
		Exists: func(s string) bool { return w[s] != nil },
		Ops: func(s string) []string {
			return w[s].Names()
		},
	}
	for s := range w {
		l.Services = append(l.Services, s)
	}
	return l
}

func TestLink(t *testing.T) {
	w := newWorld(t, map[string]string{
		"shop": "request buy { cpu 1ms call bank.pay send 2B reply 3B }",
		"bank": "request pay { cpu 4ms }",
	})
	f, err := rdr.ParseFile("test", []byte("request r { par { call shop.buy call bank.pay } }"), rdr.StartRequest)
	if err != nil {
		t.Fatal(err)
	}
	r, _ := f.Request("r")
	if _, err := r.Mean(); err == nil || !strings.Contains(err.Error(), "test:1:19: operation shop.buy is not linked") {
		t.Errorf("mean before Link: got %v", err)
	}
	if r.Name() != "r" || r.Start() != rdr.StartRequest {
		t.Errorf("request %q starts with %v", r.Name(), r.Start())
	}
	l := w.linker()
	if err := rdr.Link(f, l.Op, l.Exists); err != nil {
		t.Fatal(err)
	}
	m, err := r.Mean()
	if err != nil {
		t.Fatal(err)
	}
	if got := m.Of("bank"); got.Visits != 2 || got.CPU != 0.008 || got.SendBytes != 2 {
		t.Errorf("bank %+v, want 2 visits, 8 ms, 2 bytes", got)
	}
	want := request(t, "par { call shop { cpu 1ms call bank send 2B { cpu 4ms } reply 3B } call bank { cpu 4ms } }")
	if string(r.Compact()) != string(want.Compact()) {
		t.Error("linked calls differ from the same calls written out")
	}
	if got := strings.Join(r.Services(), " "); got != "bank shop" {
		t.Errorf("services %q, want bank shop", got)
	}
}

func TestLinkMistakes(t *testing.T) {
	tests := map[string]string{
		"request r { call shop.bui }":               `test:1:13: service shop defines no request bui; did you mean "buy"?`,
		"request r { call sop { } }":                `test:1:13: no service sop; did you mean "shop"?`,
		"request r { call shop { call mars { } } }": `test:1:25: no service mars; known are`,
		`request r { http site GET "/" }`:           `test:1:13: no service site`,
		"request r { call shop.a }":                 `shop:2:13: recursion: shop.a calls shop.b calls shop.a; a request must end`,
		"request r { call shop.c }":                 `shop:4:24: recursion: shop.c calls shop.c`,
	}
	for text, want := range tests {
		w := newWorld(t, map[string]string{
			"shop": "request a { call shop.b }\nrequest b { call shop.a }\nrequest buy { }\nrequest c { repeat 1 { call shop.c } }",
		})
		f, err := rdr.ParseFile("test", []byte(text), rdr.StartRequest)
		if err != nil {
			t.Fatal(err)
		}
		err = w.linker().Link(f)
		if err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("%s\ngot  %v\nwant %s", text, err, want)
		}
		var errs rdr.Errors
		if !errors.As(err, &errs) || !strings.Contains(errs.Pretty(), "^") {
			t.Errorf("%s: got %T without a caret, want rdr.Errors", text, err)
		}
	}
}

// TestLinkOfOperations finds a recursion that begins in the linked file itself.
func TestLinkOfOperations(t *testing.T) {
	w := newWorld(t, map[string]string{"s": "request a { call s.b }\nrequest b { call s.a }"})
	if err := w.linker().Link(w["s"]); err == nil || !strings.Contains(err.Error(), "recursion") {
		t.Errorf("got %v, want a recursion", err)
	}
}

func TestStartOfUnlinkedBlockPanics(t *testing.T) {
	f, err := rdr.ParseFile("test", []byte("request r { call a.b }"), rdr.StartRequest)
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if recover() == nil {
			t.Error("no panic")
		}
	}()
	r, _ := f.Request("r")
	new(rdr.Task).Start(r, 1, "")
}

func TestEmpirical(t *testing.T) {
	files := map[string]string{
		"cpu.txt": "3ms\n1ms\n\n# a comment\n2ms # another\n0.002\n", "bad.txt": "1ms\n5KiB\n", "empty.txt": "\n",
		"size.txt": "5\n10KB\n",
	}
	cfg := rdr.Config{Load: func(name string) ([]byte, error) {
		if text, ok := files[name]; ok {
			return []byte(text), nil
		}
		return nil, fmt.Errorf("open %s: no such file", name)
	}}
	for text, want := range map[string]string{
		`cpu empirical("bad.txt")`:   "test:1:15: bad.txt:2: `5KiB` is a size",
		`cpu empirical("none.txt")`:  "test:1:15: open none.txt: no such file",
		`cpu empirical("empty.txt")`: "test:1:5: empirical has no samples",
		`cpu empirical(3ms)`:         "test:1:15: the name of a file is due",
		`cpu empirical("cpu.txt")`:   "test:1:15: cpu.txt:6: `0.002` has no unit",
	} {
		if _, err := cfg.ParseBlock("test", []byte(text)); err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("%s: got %v, want %s", text, err, want)
		}
	}
	files["cpu.txt"] = "3ms\n1ms\n\n# a comment\n2ms # another\n2ms\n"
	b, err := cfg.ParseBlock("test", []byte(`cpu empirical("cpu.txt") call a { cpu empirical("cpu.txt") }`))
	if err != nil {
		t.Fatal(err)
	}
	m, err := b.Mean()
	if err != nil || m.Of("").CPU != 0.002 {
		t.Errorf("mean %v, %v; want 2 ms", m.Of("").CPU, err)
	}
	counts := map[int64]int{}
	for i := range 4000 {
		b.Draw(rdr.Root(1, 1, 1, uint64(i)), "", func(d *rdr.Demand) {
			if d.Op == rdr.OpCPU {
				counts[d.N]++
			}
		})
	}
	if len(counts) != 3 || counts[2e6] < 1850 || counts[2e6] > 2150 {
		t.Errorf("drawn %v, want 1, 2 and 3 ms, half of them 2 ms", counts)
	}
	roundTrip(t, b)
	_, err = rdr.Config{Load: cfg.Load, Limits: rdr.Limits{Size: 60}}.ParseBlock("test", []byte(`cpu empirical("cpu.txt")`))
	if err != nil {
		t.Errorf("within the size: %v", err)
	}
	files["cpu.txt"] = strings.Repeat("1ms\n", 10_000)
	_, err = rdr.Config{Load: cfg.Load, Limits: rdr.Limits{Size: 1000}}.ParseBlock("test", []byte(`cpu empirical("cpu.txt")`))
	if !errors.Is(err, rdr.ErrLimit) {
		t.Errorf("10000 samples in 1000 bytes: got %v, want ErrLimit", err)
	}
}
