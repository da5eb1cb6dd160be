package wire

import (
	"fmt"
	"time"

	"github.com/eve-emulation/eve/dsv"
)

// FromMode returns the word for m.
func FromMode(m dsv.Mode) string {
	if m == dsv.All {
		return "all"
	}
	return "latest"
}

// ParseMode returns the mode of a word; an empty one is Latest.
func ParseMode(w string) (dsv.Mode, error) {
	switch w {
	case "", "latest":
		return dsv.Latest, nil
	case "all":
		return dsv.All, nil
	}
	return 0, fmt.Errorf("mode %.20q: want latest or all: %w", w, dsv.ErrKind)
}

func parseKind(w string) (dsv.Kind, error) {
	var k dsv.Kind
	if err := k.UnmarshalText([]byte(w)); err != nil {
		return 0, fmt.Errorf("%w: %w", err, dsv.ErrKind)
	}
	return k, nil
}

// A Decl is a dsv.Declaration.
type Decl struct {
	Name    dsv.Name `json:"name"`
	Kind    string   `json:"kind"`
	Unit    string   `json:"unit,omitempty"`
	Help    string   `json:"help,omitempty"`
	Merge   string   `json:"merge,omitempty"`
	History bool     `json:"history,omitempty"`
	Durable bool     `json:"durable,omitempty"`

	Resolution Int `json:"resolution,omitempty"` // ns
}

// FromDecl returns d as it travels.
func FromDecl(d dsv.Declaration) *Decl {
	return &Decl{
		Name: d.Name, Kind: d.Kind.String(), Unit: d.Unit, Help: d.Help,
		Merge: d.Merge.String(), History: d.History, Durable: d.Durable, Resolution: Int(d.Resolution),
	}
}

// Decl returns what travelled; a missing merge rule is Last.
func (w *Decl) Decl() (dsv.Declaration, error) {
	if w == nil {
		return dsv.Declaration{}, fmt.Errorf("no declaration: %w", dsv.ErrKind)
	}
	k, err := parseKind(w.Kind)
	if err != nil {
		return dsv.Declaration{}, err
	}
	m := dsv.Last
	if w.Merge != "" {
		if err := m.UnmarshalText([]byte(w.Merge)); err != nil {
			return dsv.Declaration{}, fmt.Errorf("%w: %w", err, dsv.ErrKind)
		}
	}
	return dsv.Declaration{
		Name: w.Name, Kind: k, Unit: w.Unit, Help: w.Help,
		Merge: m, History: w.History, Durable: w.Durable, Resolution: time.Duration(w.Resolution),
	}, nil
}

// A Reading is a dsv.Reading.
type Reading struct {
	Value  *Value  `json:"value,omitempty"`
	Weight float64 `json:"weight,omitempty"`
	Rev    Uint    `json:"rev,omitempty"`
	T1     Int     `json:"t1,omitempty"`
}

// FromReading returns r as it travels.
func FromReading(r dsv.Reading) (*Reading, error) {
	v, err := FromValue(r.Value)
	if err != nil {
		return nil, err
	}
	return &Reading{Value: v, Weight: r.Weight, Rev: Uint(r.Revision), T1: Int(r.T1)}, nil
}

// Reading returns what travelled; a nil one is the zero Reading.
func (w *Reading) Reading() (dsv.Reading, error) {
	if w == nil {
		return dsv.Reading{}, nil
	}
	v, err := w.Value.Value()
	return dsv.Reading{Value: v, Weight: w.Weight, Revision: dsv.Revision(w.Rev), T1: dsv.Instant(w.T1)}, err
}

// An Info is a dsv.Info.
type Info struct {
	Decl     *Decl  `json:"decl"`
	Rev      Uint   `json:"rev,omitempty"`
	Writers  int    `json:"writers,omitempty"`
	Watchers int    `json:"watchers,omitempty"`
	Dmm      string `json:"dmm,omitempty"` // how the kernel manipulates what is written
	Losses   []Loss `json:"losses,omitempty"`
}

// A Loss is a dsv.Loss.
type Loss struct {
	Module string `json:"module,omitempty"`
	Writer Uint   `json:"writer"`
	Since  Int    `json:"since"`
	Sync   string `json:"sync,omitempty"`
}

// FromInfo returns i as it travels.
func FromInfo(i dsv.Info) *Info {
	w := &Info{Decl: FromDecl(i.Declaration), Rev: Uint(i.Revision), Writers: i.Writers, Watchers: i.Watchers, Dmm: i.Manipulated}
	for _, l := range i.Losses {
		w.Losses = append(w.Losses, Loss{Module: l.Module, Writer: Uint(l.Writer), Since: Int(l.Since), Sync: l.Sync})
	}
	return w
}

// Info returns what travelled.
func (w *Info) Info() (dsv.Info, error) {
	if w == nil {
		return dsv.Info{}, fmt.Errorf("no info")
	}
	d, err := w.Decl.Decl()
	i := dsv.Info{Declaration: d, Revision: dsv.Revision(w.Rev), Writers: w.Writers, Watchers: w.Watchers, Manipulated: w.Dmm}
	for _, l := range w.Losses {
		i.Losses = append(i.Losses, dsv.Loss{Module: l.Module, Writer: dsv.WriterID(l.Writer), Since: dsv.Instant(l.Since), Sync: l.Sync})
	}
	return i, err
}

// FromUpdate returns u as it travels to a watch.
func FromUpdate(watch Uint, u dsv.Update) (*Frame, error) {
	if u.Gap != 0 {
		return &Frame{Gap: &Gap{Watch: watch, Oldest: Uint(u.Gap)}}, nil
	}
	w := &Upd{Watch: watch, Name: u.Name, Rev: Uint(u.Revision), Deleted: u.Deleted, Skipped: u.Skipped}
	if u.Reading.Value.Kind != 0 {
		r, err := FromReading(u.Reading)
		if err != nil {
			return nil, err
		}
		w.Reading = r
	}
	if u.Delta != nil {
		d, err := FromDelta(*u.Delta, VarRef{})
		if err != nil {
			return nil, err
		}
		w.Delta = &d
		if v := u.Reading.Value; w.Reading != nil && (v.Kind == dsv.Bytes || v.Kind == dsv.Text) && v.Equal(u.Delta.Value) {
			w.Reading.Value = nil // it need not travel twice
		}
	}
	return &Frame{Upd: w}, nil
}

// Update returns what travelled.
func (w *Upd) Update() (dsv.Update, error) {
	r, err := w.Reading.Reading()
	if err != nil {
		return dsv.Update{}, err
	}
	u := dsv.Update{Name: w.Name, Revision: dsv.Revision(w.Rev), Reading: r, Deleted: w.Deleted, Skipped: w.Skipped}
	if w.Delta != nil {
		d, err := w.Delta.Delta(w.Name)
		if err != nil {
			return dsv.Update{}, err
		}
		u.Delta = &d
		if w.Reading != nil && w.Reading.Value == nil {
			u.Reading.Value = d.Value.Clone()
		}
	}
	return u, nil
}

// A Start is an egs.Start.
type Start struct {
	T0   Int    `json:"t0"`
	Boot string `json:"boot,omitempty"`
}
