package evekernel

import (
	"errors"
	"fmt"
	"io"

	"github.com/eve-emulation/eve/dsv"
	"github.com/eve-emulation/eve/evekernel/wire"
)

// mergeAtOnce is how many packed deltas are merged at once: so what a batch takes in memory does not grow with it.
const mergeAtOnce = 64

// merger merges the batches of one connection. It belongs to the connection's reader.
type merger struct {
	deltas []dsv.Delta
	names  []dsv.Name // by number - 1
	due    wire.Uint  // the batch up to which all are merged, when nobody was told so; 0 for none
	more   int        // errors of the present batch beyond those that are told
}

// merge merges a batch and acknowledges it: at once if something is wrong with it, otherwise together with those that
// come in the same message. Over JSON each batch has its own acknowledgement. That of a batch with durable deltas, and
// of all after it, waits for the disk.
func (p *peer) merge(b *wire.Batch) error {
	var errs []error
	p.merger.more = 0
	if len(b.Packed) > 0 {
		if len(b.Deltas) > 0 {
			return fmt.Errorf("a batch of deltas both listed and packed: %w", wire.ErrProtocol)
		}
		var err error
		if errs, err = p.mergePacked(b.Packed); err != nil {
			return err
		}
	} else {
		errs = p.mergeListed(b.Deltas)
	}
	faults := p.merger.faults(errs)
	waits := p.prompt.Owes() || p.settler.owes() // an acknowledgement tells of all batches before, too
	if len(faults) == 0 && p.conn.Coding() == wire.CBOR && !waits {
		p.merger.due = b.Seq
		return nil
	}
	p.merger.due = 0
	ack := &wire.Ack{Seq: b.Seq, Errors: faults}
	if waits {
		p.settler.add(debt{ack: ack})
		return nil
	}
	return p.conn.Answer(&wire.Frame{Ack: ack})
}

// acknowledge tells which batches are merged. The connection calls it before it waits for more.
func (p *peer) acknowledge() {
	if seq := p.merger.due; seq != 0 {
		p.merger.due = 0
		_ = p.conn.Answer(&wire.Frame{Ack: &wire.Ack{Seq: seq}}) // a connection that is lost ends its own reading
	}
}

// faults returns errors as they travel with an acknowledgement.
func (m *merger) faults(errs []error) []wire.Fault {
	fs := wire.FaultsOf(errors.Join(errs...))
	if n := len(fs) + m.more; n > maxFaults {
		fs = append(fs[:maxFaults:maxFaults], wire.Fault{Code: wire.CodeError, Msg: fmt.Sprintf("and %d errors more", n-maxFaults)})
	}
	return fs
}

// keep appends an error, unless there are more than will be told.
func (m *merger) keep(errs []error, err error) []error {
	switch {
	case err == nil:
	case len(errs) > maxFaults:
		m.more++
	default:
		errs = append(errs, err)
	}
	return errs
}

func (p *peer) mergeListed(listed []wire.Delta) []error {
	deltas := make([]dsv.Delta, 0, len(listed))
	var errs []error
	for i := range listed {
		n, err := p.s.resolve(listed[i].Var)
		var d dsv.Delta
		if err == nil {
			d, err = listed[i].Delta(n)
		}
		if err != nil {
			errs = p.merger.keep(errs, err)
			continue
		}
		deltas = append(deltas, d)
	}
	return p.merger.keep(errs, p.prompt.Sync(p.ctx, deltas))
}

// mergePacked merges packed deltas. What cannot be read at all is ErrProtocol and ends the connection; errs are those of
// single deltas.
func (p *peer) mergePacked(b []byte) (errs []error, err error) {
	m := &p.merger
	if m.deltas == nil {
		m.deltas = make([]dsv.Delta, 0, mergeAtOnce)
	}
	m.names = p.s.names()
	u := wire.NewUnpacker(b)
	for {
		m.deltas = m.deltas[:0]
		for len(m.deltas) < mergeAtOnce && err == nil {
			var bad error
			bad, err = m.next(u)
			errs = m.keep(errs, bad)
		}
		errs = m.keep(errs, p.prompt.Sync(p.ctx, m.deltas))
		clear(m.deltas) // they keep values alive
		switch {
		case errors.Is(err, io.EOF):
			return errs, nil
		case err != nil:
			return errs, fmt.Errorf("batch: %w", err)
		}
	}
}

// next reads one delta. bad is what is wrong with it alone; err ends the batch.
func (m *merger) next(u *wire.Unpacker) (bad, err error) {
	m.deltas = m.deltas[:len(m.deltas)+1]
	d := &m.deltas[len(m.deltas)-1]
	num, err := u.Next(d)
	switch {
	case err == nil && num == 0:
		return nil, nil
	case err == nil && num <= uint64(len(m.names)):
		d.Name = m.names[num-1]
		return nil, nil
	case err == nil:
		bad = fmt.Errorf("sync: variable number %d was not given: %w", num, dsv.ErrNotFound)
	case !errors.Is(err, io.EOF) && !errors.Is(err, wire.ErrProtocol):
		bad, err = fmt.Errorf("sync: %w", err), nil
	}
	m.deltas = m.deltas[:len(m.deltas)-1]
	return bad, err
}
