package rdr

// Plain returns how many bytes the block replies with if that is all it does: no demand but `cpu 0` and `wait 0`, nothing that is
// drawn, and at most one reply, of a fixed length. Whoever answers such a request can do without executing it. Attributes may stand in it;
// they change nothing.
func (b *Block) Plain() (reply int64, ok bool) {
	if b.start != StartBlock {
		return 0, false
	}
	replied := false
	for i := range b.body {
		switch n := &b.body[i]; {
		case n.kind == kPriority || n.kind == kDeadline:
		case n.amt.dist != distConst:
			return 0, false
		case (n.kind == kCPU || n.kind == kWait) && n.amt.n == 0:
		case n.kind == kReply && !replied:
			reply, replied = n.amt.n, true
		default:
			return 0, false
		}
	}
	return reply, true
}
