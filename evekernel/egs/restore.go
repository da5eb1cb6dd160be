package egs

import (
	"fmt"

	"github.com/eve-emulation/eve/dsv"
)

// Restore puts a barrier back that a former hub of the run announced: whoever joins it learns that start at once. It is
// called before others use the hub; a barrier that exists already is dsv.ErrExists.
func (h *Hub) Restore(n dsv.Name, s Start) error {
	if _, err := dsv.ParseName(string(n)); err != nil {
		return fmt.Errorf("restore barrier: %w", err)
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.barriers[n] != nil {
		return fmt.Errorf("restore barrier %s: %w", n, dsv.ErrExists)
	}
	b := h.barrier(n)
	if !b.over() {
		b.start = s
		close(b.done)
	}
	return nil
}
