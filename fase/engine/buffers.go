package engine

import (
	"math/bits"
	"sync"
)

// buffers is a pool of byte slices in powers of two. What comes back beyond a bound is left to the collector.
type buffers struct {
	mu   *sync.Mutex // of a pool that threads share, nil of a loop's own
	free [buffersTop - buffersLow + 1][][]byte
	kept int // bytes
}

const (
	buffersLow = 12 // 4 KiB
	buffersTop = 22 // 4 MiB; larger ones are not pooled
	buffersMax = 16 << 20
)

// get returns an empty slice of at least n bytes of capacity.
func (b *buffers) get(n int) []byte {
	class := max(bits.Len(uint(max(n, 1)-1)), buffersLow)
	if class > buffersTop {
		return make([]byte, 0, n)
	}
	if b.mu != nil {
		b.mu.Lock()
		defer b.mu.Unlock()
	}
	list := &b.free[class-buffersLow]
	if k := len(*list); k > 0 {
		p := (*list)[k-1]
		*list = (*list)[:k-1]
		b.kept -= cap(p)
		return p[:0]
	}
	return make([]byte, 0, 1<<class)
}

// put takes a slice from get back; nil is allowed.
func (b *buffers) put(p []byte) {
	n := cap(p)
	if n < 1<<buffersLow || n > 1<<buffersTop || n&(n-1) != 0 {
		return
	}
	if b.mu != nil {
		b.mu.Lock()
		defer b.mu.Unlock()
	}
	if b.kept+n > buffersMax {
		return
	}
	list := &b.free[bits.Len(uint(n))-1-buffersLow]
	*list = append(*list, p)
	b.kept += n
}

// grow returns p with room for n more bytes, in a larger slice if need be.
func (b *buffers) grow(p []byte, n int) []byte {
	if cap(p)-len(p) >= n {
		return p
	}
	q := append(b.get(max(len(p)+n, 2*cap(p))), p...)
	b.put(p)
	return q
}
