package report

import (
	"fmt"
	"math"
	"slices"

	"github.com/eve-emulation/eve/dsv"
)

// maxServers bounds the servers of one picture.
const maxServers = 10

func (d *Data) serversPicture() Picture {
	var rows [][]panel
	shown := d.busiest(maxServers)
	for _, i := range shown {
		s := d.servers[i]
		q := panel{title: "Jobs at " + shorten(s.name, 30), height: thinHeight + 12}
		for _, r := range s.resources {
			q.lines = append(q.lines, line{label: r.name, xs: d.grid.ends(), ys: r.queue, color: d.color(s.name), dashes: dash(r.index), step: true, fill: r.name == "cpu"})
		}
		if !(most(slices.Concat(queues(s)...)) > 0) {
			q.high = 1
		}
		if d.Summary.Processes[s.name].Target {
			q.note = "a real server does not tell"
		}
		rows = append(rows, []panel{d.utilisation(i, thinHeight+12), q})
	}
	f := d.timed("Servers", rows)
	f.numbers = true
	caption := "Utilisation and mean number of jobs present, waiting or served, of each resource that was used, in windows of " + duration(d.Width.Seconds()) + "."
	if len(shown) < len(d.servers) {
		caption += fmt.Sprintf(" Of %d servers the %d busiest are shown.", len(d.servers), len(shown))
	}
	return f.picture("servers", caption+d.markCaption()+d.warmCaption())
}

func queues(s server) [][]float64 {
	var qs [][]float64
	for _, r := range s.resources {
		qs = append(qs, r.queue)
	}
	return qs
}

// shortest is the shortest response time that a logarithmic axis shows, in seconds.
const shortest = 1e-6

// distribution shows which share of the responses took longer than a time.
func (d *Data) distribution() (Picture, bool) {
	p := panel{title: "Share of requests that took longer", height: 260, log: true, label: share}
	least, longest, count := math.Inf(1), shortest, uint64(0) // in virtual time a response may take no time, which a logarithm does not know
	for i, g := range d.groups {
		if g.total.Count() == 0 {
			continue
		}
		xs, ys := ccdf(g.total)
		p.lines = append(p.lines, line{label: shorten(g.name, 24), xs: xs, ys: ys, color: hue(i), dashes: dash(i / 4)})
		least, longest, count = min(least, max(g.total.Quantile(0.001), shortest)), max(longest, g.total.Max()), max(count, g.total.Count())
	}
	if count == 0 {
		return Picture{}, false
	}
	p.low, p.high = math.Pow(10, -math.Ceil(math.Log10(float64(count)+1))), 1.06
	if longest < 10*least {
		least, longest = least/2, longest*2
	}
	from, to := floorNice(least), ceilNice(longest)
	for i := range p.lines {
		p.lines[i].frame(from, p.low)
	}
	f := &figure{
		title: "Distribution of response times", rows: [][]panel{{p}}, from: from, to: to, xLog: true,
		xLabel: "response time", xTicks: logTicks(from, to, duration),
	}
	return f.picture("distribution", "For each response time the share of requests that took longer, both logarithmic, over the measured window: p99 is where a curve crosses 1 %."), true
}

func share(x float64) string {
	return plain(x*100) + " %"
}

// ccdf is the share of samples that exceed a value, at the middle of each bucket.
func ccdf(h *dsv.Hist) (xs, ys []float64) {
	left := h.Count()
	h.Buckets(func(bucket int, count uint64) bool {
		x := min(dsv.BucketMid(bucket), h.Max())
		xs, ys = append(xs, x, x), append(ys, float64(left)/float64(h.Count()), float64(left-count)/float64(h.Count()))
		left -= count
		return true
	})
	return xs, ys
}

// frame lets a ccdf begin at the left edge, and end at the bottom.
func (l *line) frame(left, bottom float64) {
	xs, ys := []float64{left}, []float64{1.0}
	for i, x := range l.xs {
		if x < left {
			ys[0] = l.ys[i]
			continue
		}
		xs, ys = append(xs, x), append(ys, max(l.ys[i], bottom))
	}
	l.xs, l.ys = xs, ys
}
