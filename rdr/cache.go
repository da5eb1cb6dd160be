package rdr

import (
	"errors"
)

// Cache reads the bodies of requests, text or compact, and keeps the blocks it
// made: clients send the same few bodies over and over, with different keys. The
// zero value works; it belongs to one goroutine, while the blocks may be shared.
type Cache struct {
	Limits Limits

	blocks map[string]*Block
	bytes  int
}

// A cache keeps bodies up to maxCached bytes, and begins anew when they sum to
// more than maxCache: senders that never repeat themselves cost no memory.
const (
	maxCached = 8 << 10
	maxCache  = 256 << 10
)

// Block returns the block of a body and how many bytes of it the block takes.
// More may follow a compact block, the bytes that a call sends along; a text is
// the whole body. It allocates nothing for a body that it knows.
func (c *Cache) Block(body []byte) (*Block, int, error) {
	text := body
	if IsCompact(body) {
		n := CompactLen(body)
		if n == 0 || n > len(body) {
			return DecodePrefix(body, c.Limits) // says what is wrong
		}
		text = body[:n]
	}
	if b, ok := c.blocks[string(text)]; ok {
		return b, len(text), nil
	}
	b, err := c.read(text)
	if err != nil {
		return nil, 0, err
	}
	if len(text) <= maxCached {
		c.keep(text, b)
	}
	return b, len(text), nil
}

func (c *Cache) read(text []byte) (*Block, error) {
	if !IsCompact(text) {
		return ParseBlock("rdr", text, c.Limits)
	}
	b, err := DecodeBlock(text, c.Limits)
	if err == nil && b.start == StartRequest {
		return nil, errors.New("decode rdr: a request runs at a client")
	}
	return b, err
}

func (c *Cache) keep(text []byte, b *Block) {
	if c.blocks == nil || c.bytes+len(text) > maxCache {
		c.blocks, c.bytes = map[string]*Block{}, 0
	}
	c.blocks[string(text)] = b
	c.bytes += len(text)
}
