package burn

import (
	"fmt"
	"os"
	"syscall"
)

// Memory is pages that are really held: written, and so part of the process's resident set. The zero value holds none.
type Memory struct{ pages []byte }

// Hold takes n bytes of memory, rounded up to whole pages. They stay until Release and never pass through Go's heap. Any
// goroutine may call it.
func Hold(n int64) (Memory, error) {
	if n <= 0 {
		return Memory{}, nil
	}
	pages, err := syscall.Mmap(-1, 0, int(n), syscall.PROT_READ|syscall.PROT_WRITE, syscall.MAP_ANON|syscall.MAP_PRIVATE)
	if err != nil {
		return Memory{}, fmt.Errorf("hold %d bytes of memory: %w", n, err)
	}
	for i := 0; i < len(pages); i += os.Getpagesize() {
		pages[i] = 1
	}
	return Memory{pages}, nil
}

// Bytes returns how much is held.
func (m *Memory) Bytes() int64 { return int64(len(m.pages)) }

// Release gives the memory back to the kernel. It may be called twice; copies of m must not be used any more.
func (m *Memory) Release() error {
	pages := m.pages
	m.pages = nil
	if pages == nil {
		return nil
	}
	if err := syscall.Munmap(pages); err != nil {
		return fmt.Errorf("release %d bytes of memory: %w", len(pages), err)
	}
	return nil
}
