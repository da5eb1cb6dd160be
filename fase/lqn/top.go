package lqn

import (
	"fmt"
	"math"
	"slices"

	"github.com/eve-emulation/eve/fase/qn"
)

// A view is what the requests of one context see: of hosts, in demands, and of tasks, their mean wait for a thread.
type view struct {
	stretch []float64
	wait    []float64
}

func (s *solver) newView() *view {
	v := &view{stretch: make([]float64, len(s.Hosts)), wait: make([]float64, len(s.Tasks))}
	for h := range v.stretch {
		v.stretch[h] = 1
	}
	for t, q := range s.bound {
		if q != nil {
			v.wait[t] = q.wait
		}
	}
	return v
}

// often is how many steps an exact analysis may have that is done often.
const often = 50_000

// top solves the network of the sources, and returns the throughputs of closed ones and their responses as a network without forks and
// phases has them.
func (s *solver) top() (x, response []float64, err error) {
	hosts, tasks := s.everything()
	n := s.network(hosts, tasks)
	if s.iterations > 2 { // a model that goes on is no product form
		n.Largest = often
	}
	others := make([]float64, len(n.Stations))
	probe := make([]float64, len(n.Stations))
	for i, h := range hosts {
		probe[i] = 1
		if !s.Hosts[h].Delay {
			own := func(i int) float64 { return s.x[i] * s.top0[i].host[h] }
			others[i] = beside(s.load[h], s.closedPart(func(b *body) float64 { return b.host[h] })+
				s.self(own, func(i int) float64 { return s.loadBy[i][h] - own(i) }), s.capacity(h))
		}
	}
	for i, t := range tasks {
		i += len(hosts)
		probe[i] = 1
		own := func(i int) float64 { return s.x[i] * s.top0[i].visit[t] }
		others[i] = beside(s.task[t], s.closedPart(func(b *body) float64 { return b.visit[t] })+
			s.self(own, func(i int) float64 { return s.taskBy[i][t] - own(i) }), n.Stations[i].Rates[len(n.Stations[i].Rates)-1])
	}
	n.Classes = []qn.Class{{Name: "others", Rate: 1, Demands: others}, {Name: "probe", Demands: probe}}
	class := make([]int, len(s.Sources))
	for i := range s.Sources {
		if src := &s.Sources[i]; src.Users > 0 {
			class[i] = len(n.Classes)
			n.Classes = append(n.Classes, qn.Class{Name: src.Name, Users: src.Users, Think: s.think[i], Demands: s.demands(s.top0[i], hosts, tasks)})
		}
	}
	solution, err := n.Solve()
	if err != nil {
		return nil, nil, err
	}
	s.network0 = &solution
	x, response = make([]float64, len(s.Sources)), make([]float64, len(s.Sources))
	for i := range s.Sources {
		x[i], s.views[i] = s.Sources[i].Rate, s.newView()
		c := 1
		if class[i] > 0 {
			c = class[i]
			x[i], response[i] = solution.Classes[c].Throughput, solution.Classes[c].Response
		}
		s.see(s.views[i], n, &solution, hosts, tasks, c)
	}
	s.aside = s.newView()
	s.see(s.aside, n, &solution, hosts, tasks, 1)
	for i, t := range tasks {
		s.layers[t].present = s.presence(&solution.Stations[len(hosts)+i], len(s.layers[t].rates))
	}
	return x, response, nil
}

// everything lists the stations that requests of sources, and those that nobody waits for, may visit.
func (s *solver) everything() (hosts, tasks []int) {
	host, task := make([]bool, len(s.Hosts)), make([]bool, len(s.Tasks))
	for _, b := range slices.Concat(s.top0, []*body{s.async}) {
		for h, d := range b.host {
			host[h] = host[h] || d > 0
		}
		for t, d := range b.visit {
			task[t] = task[t] || d > 0 && s.layers[t] != nil && s.bound[t] == nil
		}
	}
	for h, yes := range host {
		if yes {
			hosts = append(hosts, h)
		}
	}
	for t, yes := range task {
		if yes {
			tasks = append(tasks, t)
		}
	}
	return hosts, tasks
}

// closedPart is the work of closed sources themselves.
func (s *solver) closedPart(of func(*body) float64) float64 {
	sum := 0.0
	for i, b := range s.top0 {
		if s.Sources[i].Users > 0 {
			sum += s.x[i] * of(b)
		}
	}
	return sum
}

// see fills in what a class sees.
func (s *solver) see(v *view, n *qn.Network, solution *qn.Solution, hosts, tasks []int, class int) {
	at := func(k int) (float64, bool) {
		if d := n.Classes[class].Demands[k]; d > 0 {
			return solution.Classes[class].Residence[k] / d, true
		}
		return 0, false
	}
	for i, h := range hosts {
		if r, ok := at(i); ok {
			v.stretch[h] = r
		}
	}
	for i, t := range tasks {
		k := len(hosts) + i
		if r, ok := at(k); ok {
			st := &solution.Stations[k]
			hold := 1 / n.Stations[k].Rates[0]
			if rate := st.Utilisation * n.Stations[k].Rates[len(n.Stations[k].Rates)-1]; rate > 0 {
				hold = st.Busy / rate
			}
			v.wait[t] = math.Max(0, r-hold) * s.uneven(t)
		}
	}
}

