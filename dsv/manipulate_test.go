package dsv_test

import (
	"errors"
	"fmt"
	"testing"

	"github.com/eve-emulation/eve/dsv"
)

// gate is a Front that keeps what it is handed.
type gate struct {
	writes []dsv.Value
	deltas []dsv.Delta
	gone   int
}

func (g *gate) Takes(v dsv.Value, delta bool) error {
	if v.Kind == dsv.Text {
		return fmt.Errorf("no text: %w", dsv.ErrKind)
	}
	return nil
}
func (g *gate) Write(v dsv.Value)  { g.writes = append(g.writes, v) }
func (g *gate) Merge(d *dsv.Delta) { g.deltas = append(g.deltas, *d) }
func (g *gate) Gone()              { g.gone++ }
func (g *gate) String() string     { return "a gate" }

// TestFront has what others write go to a Front, each delta once, and what its writer synchronises to the variable.
func TestFront(t *testing.T) {
	ctx := t.Context()
	s := dsv.NewStore(nil)
	defer s.Close()
	g := &gate{}
	d := dsv.Declaration{Name: "a.b", Kind: dsv.Int, Merge: dsv.Sum}
	if err := s.Manipulate(ctx, d, 99, g); err != nil {
		t.Fatal(err)
	}
	if err := s.Create(ctx, d); err != nil {
		t.Errorf("an equal declaration: %v", err)
	}
	if rev, err := s.Write(ctx, "a.b", dsv.FloatValue(1.5)); err != nil || rev != 0 {
		t.Errorf("write: revision %d, %v", rev, err)
	}
	if _, err := s.Write(ctx, "a.b", dsv.TextValue("x")); !errors.Is(err, dsv.ErrKind) {
		t.Errorf("write of text: %v", err)
	}
	if _, err := s.TestAndSet(ctx, "a.b", 0, dsv.IntValue(1)); !errors.Is(err, dsv.ErrKind) {
		t.Errorf("test and set: %v", err)
	}
	one := dsv.Delta{Name: "a.b", Writer: 3, Epoch: 1, Seq: 1, Value: dsv.FloatValue(2), Weight: 1}
	for range 3 {
		if err := s.Sync(ctx, []dsv.Delta{one}); err != nil {
			t.Fatal(err)
		}
	}
	if len(g.writes) != 1 || len(g.deltas) != 1 || g.deltas[0].Value.Float != 2 {
		t.Errorf("the front has %+v and %+v", g.writes, g.deltas)
	}
	if _, err := s.Read(ctx, "a.b"); !errors.Is(err, dsv.ErrUnset) {
		t.Errorf("before the front's own delta: %v", err)
	}
	own := dsv.Delta{Name: "a.b", Writer: 99, Epoch: 1, Seq: 1, Value: dsv.IntValue(7), Weight: 2}
	if err := s.Sync(ctx, []dsv.Delta{own, own}); err != nil {
		t.Fatal(err)
	}
	if r, err := s.Read(ctx, "a.b"); err != nil || r.Value.Int != 7 || r.Revision == 0 {
		t.Errorf("got %+v, %v", r, err)
	}
	if i, err := s.Info(ctx, "a.b"); err != nil || i.Manipulated != "a gate" {
		t.Errorf("info is %+v, %v", i, err)
	}
	for what, d := range map[string]dsv.Declaration{"again": d, "durable": {Name: "c", Kind: dsv.Int, Durable: true}} {
		if err := s.Manipulate(ctx, d, 99, g); err == nil {
			t.Errorf("%s: no error", what)
		}
	}
	if err := s.Delete(ctx, "a.b"); err != nil || g.gone != 1 {
		t.Errorf("deleted: %v, told %d times", err, g.gone)
	}
}

// TestFrontRestored puts a Front before a variable that was restored, and before no other that is there.
func TestFrontRestored(t *testing.T) {
	ctx := t.Context()
	s := dsv.NewStore(nil)
	defer s.Close()
	d := dsv.Declaration{Name: "a.b", Kind: dsv.Int, Merge: dsv.Sum}
	if err := s.Restore(d, dsv.Update{Revision: 5, Reading: dsv.Reading{Value: dsv.IntValue(40), Weight: 40}}, nil); err != nil {
		t.Fatal(err)
	}
	other := d
	other.Unit = "s"
	if err := s.Manipulate(ctx, other, 99, &gate{}); !errors.Is(err, dsv.ErrExists) {
		t.Errorf("with another declaration: %v", err)
	}
	if err := s.Manipulate(ctx, d, 99, &gate{}); err != nil {
		t.Fatal(err)
	}
	if err := s.Sync(ctx, []dsv.Delta{{Name: "a.b", Writer: 99, Epoch: 1, Seq: 1, Value: dsv.IntValue(2), Weight: 2}}); err != nil {
		t.Fatal(err)
	}
	if r, err := s.Read(ctx, "a.b"); err != nil || r.Value.Int != 42 {
		t.Errorf("got %+v, %v", r, err)
	}
	plain := dsv.Declaration{Name: "plain", Kind: dsv.Float}
	if err := s.Create(ctx, plain); err != nil {
		t.Fatal(err)
	}
	if err := s.Manipulate(ctx, plain, 99, &gate{}); !errors.Is(err, dsv.ErrExists) {
		t.Errorf("before a plain variable: %v", err)
	}
}
