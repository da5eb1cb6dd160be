package program

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"sync"
	"time"
	"unicode"

	"github.com/eve-emulation/eve/evekernel/wire"
)

// read makes events of what the program writes, until it has ended; logs are read meanwhile.
func (p *Program) read(logs *sync.WaitGroup) {
	defer close(p.events)
	out := p.outs[0]
	lines := bufio.NewReaderSize(out, MaxLine+1)
	for idle := 0; ; {
		line, err := lines.ReadSlice('\n')
		if errors.Is(err, bufio.ErrBufferFull) {
			p.end(fmt.Errorf("wrote a line of more than %d bytes: it was ended", MaxLine))
			break
		}
		if len(bytes.TrimSpace(line)) > 0 {
			e := p.line(line)
			if e.Err == nil {
				idle = 0
			} else if idle++; idle > MaxFlood {
				p.end(fmt.Errorf("wrote %d lines that answer nothing, the last %s: it was ended", idle, clip(line)))
				break
			}
			p.emit(e)
		}
		if err != nil {
			break
		}
	}
	if !p.within(closeTerm) { // it may close its output a moment before it ends
		p.end(errors.New("closed its standard output: it was ended"))
	}
	_, _ = io.Copy(io.Discard, out) // so that it ends, where it waits for a reader
	<-p.done
	_ = out.Close()
	logs.Wait()
	p.emit(Event{Err: p.fate()})
}

// fate is why and how the program ended.
func (p *Program) fate() error {
	p.mu.Lock()
	why := p.why
	p.mu.Unlock()
	if why == nil {
		why = p.status
	}
	if last := p.tail.last(); last != "" {
		return fmt.Errorf("%w%w; it printed: %s", why, silent{ErrEnded}, last)
	}
	return fmt.Errorf("%w%w", why, silent{ErrEnded})
}

// silent wraps an error that a message need not repeat.
type silent struct{ error }

func (silent) Error() string { return "" }

func (s silent) Unwrap() error { return s.error }

// line reads one line.
func (p *Program) line(b []byte) Event {
	f, err := p.codec.Decode(bytes.TrimSpace(b))
	switch {
	case err != nil:
		return Event{Err: fmt.Errorf("wrote %s, which is no frame%w", clip(b), silent{ErrNonsense})}
	case f.Act == nil:
		return Event{Err: fmt.Errorf("wrote a %s frame, not an act%w", f.Type(), silent{ErrNonsense})}
	}
	n := uint64(f.Act.N)
	p.mu.Lock()
	defer p.mu.Unlock()
	i, told := slices.BinarySearch(p.open, n)
	switch {
	case n <= p.answered:
		return Event{Err: fmt.Errorf("answered tick %d twice, or after a later one%w", n, silent{ErrNonsense})}
	case !told:
		return Event{Err: fmt.Errorf("answered tick %d, which it was not told%w", n, silent{ErrNonsense})}
	}
	p.answered, p.open = n, slices.Delete(p.open, 0, i+1) // no earlier one can be answered any more
	return Event{Act: f.Act}
}

// emit hands an event over; after Close nobody takes it.
func (p *Program) emit(e Event) {
	select {
	case p.events <- e:
	case <-p.over:
	}
}

// Legible is what a program says as one line that does nothing to a terminal: with a space for each control character.
func Legible(s string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsControl(r) {
			return ' '
		}
		return r
	}, s)
}

// tail keeps the last line that a program printed, and logs all.
type tail struct {
	mu   sync.Mutex // guards line
	line string
}

func (t *tail) read(r *os.File, log func(string)) {
	lines := bufio.NewReaderSize(r, 1<<10) // longer ones are logged in pieces
	for n := 0; ; {
		b, err := lines.ReadSlice('\n')
		if s := Legible(strings.TrimRight(string(bytes.ToValidUTF8(b, []byte("?"))), "\r\n")); s != "" {
			t.mu.Lock()
			t.line = s
			t.mu.Unlock()
			if n++; log != nil && n <= MaxLogged {
				log(s)
			} else if log != nil && n == MaxLogged+1 {
				log(fmt.Sprintf("it printed more than %d lines: the rest is not logged", MaxLogged))
			}
		}
		if err != nil && !errors.Is(err, bufio.ErrBufferFull) {
			_ = r.Close()
			return
		}
	}
}

func (t *tail) last() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.line
}

// Step tells the program a tick and waits for its answer, for programs that are stepped in virtual time: there a tick and its
// answer are one instant. What it wrote beside an answer is told to nonsense. One that has not answered after the patience, in
// real time, is ended, and the error tells it, as that of one that has ended by itself does: an ErrEnded. When ctx ends, its
// error is returned, and the program may go on.
func (p *Program) Step(ctx context.Context, t *wire.Tick, patience time.Duration, nonsense func(error)) (*wire.Act, error) {
	if err := p.Tick(t); err != nil {
		return nil, err
	}
	timer := time.NewTimer(patience)
	defer timer.Stop()
	for {
		select {
		case e, ok := <-p.events:
			switch {
			case !ok:
				return nil, ErrEnded
			case e.Act != nil && e.Act.N == t.N:
				return e.Act, nil
			case errors.Is(e.Err, ErrEnded):
				return nil, e.Err
			case e.Err != nil:
				nonsense(e.Err)
			}
		case <-timer.C:
			p.end(fmt.Errorf("did not answer within %v: it was ended", patience))
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		}
	}
}