// presence are the probabilities of few requests at a task; where the network was estimated, as if it had so many busy, evenly spread.
func (s *solver) presence(st *qn.StationSolution, threads int) []float64 {
	if st.Present != nil {
		return st.Present
	}
	p, u := make([]float64, threads), math.Min(1, st.Busy/float64(threads))
	for n := range p { // binomial
		a, _ := math.Lgamma(float64(threads + 1))
		b, _ := math.Lgamma(float64(n + 1))
		c, _ := math.Lgamma(float64(threads - n + 1))
		if u == 0 || u == 1 {
			p[n] = 0
			if n == 0 && u == 0 {
				p[n] = 1
			}
			continue
		}
		p[n] = math.Exp(a - b - c + float64(n)*math.Log(u) + float64(threads-n)*math.Log1p(-u))
	}
	return p
}

// inside fills in what the threads of tasks see of what is below them, the highest tasks first.
func (s *solver) inside() {
	mixed := make([][]float64, len(s.Tasks)) // by task: its presence as those who call it from below see it, times their rates
	weight := make([]float64, len(s.Tasks))
	for i := len(s.limited) - 1; i >= 0; i-- {
		t := s.limited[i]
		l := s.layers[t]
		s.within[t] = s.newView()
		if l == nil {
			continue
		}
		if w := weight[t]; w > 0 && s.bound[t] == nil {
			above := math.Max(0, s.task[t]-w) // the rate of sources and of those that nobody waits for
			if l.present == nil {
				l.present, above = make([]float64, len(l.rates)), 0
			}
			for n := range l.present {
				l.present[n] = (above*l.present[n] + mixed[t][n]) / (above + w)
			}
		}
		if l.present == nil { // nobody calls it
			l.present = make([]float64, len(l.rates))
			l.present[0] = 1
		}
		s.look(t, l, mixed, weight)
	}
}

// look averages what threads see over how many of them are busy.
func (s *solver) look(t int, l *layer, mixed [][]float64, weight []float64) {
	b, v, x := s.bodies[t], s.within[t], s.task[t]
	stations := len(l.hosts) + len(l.tasks)
	queue, busy, rate := make([]float64, stations), make([]float64, stations), 0.0
	present := make([][]float64, stations)
	rest := 1 - l.present[0]
	all := rest
	for n := 1; n <= len(l.rates); n++ {
		p := rest
		if n < len(l.rates) {
			p = l.present[n]
			rest -= p
		}
		if all <= 1e-300 { // idle: as its first request would see it
			if p = 0; n == 1 {
				p = 1
			}
		}
		if p <= 1e-15*all {
			continue
		}
		rate += p * l.growth.Throughput[n]
		for k := range stations {
			queue[k] += p * l.growth.Queue(k, n)
			if k < len(l.hosts) {
				continue
			}
			busy[k] += p * l.growth.Busy(k, n)
			for i, y := range l.growth.Present(k, n) {
				if present[k] == nil {
					present[k] = make([]float64, len(s.layers[l.tasks[k-len(l.hosts)]].rates))
				}
				present[k][i] += p * y
			}
		}
	}
	for k, h := range l.hosts {
		v.stretch[h] = queue[k] / (rate * b.host[h])
	}
	idle := 0.0
	if all > 1e-300 {
		idle = 1 - all
	}
	total := 1.0
	if all > 1e-300 {
		total = all
	}
	for i, u := range l.tasks {
		k := len(l.hosts) + i
		own := rate * b.visit[u]
		others := total * beside(s.task[u], x*b.visit[u], math.Inf(1))
		hold := busy[k] / (own + others)
		v.wait[u] = math.Max(0, queue[k]/own-hold) * s.uneven(u)
		if mixed[u] == nil {
			mixed[u] = make([]float64, len(s.layers[u].rates))
		}
		w := x * b.visit[u]
		weight[u] += w
		for j, y := range present[k] {
			if j == 0 {
				y += idle
			}
			mixed[u][j] += w * y
		}
	}
}

// stable returns an error where open sources alone offer more than hosts or tasks can carry.
func (s *solver) stable() error {
	open := make([]float64, len(s.Sources))
	for i := range s.Sources {
		open[i] = s.Sources[i].Rate
	}
	copy(s.x, open)
	s.flow(open)
	for h := range s.Hosts {
		if share := s.load[h] / s.capacity(h); !s.Hosts[h].Delay && share >= 1 && !s.bounds {
			return fmt.Errorf("%w: host %s is offered %.3g of its capacity", ErrUnstable, s.Hosts[h].Name, share)
		}
	}
	if err := s.below(); err != nil {
		return err
	}
	for t := range s.Tasks {
		if l := s.layers[t]; l != nil && s.bound[t] == nil {
			if share := s.task[t] / l.rates[len(l.rates)-1]; share >= 1 {
				return fmt.Errorf("%w: task %s is offered %.3g of what its %d threads can do", ErrUnstable, s.Tasks[t].Name, share, s.limit[t])
			}
		}
	}
	return nil
}
