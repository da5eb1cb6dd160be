package enginetest

import (
	"bytes"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/eve-emulation/eve/fase/engine"
	"github.com/eve-emulation/eve/internal/mono"
)

// handler does what the path asks for:
//
//	/fill/N      N bytes of filler
//	/body/N      N bytes of body
//	/echo        the request's body
//	/after/D     "after D", once the duration D has passed
//	/never       no answer
//	/status/N    an empty response with that status, header X-Test: 1
//	/close       "bye", and the connection closes
//	/header/H    the value of header H
//	/owner/…     the rest of the path, passed to loop 0, with the loop that answers in X-Loop
//	/call/A/P    what comes of a call to address A, path P, in time: 10 s, or 200 ms for the path never
//	/cancel/A/P  the same call, cancelled at once
//	/toil/K      "done" after work of kind K (cpu, disk), or "inline" if the engine leaves that to the handler
//	/tail/K      "bye", and then work of kind K
//	/relict/K    no answer, and work of kind K once 20 ms have passed
type handler struct {
	agenda  []due
	calls   map[engine.CallRef]engine.Ref
	lastRef engine.CallRef
	closed  chan engine.Ref // told to Closed
	never   chan engine.Ref // asked for by /never
	post    func(i int, fn func(engine.Loop)) bool

	worked, threads, exits atomic.Int64
}

type due struct {
	at   int64
	ref  engine.Ref
	res  engine.Response
	work string // in place of res
}

func newHandler() *handler {
	return &handler{
		calls:  make(map[engine.CallRef]engine.Ref),
		closed: make(chan engine.Ref, 1000),
		never:  make(chan engine.Ref, 1000),
	}
}

func (h *handler) Request(l engine.Loop, ref engine.Ref, r *engine.Request) {
	path := string(r.Path())
	var header []byte
	if rest, ok := strings.CutPrefix(path, "/owner"); ok {
		if l.Index() != 0 {
			if !l.Pass(0, ref, r) {
				l.Respond(ref, engine.Response{Status: 503})
			}
			return
		}
		path = rest
		header = []byte("X-Loop: 0\r\n")
	}
	verb, arg, _ := strings.Cut(strings.TrimPrefix(path, "/"), "/")
	res := engine.Response{Header: header}
	switch verb {
	case "fill":
		res.Filler, _ = strconv.ParseInt(arg, 10, 64)
	case "body":
		n, _ := strconv.Atoi(arg)
		res.Body = bytes.Repeat([]byte("b"), n)
	case "echo":
		res.Body = r.Body
	case "after":
		d, err := time.ParseDuration(arg)
		if err != nil {
			res.Status = 400
			break
		}
		res.Body = []byte("after " + arg)
		h.agenda = append(h.agenda, due{at: l.Now() + int64(d), ref: ref, res: res})
		return
	case "never":
		h.never <- ref
		return
	case "status":
		res.Status, _ = strconv.Atoi(arg)
		res.Header = []byte("X-Test: 1\r\n")
	case "close":
		res.Body, res.Close = []byte("bye"), true
	case "header":
		v, ok := r.Header(arg)
		res.Body = fmt.Appendf(nil, "%s %v", v, ok)
	case "toil":
		if !h.work(l, ref, arg, func() {
			h.post(l.Index(), func(l engine.Loop) { l.Respond(ref, engine.Response{Body: []byte("done")}) })
		}) {
			l.Respond(ref, engine.Response{Body: []byte("inline")})
		}
		return
	case "tail":
		l.Respond(ref, engine.Response{Body: []byte("bye")})
		h.work(l, ref, arg, nil)
		return
	case "relict":
		h.never <- ref
		h.agenda = append(h.agenda, due{at: l.Now() + int64(20*time.Millisecond), ref: ref, work: arg})
		return
	case "call", "cancel":
		h.call(l, ref, verb, arg)
		return
	default:
		res.Status = 404
	}
	l.Respond(ref, res)
}

func (h *handler) call(l engine.Loop, ref engine.Ref, verb, arg string) {
	addr, path, _ := strings.Cut(arg, "/")
	h.lastRef++
	h.calls[h.lastRef] = ref
	req := "GET /" + path + " HTTP/1.1\r\nHost: eve\r\n\r\n"
	limit := 10 * time.Second // a busy host takes its time
	if path == "never" {
		limit = 200 * time.Millisecond
	}
	l.Call(addr, []byte(req), mono.Now()+int64(limit), h.lastRef)
	if verb == "cancel" {
		l.Cancel(h.lastRef)
		l.Cancel(h.lastRef)
		h.agenda = append(h.agenda, due{at: l.Now() + int64(20*time.Millisecond), ref: ref, res: engine.Response{Body: []byte("cancelled")}})
	}
}

func (h *handler) Answer(l engine.Loop, ref engine.CallRef, a *engine.Answer) {
	to, ok := h.calls[ref]
	if !ok {
		panic("an answer to no call")
	}
	delete(h.calls, ref)
	body := fmt.Sprintf("status %d bytes %d", a.Status, a.Bytes)
	if v, ok := a.Header("x-test"); ok {
		body += fmt.Sprintf(" x-test %s", v)
	}
	if a.Err != nil {
		body = a.Err.Error()
	}
	if !l.Respond(to, engine.Response{Body: []byte(body)}) && !errors.Is(a.Err, engine.ErrStopped) {
		panic("respond: " + body + ": stale")
	}
	if l.Respond(to, engine.Response{Body: []byte("twice")}) && a.Err == nil {
		panic("a second response was taken")
	}
}

// work has the engine do work of a kind, and reports whether it will; else it counts as done here.
func (h *handler) work(l engine.Loop, ref engine.Ref, kind string, then func()) bool {
	k := engine.CPU
	if kind == "disk" {
		k = engine.Disk
	}
	given := l.Work(ref, k, func(t *engine.Thread) {
		if t.Local == nil { // the first on this thread
			t.Local = h
			h.threads.Add(1)
			t.OnExit(func() { h.exits.Add(1) })
		}
		h.worked.Add(1)
		if then != nil {
			then()
		}
	})
	if !given {
		h.worked.Add(1)
	}
	return given
}

func (h *handler) Closed(_ engine.Loop, ref engine.Ref) { h.closed <- ref }

func (h *handler) Next() int64 {
	next := mono.Never
	for i := range h.agenda {
		next = min(next, h.agenda[i].at)
	}
	return next
}

func (h *handler) Advance(l engine.Loop, now int64) {
	kept := h.agenda[:0]
	for _, d := range h.agenda {
		switch {
		case d.at > now:
			kept = append(kept, d)
		case d.work != "":
			h.work(l, d.ref, d.work, nil)
		default:
			l.Respond(d.ref, d.res)
		}
	}
	h.agenda = kept
}

func itoa(n int) string { return strconv.Itoa(n) }
