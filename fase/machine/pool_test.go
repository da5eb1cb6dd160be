package machine_test

import (
	"slices"
	"testing"

	"github.com/eve-emulation/eve/dsv"
	"github.com/eve-emulation/eve/fase/machine"
)

// TestPoolIsResized lets those in line have what is new, and takes from nobody what he holds.
func TestPoolIsResized(t *testing.T) {
	const second = dsv.Instant(1e9)
	p := machine.NewPool(2)
	for job := range machine.Job(5) {
		p.Acquire(0, job+1, 1)
	}
	p.Resize(1*second, 4)
	if got, want := slices.Clone(p.Departed()), []machine.Job{3, 4}; !slices.Equal(got, want) {
		t.Errorf("wider: got %v, want %v", got, want)
	}
	p.Resize(2*second, 1)
	for range 3 {
		p.Release(3*second, 1)
	}
	if got := p.Departed(); len(got) != 0 {
		t.Errorf("narrower: got %v, want nobody while one is held", got)
	}
	p.Release(4*second, 1)
	if got, want := slices.Clone(p.Departed()), []machine.Job{5}; !slices.Equal(got, want) {
		t.Errorf("narrower, free: got %v, want %v", got, want)
	}
	if held, present := p.Use(5 * second); held != 2+4+4+1+1 || present != 5*3+2+1 {
		t.Errorf("use: got %v held and %v present, want 12 and 18", held, present)
	}
}
