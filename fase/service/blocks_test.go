package service_test

import (
	"fmt"
	"strings"

	"github.com/eve-emulation/eve/rdr"
)

// request writes a random request and parses it.
func (w *world) request() *rdr.Block {
	w.t.Helper()
	src := "request page { " + w.call(0) + w.body(0, false) + " }"
	f, err := rdr.ParseFile("chaos", []byte(src), rdr.StartRequest)
	if err != nil {
		w.t.Fatalf("%s\n%v", src, err)
	}
	b, _ := f.Request("page")
	return b
}

func (w *world) body(depth int, server bool) string {
	var b strings.Builder
	for range 1 + w.rng.IntN(3) {
		b.WriteString(w.statement(depth, server))
	}
	return b.String()
}

// us is a random amount of time.
func (w *world) us(most int) string {
	switch n := 1 + w.rng.IntN(most); w.rng.IntN(4) {
	case 0:
		return fmt.Sprintf("exp(%dus)", n)
	case 1:
		return "0"
	default:
		return fmt.Sprintf("%dus", n)
	}
}

func (w *world) call(depth int) string {
	i := w.rng.IntN(len(w.topo.Services))
	s, inner := w.topo.Services[i], depth+1
	if w.cfgs[i].Pool.Threads > 0 {
		inner = 4 // it calls nobody: services with few workers that call one another would wait for ever, as they do
	}
	reply := ""
	if w.rng.IntN(2) == 0 {
		reply = fmt.Sprintf("reply %dB ", w.rng.IntN(20_000))
		if w.rng.IntN(3) == 0 {
			reply = "file web reply file "
		}
		if w.rng.IntN(2) == 0 {
			reply += w.leaf() // tail work
		}
	}
	attributes := []string{"", "priority 1 ", "deadline exp(5ms) ", "priority 2 deadline 20ms "}[w.rng.IntN(4)]
	return fmt.Sprintf("call %s send %dB { %s%s%s} ", s, w.rng.IntN(2000), attributes, w.body(inner, true), reply)
}

// leaf is a statement that holds nothing and calls nobody.
func (w *world) leaf() string {
	switch w.rng.IntN(6) {
	case 5:
		return "file web "
	case 0, 1:
		return "cpu " + w.us(2000) + " "
	case 2:
		return "wait " + w.us(3000) + " "
	case 3:
		return fmt.Sprintf("disk read %dB ", w.rng.IntN(50_000))
	default:
		return fmt.Sprintf("disk write %dB sync ", w.rng.IntN(5000))
	}
}

func (w *world) statement(depth int, server bool) string {
	if depth > 3 {
		if server {
			return w.leaf()
		}
		return "wait " + w.us(1000) + " "
	}
	in := func() string { return w.body(depth+1, server) }
	switch k := w.rng.IntN(16); {
	case k < 4 && server:
		return w.leaf()
	case k < 6 && depth < 3:
		return w.call(depth)
	case k == 6:
		return fmt.Sprintf("choose { 0.5: { %s} 0.5: { %s} } ", in(), in())
	case k == 7:
		return fmt.Sprintf("repeat %d { %s} ", w.rng.IntN(3), in())
	case k == 8 && server: // bodies that wait for nobody: what is held is given back
		return fmt.Sprintf("memory %dB { %s} ", w.rng.IntN(60_000), w.leaf())
	case k == 9 && server:
		return fmt.Sprintf("lock a { %slock b { %s} } ", w.leaf(), w.leaf())
	case k == 10 && server:
		return "lock b { " + w.leaf() + "} "
	case w.gentle:
		return "wait " + w.us(1000) + " "
	case k == 11 && server:
		return "fail 0.1 "
	case k == 12:
		return fmt.Sprintf("timeout %s { %s} ", w.us(8000), in())
	case k == 13:
		return fmt.Sprintf("retry %d backoff %s { %s} ", 1+w.rng.IntN(2), w.us(2000), in())
	case k == 14:
		return fmt.Sprintf("par { %s{ %s} } ", w.statement(depth+1, server), in())
	case k == 15:
		return fmt.Sprintf("fork { %s} ", in())
	}
	return "wait " + w.us(1000) + " "
}
