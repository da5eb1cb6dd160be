package judge

import (
	"math"
	"slices"

	"github.com/eve-emulation/eve/dsv"
	"github.com/eve-emulation/eve/fase/runs"
)

// compare sets the supply beside the demand, which is known where there is a best baseline, and counts oscillations. Of the
// services it keeps those whose places changed, or may.
func (u *supply) compare(a *runs.Adaptation, from, to dsv.Instant) {
	demands, interval := map[string][]runs.ReplicaLevel{}, dsv.Instant(0)
	if b := a.Baselines; b != nil && b.Best != nil {
		interval = instant(b.Interval)
		for svc, ls := range b.Best.Replicas {
			if d := closed(ls, from, to, interval); len(d) > 0 {
				demands[svc] = d
			}
		}
	}
	for _, svc := range u.services {
		e := a.Services[svc]
		path := u.path(svc, from, to)
		demand, known := demands[svc]
		if len(path) == 0 && !known {
			delete(a.Services, svc)
			continue
		}
		d := stepsOf(demand)
		a.Oscillations += oscillations(path, d, interval)
		if known {
			e.Demand = demand
			p := provision(stepsOf(e.Supply), d, from, to, interval)
			e.Provisioning = &p
		}
		a.Services[svc] = e
	}
}

// closed is the demand that a schedule shows: where it has fewer for one interval alone, that interval lived on what its
// neighbours did, so it is filled (a morphological closing).
func closed(levels []runs.ReplicaLevel, from, to, interval dsv.Instant) []runs.ReplicaLevel {
	s := stepsOf(levels)
	var xs []float64
	for at := from; at < to; at += interval {
		xs = append(xs, s.at(at))
	}
	filled := slices.Clone(xs)
	for i := range xs {
		if i+1 < len(xs) {
			filled[i] = max(xs[i], xs[i+1])
		}
	}
	for i := range xs {
		before := xs[0]
		if i > 0 {
			before = filled[i-1]
		}
		xs[i] = min(filled[i], before)
	}
	var out []runs.ReplicaLevel
	for i, x := range xs {
		if n := len(out); n == 0 || out[n-1].Replicas != int(x) {
			out = append(out, runs.ReplicaLevel{From: runs.Number((from + dsv.Instant(i)*interval).Seconds()), Replicas: int(x)})
		}
	}
	return out
}

// provision compares a supply with a demand, as SPEC's research group defines it.
func provision(supply, demand steps, from, to, interval dsv.Instant) runs.Provisioning {
	var p runs.Provisioning
	length := to.Sub(from).Seconds()
	ts := []dsv.Instant{from}
	for _, s := range slices.Concat(supply, demand) {
		if s.from > from && s.from < to {
			ts = append(ts, s.from)
		}
	}
	slices.Sort(ts)
	ts = slices.Compact(ts)
	for i, t := range ts {
		until := to
		if i+1 < len(ts) {
			until = ts[i+1]
		}
		share := until.Sub(t).Seconds() / length
		s, d := supply.at(t), demand.at(t)
		switch {
		case s < d:
			p.UnderAccuracy += runs.Number(share * (d - s) / d)
			p.UnderTime += runs.Number(share)
		case s > d:
			p.OverAccuracy += runs.Number(share * (s - d) / max(d, 1))
			p.OverTime += runs.Number(share)
		}
	}
	p.Instability = runs.Number(instability(supply, demand, from, to))
	p.Jitter = runs.Number(float64(supply.changes(from, to)-demand.changes(from, to)) / length * 60)
	p.Overshoot = runs.Number(overshoot(supply, demand, from, to, interval))
	return p
}

// instability is the share of seconds over which supply and demand do not change alike: up, down, not at all.
func instability(supply, demand steps, from, to dsv.Instant) float64 {
	unlike, n := 0, 0
	for t := from; t+second <= to; t += second {
		n++
		if sign(supply.at(t+second)-supply.at(t)) != sign(demand.at(t+second)-demand.at(t)) {
			unlike++
		}
	}
	if n == 0 {
		return math.NaN()
	}
	return float64(unlike) / float64(n)
}

func sign(x float64) int {
	switch {
	case x > 0:
		return 1
	case x < 0:
		return -1
	}
	return 0
}

// changes counts the changes within a window.
func (s steps) changes(from, to dsv.Instant) int {
	n, before := 0, s.at(from)
	for _, x := range s {
		if x.from > from && x.from < to && x.n != before {
			n++
		}
		if x.from > from {
			before = x.n
		}
	}
	return n
}

// overshoot is by how much the supply was above the demand right after it rose, as a share of the demand: the greatest. The
// demand is the greatest within an interval around, as it is known to the interval only.
func overshoot(supply, demand steps, from, to, interval dsv.Instant) float64 {
	worst := 0.0
	for i := 1; i < len(supply); i++ {
		x := supply[i]
		if x.from <= from || x.from >= to || x.n <= supply[i-1].n || len(demand) == 0 {
			continue
		}
		if d := demand.most(max(x.from-interval, demand[0].from), x.from+interval); d > 0 {
			worst = max(worst, x.n/d-1)
		}
	}
	return worst
}
