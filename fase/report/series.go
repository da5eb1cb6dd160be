package report

import (
	"fmt"
	"math"

	"github.com/eve-emulation/eve/dsv"
	"github.com/eve-emulation/eve/fase/runs"
	"github.com/eve-emulation/eve/fase/service"
)

// reader reads series of a history.
type reader struct {
	h        runs.History
	declared map[dsv.Name]dsv.Declaration
	broken   map[dsv.Name]error // histories that could not be read whole
	data     *Data
}

// each calls fn for each delta of a variable; what cannot be read becomes a warning.
func (r *reader) each(n dsv.Name, fn func(d *dsv.Delta)) {
	if _, ok := r.declared[n]; !ok {
		return
	}
	err := r.h.History(n, -1, dsv.Never, func(u dsv.Update) error {
		switch {
		case u.Delta != nil:
			fn(u.Delta)
		case !u.Deleted:
			fn(&dsv.Delta{Name: n, T0: u.Reading.T1, T1: u.Reading.T1, Value: u.Reading.Value, Weight: u.Reading.Weight})
		}
		return nil
	})
	if err != nil {
		r.broken[n] = err
	}
}

// spread adds what a delta tells to the windows that it overlaps, by the share of its time in each.
func (g grid) spread(d *dsv.Delta, add func(i int, share float64)) {
	if d.T0 >= d.T1 || g.index(d.T1) == g.index(d.T0+1) {
		if i := g.index(d.T1); i >= 0 {
			add(i, 1)
		}
		return
	}
	for i := max(0, int(d.T0/g.width)); i < g.n; i++ {
		low, high := dsv.Instant(i)*g.width, dsv.Instant(i+1)*g.width
		if low >= d.T1 {
			return
		}
		if part := min(high, d.T1) - max(low, d.T0); part > 0 {
			add(i, float64(part)/float64(d.T1-d.T0))
		}
	}
}

// rate is a sum per second in each window. A delta that comes after nothing was written covers that time too, but what it
// tells is of its end: no longer than the shortest delta.
func (r *reader) rate(n dsv.Name) []float64 {
	var parts []dsv.Delta
	shortest := dsv.Never
	r.each(n, func(d *dsv.Delta) {
		parts = append(parts, dsv.Delta{Writer: d.Writer, T0: d.T0, T1: d.T1, Value: d.Value})
		if length := d.T1 - d.T0; length > 0 {
			shortest = min(shortest, length)
		}
	})
	xs := make([]float64, r.data.grid.n)
	active := map[dsv.WriterID]bool{}
	for i := range parts {
		d := &parts[i]
		x, ok := d.Value.Number()
		if !ok {
			continue
		}
		if !active[d.Writer] {
			d.T0 = max(d.T0, d.T1-min(shortest, d.T1))
		}
		active[d.Writer] = x != 0
		r.data.grid.spread(d, func(i int, share float64) { xs[i] += x * share })
	}
	for i := range xs {
		xs[i] /= r.data.grid.width.Seconds()
	}
	return xs
}

// mean is a weighted mean in each window; NaN where nothing was written.
func (r *reader) mean(n dsv.Name) []float64 {
	sums, weights := make([]float64, r.data.grid.n), make([]float64, r.data.grid.n)
	r.each(n, func(d *dsv.Delta) {
		if x, ok := d.Value.Number(); ok {
			r.data.grid.spread(d, func(i int, share float64) {
				sums[i] += x * share
				weights[i] += d.Weight * share
			})
		}
	})
	for i := range sums {
		if weights[i] > 0 {
			sums[i] /= weights[i]
		} else {
			sums[i] = math.NaN()
		}
	}
	return sums
}

// quantiles are quantiles of the samples of each window, and the histogram of the measured window.
func (r *reader) quantiles(n dsv.Name, qs ...float64) ([][]float64, *dsv.Hist) {
	windows := make([]dsv.HistSum, r.data.grid.n)
	var whole dsv.HistSum
	w := r.data.Summary.Window
	from, to := instant(w.From), instant(w.To)
	r.each(n, func(d *dsv.Delta) {
		if i := r.data.grid.index(d.T1); i >= 0 {
			windows[i].Add(d.Value.Hist)
		}
		if d.T1 > from && d.T1 <= to {
			whole.Add(d.Value.Hist)
		}
	})
	out := make([][]float64, len(qs))
	for k, q := range qs {
		out[k] = make([]float64, len(windows))
		for i := range windows {
			out[k][i] = windows[i].Hist().Quantile(q)
		}
	}
	return out, whole.Hist()
}

func instant(x runs.Number) dsv.Instant { return dsv.Instant(math.Round(float64(x) * 1e9)) }

func (r *reader) group(name string) group {
	v := func(what string) dsv.Name { return dsv.Name(name + "." + what) }
	g := group{
		name: name, target: r.rate(v("target")), issued: r.rate(v("issued")), ended: r.rate(v("requests")),
		errors: map[string][]float64{},
	}
	if c := r.data.Summary.Clients[name]; c.Model != "open" || c.Sessions != nil && !c.Sessions.Mix {
		g.target = nil // of sessions it counts sessions
	}
	g.settings = r.settings(name)
	g.quantiles, g.total = r.quantiles(v("latency"), 0.5, 0.95, 0.99)
	g.lags, _ = r.quantiles(v("send_lag"), 0.5, 0.99)
	for _, c := range service.Causes() {
		xs := r.rate(v("errors_" + c.String()))
		for _, x := range xs {
			if x > 0 {
				g.errors[c.String()] = xs
				break
			}
		}
	}
	return g
}

// server reads the resources that were used at all; the CPU always.
func (r *reader) server(name string) server {
	s := server{name: name}
	for i, res := range runs.Resources() {
		v := func(what string) dsv.Name { return dsv.Name(name + "." + string(res) + "." + what) }
		if _, ok := r.declared[v("utilisation")]; !ok {
			continue
		}
		x := resource{name: string(res), index: i, utilisation: r.mean(v("utilisation")), queue: r.mean(v("queue"))}
		if res == "cpu" || most(x.utilisation) >= 0.02 || most(x.queue) >= 0.2 {
			s.resources = append(s.resources, x)
		}
	}
	return s
}

// most is the greatest number that is one.
func most(xs []float64) float64 {
	m := 0.0
	for _, x := range xs {
		if x > m {
			m = x
		}
	}
	return m
}

// mapping reads the changes of a service's mapping, by the instant from which each applies.
func (r *reader) mapping(name string) mapping {
	m := mapping{service: name}
	r.each(service.MapName(name), func(d *dsv.Delta) {
		if d.Value.Kind != dsv.Text {
			return
		}
		c, err := service.ParseMapping(d.Value.Text)
		if err != nil {
			r.data.Warnings = append(r.data.Warnings, fmt.Sprintf("a mapping of %s is not readable: %v", name, err))
			return
		}
		if k := len(m.changes); k > 0 && m.changes[k-1].Epoch == c.Epoch {
			m.changes[k-1] = c // written again, with addresses for instance
			return
		}
		m.changes = append(m.changes, c)
	})
	return m
}
