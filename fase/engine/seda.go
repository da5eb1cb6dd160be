package engine

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/eve-emulation/eve/fase/engine/stage"
	"github.com/eve-emulation/eve/internal/http1"
)

// seda is the engine of that name. Its first stage, which accepts and reads, is the keeper's loop; the others are stages with queues
// and threads of their own:
//
//	accept, read → parse → handle → write
//	                        ↕
//	                       file
//
// An event of parse or write is a connection, which is in each of these queues once at most; one of handle is a request, or computing that
// a request asks for; one of file is its disk work.
type seda struct {
	shared
	sessions
	parse  *stage.Stage[*session]
	handle *stage.Stage[demand]
	file   *stage.Stage[func(*Thread)]
	write  *stage.Stage[*session]

	rewires wire        // for responses; guarded by the handler's lock
	own     *wire       // the keeper's
	serving *sedaThread // the thread of handle that calls the handler; guarded by the handler's lock

	mu    sync.Mutex // guards what follows
	again []*session // whose reading goes on
	asks  []*ask     // free

	stops []func() // of the stages, in order
}

// A demand is an event of the handle stage: a request, or work.
type demand struct {
	ask  *ask
	work func(*Thread)
}

// An ask is a whole request on its way to the handler.
type ask struct {
	req http1.Request // lies in buf
	buf []byte
	ref Ref
}

// A sedaThread is what a thread of the handle or the file stage keeps.
type sedaThread struct {
	Thread
	works []func(*Thread) // what the handler gave to it
}

// busy is the answer to a request that finds a queue full.
var busy = Response{Status: 503, Header: []byte("Retry-After: 1\r\n" + string(plainText)), Body: []byte("server is busy\n")}

func listenSeda(cfg Config, handler func(loop int) Handler) (Engine, error) {
	if cfg.Threads == 0 {
		cfg.Threads = 20 // as published
	}
	if err := cfg.Stages.check(); err != nil {
		return nil, fmt.Errorf("listen %s: %w", cfg.Listen, err)
	}
	e := new(seda)
	e.model = e
	e.sessions.init(&e.shared)
	if err := listenShared(&e.shared, cfg, handler); err != nil {
		return nil, err
	}
	e.configure(&e.cfg)
	e.rewires, e.own = *e.wire(), e.wire()
	if err := e.stages(); err != nil {
		return nil, errors.Join(err, e.Close())
	}
	return e, nil
}

// stages makes the stages.
func (e *seda) stages() error {
	var errs [4]error
	ends := func(t *stage.Thread) {
		if th, ok := t.Local.(*sedaThread); ok {
			th.end()
		}
	}
	cfg := func(name string) stage.Config {
		c := stage.Config{Name: name, Queue: e.cfg.Queue, Threads: e.cfg.Stages.Threads, Batching: e.cfg.Stages.Batching, Ends: ends}
		if c.Threads.Most == 0 {
			c.Threads.Most = e.cfg.Threads
		}
		return c
	}
	e.parse, errs[0] = stage.New(cfg("parse"), e.parseBatch)
	handle := cfg("handle")
	handle.Admission = newAdmission(e.cfg.Stages.Control)
	if n := e.cfg.Stages.Handle; n > 0 {
		handle.Threads.Least, handle.Threads.Most = min(handle.Threads.Least, n), min(handle.Threads.Most, n)
	}
	e.handle, errs[1] = stage.New(handle, e.handleBatch)
	e.file, errs[2] = stage.New(cfg("file"), e.fileBatch)
	e.write, errs[3] = stage.New(cfg("write"), e.writeBatch)
	return errors.Join(errs[:]...)
}

// Stages returns how the stages stand. Any goroutine may call it.
func (e *seda) Stages() []StageStats {
	return []StageStats{e.parse.Stats(), e.handle.Stats(), e.file.Stats(), e.write.Stats()}
}

func (e *seda) start() {
	for _, run := range []func(context.Context){e.parse.Run, e.handle.Run, e.file.Run, e.write.Run} {
		ctx, cancel := context.WithCancel(context.Background())
		var wg sync.WaitGroup
		wg.Go(func() { run(ctx) })
		e.stops = append(e.stops, func() {
			cancel()
			wg.Wait()
		})
	}
}

// stop ends the stages in their order, so that what waits in one still finds the next.
func (e *seda) stop() {
	for _, stop := range e.stops {
		stop()
	}
	e.each(func(c *session) {
		c.mu.Lock()
		gen := c.gen
		c.mu.Unlock()
		e.sever(c, gen)
	})
}

// What follows is the handler's loop, under its lock.

func (e *seda) respond(ref Ref, res *Response) bool {
	c := e.at(ref.slot())
	if c == nil {
		return false
	}
	c.mu.Lock()
	p := c.find(ref.serial())
	if p == nil {
		c.mu.Unlock()
		return false
	}
	refs := e.answer(&e.rewires, c, p, res)
	if c.x.queued > 0 || c.flags&last != 0 {
		e.toWrite(c)
	}
	c.mu.Unlock()
	e.orphaned(refs)
	return true
}

func (e *seda) work(_ Ref, kind WorkKind, fn func(*Thread)) bool {
	switch {
	case kind == Disk:
		return e.file.Push(fn)
	case e.serving != nil:
		e.serving.works = append(e.serving.works, fn)
		return true
	default:
		return e.handle.Push(demand{work: fn})
	}
}
