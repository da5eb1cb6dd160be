package judge

import (
	"maps"
	"math"
	"slices"

	"github.com/eve-emulation/eve/fase/runs"
)

// figures lists what can be compared, in the order of reports: whatever some run of either side has.
func figures(a, b Side) []*figure {
	var out []*figure
	at := map[string]int{}
	add := func(side, i int, f figure, x float64) {
		k, ok := at[f.part+" "+f.name]
		if !ok {
			k = len(out)
			at[f.part+" "+f.name] = k
			f.a, f.b = unknown(len(a.Runs)), unknown(len(b.Runs))
			out = append(out, &f)
		}
		if side == 0 {
			out[k].a[i] = x
		} else {
			out[k].b[i] = x
		}
	}
	for side, s := range []Side{a, b} {
		for i, r := range s.Runs {
			each(r.Summary, func(f figure, x float64) { add(side, i, f, x) })
		}
	}
	order := []string{"clients", "services", "servers", "caches", "adaptation", "variables"}
	slices.SortStableFunc(out, func(x, y *figure) int { return slices.Index(order, x.part) - slices.Index(order, y.part) })
	return out
}

func unknown(n int) []float64 {
	xs := make([]float64, n)
	for i := range xs {
		xs[i] = math.NaN()
	}
	return xs
}

// each calls add for each figure of a summary.
func each(s *runs.Summary, add func(figure, float64)) {
	for _, g := range s.Groups() {
		c := s.Clients[g]
		add(figure{name: g + " throughput", unit: "1/s", part: "clients", better: 1}, float64(c.Throughput))
		add(figure{name: g + " errors", unit: "1", part: "clients", better: -1}, share(c.Errors[runs.AllErrors], c.Requests))
		for _, q := range []struct {
			name string
			x    runs.Number
		}{{"mean", c.Response.Mean}, {"p50", c.Response.P50}, {"p95", c.Response.P95}, {"p99", c.Response.P99}} {
			add(figure{name: g + " " + q.name, unit: "s", part: "clients", better: -1, group: g, stat: q.name}, float64(q.x))
		}
	}
	for _, n := range s.ServiceNames() {
		x := s.Services[n]
		if x.Requests == 0 && x.Residence.Count == 0 {
			continue
		}
		add(figure{name: n + " latency p95", unit: "s", part: "services", better: -1}, float64(x.Latency.P95))
		add(figure{name: n + " residence p95", unit: "s", part: "services", better: -1}, float64(x.Residence.P95))
		if x.Rejected > 0 {
			add(figure{name: n + " rejected", unit: "1", part: "services"}, share(x.Rejected, x.Requests))
		}
	}
	for _, n := range s.ServerNames() {
		for _, r := range runs.Resources() {
			if x, ok := s.Servers[n][r]; ok && (r == "cpu" || x.Utilisation >= 0.0005) {
				add(figure{name: n + " " + string(r), unit: "1", part: "servers"}, float64(x.Utilisation))
			}
		}
	}
	for _, n := range s.CacheNames() {
		add(figure{name: n + " hits", unit: "1", part: "caches", better: 1}, float64(s.Caches[n].HitRatio))
	}
	adaptation(s, add)
	for _, n := range slices.SortedFunc(maps.Keys(s.Variables), runs.CompareNames) {
		switch v := s.Variables[n]; {
		case v.Sum != nil:
			add(figure{name: n + " rate", unit: "1/s", part: "variables"}, float64(v.Sum.Rate))
		case v.Dist != nil:
			add(figure{name: n + " mean", unit: v.Unit, part: "variables"}, float64(v.Dist.Mean))
		case v.Level != nil:
			add(figure{name: n + " mean", unit: v.Unit, part: "variables"}, float64(v.Level.Mean))
		}
	}
}

// adaptation are the figures of how well runs adapted.
func adaptation(s *runs.Summary, add func(figure, float64)) {
	decided := 0
	for _, d := range s.Decisions {
		if d.Phase == "decided" {
			decided++
		}
	}
	a := s.Adaptation
	if a == nil {
		if decided > 0 {
			add(figure{name: "decisions", part: "adaptation"}, float64(decided))
		}
		return
	}
	if len(a.SLO) > 0 {
		add(figure{name: "seconds of violation", unit: "s", part: "adaptation", better: -1}, float64(a.Violation))
		settle := &runs.Settling{}
		if a.Settling != nil {
			settle = a.Settling
		}
		add(figure{name: "disturbances", part: "adaptation"}, float64(settle.Disturbances))
		add(figure{name: "settling mean", unit: "s", part: "adaptation", better: -1}, float64(settle.Mean))
		add(figure{name: "settling longest", unit: "s", part: "adaptation", better: -1}, float64(settle.Max))
		for _, o := range a.SLO {
			over := float64(o.Overshoot)
			if !math.IsNaN(float64(o.Bound)) {
				if math.IsNaN(over) {
					over = 0
				}
				add(figure{name: "overshoot of " + o.Text, unit: "1", part: "adaptation", better: -1}, over)
			}
		}
	}
	add(figure{name: "server-seconds", unit: "s", part: "adaptation", better: -1}, float64(a.ServerSeconds))
	add(figure{name: "changes of places", part: "adaptation"}, float64(a.Changes))
	add(figure{name: "oscillations", part: "adaptation", better: -1}, float64(a.Oscillations))
	add(figure{name: "decisions", part: "adaptation"}, float64(decided))
	for _, n := range slices.SortedFunc(maps.Keys(a.Services), runs.CompareNames) {
		p := a.Services[n].Provisioning
		if p == nil {
			continue
		}
		for _, x := range []struct {
			name   string
			unit   string
			x      runs.Number
			better int
		}{
			{"too few", "1", p.UnderAccuracy, -1},
			{"time with too few", "1", p.UnderTime, -1},
			{"too many", "1", p.OverAccuracy, -1},
			{"time with too many", "1", p.OverTime, -1},
			{"instability", "1", p.Instability, -1},
			{"jitter", "1/min", p.Jitter, 0},
			{"overshoot", "1", p.Overshoot, -1},
		} {
			add(figure{name: n + " " + x.name, unit: x.unit, part: "adaptation", better: x.better}, float64(x.x))
		}
	}
}

func share(n, of int64) float64 {
	if of == 0 {
		return math.NaN()
	}
	return float64(n) / float64(of)
}
