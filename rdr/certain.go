package rdr

// Certain reports whether a request that ended well has made each call that Draw shows for its key, and no other: it abandons, tries
// again and starts without waiting nothing itself. What it calls may.
func (b *Block) Certain() bool {
	certain := true
	walk(b.body, func(n *node) {
		switch n.kind {
		case kFork, kTimeout, kRetry:
			certain = false
		}
	})
	return certain
}
