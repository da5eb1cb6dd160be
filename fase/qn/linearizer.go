package qn

import "math"

// approximate is Linearizer (Chandy and Neuse, "Linearizer: A Heuristic Algorithm for Queueing Network Models of Computing Systems",
// Communications of the ACM 25(2), 1982): as the mean value analysis, but the share of a class that is at a station with one user less is
// the share with all users plus a difference that is estimated from solutions of those populations. A station of c servers is one that is c times as
// fast, and a delay of (c − 1)/c of the demand (Seidmann, Schweitzer and Shalev-Oren, "Computerized Closed Queueing Network Models of Flexible
// Manufacturing Systems", Large Scale Systems 12, 1987).
func (c *closed) approximate(s *Solution) {
	l := linearizer{closed: c, users: make([]float64, len(c.classes))}
	for r, p := range c.classes {
		l.users[r] = float64(p.users)
	}
	l.demands, l.servers = make([][]float64, len(c.classes)), make([]float64, len(c.stations))
	several := false
	for k, v := range c.speeds {
		if !v.delay {
			l.servers[k] = v.fastest() / v.rates[0]
			several = several || l.servers[k] > 1
		}
	}
	for r, p := range c.classes {
		l.demands[r] = make([]float64, len(c.stations))
		for k, v := range c.speeds {
			if l.demands[r][k] = p.demands[k]; !v.delay {
				l.demands[r][k] /= v.rates[0] * (1 - v.share()) // what open classes leave, which is exact for one server
			}
		}
	}
	if several {
		s.Approximated = append(s.Approximated, "a station of several servers: as one that is so many times as fast, and a delay")
	}
	l.run()
}

type linearizer struct {
	*closed
	users   []float64
	demands [][]float64   // by class and station, on one server of those that open classes leave
	servers []float64     // by station
	diff    [][][]float64 // by class, station, class that has one user less: how the share changes
}

// share is the queues of a population, by class and station.
type share [][]float64

func (l *linearizer) run() {
	classes, stations := len(l.classes), len(l.stations)
	l.diff = make([][][]float64, classes)
	all := make(share, classes)
	less := make([]share, classes) // by the class that has one user less
	for r := range l.classes {
		l.diff[r], all[r] = make([][]float64, stations), make([]float64, stations)
		for k := range stations {
			l.diff[r][k] = make([]float64, classes)
			all[r][k] = l.users[r] / float64(stations)
		}
	}
	for s := range l.classes {
		less[s] = make(share, classes)
		for r := range l.classes {
			less[s][r] = make([]float64, stations)
			for k := range stations {
				less[s][r][k] = l.with(s, r) / float64(stations)
			}
		}
	}
	for i := range 3 {
		l.core(-1, all)
		if i == 2 {
			break
		}
		for s := range l.classes {
			l.core(s, less[s])
		}
		for r := range l.classes {
			for k := range stations {
				for s := range l.classes {
					l.diff[r][k][s] = part(less[s][r][k], l.with(s, r)) - part(all[r][k], l.users[r])
				}
			}
		}
	}
}

// with is how many users class r has where class s has one less; s is -1 for all.
func (l *linearizer) with(s, r int) float64 {
	if s == r {
		return l.users[r] - 1
	}
	return l.users[r]
}

func part(queue, users float64) float64 {
	if users <= 0 {
		return 0
	}
	return queue / users
}

// core iterates the mean value equations of a population, that of all but one user of class gone, until its queues stand.
func (l *linearizer) core(gone int, queue share) {
	classes, stations := len(l.classes), len(l.stations)
	l.throughput, l.residence = make([]float64, classes), make([][]float64, classes)
	for r := range l.residence {
		l.residence[r] = make([]float64, stations)
	}
	total := 0.0
	for r := range l.classes {
		total += l.with(gone, r)
	}
	for range 10_000 {
		moved := 0.0
		for r, p := range l.classes {
			users := l.with(gone, r)
			cycle := p.think
			for k := range l.stations {
				l.residence[r][k] = l.demands[r][k] * l.seenBy(r, k, gone, queue)
				cycle += l.residence[r][k]
			}
			l.throughput[r] = users / cycle
		}
		for r := range l.classes {
			for k := range l.stations {
				q := l.throughput[r] * l.residence[r][k]
				moved = math.Max(moved, math.Abs(q-queue[r][k])/math.Max(l.with(gone, r), 1))
				queue[r][k] = q
			}
		}
		if moved < 1e-3/(4000+16*total) {
			return
		}
	}
}

// seenBy is how many times its demand a job of class r is at station k.
func (l *linearizer) seenBy(r, k, gone int, queue share) float64 {
	st := &l.stations[k]
	if st.Delay {
		return 1
	}
	x := 0.0
	for t := range l.classes {
		users := l.with(gone, t)
		left := users
		if t == r {
			left--
		}
		x += math.Max(0, left*(part(queue[t][k], users)+l.diff[t][k][r]))
	}
	c := l.servers[k]
	return (1+x)/c + (c-1)/c
}
