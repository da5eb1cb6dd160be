package burn

import (
	"fmt"
	"os"
)

// blockBytes is the most that one system call transfers.
const blockBytes = 256 << 10

// Write writes n bytes to the Burner's file, and with sync waits until they are on the device. It returns how many were
// written.
func (b *Burner) Write(n int64, sync bool) (delivered int64, err error) {
	if err := b.open(); err != nil {
		return 0, err
	}
	for delivered < n {
		k, err := b.file.WriteAt(b.block(n-delivered), b.at)
		delivered += int64(k)
		b.at += int64(k)
		b.size = max(b.size, b.at)
		b.wrap()
		if err != nil {
			return delivered, fmt.Errorf("write %d bytes: %w", n, err)
		}
	}
	if sync {
		if err := b.file.Sync(); err != nil {
			return delivered, fmt.Errorf("write %d bytes: %w", n, err)
		}
	}
	return delivered, nil
}

// Read reads n bytes of the Burner's file, which it writes first as far as it does not exist. It returns how many were read.
func (b *Burner) Read(n int64) (delivered int64, err error) {
	if err := b.open(); err != nil {
		return 0, err
	}
	if err := b.extend(min(b.at+n, b.cfg.FileBytes)); err != nil {
		return 0, fmt.Errorf("read %d bytes: %w", n, err)
	}
	for delivered < n {
		k, err := b.file.ReadAt(b.block(min(n-delivered, b.size-b.at)), b.at)
		delivered += int64(k)
		b.at += int64(k)
		b.wrap()
		if err != nil {
			return delivered, fmt.Errorf("read %d bytes: %w", n, err)
		}
	}
	return delivered, nil
}

// extend makes the file at least size bytes long.
func (b *Burner) extend(size int64) error {
	for b.size < size {
		k, err := b.file.WriteAt(b.block(size-b.size), b.size)
		b.size += int64(k)
		if err != nil {
			return err
		}
	}
	return nil
}

// block returns the buffer, cut to what is left of a transfer and of the file.
func (b *Burner) block(left int64) []byte {
	return b.buffer[:min(left, blockBytes, max(b.cfg.FileBytes-b.at, 1))]
}

// wrap goes on at the start of the file once its end is reached.
func (b *Burner) wrap() {
	if b.at >= b.cfg.FileBytes {
		b.at = 0
	}
}

// open makes the file at the first transfer.
func (b *Burner) open() error {
	if b.file != nil {
		return nil
	}
	f, err := os.CreateTemp(b.cfg.Dir, "eve-burn-*")
	if err != nil {
		return fmt.Errorf("open scratch file: %w", err)
	}
	b.file, b.buffer = f, make([]byte, blockBytes)
	for i := range b.buffer {
		b.buffer[i] = byte(i * 131)
	}
	return nil
}
