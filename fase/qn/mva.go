package qn

// closed is the closed classes of a network, with what comes out for them.
type closed struct {
	stations []Station
	speeds   []*speed
	load     []float64 // by station, of open classes
	classes  []population

	throughput []float64   // by class
	residence  [][]float64 // by class and station
	merged     bool        // the closed requests are in the loads of the speeds
	p          [][]float64 // by station: probabilities of so few requests of closed classes that its speed depends on them; nil where unknown
}

// A population is a closed class.
type population struct {
	index   int // of the class in its network
	users   int
	think   float64
	demands []float64
}

// steps is how many populations times stations the exact analysis goes through.
func (c *closed) steps() float64 {
	n := float64(len(c.stations))
	for _, p := range c.classes {
		n *= float64(p.users + 1)
	}
	states := n / float64(len(c.stations))
	for _, v := range c.speeds {
		n += states * float64(max(len(v.left)-1, 0)) // probabilities that a station needs whose speed depends on them
	}
	return n
}

// exact solves the network, by convolution where it has one class. It reports false where rounding has spoiled the solution, which it can
// with stations of many servers.
func (c *closed) exact() bool {
	if len(c.classes) > 1 {
		return c.mva()
	}
	p := c.classes[0]
	chain := newChain(c.speeds, p.think, p.demands, p.users)
	c.throughput, c.residence = []float64{chain.throughput[p.users]}, [][]float64{make([]float64, len(c.stations))}
	c.p = make([][]float64, len(c.stations))
	for k, v := range c.speeds {
		c.residence[0][k] = chain.queue[k][p.users] / c.throughput[0]
		if !v.delay {
			c.p[k] = chain.probabilities(k, p.users)
		}
	}
	return true
}

// mva is the mean value analysis (Reiser and Lavenberg, "Mean-Value Analysis of Closed Multichain Queuing Networks", Journal of the ACM
// 27(2), 1980): who arrives sees the network as it is in the long run with one user of its class less. A station whose speed depends on its
// queue keeps the probabilities of fewer requests than it has speeds.
func (c *closed) mva() bool {
	classes, stations := len(c.classes), len(c.stations)
	stride := make([]int, classes) // of the populations, in mixed radix
	states := 1
	for r, p := range c.classes {
		stride[r] = states
		states *= p.users + 1
	}
	queue := make([]float64, states*stations)
	few := make([][]float64, stations) // by station: states × speeds probabilities of so many requests
	for k, v := range c.speeds {
		if !v.delay {
			few[k] = make([]float64, states*len(v.left))
			few[k][0] = 1
		}
	}
	c.throughput, c.residence = make([]float64, classes), make([][]float64, classes)
	for r := range c.residence {
		c.residence[r] = make([]float64, stations)
	}
	users := make([]int, classes)
	for state := 1; state < states; state++ {
		for r := range users { // the next population
			if users[r]++; users[r] <= c.classes[r].users {
				break
			}
			users[r] = 0
		}
		if !c.round(state, stride, users, queue, few) {
			return false
		}
	}
	c.p = make([][]float64, stations)
	for k, v := range c.speeds {
		if !v.delay {
			c.p[k] = few[k][(states-1)*len(v.left):]
		}
	}
	return true
}

// round solves one population from those with one user less.
func (c *closed) round(state int, stride, users []int, queue []float64, few [][]float64) bool {
	stations := len(c.stations)
	for r, p := range c.classes {
		c.throughput[r] = 0
		if users[r] == 0 {
			clear(c.residence[r])
			continue
		}
		less := state - stride[r]
		cycle := p.think
		for k, v := range c.speeds {
			t := p.demands[k] * v.seen(less, queue[less*stations+k], few[k])
			c.residence[r][k] = t
			cycle += t
		}
		c.throughput[r] = float64(users[r]) / cycle
	}
	for k := range c.stations {
		q := 0.0
		for r := range c.classes {
			q += c.throughput[r] * c.residence[r][k]
		}
		queue[state*stations+k] = q
		if few[k] != nil && !c.fill(k, state, stride, users, few[k]) {
			return false
		}
	}
	return true
}

// seen is how many times its demand a request is at a station that it finds in a state.
func (v *speed) seen(state int, queue float64, few []float64) float64 {
	if v.delay {
		return 1
	}
	kinds := len(v.left)
	last := v.left[kinds-1]
	x := 1 + queue
	for j := 1; j < kinds; j++ {
		x += float64(j) * (last/v.left[j-1] - 1) * few[state*kinds+j-1]
	}
	return x / last
}

// fill computes the probabilities of fewer requests at a station than it has speeds. It reports false where they are none.
func (c *closed) fill(k, state int, stride, users []int, few []float64) bool {
	left := c.speeds[k].left
	kinds := len(left)
	last := left[kinds-1]
	load, less, sum := 0.0, 0.0, 0.0
	for r, p := range c.classes {
		load += p.demands[k] * c.throughput[r]
	}
	for j := 1; j < kinds; j++ {
		x := 0.0
		for r, p := range c.classes {
			if users[r] > 0 {
				x += p.demands[k] * c.throughput[r] * few[(state-stride[r])*kinds+j-1]
			}
		}
		x /= left[j-1]
		few[state*kinds+j] = x
		less, sum = less+(last-left[j-1])*x, sum+x
	}
	none := 1 - (load+less)/last // a difference that rounding may take below 0
	few[state*kinds] = max(0, none)
	return none > -spoiled && sum < 1+spoiled
}

// spoiled is what probabilities may be off by.
const spoiled = 1e-6
