package rdr

import "math"

// cost is what limits bound, counted with typical amounts and, for branches,
// the largest.
type cost struct {
	steps, nodes  float64
	demand, bytes float64 // ns, bytes
	depth         int
}

// costs computes the cost of blocks, each once. strands is the largest number
// of strands that one of them has at once.
type costs struct {
	memo    map[*Block]cost
	strands float64
}

func (c *costs) block(b *Block) cost {
	if k, ok := c.memo[b]; ok {
		return k
	}
	k := c.body(b.body)
	peak, _ := strands(b.body)
	c.strands = math.Max(c.strands, peak)
	k.depth++
	c.memo[b] = k
	return k
}

func (c *costs) body(body []node) cost {
	var sum cost
	for i := range body {
		sum.add(c.node(&body[i]))
	}
	return sum
}

func (k *cost) add(o cost) {
	k.steps += o.steps
	k.nodes += o.nodes
	k.demand += o.demand
	k.bytes += o.bytes
	k.depth = max(k.depth, o.depth)
}

// most makes k the larger of the two in every respect; both are there.
func (k *cost) most(o cost) {
	k.steps = math.Max(k.steps, o.steps)
	k.nodes += o.nodes
	k.demand = math.Max(k.demand, o.demand)
	k.bytes = math.Max(k.bytes, o.bytes)
	k.depth = max(k.depth, o.depth)
}

func (k *cost) times(n float64) {
	k.steps *= n
	k.demand *= n
	k.bytes *= n
}

func (c *costs) node(n *node) cost {
	own := cost{steps: 1, nodes: 1}
	var below cost
	if n.body != nil {
		below = c.body(n.body)
		below.depth++
	}
	for i := range n.arms {
		arm := c.body(n.arms[i].body)
		arm.depth++
		below.most(arm)
	}
	switch n.kind {
	case kCPU, kWait:
		own.demand = n.amt.typical()
	case kDiskRead, kDiskWrite, kReply, kMemory:
		own.bytes = n.amt.typical()
	case kCall:
		own.bytes = n.amt.typical()
		if n.block != nil {
			below = c.block(n.block)
		}
	case kHTTP:
		own.bytes = n.amt.typical() + n.bodyBytes()
	case kRepeat:
		below.times(n.amt.typical())
	case kRetry:
		own.demand = float64(n.count) * n.amt.typical()
		below.times(float64(n.count) + 1)
	}
	own.add(below)
	return own
}

// strands returns how many strands a body has at once, itself included, and how
// many of its forks may run on when it has ended.
func strands(body []node) (peak, left float64) {
	peak = 1
	for i := range body {
		p, l := strandsOf(&body[i])
		peak = math.Max(peak, left+p)
		left += l
	}
	return math.Max(peak, left), left
}

func strandsOf(n *node) (peak, left float64) {
	switch n.kind {
	case kPar:
		for i := range n.body {
			p, l := strandsOf(&n.body[i])
			peak, left = peak+p, left+l
		}
		return math.Max(peak, 1), left
	case kFork:
		p, _ := strands(n.body)
		return 1 + p, p
	case kRepeat, kRetry:
		p, l := strands(n.body)
		times := float64(n.count) + 1
		if n.kind == kRepeat {
			times = n.amt.typical()
		}
		return p + l*math.Max(times-1, 0), l * times
	case kChoose, kLevel:
		peak = 1
		for i := range n.arms {
			p, l := strands(n.arms[i].body)
			peak, left = math.Max(peak, p), math.Max(left, l)
		}
		return peak, left
	default:
		return strands(n.body)
	}
}
