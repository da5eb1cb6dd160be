package qn

// closed is the closed classes of a network, with what comes out for them.
type closed struct {
	stations []Station
	classes  []population

	throughput []float64   // by class
	residence  [][]float64 // by class and station
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
	for _, s := range c.stations {
		n += n / float64(len(c.stations)) * float64(max(s.Servers-1, 0)) // probabilities that a station of several servers needs
	}
	return n
}

// exact is the mean value analysis (Reiser and Lavenberg, "Mean-Value Analysis of Closed Multichain Queuing Networks", Journal of the ACM
// 27(2), 1980): who arrives sees the network as it is in the long run with one user of its class less. A station of several servers keeps
// the probabilities of fewer jobs than servers.
func (c *closed) exact() {
	classes, stations := len(c.classes), len(c.stations)
	stride := make([]int, classes) // of the populations, in mixed radix
	states := 1
	for r, p := range c.classes {
		stride[r] = states
		states *= p.users + 1
	}
	queue := make([]float64, states*stations)
	free := make([][]float64, stations) // by station of several servers: states × servers probabilities of so many jobs
	for k, s := range c.stations {
		if !s.Delay && s.Servers > 1 {
			free[k] = make([]float64, states*s.Servers)
			free[k][0] = 1
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
		c.round(state, stride, users, queue, free)
	}
}

// round solves one population from those with one user less.
func (c *closed) round(state int, stride, users []int, queue []float64, free [][]float64) {
	stations := len(c.stations)
	for r, p := range c.classes {
		c.throughput[r] = 0
		if users[r] == 0 {
			clear(c.residence[r])
			continue
		}
		less := state - stride[r]
		cycle := p.think
		for k := range c.stations {
			t := p.demands[k] * c.seen(k, less, queue[less*stations+k], free[k])
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
		if free[k] != nil {
			c.fill(k, state, stride, users, free[k])
		}
	}
}

// seen is how many times its demand a job is at station k that finds the network in a state.
func (c *closed) seen(k, state int, queue float64, free []float64) float64 {
	s := &c.stations[k]
	if s.Delay {
		return 1
	}
	if free == nil {
		return 1 + queue
	}
	servers := s.Servers
	x := 1 + queue
	for j := range servers - 1 {
		x += float64(servers-1-j) * free[state*servers+j]
	}
	return x / float64(servers)
}

// fill computes the probabilities of 0 to c − 1 jobs at a station of c servers.
func (c *closed) fill(k, state int, stride, users []int, free []float64) {
	servers := c.stations[k].Servers
	load, less := 0.0, 0.0
	for r, p := range c.classes {
		load += p.demands[k] * c.throughput[r]
	}
	for j := 1; j < servers; j++ {
		x := 0.0
		for r, p := range c.classes {
			if users[r] > 0 {
				x += p.demands[k] * c.throughput[r] * free[(state-stride[r])*servers+j-1]
			}
		}
		free[state*servers+j] = x / float64(j)
		less += float64(servers-j) * x / float64(j)
	}
	free[state*servers] = max(0, 1-(load+less)/float64(servers)) // a difference that rounding may take below 0
}
