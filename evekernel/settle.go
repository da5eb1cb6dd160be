package evekernel

import (
	"errors"
	"fmt"
	"strings"
	"sync/atomic"

	"github.com/eve-emulation/eve/evekernel/wire"
)

// A settler answers, in the order in which they came, what must not be answered before the disk has it: so the
// connection's reader does not wait for the disk, and what waits at the same time shares a flush. When maxWaiting
// answers wait, the reader does.
type settler struct {
	p    *peer
	owed chan debt    // nil before the first; the reader's
	open atomic.Int64 // those that are not answered
}

// A debt is an answer that waits: to a request or to a batch.
type debt struct {
	req *wire.Req
	res *wire.Res
	err error // of the request
	ack *wire.Ack
}

// failed returns the error of a request whose change could not be kept on disk.
func (d *debt) failed(why error) error {
	name := d.req.Name
	if d.req.Decl != nil {
		name = d.req.Decl.Name
	}
	return errors.Join(d.err, fmt.Errorf("%s %.80s: %w", strings.ReplaceAll(string(d.req.Op), "_", " "), name, why))
}

// owes tells whether answers wait.
func (s *settler) owes() bool { return s.open.Load() > 0 }

// add has d answered once all that was changed before is on disk. Only the reader calls it.
func (s *settler) add(d debt) {
	if s.owed == nil {
		s.owed = make(chan debt, maxWaiting)
		s.p.work.Go(s.run)
	}
	s.open.Add(1)
	s.owed <- d
}

// end has the settler end once it has answered. The reader has ended.
func (s *settler) end() {
	if s.owed != nil {
		close(s.owed)
	}
}

func (s *settler) run() {
	var now []debt
	for d := range s.owed {
		now = append(now[:0], d)
		for n := len(s.owed); n > 0; n-- {
			now = append(now, <-s.owed)
		}
		err := s.p.k.store.Settle()
		for _, d := range now {
			s.answer(d, err)
		}
		_ = s.p.conn.Flush() // a connection that is lost ends its own reading
		s.open.Add(-int64(len(now)))
		clear(now)
	}
}

// answer queues the answer; err is the disk's.
func (s *settler) answer(d debt, err error) {
	switch {
	case d.res != nil:
		if err != nil {
			d.err = d.failed(err)
		}
		_ = s.p.respond(d.res, s.p.conn.Queue, d.err) // likewise
		return
	case err != nil:
		d.ack.Errors = append(d.ack.Errors, wire.FaultOf(fmt.Errorf("sync: %w", err)))
	}
	_ = s.p.conn.Queue(&wire.Frame{Ack: d.ack})
}
