package service

import "github.com/eve-emulation/eve/rdr"

// Objects is what a host knows of the things that requests ask for: files, and which of them it has in its cache.
type Objects interface {
	// Object names what a block asks for when it is executed under a key at a level: its first one; 0 for nothing.
	Object(b *rdr.Block, key rdr.Key, level string) uint64
	// Cached reports whether an object is in the cache now. It changes nothing there.
	Cached(object uint64) bool
}
