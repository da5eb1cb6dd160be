package report

import (
	"math"
	"time"

	"github.com/eve-emulation/eve/dsv"
	"github.com/eve-emulation/eve/fase/runs"
	"github.com/eve-emulation/eve/fase/service"
)

// Data is the history of a run on windows of equal width that are aligned to T0.
type Data struct {
	Summary  *runs.Summary
	Width    time.Duration // of a window
	Warnings []string      // what of the history could not be read

	grid      grid
	groups    []group
	servers   []server
	services  []string
	mappings  []mapping
	topics    []topic   // what modules measured
	controls  []control // in the order of the scenario
	processes []process
	events    []event        // of modules
	order     map[string]int // of services and servers, for their colours
}

// A group is one group of clients.
type group struct {
	name                  string
	target, issued, ended []float64   // per second
	quantiles             [][]float64 // p50, p95, p99 in s
	lags                  [][]float64 // p50, p99 of the send lag in s
	errors                map[string][]float64
	total                 *dsv.Hist // of the measured window
	settings              []setting // that were changed
}

// A server is one emulated host, with the resources that were used.
type server struct {
	name      string
	resources []resource
}

type resource struct {
	name               string
	index              int // in runs.Resources
	utilisation, queue []float64
}

// A mapping is the history of one service's replicas.
type mapping struct {
	service string
	changes []service.Mapping
}

// grid is windows (i·width, (i+1)·width] from T0 on.
type grid struct {
	width dsv.Instant
	n     int
}

// widths are what windows may be wide: multiples of the period of synchronisation.
func widths() []time.Duration {
	const s = time.Second
	return []time.Duration{
		s / 5, s / 2, s, 2 * s, 5 * s, 10 * s, 30 * s, 60 * s, 300 * s, 900 * s, 3600 * s, 6 * 3600 * s, 24 * 3600 * s,
	}
}

// newGrid covers the time to end with at most 150 windows.
func newGrid(end dsv.Instant) grid {
	ws := widths()
	w := dsv.Instant(ws[len(ws)-1])
	for _, c := range ws {
		if w = dsv.Instant(c); end/w <= 150 {
			break
		}
	}
	return grid{width: w, n: int((end + w - 1) / w)}
}

// index returns the window that holds an instant; -1 for one outside.
func (g grid) index(t dsv.Instant) int {
	if t <= 0 || t > g.width*dsv.Instant(g.n) {
		return -1
	}
	return int((t - 1) / g.width)
}

// ends are the right edges of the windows in s.
func (g grid) ends() []float64 {
	xs := make([]float64, g.n)
	for i := range xs {
		xs[i] = (dsv.Instant(i+1) * g.width).Seconds()
	}
	return xs
}

// middles are the middles of the windows in s.
func (g grid) middles() []float64 {
	xs := g.ends()
	for i := range xs {
		xs[i] -= g.width.Seconds() / 2
	}
	return xs
}

// Read reads the history that belongs to a summary.
func Read(h runs.History, s *runs.Summary) *Data {
	end := float64(s.Duration)
	if s.Interrupted && s.Window.To > 0 {
		end = float64(s.Window.To)
	}
	d := &Data{Summary: s, grid: newGrid(dsv.Instant(math.Round(end * 1e9))), order: map[string]int{}}
	d.Width = time.Duration(d.grid.width)
	r := reader{h: h, declared: map[dsv.Name]dsv.Declaration{}, broken: map[dsv.Name]error{}, data: d}
	for _, x := range h.Declarations() {
		r.declared[x.Name] = x
	}
	d.events = r.events()
	for _, name := range s.Groups() {
		d.groups = append(d.groups, r.group(name))
	}
	for i, name := range s.ServerNames() {
		d.order[name] = i
		d.servers = append(d.servers, r.server(name))
	}
	for i, name := range s.ServiceNames() {
		d.order[name] = i
		d.services = append(d.services, name)
		d.mappings = append(d.mappings, r.mapping(name))
	}
	d.controls = r.controls(s)
	for _, name := range s.ProcessNames() {
		if _, ok := d.order[name]; !ok {
			d.order[name] = len(d.order)
		}
		d.processes = append(d.processes, r.process(name, s.ProcessPrefix(name)))
	}
	for _, t := range topics(s) {
		d.topics = append(d.topics, r.topic(t))
	}
	d.Warnings = append(d.Warnings, runs.Incomplete(r.broken)...)
	return d
}

// end is the right edge of the time axis in s.
func (d *Data) end() float64 {
	e := float64(d.Summary.Duration)
	if d.Summary.Interrupted && d.Summary.Window.To > 0 {
		e = float64(d.Summary.Window.To)
	}
	if !(e > 0) {
		return 1
	}
	return e
}
