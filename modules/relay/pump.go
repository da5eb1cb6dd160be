package relay

import (
	"errors"
	"io"
	"syscall"

	"github.com/eve-emulation/eve/dmm/wasm"
	"github.com/eve-emulation/eve/internal/netpoll"
)

// turnBytes is how much one direction may move in a turn while others wait.
const turnBytes = 1 << 20

// A failure is why a connection cannot go on: an error of the kernel, or a cause of the relay's own.
type failure struct {
	err error // nil: own
	own Cause
}

func (f *failure) cause() Cause {
	if f.err != nil {
		return causeOf(f.err)
	}
	return f.own
}

// pump moves what a flow has, until its source has no more, its destination takes no more, or it has had its share; then
// more is true.
func (l *loop) pump(c *conn, d int) (more bool, fail *failure) {
	f, src, dst := &c.flow[d], &c.end[d], &c.end[1-d]
	for moved := 0; ; {
		if !f.idle() {
			if !dst.writable {
				return false, nil
			}
			if err := l.push(c, d); err != nil {
				return false, &failure{err: err}
			}
			if !f.idle() {
				return false, nil
			}
		}
		if f.ended {
			return false, l.shut(c, d)
		}
		if !src.readable {
			return false, nil
		}
		if moved >= turnBytes {
			return true, nil
		}
		n, fail := l.take(c, d)
		if fail != nil {
			return false, fail
		}
		moved += n
	}
}

// shut hands the end of a stream on, once.
func (l *loop) shut(c *conn, d int) *failure {
	f := &c.flow[d]
	if f.shut {
		return nil
	}
	f.shut = true
	if err := netpoll.CloseWrite(c.fd[1-d]); err != nil {
		if errors.Is(err, syscall.ENOTCONN) { // it has been reset already
			return &failure{own: Reset}
		}
		return &failure{err: err}
	}
	return nil
}

// take gets the next chunk of a flow that holds nothing, and hands on of it what can be.
func (l *loop) take(c *conn, d int) (int, *failure) {
	if l.r.cfg.Mode == Splice && !c.end[d].urgent {
		if p := l.pipe(); p != nil {
			return l.splice(c, d, p)
		}
	}
	return l.copy(c, d)
}

// copy reads a chunk, lets the extension see it, and writes it.
func (l *loop) copy(c *conn, d int) (int, *failure) {
	f, src := &c.flow[d], &c.end[d]
	n, err := netpoll.Read(c.fd[d], l.scratch)
	switch {
	case err == nil:
		src.readable = n == len(l.scratch) || src.more()
	case errors.Is(err, netpoll.ErrAgain):
		src.readable = false
		return 0, nil
	case errors.Is(err, io.EOF):
		f.ended, src.readable = true, false
		return 0, l.last(f)
	default:
		return 0, &failure{err: err}
	}
	out, guests := l.scratch[:n], false
	if f.guest != nil {
		var fail *failure
		if out, guests, fail = l.extend(f, out); fail != nil {
			return 0, fail
		}
	}
	f.since = l.turn
	return n, l.hand(c, d, out, guests)
}

// hand writes a chunk; what is not taken is held. guests says that it is in the guest's memory, where it stays until it is
// asked again.
func (l *loop) hand(c *conn, d int, out []byte, guests bool) *failure {
	f := &c.flow[d]
	if len(out) == 0 {
		return nil
	}
	if c.end[1-d].writable {
		n, err := l.write(c, d, out)
		if err != nil {
			return &failure{err: err}
		}
		if out = out[n:]; len(out) == 0 {
			l.taken(f)
			return nil
		}
	}
	if guests {
		f.held = out
		return nil
	}
	if f.own == nil {
		f.own = l.buffer()
	}
	f.held = f.own[:copy(f.own, out)]
	return nil
}

// write writes to the destination of a flow.
func (l *loop) write(c *conn, d int, p []byte) (int, error) {
	n, err := netpoll.Write(c.fd[1-d], p)
	if n < len(p) {
		c.end[1-d].writable = false
	}
	if errors.Is(err, netpoll.ErrAgain) {
		return 0, nil
	}
	l.moved(d, n)
	return n, err
}

// push hands on what is held.
func (l *loop) push(c *conn, d int) error {
	f := &c.flow[d]
	if f.in > 0 {
		return l.drain(c, d)
	}
	n, err := l.write(c, d, f.held)
	if err != nil {
		return err
	}
	if f.held = f.held[n:]; len(f.held) == 0 {
		l.putBuffer(f)
		l.taken(f)
	}
	return nil
}

