package runs

import "testing"

// BenchmarkOwnCPU is what a probe does once a second.
func BenchmarkOwnCPU(b *testing.B) {
	for b.Loop() {
		if ownCPU() <= 0 {
			b.Fatal("this process used no CPU")
		}
	}
}
