package modules

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/eve-emulation/eve/dsv"
)

// TestUnansweredWaits checks that deltas which nobody has acknowledged are not forgotten: the last synchronisation sends
// them again, or tells that they are lost.
func TestUnansweredWaits(t *testing.T) {
	e := newEnv(Link{Name: "one"})
	e.proxy = NewProxy(e.link, nil) // which never connects
	m := &measure{failed: map[string]bool{}, more: make(chan struct{}, 1)}
	m.pending = []dsv.Delta{{Name: "x", Seq: 1, Value: dsv.IntValue(1)}, {Name: "x", Seq: 2, Value: dsv.IntValue(1)}}
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	if err := e.flush(ctx, m); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("flush: %v, want %v", err, context.DeadlineExceeded)
	}
	if len(m.pending) != 2 || m.pending[0].Seq != 1 {
		t.Errorf("%+v wait, want both, in order", m.pending)
	}
}