// splice fills a pipe from the source, and drains it into the destination. A pipe that is not drained stays with the flow.
func (l *loop) splice(c *conn, d int, p *netpoll.Pipe) (int, *failure) {
	f, src := &c.flow[d], &c.end[d]
	most := min(p.Size(), l.r.cfg.Chunk)
	n, err := p.Fill(c.fd[d], most)
	if err != nil {
		l.putPipe(p)
		switch {
		case errors.Is(err, netpoll.ErrAgain):
			src.readable = false
			return 0, nil
		case errors.Is(err, io.EOF): // or urgent data before the end, which splice does not pass
			return l.copy(c, d)
		}
		return 0, &failure{err: err}
	}
	// A piece of what came takes a slot however small it is, so that a pipe may be full of few bytes.
	src.readable = n == most || n >= p.Slots() || src.more()
	f.pipe, f.in, f.since = p, n, l.turn
	if c.end[1-d].writable {
		if err := l.drain(c, d); err != nil {
			return 0, &failure{err: err}
		}
	}
	return n, nil
}

// drain moves what is in the flow's pipe to the destination.
func (l *loop) drain(c *conn, d int) error {
	f := &c.flow[d]
	for f.in > 0 {
		n, err := f.pipe.Drain(c.fd[1-d], f.in)
		if errors.Is(err, netpoll.ErrAgain) {
			c.end[1-d].writable = false
			return nil
		}
		if err != nil {
			return err
		}
		f.in -= n
		l.moved(d, n)
	}
	l.putPipe(f.pipe)
	f.pipe = nil
	l.taken(f)
	return nil
}

// extend hands a chunk to the extension and returns what goes on, and whether that is in the guest's memory.
func (l *loop) extend(f *flow, chunk []byte) (out []byte, guests bool, fail *failure) {
	begin := now()
	out, err := f.guest.Chunk(chunk)
	if m := l.m; m != nil {
		end := now()
		m.vars[varExtension].Write(m.at(end), float64(end-begin)/1e9)
	}
	l.heard(f)
	if err == nil {
		return out, f.guest.Transforms(), nil
	}
	if fail := l.without(f, err); fail != nil {
		return nil, false, fail
	}
	return chunk, false, nil
}

// heard counts what an extension told in its last call.
func (l *loop) heard(f *flow) {
	if n := f.guest.Told(); n != 0 {
		l.tally.told += n
		l.tally.any = true
	}
}

// without goes on without the extension that failed, or not.
func (l *loop) without(f *flow, err error) *failure {
	if errors.Is(err, wasm.ErrStop) {
		return &failure{own: Stopped}
	}
	l.fault(err)
	whole := f.guest.Whole()
	_ = f.guest.Close() // it is detached already
	f.guest = nil
	if l.r.cfg.OnFault == Close || !whole {
		return &failure{own: Faulted}
	}
	return nil
}

// last asks the extension what it still lets go on at the end of the stream.
func (l *loop) last(f *flow) *failure {
	if f.guest == nil {
		return nil
	}
	out, err := f.guest.End()
	l.heard(f)
	if err != nil {
		return l.without(f, err)
	}
	f.held, f.since = out, l.turn
	return nil
}

// moved counts bytes that a destination has taken.
func (l *loop) moved(d, n int) {
	l.tally.bytes[d] += int64(n)
	l.tally.any = true
}

// taken notes that a chunk has left the relay.
func (l *loop) taken(f *flow) {
	l.tally.chunks++
	if m := l.m; m != nil {
		at := now()
		m.vars[varLatency].Write(m.at(at), float64(at-f.since)/1e9)
	}
}

// buffer returns a buffer of a chunk.
func (l *loop) buffer() []byte {
	if n := len(l.spares); n > 0 {
		b := l.spares[n-1]
		l.spares = l.spares[:n-1]
		return b
	}
	return make([]byte, l.r.cfg.Chunk)
}

// maxSpares bounds what a loop keeps: buffers, and pipes.
const maxSpares = 64

// putPipe takes an empty pipe back.
func (l *loop) putPipe(p *netpoll.Pipe) {
	if len(l.pipes) < maxSpares {
		l.pipes = append(l.pipes, p)
		return
	}
	_ = p.Close()
}

func (l *loop) putBuffer(f *flow) {
	if f.own != nil && len(l.spares) < maxSpares {
		l.spares = append(l.spares, f.own)
	}
	f.own, f.held = nil, nil
}

// pipe returns an empty pipe; nil where there are no descriptors for one.
func (l *loop) pipe() *netpoll.Pipe {
	if n := len(l.pipes); n > 0 {
		p := l.pipes[n-1]
		l.pipes = l.pipes[:n-1]
		return p
	}
	p, err := netpoll.NewPipe(min(2*l.r.cfg.Chunk, 1<<20)) // with room for pieces that are not full ones; a user gets no larger pipe
	if err != nil {
		return nil
	}
	return p
}
