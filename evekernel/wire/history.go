package wire

import (
	"time"

	"github.com/eve-emulation/eve/dsv"
)

// FromHistory returns a request for history as it travels.
func FromHistory(r dsv.HistoryRequest) Req {
	return Req{
		Op: OpHistory, Name: r.Name, Since: Int(r.From), To: Int(r.To), Resolution: Int(r.Resolution),
		Limit: r.Limit, Cursor: Uint(r.Cursor),
	}
}

// History returns the request for history that travelled.
func (r *Req) History() dsv.HistoryRequest {
	return dsv.HistoryRequest{
		Name: r.Name, From: dsv.Instant(r.Since), To: dsv.Instant(r.To), Resolution: time.Duration(r.Resolution),
		Limit: r.Limit, Cursor: uint64(r.Cursor),
	}
}

// SetPage fills in a page of history.
func (r *Res) SetPage(p dsv.HistoryPage) error {
	r.Deltas = make([]Delta, len(p.Deltas))
	for i, d := range p.Deltas {
		var err error
		if r.Deltas[i], err = FromDelta(d, VarRef{}); err != nil {
			return err
		}
	}
	r.Cursor, r.More = Uint(p.Cursor), p.More
	return nil
}

// Page returns the page of the history of n that travelled.
func (r *Res) Page(n dsv.Name) (dsv.HistoryPage, error) {
	p := dsv.HistoryPage{Deltas: make([]dsv.Delta, len(r.Deltas)), Cursor: uint64(r.Cursor), More: r.More}
	for i := range r.Deltas {
		var err error
		if p.Deltas[i], err = r.Deltas[i].Delta(n); err != nil {
			return dsv.HistoryPage{}, err
		}
	}
	return p, nil
}
