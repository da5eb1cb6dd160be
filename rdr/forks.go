package rdr

// Forks reports whether the block itself starts something without waiting for it: what it calls may do so too, elsewhere.
func (b *Block) Forks() bool {
	found := false
	walk(b.body, func(n *node) { found = found || n.kind == kFork })
	return found
}
